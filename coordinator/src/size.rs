//! How large a cluster state may be: what is agreed must reach every node in one message.
//!
//! Does: measure a state before it is kept, and say what in it is large. Does not: encode it for a file or a
//! connection. Called by: whatever keeps the state, and who sends one to it. Read first: [`check`].

use std::io::{self, Write};
use std::sync::Arc;

use gleaner_model::{ClusterState, IndexMeta};
use serde::Serialize;

use crate::CoordinatorError;

/// Bytes of a state as JSON, at most; messages between nodes hold 64 MiB.
pub const MAX_STATE_BYTES: usize = 56 << 20;

/// Bytes beyond [`MAX_STATE_BYTES`] for what the cluster writes down by itself: primary terms, places of
/// copies, full disks, deleted indices.
pub const OWN_BYTES: usize = 4 << 20;

/// Bytes of the mapping, aliases and settings of one index as JSON, at most. A thousand fields are some
/// 100 kB; each change sends all of it to every node.
pub const MAX_INDEX_BYTES: usize = 16 << 20;

/// Refuses `next`, of `next_bytes` as JSON, where it is too large to be sent, or holds an index that is too
/// large. What became smaller since `current` is taken: deleting must go on.
///
/// # Errors
/// [`CoordinatorError::TooLarge`] with the size, the limit, and what to delete.
pub fn check(
    current: &ClusterState,
    next: &ClusterState,
    next_bytes: usize,
) -> Result<(), CoordinatorError> {
    let bounds = Bounds {
        state: MAX_STATE_BYTES,
        own: OWN_BYTES,
        index: MAX_INDEX_BYTES,
    };
    bounds.check(current, next, next_bytes)
}

/// Bytes at most.
#[derive(Clone, Copy)]
struct Bounds {
    state: usize,
    own: usize,
    index: usize,
}

impl Bounds {
    fn check(
        self,
        current: &ClusterState,
        next: &ClusterState,
        next_bytes: usize,
    ) -> Result<(), CoordinatorError> {
        if next_bytes > self.index {
            let changed = next.indices.values().filter(|index| {
                let before = current.indices.get(&index.uuid);
                !before.is_some_and(|before| Arc::ptr_eq(before, index))
            });
            changed.into_iter().try_for_each(|index| {
                let before = current.indices.get(&index.uuid);
                self.check_index(before.map(|before| &**before), index)
            })?;
        }
        let limit = match adds(current, next) {
            true => self.state,
            false => self.state + self.own,
        };
        if next_bytes <= limit || next_bytes <= bytes_of(current) {
            return Ok(());
        }
        let largest = next
            .indices
            .values()
            .map(|index| (parts_of(index).total(), index))
            .max_by_key(|(bytes, _)| *bytes);
        let largest = largest.map_or_else(String::new, |(bytes, index)| {
            format!(
                "; the largest index is [{}] with [{bytes}] bytes",
                index.name
            )
        });
        let reason = format!(
            "the cluster state would have [{next_bytes}] bytes, more than the [{limit}] that nodes can send \
         each other{largest}: delete indices, aliases or settings that are not needed"
        );
        Err(CoordinatorError::TooLarge { reason })
    }

    fn check_index(
        self,
        before: Option<&IndexMeta>,
        index: &IndexMeta,
    ) -> Result<(), CoordinatorError> {
        let parts = parts_of(index);
        let bytes = parts.total();
        if bytes <= self.index || before.is_some_and(|before| bytes <= parts_of(before).total()) {
            return Ok(());
        }
        let limit = self.index;
        let Parts {
            mapping,
            aliases,
            settings,
        } = parts;
        let reason = format!(
            "the metadata of index [{}] would have [{bytes}] bytes, more than [{limit}]: mapping \
         [{mapping}], aliases [{aliases}], settings [{settings}]; use fewer or shorter field names, \
         templates, aliases or analysis settings",
            index.name
        );
        Err(CoordinatorError::TooLarge { reason })
    }
}

/// Returns whether `next` holds something that a client asked to be added or changed.
fn adds(current: &ClusterState, next: &ClusterState) -> bool {
    let is_same = |index: &Arc<IndexMeta>| {
        let before = current.indices.get(&index.uuid);
        before.is_some_and(|before| {
            Arc::ptr_eq(before, index)
                || (before.mapping == index.mapping
                    && before.aliases == index.aliases
                    && before.settings == index.settings)
        })
    };
    next.persistent_settings != current.persistent_settings
        || next.transient_settings != current.transient_settings
        || next.security != current.security
        || next.templates != current.templates
        || next.lifecycles.policies != current.lifecycles.policies
        || next.data_streams != current.data_streams
        || !next.indices.values().all(is_same)
}

/// Bytes of what clients give an index.
struct Parts {
    mapping: usize,
    aliases: usize,
    settings: usize,
}

