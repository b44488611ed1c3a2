//! What the server has acknowledged, and what it may have done since.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use serde_json::Value;

/// State of one document: how often it was written, and its last value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) version: u64,
    /// `None`: deleted.
    pub(crate) value: Option<u64>,
}

/// A document: what was acknowledged last, and a write whose answer never came.
#[derive(Debug, Clone, Copy)]
struct Entry {
    acknowledged: Option<State>,
    pending: Option<State>,
}

/// All documents ever sent.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: BTreeMap<String, Entry>,
}

impl Ledger {
    /// Notes a write before it is sent.
    pub(crate) fn send(&mut self, id: &str, value: Option<u64>) {
        let entry = self.entries.entry(id.to_owned()).or_insert(Entry {
            acknowledged: None,
            pending: None,
        });
        let version = entry.acknowledged.map_or(0, |state| state.version) + 1;
        entry.pending = Some(State { version, value });
    }

    /// Notes that the server acknowledged the write sent last, with this version.
    pub(crate) fn acknowledge(&mut self, id: &str, version: u64) -> Result<()> {
        let Some(entry) = self.entries.get_mut(id) else {
            bail!("`{id}` was never sent");
        };
        let pending = entry.pending.take();
        let Some(state) = pending else {
            bail!("`{id}` was acknowledged twice");
        };
        ensure!(
            state.version == version,
            "`{id}`: version {version} for {state:?}"
        );
        entry.acknowledged = Some(state);
        Ok(())
    }

    /// Is the document known to be there?
    pub(crate) fn is_live(&self, id: &str) -> bool {
        let entry = self.entries.get(id);
        let known = entry.and_then(|entry| entry.acknowledged);
        known.is_some_and(|state| state.value.is_some())
    }

    /// Returns how many writes have no answer.
    pub(crate) fn num_pending(&self) -> usize {
        self.entries
            .values()
            .filter(|entry| entry.pending.is_some())
            .count()
    }

    /// Returns how many documents must be found.
    pub(crate) fn num_acknowledged(&self) -> usize {
        let is_live = |entry: &&Entry| {
            entry
                .acknowledged
                .is_some_and(|state| state.value.is_some())
        };
        self.entries.values().filter(is_live).count()
    }

    /// Holds `hits`, everything a server found, against the ledger. Writes without an answer count
    /// from now on as what became of them.
    ///
    /// # Errors
    /// A document that is missing, doubled, older than acknowledged, or was never sent.
    pub(crate) fn check(&mut self, hits: &[Value]) -> Result<()> {
        let mut found = BTreeMap::new();
        for hit in hits {
            let id = hit["_id"].as_str().unwrap_or_default().to_owned();
            let state = State {
                version: hit["_version"].as_u64().unwrap_or_default(),
                value: hit["_source"]["value"].as_u64(),
            };
            ensure!(
                found.insert(id.clone(), state).is_none(),
                "`{id}` is found twice"
            );
        }
        for (id, entry) in &mut self.entries {
            entry.settle(id, found.remove(id))?;
        }
        ensure!(found.is_empty(), "found and never sent: {found:?}");
        Ok(())
    }
}

impl Entry {
    /// Compares with what was found; a document that is gone has no version any more.
    fn settle(&mut self, id: &str, found: Option<State>) -> Result<()> {
        let is_as = |expected: Option<State>| match (expected, found) {
            (Some(expected), Some(found)) => expected == found,
            (None | Some(State { value: None, .. }), None) => true,
            _ => false,
        };
        if is_as(self.acknowledged) {
            self.pending = None;
            return Ok(());
        }
        if self.pending.is_some() && is_as(self.pending) {
            self.acknowledged = self.pending.take();
            return Ok(());
        }
        bail!("`{id}`: found {found:?}, of {self:?}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hit(id: &str, version: u64, value: u64) -> Value {
        json!({"_id": id, "_version": version, "_source": {"value": value}})
    }

    #[test]
    fn losses_doubles_and_strangers_are_told() {
        let mut ledger = Ledger::default();
        ledger.send("a", Some(1));
        ledger.acknowledge("a", 1).expect("it was sent");
        assert!(ledger.check(&[hit("a", 1, 1)]).is_ok());
        assert!(ledger.check(&[]).is_err(), "lost");
        assert!(
            ledger.check(&[hit("a", 1, 1), hit("a", 1, 1)]).is_err(),
            "doubled"
        );
        assert!(ledger.check(&[hit("a", 2, 1)]).is_err(), "another version");
        assert!(
            ledger.check(&[hit("a", 1, 1), hit("b", 1, 1)]).is_err(),
            "a stranger"
        );
    }

    #[test]
    fn a_write_without_an_answer_may_have_happened_or_not() {
        let mut ledger = Ledger::default();
        ledger.send("a", Some(1));
        assert!(ledger.check(&[]).is_ok());
        ledger.send("a", Some(2));
        assert!(ledger.check(&[hit("a", 1, 2)]).is_ok());
        assert!(ledger.check(&[]).is_err(), "once seen it stays");
    }
}
