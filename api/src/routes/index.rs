//! `/{index}`: create, get, exists, delete, open, close, block.

pub(super) mod active;
mod block;
mod show;
pub(super) mod unheeded;

use gleaner_model::{IndexMeta, IndexPrivilege};
use gleaner_query::names::{self, ExpandWildcards, ResolveOptions, ResolvedIndex};
use gleaner_query::settings::{cluster, parse_part_of_index};
use gleaner_query::templates::deprecated_use;
use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{INDICES, METADATA, METADATA_READ, TYPES};
use crate::parameters::reach::metadata_defaults;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};
use crate::routes::rollover::CREATE;
use crate::security::Action;

use active::{WAIT, wait, wanted};
pub(super) use show::{aliases_of, nested_settings, shown_aliases, shown_settings, stream_aliases};

const SHOW: &[Parameter] = &[
    Parameter::honoured("flat_settings"),
    Parameter::honoured("include_defaults"),
    Parameter::honoured("features"),
];

const CLOSE: &[Parameter] = &[Parameter::no_effect(
    "wait_for_active_shards",
    "copies of a closed index serve nothing",
)];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "indices.create",
        methods: &[Method::PUT],
        paths: &["/{index}"],
        parameters: &[WAIT, TYPES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(create(request))),
    Route {
        name: "indices.get",
        methods: &[Method::GET],
        paths: &["/{index}"],
        parameters: &[SHOW, INDICES, METADATA_READ, TYPES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { get(&request) })),
    Route {
        name: "indices.exists",
        methods: &[Method::HEAD],
        paths: &["/{index}"],
        parameters: &[SHOW, INDICES, METADATA_READ, TYPES],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { exists(&request) })),
    Route {
        name: "indices.delete",
        methods: &[Method::DELETE],
        paths: &["/{index}"],
        parameters: &[INDICES, METADATA],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(delete(request))),
    Route {
        name: "indices.open",
        methods: &[Method::POST],
        paths: &["/{index}/_open", "/_open"],
        parameters: &[INDICES, WAIT],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(open(request))),
    Route {
        name: "indices.close",
        methods: &[Method::POST],
        paths: &["/{index}/_close", "/_close"],
        parameters: &[INDICES, METADATA, CLOSE],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(close(request))),
    Route {
        name: "indices.add_block",
        methods: &[Method::PUT],
        paths: &["/{index}/_block/{block}"],
        parameters: &[INDICES, block::SETTLE],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(block::add_block(request))),
];

/// What gives an index an alias, for rights.
pub(super) const MANAGE_ALIAS: Action = Action {
    name: "indices:admin/aliases",
    privilege: IndexPrivilege::Manage,
    ignores_filters: false,
};

async fn create(mut request: Request) -> Answer {
    let body = request.json().await?.unwrap_or(Value::Null);
    let name = request.new_index_name()?;
    let name = name.keep_date_math_if(|any| request.may_name(&CREATE, any));
    // An alias opens the index to those who have a right to the alias. Those of templates are the business of who may
    // put templates.
    let asked = parse_part_of_index(&body, &request.root().cluster().limits())?;
    for alias in asked.aliases.keys() {
        request.check_name(&MANAGE_ALIAS, alias.as_str())?;
    }
    let wanted = wanted(&request)?;
    let limit = request.parameters.time("timeout")?;
    let admin = request.root().admin();
    let index = admin
        .create_index_by_templates(&name, &body, wanted)
        .await?;
    let is_active = wait(&request, wanted, &[&*index], limit).await;
    let reply = Reply::json(&json!({
        "acknowledged": true,
        "shards_acknowledged": is_active,
        "index": index.name.as_str(),
    }));
    let state = request.root().cluster().state();
    let deprecated = deprecated_use(index.name.as_str(), &state.templates);
    let reply = reply.warning(deprecated.as_slice());
    let reply = reply.warning(&unheeded::of_index(&index));
    Ok(reply.warning(request.root().planner().analyzers_of(&index)?.ignored()))
}

fn get(request: &Request) -> Answer {
    let options = request.parameters.resolve_options(metadata_defaults())?;
    let expression = request.index_name()?;
    let features = request.parameters.list("features");
    let has = |name: &str| {
        let is_it = |feature: &String| feature.trim_start_matches('_') == name;
        features
            .as_ref()
            .is_none_or(|features| features.iter().any(is_it))
    };
    let mut shown = Map::new();
    for found in request
        .root()
        .cluster()
        .shown_indices(&expression, &options)?
    {
        let index = &found.meta;
        let mut object = Map::new();
        if has("aliases") {
            object.insert("aliases".to_owned(), shown_aliases(index, &|_| true));
        }
        if has("mappings") {
            let tree = gleaner_query::mapping::mapping_tree(&index.mapping);
            object.insert("mappings".to_owned(), tree);
        }
        if has("settings") {
            shown_settings(index, &request.parameters, None, &mut object)?;
        }
        shown.insert(index.name.to_string(), Value::Object(object));
    }
    Ok(Reply::json(&shown))
}