impl Parts {
    fn total(&self) -> usize {
        self.mapping + self.aliases + self.settings
    }
}

fn parts_of(index: &IndexMeta) -> Parts {
    Parts {
        mapping: bytes_of(&index.mapping),
        aliases: bytes_of(&index.aliases),
        settings: bytes_of(&index.settings),
    }
}

/// Returns the bytes of a value as JSON; those before the fault of one that has no such form, which
/// whatever encodes it will say.
pub fn bytes_of(value: &impl Serialize) -> usize {
    let mut count = Count(0);
    drop(serde_json::to_writer(&mut count, value));
    count.0
}

struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use gleaner_model::{
        DataStream, IndexName, IndexUuid, LifecyclePolicy, Lifecycles, Mapping, NodeId,
    };
    use serde_json::Value;

    use super::*;

    fn index(number: u8, bytes: usize) -> Arc<IndexMeta> {
        let mut mapping = Mapping::default();
        let text = Value::from("m".repeat(bytes));
        mapping.declared.insert("_meta".to_owned(), text);
        Arc::new(IndexMeta {
            mapping: Arc::new(mapping),
            ..IndexMeta::new(
                IndexUuid([number; 16]),
                IndexName::parse(&format!("index-{number}")).expect("a good name"),
            )
        })
    }

    fn state(indices: impl IntoIterator<Item = Arc<IndexMeta>>) -> ClusterState {
        let indices = indices.into_iter().map(|index| (index.uuid, index));
        ClusterState {
            indices: indices.collect(),
            ..ClusterState::default()
        }
    }

    /// As in force, in kilobytes.
    const BOUNDS: Bounds = Bounds {
        state: MAX_STATE_BYTES >> 10,
        own: OWN_BYTES >> 10,
        index: MAX_INDEX_BYTES >> 10,
    };

    fn checked(current: &ClusterState, next: &ClusterState) -> Result<(), String> {
        let checked = BOUNDS.check(current, next, bytes_of(next));
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn an_index_that_is_too_large_is_refused_by_name_and_may_shrink() {
        let (none, small) = (state([]), state([index(1, 1 << 10)]));
        let large = state([index(1, 20 << 10)]);
        checked(&none, &small).expect("it fits");
        for before in [&none, &small] {
            let refused = checked(before, &large).expect_err("too large");
            assert!(refused.contains("[index-1]"), "{refused}");
            assert!(refused.contains(&BOUNDS.index.to_string()), "{refused}");
        }
        let shrunk = state([index(1, 19 << 10)]);
        checked(&large, &shrunk).expect("as an older version took it");
    }

    #[test]
    fn a_state_that_cannot_be_sent_is_refused_and_can_be_cut_down() {
        let full = state((1..=4).map(|number| index(number, 12 << 10)));
        checked(&state([]), &full).expect("it fits");
        let over = state((1..=5).map(|number| index(number, 12 << 10)));
        let refused = checked(&full, &over).expect_err("too large to send");
        assert!(refused.contains("delete indices"), "{refused}");
        checked(&over, &full).expect("an index was deleted");
        let mut marked = over.clone();
        marked.flooded.insert(NodeId("a".into()));
        assert!(
            checked(&over, &marked).is_err(),
            "beyond what is kept back too"
        );
    }

    #[test]
    fn what_the_cluster_notes_by_itself_has_room_left() {
        let close = state((1..=4).map(|number| index(number, 11 << 10)));
        let filler = BOUNDS.state - bytes_of(&close);
        let mut full = close.clone();
        let text = Value::from("s".repeat(filler));
        full.persistent_settings.insert("filler".to_owned(), text);
        let mut marked = full.clone();
        marked.flooded.insert(NodeId("a".into()));
        checked(&full, &marked).expect("a full disk is noted");
        let mut named = full.clone();
        named
            .persistent_settings
            .insert("more".to_owned(), Value::Null);
        assert!(checked(&full, &named).is_err(), "a client has none of it");
        let policy = LifecyclePolicy {
            version: 1,
            modified_ms: 0,
            declared: Value::Null,
            scope: None,
        };
        let mut lifecycles = Lifecycles::default();
        lifecycles.policies.insert("p".to_owned(), policy);
        let mut aging = full.clone();
        aging.lifecycles = Arc::new(lifecycles);
        assert!(checked(&full, &aging).is_err(), "nor has a policy");
        let mut streaming = full.clone();
        let name = IndexName::parse("logs").expect("a good name");
        streaming.data_streams.insert(name, DataStream::default());
        assert!(checked(&full, &streaming).is_err(), "nor has a data stream");
        let mut stopped = full.clone();
        stopped.lifecycles = Arc::new(Lifecycles {
            is_stopped: true,
            ..Lifecycles::default()
        });
        checked(&full, &stopped).expect("lifecycles can be stopped");
    }
}
