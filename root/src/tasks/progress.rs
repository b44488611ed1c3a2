//! What a task by query has done so far, and how fast it may go on.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

/// What was done, in documents where nothing else is said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// Matches, at most as many as asked for.
    pub total: u64,
    /// Replaced.
    pub updated: u64,
    /// New.
    pub created: u64,
    /// Removed.
    pub deleted: u64,
    /// Pages.
    pub batches: u64,
    /// Changed by another writer since the query saw them, or there already where they were to be new.
    pub version_conflicts: u64,
    /// Left as they were.
    pub noops: u64,
    /// Writes that were sent again, as there was no room for them.
    pub write_retries: u64,
    /// Pages that were asked for again, as there was no room for them.
    pub search_retries: u64,
    /// Time spent waiting for the rate.
    pub throttled: Duration,
}

impl Counts {
    /// Returns how many documents were written.
    pub(crate) fn num_written(&self) -> u64 {
        self.updated + self.created + self.deleted
    }

    fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.updated += other.updated;
        self.created += other.created;
        self.deleted += other.deleted;
        self.batches += other.batches;
        self.version_conflicts += other.version_conflicts;
        self.noops += other.noops;
        self.write_retries += other.write_retries;
        self.search_retries += other.search_retries;
        self.throttled += other.throttled;
    }
}

/// What a task by query, or one slice of it, has done at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ByQueryStatus {
    /// Which slice; `None` for a whole task.
    pub slice: Option<u32>,
    /// What was done; of a whole task the sum over its slices.
    pub counts: Counts,
    /// Documents a second at most; `None` is as fast as it goes.
    pub requests_per_second: Option<f64>,
    /// Time until the next page, as it waits for the rate.
    pub throttled_for: Duration,
    /// Why it ends early, or ended.
    pub cancelled: Option<&'static str>,
    /// The slices of a whole task that has several.
    pub slices: Vec<ByQueryStatus>,
}

/// What a task by query, or one slice of it, has done. Whoever runs it writes, lists read.
#[derive(Debug)]
pub(crate) struct Progress {
    slice: Option<u32>,
    counts: Mutex<Counts>,
    cancelled: Mutex<Option<&'static str>>,
    /// Documents a second at most.
    rate: watch::Sender<Option<f64>>,
    /// Until when it waits for the rate.
    waiting_until: Mutex<Option<Instant>>,
    /// Matches that count at most.
    most: u64,
    slices: Vec<Arc<Progress>>,
}

impl Progress {
    /// Returns that of a request that is done in so many slices; where there is one, the task is its own slice.
    pub(crate) fn new(num_slices: u32, rate: Option<f64>, max_docs: Option<usize>) -> Self {
        let most = max_docs.map_or(u64::MAX, |most| most as u64);
        Self {
            most,
            ..Self::of_slices(num_slices, rate)
        }
    }

    fn of_slices(num_slices: u32, rate: Option<f64>) -> Self {
        let slices = match num_slices {
            0 | 1 => Vec::new(),
            several => {
                let share = rate.map(|rate| rate / f64::from(several));
                let slice = |slice| Arc::new(Self::of(Some(slice), share, Vec::new()));
                (0..several).map(slice).collect()
            }
        };
        Self::of(None, rate, slices)
    }

    fn of(slice: Option<u32>, rate: Option<f64>, slices: Vec<Arc<Progress>>) -> Self {
        Self {
            slice,
            counts: Mutex::default(),
            cancelled: Mutex::default(),
            rate: watch::Sender::new(rate),
            waiting_until: Mutex::default(),
            most: u64::MAX,
            slices,
        }
    }

    /// Returns its slices; none where it is its own.
    pub(crate) fn slices(&self) -> &[Arc<Progress>] {
        &self.slices
    }

    /// Notes what was done.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock());
    }

    /// Notes why it ends early.
    pub(crate) fn note_cancelled(&self, reason: &'static str) {
        *self.cancelled.lock() = Some(reason);
    }

    /// Returns what was done so far.
    pub(crate) fn status(&self) -> ByQueryStatus {
        let slices: Vec<_> = self.slices.iter().map(|slice| slice.status()).collect();
        let mut counts = self.counts.lock().clone();
        slices.iter().for_each(|slice| counts.add(&slice.counts));
        counts.total = counts.total.min(self.most);
        let of_slices = || slices.iter().map(|slice| slice.throttled_for).min();
        let own = self.waiting_until.lock().map(left_until);
        ByQueryStatus {
            slice: self.slice,
            counts,
            requests_per_second: *self.rate.borrow(),
            throttled_for: own.or_else(of_slices).unwrap_or_default(),
            cancelled: *self.cancelled.lock(),
            slices,
        }
    }

    /// Returns how long it is to wait after a page of so many documents, as the rate is now.
    pub(crate) fn pause(&self, num_documents: usize) -> Duration {
        let rate = *self.rate.borrow();
        rate.map_or(Duration::ZERO, |rate| time_at(rate, num_documents))
    }

    /// Has it write at most as many documents a second from now on: its slices together.
    pub(crate) fn rethrottle(&self, rate: Option<f64>) {
        self.rate.send_replace(rate);
        let share = rate.map(|rate| rate / self.slices.len() as f64);
        self.slices.iter().for_each(|slice| slice.rethrottle(share));
    }

    /// Waits until a page has taken as long as the rate says, and no longer than `patience`; returns whether the wait
    /// is over. A new rate ends it sooner, not later: a scroll elsewhere is kept for as long as the rate was when its
    /// page was asked for.
    pub(crate) async fn throttle(&self, page: &mut WrittenPage, patience: Duration) -> bool {
        let waiting = Waiting::begin(self);
        let patience = Instant::now() + patience;
        let mut rate = self.rate.subscribe();
        loop {
            let per_second = *rate.borrow_and_update();
            let Some(until) = page.due(per_second) else {
                return true;
            };
            waiting.until(until);
            tokio::select! {
                () = tokio::time::sleep_until(until.min(patience)) => return until <= patience,
                changed = rate.changed() => changed.expect("its sender is borrowed"),
            }
        }
    }
}

