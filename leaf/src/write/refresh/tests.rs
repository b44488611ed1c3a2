//! What searches see of a shard that rests, and of one that does not.

use gleaner_proto::read::{GenerationsCall, GetCall, ShownGeneration};
use gleaner_proto::search::{OpenViewsCall, ShardView};
use gleaner_proto::{LeafClient as _, LeafFault};
use gleaner_query::resolved::{Clause, Statistics};
use serde_json::json;

use crate::testing::{self, Fixture, PATIENCE, id, key, put, soon};

async fn resting() -> Fixture {
    Fixture::start().resting().await
}

async fn num_shown(fixture: &Fixture) -> u64 {
    fixture.shard().await.engine().view().generation().visible.0
}

async fn num_found(fixture: &Fixture) -> u64 {
    fixture.num_found().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_what_was_written_while_nobody_searched() {
    let fixture = resting().await;
    assert_eq!(num_shown(&fixture).await, 0, "nobody asked");
    assert_eq!(num_found(&fixture).await, 1);
    fixture.write(vec![put("b", "{}")]).await.expect("written");
    // The rest before may not have ended yet, so a search may not have to wait.
    soon(async { while num_found(&fixture).await < 2 {} }).await;
}

/// Asks what two primaries show, of which one is here.
async fn told(fixture: &Fixture) -> Vec<Result<ShownGeneration, LeafFault>> {
    let call = GenerationsCall {
        shards: vec![key(1), key(2)],
        remaining: PATIENCE,
    };
    fixture.leaf.generations(call).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_shard_that_rests_shows_is_not_told_without_a_call() {
    let fixture = resting().await;
    assert_eq!(fixture.leaf.shown_now(key(1)), None);
    assert_eq!(fixture.leaf.shown_now(key(2)), None, "it is not here");
    let shown = told(&fixture).await.remove(0).expect("it serves");
    assert!(shown.is_resting);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_shard_that_does_not_rest_shows_is_told_without_a_call() {
    let fixture = Fixture::start();
    let shard = fixture.shard().await;
    let before = fixture.leaf.shown_now(key(1)).expect("it serves");
    fixture.write(vec![put("a", "{}")]).await.expect("written");
    let acknowledged = fixture.leaf.refresh(key(1)).await.expect("refreshed");
    assert!(acknowledged > before);
    assert_eq!(fixture.leaf.shown_now(key(1)), Some(acknowledged));
    let shown = ShownGeneration {
        generation: acknowledged,
        is_resting: false,
    };
    let not_here = LeafFault::NotHere { shard: key(2) };
    assert_eq!(told(&fixture).await, [Ok(shown), Err(not_here)]);
    shard.applier.stop("as a test asks");
    assert_eq!(fixture.leaf.shown_now(key(1)), None);
    let stopped = told(&fixture).await.remove(0);
    assert!(matches!(stopped, Err(LeafFault::Stopped { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_that_come_together_all_find_it() {
    let fixture = resting().await;
    let searches = (0..8).map(|_| num_found(&fixture));
    let found = futures::future::join_all(searches).await;
    assert_eq!(found, [1; 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn views_that_are_opened_show_it() {
    let fixture = resting().await;
    let call = OpenViewsCall {
        shards: vec![key(1)],
        holder: 1,
        keep_alive: PATIENCE,
    };
    let opened = soon(fixture.leaf.open_views(call)).await.remove(0);
    let pinned = opened.expect("there is room");
    let shard = fixture.shard().await;
    let view = shard
        .views
        .find(pinned.view, std::time::Instant::now())
        .expect("it is kept");
    assert_eq!(view.view.num_documents(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_what_searches_see_gets_it_too() {
    let fixture = resting().await;
    let get = GetCall {
        shard: key(1),
        ids: vec![id("a")],
        realtime: false,
        remaining: PATIENCE,
    };
    let read = soon(fixture.leaf.get(get)).await.expect("reads");
    assert!(read.found[0].is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_whose_interval_is_declared_does_not_rest() {
    let fixture = Fixture::start();
    fixture
        .refresh_often(|settings| {
            let declared = &mut settings.declared;
            declared.insert("index.refresh_interval".into(), json!("10ms"));
        })
        .await;
    let shard = fixture.shard().await;
    let mut visible = shard.applier.visible();
    fixture.write(vec![put("a", "{}")]).await.expect("written");
    let shown = visible.wait_for(|generation| generation.visible.0 > 0);
    soon(shown).await.expect("it is open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_goes_on_where_no_refresh_can_be_made() {
    let fixture = resting().await;
    fixture.log.refuse_next();
    let newest = ShardView {
        shard: key(1),
        view: None,
        at_least: None,
    };
    let mut call = testing::search(Clause::MatchAll, Statistics::default(), newest);
    // It does not wait for half of that.
    call.remaining = 60 * PATIENCE;
    let answer = soon(fixture.leaf.search(call)).await.remove(0);
    assert_eq!(answer.expect("it can be searched").total, 0);
}
