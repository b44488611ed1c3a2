//! Steps, their outcomes, and the lines that a run prints about them.

use std::{
    iter,
    ops::AddAssign,
    time::{Duration, Instant},
};

use crate::{skips::Skip, workspace::Workspace};

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
    Ran {
        counts: Counts,
        /// Tests that could not run here; they are not among those counted.
        skips: Vec<Skip>,
        /// What tests that failed printed, shown again where the report ends.
        failures: Vec<String>,
    },
    /// The step could not run here, and why. It counts neither as passed nor as failed.
    Skipped(String),
}

impl Outcome {
    /// A step that passed as a whole.
    pub(crate) const PASSED: Self = Self::Ran {
        counts: Counts {
            passed: 1,
            failed: 0,
        },
        skips: Vec::new(),
        failures: Vec::new(),
    };
}

impl From<Counts> for Outcome {
    /// A step of tests all of which ran.
    fn from(counts: Counts) -> Self {
        Self::Ran {
            counts,
            skips: Vec::new(),
            failures: Vec::new(),
        }
    }
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
    failures: Vec<String>,
    total: Counts,
    num_skipped_tests: usize,
    num_skipped_steps: usize,
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
        let mut skips = Vec::new();
        let (verdict, counts) = match outcome {
            Ok(Outcome::Ran {
                counts,
                skips: skipped,
                failures,
            }) => {
                skips = skipped;
                self.failures.extend(failures);
                (verdict(counts, skips.len()), counts)
            }
            Ok(Outcome::Skipped(reason)) => {
                self.num_skipped_steps += 1;
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
        self.total += counts;
        self.num_skipped_tests += skips.len();
        let step = format!("{name:32} {:>7.1} s  {verdict}", elapsed.as_secs_f64());
        let skips = skips.iter();
        let skips = skips.map(|skip| format!("{:44}skipped  {}: {}", "", skip.test, skip.reason));
        for line in iter::once(step).chain(skips) {
            println!("{line}");
            self.lines.push(line);
        }
    }

    /// Prints what failed and the summary; true when nothing failed.
    ///
    /// The end of a long log is what is read first, and often all that is kept.
    pub(crate) fn print_and_judge(&self) -> bool {
        for failure in &self.failures {
            println!("\n{failure}");
        }
        println!();
        for line in self.lines.iter().chain(self.skipped().as_ref()) {
            println!("{line}");
        }
        println!("{} passed, {} failed", self.total.passed, self.total.failed);
        self.total.failed == 0
    }

    /// Returns a line on what was skipped; `None` where nothing was.
    fn skipped(&self) -> Option<String> {
        let (tests, steps) = (self.num_skipped_tests, self.num_skipped_steps);
        (tests + steps > 0)
            .then(|| format!("skipped, with the reasons above: {tests} tests, {steps} whole steps"))
    }
}

fn verdict(counts: Counts, num_skipped: usize) -> String {
    let Counts { passed, failed } = counts;
    let mut told = match failed {
        0 => format!("ok       {passed} passed"),
        _ => format!("FAILED   {passed} passed, {failed} failed"),
    };
    if num_skipped > 0 {
        told.push_str(&format!(", {num_skipped} skipped"));
    }
    told
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

    #[test]
    fn skipped_tests_stand_under_their_step_with_the_reason() {
        let mut report = Report::default();
        assert_eq!(report.skipped(), None);
        let counts = |failed| Counts { passed: 3, failed };
        let skip = Skip {
            test: "crashes::a".into(),
            reason: "no disk".into(),
        };
        report.note(
            "unit",
            Duration::ZERO,
            Ok(Outcome::Ran {
                counts: counts(0),
                skips: vec![skip],
                failures: Vec::new(),
            }),
        );
        let [step, skip] = &report.lines[..] else {
            panic!("{:?}", report.lines);
        };
        assert!(step.ends_with("ok       3 passed, 1 skipped"), "{step}");
        assert!(skip.ends_with("skipped  crashes::a: no disk"), "{skip}");
        assert_eq!(report.total, counts(0));
        let told = report.skipped().expect("one was skipped");
        assert!(told.ends_with("1 tests, 0 whole steps"), "{told}");
        assert!(report.print_and_judge());
        assert_eq!(
            verdict(counts(2), 1),
            "FAILED   3 passed, 2 failed, 1 skipped"
        );
    }
}
