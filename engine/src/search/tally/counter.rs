//! The running total of one segment, with a look at the clock now and then.

use crate::EngineError;
use crate::search::count;
use crate::search::countdown::Countdown;
use crate::search::request::{Request, Shard};

/// Counts the matches of a segment.
pub(super) struct Counter<'r, 'q> {
    request: &'r Request<'q>,
    shard: &'r Shard<'q>,
    /// Matches that are not in the totals yet.
    num_counted: u64,
    countdown: Countdown,
    is_enough: bool,
}

impl<'r, 'q> Counter<'r, 'q> {
    pub(super) fn new(request: &'r Request<'q>, shard: &'r Shard<'q>) -> Self {
        Self {
            request,
            shard,
            num_counted: 0,
            countdown: Countdown::new(),
            is_enough: false,
        }
    }

    /// Counts matches.
    #[inline]
    pub(super) fn add(&mut self, num_matches: usize) {
        self.num_counted += num_matches as u64;
    }

    /// Returns whether nothing needs to be counted any more.
    pub(super) fn is_enough(&self) -> bool {
        self.is_enough
    }

    /// Notes that postings were decoded or skipped; stops the evaluation when its time is over.
    #[inline]
    pub(super) fn passed(&mut self, num_postings: u32) -> Result<(), EngineError> {
        if self.countdown.ends_with(num_postings) {
            return self.pause();
        }
        Ok(())
    }

    #[cold]
    fn pause(&mut self) -> Result<(), EngineError> {
        self.request.env.control.check()?;
        self.hand_in();
        self.is_enough = count::is_enough(self.request);
        Ok(())
    }

    /// Adds what was counted to the totals.
    pub(super) fn finish(mut self) {
        self.hand_in();
    }

    fn hand_in(&mut self) {
        let counted = std::mem::take(&mut self.num_counted);
        count::add(self.request, self.shard, counted);
    }
}
