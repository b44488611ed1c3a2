//! What a copy shows and has shown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{Generation, MappingVersion, SeqNo};
use gleaner_query::answer::ViewId;
use tokio::time::Instant;

use crate::documents::{Documents, Stored};

/// A moment of a copy; a document's place is its position.
#[derive(Debug)]
pub(super) struct View {
    pub(super) id: ViewId,
    pub(super) generation: Generation,
    pub(super) documents: Documents,
}

impl View {
    /// Returns the document of this sequence number.
    pub(super) fn numbered(&self, number: u64) -> Option<&Arc<Stored>> {
        let mut documents = self.documents.iter();
        documents.find(|stored| stored.seq_no.0 == number)
    }
}

/// The newest view, and those that are kept for phases to come.
pub(super) struct Views {
    next: u64,
    age: Duration,
    newest: Option<Arc<View>>,
    kept: BTreeMap<ViewId, (Arc<View>, Instant)>,
}

impl Views {
    pub(super) fn new(first: u64, age: Duration) -> Self {
        Self {
            next: first,
            age,
            newest: None,
            kept: BTreeMap::new(),
        }
    }

    /// Makes another view the newest; the one before is kept for a time.
    pub(super) fn show(&mut self, visible: SeqNo, documents: Documents) {
        let view = View {
            id: ViewId(self.next),
            generation: Generation {
                mapping: MappingVersion(0),
                visible,
                history: gleaner_model::HistoryId::FIRST,
            },
            documents,
        };
        self.next += 1;
        if let Some(before) = self.newest.replace(Arc::new(view)) {
            self.keep(before, self.age);
        }
    }

    fn keep(&mut self, view: Arc<View>, age: Duration) {
        let now = Instant::now();
        self.kept.retain(|_, (_, until)| *until > now);
        self.kept.insert(view.id, (view, now + age));
    }

    pub(super) fn newest(&self) -> &Arc<View> {
        self.newest.as_ref().expect("one is shown from the start")
    }

    pub(super) fn visible(&self) -> SeqNo {
        self.newest().generation.visible
    }

    /// Returns a view, which is kept for another while then; `None` when it is gone.
    pub(super) fn get(&mut self, asked: Option<ViewId>) -> Option<Arc<View>> {
        let newest = self.newest();
        let Some(asked) = asked.filter(|asked| *asked != newest.id) else {
            return Some(Arc::clone(newest));
        };
        let now = Instant::now();
        let (view, until) = self.kept.get_mut(&asked)?;
        if *until <= now {
            return None;
        }
        *until = now + self.age;
        Some(Arc::clone(view))
    }
}
