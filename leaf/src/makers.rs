//! Which ids of roots nobody can have written before.
//!
//! Does: tells without a lookup that an id which a root made is new. Does not: look ids up ([`crate::write`]
//! does, when this does not tell).
//! Called by: `write::plan`, under the primary.
//!
//! Ids of one root ascend, so what it makes can only be there if somebody else wrote it: a client that
//! guessed it. What such clients wrote is remembered for each root by the greatest id, and ids up to it are
//! looked up. It is not stored: what a shard holds of a root's ids is asked of its index when that root
//! writes to it for the first time, and again when it was forgotten.

use std::collections::HashMap;

use gleaner_model::DocumentId;

/// Roots remembered; the ids of a root may be asked for again.
const MAX_MAKERS: usize = 1_024;

/// The greatest id for each root that its own may not be greater than without a lookup.
#[derive(Default)]
pub(crate) struct Makers {
    looked_up_to: HashMap<Box<str>, DocumentId>,
}

impl Makers {
    /// Returns whether nobody can have written an id that its root made just now; `None` when nothing is
    /// known of that root.
    pub(crate) fn is_new(&self, id: &DocumentId) -> Option<bool> {
        let reach = self.looked_up_to.get(id.maker()?)?;
        Some(id > reach)
    }

    /// Notes that a client wrote `id`, whoever made it.
    pub(crate) fn note_written(&mut self, id: &DocumentId) {
        let Some(maker) = id.maker() else { return };
        // Of a root that is not known the index is asked first, which has the document then.
        if let Some(reach) = self.looked_up_to.get_mut(maker)
            && id > reach
        {
            *reach = id.clone();
        }
    }

    /// Notes that no document has an id of this root that is greater than `reach`.
    pub(crate) fn note_reach(&mut self, maker: &str, reach: DocumentId) {
        if self.looked_up_to.len() >= MAX_MAKERS {
            self.looked_up_to.clear();
        }
        self.looked_up_to.insert(maker.into(), reach);
    }
}

#[cfg(test)]
mod tests {
    use gleaner_proto::write::{WriteAction, WriteFault, WriteItem};

    use super::*;
    use crate::testing::{Fixture, id, item, put};

    /// Returns the id that the test's root makes as its `n`th.
    fn nth(n: u64) -> String {
        format!("made-by-us{n:010}")
    }

    /// Writes items as clients (`'c'`), as a root that makes their ids (`'r'`), or deletes (`'d'`), in one
    /// batch; returns the version of each, 0 for a conflict.
    async fn write(fixture: &Fixture, items: &[(char, u64)]) -> Vec<u64> {
        let write = |(how, n): &(char, u64)| match how {
            'd' => item(&nth(*n), WriteAction::Delete),
            _ => WriteItem {
                is_fresh_id: *how == 'r',
                ..put(&nth(*n), "{}")
            },
        };
        let answer = fixture.write(items.iter().map(write).collect()).await;
        let version = |outcome: &Result<_, _>| match outcome {
            Ok(gleaner_proto::write::WriteOutcome { version, .. }) => version.0,
            Err(WriteFault::VersionConflict { .. }) => 0,
            Err(other) => panic!("{other:?}"),
        };
        answer.expect("written").items.iter().map(version).collect()
    }

    async fn refresh(fixture: &Fixture) {
        let shard = fixture.shard().await;
        fixture.leaf.refresh_shard(&shard).await.expect("refreshes");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_document_that_was_written_before_its_id_was_made_stays() {
        let fixture = Fixture::start();
        // In the same batch, with a root that is not known yet.
        assert_eq!(write(&fixture, &[('c', 1), ('r', 1)]).await, [1, 0]);
        // Not visible yet, of a root that is known.
        assert_eq!(write(&fixture, &[('r', 2), ('c', 5)]).await, [1, 1]);
        let made = [('r', 3), ('r', 4), ('r', 5), ('r', 6)];
        assert_eq!(write(&fixture, &made).await, [1, 1, 0, 1]);
        // Visible.
        assert_eq!(write(&fixture, &[('c', 9)]).await, [1]);
        refresh(&fixture).await;
        assert_eq!(
            write(&fixture, &[('r', 8), ('r', 9), ('r', 10)]).await,
            [1, 0, 1]
        );
        let document = fixture.get(&nth(9)).await.expect("it is there");
        assert_eq!(document.version.0, 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_stays_also_when_the_shard_was_opened_anew() {
        let fixture = Fixture::start();
        assert_eq!(write(&fixture, &[('c', 1), ('c', 3)]).await, [1, 1]);
        refresh(&fixture).await;
        assert_eq!(write(&fixture, &[('c', 5)]).await, [1]);
        let fixture = fixture.crash().await;
        let made: Vec<_> = (0..7).map(|n| ('r', n)).collect();
        assert_eq!(write(&fixture, &made).await, [1, 0, 1, 0, 1, 0, 1]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_id_whose_document_was_deleted_is_free() {
        let fixture = Fixture::start();
        assert_eq!(write(&fixture, &[('c', 2), ('d', 2)]).await, [1, 2]);
        assert_eq!(write(&fixture, &[('r', 1), ('r', 2)]).await, [1, 3]);
        assert_eq!(write(&fixture, &[('d', 4), ('r', 4)]).await, [1, 2]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn ids_that_come_out_of_order_are_written() {
        let fixture = Fixture::start();
        assert_eq!(
            write(&fixture, &[('r', 5), ('r', 4), ('r', 7)]).await,
            [1, 1, 1]
        );
        assert_eq!(write(&fixture, &[('r', 6), ('r', 3)]).await, [1, 1]);
    }

    #[test]
    fn ids_above_all_that_was_written_are_new() {
        let mut makers = Makers::default();
        let [first, second, third, foreign] = ["1", "2", "3", "x"].map(|end| {
            let maker = if end == "x" { "b" } else { "a" };
            id(&format!("{}{:0>10}", maker.repeat(10), end))
        });
        assert_eq!(makers.is_new(&first), None);
        makers.note_written(&third);
        assert_eq!(makers.is_new(&third), None, "the index tells");
        makers.note_reach("aaaaaaaaaa", first.clone());
        let told = [&first, &second, &third].map(|id| makers.is_new(id));
        assert_eq!(told, [Some(false), Some(true), Some(true)]);
        makers.note_written(&second);
        makers.note_written(&first);
        let told = [&first, &second, &third].map(|id| makers.is_new(id));
        assert_eq!(told, [Some(false), Some(false), Some(true)]);
        assert_eq!(makers.is_new(&foreign), None);
        assert_eq!(makers.is_new(&id("short")), None);
    }

    #[test]
    fn they_are_bounded() {
        let mut makers = Makers::default();
        for n in 0..3 * MAX_MAKERS {
            let maker = format!("{n:010}");
            makers.note_reach(&maker, id(&format!("{maker}{maker}")));
            assert!(makers.looked_up_to.len() <= MAX_MAKERS);
        }
    }
}
