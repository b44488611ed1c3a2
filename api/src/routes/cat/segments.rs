//! `_cat/segments`: the segments that searches of each copy see.

use gleaner_query::names::ResolveOptions;
use gleaner_root::read::LocatedShard;

use super::{host_of, size};
use crate::request::{Answer, Request};
use crate::response::{Cell, Column, Reply, Table};
use crate::routes::copies::NamedCopies;
use crate::routes::segments::{VERSION, is_committed, name};

const COLUMNS: &[Column] = &[
    Column::text("index", "i,idx", "index name"),
    Column::text("shard", "s,sh", "shard name"),
    Column::text("prirep", "p,pr,primaryOrReplica", "primary or replica"),
    Column::text("ip", "", "ip of node where it lives"),
    Column::text("id", "", "unique id of node where it lives").on_demand(),
    Column::text("segment", "seg", "segment name"),
    Column::number("generation", "g,gen", "segment generation"),
    Column::number("docs.count", "dc,docsCount", "number of docs in segment"),
    Column::number(
        "docs.deleted",
        "dd,docsDeleted",
        "number of deleted docs in segment",
    ),
    Column::number("size", "si", "segment size in bytes"),
    Column::number("size.memory", "sm,sizeMemory", "segment memory in bytes"),
    Column::text("committed", "ic,isCommitted", "is segment committed"),
    Column::text("searchable", "is,isSearchable", "is segment searched"),
    Column::text("version", "v,ver", "version"),
    Column::text("compound", "ico,isCompound", "is segment compound"),
];

pub(super) async fn table(request: Request) -> Answer {
    let options = ResolveOptions {
        allow_closed: request.parameters.is_set("allow_closed")?,
        ..ResolveOptions::default()
    };
    let named = NamedCopies::look_up(&request, options).await?;
    let copies = named.indices.iter().flat_map(|index| named.of(index));
    Ok(Reply::table(Table {
        columns: COLUMNS,
        rows: copies.flat_map(|copy| rows(&request, copy)).collect(),
    }))
}

fn rows(request: &Request, copy: &LocatedShard) -> Vec<Vec<Cell>> {
    let state = &copy.state;
    let is_committed = is_committed(state).to_string();
    let ip = host_of(request, &copy.node);
    let segments = state.segments.iter().enumerate();
    segments
        .map(|(at, segment)| {
            vec![
                copy.index.name.as_str().into(),
                u64::from(state.shard.shard.0).into(),
                if state.is_primary { "p" } else { "r" }.into(),
                ip.as_str().into(),
                copy.node.to_string().into(),
                name(at).into(),
                (at as u64).into(),
                segment.num_documents.into(),
                segment.num_deleted.into(),
                size(segment.store_bytes, &request.parameters),
                0_u64.into(),
                is_committed.as_str().into(),
                "true".into(),
                VERSION.into(),
                "false".into(),
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::testing::{create, sent, speaking};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_closed_index_is_shown_where_the_request_allows_that() {
        let dialect = speaking();
        create(&dialect, "books", &json!({})).await;
        for (route, expected) in [
            (("POST", "/books/_close"), StatusCode::OK),
            (("GET", "/_cat/segments/books"), StatusCode::BAD_REQUEST),
            (
                ("GET", "/_cat/segments/books?allow_closed=true&format=json"),
                StatusCode::OK,
            ),
        ] {
            let (status, answer) = sent(&dialect, route, &Value::Null).await;
            assert_eq!(status, expected, "{route:?}: {answer}");
        }
    }
}