/// Longest pause after a page, however low the rate.
const LONGEST_PAUSE: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// A page that was written, whose time is not over.
pub(crate) struct WrittenPage {
    num_documents: usize,
    begun: Instant,
    /// When the next one may be asked for, as it looked last.
    until: Option<Instant>,
}

impl WrittenPage {
    pub(crate) fn new(num_documents: usize, begun: Instant) -> Self {
        Self {
            num_documents,
            begun,
            until: None,
        }
    }

    /// Returns when the next one may be asked for; `None` where that has passed.
    fn due(&mut self, rate: Option<f64>) -> Option<Instant> {
        let until = self.begun + time_at(rate?, self.num_documents);
        let until = self.until.map_or(until, |earlier| until.min(earlier));
        self.until = Some(until);
        (until > Instant::now()).then_some(until)
    }
}

/// Returns how long so many documents take.
fn time_at(rate: f64, num_documents: usize) -> Duration {
    let takes = Duration::try_from_secs_f64(num_documents as f64 / rate);
    takes.unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)
}

fn left_until(moment: Instant) -> Duration {
    moment.saturating_duration_since(Instant::now())
}

/// A wait for the rate: counted when it ends, however it ends.
struct Waiting<'a> {
    progress: &'a Progress,
    since: Instant,
}

impl<'a> Waiting<'a> {
    fn begin(progress: &'a Progress) -> Self {
        let since = Instant::now();
        Self { progress, since }
    }

    fn until(&self, moment: Instant) {
        *self.progress.waiting_until.lock() = Some(moment);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.progress.waiting_until.lock().take().is_some() {
            let waited = self.since.elapsed();
            self.progress.note(|counts| counts.throttled += waited);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn throttled(progress: &Progress, num_documents: usize) -> Duration {
        let begun = Instant::now();
        let mut page = WrittenPage::new(num_documents, begun);
        while !progress.throttle(&mut page, Duration::from_secs(7)).await {}
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_takes_its_share_of_the_rate() {
        let progress = Progress::of_slices(1, Some(10.0));
        assert_eq!(throttled(&progress, 1_000).await, Duration::from_secs(100));
        let counts = progress.status().counts;
        assert_eq!(counts.throttled, Duration::from_secs(100));
        progress.rethrottle(None);
        assert_eq!(throttled(&progress, 1_000).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_heeds_a_new_rate_at_once() {
        let progress = Progress::of_slices(2, Some(1e-9));
        let [slice, _] = progress.slices() else {
            panic!("two slices");
        };
        let mut waits = Box::pin(throttled(slice, 1_000));
        assert!(futures::poll!(waits.as_mut()).is_pending());
        assert!(slice.status().throttled_for > Duration::from_secs(3_600));
        progress.rethrottle(Some(200.0));
        assert_eq!(waits.await, Duration::from_secs(10));
        assert_eq!(progress.status().requests_per_second, Some(200.0));
        assert_eq!(slice.status().requests_per_second, Some(100.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_is_left_when_the_patience_ends() {
        let progress = Progress::of_slices(1, Some(1.0));
        let (begun, patience) = (Instant::now(), Duration::from_secs(20));
        let mut page = WrittenPage::new(30, begun);
        assert!(!progress.throttle(&mut page, patience).await);
        assert_eq!(begun.elapsed(), patience);
        assert!(progress.throttle(&mut page, patience).await);
        assert_eq!(begun.elapsed(), Duration::from_secs(30));
        assert_eq!(progress.status().counts.throttled, Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lower_rate_is_for_the_next_page() {
        let progress = Progress::of_slices(1, Some(10.0));
        let mut waits = Box::pin(throttled(&progress, 1_000));
        assert!(futures::poll!(waits.as_mut()).is_pending());
        progress.rethrottle(Some(0.25));
        assert_eq!(waits.await, Duration::from_secs(100));
        assert_eq!(progress.pause(1), Duration::from_secs(4));
    }

    #[test]
    fn slices_together_find_no_more_than_the_task_may_write() {
        let mut progress = Progress::of_slices(2, None);
        progress.most = 5;
        for slice in progress.slices() {
            slice.note(|counts| counts.total = 5);
        }
        assert_eq!(progress.status().counts.total, 5);
    }

    #[test]
    fn a_whole_task_is_the_sum_of_its_slices() {
        let progress = Progress::of_slices(3, None);
        for slice in progress.slices() {
            slice.note(|counts| (counts.total, counts.deleted) = (4, 2));
        }
        let status = progress.status();
        assert_eq!((status.counts.total, status.counts.deleted), (12, 6));
        assert_eq!(status.slices.len(), 3);
        assert_eq!(status.slices[2].slice, Some(2));
    }
}
