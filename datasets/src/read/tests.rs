//! Tests of the readers through their one door, [`documents`].

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::{Document, Size};

fn read(format: Format, text: &str, options: Options) -> Vec<Result<Document, DatasetError>> {
    let bytes = Cursor::new(text.as_bytes().to_vec());
    let input = Input::from_reader("in", Size::Unknown, bytes).expect("memory can be read");
    documents(input, format, options).collect()
}

fn with_id(field: &str) -> Options {
    Options {
        id_field: Some(field.to_owned()),
        ..Options::default()
    }
}

/// Writes each result as `id source`, or as the error's message.
fn told(results: Vec<Result<Document, DatasetError>>) -> Vec<String> {
    let tell = |result| match result {
        Ok(Document { id, source }) => format!("{} {source}", id.as_deref().unwrap_or("-")),
        Err(error) => DatasetError::to_string(&error),
    };
    results.into_iter().map(tell).collect()
}

#[test]
fn ndjson_goes_on_behind_a_bad_line_and_names_it() {
    let text = "{\"id\":\"a\"}\r\n\n{\"id\":\n{\"n\":1}\n{\"id\":\"b\"}";
    let found = told(read(Format::Ndjson, text, with_id("id")));
    assert_eq!(found[0], "a {\"id\":\"a\"}");
    assert!(
        found[1].starts_with("in:3:6: not a JSON object: EOF") && !found[1].contains("column"),
        "{}",
        found[1]
    );
    assert!(
        found[2].starts_with("in:4: field `id` is absent"),
        "{}",
        found[2]
    );
    assert_eq!(found[3], "b {\"id\":\"b\"}");
}

#[test]
fn a_line_longer_than_the_limit_is_skipped_and_the_next_is_read() {
    let text = format!("{{\"a\":\"{}\"}}\n{{\"b\":1}}\n", "x".repeat(100));
    let options = Options {
        max_document_bytes: 20,
        ..Options::default()
    };
    let found = told(read(Format::Ndjson, &text, options));
    assert_eq!(found, ["in:1: longer than 20 bytes", "- {\"b\":1}"]);
}

#[test]
fn a_line_as_long_as_the_limit_is_read() {
    for end in ["", "\n"] {
        let options = Options {
            max_document_bytes: 7,
            ..Options::default()
        };
        assert_eq!(
            told(read(Format::Ndjson, &format!("{{\"b\":1}}{end}"), options)),
            ["- {\"b\":1}"]
        );
    }
}

#[test]
fn json_arrays_are_read_element_by_element() {
    let text = "[\n {\"t\": \"]}\\\"{\"},\n {\n  \"n\": [1, {}]\n }, {\"bad\": tru}\n, {}\n]\n";
    let found = told(read(Format::Json, text, Options::default()));
    assert_eq!(found[0], "- {\"t\": \"]}\\\"{\"}");
    assert_eq!(found[1], "- {\n  \"n\": [1, {}]\n }");
    assert!(
        found[2].starts_with("in:5:16: not a JSON object"),
        "{}",
        found[2]
    );
    assert_eq!(found[3], "- {}");
}

#[test]
fn objects_one_after_another_are_json_too() {
    assert_eq!(
        told(read(
            Format::Json,
            "{\"a\":1} {\"b\":2}",
            Options::default()
        ))
        .len(),
        2
    );
}

#[test]
fn a_json_array_that_is_cut_off_is_an_error() {
    let found = told(read(Format::Json, "[{}, {\n\"a\": 1", Options::default()));
    assert_eq!(found, ["- {}", "in:2: the object of line 1 is not closed"]);
    assert_eq!(
        told(read(Format::Json, "[{},", Options::default()))[1],
        "in:1: the array is not closed"
    );
    assert_eq!(
        told(read(Format::Json, "[1]", Options::default())),
        ["in:1: saw `1`, wanted an object"]
    );
}

