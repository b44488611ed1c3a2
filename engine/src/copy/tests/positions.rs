//! More positions than an index can count, and analyzers that do not exist.

use tantivy::collector::Count;
use tantivy::query::TermQuery;
use tantivy::schema::IndexRecordOption;

use super::*;

/// Returns a copy whose values of `title` lie `gap` positions apart.
fn gapped(gap: u32) -> Copy {
    let analysis =
        json!({"analyzer": {"far": {"type": "standard", "position_increment_gap": gap}}});
    let analyzers = AnalyzerRegistry::from_settings(&analysis).expect("good settings");
    let declared = json!({"properties": {"title": {"type": "text", "analyzer": "far"}}});
    Copy::with_analyzers(mapping(&declared), analyzers, MergeOptions::default())
}

fn count(copy: &Copy, text: &str) -> usize {
    let view = copy.index().view();
    let column = view.field("title").expect("it is mapped").column;
    let term = tantivy::Term::from_field_text(column, text);
    let query = TermQuery::new(term, IndexRecordOption::Basic);
    let found = view.searcher().search(&query, &Count);
    found.expect("it can be searched")
}

#[test]
fn values_beyond_the_last_position_are_left_out() {
    let mut copy = gapped(1_000_000);
    let values: Vec<String> = (0..5_000).map(|n| format!("word n{n}")).collect();
    copy.put("a", 1, &json!({"title": values}));
    copy.put("b", 1, &json!({"title": "after"}));
    copy.refresh();
    assert_eq!(copy.visible().len(), 2);
    // 2^30 positions at 1,000,002 a value.
    for (text, expected) in [
        ("word", 1),
        ("n0", 1),
        ("n1073", 1),
        ("n1074", 0),
        ("after", 1),
    ] {
        assert_eq!(count(&copy, text), expected, "{text}");
    }
}

#[test]
fn the_largest_gap_leaves_room_for_one_value() {
    let mut copy = gapped(u32::MAX);
    copy.put("a", 1, &json!({"title": ["one", "two"]}));
    copy.put("b", 1, &json!({"title": "two"}));
    copy.refresh();
    assert_eq!((count(&copy, "one"), count(&copy, "two")), (1, 1));
}

#[test]
fn much_text_that_fits_is_indexed_to_its_end() {
    let mut copy = gapped(100);
    let long = format!("{} end", "word ".repeat(300_000));
    copy.put("a", 1, &json!({"title": [long, "last"]}));
    copy.refresh();
    assert_eq!((count(&copy, "end"), count(&copy, "last")), (1, 1));
}

#[test]
fn text_whose_analyzer_is_missing_is_analysed_with_standard() {
    let declared = json!({"properties": {"title": {"type": "text", "analyzer": "gone"}}});
    let mut copy = Copy::new(mapping(&declared));
    copy.put("a", 1, &json!({"title": "Some Text"}));
    copy.refresh();
    assert_eq!((count(&copy, "some"), count(&copy, "Some")), (1, 0));
    copy.open().expect("it opens again");
}
