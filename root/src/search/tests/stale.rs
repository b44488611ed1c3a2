//! Shards that answer without their primaries are counted, whatever way the search takes.

use std::collections::BTreeSet;

use gleaner_query::resolved::Clause;

use super::*;
use crate::RootOptions;
use crate::plan::Target;
use crate::read::GetRequest;
use crate::testing::Cluster;

/// Two indices of two shards each, of which `shard(1, 1)` is without its primary and holds nothing.
fn cut_off() -> Fixture {
    let fixture = fixture();
    fixture.leaf.hits.lock().remove(&shard(1, 1));
    fixture.leaf.stale.lock().insert(shard(1, 1));
    fixture
}

fn counts(response: &SearchResponse) -> (u32, u32, u32) {
    let shards = &response.shards;
    (shards.stale, shards.successful, shards.total)
}

#[tokio::test]
async fn shards_without_their_primaries_are_counted_among_those_that_answered() {
    let fixture = cut_off();
    for body in [
        json!({}),
        matching(),
        json!({"size": 0, "track_total_hits": true}),
        json!({"size": 0, "sort": ["_doc"]}),
    ] {
        let response = search(&fixture, body.clone()).await.expect("answered");
        assert_eq!(counts(&response), (1, 4, 4), "{body}");
    }
    fixture.leaf.stale.lock().clear();
    let response = search(&fixture, matching()).await.expect("answered");
    assert_eq!(counts(&response), (0, 4, 4));
}

#[tokio::test]
async fn an_answer_that_may_be_stale_is_refused_where_none_is_wanted() {
    let fixture = fixture();
    let options = SearchOptions {
        refuse_stale: true,
        ..SearchOptions::default()
    };
    let (target, request) = (Target::default(), SearchRequest::default());
    let whole = fixture.root.search(&target, &request, &options).await;
    assert_eq!(whole.expect("none is stale").shards.stale, 0);
    fixture.leaf.stale.lock().insert(shard(1, 1));
    let refused = fixture.root.search(&target, &request, &options).await;
    let refused = refused.expect_err("one is stale");
    assert!(
        matches!(refused, RootError::StaleRefused { stale: 1, total: 4 }),
        "{refused}"
    );
}

#[tokio::test]
async fn a_shard_that_may_be_stale_is_asked_although_it_lacks_the_term() {
    let fixture = cut_off();
    let lacking = [shard(1, 1), shard(2, 1)];
    fixture.leaf.termless.lock().extend(lacking);
    let response = search(&fixture, matching()).await.expect("answered");
    assert_eq!((response.shards.stale, response.shards.skipped), (1, 1));
    let asked: BTreeSet<ShardKey> = fixture.leaf.searched.lock().iter().copied().collect();
    assert!(asked.contains(&shard(1, 1)) && !asked.contains(&shard(2, 1)));
}

#[tokio::test]
async fn a_shard_that_may_be_stale_is_asked_although_a_pattern_stands_for_nothing() {
    let fixture = cut_off();
    let fuzzy = json!({"query": {MATCH: {"title": {"query": "fox", "fuzziness": 1}}}, "size": 0});
    let response = search(&fixture, fuzzy).await.expect("answered");
    assert_eq!(counts(&response), (1, 4, 4), "it may have lacked the term");
    let asked: BTreeSet<ShardKey> = fixture.leaf.searched.lock().iter().copied().collect();
    assert!(asked.contains(&shard(1, 1)), "{asked:?}");
}

#[tokio::test]
async fn a_search_within_hits_that_may_be_stale_makes_the_whole_answer_so() {
    let mapping = json!({"properties": {"n": {"type": "long"}}});
    let fixture = Fixture::new([index(1, &mapping)]);
    *fixture.leaf.hits.lock() = [(shard(1, 0), vec![(3.0, 10), (1.0, 40)])].into();
    *fixture.leaf.edit.lock() = Some(|call, hits| {
        for hit in &mut hits.hits {
            hit.group = Some(SortValue::I64(1));
        }
        // The search itself is of all documents, those within its hits are of one number each.
        hits.may_be_stale = !matches!(call.query.query, Clause::MatchAll);
    });
    let inner = json!({"name": "all", "size": 2});
    let body = json!({"collapse": {"field": "n", "inner_hits": inner}, "size": 1});
    let options = SearchOptions {
        wants_edition: true,
        ..SearchOptions::default()
    };
    let (target, request) = (Target::default(), request(&body));
    let response = fixture.root.search(&target, &request, &options).await;
    let response = response.expect("answered");
    assert!(!response.hits[0].inner_hits.is_empty(), "{response:?}");
    assert!(response.shards.stale > 0, "{response:?}");
    assert_eq!(response.edition, None);
}

