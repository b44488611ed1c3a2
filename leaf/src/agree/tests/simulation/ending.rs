//! The end of a run: all faults are over, the copies become equal, and nothing that must stay is lost.

use std::collections::BTreeMap;

use gleaner_model::{SeqNo, ShardKey};

use super::model::ModelCopy;
use super::operation::Record;
use super::process::Process;
use super::world::{Outcome, World};
use futures::FutureExt;

/// Writes that must be acknowledged after the last fault.
const NUM_WRITES: u64 = 5;

impl World {
    /// Ends all faults.
    pub(super) fn heal(&mut self) {
        self.around.links.heal();
        self.around.store.heal();
        self.only_read.clear();
        for place in &mut self.places {
            *place.disk.round_ms.lock() = 1;
            place.end_faults(self.now_ms);
        }
        let mut history = self.around.history.lock();
        history.note(|| "all faults are over".to_owned());
        self.acknowledged_before = history.tally.num_acknowledged;
    }

    /// Returns whether all copies are in sync and writes are acknowledged.
    pub(super) fn is_well(&self) -> bool {
        let acknowledged = self.around.history.lock().tally.num_acknowledged;
        let table = self.around.store.entries.table();
        let stored = &table.shards[&self.around.shard];
        let are_open = self.copies().len() == self.places.len();
        are_open
            && stored.entry.in_sync.len() == self.places.len()
            && acknowledged >= self.acknowledged_before + NUM_WRITES
    }

    fn copies(&self) -> Vec<std::sync::Arc<ModelCopy>> {
        let copies = self
            .places
            .iter()
            .filter_map(|place| place.process.as_ref());
        copies.filter_map(Process::copy).collect()
    }

    /// Says what is not well.
    pub(super) fn describe(&self) -> String {
        let table = self.around.store.entries.table();
        let mut text = format!(
            "not well again: {:?}",
            table.shards[&self.around.shard].entry
        );
        for copy in self.copies() {
            let status = copy.driver.status_now();
            text.push_str(&format!("\n  {:?} {status:?}", copy.driver.copy.0[0]));
        }
        text
    }

    /// Waits until nothing is under way, then compares the logs of all copies.
    pub(super) fn compare_logs(&mut self) {
        self.is_quiet = true;
        let until = self.now_ms + 5_000;
        loop {
            let ends: Vec<_> = self
                .copies()
                .iter()
                .map(|copy| end_of(copy, self.around.shard))
                .collect();
            let views: Vec<_> = self
                .copies()
                .iter()
                .map(|copy| copy.applier.engine.state().next)
                .collect();
            let is_equal = ends.len() == self.places.len()
                && ends.iter().chain(&views).all(|end| *end == ends[0]);
            if is_equal {
                break;
            }
            if self.now_ms >= until {
                let what = format!("copies do not become equal: logs {ends:?}, views {views:?}");
                return self.around.history.lock().break_promise(what);
            }
            self.step();
        }
        let mut documents = Vec::new();
        for copy in self.copies() {
            let log = records_of(&copy, self.around.shard);
            let name = copy.driver.copy;
            self.around.history.lock().compare_log(name, &log);
            documents.push(copy.applier.engine.state().documents);
        }
        if documents.iter().any(|found| *found != documents[0]) {
            let what = format!("copies differ: {documents:?}");
            self.around.history.lock().break_promise(what);
        }
    }

    /// Ends all processes.
    pub(super) fn end(mut self) -> Outcome {
        for place in &mut self.places {
            if let Some(process) = place.process.take() {
                process.kill(&place.disk, gleaner_log::files::Survival::All);
            }
        }
        let mut history = self.around.history.lock();
        Outcome {
            tally: history.tally,
            hash: history.hash(),
            broken: history.broken().map(str::to_owned),
            lines: std::mem::take(&mut history.lines),
        }
    }
}

/// Returns where a log ends, which a log without threads says at once.
pub(super) fn end_of(copy: &ModelCopy, shard: ShardKey) -> u64 {
    let tail = copy.log.tail(shard).now_or_never().expect("at once");
    tail.ok().flatten().map_or(0, |last| last.0 + 1)
}

fn records_of(copy: &ModelCopy, shard: ShardKey) -> BTreeMap<u64, Record> {
    let page = copy.log.read(shard, SeqNo(0), usize::MAX);
    let page = page.now_or_never().expect("at once");
    let records = page.map(|page| page.records).unwrap_or_default();
    let records = records.iter();
    records
        .map(|record| (record.seq_no.0, Record::decode(&record.payload)))
        .collect()
}
