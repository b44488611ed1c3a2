//! `_search_shards`: which copies a search would be asked of.
//!
//! Does not: say which copy of a shard it will be; that is decided anew for each search.

use std::collections::{BTreeMap, BTreeSet};

use gleaner_model::{IndexName, ShardKey};
use gleaner_proto::read::ShardPhase;
use gleaner_query::names::ResolvedIndex;
use gleaner_root::planner::SearchedIndex;
use gleaner_root::read::LocatedShard;
use http::Method;
use serde_json::{Map, Value, json};

use super::copies::routing_entry;
use super::nodes::members_of;
use crate::endpoint::Endpoint;
use crate::parameters::groups::{COPIES, INDICES, METADATA_READ};
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::Route;

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "search_shards",
    methods: &[Method::GET, Method::POST],
    paths: &["/_search_shards", "/{index}/_search_shards"],
    parameters: &[COPIES, INDICES, METADATA_READ],
    is_refused: false,
}
.answered_by(|request| Box::pin(search_shards(request)))];

async fn search_shards(request: Request) -> Answer {
    let target = request.target()?;
    let searched = request.root().planner().searched(&target)?;
    let states = request.root().reader().shard_states().await;
    let groups: Vec<Vec<&LocatedShard>> = searched
        .iter()
        .flat_map(|index| copies_by_shard(index, &states.copies))
        .collect();
    let holders: BTreeSet<&str> = groups.iter().flatten().map(|copy| &*copy.node.0).collect();
    let members = members_of(&request, &states).into_iter();
    let nodes: Map<String, Value> = members
        .filter(|member| holders.contains(&*member.id))
        .map(|member| member.shown(&request))
        .collect();
    let indices = searched.iter().map(|index| {
        let shown = named_as(&index.found);
        (index.found.meta.name.to_string(), shown)
    });
    let shown_group = |group: &Vec<&LocatedShard>| -> Value {
        group.iter().map(|copy| routing_entry(copy)).collect()
    };
    Ok(Reply::json(&json!({
        "nodes": nodes,
        "indices": indices.collect::<Map<_, _>>(),
        "shards": groups.iter().map(shown_group).collect::<Value>(),
    })))
}

/// Returns the copies that serve, by shard, the primary first. A shard that none serves stands empty.
fn copies_by_shard<'a>(
    searched: &SearchedIndex,
    copies: &'a [LocatedShard],
) -> Vec<Vec<&'a LocatedShard>> {
    let serves = |copy: &&LocatedShard| copy.state.phase == ShardPhase::Started;
    let of_shard = |shard: &ShardKey| {
        let own = copies.iter().filter(|copy| copy.state.shard == *shard);
        let mut own: Vec<_> = own.filter(serves).collect();
        own.sort_by_key(|copy| !copy.state.is_primary);
        own
    };
    searched.shards.iter().map(of_shard).collect()
}

/// Returns the aliases that an index was reached through, and what they filter.
fn named_as(found: &ResolvedIndex) -> Value {
    let mut shown = json!({});
    if !found.aliases.is_empty() {
        let names = found.aliases.iter().map(IndexName::as_str);
        shown["aliases"] = names.collect();
    }
    let mut filters = found.filters.iter().map(spelt_out);
    match (filters.next(), filters.len()) {
        (None, _) => {}
        (Some(only), 0) => shown["filter"] = only,
        (Some(first), _) => {
            let should: Vec<Value> = std::iter::once(first).chain(filters).collect();
            shown["filter"] = json!({
                "bool": {"should": should, "adjust_pure_negative": true, "boost": 1.0},
            });
        }
    }
    shown
}

/// Returns a filter with the short form of a `term` query written in full; others as they were given.
fn spelt_out(filter: &Value) -> Value {
    let term = filter.get("term").and_then(Value::as_object);
    let Some(term) = term.filter(|_| filter.as_object().is_some_and(|filter| filter.len() == 1))
    else {
        return filter.clone();
    };
    let in_full = |value: &Value| match value {
        Value::Object(given) => {
            let mut given = given.clone();
            given.entry("boost").or_insert(json!(1.0));
            Value::Object(given)
        }
        value => json!({"value": value, "boost": 1.0}),
    };
    let fields: BTreeMap<&String, Value> = term
        .iter()
        .map(|(field, value)| (field, in_full(value)))
        .collect();
    json!({"term": fields})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{create, got, speaking};

    #[tokio::test(flavor = "multi_thread")]
    async fn aliases_and_their_filters_are_told() {
        let dialect = speaking();
        let aliases = json!({
            "all": {},
            "one": {"filter": {"term": {"f": "1"}}},
            "two": {"filter": {"term": {"f": {"value": "2", "boost": 3.0}}}},
        });
        let settings = json!({"number_of_shards": 1});
        let body = json!({"aliases": aliases, "settings": settings});
        create(&dialect, "books", &body).await;
        let one = json!({"term": {"f": {"value": "1", "boost": 1.0}}});
        let two = json!({"term": {"f": {"value": "2", "boost": 3.0}}});
        let both = json!({
            "bool": {"should": [one, two], "adjust_pure_negative": true, "boost": 1.0},
        });
        for (path, expected) in [
            ("books", json!({})),
            ("all", json!({"aliases": ["all"]})),
            ("one", json!({"aliases": ["one"], "filter": one})),
            (
                "one,two",
                json!({"aliases": ["one", "two"], "filter": both}),
            ),
            ("one,all", json!({"aliases": ["all", "one"]})),
            ("books,one", json!({"aliases": ["one"]})),
        ] {
            let shown = got(&dialect, &format!("/{path}/_search_shards")).await;
            assert_eq!(shown["indices"]["books"], expected, "{path}");
            // No leaf answers there: nobody serves the shard.
            assert_eq!(shown["shards"], json!([[]]), "{path}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_routing_value_names_one_shard() {
        let dialect = speaking();
        let settings = json!({"settings": {"number_of_shards": 5}});
        create(&dialect, "books", &settings).await;
        for (path, expected) in [
            ("/books/_search_shards", 5),
            ("/books/_search_shards?routing=a", 1),
        ] {
            let shown = got(&dialect, path).await;
            let shards = shown["shards"].as_array().map(Vec::len);
            assert_eq!(shards, Some(expected), "{path}");
        }
    }
}
