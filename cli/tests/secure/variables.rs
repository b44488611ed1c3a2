//! Flags that are given by a variable that says `false`: they are not given.

use std::fs;

use anyhow::Result;

use crate::running::{Running, gleaner, told};
use crate::word;

/// Runs a command to its end; returns its exit code and what it said.
fn run(variables: &[(&str, &str)], words: &[&str]) -> (i32, String) {
    let mut command = gleaner();
    command.envs(variables.iter().copied()).args(words);
    told(&command.output().expect("it runs"))
}

/// Starts a command that listens, and stops it.
fn check_serves(variables: &[(&str, &str)], words: &[&str]) {
    let mut command = gleaner();
    command
        .envs(variables.iter().copied())
        .args(words)
        .args(["--listen", "127.0.0.1:0"]);
    let running = Running::of(&mut command);
    running.address();
    assert_eq!(running.stop(), 0);
}

#[test]
fn a_variable_that_says_false_needs_no_other_flag() {
    let variables = [
        ("GLEANER_ADAPTER_FOLLOW", "false"),
        ("GLEANER_ADAPTER_NO_JOIN", "false"),
    ];
    let (code, said) = run(&variables, &["adapter", "logs"]);
    assert_eq!(code, 0, "{said}");
    let variables = [
        ("GLEANER_ADAPTER_SLOWLOG", "false"),
        ("GLEANER_ADAPTER_SLOWLOG_ARGUMENTS", "false"),
    ];
    check_serves(&variables, &["adapter", "redis"]);
    let words = ["front", "--backend", "http://127.0.0.1:1"];
    check_serves(&[("GLEANER_FRONT_CANARY", "false")], &words);
}

#[test]
fn an_index_is_loaded_or_followed_as_variables_say() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, notes) = (folder.path().join("a.ndjson"), folder.path().join("notes"));
    fs::write(&file, "{\"id\": \"a\"}\n")?;
    fs::create_dir(&notes)?;
    fs::write(notes.join("one.txt"), "tea\n")?;
    let data = folder.path().join("data");
    let data = ["serve", "--listen", "127.0.0.1:0", "--data", word(&data)];
    let server = Running::start(&data);
    let url = format!("http://{}", server.address());
    let load = ["index", "--url", &url, "--index", "a"];
    let load = [&load[..], &["--format", "ndjson", "--id-field", "id"]].concat();
    let variables = [
        ("GLEANER_INDEX_WATCH", "false"),
        ("GLEANER_INDEX_ONCE", "false"),
        ("GLEANER_INDEX_NO_REFRESH", "false"),
        ("GLEANER_INDEX_QUIET", "false"),
    ];
    let (code, said) = run(&variables, &[&load[..], &[word(&file)]].concat());
    assert_eq!(code, 0, "{said}");
    let variables = [
        ("GLEANER_INDEX_WATCH", "true"),
        ("GLEANER_INDEX_ONCE", "true"),
        ("GLEANER_INDEX_NO_REFRESH", "false"),
    ];
    let watch = ["index", "--url", &url, "--index", "notes", word(&notes)];
    let (code, said) = run(&variables, &watch);
    assert_eq!(code, 0, "{said}");
    assert_eq!(server.stop(), 0);
    Ok(())
}

#[test]
fn flags_that_do_not_go_together_are_refused_by_name() {
    let index = ["index", "--index", "a", "file"];
    let redis = ["adapter", "redis", "--listen", "127.0.0.1:0"];
    let no_watch = ("GLEANER_INDEX_WATCH", "false");
    let watch = ("GLEANER_INDEX_WATCH", "true");
    let no_slowlog = ("GLEANER_ADAPTER_SLOWLOG", "false");
    let cases: [(_, &[&str], &[&str], _); 9] = [
        (no_watch, &index, &["--once"], "`--once`"),
        (no_watch, &index, &["--ref", "main"], "`--ref`"),
        (no_watch, &index, &["--source", "a"], "`--source`"),
        (no_watch, &index, &["--period", "1s"], "`--period`"),
        (no_watch, &index, &["--max-file", "1kb"], "`--max-file`"),
        (watch, &index, &["--no-refresh"], "`--no-refresh`"),
        (watch, &index, &["--id-field", "a"], "`--id-field`"),
        (no_slowlog, &redis, &["--slowlog-arguments"], "`--slowlog`"),
        (no_slowlog, &redis, &["--slowlog-state", "a"], "`--slowlog`"),
    ];
    for (variable, command, flags, named) in cases {
        let (code, said) = run(&[variable], &[command, flags].concat());
        assert_eq!(code, 1, "{flags:?}: {said}");
        assert!(said.contains("cannot be used"), "{flags:?}: {said}");
        assert!(said.contains(named), "{flags:?}: {said}");
    }
    let (code, said) = run(&[("GLEANER_ADAPTER_FOLLOW", "true")], &["adapter", "logs"]);
    assert!(code == 1 && said.contains("<FILE>"), "{said}");
}
