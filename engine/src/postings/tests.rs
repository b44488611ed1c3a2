//! Lists against a walk over every live document, after updates, deletes, merges.

use std::path::Path;

use bytes::Bytes;
use gleaner_analysis::AnalyzerRegistry;
use gleaner_log::files::SimulatedFiles;
use gleaner_model::hash::tie_break_hash;
use gleaner_model::{
    DocumentId, IndexName, IndexUuid, Mapping, Operation, OperationKind, PrimaryTerm, ShardKey,
    ShardNumber, Version,
};
use gleaner_partial::EvaluationError;
use gleaner_query::mapping::{MappingRules, parse_mapping};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::directory::Reading;
use crate::writer::MergeOptions;
use crate::{ShardIndex, ShardMeta, ShardOptions, StoredDocument};

const WORDS: [&str; 4] = ["ash", "beech", "cedar", "elm"];

/// A copy of one shard that is written to and merged only as told.
struct Copy {
    index: ShardIndex,
    mapping: Arc<Mapping>,
    next: u64,
    versions: [u64; 16],
}

impl Copy {
    fn new() -> Self {
        let declared = json!({"properties": {
            "text": {"type": "text"}, "tag": {"type": "keyword"}, "n": {"type": "long"},
            "off": {"type": "text", "index": false},
        }});
        let mapping = parse_mapping(&declared, None, &MappingRules::default());
        let mapping = Arc::new(mapping.expect("a good mapping"));
        let meta = ShardMeta {
            key: ShardKey {
                index: IndexUuid([1; 16]),
                shard: ShardNumber(0),
            },
            name: IndexName::parse("library").expect("a good name"),
            mapping: Arc::clone(&mapping),
            analyzers: Arc::new(AnalyzerRegistry::builtin()),
        };
        let options = ShardOptions {
            merges: MergeOptions {
                is_enabled: false,
                ..MergeOptions::default()
            },
            files: Arc::new(SimulatedFiles::new()),
            reading: Reading::Copied,
            ..ShardOptions::default()
        };
        let (index, _) = ShardIndex::open(Path::new("/shard"), meta, options).expect("it opens");
        Self {
            index,
            mapping,
            next: 0,
            versions: [0; 16],
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Put(key, words) => {
                let text: Vec<&str> = words.iter().map(|word| WORDS[*word]).collect();
                let source = json!({"text": text.join(" "), "tag": text.first(), "n": words.len()});
                let version = self.version(*key);
                self.apply(OperationKind::Index {
                    id: id(*key),
                    routing: None,
                    version,
                    source: Bytes::from(source.to_string()),
                });
            }
            Step::Delete(key) => {
                let version = self.version(*key);
                self.apply(OperationKind::Delete {
                    id: id(*key),
                    routing: None,
                    version,
                });
            }
            Step::Refresh => self.refresh(),
            Step::Merge => {
                self.index.force_merge(1).expect("it merges");
                self.refresh();
            }
        }
    }

    fn version(&mut self, key: usize) -> Version {
        self.versions[key] += 1;
        Version(self.versions[key])
    }

    fn apply(&mut self, kind: OperationKind) {
        let operation = Operation {
            term: PrimaryTerm(1),
            mapping: self.mapping.version,
            timestamp_ms: 0,
            kind,
        };
        let number = SeqNo(self.next);
        self.index.apply(number, &operation).expect("in order");
        self.next += 1;
    }

    fn refresh(&self) {
        self.index.refresh(SeqNo(self.next)).expect("all applied");
    }

    fn view(&self) -> Arc<View> {
        self.index.view()
    }
}

fn id(key: usize) -> DocumentId {
    DocumentId::parse(&format!("d{key}")).expect("a good id")
}

#[derive(Debug, Clone)]
enum Step {
    Put(usize, Vec<usize>),
    Delete(usize),
    Refresh,
    Merge,
}

fn step() -> impl Strategy<Value = Step> {
    let words = proptest::collection::vec(0..WORDS.len(), 0..30);
    prop_oneof![
        10 => (0_usize..16, words).prop_map(|(key, words)| Step::Put(key, words)),
        3 => (0_usize..16).prop_map(Step::Delete),
        3 => Just(Step::Refresh),
        1 => Just(Step::Merge),
    ]
}