#[tokio::test]
async fn an_answer_of_shards_that_show_more_than_the_root_knows_the_mapping_of_may_be_stale() {
    let fixture = fixture();
    let whole = search(&fixture, matching()).await.expect("answered");
    assert_eq!(counts(&whole), (0, 4, 4));
    fixture.leaf.num_mappings.store(1, Ordering::Relaxed);
    let response = search(&fixture, matching()).await.expect("answered");
    assert_eq!(counts(&response), (4, 4, 4), "no newer mapping can be had");
    let options = SearchOptions {
        refuse_stale: true,
        ..SearchOptions::default()
    };
    let refused = search_with(&fixture, matching(), &options).await;
    let refused = refused.expect_err("it may be stale");
    let RootError::StaleRefused { stale, total } = refused else {
        panic!("{refused}");
    };
    assert_eq!((stale, total), (4, 4));
}

#[tokio::test]
async fn an_index_without_the_field_is_asked_by_a_root_that_may_lag() {
    let numbered = json!({"properties": {"n": {"type": "long"}}});
    let body = json!({"query": {"term": {"n": 1}}});
    let (target, request) = (Target::default(), request(&body));
    for (num_mappings, num_stale) in [(0, 0), (1, 4)] {
        let indices = [index(1, &numbered), index(2, &json!({"properties": {}}))];
        let cluster = Cluster::new(1, indices, RootOptions::default());
        let newer = &cluster.leaves[0].num_mappings;
        newer.store(num_mappings, Ordering::Relaxed);
        let options = SearchOptions::default();
        let response = cluster.root.search(&target, &request, &options).await;
        let response = response.expect("answered");
        // The second index may have the field by now.
        assert_eq!(counts(&response), (num_stale, 4, 4));
    }
}

#[tokio::test]
async fn pages_of_a_scroll_say_it_each() {
    let fixture = cut_off();
    *fixture.leaf.is_keeping_views.lock() = true;
    let origin = ScrollOrigin {
        body: r#"{"size": 1}"#.into(),
        ..ScrollOrigin::default()
    };
    let (target, options) = (Target::default(), SearchOptions::default());
    let minute = Duration::from_secs(60);
    let first = fixture
        .root
        .contexts()
        .start_scroll(&target, origin, minute, &options);
    let first = first.await.expect("a page");
    assert_eq!(first.shards.stale, 1);
    let id = first.scroll_id.expect("to go on");
    let next = fixture
        .root
        .contexts()
        .continue_scroll(&id, None, &options)
        .await;
    assert_eq!(next.expect("a page").shards.stale, 1);
}

#[tokio::test]
async fn documents_of_shards_without_their_primaries_are_marked() {
    let fixture = fixture();
    let gets: Vec<GetRequest> = ["a", "b", "c", "d", "e"]
        .map(|id| GetRequest {
            index: "index-1".to_owned(),
            id: id.to_owned(),
            ..GetRequest::default()
        })
        .into();
    let marks = async || -> Vec<bool> {
        let found = fixture.root.reader().multi_get(&gets).await.into_iter();
        found
            .map(|found| found.expect("read").may_be_stale)
            .collect()
    };
    assert_eq!(marks().await, [false; 5]);
    let of_shards = gets.iter().map(|get| {
        let (_, shard, _) = fixture.root.cluster().locate(get).expect("there");
        shard == crate::testing::shard(1, 1)
    });
    let expected: Vec<bool> = of_shards.collect();
    assert!(expected.contains(&true) && expected.contains(&false));
    fixture.leaf.stale.lock().insert(shard(1, 1));
    assert_eq!(marks().await, expected);
    let (query, mut explained) = (request(&matching()), Vec::new());
    for get in &gets {
        let answer = fixture.root.reader().explain(get, &query).await;
        explained.push(answer.expect("explained").1.may_be_stale);
    }
    assert_eq!(explained, expected, "also where nothing is found");
}
