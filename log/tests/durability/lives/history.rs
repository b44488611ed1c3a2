//! What is known of a copy's log: what was acknowledged, and what an operation without an answer may have made of it.

use std::collections::BTreeMap;

use gleaner_log::{
    Agreement, LocalLog, LogError, LogOptions, LogStart, MemoryLog, RecordBatch, ShardLog,
};
use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};

/// Fewer than there are, so that some are forgotten.
pub(super) const NUM_PRODUCERS: usize = 4;

/// All that was appended to a log since it began, also what is trimmed.
#[derive(Debug, Clone)]
pub(super) struct History {
    /// How often the log was removed or begun before.
    number: u64,
    pub(super) start: LogStart,
    pub(super) batches: Vec<RecordBatch>,
}

impl Default for History {
    fn default() -> Self {
        Self {
            number: 0,
            start: LogStart::FIRST,
            batches: Vec::new(),
        }
    }
}

impl History {
    /// Returns the history of a log that takes its place.
    pub(super) fn begun(&self, start: LogStart) -> Self {
        Self {
            number: self.number + 1,
            start,
            batches: Vec::new(),
        }
    }

    pub(super) fn next(&self) -> SeqNo {
        self.batches.last().map_or(self.start.at, RecordBatch::next)
    }

    pub(super) fn last_term(&self) -> u64 {
        let before = self.start.base.term.unwrap_or_default();
        self.batches.last().map_or(before, |batch| batch.term).0
    }

    pub(super) fn with(&self, batch: RecordBatch) -> Self {
        let mut longer = self.clone();
        longer.batches.push(batch);
        longer
    }

    /// Returns it without the batches from the one on that holds `from`.
    pub(super) fn cut(&self, from: SeqNo) -> Self {
        let mut cut = self.clone();
        cut.batches.retain(|batch| batch.next() <= from);
        cut
    }

    /// Returns a log in memory that has it.
    pub(super) async fn log(&self, key: ShardKey) -> MemoryLog {
        let log = MemoryLog::new(&LogOptions {
            num_producers: NUM_PRODUCERS,
            ..LogOptions::default()
        });
        let begun = log.begin_at(key, self.start.clone()).await;
        begun.expect("memory has room");
        let under = PrimaryTerm(u64::MAX);
        log.fence(key, under).await.expect("none is higher");
        for batch in &self.batches {
            let copied = log.append_copy(key, batch.clone(), under).await;
            copied.expect("it follows");
        }
        log
    }

    /// Says how a log differs from it; that one may be trimmed.
    async fn differs(&self, log: &LocalLog, key: ShardKey) -> Result<Option<String>, LogError> {
        let first = log.read_batches(key, SeqNo(0), 1).await?.first_available;
        let found = log.read_batches(key, first, usize::MAX).await?.batches;
        let held = self.batches.iter().filter(|batch| batch.first >= first);
        if first < self.start.at || !held.eq(&found) {
            return Ok(Some(format!("from {first} on it holds {found:?}")));
        }
        let (own, next) = (self.log(key).await, self.next());
        let (found, expected) = (log.base_at(key, next).await?, own.base_at(key, next).await?);
        if found != expected {
            return Ok(Some(format!("before {next} {found:?} is not {expected:?}")));
        }
        let (found, expected) = (log.terms(key).await?, own.terms(key).await?);
        let mut positions = (first.0..=next.0).map(SeqNo);
        let other = positions.find(|at| found.before(*at) != expected.before(*at));
        Ok(other.map(|at| format!("before {at} terms are {found:?}, not {expected:?}")))
    }
}

/// What is known of one shard.
#[derive(Debug, Clone, Default)]
pub(super) struct ShardKnowledge {
    pub(super) history: History,
    /// What may be there instead, of operations without an answer.
    pub(super) others: Vec<History>,
    pub(super) fence: u64,
    /// The log begins between the two: what trims have answered, and what they were asked.
    pub(super) first: SeqNo,
    pub(super) below: SeqNo,
    /// What was noted, and what of it is durable.
    pub(super) noted: Agreement,
    pub(super) durable: Agreement,
}

/// What the callers of a log know after it went down.
#[derive(Debug, Clone, Default)]
pub(super) struct Knowledge {
    pub(super) shards: BTreeMap<ShardKey, ShardKnowledge>,
    pub(super) num_batches: u64,
}

impl Knowledge {
    /// Compares a log with what is known, and takes what is found for known then.
    pub(super) async fn look(&mut self, log: &LocalLog) -> Result<(), String> {
        for (key, shard) in &mut self.shards {
            let looked = shard.look(log, *key).await;
            looked.map_err(|reason| format!("{reason}\n{shard:?}"))?;
        }
        Ok(())
    }
}

impl ShardKnowledge {
    async fn look(&mut self, log: &LocalLog, key: ShardKey) -> Result<(), String> {
        let as_text = |error: LogError| error.to_string();
        let mut reasons = Vec::new();
        let mut found = None;
        for history in std::iter::once(&self.history).chain(&self.others) {
            match history.differs(log, key).await.map_err(as_text)? {
                None => found = found.or(Some(history.clone())),
                Some(reason) => reasons.push(reason),
            }
        }
        let Some(found) = found else {
            return Err(reasons.join("; or "));
        };
        if found.number != self.history.number {
            self.begin(&found.start);
        }
        self.history = found;
        self.others.clear();
        self.look_beside(log, key).await
    }

    /// Takes note that what was noted is durable, with what was just done.
    pub(super) fn keep_agreement(&mut self) {
        let end = self.history.next();
        let noted = Agreement {
            point: self.noted.point.min(end),
            ..self.noted
        };
        self.durable = self.durable.max(noted);
    }

    /// Takes note that the log has begun anew.
    pub(super) fn begin(&mut self, start: &LogStart) {
        self.fence = start.fence.max(start.base.term.unwrap_or_default()).0;
        self.first = start.at;
        self.below = start.at;
        let entry_version = match start.at {
            SeqNo(0) => 0,
            _ => self.durable.entry_version,
        };
        self.durable = Agreement {
            point: start.at,
            entry_version,
        };
        self.noted.point = start.at;
    }

    /// Looks at what is not in the records.
    async fn look_beside(&mut self, log: &LocalLog, key: ShardKey) -> Result<(), String> {
        let page = log.read(key, SeqNo(0), 1).await;
        let first = page.map_err(|error| error.to_string())?.first_available;
        if first < self.first || first > self.below.max(self.first) {
            return Err(format!("it is trimmed below {first}"));
        }
        if let Some(below) = self.fence.checked_sub(1) {
            let fenced = log.fence(key, PrimaryTerm(below)).await;
            if !matches!(fenced, Err(LogError::Fenced { .. })) {
                return Err(format!("the fence has fallen: {fenced:?}"));
            }
        }
        let agreement = log.agreement(key).map_err(|error| error.to_string())?;
        let is_known =
            agreement.max(self.durable) == agreement && agreement.max(self.noted) == self.noted;
        if !is_known {
            return Err(format!("the agreement is {agreement:?}"));
        }
        Ok(())
    }
}
