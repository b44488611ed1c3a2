//! Running other programs: cargo, Python, tools; reading the counts that they print.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context, ensure};

use crate::{
    report::{Counts, Outcome},
    workspace::Workspace,
};

/// Returns cargo, the one that started us, at the root of the checkout.
pub(crate) fn cargo<A: AsRef<OsStr>>(
    workspace: &Workspace,
    arguments: impl IntoIterator<Item = A>,
) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace.root());
    command
}

/// Runs `command` to its end; a non-zero exit is an error.
pub(crate) fn run_program(mut command: Command) -> anyhow::Result<Outcome> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(Outcome::PASSED)
}

/// Runs a program that prints how many tests passed, shows its lines and sums them up.
///
/// A program that ends badly without naming a failed test counts as one failure, and so does one that ran
/// none: a suite that does not compile, dies half way or is not found must not look like success.
pub(crate) fn run_tests(command: &mut Command) -> anyhow::Result<Counts> {
    command.stdout(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let stdout = child
        .stdout
        .take()
        .context("the pipe to a program is open")?;
    let mut counts = Counts::default();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.context("cannot read the program's output")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        counts += counted(&line).unwrap_or_default();
    }
    Ok(judged(counts, child.wait()?).or_failed())
}

/// Sums up what a program printed that ended with `status`.
pub(crate) fn counts_of(printed: &str, status: ExitStatus) -> Counts {
    let mut counts = Counts::default();
    for line in printed.lines() {
        counts += counted(line).unwrap_or_default();
    }
    judged(counts, status)
}

/// Returns the counts of a program; one that ended badly without naming a failed test counts as one failure.
fn judged(mut counts: Counts, status: ExitStatus) -> Counts {
    if !status.success() && counts.failed == 0 {
        counts.failed = 1;
    }
    counts
}

/// Can this program be started?
pub(crate) fn is_available(program: &Path, probe: &str) -> bool {
    Command::new(program)
        .arg(probe)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Reads `test result: ok. 12 passed; 0 failed; …` and `12 passed, 0 failed…`.
fn counted(line: &str) -> Option<Counts> {
    let line = line.trim();
    let body = match line.strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ")?.1,
        None => line,
    };
    let (passed, rest) = body.split_once(" passed")?;
    let rest = rest.strip_prefix([';', ','])?.trim_start();
    let (failed, _) = rest.split_once(" failed")?;
    Some(Counts {
        passed: passed.parse().ok()?,
        failed: failed.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_cargo_and_from_the_python_drivers() {
        let cargo =
            "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            counted(cargo),
            Some(Counts {
                passed: 12,
                failed: 3
            })
        );
        let driver = "41 passed, 0 failed, 7 skipped";
        assert_eq!(
            counted(driver),
            Some(Counts {
                passed: 41,
                failed: 0
            })
        );
        assert_eq!(counted("test a_thing ... ok"), None);
    }

    #[test]
    fn a_program_that_dies_without_counts_or_runs_no_test_is_one_failure() {
        for program in ["false", "true"] {
            let counts = run_tests(&mut Command::new(program)).expect("it started");
            assert_eq!(
                counts,
                Counts {
                    passed: 0,
                    failed: 1
                }
            );
        }
    }
}
