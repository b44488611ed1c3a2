//! `gleaner dataset list` and `describe` as users run them, on a machine with few collections.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

/// Runs `gleaner dataset` where there is no cargo registry, and `data` holds the shared collections.
fn dataset(data: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gleaner"));
    command.arg("dataset").args(words).stdin(Stdio::null());
    command
        .env("GLEANER_DATA", data)
        .env("CARGO_HOME", data.join("no-cargo"))
        .env_remove("RUST_BACKTRACE");
    command.output().expect("it runs")
}

/// Returns what a command printed that ended well and had nothing to complain of; `data` is shown as `DATA`.
fn printed(data: &Path, words: &[&str]) -> String {
    let output = dataset(data, words);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.is_empty(), "{told}");
    let printed = String::from_utf8(output.stdout).expect("text");
    printed.replace(&data.display().to_string(), "DATA")
}

/// A folder with one shared collection: SciFact, of two documents.
fn with_scifact() -> tempfile::TempDir {
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().join("scifact");
    fs::create_dir(&folder).expect("made");
    let documents = "{\"_id\":\"1\",\"title\":\"a\",\"text\":\"b\"}\n\
                     {\"_id\":\"2\",\"title\":\"c\",\"text\":\"d\"}\n";
    for (name, text) in [
        ("corpus.jsonl", documents),
        ("queries.jsonl", "{\"_id\":\"q\",\"text\":\"b\"}\n"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\nq\t1\t1\n"),
    ] {
        fs::write(folder.join(name), text).expect("written");
    }
    data
}

#[test]
fn the_list_tells_built_in_from_found_from_absent() {
    let data = with_scifact();
    insta::assert_snapshot!(printed(data.path(), &["list"]));
}

#[test]
fn collections_that_are_here_are_described_with_their_size() {
    let data = with_scifact();
    let names = ["collection", "scifact"];
    let described = names.map(|name| printed(data.path(), &["describe", name]));
    insta::assert_snapshot!(described.join("\n"));
}

#[test]
fn a_collection_that_is_absent_is_described_and_said_to_be_missing() {
    let data = tempfile::tempdir().expect("a folder");
    let names = ["crates", "scifact", "cve"];
    let described = names.map(|name| printed(data.path(), &["describe", name]));
    insta::assert_snapshot!(described.join("\n"));
}

#[test]
fn an_unknown_collection_is_refused_with_those_that_are_known() {
    let data = tempfile::tempdir().expect("a folder");
    let output = dataset(data.path(), &["describe", "imdb"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stderr));
}