fn exists(request: &Request) -> Answer {
    let options = request.parameters.resolve_options(metadata_defaults())?;
    let expression = request.index_name()?;
    let found = names::resolve(&expression, &request.root().cluster().state(), &options);
    match found.map_err(ApiError::from) {
        // A name that is left out because it is missing is missing all the same.
        Ok(found) => {
            let is_wildcard = expression.contains('*') || expression == "_all";
            Ok(Reply::exists(!found.is_empty() || is_wildcard))
        }
        Err(error) if error.status == http::StatusCode::NOT_FOUND => Ok(Reply::exists(false)),
        Err(error) => Err(error),
    }
}

async fn delete(request: Request) -> Answer {
    let defaults = ResolveOptions {
        expand_wildcards: ExpandWildcards {
            open: true,
            closed: true,
            hidden: false,
        },
        ..metadata_defaults()
    };
    let options = request.parameters.resolve_options(defaults)?;
    check_destructive(&request)?;
    let expression = request.index_name()?;
    request
        .root()
        .admin()
        .delete_indices(&expression, &options)
        .await?;
    Ok(acknowledged())
}

async fn open(request: Request) -> Answer {
    let wanted = wanted(&request)?;
    let limit = request.parameters.time("timeout")?;
    let named = set_closed(&request, false).await?;
    let opened: Vec<&IndexMeta> = named.iter().map(|found| &*found.meta).collect();
    let is_active = wait(&request, wanted, &opened, limit).await;
    Ok(Reply::json(&json!({
        "acknowledged": true,
        "shards_acknowledged": is_active,
    })))
}

async fn close(request: Request) -> Answer {
    let named = set_closed(&request, true).await?;
    let closed = named
        .iter()
        .map(|found| (found.meta.name.to_string(), json!({"closed": true})));
    let closed: Map<String, Value> = closed.collect();
    Ok(Reply::json(&json!({
        "acknowledged": true,
        "shards_acknowledged": true,
        "indices": closed,
    })))
}

/// Opens or closes the indices that the request names; returns them.
async fn set_closed(request: &Request, is_closed: bool) -> Result<Vec<ResolvedIndex>, ApiError> {
    let defaults = ResolveOptions {
        expand_wildcards: ExpandWildcards {
            open: is_closed,
            closed: !is_closed,
            hidden: false,
        },
        ..metadata_defaults()
    };
    let options = request.parameters.resolve_options(defaults)?;
    let Some(expression) = request.expression()? else {
        return Err(ApiError::validation(&["index is missing".to_owned()]));
    };
    check_destructive(request)?;
    let named = names::resolve(&expression, &request.root().cluster().state(), &options)?;
    request
        .root()
        .admin()
        .set_closed(&expression, &options, is_closed)
        .await?;
    Ok(named)
}

/// Refuses a request that names indices by wildcards, where the cluster asks for whole names. It looks at the path as it
/// was sent: rights put names in the place of wildcards.
///
/// # Errors
/// 400.
pub(super) fn check_destructive(request: &Request) -> Result<(), ApiError> {
    let names = request.path().trim_start_matches('/').split('/').next();
    let names = percent_decode_str(names.unwrap_or_default()).decode_utf8_lossy();
    let state = request.root().cluster().state();
    Ok(cluster::check_destructive(state.settings(), &names)?)
}

/// Returns the answer of changes that are done.
pub(super) fn acknowledged() -> Reply {
    Reply::json(&json!({"acknowledged": true}))
}

