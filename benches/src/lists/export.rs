//! Everything read once, page by page, and everything copied by the server.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::load::{create, wait_for};
use super::pages::{Pager, Paging, Way};
use super::{INDEX, NUM_SHARDS};
use crate::client::Client;
use crate::spread::{at_share, sorted};

/// Pages at either end whose median is shown.
const AT_AN_END: usize = 10;
/// The index that is copied to.
const COPY: &str = "copied";

/// An export of the whole index, sources included.
#[derive(Debug, Serialize)]
pub(super) struct Export {
    /// How it was read.
    pub(super) name: String,
    /// Documents a second, by one client.
    pub(super) per_second: f64,
    /// Median of the first pages, ms: the one that opens is not among them.
    pub(super) first_ms: f64,
    /// Median of the last full pages, ms.
    pub(super) last_ms: f64,
}

/// Exports everything by a scroll and by a point in time, in small and large pages.
///
/// # Errors
/// When the server refuses, or an export lacks documents.
pub(super) fn exports(client: &mut Client, num_documents: usize) -> Result<Vec<Export>> {
    let mut exports = Vec::new();
    for (way, order) in [(Way::Scroll, "_doc"), (Way::Pit, "_shard_doc")] {
        for size in [1_000, 5_000] {
            let paging = Paging { way, order, size };
            exports.push(export(client, paging, num_documents)?);
        }
    }
    Ok(exports)
}

fn export(client: &mut Client, paging: Paging, num_documents: usize) -> Result<Export> {
    let begun = Instant::now();
    let mut pager = Pager::open(client, paging)?;
    let (mut num_read, mut full) = (0, Vec::new());
    loop {
        let page = pager.next_page()?;
        num_read += page.num_hits;
        if page.num_hits == 0 {
            break;
        }
        if page.num_hits == paging.size {
            full.push(page.took);
        }
    }
    let elapsed = begun.elapsed();
    pager.close()?;
    ensure!(
        num_read == num_documents,
        "{}: {num_read} documents of {num_documents}",
        paging.name()
    );
    let (first, last) = ends(&full);
    Ok(Export {
        name: paging.name(),
        per_second: num_read as f64 / elapsed.as_secs_f64(),
        first_ms: first,
        last_ms: last,
    })
}

/// Returns the medians of the first and the last pages, ms, the very first left out.
fn ends(pages: &[Duration]) -> (f64, f64) {
    let pages = pages.get(1..).unwrap_or_default();
    let num = AT_AN_END.min(pages.len());
    let median = |pages: &[Duration]| {
        let millis = pages.iter().map(|took| took.as_secs_f64() * 1e3);
        at_share(&sorted(millis), 0.5)
    };
    (median(&pages[..num]), median(&pages[pages.len() - num..]))
}

/// Has the server copy the index, with the default options of `_reindex`; returns documents a second until they can be
/// found. The copy is gone afterwards.
///
/// # Errors
/// When the server refuses, or the copy lacks documents.
pub(super) fn reindex(client: &mut Client, num_documents: usize) -> Result<f64> {
    create(client, COPY, NUM_SHARDS)?;
    let body = json!({"source": {"index": INDEX}, "dest": {"index": COPY}}).to_string();
    let begun = Instant::now();
    let path = "/_reindex?refresh=true&wait_for_completion=false";
    let answer: Value = serde_json::from_slice(client.expect("POST", path, body.as_bytes())?)?;
    let copied = wait_for(client, &answer)?;
    let elapsed = begun.elapsed();
    ensure!(
        copied["created"] == num_documents,
        "a copy lacks documents: {copied}"
    );
    client.expect("DELETE", &format!("/{COPY}"), b"")?;
    Ok(num_documents as f64 / elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_leave_out_the_page_that_opens() {
        let pages: Vec<Duration> = [900, 1, 1, 1, 3, 3, 3].map(Duration::from_millis).into();
        assert_eq!(ends(&pages), (3.0, 3.0));
        let long: Vec<Duration> = (0..100).map(Duration::from_millis).collect();
        assert_eq!(ends(&long), (6.0, 95.0));
        assert_eq!(ends(&[]), (0.0, 0.0));
    }
}
