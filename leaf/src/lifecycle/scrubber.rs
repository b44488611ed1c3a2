//! Open copies are checked again and again, at a set rate, and at once where something is odd.
//!
//! Damage that comes while a copy is open is found here, also where a search has met it: in a file that was cut. The copy is closed at once, not the node: it is
//! opened again, and what opening finds damaged is mended there ([`crate::lifecycle::healing`], [`crate::agree`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_engine::EngineError;
use gleaner_engine::directory::{Pace, Verification};
use gleaner_model::metric;

use crate::Leaf;
use crate::copy::applier::with_causes;
use crate::copy::registry::OpenCopy;
use crate::copy::shard::Shard;

/// Least time between two checks of one copy, and between two looks at the lengths of its files: small ones would be read all
/// the time.
const SHORTEST_ROUND: Duration = Duration::from_secs(10);

/// By how much each open copy makes the round longer: a leaf with a thousand small ones is to be idle.
const ROUND_PER_COPY: Duration = Duration::from_millis(250);

/// Least time between two checks at full speed of a copy that gives reason for them.
const SUSPICION_EVERY: Duration = Duration::from_secs(60);

/// The longest sleep before it is asked whether to go on.
const NAP: Duration = Duration::from_millis(100);

/// Keeps the rate of one check, and ends it when the copy is closed.
struct Pacer {
    shard: Arc<Shard>,
    /// Bytes a second; `None`: as fast as it goes.
    rate: Option<u64>,
    begun: Instant,
    num_bytes: u64,
    is_cut_short: bool,
}

impl Pacer {
    fn is_wanted(&self) -> bool {
        self.shard.applier.failure().is_none() && !self.shard.node.is_stopping()
    }
}

impl Pace for Pacer {
    #[expect(
        clippy::disallowed_methods,
        reason = "reading is paced on a thread of its own: there is no event to wait for"
    )]
    fn read(&mut self, num_bytes: u64) -> bool {
        self.num_bytes += num_bytes;
        metrics::counter!(metric::SCRUBBED_BYTES.name).increment(num_bytes);
        let due = match self.rate {
            Some(rate) => Duration::from_secs_f64(self.num_bytes as f64 / rate.max(1) as f64),
            None => Duration::ZERO,
        };
        while self.is_wanted() {
            let ahead = due.saturating_sub(self.begun.elapsed());
            if ahead.is_zero() {
                return true;
            }
            std::thread::sleep(ahead.min(NAP));
        }
        self.is_cut_short = true;
        false
    }
}

/// Returns the least time from check to check of one of `num_copies`.
pub(crate) fn round_of(num_copies: usize) -> Duration {
    let num_copies = u32::try_from(num_copies).unwrap_or(u32::MAX);
    SHORTEST_ROUND.max(ROUND_PER_COPY.saturating_mul(num_copies))
}

impl Leaf {
    /// Goes round over all copies until the leaf stops, at `rate` bytes a second.
    pub(crate) async fn scrub(self: Arc<Self>, rate: u64) {
        loop {
            match self.longest_unchecked() {
                Some(shard) => self.check(&shard, Some(rate)).await,
                None => tokio::select! {
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    () = self.node.stopped() => {}
                },
            }
            if self.node.is_stopping() {
                return;
            }
        }
    }

    fn longest_unchecked(&self) -> Option<Arc<Shard>> {
        let copies = self.copies.open();
        let shards = copies.iter().map(OpenCopy::shard);
        let shards = shards.filter(|shard| shard.applier.failure().is_none());
        let oldest = shards.min_by_key(|shard| shard.checks.lock().content)?;
        let is_due = oldest.checks.lock().content.elapsed() >= round_of(copies.len());
        is_due.then(|| Arc::clone(oldest))
    }

    /// Returns for how long the copy that was checked longest ago has not been.
    pub(crate) fn oldest_check(&self) -> Duration {
        let copies = self.copies.open();
        let ages = copies
            .iter()
            .map(|copy| copy.shard().checks.lock().content.elapsed());
        ages.max().unwrap_or_default()
    }

