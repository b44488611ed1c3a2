//! A field that appears late ranks exactly as one that was there from the start.

use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::IndexRecordOption;

use super::*;

const LATE: &str = "late";

fn declared(with_late: bool) -> Value {
    let mut fields = json!({"n": {"type": "long"}, "title": {"type": "text"}});
    if with_late {
        fields[LATE] = json!({"type": "text", "fields": {"raw": {"type": "keyword"}}});
        fields["when"] = json!({"type": "date"});
    }
    json!({"properties": fields})
}

/// Scores by id of `late:word OR title:word`, through tantivy's own scorer and statistics.
fn scores(copy: &Copy, word: &str) -> Vec<(String, u32)> {
    let view = copy.index().view();
    let clause = |path: &str| -> (Occur, Box<dyn Query>) {
        let column = view.field(path).expect("it is mapped").column;
        let term = tantivy::Term::from_field_text(column, word);
        (
            Occur::Should,
            Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)),
        )
    };
    let query = BooleanQuery::new(vec![clause(LATE), clause("title")]);
    let top = view
        .searcher()
        .search(&query, &TopDocs::with_limit(1_000).order_by_score());
    let mut found: Vec<(String, u32)> = top
        .expect("it can be searched")
        .into_iter()
        .map(|(score, at)| {
            let place = crate::view::place(at.segment_ord, at.doc_id);
            (
                view.document(place).expect("it can be read").id.to_string(),
                score.to_bits(),
            )
        })
        .collect();
    found.sort();
    found
}

fn document(i: u64, with_late: bool) -> Value {
    let repeated = |word: &str, times: u64| vec![word; times as usize].join(" ");
    let mut document = json!({"n": i, "title": format!("common {}", repeated("x", i % 7))});
    if with_late && i.is_multiple_of(3) {
        document[LATE] = json!(format!(
            "common {} {}",
            repeated("y", i % 5),
            repeated("z", i % 11)
        ));
        document["when"] = json!(i);
    }
    document
}

/// Writes the same documents; the field is mapped from the start or appears half way.
fn written(from_start: bool) -> Copy {
    let mut copy = Copy::new(mapping(&declared(from_start)));
    for i in 0..60 {
        if i == 30 && !from_start {
            copy.grow(&declared(true));
        }
        copy.put(&i.to_string(), 1, &document(i, i >= 30));
        if i % 10 == 9 {
            copy.refresh();
        }
    }
    for i in (0..60).step_by(4) {
        copy.delete(&i.to_string(), 2);
    }
    copy.refresh();
    copy
}

#[test]
fn a_late_text_field_scores_to_the_bit_as_one_from_the_start() {
    let (early, late) = (written(true), written(false));
    for word in ["common", "x", "y", "z"] {
        assert!(!scores(&early, word).is_empty());
        assert_eq!(
            scores(&late, word),
            scores(&early, word),
            "{word}, before the merge"
        );
    }
    for copy in [&early, &late] {
        copy.index()
            .force_merge(1)
            .expect("old and new segments merge");
        copy.refresh();
        assert_eq!(copy.index().view().segments().len(), 1);
    }
    for word in ["common", "x", "y", "z"] {
        assert_eq!(
            scores(&late, word),
            scores(&early, word),
            "{word}, after the merge"
        );
    }
}

#[test]
fn the_norms_of_a_late_field_are_zero_in_older_segments() {
    let late = written(false);
    let view = late.index().view();
    let handle = view.field(LATE).expect("it is mapped");
    let mut with_field = 0;
    for segment in view.segments() {
        let histogram = segment
            .norm_histogram(handle.column)
            .expect("it can be read");
        assert_eq!(histogram.iter().sum::<u32>(), segment.reader().num_docs());
        with_field += histogram[1..].iter().sum::<u32>();
    }
    let has_field = |i: &u64| *i >= 30 && i.is_multiple_of(3) && !i.is_multiple_of(4);
    assert_eq!(with_field as usize, (0..60).filter(has_field).count());
}

#[test]
fn without_the_added_norms_old_and_new_segments_do_not_merge() {
    let late = written(false);
    late.index().directory.set_norm_columns(Vec::new());
    let error = late.index().force_merge(1).expect_err("tantivy needs them");
    assert!(matches!(error, EngineError::Tantivy(_)), "{error}");
}

