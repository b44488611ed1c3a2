//! Tests that said they cannot run here: read from a file, taken off those that passed.
//!
//! To Rust's test runner such a test has passed. The test kit (`testkit/src/skip.rs`) adds a line for
//! each to the file that `GLEANER_SKIPS` names; [`run_tests`] gives a run a file of its own.

use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Write},
    path::Path,
    process::Command,
};

use anyhow::{Context, ensure};

use crate::{
    command,
    report::{Counts, Outcome},
    workspace::Workspace,
};

/// The variable that the test kit reads.
pub(crate) const VARIABLE: &str = "GLEANER_SKIPS";

/// A test that did not run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skip {
    /// `<target>::<function>`.
    pub(crate) test: String,
    /// Why, in a line.
    pub(crate) reason: String,
}

/// Runs Rust's tests as [`command::run_tests`] does, and tells those that were skipped from those that
/// passed.
///
/// # Errors
/// Also when more tests say they were skipped than passed: one of them failed after it had said so.
pub(crate) fn run_tests(workspace: &Workspace, mut tests: Command) -> anyhow::Result<Outcome> {
    counting(workspace, |file| {
        command::run_tests(tests.env(VARIABLE, file))
    })
}

/// Runs tests that are given the file as [`VARIABLE`].
///
/// # Errors
/// As [`run_tests`].
pub(crate) fn counting(
    workspace: &Workspace,
    run: impl FnOnce(&Path) -> anyhow::Result<Counts>,
) -> anyhow::Result<Outcome> {
    fs::create_dir_all(workspace.scratch())?;
    // Two runs in one build folder have a file each.
    let name = format!("skips-{}", std::process::id());
    let file = workspace.scratch().join(name);
    // Lines of an earlier step must not speak for this one.
    taken(&file)?;
    let counts = run(&file)?;
    let told = taken(&file)?;
    without(counts, parse(&told)?)
}

/// Says as the test kit does that a test cannot run here.
pub(crate) fn note(file: &Path, test: &str, reason: &str) -> anyhow::Result<()> {
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)?;
    let reason = reason.replace('\n', " ");
    file.write_all(format!("{test}\t{reason}\n").as_bytes())?;
    Ok(())
}

/// Returns what stands in `file`, and removes it; nothing where there is none.
fn taken(file: &Path) -> anyhow::Result<String> {
    let told = match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        told => told.with_context(|| file.display().to_string())?,
    };
    fs::remove_file(file).with_context(|| file.display().to_string())?;
    Ok(told)
}

/// Reads lines `<test>\t<reason>`, in the order of the tests; a test that is there twice counts once.
fn parse(told: &str) -> anyhow::Result<Vec<Skip>> {
    let mut skips = BTreeMap::new();
    for line in told.lines() {
        let skip = line.split_once('\t');
        let (test, reason) = skip.with_context(|| format!("no test with a reason: `{line}`"))?;
        skips.insert(test.to_owned(), reason.to_owned());
    }
    let skips = skips.into_iter();
    Ok(skips.map(|(test, reason)| Skip { test, reason }).collect())
}

/// Takes the skipped tests off those that passed.
fn without(counts: Counts, skips: Vec<Skip>) -> anyhow::Result<Outcome> {
    let Counts { passed, failed } = counts;
    ensure!(
        skips.len() <= passed,
        "{passed} tests passed, {failed} failed, and {} say they were skipped: {skips:?}",
        skips.len()
    );
    let counts = Counts {
        passed: passed - skips.len(),
        failed,
    };
    Ok(Outcome::Ran {
        counts,
        skips,
        failures: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(test: &str, reason: &str) -> Skip {
        Skip {
            test: test.into(),
            reason: reason.into(),
        }
    }

    fn counts(passed: usize, failed: usize) -> Counts {
        Counts { passed, failed }
    }

    #[test]
    fn each_line_is_a_test_and_its_reason() {
        let told = "b::two\tno curl\na::one\tno disk: 5 MiB\nb::two\tno curl\n";
        let skips = parse(told).expect("two tests");
        assert_eq!(
            skips,
            [skip("a::one", "no disk: 5 MiB"), skip("b::two", "no curl")]
        );
        assert_eq!(parse("").expect("no test"), []);
        assert!(parse("a::one no tab\n").is_err());
    }

    #[test]
    fn skipped_tests_have_not_passed() {
        let skips = vec![skip("a", "x"), skip("b", "y")];
        let outcome = without(counts(5, 1), skips.clone()).expect("fewer");
        let Outcome::Ran {
            counts: left,
            skips: told,
            ..
        } = outcome
        else {
            panic!("the step ran");
        };
        assert_eq!((left, told), (counts(3, 1), skips.clone()));
        // Those that passed, all of them skipped.
        assert!(without(counts(2, 0), skips.clone()).is_ok());
        let error = without(counts(1, 1), skips).err().expect("more");
        assert!(error.to_string().contains("2 say"), "{error}");
    }
}
