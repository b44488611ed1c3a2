//! What is done to a log in a life, by the dice.

use bytes::Bytes;
use futures::future::join_all;
use gleaner_log::{
    Agreement, Append, LocalLog, LogError, LogStart, ProducerSequence, RecordBatch, ShardLog,
};
use gleaner_model::{PrimaryTerm, SeqNo, ShardKey};

use super::Life;
use super::disk::Moments;
use super::history::{History, Knowledge, ShardKnowledge};
use super::planted::{Copier, PlantedError};
use crate::world::{Dice, append, shard};

const NUM_SHARDS: u64 = 2;
const NUM_STEPS: u64 = 16;
const NUM_PRODUCERS: u64 = 7;

/// Works on a log, and looks at it after each step.
///
/// # Errors
/// What the log does that it must not do, also while the power is on.
pub(super) async fn work(log: &LocalLog, life: Life, moments: &Moments) -> Result<(), String> {
    let mut dice = Dice(life.seed);
    let mut known = Knowledge::default();
    for _ in 0..NUM_STEPS {
        let mut step = Step {
            log,
            moments,
            planted: life.planted,
            key: shard(dice.below(NUM_SHARDS) as u32),
            dice: &mut dice,
            known: &mut known,
        };
        step.take().await.map_err(|error| error.to_string())?;
        moments.tell(&known);
        known.look(log).await?;
    }
    Ok(())
}

/// One step on one shard.
struct Step<'a> {
    log: &'a LocalLog,
    moments: &'a Moments,
    planted: Option<PlantedError>,
    key: ShardKey,
    dice: &'a mut Dice,
    known: &'a mut Knowledge,
}

