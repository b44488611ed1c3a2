//! What of a document is found again, and where.

use super::*;

#[test]
fn content_that_the_mapping_does_not_take_is_left_out_and_kept_in_the_source() {
    let mut copy = Copy::new(text_mapping());
    copy.put(
        "a",
        1,
        &json!({"n": "no number", "title": {"o": 1}, "unknown": [1]}),
    );
    copy.refresh();
    assert_eq!(copy.visible().len(), 1);
    let view = copy.index().view();
    let handle = view.field("n").expect("it is mapped");
    let column = crate::doc_values::DocValues::open(&view.segments()[0], handle);
    assert!(
        column
            .expect("it can be read")
            .is_none_or(|column| column.num_values(0) == 0)
    );
}

#[test]
fn values_of_a_text_field_lie_a_hundred_positions_apart() {
    use tantivy::query::PhraseQuery;
    for (values, expected) in [
        (json!(["one two", "three"]), 101),
        (json!(["one two", "x", "three"]), 202),
        // A value without tokens stands between two gaps, as any other.
        (json!(["one two", "", "three"]), 201),
        (json!("two three"), 1),
    ] {
        let mut copy = Copy::new(text_mapping());
        copy.put("a", 1, &json!({"title": values}));
        copy.refresh();
        let view = copy.index().view();
        let column = view.field("title").expect("it is mapped").column;
        let count = |distance: usize| {
            let term = |text| tantivy::Term::from_field_text(column, text);
            let terms = vec![(0, term("two")), (distance, term("three"))];
            let query = PhraseQuery::new_with_offset(terms);
            let found = view.searcher().search(&query, &tantivy::collector::Count);
            found.expect("it can be searched")
        };
        let found: Vec<usize> = (1..400).filter(|distance| count(*distance) > 0).collect();
        assert_eq!(found, [expected], "{values}");
    }
}

#[test]
fn several_values_stand_in_order_in_their_column_and_equal_terms_once() {
    use crate::doc_values::DocValues;
    let declared = json!({"properties": {
        "n": {"type": "long"}, "k": {"type": "keyword"}, "title": {"type": "text"},
    }});
    let mut copy = Copy::new(mapping(&declared));
    copy.put(
        "a",
        1,
        &json!({"n": [3, 1, 3, -2], "k": ["b", "a", "b"], "title": ["y", "x"]}),
    );
    copy.put("b", 1, &json!({"k": "c"}));
    copy.refresh();
    let view = copy.index().view();
    let open = |path: &str| {
        let handle = view.field(path).expect("it is mapped");
        DocValues::open(&view.segments()[0], handle).expect("it can be read")
    };
    let Some(DocValues::I64(numbers)) = open("n") else {
        panic!("no numbers");
    };
    assert_eq!(numbers.values_for_doc(0).collect::<Vec<_>>(), [-2, 1, 3, 3]);
    assert_eq!(numbers.values_for_doc(1).count(), 0);
    let Some(DocValues::Terms(terms)) = open("k") else {
        panic!("no terms");
    };
    assert_eq!(terms.term_ords(0).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(terms.term_ords(1).collect::<Vec<_>>(), [2]);
    assert!(open("title").is_none());
}

#[test]
fn a_document_is_found_by_its_id_with_all_that_was_logged() {
    let mut copy = Copy::new(text_mapping());
    let source = Bytes::from_static(b" { \"title\" : \"as received\" } ");
    let kind = OperationKind::Index {
        id: id("a"),
        routing: Some("r".to_owned()),
        version: Version(7),
        source: source.clone(),
    };
    copy.put("other", 1, &json!({}));
    copy.order(kind);
    copy.refresh();
    let view = copy.index().view();
    let found = view
        .find(&id("a"))
        .expect("it can be read")
        .expect("it is there");
    assert_eq!(found.source, source);
    assert_eq!(found.routing.as_deref(), Some("r"));
    assert_eq!(
        (found.seq_no, found.term, found.version),
        (SeqNo(1), PrimaryTerm(1), Version(7))
    );
    assert_eq!(view.document(found.place).expect("it can be read"), found);
    let stats = copy.documents.stats();
    assert_eq!((stats.misses, stats.hits), (1, 1), "it was kept");
    assert_eq!(view.find(&id("b")).expect("it can be read"), None);
    assert!(view.document(found.place + 100).is_err());
}

#[test]
fn occurrences_are_exact_before_and_after_a_merge() {
    use std::collections::BTreeMap;

    use gleaner_model::FieldPath;
    use gleaner_query::resolved::StatisticsRequest;

    let mut copy = Copy::new(text_mapping());
    // Lengths that norms do not keep to the last word.
    for (at, num_words) in [(0, 1_003), (1, 509), (2, 77)] {
        let text = (0..num_words).map(|i| format!("w{} ", i % 300));
        copy.put(
            &format!("d{at}"),
            1,
            &json!({"title": text.collect::<String>()}),
        );
        copy.put(&format!("gone{at}"), 1, &json!({"title": "a b c"}));
        copy.refresh();
    }
    (0..3).for_each(|at| copy.delete(&format!("gone{at}"), 2));
    copy.refresh();
    let wanted = StatisticsRequest {
        fields: BTreeMap::from([(FieldPath::new("title"), Default::default())]),
        totals: true,
    };
    let totals = |copy: &Copy| {
        let control = gleaner_partial::control::Control::unlimited();
        let counted = crate::statistics::statistics(&copy.index().view(), &wanted, &control);
        let counted = counted.expect("the index can be read");
        let totals = &counted.totals[&FieldPath::new("title")];
        (totals.postings, totals.occurrences)
    };
    let expected = (300 + 300 + 77, 1_003 + 509 + 77);
    assert_eq!(totals(&copy), expected);
    copy.index().force_merge(1).expect("it merges");
    copy.refresh();
    assert_eq!(copy.index().view().segments().len(), 1);
    assert_eq!(totals(&copy), expected);
}
