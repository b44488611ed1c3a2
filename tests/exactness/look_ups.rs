//! Queries that name documents, of an index beside the one that is searched, or bring them.
//!
//! Does: have that index, draw such queries, and read the documents as a route of the API does. Does not: search.
//! Called by: `families` and `alike`. Read first: [`answer`].

use anyhow::{Context, Result};
use gleaner_datasets::Random;
use gleaner_query::search::SearchRequest;
use gleaner_root::Root;
use gleaner_root::read::GetRequest;
use serde_json::{Value, json};

use crate::alike::{pick, words};
use crate::families::{Evidence, Family, frequent};

/// The index with the documents.
pub(crate) const LISTS: &str = "lists";

/// Queries of what documents say.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "terms lookup",
        members: &["keyword", "integer"],
        evidence: Evidence::Hits,
        draw: terms,
    },
    Family {
        name: "more_like_this",
        members: &["documents by id", "documents brought", "unlike"],
        evidence: Evidence::Hits,
        draw: alike,
    },
];

/// Returns the body that makes the index.
pub(crate) fn index_body(num_replicas: u32) -> Value {
    json!({
        "settings": {
            "number_of_shards": 1, "number_of_replicas": num_replicas, "refresh_interval": -1,
        },
        "mappings": {"properties": {
            "tags": {"type": "keyword"},
            "deep": {"properties": {"numbers": {"type": "integer"}}},
            "title": {"type": "text"},
            "body": {"type": "text", "analyzer": "english"},
        }},
    })
}

/// Returns the documents of the index.
pub(crate) fn documents() -> Vec<(String, Value)> {
    let one = json!({
        "tags": ["t1", "t4", "none"],
        "deep": [{"numbers": [1, 2, 3]}, {"numbers": [-7, 20]}],
        "title": "wob0k wob3k",
        "body": "wob0k wob1ks wob1k wob5ked the wob0k",
    });
    let other = json!({
        "tags": "t0",
        "deep": {"numbers": (0..30).collect::<Vec<i32>>()},
        "title": "wob1k",
        "body": "wob2k wob1ks wob7k wob1k",
    });
    vec![("1".to_owned(), one), ("2".to_owned(), other)]
}

fn terms(random: &mut Random, member: &str) -> Value {
    let (field, path) = match member {
        "keyword" => ("tag", "tags"),
        _ => ("number", "deep.numbers"),
    };
    let place = json!({"index": LISTS, "id": pick(random, &["1", "2"]), "path": path});
    json!({"query": {"terms": {field: place, "boost": pick(random, &[1.0, 2.0])}}})
}

fn alike(random: &mut Random, member: &str) -> Value {
    let kept = |id: &str| json!({"_index": LISTS, "_id": id});
    let mut body = json!({
        "fields": ["title", "body"],
        "min_term_freq": 1,
        "min_doc_freq": pick(random, &[1, 4]),
        "max_query_terms": pick(random, &[3, 25]),
        "minimum_should_match": pick(random, &["1", "30%"]),
    });
    let id = pick(random, &["1", "2"]);
    match member {
        // Nothing but the document, so that a hit proves that it was read.
        "documents by id" => body["like"] = json!([kept(id)]),
        "documents brought" => {
            let brought = json!({"title": words(random, 3), "body": frequent(random)});
            body["like"] = json!([{"doc": brought}]);
        }
        _ => {
            body["like"] = json!([frequent(random), kept("1")]);
            body["unlike"] = json!([kept("2"), words(random, 1)]);
        }
    }
    json!({"query": {"more_like_this": body}})
}

/// Reads the documents that the queries of `request`, a search of `index`, name, and puts what they say in their place.
///
/// # Errors
/// When there are too many, or one cannot be read or is not there.
pub(crate) async fn answer(root: &Root, index: &str, request: &mut SearchRequest) -> Result<()> {
    let mut found = request.look_ups(Some(index))?;
    let wanted = found.keys().map(|name| GetRequest {
        index: name.index.clone(),
        id: name.id.clone(),
        routing: name.routing.clone(),
        // Any copy may answer, so that none need be there.
        realtime: false,
        refresh: false,
    });
    let wanted: Vec<GetRequest> = wanted.collect();
    let answers = root.reader().multi_get(&wanted).await;
    for ((source, answer), asked) in found.values_mut().zip(answers).zip(&wanted) {
        let missing = || format!("document {} of {} is not there", asked.id, asked.index);
        let document = answer?.document.with_context(missing)?;
        *source = Some(serde_json::from_slice(&document.source)?);
    }
    request.answer_look_ups(Some(index), &found);
    Ok(())
}
