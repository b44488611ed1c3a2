//! Counts of terms for which shards are asked again.

use gleaner_partial::key::Key;
use gleaner_partial::terms::{TermBucket, Terms};
use gleaner_partial::{Aggregations, Bucket, Partial};
use gleaner_proto::search::SearchCall;
use gleaner_query::aggregation::{AggregationKind, TermsAggregation};

use gleaner_query::answer::{AggregationValue, ShardHits};

use super::*;

fn tags(size: usize) -> Value {
    json!({"size": 0, "aggs": {"tags": {"terms": {"field": "tag", "size": size}}}})
}

/// Has the leaf count `listed`; keys that it does not list have at most `bound` documents.
fn count(hits: &mut ShardHits, listed: &[(&str, u64)], bound: u64) {
    let bucket = |(key, doc_count): &(&str, u64)| {
        let bucket = Bucket {
            doc_count: *doc_count,
            ..Bucket::default()
        };
        let term = TermBucket { bucket, error: 0 };
        (Key::Text((*key).to_owned()), term)
    };
    let terms = Terms {
        buckets: listed.iter().map(bucket).collect(),
        bound,
        ..Terms::default()
    };
    let partial = Aggregations(vec![Partial::Terms(terms)]);
    hits.aggregations = Some(partial.encode().expect("it has a form"));
}

fn asked(call: &SearchCall) -> &TermsAggregation {
    match &call.query.aggregations[0].kind {
        AggregationKind::Terms(terms) => terms,
        other => panic!("terms were asked for, not {other:?}"),
    }
}

fn answering(edit: fn(&SearchCall, &mut ShardHits)) -> Fixture {
    let mapping = json!({"properties": {"tag": {"type": "keyword"}}});
    let fixture = Fixture::new([index(1, &mapping)]);
    *fixture.leaf.edit.lock() = Some(edit);
    fixture
}

fn num_searches(fixture: &Fixture) -> usize {
    fixture.leaf.num_searches.load(Ordering::Relaxed)
}

#[tokio::test]
async fn counts_that_ran_out_of_time_in_the_second_question_are_told() {
    let fixture = answering(|call, hits| {
        let is_first = asked(call).shard_size.is_none();
        count(hits, &[("a", 5)], if is_first { 5 } else { 0 });
        hits.timed_out = !is_first;
    });
    let response = search(&fixture, tags(1)).await.expect("an answer");
    assert_eq!(num_searches(&fixture), 2);
    assert!(response.timed_out);
    assert_eq!(response.coverage.shards_cut, 2);
    assert_eq!(response.shards.successful, 2);
}

#[tokio::test]
async fn candidates_that_a_deeper_look_brings_are_counted_everywhere() {
    let fixture = answering(|call, hits| {
        let terms = asked(call);
        match (&terms.include, terms.shard_size) {
            // Whatever is not listed may be the best.
            (None, None) => count(hits, &[("a", 5)], 5),
            (None, Some(_)) if hits.view.0 == 1 => count(hits, &[("a", 5), ("b", 5)], 1),
            (None, Some(_)) => count(hits, &[("a", 5)], 3),
            (Some(_), _) => count(hits, &[("a", 5), ("b", 7)], 0),
        }
    });
    fixture.leaf.views.lock().insert(shard(1, 1), 2);
    let response = search(&fixture, tags(2)).await.expect("an answer");
    assert_eq!(num_searches(&fixture), 3);
    assert!(!response.timed_out);
}

#[tokio::test]
async fn shards_that_never_tell_all_are_not_asked_for_ever() {
    let fixture = answering(|_, hits| count(hits, &[("a", 5)], 5));
    let response = search(&fixture, tags(1)).await.expect("an answer");
    assert_eq!(num_searches(&fixture), 9, "eight times again");
    assert!(!response.timed_out);
}

