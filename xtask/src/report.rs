//! Steps, their outcomes, and the lines that a run prints about them.

use std::{
    ops::AddAssign,
    time::{Duration, Instant},
};

use crate::workspace::Workspace;

/// One thing that must pass.
pub(crate) struct Step {
    /// What stands in the report: a few words.
    pub(crate) name: &'static str,
    /// Runs the step; an error counts as one failure and the run goes on.
    pub(crate) run: fn(&Workspace) -> anyhow::Result<Outcome>,
}

/// What a step found.
pub(crate) enum Outcome {
    /// The step ran; a step that is not made of tests counts as one.
    Ran(Counts),
    /// The step could not run here, and why. It counts neither as passed nor as failed.
    Skipped(String),
}

impl Outcome {
    /// A step that passed as a whole.
    pub(crate) const PASSED: Self = Self::Ran(Counts {
        passed: 1,
        failed: 0,
    });
}

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Counts {
    /// Returns these counts, or one failure where nothing ran.
    pub(crate) fn or_failed(self) -> Self {
        if self == Self::default() {
            println!("no test ran");
            return Self {
                passed: 0,
                failed: 1,
            };
        }
        self
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// What became of the steps of one command.
#[derive(Default)]
pub(crate) struct Report {
    lines: Vec<String>,
    total: Counts,
    num_skipped: usize,
}

impl Report {
    /// Runs `steps` in order; none is left out because an earlier one failed.
    pub(crate) fn of<'a>(workspace: &Workspace, steps: impl IntoIterator<Item = &'a Step>) -> Self {
        let mut report = Self::default();
        for step in steps {
            report.run(workspace, step);
        }
        report
    }

    fn run(&mut self, workspace: &Workspace, step: &Step) {
        self.time(step.name, || (step.run)(workspace));
    }

    /// Runs `step` under `name` and notes its duration and outcome.
    pub(crate) fn time(&mut self, name: &str, step: impl FnOnce() -> anyhow::Result<Outcome>) {
        println!("\n==> {name}");
        let began = Instant::now();
        let outcome = step();
        self.note(name, began.elapsed(), outcome);
    }

    fn note(&mut self, name: &str, elapsed: Duration, outcome: anyhow::Result<Outcome>) {
        let (verdict, counts) = match outcome {
            Ok(Outcome::Ran(counts)) if counts.failed == 0 => {
                (format!("ok       {} passed", counts.passed), counts)
            }
            Ok(Outcome::Ran(counts)) => (
                format!(
                    "FAILED   {} passed, {} failed",
                    counts.passed, counts.failed
                ),
                counts,
            ),
            Ok(Outcome::Skipped(reason)) => {
                self.num_skipped += 1;
                (format!("skipped  {reason}"), Counts::default())
            }
            Err(error) => (
                format!("FAILED   {error:#}"),
                Counts {
                    passed: 0,
                    failed: 1,
                },
            ),
        };
        let line = format!("{name:32} {:>7.1} s  {verdict}", elapsed.as_secs_f64());
        println!("{line}");
        self.total += counts;
        self.lines.push(line);
    }

    /// Prints the summary; true when nothing failed.
    pub(crate) fn print_and_judge(&self) -> bool {
        println!();
        for line in &self.lines {
            println!("{line}");
        }
        if self.num_skipped > 0 {
            println!(
                "{} steps were skipped, see their reasons above",
                self.num_skipped
            );
        }
        println!("{} passed, {} failed", self.total.passed, self.total.failed);
        self.total.failed == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_fails_the_report_and_a_skipped_one_does_not() {
        let mut report = Report::default();
        report.note("a", Duration::ZERO, Ok(Outcome::PASSED));
        report.note(
            "b",
            Duration::ZERO,
            Ok(Outcome::Skipped("no network".into())),
        );
        assert!(report.print_and_judge());
        report.note("c", Duration::ZERO, Err(anyhow::anyhow!("broken")));
        assert_eq!(
            report.total,
            Counts {
                passed: 1,
                failed: 1
            }
        );
        assert!(!report.print_and_judge());
    }
}
