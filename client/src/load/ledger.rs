//! The ledger: takes settled batches in any order, writes them down in the order of the input.
//!
//! A checkpoint says "everything before this position", so a batch counts only when all before it
//! are settled. Letters of a batch reach the disk before the checkpoint that covers it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    batch::{InputPosition, Refusal, RefusedSource},
    checkpoint::Checkpoint,
    dead_letter::DeadLetters,
};

/// How long a checkpoint may lag behind; what lies between is sent again after a crash.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(500);

/// How many reasons are kept for the end of the load.
const NUM_EXAMPLES: usize = 5;

/// A batch whose every document is either acknowledged or refused.
#[derive(Debug)]
pub(crate) struct SettledBatch {
    pub(crate) number: u64,
    pub(crate) accepted: u64,
    /// The indices that accepted any, where the server names them.
    pub(crate) written: BTreeSet<String>,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) reached: Vec<InputPosition>,
}

/// An input as messages and checkpoints call it.
#[derive(Debug, Clone)]
pub(crate) struct InputName {
    pub(crate) shown: String,
    /// Absolute path; `None` for what a checkpoint cannot keep.
    pub(crate) path: Option<PathBuf>,
}

/// Keeps the books of a load.
#[derive(Debug)]
pub(crate) struct Ledger {
    inputs: Vec<InputName>,
    checkpoint: Option<(PathBuf, Checkpoint)>,
    letters: Option<DeadLetters>,
    /// Settled batches that wait for one before them.
    waiting: BTreeMap<u64, SettledBatch>,
    /// The number of the first batch that is not written down.
    next: u64,
    settled_before: u64,
    accepted: u64,
    indices: BTreeSet<String>,
    refused: u64,
    examples: Vec<String>,
    written: Instant,
}

impl Ledger {
    /// Opens the books over `inputs`; without a checkpoint or dead-letter file they are not kept.
    pub(crate) fn new(
        inputs: Vec<InputName>,
        checkpoint: Option<(PathBuf, Checkpoint)>,
        letters: Option<DeadLetters>,
    ) -> Self {
        let known = checkpoint
            .as_ref()
            .map(|(_, known)| known.accepted + known.refused);
        Self {
            settled_before: known.unwrap_or_default(),
            inputs,
            checkpoint,
            letters,
            waiting: BTreeMap::new(),
            next: 0,
            accepted: 0,
            indices: BTreeSet::new(),
            refused: 0,
            examples: Vec::new(),
            written: Instant::now(),
        }
    }

    /// Returns the number of the first batch that is not written down yet.
    pub(crate) fn next_batch(&self) -> u64 {
        self.next
    }

    /// Returns documents that runs before this one settled, as far as the checkpoint knows.
    pub(crate) fn settled_before(&self) -> u64 {
        self.settled_before
    }

    /// Returns documents acknowledged in this run.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Returns the indices that accepted documents in this run, where the server names them.
    pub(crate) fn written(&self) -> &BTreeSet<String> {
        &self.indices
    }

    /// Returns documents refused in this run.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Returns documents refused by this load, in this run and those before.
    pub(crate) fn refused_ever(&self) -> u64 {
        self.checkpoint
            .as_ref()
            .map_or(self.refused, |(_, checkpoint)| checkpoint.refused)
    }

    /// Returns the first few reasons of refusals, with their places.
    pub(crate) fn examples(&self) -> &[String] {
        &self.examples
    }

