//! A table that grows and that a signal handler may read: no lock is taken to look at it, and nothing in it is freed.

use std::sync::OnceLock;

use parking_lot::Mutex;

/// Entries that are made at once.
const CHUNK: usize = 512;

/// Most chunks.
const MAX_CHUNKS: usize = 4_096;

/// Entries that are taken and given back; each stays where it is for ever.
pub(super) struct Table<T: 'static> {
    chunks: [OnceLock<Box<[T]>>; MAX_CHUNKS],
    free: Mutex<Free>,
}

struct Free {
    indices: Vec<usize>,
    num_chunks: usize,
}

impl<T: Default> Table<T> {
    /// Returns an empty table.
    pub(super) const fn new() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; MAX_CHUNKS],
            free: Mutex::new(Free {
                indices: Vec::new(),
                num_chunks: 0,
            }),
        }
    }

    /// Takes an entry that nobody has; `None` when two million are taken.
    pub(super) fn take(&self) -> Option<usize> {
        let mut free = self.free.lock();
        if free.indices.is_empty() {
            let number = free.num_chunks;
            let chunk = self.chunks.get(number)?;
            chunk.get_or_init(|| (0..CHUNK).map(|_| T::default()).collect());
            free.num_chunks += 1;
            let first = number * CHUNK;
            free.indices.extend((first..first + CHUNK).rev());
        }
        free.indices.pop()
    }

    /// Gives an entry back.
    pub(super) fn give_back(&self, index: usize) {
        self.free.lock().indices.push(index);
    }

    /// Returns an entry. Safe in a signal handler.
    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK)?.get()?.get(index % CHUNK)
    }

    /// Returns all entries there are, taken or not. Safe in a signal handler.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let made = self.chunks.iter().map_while(OnceLock::get);
        made.flat_map(|chunk| chunk.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_given_out_once_and_again_when_they_came_back() {
        let table = Table::<u8>::new();
        let mut taken: Vec<usize> = (0..CHUNK + 1).filter_map(|_| table.take()).collect();
        taken.sort_unstable();
        assert_eq!(taken, (0..=CHUNK).collect::<Vec<_>>());
        assert_eq!(table.iter().count(), 2 * CHUNK);
        table.give_back(7);
        assert_eq!(table.take(), Some(7));
        assert!(table.get(CHUNK).is_some() && table.get(9 * CHUNK).is_none());
    }
}
