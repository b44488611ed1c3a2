//! Bounds the bytes of documents that wait for tantivy's indexing thread.
//!
//! tantivy's queue counts documents (10,000 of them), so a run of large ones would take memory that
//! no budget knows of. Here each document holds a permit for its bytes until it is indexed.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tantivy::TantivyDocument;
use tantivy::schema::Field as Column;
use tantivy::schema::document::Document;

/// Bytes that may wait; a single larger document passes when nothing else waits.
const LIMIT_BYTES: usize = 8_000_000;

/// The bytes that wait. Cheap to clone; clones share the count.
#[derive(Clone, Default)]
pub(super) struct Backlog {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    waiting_bytes: Mutex<usize>,
    freed: Condvar,
}

/// A document on its way to the indexing thread.
pub(super) struct Queued {
    document: TantivyDocument,
    _permit: Permit,
}

struct Permit {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Backlog {
    /// Waits for room. The indexing thread makes it; when that thread dies, its queue is dropped
    /// and so is every permit.
    pub(super) fn enqueue(&self, document: TantivyDocument, bytes: usize) -> Queued {
        let mut waiting_bytes = self.shared.waiting_bytes.lock();
        let is_full = |waiting: &mut usize| *waiting > 0 && *waiting + bytes > LIMIT_BYTES;
        self.shared.freed.wait_while(&mut waiting_bytes, is_full);
        *waiting_bytes += bytes;
        let permit = Permit {
            shared: Arc::clone(&self.shared),
            bytes,
        };
        Queued {
            document,
            _permit: permit,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.shared.waiting_bytes.lock() -= self.bytes;
        self.shared.freed.notify_one();
    }
}

impl Document for Queued {
    type Value<'a> = <TantivyDocument as Document>::Value<'a>;
    type FieldsValuesIter<'a> = <TantivyDocument as Document>::FieldsValuesIter<'a>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        self.document.iter_fields_and_values()
    }

    fn get_sorted_field_values(&self) -> Vec<(Column, Vec<Self::Value<'_>>)> {
        self.document.get_sorted_field_values()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn documents_wait_for_room_and_large_ones_pass_alone() {
        let backlog = Backlog::default();
        let large = backlog.enqueue(TantivyDocument::new(), 3 * LIMIT_BYTES);
        let (entered, has_entered) = mpsc::channel();
        let other = backlog.clone();
        let waiter = thread::spawn(move || {
            let queued = other.enqueue(TantivyDocument::new(), 1);
            entered.send(()).expect("the test listens");
            drop(queued);
        });
        assert!(has_entered.try_recv().is_err());
        drop(large);
        has_entered.recv().expect("there is room now");
        waiter.join().expect("it does not panic");
        assert_eq!(*backlog.shared.waiting_bytes.lock(), 0);
    }
}
