//! What is found out for a call between its plans.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use gleaner_model::{ChosenTemplates, DocumentId, SeqNo};
use gleaner_proto::write::{RefusedItem, WriteFault, WriteOutcome};

use crate::write::versions::Content;

/// A document of a call with fields that the mapping lacks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct UnmappedDocument {
    pub(crate) id: DocumentId,
    pub(crate) source: Bytes,
    /// For some of its fields.
    pub(crate) templates: ChosenTemplates,
}

/// Documents whose new fields the mapping could not take, with the fault.
pub(crate) type RefusedDocuments = HashMap<UnmappedDocument, WriteFault>;

type Outcome = Result<WriteOutcome, WriteFault>;

/// Documents of a plan with fields that the mapping lacks.
#[derive(Default)]
pub(crate) struct UnmappedDocuments {
    pub(crate) documents: Vec<UnmappedDocument>,
    /// Their places among the items planned.
    pub(crate) at: Vec<usize>,
}

impl UnmappedDocuments {
    pub(super) fn note(&mut self, at: usize, document: UnmappedDocument) {
        self.documents.push(document);
        self.at.push(at);
    }

    /// Returns the answers to `num_items` items that are not written before the fields are agreed on.
    pub(super) fn unagreed(self, num_items: usize) -> Vec<Outcome> {
        let mut outcomes = vec![Err(WriteFault::Unagreed { document: None }); num_items];
        for (at, unmapped) in self.at.into_iter().zip(self.documents) {
            let document = Some(unmapped.source);
            outcomes[at] = Err(WriteFault::Unagreed { document });
        }
        outcomes
    }
}

/// What was found out for a request between its plans.
#[derive(Debug, Clone, Default)]
pub(crate) struct PlanContext {
    pub(crate) refused: RefusedDocuments,
    /// Items that the mapping refused before the call, by place.
    refused_items: BTreeMap<usize, WriteFault>,
    /// Items that are answered.
    num_answered: usize,
    /// Documents that only the log has, by position.
    pub(crate) contents: HashMap<SeqNo, Content>,
    /// Bytes of documents in the answer so far.
    pub(crate) returned_bytes: usize,
}

impl PlanContext {
    /// Returns what is known at the beginning: which items were refused before.
    pub(super) fn of(refused: &[RefusedItem]) -> Self {
        let refused = refused.iter();
        Self {
            refused_items: refused
                .map(|item| (item.at as usize, item.fault.clone()))
                .collect(),
            ..Self::default()
        }
    }

    /// Returns why item `at` of those that are not answered yet was refused before.
    pub(super) fn refusal_of(&self, at: usize) -> Option<&WriteFault> {
        self.refused_items.get(&(self.num_answered + at))
    }

    /// Notes the answer so far; what was read for it is not read for what follows.
    pub(super) fn note_answered(&mut self, outcomes: &[Outcome]) {
        self.num_answered = outcomes.len();
        self.contents.clear();
        let returned = |item: &Outcome| {
            let source = item.as_ref().ok()?.source.as_ref()?;
            Some(source.len())
        };
        self.returned_bytes = outcomes.iter().filter_map(returned).sum();
    }

    /// Returns the bytes of the documents read.
    pub(super) fn content_bytes(&self) -> usize {
        self.contents
            .values()
            .map(|content| content.source.len())
            .sum()
    }
}