/// Every live document, by number.
fn documents(view: &View) -> Vec<StoredDocument> {
    let mut found = Vec::new();
    for segment in view.segments() {
        for doc in segment.reader().doc_ids_alive() {
            let place = crate::view::place(segment.ord(), doc);
            found.push(view.document(place).expect("it can be read"));
        }
    }
    found.sort_by_key(|document| document.seq_no);
    found
}

/// The list of `term`, counted in the documents themselves.
fn expected(view: &View, field: &str, term: &str) -> Vec<(u64, u32, u8)> {
    let posting = |document: StoredDocument| {
        let source: Value = serde_json::from_slice(&document.source).expect("it is JSON");
        let text = source[field].as_str().unwrap_or_default();
        let frequency = text.split(' ').filter(|word| *word == term).count() as u32;
        let length = text.split_whitespace().count() as u32;
        let norm_id = FieldNormReader::fieldnorm_to_id(length);
        (frequency > 0).then_some((document.seq_no.0, frequency, norm_id))
    };
    documents(view).into_iter().filter_map(posting).collect()
}

/// The list of `term`, page by page.
fn listed(view: &View, field: &str, term: &str, limit: usize, is_weighted: bool) -> PostingList {
    let field = FieldPath::new(field);
    let memory = MemoryAccount::root("test", 1 << 20);
    let control = Control::unlimited();
    let mut joined: Option<PostingList> = None;
    loop {
        let last = joined.as_ref().and_then(|list| list.documents.max());
        let wanted = PageOf {
            field: &field,
            term,
            after: last.map(SeqNo),
            limit,
            is_weighted,
        };
        let page = page(view, &wanted, &control, &memory).expect("a page");
        assert!(page.list.documents.len() <= limit as u64);
        assert_eq!(memory.held_bytes(), 0);
        match &mut joined {
            Some(list) => assert!(list.append(page.list)),
            none => *none = Some(page.list),
        }
        if page.is_last {
            return joined.unwrap_or_default();
        }
    }
}

fn check(view: &View, limit: usize) {
    for word in WORDS {
        let list = listed(view, "text", word, limit, true);
        let weights = list.weights.expect("asked for");
        let postings: Vec<(u64, u32, u8)> = list
            .documents
            .iter()
            .enumerate()
            .map(|(at, seq_no)| (seq_no, weights.get(at).0, weights.get(at).1))
            .collect();
        assert_eq!(postings, expected(view, "text", word));
        let bare = listed(view, "text", word, limit, false);
        assert_eq!((bare.documents, bare.weights), (list.documents, None));
        let tagged = listed(view, "tag", word, limit, true);
        let numbers = |postings: Vec<(u64, u32, u8)>| postings.into_iter().map(|(n, ..)| n);
        let wanted: RoaringTreemap = numbers(expected(view, "tag", word)).collect();
        assert_eq!((tagged.documents, tagged.weights), (wanted, None));
    }
}

