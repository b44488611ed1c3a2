//! Deletes by query over a leaf that answers as told.

use gleaner_proto::LeafFault;
use gleaner_query::search::SearchRequest;
use serde_json::json;

use super::*;
use crate::testing::{Fixture, index, shard};

fn request() -> ByQueryRequest {
    ByQueryRequest {
        page_size: 10,
        ..ByQueryRequest::new(Change::Delete, Target::default(), SearchRequest::default())
    }
}

fn fixture() -> Fixture {
    let fixture = Fixture::new([index(1, &json!({}))]);
    let hits = [(shard(1, 0), vec![(1.0, 10), (1.0, 20)])];
    fixture.leaf.hits.lock().extend(hits);
    fixture
}

fn begun(fixture: &Fixture, request: ByQueryRequest) -> BegunTask {
    let begun = fixture
        .root
        .by_query()
        .begin(request, &Origin::default(), None);
    begun.expect("there is room")
}

async fn ended(fixture: &Fixture, request: ByQueryRequest) -> ByQueryReport {
    begun(fixture, request).ended().await.expect("a report")
}

fn num_written(fixture: &Fixture) -> usize {
    let written = fixture.leaf.written.lock();
    written.iter().map(|call| call.items.len()).sum()
}

#[tokio::test]
async fn a_search_that_ran_out_of_time_deletes_nothing_and_says_so() {
    let fixture = fixture();
    *fixture.leaf.edit.lock() = Some(|_, hits| hits.timed_out = true);
    let report = ended(&fixture, request()).await;
    assert_eq!((report.timed_out, report.status.counts.deleted), (true, 0));
    assert_eq!(num_written(&fixture), 0);
    // Nor does one that has found nothing pass for whole.
    fixture.leaf.hits.lock().clear();
    assert!(ended(&fixture, request()).await.timed_out);
    *fixture.leaf.edit.lock() = None;
    assert!(!ended(&fixture, request()).await.timed_out);
}

#[tokio::test]
async fn views_that_may_lack_acknowledged_writes_are_refused_before_anything_is_written() {
    let fixture = fixture();
    fixture.leaf.stale.lock().insert(shard(1, 1));
    for slices in [Slices::Number(1), Slices::Auto] {
        let request = ByQueryRequest {
            slices,
            ..request()
        };
        let refused = begun(&fixture, request).ended().await;
        let refused = refused.expect_err("one shard may be old");
        assert!(
            matches!(refused, RootError::StaleRefused { stale: 1, total: 2 }),
            "{refused}"
        );
    }
    assert_eq!(num_written(&fixture), 0);
    // The views are released in the background.
    while fixture.leaf.released.lock().len() < 4 {
        tokio::task::yield_now().await;
    }
    fixture.leaf.stale.lock().clear();
    ended(&fixture, request()).await;
    assert_eq!(num_written(&fixture), 2);
}

#[tokio::test]
async fn memory_that_a_task_was_given_is_held_until_it_has_ended() {
    let fixture = fixture();
    let accounts = fixture.root.accounts();
    let mut request = request();
    let held = accounts.answer_memory().reserve(1_000);
    request.held.push(held.expect("room"));
    let task = begun(&fixture, request);
    assert!(accounts.memory.held_bytes() >= 1_000);
    task.ended().await.expect("a report");
    assert_eq!(accounts.memory.held_bytes(), 0);
}

#[tokio::test]
async fn what_is_found_in_time_is_written_as_deleted() {
    let fixture = fixture();
    let report = ended(&fixture, request()).await;
    assert!(!report.timed_out);
    assert_eq!((report.status.counts.total, num_written(&fixture)), (2, 2));
}

#[tokio::test]
async fn the_time_of_writes_bounds_them() {
    let fixture = fixture();
    let mut request = request();
    request.write_timeout = Some(Duration::from_secs(2));
    ended(&fixture, request).await;
    let written = fixture.leaf.written.lock();
    assert!(!written.is_empty());
    assert!(
        written
            .iter()
            .all(|call| call.remaining <= Duration::from_secs(2))
    );
}

