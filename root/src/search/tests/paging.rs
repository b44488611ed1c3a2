//! Pages of scrolls and points in time while shards do not answer.

use gleaner_query::dsl::LookUp;
use gleaner_query::search::NamedDocuments;
use serde_json::json;

use super::*;
use crate::RootOptions;
use crate::testing::Cluster;

const MINUTE: Duration = Duration::from_secs(60);

fn unreachable() -> LeafFault {
    LeafFault::Unreachable {
        shard: shard(1, 0),
        reason: "reset".to_owned(),
    }
}

/// Begins a scroll of pages of two hits; returns its id.
async fn begin(fixture: &Fixture, parameters: &[(&str, &str)]) -> String {
    let body = json!({"size": 2, "query": {MATCH: {"title": "fox"}}});
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let origin = ScrollOrigin {
        body: body.to_string().into(),
        parameters: parameters.iter().map(owned).collect(),
        ..ScrollOrigin::default()
    };
    let (target, options) = (Target::default(), SearchOptions::default());
    let begun = fixture
        .root
        .contexts()
        .start_scroll(&target, origin, MINUTE, &options);
    let first = begun.await.expect("answered");
    first.scroll_id.expect("a scroll has an id")
}

async fn go_on(fixture: &Fixture, id: &str) -> Result<SearchResponse, RootError> {
    let options = SearchOptions::default();
    fixture
        .root
        .contexts()
        .continue_scroll(id, None, &options)
        .await
}

