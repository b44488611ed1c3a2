//! `/{index}/_block/{block}`: a block is set, and holds when that is answered.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{ClusterState, IndexMeta};
use gleaner_query::names;
use gleaner_root::visibility::CopyOutcome;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::parameters::groups::AT_ONCE;
use crate::parameters::reach::metadata_defaults;
use crate::render::shards;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::Parameter;

/// The parameter that says how long writes under way are waited for.
pub(super) const SETTLE: &[Parameter] = &[
    Parameter::honoured("timeout"),
    Parameter::no_effect("master_timeout", AT_ONCE),
    Parameter::no_effect("cluster_manager_timeout", AT_ONCE),
];

/// Longest wait for writes under way where the request does not say; the block is set all the same.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sets a block; one that keeps out writes is answered when those that were taken before have ended.
pub(super) async fn add_block(request: Request) -> Answer {
    let block = request.required_part("block")?;
    if !matches!(block, "read_only" | "write" | "read" | "metadata") {
        return Err(ApiError::illegal(format!(
            "No block found with name {block}"
        )));
    }
    let options = request.parameters.resolve_options(metadata_defaults())?;
    super::check_destructive(&request)?;
    let expression = request.index_name()?;
    let limit = request.parameters.time("timeout")?.unwrap_or(TIMEOUT);
    let root = request.root();
    let named = names::resolve(&expression, &root.cluster().state(), &options)?;
    let body = json!({format!("index.blocks.{block}"): true});
    root.admin()
        .put_settings(&expression, &options, &body, false)
        .await?;
    let named: Vec<Arc<IndexMeta>> = named.into_iter().map(|found| found.meta).collect();
    let settled = match block {
        "read_only" | "write" => root.admin().settle_writes(&named, limit).await,
        _ => Vec::new(),
    };
    Ok(Reply::json(&told(
        &named,
        &settled,
        &root.cluster().state(),
    )))
}

/// Returns the answer. An index is not told as blocked while writes under way may still come to some of its
/// shards.
fn told(named: &[Arc<IndexMeta>], settled: &[CopyOutcome], state: &ClusterState) -> Value {
    let of_index = |index: &Arc<IndexMeta>| {
        let failed = settled.iter().filter(|copy| copy.shard.index == index.uuid);
        let failed = failed.filter(|copy| copy.outcome.is_err()).map(|copy| {
            let failures = shards::failures(std::slice::from_ref(copy), state);
            json!({"id": copy.shard.shard.0.to_string(), "failures": failures})
        });
        let failed: Vec<Value> = failed.collect();
        let name = index.name.as_str();
        match failed.is_empty() {
            true => json!({"name": name, "blocked": true}),
            false => json!({"name": name, "failed_shards": failed}),
        }
    };
    let is_settled = settled.iter().all(|copy| copy.outcome.is_ok());
    json!({
        "acknowledged": true,
        "shards_acknowledged": is_settled,
        "indices": named.iter().map(of_index).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::testing::{create, sent, speaking};

    #[tokio::test(flavor = "multi_thread")]
    async fn who_blocks_writes_is_told_of_shards_that_may_still_write() {
        let dialect = speaking();
        create(&dialect, "books", &json!({})).await;
        let put = async |block: &str| {
            let path = format!("/books/_block/{block}?timeout=1ms");
            sent(&dialect, ("PUT", &path), &Value::Null).await.1
        };
        let answer = put("read").await;
        assert_eq!(answer["shards_acknowledged"], true);
        let blocked = json!([{"name": "books", "blocked": true}]);
        assert_eq!(answer["indices"], blocked);
        let answer = put("write").await;
        assert_eq!(answer["acknowledged"], true);
        assert_eq!(answer["shards_acknowledged"], false);
        let index = &answer["indices"][0];
        assert_eq!(index.get("blocked"), None, "{answer}");
        let failed = &index["failed_shards"][0];
        assert_eq!(failed["id"], "0");
        assert_eq!(failed["failures"][0]["index"], "books", "{answer}");
    }
}