#[test]
fn csv_rows_become_objects_of_strings_without_the_empty_cells() {
    let text = "id,name,note\n1,\"a \"\"b\"\"\nc\",\n2,d\n3,e,f\n";
    let found = told(read(Format::Csv, text, with_id("id")));
    assert_eq!(found[0], r#"1 {"id":"1","name":"a \"b\"\nc"}"#);
    assert_eq!(found[1], "in:4: the row has 2 cells, the header has 3");
    assert_eq!(found[2], r#"3 {"id":"3","name":"e","note":"f"}"#);
}

#[test]
fn a_quote_in_tsv_is_a_character() {
    let text = "a\tb\n\"open\tx\n5\" disk\t\"y\"\n";
    assert_eq!(
        told(read(Format::Tsv, text, Options::default())),
        [
            "- {\"a\":\"\\\"open\",\"b\":\"x\"}",
            "- {\"a\":\"5\\\" disk\",\"b\":\"\\\"y\\\"\"}"
        ]
    );
}

#[test]
fn tsv_is_split_at_tabs_and_two_columns_of_one_name_are_refused() {
    assert_eq!(
        told(read(Format::Tsv, "a\tb\n1,2\t3\n", Options::default())),
        [r#"- {"a":"1,2","b":"3"}"#]
    );
    let found = told(read(Format::Tsv, "a\ta\n1\t2\n", Options::default()));
    assert_eq!(
        found,
        ["in:1: the header names column 2 `a`: wanted a name of its own"]
    );
}

#[test]
fn a_quote_that_is_never_closed_does_not_swallow_the_file() {
    let text = format!("a\n\"{}", "x\n".repeat(1_000_000));
    let options = Options {
        max_document_bytes: 1000,
        ..Options::default()
    };
    let results = read(Format::Csv, &text, options);
    assert!(
        matches!(results[..], [Err(DatasetError::Read { .. })]),
        "{:?}",
        results.len()
    );
}

#[test]
fn a_quote_that_is_open_where_the_file_ends_is_told_with_its_line() {
    let text = "a,b\n1,x\n2,\"y\n3,z\n4,w\n";
    let mut results = read(Format::Csv, text, Options::default());
    let Some(Err(DatasetError::Read { place, source })) = results.pop() else {
        panic!("the quote is never closed");
    };
    assert_eq!(place.to_string(), "in:3");
    assert!(source.to_string().contains("opened on line 3"), "{source}");
    assert_eq!(told(results), [r#"- {"a":"1","b":"x"}"#]);
}

#[test]
fn a_header_that_is_not_utf8_ends_the_table() {
    for (format, bytes) in [
        (Format::Csv, &b"a,\xe9\n1,2\n3,4\n"[..]),
        (Format::Tsv, &b"a\t\xe9\n1\t2\n3\t4\n"[..]),
    ] {
        let input = Input::from_reader("in", Size::Unknown, Cursor::new(bytes.to_vec()));
        let results = documents(input.expect("memory"), format, Options::default());
        let results: Vec<_> = results.collect();
        assert!(matches!(&results[..], [Err(error)] if error.is_fatal()));
        assert_eq!(told(results), ["in:1: the header is not UTF-8"]);
    }
}

#[test]
fn bulk_files_give_documents_with_the_ids_of_their_actions() {
    let text = "{\"index\":{\"_id\":\"a\"}}\n{\"x\":1}\n{\"create\":{}}\n{\"x\":2}\n{\"delete\":{\"_id\":\"a\"}}\n{\"index\":{}}\n{}\n";
    assert_eq!(
        told(read(Format::Bulk, text, Options::default())),
        [
            "a {\"x\":1}",
            "- {\"x\":2}",
            "in:5: saw `delete`, wanted only `index` and `create`",
        ]
    );
}

#[test]
fn a_bulk_file_that_ends_behind_an_action_is_an_error() {
    assert_eq!(
        told(read(Format::Bulk, "{\"index\":{}}\n", Options::default())),
        ["in:2: the file ends, wanted the source of the action above"]
    );
    let unknown = told(read(
        Format::Bulk,
        "{\"drop\":{}}\n{}\n",
        Options::default(),
    ));
    assert_eq!(
        unknown,
        ["in:1: wanted `index`, `create`, `update` or `delete`"]
    );
}

#[test]
fn all_operations_of_a_bulk_file_can_be_had() {
    let text =
        "{\"update\":{\"_id\":7,\"_index\":\"i\"}}\n{\"doc\":{}}\n{\"delete\":{\"_id\":\"a\"}}\n";
    let input = Input::from_reader("in", Size::Unknown, Cursor::new(text)).expect("memory");
    let found: Vec<_> = bulk::operations(input, &Options::default())
        .map(|operation| operation.expect("valid"))
        .collect();
    assert_eq!(found[0].action, bulk::Action::Update);
    assert_eq!(found[0].id.as_deref(), Some("7"));
    assert_eq!(found[0].metadata, "{\"_id\":7,\"_index\":\"i\"}");
    assert_eq!((found[1].line, &found[1].source), (3, &None));
}

#[test]
fn an_id_on_an_action_line_is_what_servers_take_it_for() {
    let operations = |text: &'static str| {
        let input = Input::from_reader("in", Size::Unknown, Cursor::new(text)).expect("memory");
        bulk::operations(input, &Options::default()).collect::<Vec<_>>()
    };
    let found = operations(
        "{\"index\":{\"_id\":null,\"routing\":\"r\"}}\n{}\n{\"delete\":{\"_id\":true}}\n",
    );
    let told: Vec<_> = found
        .iter()
        .map(|next| next.as_ref().expect("valid"))
        .map(|next| (next.id.as_deref(), next.metadata.as_str()))
        .collect();
    let expected = [
        (None, "{\"routing\":\"r\"}"),
        (Some("true"), "{\"_id\":true}"),
    ];
    assert_eq!(told, expected);
    let found = operations("{\"index\":{\"_id\":[1]}}\n{}\n");
    assert_eq!(found.len(), 1, "it is not known what follows");
    let error = found[0].as_ref().expect_err("no id").to_string();
    assert_eq!(error, "in:1: the `_id` is no text");
}

#[test]
fn an_operation_that_would_spoil_its_request_is_one_fault() {
    let text = "{\"update\":{}}\n{\"doc\":{}}\n{\"delete\":{\"_id\":\"\"}}\n\
                {\"update\":{\"_id\":\"a\"}}\n{\"doc\":\n{\"delete\":{\"_id\":\"b\"}}\n";
    let input = Input::from_reader("in", Size::Unknown, Cursor::new(text)).expect("memory");
    let found: Vec<_> = bulk::operations(input, &Options::default()).collect();
    let begins = |at: usize, begin: &str| {
        let error = found[at].as_ref().expect_err("a fault");
        assert!(
            !error.is_fatal() && error.to_string().starts_with(begin),
            "{error}"
        );
    };
    begins(0, "in:1: field `_id` is absent");
    begins(1, "in:3: field `_id` is absent");
    begins(2, "in:5:7: not a JSON object");
    let lost = found[2].as_ref().expect_err("a fault").text();
    assert_eq!(lost, Some("{\"update\":{\"_id\":\"a\"}}\n{\"doc\":"));
    assert_eq!(found[3].as_ref().expect("valid").id.as_deref(), Some("b"));
    assert_eq!(found.len(), 4);
}

#[test]
fn a_fault_names_one_place_and_keeps_the_text() {
    let cases = [
        (Format::Ndjson, "{}\n  {\"a\":}\n", "in:2:8: ", "{\"a\":}"),
        (Format::Json, "[{}, {\"a\":}]", "in:1:11: ", "{\"a\":}"),
        (
            Format::Json,
            "[{},\n {\n  \"a\":}]",
            "in:3:7: ",
            "{\n  \"a\":}",
        ),
        (
            Format::Csv,
            "a,b\n\"x,\"\"y\",1,2\n",
            "in:2: ",
            "\"x,\"\"y\",1,2",
        ),
        (Format::Tsv, "a\tb\n\"x\n", "in:2: ", "\"x"),
        (
            Format::Bulk,
            "{\"index\":{}}\n{\"a\":}\n",
            "in:2:6: ",
            "{\"a\":}",
        ),
    ];
    for (format, text, place, lost) in cases {
        let faults = read(format, text, Options::default());
        let fault = faults.iter().find_map(|read| read.as_ref().err());
        let fault = fault.expect("one is wrong");
        let told = fault.to_string();
        assert!(told.starts_with(place), "{told}");
        assert!(
            !told.contains("column") && !told.contains("byte:"),
            "{told}"
        );
        assert_eq!(fault.text(), Some(lost), "{told}");
    }
    let missing = &read(Format::Ndjson, "{\"a\":1}\n", with_id("id"))[0];
    let fault = missing.as_ref().expect_err("no id");
    assert_eq!(fault.text(), Some("{\"a\":1}"));
}

#[test]
fn the_format_is_guessed_behind_the_compression() {
    let of = |name: &str| Format::of_path(Path::new(name));
    assert_eq!(of("a/b.jsonl.zst"), Some(Format::Ndjson));
    assert_eq!(of("b.JSON.gz"), Some(Format::Json));
    assert_eq!(
        (of("b.tsv"), of("b.parquet"), of("noext")),
        (Some(Format::Tsv), None, None)
    );
    let error = "xml".parse::<Format>().expect_err("not a format");
    assert_eq!(
        error.to_string(),
        "no format `xml`; there are: ndjson, json, csv, tsv, bulk"
    );
}

proptest! {
    #[test]
    fn ndjson_and_a_json_array_of_the_same_objects_are_the_same(
        texts in prop::collection::vec("\\PC{0,20}", 0..20),
    ) {
        let objects: Vec<String> =
            texts.iter().map(|text| serde_json::json!({"t": text, "n": [{}]}).to_string()).collect();
        let lines = told(read(Format::Ndjson, &objects.join("\n"), Options::default()));
        let array = format!("[{}]", objects.join(",\n"));
        prop_assert_eq!(lines, told(read(Format::Json, &array, Options::default())));
    }

    #[test]
    fn no_input_makes_a_reader_panic_or_hang(
        text in "[\\[\\]{}\",:\\\\a1 \n\t]{0,80}",
        kind in 0..5_usize,
    ) {
        let format = Format::NAMES[kind].1;
        let options = Options { max_document_bytes: 30, ..Options::default() };
        prop_assert!(read(format, &text, options).len() <= 82);
    }
}
