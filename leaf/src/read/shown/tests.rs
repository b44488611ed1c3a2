//! No lease of a leaf hides what was acknowledged as visible, nor what a search would find.

use std::sync::Arc;

use gleaner_model::{Generation, SeqNo};
use gleaner_proto::LeafClient as _;
use gleaner_proto::read::WaitForRefreshCall;

use crate::rules::Rule;
use crate::testing::holder::Holder;
use crate::testing::{Fixture, PATIENCE, key, put};

/// A request whose answer says that all writes are visible.
#[derive(Debug, Clone, Copy)]
enum Path {
    Refresh,
    WaitForRefresh,
}

/// Returns a leaf that refreshes nothing by itself.
async fn at_rest() -> Fixture {
    let fixture = Fixture::start();
    fixture.shard().await;
    fixture
        .change(|state| {
            let index = state.indices.get_mut(&key(1).index).expect("made");
            Arc::make_mut(index).settings.refresh_interval_ms = None;
        })
        .await;
    fixture
}

async fn acknowledged(fixture: &Fixture, path: Path, last: SeqNo) -> Generation {
    let shown = match path {
        Path::Refresh => fixture.leaf.refresh(key(1)).await,
        Path::WaitForRefresh => {
            let call = WaitForRefreshCall::by_primary(key(1), last, PATIENCE);
            fixture.leaf.wait_for_refresh(call).await
        }
    };
    shown.expect("it is shown")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_stands_still_is_waited_for_on_each_path_also_where_others_have_refreshed() {
    let fixture = at_rest().await;
    for path in [Path::Refresh, Path::WaitForRefresh] {
        for is_shown_by_another in [false, true] {
            let answer = fixture.write(vec![put("a", "{}")]).await.expect("written");
            let last = answer.items[0].as_ref().expect("written").seq_no;
            let holder = Holder::of(&fixture.leaf).await;
            assert!(holder.shown().is_some_and(|shown| shown.visible <= last));
            if is_shown_by_another {
                let primary = fixture.primary().await;
                primary.refresh().await.expect("it is shown");
            }
            let shown = acknowledged(&fixture, path, last).await;
            assert!(shown.visible > last);
            assert!(
                !holder.is_behind(shown),
                "{path:?}, shown by another: {is_shown_by_another}"
            );
        }
    }
}

/// Would a holder answer from before a write that a search finds, of a shard that nobody has read for long?
async fn is_stale_after_a_rest(omitted: Option<Rule>) -> bool {
    let fixture = Fixture::with(|options| options.omitted = omitted);
    let fixture = fixture.resting().await;
    let holder = Holder::of(&fixture.leaf).await;
    let kept = holder.shown();
    assert_eq!(fixture.num_found().await, 1);
    let found = fixture.shard().await.engine().view().generation();
    kept.is_some_and(|kept| kept.visible < found.visible)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_rests_is_leased_to_nobody() {
    assert!(!is_stale_after_a_rest(None).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_found_that_a_shard_that_rests_is_leased() {
    assert!(is_stale_after_a_rest(Some(Rule::LeaseAwake)).await);
}
