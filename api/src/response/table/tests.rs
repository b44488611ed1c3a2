//! Tables of `_cat`: columns, order, alignment.

use super::*;

const COLUMNS: &[Column] = &[
    Column::text("index", "i,idx", "name"),
    Column::number("docs.count", "dc", "documents"),
    Column::text("extra", "", "more").on_demand(),
];

fn table() -> Table {
    let row = |name: &str, count: u64| vec![name.into(), count.into(), Cell::default()];
    Table {
        columns: COLUMNS,
        rows: vec![row("books", 9), row("a", 10)],
    }
}

fn text(query: &str) -> String {
    let parameters = Parameters::parse(Some(query)).expect("well formed");
    table().to_text(&parameters).expect("known columns")
}

#[test]
fn columns_line_up_under_their_titles() {
    assert_eq!(
        text("v"),
        "index docs.count\nbooks          9\na             10\n"
    );
    assert_eq!(text(""), "books  9\na     10\n");
}

#[test]
fn columns_are_chosen_and_rows_ordered() {
    assert_eq!(text("h=dc,i&s=docs.count:desc"), "10 a\n 9 books\n");
    assert_eq!(text("h=i&s=i"), "a\nbooks\n");
}

#[test]
fn json_rows_bear_the_names_asked_for() {
    let parameters = Parameters::parse(Some("h=i,extra")).expect("well formed");
    let json = table().to_json(&parameters).expect("known columns");
    assert_eq!(json[0], serde_json::json!({"i": "books", "extra": null}));
}

#[test]
fn an_unknown_sort_key_is_refused() {
    let parameters = Parameters::parse(Some("s=nope")).expect("well formed");
    assert!(table().to_text(&parameters).is_err());
}