#[tokio::test]
async fn a_task_goes_on_without_the_one_who_began_it() {
    let fixture = fixture();
    let begun = begun(&fixture, request());
    let id = begun.id;
    drop(begun);
    let tasks = fixture.root.tasks();
    assert!(tasks.until_ended(&[id], Duration::MAX).await);
    assert_eq!(num_written(&fixture), 2);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_its_rate_is_listed_rethrottled_and_cancelled() {
    let fixture = fixture();
    // The leaf finds the same on every page.
    let slow = || ByQueryRequest {
        page_size: 1,
        max_docs: Some(2),
        requests_per_second: Some(1e-6),
        ..request()
    };
    for is_cancelled in [false, true] {
        fixture.leaf.written.lock().clear();
        let begun = begun(&fixture, slow());
        let waits = async {
            loop {
                let task = fixture.root.tasks().get(begun.id).expect("under way");
                let status = task.status.expect("a task by query");
                if status.throttled_for > Duration::ZERO {
                    return status.counts;
                }
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(waits.await.batches, 1);
        assert_eq!(num_written(&fixture), 1);
        let task = match is_cancelled {
            true => fixture.root.tasks().cancel(begun.id),
            false => fixture.root.tasks().rethrottle(begun.id, None),
        };
        assert_eq!(task.expect("under way").is_cancelled, is_cancelled);
        let status = begun.ended().await.expect("a report").status;
        assert_eq!(status.cancelled.is_some(), is_cancelled);
        assert_eq!(num_written(&fixture), 2 - usize::from(is_cancelled));
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_that_wait_for_their_rate_hold_no_other_up() {
    let fixture = fixture();
    let slow = (0..4).map(|_| {
        let request = ByQueryRequest {
            slices: Slices::Number(20),
            page_size: 1,
            requests_per_second: Some(1e-6),
            ..request()
        };
        begun(&fixture, request)
    });
    let slow: Vec<BegunTask> = slow.collect();
    for task in &slow {
        let is_waiting = || {
            let task = fixture.root.tasks().get(task.id).expect("under way");
            let slices = task.status.expect("a task by query").slices;
            slices
                .iter()
                .all(|slice| slice.throttled_for > Duration::ZERO)
        };
        while !is_waiting() {
            tokio::task::yield_now().await;
        }
    }
    let before = num_written(&fixture);
    ended(&fixture, request()).await;
    assert_eq!(num_written(&fixture), before + 2);
    for task in slow {
        fixture.root.tasks().cancel(task.id).expect("under way");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_has_written_all_it_may_waits_for_no_rate() {
    let fixture = fixture();
    let begun = tokio::time::Instant::now();
    let request = ByQueryRequest {
        page_size: 1,
        max_docs: Some(1),
        requests_per_second: Some(1e-6),
        ..request()
    };
    ended(&fixture, request).await;
    assert_eq!(
        (num_written(&fixture), begun.elapsed()),
        (1, Duration::ZERO)
    );
}

#[tokio::test(start_paused = true)]
async fn tasks_end_in_order_with_the_process_and_no_new_one_begins() {
    let fixture = fixture();
    let begun = begun(
        &fixture,
        ByQueryRequest {
            page_size: 1,
            max_docs: Some(2),
            requests_per_second: Some(1e-6),
            ..request()
        },
    );
    tokio::join!(fixture.root.tasks().stop(), async {
        let status = begun.ended().await.expect("a report").status;
        assert_eq!(status.cancelled, Some("node is stopping"));
    });
    let refused = fixture
        .root
        .by_query()
        .begin(request(), &Origin::default(), None);
    assert!(matches!(
        refused.err(),
        Some(RootError::Leaf(LeafFault::Rejected { .. }))
    ));
}

#[tokio::test]
async fn slices_are_parts_of_a_task_that_are_listed_beneath_it() {
    let fixture = fixture();
    let request = ByQueryRequest {
        slices: Slices::Auto,
        page_size: 1,
        max_docs: Some(4),
        requests_per_second: Some(1e-6),
        ..request()
    };
    let begun = begun(&fixture, request);
    let tasks = fixture.root.tasks();
    while tasks.list_all().len() < 3 {
        tokio::task::yield_now().await;
    }
    let parts = tasks.list_all().into_iter().skip(1);
    assert!(
        parts
            .map(|task| task.parent)
            .all(|parent| parent == Some(begun.id))
    );
    tasks.cancel(begun.id).expect("under way");
    let status = begun.ended().await.expect("a report").status;
    assert_eq!(status.slices.len(), 2, "as many as the index has shards");
    let is_cancelled = |slice: &ByQueryStatus| slice.cancelled == Some("by user request");
    assert!(status.slices.iter().all(is_cancelled));
}

#[tokio::test]
async fn an_index_is_not_copied_into_itself() {
    let fixture = fixture();
    let request = ByQueryRequest {
        change: Change::Reindex(Destination {
            index: "index-1".to_owned(),
            require_alias: false,
            creates: false,
            version_type: VersionType::Internal,
            routing: NewRouting::Keep,
            source: SourceFilter::default(),
        }),
        ..request()
    };
    let refused = fixture
        .root
        .by_query()
        .begin(request, &Origin::default(), None);
    let refused = refused.err().expect("refused").to_string();
    assert!(
        refused.contains("cannot write into an index its reading from"),
        "{refused}"
    );
}
