//! What can be set of replication, and the rules that tests leave out one at a time.

use std::time::Duration;

/// Settings of one shard's replication. All durations are on the copy's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Members that the in-sync set keeps, ≥ 1: below it nothing is acknowledged (default 1 with up to
    /// two copies, 2 with more).
    pub min_in_sync: usize,
    /// How long a member that has joined may be without a stream (default 500 ms).
    pub reconnect_patience: Duration,
    /// How long a member that is alive may take to join a new term (default 10 s): it may be starting.
    pub join_patience: Duration,
    /// How long a member with a stream may say nothing (default 1 s).
    pub beat_patience: Duration,
    /// How long a member may take to confirm a position that was sent to it (default 2 s).
    pub sync_patience: Duration,
    /// How far a copy may lag behind the primary's end when it joins the in-sync set (default 100 ms).
    pub catch_up: Duration,
    /// How long a right lasts (default 1 s).
    pub copy_right: Duration,
    /// How long a copy that answers searches without a flag may promise to roots that it shows nothing newer (default 500 ms).
    pub search_lease: Duration,
    /// How much later each rank of the in-sync set tries to take over (default 150 ms).
    pub rank_delay: Duration,
    /// How long a hand-over may hold writes back (default 250 ms).
    pub hand_over_patience: Duration,
    /// How long until something that failed is tried again (default 250 ms).
    pub retry_pause: Duration,
    /// Whether the primary sends records before they are durable in its own log (default false).
    pub sends_before_sync: bool,
    /// The rule that a planted error breaks.
    #[cfg(test)]
    pub(crate) omitted: Option<Rule>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            min_in_sync: 1,
            reconnect_patience: Duration::from_millis(500),
            join_patience: Duration::from_secs(10),
            beat_patience: Duration::from_secs(1),
            sync_patience: Duration::from_secs(2),
            catch_up: Duration::from_millis(100),
            copy_right: Duration::from_secs(1),
            search_lease: Duration::from_millis(500),
            rank_delay: Duration::from_millis(150),
            hand_over_patience: Duration::from_millis(250),
            retry_pause: Duration::from_millis(250),
            sends_before_sync: false,
            #[cfg(test)]
            omitted: None,
        }
    }
}

/// The rules that safety rests on. Each is consulted at its one place, and each is left out by a test
/// that must then find a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// Acknowledge what all of the required set has, not what the primary has.
    AgreeByAll,
    /// A member counts until the store has taken it out.
    ShrinkAfterAnswer,
    /// A copy counts before the store is asked to take it in.
    RequireBeforeGrow,
    /// A copy that joins has at least the term start.
    GrowFromTermStart,
    /// What a copy said in an earlier term or stream counts for nothing.
    JoinedInThisStream,
    /// The fence is durable before a copy joins.
    FenceBeforeJoin,
    /// A copy cuts only where its log differs from the primary's.
    CutByComparison,
    /// A copy applies only what is agreed.
    ApplyAgreed,
    /// Only a member of the in-sync set takes over.
    TakeOverFromInSync,
    /// A copy takes over when the old primary's node is gone and its right has run out.
    TakeOverFromAbsent,
    /// The outcome of a change is unknown until the revision has moved.
    TouchUnknown,
    /// Only a primary that holds the read right tells a document's state.
    ReadByRight,
    /// Only a primary that holds the read right gives serving rights.
    ServeUnderReadRight,
    /// Only a copy that shows the last acknowledged refresh gets a serving right.
    ServeWhatIsRefreshed,
    /// A new primary waits for serving rights that its predecessor may have given.
    WaitForEarlierRights,
    /// What a copy promises to roots under its serving right lasts longer than the right.
    OutlastSearchLeases,
    /// A primary whose own log is stuck takes nobody out of the in-sync set.
    ShrinkWithSoundLog,
    /// A copy follows no entry that is older than one it has seen.
    FollowNewerEntries,
    /// A copy counts as having given a read right when it was opened.
    PromiseFromOpening,
    /// Records of one history never meet those of another.
    HistoryIsCompared,
}

impl Settings {
    /// Returns how long a serving right counts for its giver: what its holder promises to roots is part of it.
    pub(crate) fn serving_right(&self) -> Duration {
        match self.omits(Rule::OutlastSearchLeases) {
            true => self.copy_right,
            false => self.copy_right + self.search_lease,
        }
    }

    /// Returns whether a test leaves the rule out. Never outside tests.
    pub(crate) fn omits(&self, rule: Rule) -> bool {
        #[cfg(test)]
        return self.omitted == Some(rule);
        #[cfg(not(test))]
        {
            let _ = rule;
            false
        }
    }
}
