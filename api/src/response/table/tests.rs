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
fn a_cell_that_nobody_told_is_a_word_in_text_and_nothing_in_json() {
    let parameters = Parameters::parse(Some("h=dc,i&s=dc")).expect("well formed");
    let row = |count: Cell| vec!["books".into(), count, Cell::default()];
    let table = Table {
        columns: COLUMNS,
        rows: vec![row(10_u64.into()), row(Cell::unknown())],
    };
    let text = table.to_text(&parameters).expect("known columns");
    assert_eq!(text, " - books\n10 books\n");
    let json = table.to_json(&parameters).expect("known columns");
    assert_eq!(json[0]["dc"], Value::Null);
}

#[test]
fn columns_are_chosen_and_rows_ordered() {
    assert_eq!(text("h=dc,i&s=docs.count:desc"), "10 a\n 9 books\n");
    assert_eq!(text("h=i&s=i"), "a\nbooks\n");
}

#[test]
fn the_time_of_a_table_is_left_out_when_nobody_wants_it() {
    const TIMED: &[Column] = &[
        Column::text("epoch", "t", "seconds"),
        Column::text("timestamp", "ts", "time of day"),
        Column::text("count", "dc", "documents"),
    ];
    let shown = |query: &str| {
        let parameters = Parameters::parse(Some(query)).expect("well formed");
        let table = Table {
            columns: TIMED,
            rows: vec![vec!["1".into(), "00:00:01".into(), "7".into()]],
        };
        table.to_text(&parameters).expect("known columns")
    };
    assert_eq!(shown("ts=false&v"), "count\n7\n");
    assert_eq!(shown("ts=false&h=t,count"), "7\n");
    assert_eq!(shown("ts"), "1 00:00:01 7\n");
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
    let refused = table().to_text(&parameters).expect_err("it is unknown");
    assert_eq!(
        refused.reason(),
        "Unable to sort by unknown sort key `nope`"
    );
}

/// Cells of every kind, in their order.
fn mixture() -> Vec<Cell> {
    vec![
        Cell::default(),
        Cell::quantity("-1".to_owned(), -1.0),
        2_u64.into(),
        10_u64.into(),
        Cell::quantity("1kb".to_owned(), 1024.0),
        Cell::quantity("NaN".to_owned(), f64::NAN),
        "".into(),
        "10".into(),
        "2".into(),
        "a".into(),
    ]
}

#[test]
fn cells_of_every_kind_have_one_order() {
    let cells = mixture();
    for (i, a) in cells.iter().enumerate() {
        for (j, b) in cells.iter().enumerate() {
            assert_eq!(a.compare(b), i.cmp(&j), "{a:?} {b:?}");
        }
    }
}

#[test]
fn rows_of_mixed_cells_are_ordered_however_they_stood() {
    let cells = mixture();
    for step in [1, 3, 7, 9] {
        let row = |n: usize| vec![cells[n * step % cells.len()].clone(); COLUMNS.len()];
        let table = Table {
            columns: COLUMNS,
            rows: (0..200).map(row).collect(),
        };
        let parameters = Parameters::parse(Some("h=i&s=i")).expect("well formed");
        let json = table.to_json(&parameters).expect("known columns");
        let shown = json.as_array().expect("a list").iter();
        let mut shown: Vec<_> = shown.map(|row| row["i"].clone()).collect();
        shown.dedup();
        let expected: Vec<_> = cells.iter().map(|cell| cell.shown.clone()).collect();
        assert_eq!(serde_json::json!(shown), serde_json::json!(expected));
    }
}
