//! Deletes by query over a leaf that answers as told.

use serde_json::json;

use super::*;
use crate::testing::{Fixture, index, shard};

fn request() -> ByQueryRequest {
    ByQueryRequest {
        search: SearchRequest::default(),
        page_size: 10,
        max_docs: None,
        is_proceeding_on_conflicts: false,
        is_refreshed: false,
        requests_per_second: None,
        keep_alive: Duration::from_secs(60),
    }
}

fn fixture() -> Fixture {
    let fixture = Fixture::new([index(1, &json!({}))]);
    let hits = [(shard(1, 0), vec![(1.0, 10), (1.0, 20)])];
    fixture.leaf.hits.lock().extend(hits);
    fixture
}

async fn deleted(fixture: &Fixture) -> ByQueryReport {
    let (target, request, origin) = (Target::default(), request(), Origin::default());
    let report = fixture
        .root
        .deleter()
        .delete_by_query(&target, &request, &origin);
    report.await.expect("a report")
}

#[tokio::test]
async fn a_search_that_ran_out_of_time_deletes_nothing_and_says_so() {
    let fixture = fixture();
    *fixture.leaf.edit.lock() = Some(|_, hits| hits.timed_out = true);
    let report = deleted(&fixture).await;
    assert_eq!((report.timed_out, report.deleted), (true, 0));
    assert!(fixture.leaf.written.lock().is_empty());
    // Nor does one that has found nothing pass for whole.
    fixture.leaf.hits.lock().clear();
    assert!(deleted(&fixture).await.timed_out);
    *fixture.leaf.edit.lock() = None;
    assert!(!deleted(&fixture).await.timed_out);
}

#[tokio::test]
async fn what_is_found_in_time_is_written_as_deleted() {
    let fixture = fixture();
    let report = deleted(&fixture).await;
    assert!(!report.timed_out);
    let written = fixture.leaf.written.lock();
    let num_items: usize = written.iter().map(|call| call.items.len()).sum();
    assert_eq!((report.total, num_items), (2, 2));
}

#[tokio::test]
async fn the_time_of_a_page_bounds_its_deletions() {
    let fixture = fixture();
    let mut request = request();
    request.search.timeout = Some(Duration::from_secs(2));
    let (target, origin) = (Target::default(), Origin::default());
    let report = fixture
        .root
        .deleter()
        .delete_by_query(&target, &request, &origin);
    report.await.expect("a report");
    let written = fixture.leaf.written.lock();
    assert!(!written.is_empty());
    assert!(
        written
            .iter()
            .all(|call| call.remaining <= Duration::from_secs(2))
    );
}
