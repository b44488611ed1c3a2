//! Those who follow a primary's log: how far each is, and how much of the log is kept for them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gleaner_model::{NodeId, SeqNo};
use parking_lot::Mutex;

/// Followers remembered per shard; one more takes the place of the one unheard longest. More than
/// any shard has copies.
const MAX_FOLLOWERS: usize = 32;

/// For how long, and how much of, a log is kept for a follower.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    /// A follower that was not heard of for so long is forgotten.
    pub(crate) patience: Duration,
    /// A follower that would need more of the log is not waited for: it begins again from files.
    pub(crate) max_bytes: u64,
}

/// The followers of one shard.
#[derive(Default)]
pub(crate) struct Followers(Mutex<BTreeMap<NodeId, Follower>>);

struct Follower {
    /// Everything before is durable there.
    position: SeqNo,
    heard: Instant,
}

impl Followers {
    /// Remembers that everything before `position` is durable at `node`.
    pub(crate) fn heard(&self, node: &NodeId, position: SeqNo, now: Instant) {
        let follower = Follower {
            position,
            heard: now,
        };
        let mut followers = self.0.lock();
        followers.insert(node.clone(), follower);
        if followers.len() > MAX_FOLLOWERS {
            let silent = followers.iter().min_by_key(|(_, other)| other.heard);
            let silent = silent.map(|(node, _)| node.clone());
            silent.and_then(|node| followers.remove(&node));
        }
    }

    /// Remembers that `node` is still there; does nothing when it was forgotten.
    pub(crate) fn touch(&self, node: &NodeId, now: Instant) {
        if let Some(follower) = self.0.lock().get_mut(node) {
            follower.heard = now;
        }
    }

    /// Returns the position of the follower that is furthest behind.
    pub(crate) fn slowest(&self) -> Option<SeqNo> {
        let followers = self.0.lock();
        followers.values().map(|follower| follower.position).min()
    }

    /// Returns below which position, at most `below`, nobody needs the log; forgets who was silent
    /// for too long or is too far behind. One record more than a follower lacks is kept, so that it
    /// can compare its last one.
    pub(crate) fn floor(
        &self,
        below: SeqNo,
        retention: Retention,
        now: Instant,
        bytes_since: impl Fn(SeqNo) -> u64,
    ) -> SeqNo {
        let mut followers = self.0.lock();
        followers.retain(|node, follower| {
            let is_silent = now.duration_since(follower.heard) > retention.patience;
            let is_far = bytes_since(follower.position) > retention.max_bytes;
            if is_silent || is_far {
                let position = follower.position.0;
                tracing::warn!(%node, position, is_silent, "the log is not kept for a copy any more");
            }
            !is_silent && !is_far
        });
        let needed = followers
            .values()
            .map(|follower| SeqNo(follower.position.0.saturating_sub(1)));
        needed.min().map_or(below, |needed| needed.min(below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETENTION: Retention = Retention {
        patience: Duration::from_secs(300),
        max_bytes: 100,
    };

    fn node(n: usize) -> NodeId {
        NodeId(format!("leaf-{n}").into())
    }

    fn floor(followers: &Followers, now: Instant) -> u64 {
        // One byte a record, 200 records.
        let bytes_since = |position: SeqNo| 200 - position.0;
        followers.floor(SeqNo(150), RETENTION, now, bytes_since).0
    }

    #[test]
    fn the_log_is_kept_for_the_slowest_from_its_last_record_on() {
        let (followers, now) = (Followers::default(), Instant::now());
        assert_eq!(floor(&followers, now), 150);
        followers.heard(&node(1), SeqNo(180), now);
        assert_eq!(floor(&followers, now), 150);
        followers.heard(&node(2), SeqNo(120), now);
        assert_eq!(floor(&followers, now), 119);
        followers.heard(&node(2), SeqNo(140), now);
        assert_eq!(floor(&followers, now), 139);
    }

    #[test]
    fn who_is_silent_or_too_far_behind_is_not_waited_for() {
        let (followers, start) = (Followers::default(), Instant::now());
        followers.heard(&node(1), SeqNo(120), start);
        followers.heard(&node(2), SeqNo(130), start);
        followers.heard(&node(3), SeqNo(99), start);
        assert_eq!(floor(&followers, start), 119, "101 bytes are too many");
        let later = start + RETENTION.patience;
        followers.touch(&node(2), later);
        assert_eq!(floor(&followers, later), 119);
        let later = later + Duration::from_millis(1);
        assert_eq!(floor(&followers, later), 129);
    }

    #[test]
    fn followers_are_bounded() {
        let (followers, start) = (Followers::default(), Instant::now());
        for n in 0..MAX_FOLLOWERS + 5 {
            let now = start + Duration::from_millis(n as u64);
            followers.heard(&node(n), SeqNo(110 + n as u64), now);
        }
        assert_eq!(followers.0.lock().len(), MAX_FOLLOWERS);
        assert_eq!(floor(&followers, start), 114, "the first five are gone");
    }
}