#[tokio::test]
async fn a_scroll_waits_for_all_its_shards() {
    let fixture = fixture();
    let id = begin(&fixture, &[]).await;
    let faults = &fixture.leaf.faults;
    faults.lock().insert(shard(1, 0), unreachable());
    let refused = go_on(&fixture, &id).await;
    let Err(RootError::PageIncomplete { failures }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(failures.len(), 1);
    faults.lock().clear();
    let page = go_on(&fixture, &id).await.expect("nothing is lost");
    assert_eq!(page.shards.failures, []);
}

#[tokio::test]
async fn a_page_of_a_scroll_counts_in_the_account_of_its_request() {
    let fixture = fixture();
    let id = begin(&fixture, &[]).await;
    let memory = fixture.root.accounts().answer_memory();
    let options = SearchOptions {
        memory: Some(memory.clone()),
        ..SearchOptions::default()
    };
    let page = fixture
        .root
        .contexts()
        .continue_scroll(&id, None, &options)
        .await;
    let page = page.expect("answered");
    assert_eq!(memory.held_bytes(), page.content_bytes as u64);
    assert!(page.content_bytes > 0);
    drop(page);
    assert_eq!(memory.held_bytes(), 0);
}

/// Returns a scroll with this many queries of one list of so many values.
fn looking_up(num_queries: usize, num_values: usize) -> ScrollOrigin {
    let place = json!({"index": "lists", "id": "1", "path": "a"});
    let queries = vec![json!({"terms": {"title": place}}); num_queries];
    let body = json!({"size": 2, "query": {"bool": {"should": queries}}});
    let name = LookUp {
        index: "lists".to_owned(),
        id: "1".to_owned(),
        routing: None,
    };
    let said = Some(json!({"a": vec![7; num_values]}));
    ScrollOrigin {
        body: body.to_string().into(),
        named: NamedDocuments {
            index: None,
            found: [(name, said)].into(),
        },
        ..ScrollOrigin::default()
    }
}

#[tokio::test]
async fn lists_that_a_page_looks_up_count_in_the_account_of_its_request() {
    let fixture = fixture();
    let contexts = fixture.root.contexts();
    let (target, mut options) = (Target::default(), SearchOptions::default());
    let begun = contexts.start_scroll(&target, looking_up(500, 60_000), MINUTE, &options);
    let refused = begun.await;
    let is_full = |page: &Result<SearchResponse, RootError>| {
        matches!(page, Err(RootError::Leaf(LeafFault::Memory { .. })))
    };
    assert!(is_full(&refused), "{refused:?}");

    let begun = contexts.start_scroll(&target, looking_up(5, 1_000), MINUTE, &options);
    let id = begun.await.expect("room").scroll_id.expect("an id");
    let memory = fixture.root.accounts().answer_memory();
    let most = fixture.root.cluster().options().memory_per_query_bytes;
    let held = memory.reserve(most as usize - 10_000).expect("room");
    options.memory = Some(memory);
    let refused = contexts.continue_scroll(&id, None, &options).await;
    assert!(is_full(&refused), "{refused:?}");
    drop(held);
    let page = contexts.continue_scroll(&id, None, &options).await;
    page.expect("there is room again");
}

#[tokio::test(start_paused = true)]
async fn a_scroll_whose_shards_are_all_silent_has_not_ended() {
    let fixture = fixture();
    let id = begin(&fixture, &[]).await;
    let all = [shard(1, 0), shard(1, 1), shard(2, 0), shard(2, 1)];
    fixture.leaf.hanging.lock().extend(all);
    let refused = go_on(&fixture, &id).await;
    assert!(matches!(refused, Err(RootError::PageIncomplete { .. })));
}

#[tokio::test]
async fn a_scroll_goes_on_without_shards_where_that_is_wanted() {
    let fixture = fixture();
    let id = begin(&fixture, &[("allow_partial_search_results", "true")]).await;
    let faults = &fixture.leaf.faults;
    faults.lock().insert(shard(1, 0), unreachable());
    let page = go_on(&fixture, &id).await.expect("answered in part");
    assert_eq!(page.shards.failures.len(), 1);
}

#[tokio::test]
async fn what_is_wrong_for_an_index_does_not_end_a_scroll() {
    let fixture = fixture();
    let id = begin(&fixture, &[]).await;
    let fault = LeafFault::BadQuery {
        kind: "query_shard_exception".into(),
        reason: "it is wrong".to_owned(),
    };
    let wrong = [shard(2, 0), shard(2, 1)].map(|shard| (shard, fault.clone()));
    fixture.leaf.faults.lock().extend(wrong);
    let page = go_on(&fixture, &id).await.expect("of the other index");
    assert_eq!(page.shards.failures.len(), 2);
}

#[tokio::test]
async fn pages_by_score_are_ranked_by_the_numbers_of_all_shards() {
    let mapping = json!({"properties": {"title": {"type": "text"}}});
    let options = RootOptions::default();
    let cluster = Cluster::with_copies(2, 1, [index(1, &mapping)], options);
    let root = &cluster.root;
    cluster.leaves[0]
        .hits
        .lock()
        .insert(shard(1, 0), vec![(3.0, 10), (1.0, 40)]);
    let (target, options) = (Target::default(), SearchOptions::default());
    let id = root
        .contexts()
        .open_pit(&target, MINUTE)
        .await
        .expect("opened");
    *cluster.leaves[1].is_gone.lock() = true;
    let mut body = matching();
    body["pit"] = json!({"id": id});
    let first = request(&body);
    let first = root.search(&target, &first, &options).await;
    assert_eq!(first.expect("in part").shards.failures.len(), 1);
    body["search_after"] = json!([2.0]);
    let next = request(&body);
    let next = root.search(&target, &next, &options).await;
    assert!(
        matches!(next, Err(RootError::PageIncomplete { .. })),
        "{next:?}"
    );
}

/// Two leaves of which both hold both shards; the first is asked first.
fn copied() -> Cluster {
    let mapping = json!({"properties": {"title": {"type": "text"}}});
    let options = RootOptions {
        is_choosing_copies: false,
        ..RootOptions::default()
    };
    Cluster::new(2, [index(1, &mapping)], options)
}

async fn opened(cluster: &Cluster) -> String {
    let (target, begun) = (Target::default(), tokio::time::Instant::now());
    let id = cluster.root.contexts().open_pit(&target, MINUTE).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    id.expect("opened")
}

#[tokio::test(start_paused = true)]
async fn a_point_in_time_is_opened_on_the_copies_that_answer() {
    let cluster = copied();
    let both = [shard(1, 0), shard(1, 1)];
    cluster.leaves[0].hanging.lock().extend(both);
    let id = opened(&cluster).await;
    let closed = cluster.root.contexts().close_pits(&[id]).await;
    assert_eq!(closed.expect("closed"), [true]);
    let released = cluster.leaves[1].released.lock();
    assert_eq!(released.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn views_that_a_late_leaf_opens_in_vain_are_released() {
    let cluster = copied();
    *cluster.leaves[0].open_delay.lock() = Duration::from_secs(2);
    opened(&cluster).await;
    assert_eq!(*cluster.leaves[0].released.lock(), []);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(cluster.leaves[0].released.lock().len(), 2);
    assert_eq!(*cluster.leaves[1].released.lock(), []);
}
