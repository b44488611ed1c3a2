//! Editions of answers: of the generations that were evaluated, whichever copies evaluated them.

use std::time::Duration;

use gleaner_model::{Alias, FieldPath, IndexName};
use gleaner_proto::LeafFault;
use gleaner_query::resolved::{Extent, Scalar, Span, Unmatched};
use gleaner_query::search::{SearchRequest, parse_search};
use serde_json::{Value, json};

use super::*;
use crate::SearchResponse;
use crate::plan::Target;
use crate::search::SearchOptions;
use crate::testing::{Fixture, NOW_MS, index, limits, shard};

fn books() -> Fixture {
    let mapping = json!({"properties": {"title": {"type": "text"}, "n": {"type": "long"}}});
    let mut first = index(1, &mapping);
    let alias = Alias {
        filter: Some(json!({"term": {"n": 1}})),
        search_routing: Some("a".to_owned()),
        ..Alias::default()
    };
    let name = IndexName::parse_alias("some").expect("a good name");
    first.aliases.insert(name, alias);
    let fixture = Fixture::new([first, index(2, &json!({}))]);
    let hits = [
        (shard(1, 0), vec![(3.0, 10)]),
        (shard(1, 1), vec![(2.0, 20)]),
    ];
    *fixture.leaf.hits.lock() = hits.into();
    fixture
}

fn request(body: &Value) -> SearchRequest {
    parse_search(body.to_string().as_bytes(), &limits()).expect("a good search")
}

fn target(expression: &str) -> Target {
    Target {
        expression: Some(expression.to_owned()),
        ..Target::default()
    }
}

async fn answer(fixture: &Fixture, expression: &str, body: &Value) -> SearchResponse {
    let options = SearchOptions {
        wants_edition: true,
        ..SearchOptions::default()
    };
    let (target, request) = (target(expression), request(body));
    let answer = fixture.root.search(&target, &request, &options).await;
    answer.expect("answered")
}

fn current(fixture: &Fixture, expression: &str, body: &Value) -> Option<Edition> {
    let state = fixture.root.cluster().state();
    let targets = targets_of(&target(expression), &request(body), &state, NOW_MS);
    fixture
        .root
        .current_edition(&targets.expect("they are there"))
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_of_the_edition_that_is_current() {
    let fixture = books();
    let boosted =
        json!({"query": {"match": {"title": "tea"}}, "indices_boost": [{"index-1": 2.0}]});
    let by_alias = json!({"query": {"match": {"title": "tea"}}, "indices_boost": [{"so*": 3.0}]});
    let mut seen = Vec::new();
    for (expression, body) in [
        ("index-1", json!({})),
        ("index-1,index-2", json!({})),
        ("some", json!({})),
        ("index-1", boosted),
        ("index-1", by_alias),
    ] {
        let edition = answer(&fixture, expression, &body).await.edition;
        assert!(edition.is_some(), "{expression} {body}");
        assert_eq!(
            edition,
            current(&fixture, expression, &body),
            "{expression} {body}"
        );
        assert!(!seen.contains(&edition), "{expression} {body}");
        seen.push(edition);
    }
    let by_terms = json!({"query": {"match": {"title": "tea"}}, "scatter": "shards"});
    let before = current(&fixture, "index-1", &by_terms);
    fixture.leaf.views.lock().insert(shard(1, 1), 2);
    let after = answer(&fixture, "index-1", &by_terms).await.edition;
    assert_ne!(after, before);
    assert_eq!(after, current(&fixture, "index-1", &by_terms));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_whole_has_no_edition() {
    let fixture = books();
    let shard_of = shard(1, 1);
    let fault = LeafFault::Stopped {
        shard: shard_of,
        reason: "as a test asks".to_owned(),
    };
    fixture.leaf.faults.lock().insert(shard_of, fault);
    let partial = answer(&fixture, "index-1", &json!({})).await;
    assert_eq!((partial.shards.failures.len(), partial.edition), (1, None));
    fixture.leaf.faults.lock().clear();
    fixture.leaf.stale.lock().insert(shard_of);
    let stale = answer(&fixture, "index-1", &json!({})).await;
    assert_eq!((stale.shards.stale, stale.edition), (1, None));
    fixture.leaf.stale.lock().clear();
    assert!(
        answer(&fixture, "index-1", &json!({}))
            .await
            .edition
            .is_some()
    );
    let plain = SearchOptions::default();
    let (target, request) = (target("index-1"), request(&json!({})));
    let unasked = fixture.root.search(&target, &request, &plain).await;
    assert_eq!(unasked.expect("answered").edition, None);
}

#[tokio::test(start_paused = true)]
async fn shards_left_out_under_a_lease_count_as_what_was_leased() {
    let fixture = books();
    let mut extent = Extent::default();
    let span = Span::Within(Scalar::I64(0), Scalar::I64(99));
    extent.note_span(FieldPath::new("n"), span);
    let unmatched = Unmatched {
        extent,
        lease: Duration::from_millis(500),
    };
    fixture.leaf.unmatched.lock().insert(shard(1, 1), unmatched);
    let above = json!({"query": {"range": {"n": {"gte": 100}}}});
    let asked = answer(&fixture, "index-1", &above).await;
    let leased = answer(&fixture, "index-1", &above).await;
    assert_eq!((asked.shards.skipped, leased.shards.skipped), (0, 1));
    assert_eq!(leased.edition, asked.edition);
    // A shard that shows something else than it leased is none of ours: the answer is not of what it shows.
    fixture.leaf.views.lock().insert(shard(1, 1), 2);
    let broken = answer(&fixture, "index-1", &above).await;
    assert_eq!((broken.shards.skipped, broken.edition), (1, asked.edition));
    assert_ne!(broken.edition, current(&fixture, "index-1", &above));
}

#[tokio::test(start_paused = true)]
async fn shards_that_cannot_match_count_as_what_they_show() {
    let fixture = books();
    let titled = json!({"query": {"term": {"title": "tea"}}});
    let without = answer(&fixture, "index-1,index-2", &titled).await;
    assert_eq!(without.shards.skipped, 2, "one index has no such field");
    assert!(without.edition.is_some());
    assert_eq!(
        without.edition,
        current(&fixture, "index-1,index-2", &titled)
    );
}

#[tokio::test(start_paused = true)]
async fn targets_are_refused_as_the_search_is() {
    let fixture = books();
    let state = fixture.root.cluster().state();
    for (expression, body) in [
        ("gone", json!({})),
        ("index-1", json!({"indices_boost": [{"gone": 2.0}]})),
    ] {
        let found = targets_of(&target(expression), &request(&body), &state, NOW_MS);
        assert!(found.is_err(), "{expression} {body}");
    }
    let some = targets_of(&target("some"), &request(&json!({})), &state, NOW_MS);
    let some = some.expect("an alias");
    assert_eq!(some.indices[0].filters, [r#"{"term":{"n":1}}"#]);
    assert_eq!(some.indices[0].shards.len(), 1, "it has a routing");
}