#[cfg(test)]
mod tests {
    use crate::testing::{create, got, speaking};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_names_all_indices_is_there_even_without_any() {
        let dialect = speaking();
        for (path, expected) in [("/_all", 200), ("/*", 200), ("/books", 404)] {
            let (status, _) = crate::testing::sent(&dialect, ("HEAD", path), &Value::Null).await;
            assert_eq!(status.as_u16(), expected, "{path}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_opens_an_index_is_told_whether_its_shards_serve() {
        let dialect = speaking();
        create(&dialect, "books", &json!({})).await;
        for (path, expected) in [
            ("/books/_close?wait_for_active_shards=all", true),
            ("/books/_open?timeout=1ms", false),
            ("/books/_open?timeout=1ms&wait_for_active_shards=0", true),
        ] {
            let (status, answer) =
                crate::testing::sent(&dialect, ("POST", path), &Value::Null).await;
            assert_eq!(status.as_u16(), 200, "{path}: {answer}");
            assert_eq!(answer["acknowledged"], true, "{path}");
            assert_eq!(answer["shards_acknowledged"], expected, "{path}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn people_are_told_when_an_index_was_made_and_how_much_it_holds() {
        let dialect = speaking();
        create(&dialect, "books", &json!({})).await;
        let shown = got(&dialect, "/books?human").await;
        let index = &shown["books"]["settings"]["index"];
        assert_eq!(index["creation_date_string"], "1970-01-01T00:00:00.000Z");
        assert_eq!(index["version"]["created_string"], "8.19.0");
        let shown = got(&dialect, "/books/_settings?human&flat_settings").await;
        let settings = &shown["books"]["settings"];
        assert_eq!(settings["index.version.created_string"], "8.19.0");
        let shown = got(&dialect, "/books").await;
        let index = &shown["books"]["settings"]["index"];
        assert_eq!(index.get("creation_date_string"), None);
        let shown = got(&dialect, "/books/_stats?human").await;
        assert_eq!(shown["_all"]["total"]["store"]["size"], "0b");
        let shown = got(&dialect, "/_cluster/health?human").await;
        assert_eq!(shown["active_shards_percent"], "0.0%");
        let shown = got(&dialect, "/_nodes?human").await;
        assert_eq!(
            shown["nodes"]["away"]["http"]["max_content_length"],
            "100mb"
        );
    }
    #[tokio::test(flavor = "multi_thread")]
    async fn who_makes_an_index_that_is_deleted_at_once_does_not_wait_for_it() {
        // No leaf answers there.
        let dialect = speaking();
        let make = crate::testing::sent(&dialect, ("PUT", "/books?timeout=1h"), &Value::Null);
        let delete = async {
            let mut status = http::StatusCode::NOT_FOUND;
            while status != http::StatusCode::OK {
                let path = ("DELETE", "/books");
                (status, _) = crate::testing::sent(&dialect, path, &Value::Null).await;
                tokio::task::yield_now().await;
            }
        };
        let ((status, answer), ()) = tokio::join!(make, delete);
        assert_eq!(status, http::StatusCode::OK);
        assert_eq!(answer["shards_acknowledged"], true, "{answer}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_index_is_made_that_is_waited_for_in_vain() {
        let dialect = speaking();
        let body = json!({"settings": {"number_of_replicas": 2}});
        for (wanted, body, copies) in [(3, &json!({}), 2), (4, &body, 3)] {
            let path = format!("/books?wait_for_active_shards={wanted}");
            let (status, refused) = crate::testing::sent(&dialect, ("PUT", &path), body).await;
            assert_eq!(status, http::StatusCode::BAD_REQUEST, "{refused}");
            assert_eq!(refused["error"]["type"], "illegal_argument_exception");
            let expected = format!(
                "invalid wait_for_active_shards[{wanted}]: cannot be greater than number of shard copies [{copies}]"
            );
            assert_eq!(refused["error"]["reason"], expected);
        }
        let (status, _) = crate::testing::sent(&dialect, ("HEAD", "/books"), &Value::Null).await;
        assert_eq!(status, http::StatusCode::NOT_FOUND);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn names_can_be_required_where_indices_are_deleted() {
        let dialect = speaking();
        create(&dialect, "books", &json!({})).await;
        for (method, path) in [
            ("DELETE", "/_all"),
            ("DELETE", "/*"),
            ("DELETE", "/%2A"),
            ("DELETE", "/books,b*"),
            ("POST", "/_all/_close"),
            ("POST", "/b*/_open"),
            ("PUT", "/b*/_block/write"),
        ] {
            let (status, answer) =
                crate::testing::sent(&dialect, (method, path), &Value::Null).await;
            assert_eq!(status.as_u16(), 400, "{method} {path}: {answer}");
            let reason = "Wildcard expressions or all indices are not allowed";
            assert_eq!(answer["error"]["reason"], reason, "{method} {path}");
        }
        let require = |is_required: Value| json!({"persistent": {"action.destructive_requires_name": is_required}});
        let settings = ("PUT", "/_cluster/settings");
        crate::testing::sent(&dialect, settings, &require(json!(true))).await;
        for (method, path, expected) in [
            ("DELETE", "/_all", 400),
            ("DELETE", "/book*", 400),
            ("POST", "/*/_close", 400),
            ("HEAD", "/books", 200),
            ("DELETE", "/books", 200),
            ("HEAD", "/books", 404),
        ] {
            let (status, _) = crate::testing::sent(&dialect, (method, path), &Value::Null).await;
            assert_eq!(status.as_u16(), expected, "{method} {path}");
        }
        crate::testing::sent(&dialect, settings, &require(json!(false))).await;
        let (status, _) = crate::testing::sent(&dialect, ("DELETE", "/_all"), &Value::Null).await;
        assert_eq!(status, http::StatusCode::OK);
    }
}
