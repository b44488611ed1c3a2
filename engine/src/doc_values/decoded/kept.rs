//! What stays decoded between requests, of all segments of a process: the columns that were used last, as far as the
//! bytes of all stay within a limit.
//!
//! A request pays for the columns that it uses while it runs. What it leaves behind is paid for by nobody, so it is
//! bounded here. Does not: decode. Called by [`super::DecodedColumns`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;

/// Most bytes that stay decoded in a process, of the columns that no request uses: the values of 32 million points.
const MAX_KEPT_BYTES: u64 = 256 << 20;

/// What the process keeps.
pub(super) static KEPT: LazyLock<Kept> = LazyLock::new(|| Kept::new(MAX_KEPT_BYTES));

/// A column that can be given up.
pub(super) trait Forget: Send + Sync {
    /// Gives it up; who uses it has it until he is done.
    fn forget(&self);

    /// Where it stands in the order of use.
    fn place(&self) -> &Place;
}

/// Where a column stands in the order of use: a number that grows, 0 for one that is not kept.
#[derive(Debug, Default)]
pub(super) struct Place(AtomicU64);

/// Columns in the order of their last use.
pub(super) struct Kept {
    limit: u64,
    columns: Mutex<Columns>,
}

#[derive(Default)]
struct Columns {
    last_place: u64,
    num_bytes: u64,
    by_place: BTreeMap<u64, (Weak<dyn Forget>, u64)>,
}

impl Columns {
    fn take(&mut self, place: u64) -> Option<Weak<dyn Forget>> {
        let (column, num_bytes) = self.by_place.remove(&place)?;
        self.num_bytes -= num_bytes;
        Some(column)
    }
}

impl Kept {
    /// Returns no columns.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            columns: Mutex::default(),
        }
    }

    /// Notes that a column of so many bytes was used, and has those given up that were not used for the longest time
    /// where all together are too large. One that is too large by itself is given up at once, and no other for it.
    pub(super) fn used(&self, column: &Arc<impl Forget + 'static>, num_bytes: u64) {
        let mut given_up = Vec::new();
        let mut columns = self.columns.lock();
        columns.take(column.place().0.load(Ordering::Relaxed));
        if num_bytes > self.limit {
            column.place().0.store(0, Ordering::Relaxed);
            drop(columns);
            return column.forget();
        }
        columns.last_place += 1;
        let place = columns.last_place;
        column.place().0.store(place, Ordering::Relaxed);
        let shared: Arc<dyn Forget> = Arc::clone(column) as Arc<dyn Forget>;
        let entry = (Arc::downgrade(&shared), num_bytes);
        columns.by_place.insert(place, entry);
        columns.num_bytes += num_bytes;
        while columns.num_bytes > self.limit {
            let Some((&oldest, _)) = columns.by_place.first_key_value() else {
                break;
            };
            given_up.extend(columns.take(oldest).and_then(|column| column.upgrade()));
        }
        drop(columns);
        // Not under the lock: the last of a column may be dropped here.
        given_up.iter().for_each(|column| column.forget());
    }

    /// Notes that a column is gone.
    pub(super) fn gone(&self, place: &Place) {
        self.columns.lock().take(place.0.load(Ordering::Relaxed));
    }

    /// Returns the bytes of what is kept.
    #[cfg(test)]
    fn num_bytes(&self) -> u64 {
        self.columns.lock().num_bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[derive(Default)]
    struct Column {
        place: Place,
        is_forgotten: AtomicBool,
    }

    impl Forget for Column {
        fn forget(&self) {
            self.is_forgotten.store(true, Ordering::Relaxed);
        }

        fn place(&self) -> &Place {
            &self.place
        }
    }

    fn are_forgotten(columns: &[Arc<Column>]) -> Vec<bool> {
        let flags = columns.iter();
        flags
            .map(|column| column.is_forgotten.load(Ordering::Relaxed))
            .collect()
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_is_given_up() {
        let kept = Kept::new(100);
        let columns: Vec<Arc<Column>> = (0..4).map(|_| Arc::default()).collect();
        kept.used(&columns[0], 40);
        kept.used(&columns[1], 40);
        kept.used(&columns[0], 40);
        kept.used(&columns[2], 40);
        assert_eq!(are_forgotten(&columns), [false, true, false, false]);
        assert_eq!(kept.num_bytes(), 80);
        kept.used(&columns[3], 200);
        assert_eq!(
            are_forgotten(&columns),
            [false, true, false, true],
            "it alone"
        );
        assert_eq!(kept.num_bytes(), 80);
    }

    #[test]
    fn a_column_that_is_gone_counts_no_longer() {
        let kept = Kept::new(100);
        let (one, two): (Arc<Column>, Arc<Column>) = Default::default();
        kept.used(&one, 60);
        kept.gone(one.place());
        drop(one);
        kept.used(&two, 60);
        assert_eq!(kept.num_bytes(), 60);
        assert_eq!(are_forgotten(&[two]), [false]);
    }
}