#[test]
fn a_grown_schema_survives_a_restart_before_and_after_documents_use_it() {
    let mut copy = Copy::new(mapping(&declared(false)));
    copy.put("0", 1, &document(0, false));
    copy.index().commit().expect("it commits");
    copy.grow(&declared(true));
    copy.open().expect("the mapping is ahead of the schema");
    copy.put("33", 1, &document(33, true));
    copy.index().commit().expect("it commits");
    copy.open().expect("it opens");
    assert_eq!(scores(&copy, "common").len(), 2);
    copy.index().force_merge(1).expect("it merges");
    copy.refresh();
    assert_eq!(scores(&copy, "common").len(), 2);
    copy.index().commit().expect("it commits");
    copy.open().expect("it opens");
    assert_eq!(copy.visible().len(), 2);
}

#[test]
fn growing_in_the_middle_of_merges_loses_nothing() {
    let merges = MergeOptions {
        min_segments: 2,
        ..MergeOptions::default()
    };
    let mut copy = Copy::with_merges(mapping(&json!({"properties": {}})), merges);
    let mut fields = json!({});
    for i in 0..40_u64 {
        if i.is_multiple_of(4) {
            fields[format!("f{i}")] = json!({"type": "text"});
            copy.grow(&json!({"properties": fields}));
        }
        let name = format!("f{}", i / 4 * 4);
        copy.put(&(i % 25).to_string(), 1 + i / 25, &json!({name: "word"}));
        copy.refresh();
        if i.is_multiple_of(9) {
            copy.index().commit().expect("it commits");
        }
    }
    let expected = expected(&copy.log, copy.log.len() as u64);
    assert_eq!(copy.visible(), expected);
    copy.index().close().expect("it closes");
    copy.open().expect("it opens");
    assert_eq!(copy.visible(), expected);
}

#[test]
fn a_forced_merge_ends_however_often_the_schema_grows_meanwhile() {
    let mut copy = Copy::new(mapping(&json!({"properties": {}})));
    for i in 0..3 {
        copy.put(&i.to_string(), 1, &json!({}));
        copy.refresh();
    }
    let index = copy.index();
    let (mut grown, mut next) = (Arc::clone(&copy.mapping), copy.log.len() as u64);
    let mut grow = || {
        let name = format!("f{next}");
        let mut fields = json!({});
        fields[&name] = json!({"type": "long"});
        let declared = json!({"properties": fields});
        let after = parse_mapping(&declared, Some(&grown), &MappingRules::default());
        grown = Arc::new(after.expect("it can grow"));
        index.set_mapping(Arc::clone(&grown), Arc::clone(&copy.analyzers));
        let kind = OperationKind::Index {
            id: id(&name),
            routing: None,
            version: Version(1),
            source: Bytes::from(json!({ name: 1 }).to_string()),
        };
        let operation = Operation {
            term: PrimaryTerm(1),
            mapping: grown.version,
            timestamp_ms: 0,
            kind,
        };
        index.apply(SeqNo(next), &operation).expect("in order");
        next += 1;
    };
    let mut num_attempts = 0;
    let merged = index.merge_down(1, |merge| {
        num_attempts += 1;
        let ended = merge.wait();
        if num_attempts > 2 * crate::copy::MERGE_ATTEMPTS {
            return ended;
        }
        // As if it had grown before the end.
        grow();
        Err(tantivy::TantivyError::SystemError("outgrown".to_owned()))
    });
    merged.expect("it merges");
    assert_eq!(num_attempts, 2 * crate::copy::MERGE_ATTEMPTS + 1);
    index.refresh(SeqNo(next)).expect("all was applied");
    assert_eq!(index.view().segments().len(), 1);
}

#[test]
fn a_view_is_measured_under_a_schema_that_has_grown_since() {
    let mut copy = Copy::new(mapping(&declared(false)));
    copy.put("0", 1, &document(0, false));
    copy.refresh();
    let before = copy.index().stats().expect("it can be measured");
    copy.grow(&declared(true));
    copy.put("3", 1, &document(3, true));
    // What searches see is the view before, whose schema has none of the new fields.
    let after = copy.index().stats().expect("it can be measured");
    let bytes = |stats: &crate::ShardStats| {
        let segments = stats.segments.iter();
        segments.map(|of| of.bytes).collect::<Vec<_>>()
    };
    assert_eq!(bytes(&after), bytes(&before));
    assert!(bytes(&after)[0] > 0, "{after:?}");
}
