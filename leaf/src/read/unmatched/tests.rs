//! What a shard says of itself holds for as long as it has promised.

use std::ops::Bound;
use std::time::{Duration, Instant};

use gleaner_model::{FieldPath, SeqNo};
use gleaner_proto::LeafClient;
use gleaner_proto::search::ShardView;
use gleaner_query::answer::{ShardHits, ViewId};
use gleaner_query::resolved::{Clause, Scalar, Statistics};

use crate::testing::{self, Fixture, key, put};

const LEASE: Duration = Duration::from_millis(300);

/// A leaf whose shard gives leases at once, with documents whose `n` is below 10.
async fn quiet() -> Fixture {
    let fixture = Fixture::with(|options| {
        options.lease = LEASE;
        options.lease_after = Duration::ZERO;
    });
    let items = vec![put("a", r#"{"n": 1}"#), put("b", r#"{"n": 9}"#)];
    fixture.write(items).await.expect("writes");
    fixture.leaf.refresh(key(1)).await.expect("refreshes");
    // The refresh is answered a moment before it counts as done.
    fixture.shard().await.pipeline.wait_idle().await;
    fixture
}

fn from(least: i64) -> Clause {
    Clause::Range {
        field: FieldPath::new("n"),
        lower: Bound::Included(Scalar::I64(least)),
        upper: Bound::Unbounded,
    }
}

async fn search(fixture: &Fixture, query: Clause, view: Option<ViewId>) -> ShardHits {
    let shard = ShardView {
        shard: key(1),
        view,
        at_least: None,
    };
    let call = testing::search(query, Statistics::default(), shard);
    let answer = fixture.leaf.search(call).await.remove(0);
    answer.expect("it can be searched")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_shard_says_what_excludes_a_query() {
    let fixture = quiet().await;
    let nothing = search(&fixture, from(10), None).await;
    let unmatched = nothing.unmatched.expect("it is quiet");
    assert_eq!(unmatched.lease, LEASE);
    assert!(unmatched.extent.excludes(&from(10)) && !unmatched.extent.excludes(&from(9)));
    let something = search(&fixture, from(9), None).await;
    assert_eq!((something.total, something.unmatched), (1, None));
    // Between two values there is nothing either, which no column tells.
    let between = Clause::Range {
        field: FieldPath::new("n"),
        lower: Bound::Included(Scalar::I64(2)),
        upper: Bound::Included(Scalar::I64(8)),
    };
    let nothing = search(&fixture, between, None).await;
    assert_eq!((nothing.total, nothing.unmatched), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_shows_nothing_before_the_lease_has_run_out() {
    let fixture = quiet().await;
    let asked = Instant::now();
    let promised = search(&fixture, from(10), None).await;
    assert!(promised.unmatched.is_some());
    let written = fixture.write(vec![put("c", r#"{"n": 10}"#)]).await;
    written.expect("writes do not wait");
    fixture.leaf.refresh(key(1)).await.expect("refreshes");
    assert!(asked.elapsed() >= LEASE);
    assert_eq!(search(&fixture, from(10), None).await.total, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_promised_holds_after_it_crashed() {
    for is_flushed in [false, true] {
        let fixture = quiet().await;
        let asked = Instant::now();
        let promised = search(&fixture, from(10), None).await;
        assert!(promised.unmatched.is_some());
        let items = vec![put("c", r#"{"n": 10}"#)];
        fixture.write(items).await.expect("writes");
        if is_flushed {
            fixture.leaf.flush(key(1)).await.expect("flushes");
        }
        let fixture = fixture.crash().await;
        let found = search(&fixture, from(10), None).await;
        assert_eq!(found.total, 1, "what is opened again shows its log");
        assert!(asked.elapsed() >= LEASE, "flushed: {is_flushed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_has_more_to_show_promises_nothing() {
    let fixture = quiet().await;
    let items = vec![put("c", r#"{"n": 10}"#)];
    fixture.write(items).await.expect("writes");
    let nothing = search(&fixture, from(10), None).await;
    assert_eq!((nothing.total, nothing.unmatched), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_view_is_no_reason_for_a_promise() {
    let fixture = quiet().await;
    let old = search(&fixture, from(1), None).await.view;
    let items = vec![put("c", r#"{"n": 10}"#)];
    fixture.write(items).await.expect("writes");
    fixture.leaf.refresh(key(1)).await.expect("refreshes");
    let nothing = search(&fixture, from(10), Some(old)).await;
    assert_eq!((nothing.total, nothing.unmatched), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_has_just_shown_something_promises_nothing() {
    let fixture = Fixture::start();
    let items = vec![put("a", r#"{"n": 1}"#)];
    fixture.write(items).await.expect("writes");
    let shown = fixture.leaf.refresh(key(1)).await.expect("refreshes");
    assert!(shown.visible > SeqNo(0));
    let nothing = search(&fixture, from(10), None).await;
    assert_eq!((nothing.total, nothing.unmatched), (0, None));
}