    /// Returns whether [`Self::look_at_files`] has something to do for a copy, by `round` at the latest.
    pub(crate) fn are_files_due(shard: &Shard, round: Duration) -> bool {
        let engine = shard.engine();
        let is_due = || shard.checks.lock().lengths.elapsed() >= round;
        engine.check_uncut().is_err() || engine.is_suspect() || is_due()
    }

    /// Checks a copy that gives reason for it, and the lengths of its files each `round`, for those that no search reads.
    pub(crate) async fn look_at_files(self: &Arc<Self>, shard: &Arc<Shard>, round: Duration) {
        let now = Instant::now();
        let cut = shard.engine().check_uncut().err();
        let is_suspect = cut.is_none() && {
            let mut checks = shard.checks.lock();
            let is_due = (checks.suspicion).is_none_or(|at| now >= at + SUSPICION_EVERY);
            let may_check = is_due && !checks.is_under_way;
            let is_suspect = may_check && shard.engine().take_suspicion();
            if is_suspect {
                checks.suspicion = Some(now);
                checks.is_under_way = true;
            }
            if !is_suspect && now < checks.lengths + round {
                return;
            }
            checks.lengths = now;
            is_suspect
        };
        if is_suspect {
            tracing::warn!(shard = %shard.key, "files of a copy are checked: something in it failed");
            // A large copy takes its time: nobody's maintenance waits for it.
            let (leaf, shard) = (Arc::clone(self), Arc::clone(shard));
            return self.node.spawn(async move {
                leaf.check(&shard, None).await;
                shard.checks.lock().is_under_way = false;
            });
        }
        let looking = Arc::clone(shard);
        let look = move || {
            let mut pace = gleaner_engine::directory::Unpaced;
            looking.engine().verify(Verification::Lengths, &mut pace)
        };
        let looked = tokio::task::spawn_blocking(look).await;
        // What is wrong with the lengths names the file; the search that met it could not.
        let found = looked.ok().and_then(Result::err);
        let found = found.filter(EngineError::is_damage).or(cut);
        if let Some(error) = found {
            self.close_damaged(shard, &with_causes(&error));
        }
    }

    /// Checks all files of a copy; one that is damaged is closed.
    pub(crate) async fn check(self: &Arc<Self>, shard: &Arc<Shard>, rate: Option<u64>) {
        let begun = Instant::now();
        let mut pacer = Pacer {
            shard: Arc::clone(shard),
            rate,
            begun,
            num_bytes: 0,
            is_cut_short: false,
        };
        let checking = move || {
            let shard = Arc::clone(&pacer.shard);
            let verified = shard.engine().verify(Verification::Content, &mut pacer);
            (verified, pacer.is_cut_short)
        };
        match tokio::task::spawn_blocking(checking).await {
            Ok((Err(error), _)) if error.is_damage() => {
                self.close_damaged(shard, &with_causes(&error));
            }
            Ok((Err(error), _)) => {
                let error = with_causes(&error);
                tracing::warn!(shard = %shard.key, error, "files of a copy could not be checked");
                shard.checks.lock().content = begun;
            }
            Ok((Ok(()), false)) => shard.checks.lock().content = begun,
            // It was closed meanwhile, or the node stops.
            Ok((Ok(()), true)) | Err(_) => {}
        }
    }

    /// Takes a damaged copy out of service and opens it again, where it is mended or says what is wrong.
    fn close_damaged(self: &Arc<Self>, shard: &Arc<Shard>, reason: &str) {
        self.note_damage(shard.key, reason);
        shard.applier.stop(reason);
        self.reopen(shard.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_copies_share_the_checks_of_a_second_and_few_wait_ten() {
        for (num_copies, seconds) in [(0, 10), (1, 10), (40, 10), (80, 20), (1_000, 250)] {
            assert_eq!(round_of(num_copies), Duration::from_secs(seconds));
        }
    }
}