/// DocumentPlace documents are the first by hash, at the places where they are read from.
fn check_places(view: &View, every: usize, top: usize) {
    let mut documents: Vec<StoredDocument> = documents(view).into_iter().step_by(every).collect();
    let numbers = documents.iter().map(|document| document.seq_no.0).collect();
    let located = locate(view, &numbers, top, &Control::unlimited()).expect("all are there");
    documents.sort_by_key(|document| tie_break_hash(document.id.as_str()));
    documents.truncate(top);
    let wanted: Vec<(SeqNo, u64)> = documents.iter().map(|d| (d.seq_no, d.place)).collect();
    let seen: Vec<(SeqNo, u64)> = located.iter().map(|l| (l.seq_no, l.place)).collect();
    assert_eq!(seen, wanted);
    for (document, located) in documents.iter().zip(located) {
        assert_eq!(located.tie.hash, tie_break_hash(document.id.as_str()));
        assert_eq!(located.tie.id, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lists_are_what_a_walk_over_all_documents_finds(
        steps in proptest::collection::vec(step(), 0..60),
        limit in 1_usize..12,
        every in 1_usize..9,
        top in 0_usize..20,
    ) {
        let mut copy = Copy::new();
        for step in &steps {
            copy.take(step);
        }
        copy.refresh();
        let view = copy.view();
        check(&view, limit);
        check_places(&view, every, top);
    }
}

#[test]
fn segments_whose_numbers_interleave_come_in_order() {
    let mut copy = Copy::new();
    for round in 0..3 {
        for key in 0..16 {
            copy.take(&Step::Put(key, vec![key % 4, round]));
            if key % 5 == round {
                copy.refresh();
            }
        }
        copy.refresh();
        if round == 1 {
            copy.take(&Step::Merge);
        }
    }
    let view = copy.view();
    assert!(view.segments().len() > 1, "one merged, others since");
    for limit in [1, 3, 100] {
        check(&view, limit);
    }
}

#[test]
fn what_is_neither_text_nor_keyword_or_not_indexed_is_refused() {
    let mut copy = Copy::new();
    copy.take(&Step::Put(1, vec![0]));
    copy.refresh();
    let view = copy.view();
    let memory = MemoryAccount::root("test", 1 << 20);
    let fault = |field: &str| {
        let field = FieldPath::new(field);
        let wanted = PageOf {
            field: &field,
            term: "1",
            after: None,
            limit: 10,
            is_weighted: true,
        };
        let page = page(&view, &wanted, &Control::unlimited(), &memory);
        page.map(|page| page.list.documents.len())
    };
    assert!(matches!(
        fault("n"),
        Err(EngineError::Evaluation(EvaluationError::Clause(_)))
    ));
    assert!(matches!(
        fault("off"),
        Err(EngineError::Evaluation(EvaluationError::Clause(_)))
    ));
    assert_eq!(fault("nowhere").ok(), Some(0));
}

#[test]
fn a_document_of_another_moment_is_not_located() {
    let mut copy = Copy::new();
    copy.take(&Step::Put(1, vec![0]));
    copy.refresh();
    let before = copy.view();
    copy.take(&Step::Put(1, vec![1]));
    copy.refresh();
    let old = RoaringTreemap::from_iter([0]);
    let control = Control::unlimited();
    assert_eq!(
        locate(&before, &old, 1, &control).map(|l| l.len()).ok(),
        Some(1)
    );
    let replaced = locate(&copy.view(), &old, 1, &control);
    assert!(matches!(
        replaced,
        Err(EngineError::Evaluation(EvaluationError::Internal(_)))
    ));
}

#[test]
fn a_cancelled_list_is_given_up() {
    let mut copy = Copy::new();
    for key in 0..PER_CHECK as usize {
        copy.apply(OperationKind::Index {
            id: id(key),
            routing: None,
            version: Version(1),
            source: Bytes::from_static(br#"{"text": "ash"}"#),
        });
    }
    copy.refresh();
    let field = FieldPath::new("text");
    let wanted = PageOf {
        field: &field,
        term: "ash",
        after: None,
        limit: 1 << 20,
        is_weighted: false,
    };
    let control = Control::unlimited();
    control.cancel();
    let memory = MemoryAccount::root("test", 1 << 20);
    let view = copy.view();
    let outcome = page(&view, &wanted, &control, &memory);
    assert!(
        matches!(
            outcome,
            Err(EngineError::Evaluation(EvaluationError::Cancelled))
        ),
        "{outcome:?}"
    );
}

#[test]
fn a_page_takes_long_by_the_documents_that_it_may_hold() {
    let mut copy = Copy::new();
    (0..16).for_each(|key| copy.take(&Step::Put(key, vec![0])));
    copy.refresh();
    let view = copy.view();
    // As many shards as hold some 100,000 of them.
    let length_of = |limit| length(std::iter::repeat_n(&*view, 6_144), limit);
    assert_eq!(length_of(1_000), Length::Long);
    assert_eq!(length_of(1), Length::Short);
}