    /// Takes a settled batch, and writes down every batch that is now complete.
    pub(crate) fn settle(&mut self, mut settled: SettledBatch) -> Result<()> {
        self.accepted += settled.accepted;
        self.indices.append(&mut settled.written);
        self.refused += settled.refusals.len() as u64;
        for refusal in &settled.refusals {
            if self.examples.len() < NUM_EXAMPLES {
                let name = &self.inputs[refusal.place.input].shown;
                let place = refusal.place.position;
                self.examples.push(match &refusal.what {
                    RefusedSource::Record(_) => {
                        format!("{name}, document {place}: {}", refusal.reason)
                    }
                    // The reader names the line.
                    RefusedSource::Text(_) => refusal.reason.clone(),
                });
            }
        }
        self.waiting.insert(settled.number, settled);
        while let Some(settled) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.write_down(&settled)?;
        }
        if self.written.elapsed() >= CHECKPOINT_INTERVAL {
            self.save()
        } else {
            Ok(())
        }
    }

    /// Brings letters and checkpoint to disk.
    pub(crate) fn save(&mut self) -> Result<()> {
        if let Some(letters) = &mut self.letters {
            let synced = letters.sync();
            let num_bytes = synced.context("cannot write the dead-letter file")?;
            if let Some((_, checkpoint)) = &mut self.checkpoint {
                checkpoint.set_letters(letters.path(), num_bytes);
            }
        }
        if let Some((path, checkpoint)) = &self.checkpoint {
            checkpoint.write(path)?;
        }
        self.written = Instant::now();
        Ok(())
    }

    fn write_down(&mut self, settled: &SettledBatch) -> Result<()> {
        if let Some(letters) = &mut self.letters {
            for refusal in &settled.refusals {
                let name = &self.inputs[refusal.place.input].shown;
                letters
                    .append(name, refusal)
                    .context("cannot write the dead-letter file")?;
            }
        }
        if let Some((_, checkpoint)) = &mut self.checkpoint {
            checkpoint.accepted += settled.accepted;
            checkpoint.refused += settled.refusals.len() as u64;
            for reached in &settled.reached {
                if let Some(path) = &self.inputs[reached.input].path {
                    checkpoint.advance(path, *reached);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{checkpoint::Task, identity::Identity, record::Place};

    fn settled(number: u64, position: u64, refused: Option<u64>) -> SettledBatch {
        let refusal = |position| Refusal {
            place: Place { input: 0, position },
            reason: format!("reason {position}"),
            what: RefusedSource::Text(None),
        };
        SettledBatch {
            number,
            accepted: 2,
            written: BTreeSet::new(),
            refusals: refused.map(refusal).into_iter().collect(),
            reached: vec![InputPosition {
                input: 0,
                position,
                is_whole: false,
            }],
        }
    }

    #[test]
    fn the_checkpoint_waits_for_the_batch_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        std::fs::write(&data, "x").expect("written");
        let identity = Identity::of_file(&data).expect("a file");
        let task = Task {
            url: String::new(),
            index: String::new(),
            format: String::new(),
            id_field: None,
            routing_field: None,
            batch_docs: None,
            batch_bytes: None,
        };
        let mut checkpoint = Checkpoint::new("l".to_owned(), task.clone());
        checkpoint.resume(&data, &identity).expect("new");
        let path = folder.path().join("checkpoint");
        let dead = folder.path().join("dead");
        let input = InputName {
            shown: "data".to_owned(),
            path: Some(data.clone()),
        };
        let letters = DeadLetters::open(&dead, None, None).expect("opens");
        let mut ledger = Ledger::new(vec![input], Some((path.clone(), checkpoint)), Some(letters));

        let kept = || {
            let read = Checkpoint::read(&path, &task)
                .expect("valid")
                .expect("there");
            let position = read.clone().resume(&data, &identity).expect("known");
            (position, read.accepted, read.refused)
        };
        ledger.settle(settled(1, 6, Some(5))).expect("taken");
        ledger.save().expect("saved");
        assert_eq!(kept(), (Some(0), 0, 0), "batch 0 is still on its way");
        assert_eq!(std::fs::read_to_string(&dead).expect("there"), "");

        ledger.settle(settled(0, 3, None)).expect("taken");
        ledger.save().expect("saved");
        assert_eq!(kept(), (Some(6), 4, 1));
        assert!(
            std::fs::read_to_string(&dead)
                .expect("there")
                .contains("reason 5")
        );
        assert_eq!(
            (ledger.next_batch(), ledger.accepted(), ledger.refused()),
            (2, 4, 1)
        );
        assert_eq!(ledger.examples(), ["reason 5"]);
    }
}
