//! What a leaf promises of a copy that has nothing for a query, and how it keeps that.

use std::time::Duration;

use gleaner_query::answer::ShardHits;
use gleaner_query::resolved::{Extent, Scalar, ShardQuery, StatisticsRequest, Unmatched};
use tokio::time::{Instant, sleep_until};

use super::copy::Copy;
use super::views::View;
use crate::documents::Stored;
use crate::schedule::Broken;

/// The leases of one copy.
pub(super) struct Leases {
    length: Duration,
    after: Duration,
    until: Instant,
    same_since: Instant,
    num_showing: usize,
}

impl Leases {
    pub(super) fn new(length: Duration, after: Duration) -> Self {
        let now = Instant::now();
        Self {
            length,
            after,
            until: now,
            same_since: now,
            num_showing: 0,
        }
    }

    fn give(&mut self) -> Option<Duration> {
        let is_quiet = self.same_since.elapsed() >= self.after;
        if self.num_showing > 0 || !is_quiet || self.length.is_zero() {
            return None;
        }
        self.until = Instant::now() + self.length;
        Some(self.length)
    }
}

impl Copy {
    /// Waits until no promise is out, and gives none until something is shown.
    pub(super) async fn wait_for_leases(&self) {
        let until = {
            let leases = &mut self.inner.lock().leases;
            leases.num_showing += 1;
            leases.until
        };
        if !self.is_breaking(Broken::BreaksLeases) {
            sleep_until(until).await;
        }
    }

    /// Notes that something new is shown.
    pub(super) fn shown(&self) {
        let leases = &mut self.inner.lock().leases;
        leases.same_since = Instant::now();
        leases.num_showing -= 1;
    }

    /// Returns why nothing matches, with a promise, where that can be said of what is newest.
    pub(super) fn unmatched(
        &self,
        view: &View,
        (query, hits): (&ShardQuery, &ShardHits),
    ) -> Option<Box<Unmatched>> {
        if hits.total > 0 || hits.timed_out {
            return None;
        }
        let extent = extent(view, query);
        let mut inner = self.inner.lock();
        if !extent.excludes(&query.query) || inner.views.newest().id != view.id {
            return None;
        }
        let lease = inner.leases.give()?;
        Some(Box::new(Unmatched { extent, lease }))
    }
}

/// Returns which words of a query no document has.
fn extent(view: &View, query: &ShardQuery) -> Extent {
    let mut extent = Extent::of(view.documents.is_empty());
    let mut wanted = StatisticsRequest::default();
    wanted.collect(&query.query);
    for (field, terms) in &wanted.fields {
        for term in terms {
            let mut words = view.documents.iter().map(Stored::words_of);
            if !words.any(|words| words.contains(term)) {
                extent.note_absent(field, Scalar::Text(term.clone()));
            }
        }
    }
    extent
}