#[tokio::test]
async fn a_shard_that_fails_when_it_is_asked_again_and_when_hits_are_fetched_is_missing_once() {
    let fixture = answering(|call, hits| {
        let is_first = asked(call).shard_size.is_none();
        count(hits, &[("a", 5)], if is_first { 5 } else { 0 });
    });
    let (here, lost) = (shard(1, 0), shard(1, 1));
    *fixture.leaf.hits.lock() = [(here, vec![(3.0, 10)]), (lost, vec![(2.0, 20)])].into();
    let late = LeafFault::DeadlinePassed { shard: lost };
    fixture.leaf.fetch_faults.lock().insert(lost, late.clone());
    let leaf = Arc::clone(&fixture.leaf);
    let draw = move || {
        if leaf.num_searches.load(Ordering::Relaxed) > 1 {
            leaf.faults.lock().insert(lost, late.clone());
        }
        Duration::ZERO
    };
    fixture.leaf.draw.lock().0 = Some(Box::new(draw));
    let mut body = tags(1);
    body["size"] = json!(10);
    let response = search(&fixture, body).await.expect("an answer");
    assert_eq!(num_searches(&fixture), 2);
    assert!(response.timed_out);
    let shards = &response.shards;
    assert_eq!((shards.total, shards.successful), (2, 1));
    assert_eq!(shards.failures.len(), 1);
    let coverage = &response.coverage;
    assert_eq!((coverage.shards_seen, coverage.shards_missing), (1, 1));
    assert_eq!(coverage.documents_total, Some(200));
}

/// Has the leaf find a word of a text in 5 documents, and in `everywhere` where it is compared.
fn words(hits: &mut ShardHits, everywhere: Option<u64>) {
    let terms = |doc_count| {
        let bucket = Bucket {
            doc_count,
            ..Bucket::default()
        };
        let term = TermBucket { bucket, error: 0 };
        Partial::Terms(Terms {
            buckets: [(Key::Text("tea".to_owned()), term)].into(),
            ..Terms::default()
        })
    };
    let single = |doc_count, sub| {
        Partial::Single(Bucket {
            doc_count,
            sub: Aggregations(sub),
        })
    };
    let background = everywhere.map(terms).into_iter().collect();
    let partials = Aggregations(vec![single(5, vec![terms(5)]), single(100, background)]);
    hits.aggregations = Some(partials.encode().expect("it has a form"));
}

fn answering_words() -> Fixture {
    answering(|call, hits| {
        let is_compared = gleaner_partial::are_compared(&call.query.aggregations);
        words(hits, is_compared.then_some(7));
    })
}

fn significant_words() -> Value {
    json!({"size": 0, "aggs": {"words": {"significant_text": {"field": "text"}}}})
}

fn buckets_of(response: &SearchResponse) -> &[gleaner_query::answer::Bucket] {
    match &response.aggregations[0].value {
        AggregationValue::Buckets { buckets, .. } => buckets,
        other => panic!("not buckets: {other:?}"),
    }
}

#[tokio::test]
async fn words_of_texts_are_compared_with_a_second_question() {
    let fixture = answering_words();
    let response = search(&fixture, significant_words()).await;
    let response = response.expect("an answer");
    assert_eq!(num_searches(&fixture), 2);
    let [tea] = buckets_of(&response) else {
        panic!("one word: {response:?}");
    };
    assert_eq!(tea.doc_count, 10, "of two shards");
    assert_eq!(tea.beside[1], ("bg_count", json!(14)));
}

#[tokio::test]
async fn a_shard_without_memory_to_compare_words_is_named() {
    let fixture = answering_words();
    let lost = shard(1, 1);
    let leaf = Arc::clone(&fixture.leaf);
    let draw = move || {
        if leaf.num_searches.load(Ordering::Relaxed) > 1 {
            let memory = LeafFault::Memory {
                account: LeafFault::QUERY_ACCOUNT.into(),
                wanted_bytes: 2,
                limit_bytes: 1,
            };
            leaf.faults.lock().insert(lost, memory);
        }
        Duration::ZERO
    };
    fixture.leaf.draw.lock().0 = Some(Box::new(draw));
    let response = search(&fixture, significant_words()).await;
    let response = response.expect("an answer");
    assert_eq!(num_searches(&fixture), 2);
    assert!(buckets_of(&response).is_empty(), "nothing was compared");
    assert_eq!(response.shards.failures.len(), 1);
    assert_eq!(response.shards.failures[0].shard, lost);
}