impl Step<'_> {
    async fn take(&mut self) -> Result<(), LogError> {
        match self.dice.below(16) {
            0 | 1 => self.fence().await,
            2 => self.trim().await,
            3..7 => self.truncate().await,
            7 => self.begin().await,
            8 => self.agree().await,
            9..13 => self.copy().await,
            _ => self.append().await,
        }
    }

    fn shard(&mut self) -> &mut ShardKnowledge {
        self.known.shards.entry(self.key).or_default()
    }

    /// Takes note of what the log may hold until it has answered.
    fn expect(&mut self, others: Vec<History>) {
        self.shard().others = others;
        self.moments.tell(self.known);
    }

    async fn fence(&mut self) -> Result<(), LogError> {
        let term = self.shard().fence + 1 + self.dice.below(2);
        self.log.fence(self.key, PrimaryTerm(term)).await?;
        self.shard().fence = term;
        self.shard().keep_agreement();
        Ok(())
    }

    async fn trim(&mut self) -> Result<(), LogError> {
        let (start, end) = (self.shard().history.start.at, self.shard().history.next());
        let below = SeqNo(start.0 + self.dice.below(end.0 - start.0 + 1));
        let shard = self.shard();
        shard.below = shard.below.max(below);
        self.expect(Vec::new());
        let first = self.log.trim(self.key, below).await?;
        let shard = self.shard();
        shard.first = shard.first.max(first);
        Ok(())
    }

    /// Cuts somewhere, mostly inside of batches.
    async fn truncate(&mut self) -> Result<(), LogError> {
        let agreed = self.log.agreement(self.key)?.point.max(self.shard().below);
        let num_open = self.shard().history.next().0.saturating_sub(agreed.0);
        let from = SeqNo(agreed.0 + self.dice.below(num_open + 1));
        let cut = self.shard().history.cut(from);
        if cut.next() < agreed {
            return Ok(());
        }
        self.expect(vec![cut.clone()]);
        let copier = Copier::new(self.log, self.planted);
        copier.truncate(self.key, from).await?;
        let shard = self.shard();
        shard.others.clear();
        let is_shorter = cut.batches.len() < shard.history.batches.len();
        shard.history = cut;
        if is_shorter {
            shard.keep_agreement();
        }
        Ok(())
    }

    /// Begins anew where the files of a copy end that has the same past.
    async fn begin(&mut self) -> Result<(), LogError> {
        let history = self.shard().history.clone();
        let firsts = history.batches.iter().map(|batch| batch.first);
        let firsts: Vec<SeqNo> = firsts.filter(|first| first.0 > 0).collect();
        let Some(at) = firsts.get(self.dice.below(firsts.len() as u64 + 1) as usize) else {
            return Ok(());
        };
        let other = history.cut(*at).log(self.key).await;
        let base = other.base_at(self.key, *at).await?;
        let start = LogStart {
            at: *at,
            fence: PrimaryTerm(self.shard().fence),
            base: base.expect("it is the end"),
        };
        let removed = history.begun(LogStart::FIRST);
        let begun = history.begun(start.clone());
        self.expect(vec![removed, begun.clone()]);
        self.log.begin_at(self.key, start.clone()).await?;
        let shard = self.shard();
        shard.others.clear();
        shard.begin(&start);
        shard.history = begun;
        Ok(())
    }

    async fn agree(&mut self) -> Result<(), LogError> {
        let noted = self.shard().noted;
        let end = self.shard().history.next();
        let agreement = Agreement {
            point: end.min(SeqNo(noted.point.0 + self.dice.below(3))),
            entry_version: noted.entry_version + 1,
        };
        if self.log.tail(self.key).await?.is_some() {
            self.shard().noted = noted.max(agreement);
            self.expect(Vec::new());
            self.log.note_agreement(self.key, agreement);
        }
        Ok(())
    }

    fn batch(&mut self, first: SeqNo, term: u64) -> RecordBatch {
        self.known.num_batches += 1;
        let number = self.known.num_batches;
        let len = 1 + self.dice.below(4);
        let payload = |index| Bytes::from(format!("{number}:{index}:{len}"));
        let producer = ProducerSequence {
            id: u128::from(self.dice.below(NUM_PRODUCERS)),
            sequence: number,
        };
        RecordBatch {
            first,
            term: PrimaryTerm(term),
            producer: (!number.is_multiple_of(5)).then_some(producer),
            payloads: (0..len).map(payload).collect(),
        }
    }

    /// Makes batches that follow one another, of which the first ones may be there soon.
    fn batches(&mut self, terms: impl Fn(&mut Dice, u64) -> u64) -> Vec<RecordBatch> {
        let (mut batches, mut others) = (Vec::new(), Vec::new());
        let mut history = self.shard().history.clone();
        for _ in 0..=self.dice.below(3) {
            let term = terms(self.dice, history.last_term());
            let batch = self.batch(history.next(), term);
            history = history.with(batch.clone());
            others.push(history.clone());
            batches.push(batch);
        }
        self.expect(others);
        batches
    }

    /// Takes note that all of them are there.
    fn take_note(&mut self, outcomes: Vec<Result<(), LogError>>) -> Result<(), LogError> {
        for outcome in outcomes {
            outcome?;
        }
        let shard = self.shard();
        if let Some(last) = std::mem::take(&mut shard.others).pop() {
            shard.history = last;
        }
        Ok(())
    }

    async fn copy(&mut self) -> Result<(), LogError> {
        let under = self.shard().fence;
        let batches = self.batches(|dice, last| last + dice.below(under - last + 1));
        let copier = Copier::new(self.log, self.planted);
        let copied = batches
            .into_iter()
            .map(|batch| copier.append_copy(self.key, batch, PrimaryTerm(under)));
        let outcomes = join_all(copied).await;
        self.take_note(outcomes)
    }

    async fn append(&mut self) -> Result<(), LogError> {
        let term = self.shard().fence + self.dice.below(4) / 3;
        let batches = self.batches(|_, _| term);
        let appended = batches.into_iter().map(|batch| {
            self.log.append(Append {
                term: batch.term,
                expected_last: batch.first.0.checked_sub(1).map(SeqNo),
                producer: batch.producer,
                ..append(self.key, batch.payloads)
            })
        });
        let outcomes = join_all(appended).await;
        let outcomes = outcomes.into_iter().map(|outcome| outcome.map(|_| ()));
        self.take_note(outcomes.collect())?;
        self.shard().fence = term;
        Ok(())
    }
}
