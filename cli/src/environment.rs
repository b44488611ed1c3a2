//! Variables of ours that nobody reads, refused at the start as unknown keys of a file are.
//!
//! A misspelt `GLEANER_LISTN` would otherwise be ignored, and the server would listen elsewhere than it was
//! meant to.

use std::ffi::OsString;

use anyhow::{Result, bail};
use clap::Command;

/// What the names of all our variables begin with.
const PREFIX: &str = "GLEANER_";

/// Variables that tests, benches and tools beside this program read. They may be set for all that a shell
/// starts.
const OF_TOOLS: [&str; 18] = [
    "GLEANER_BINARY",
    "GLEANER_DATA",
    "GLEANER_DRILL",
    "GLEANER_ETCD_IMAGE",
    "GLEANER_IMAGE",
    "GLEANER_NODE_NAME",
    "GLEANER_PORT",
    "GLEANER_PROVE",
    "GLEANER_REPORT_DIR",
    "GLEANER_SEARCH_THREADS",
    "GLEANER_SECOND_PORT",
    "GLEANER_SEED",
    "GLEANER_SIMULATE",
    "GLEANER_SKIPS",
    "GLEANER_THIRD_PORT",
    "GLEANER_WRITE_GOLDEN",
    "GLEANER_XTASK_CACHE",
    "GLEANER_XTASK_SKIP",
];

/// Refuses variables among `names` that begin like ours and that no command of `whole` reads.
///
/// # Errors
/// The first of them, with the one that is spelt most like it.
pub(crate) fn check(names: impl Iterator<Item = OsString>, whole: &Command) -> Result<()> {
    let known = known(whole);
    let ours = names.filter_map(|name| name.into_string().ok());
    let mut unknown: Vec<String> = ours
        .filter(|name| name.starts_with(PREFIX) && !is_of_service(name))
        .filter(|name| !known.contains(name))
        .collect();
    unknown.sort_unstable();
    let Some(name) = unknown.first() else {
        return Ok(());
    };
    let closest = known.iter().min_by_key(|other| distance(name, other));
    match closest.filter(|other| distance(name, other) <= 3) {
        Some(other) => bail!("environment variable `{name}` is unknown: is `{other}` meant?"),
        None => bail!(
            "environment variable `{name}` is unknown: unset it; `gleaner serve --help` names those there are"
        ),
    }
}

/// Returns the variables that commands read, and those of tools.
fn known(whole: &Command) -> Vec<String> {
    let mut known: Vec<String> = OF_TOOLS.map(str::to_owned).into();
    let mut commands = vec![whole];
    while let Some(command) = commands.pop() {
        let read = command.get_arguments().filter_map(clap::Arg::get_env);
        known.extend(read.filter_map(|name| name.to_str()).map(str::to_owned));
        commands.extend(command.get_subcommands());
    }
    known.sort_unstable();
    known.dedup();
    known
}

/// Is it one that Kubernetes and Docker set for a service called `gleaner` or `gleaner-…`, as in
/// `GLEANER_PORT` and `GLEANER_ROOT_PORT_9200_TCP_ADDR`?
fn is_of_service(name: &str) -> bool {
    let is_port = |rest: &str| {
        let number = rest.split('_').next().unwrap_or_default();
        number.parse::<u16>().is_ok()
    };
    name.ends_with("_PORT")
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT_")
        || name
            .split_once("_PORT_")
            .is_some_and(|(_, rest)| is_port(rest))
}

/// Returns how many letters must be put in, taken out or replaced to make `other` of `one`.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, other_letter) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(letter != other_letter);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use walkdir::WalkDir;

    use super::*;
    use crate::arguments::Arguments;

    fn told(names: &[&str]) -> Result<()> {
        check(names.iter().map(OsString::from), &Arguments::command())
    }

    #[test]
    fn a_misspelt_variable_is_named_with_the_one_that_is_meant() {
        let cases = [
            ("GLEANER_LISTN", "`GLEANER_LISTEN`"),
            ("GLEANER_LISTEN_", "`GLEANER_LISTEN`"),
            ("GLEANER_MAX_BULKS", "`GLEANER_MAX_BULK`"),
            ("GLEANER_DATADIR", "`GLEANER_DATA_DIR`"),
            ("GLEANER_FRIENDS_OF_OURS", "--help"),
        ];
        for (name, hint) in cases {
            let error = told(&["HOME", "GLEANER_LISTEN", name]).expect_err("unknown");
            let error = error.to_string();
            assert!(error.contains(name) && error.contains(hint), "{error}");
        }
    }

    #[test]
    fn what_container_platforms_set_for_a_service_is_no_misspelling() {
        told(&[
            "GLEANER_PORT",
            "GLEANER_SERVICE_HOST",
            "GLEANER_SERVICE_PORT",
            "GLEANER_SERVICE_PORT_HTTP",
            "GLEANER_ROOT_PORT_9200_TCP_ADDR",
            "PATH",
        ])
        .expect("all are allowed");
    }

    /// Tests run the program with what is set for them.
    #[test]
    fn every_variable_that_the_sources_name_is_known() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let known = known(&Arguments::command());
        let own = std::path::Path::new(file!()).file_name().expect("a file");
        let is_source = |entry: &walkdir::DirEntry| {
            let name = entry.file_name().to_string_lossy();
            !name.starts_with('.') && name != "target" || entry.depth() == 0
        };
        let mut num_named = 0;
        for entry in WalkDir::new(root).into_iter().filter_entry(is_source) {
            let entry = entry.expect("the workspace can be read");
            let is_rust = entry.path().extension().is_some_and(|end| end == "rs");
            if !is_rust || entry.file_name() == own {
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).expect("a source");
            let is_letter = |letter: char| letter.is_ascii_uppercase() || letter == '_';
            for word in text.split(|letter| !is_letter(letter)) {
                if word.len() > PREFIX.len() && word.starts_with(PREFIX) {
                    assert!(
                        known.iter().any(|known| known == word),
                        "{word} in {}: a name of another thing, or one to add",
                        entry.path().display()
                    );
                    num_named += 1;
                }
            }
        }
        assert!(num_named > 50, "{num_named}");
    }
}
