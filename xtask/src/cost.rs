//! `cargo xtask cost`: what a request costs, counted rather than timed.
//!
//! Instructions and allocations of each class of request are counted by callgrind, over one kept connection to a warm
//! server; on a quiet machine the kernel counts switches between threads. Each is held against a budget of `xtask/cost.toml`: above it and 3 %
//! more the class has failed. `cargo xtask test` does that for some classes on the binary that its tests have built;
//! this command for all, on a release build. `docs/decisions/0069-cost-guard.md` says what is counted and why.
//!
//! Read [`measured`] first, then [`class::ALL`].

mod budget;
mod class;
mod client;
mod counted;
mod idle;
mod server;

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use anyhow::{Context, bail, ensure};

use crate::{
    command::{cargo, run_program},
    report::{Counts, Outcome, Report, Step},
    setup, test,
    workspace::Workspace,
};
use budget::{Budgets, Figures};
use class::Class;
use client::Connection;
use counted::Counter;
use server::Served;

/// The step of `cargo xtask test`.
pub(crate) const STEPS: &[Step] = &[Step {
    name: "cost of requests",
    run: reduced,
}];

/// What is counted, and where.
struct Plan {
    binary: PathBuf,
    /// The table of the budgets that it is held against.
    profile: &'static str,
    classes: Vec<&'static Class>,
    batches: usize,
    /// Whether switches are counted: the figures are those of a machine that does nothing else.
    takes_switches: bool,
    takes_idle: bool,
}

/// What to do with the figures.
enum Verdict {
    /// Compare them with the budgets.
    Held,
    /// Write them as the budgets, with the reason why one rises.
    Written(Option<String>),
}

/// `cargo xtask cost [--dev] [--binary PATH] [--only WORDS] [--write [--because TEXT]]`.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<Report> {
    let mut words = arguments.iter().map(String::as_str);
    let (mut is_dev, mut binary, mut only) = (false, None, None);
    let (mut writes, mut because) = (false, None);
    while let Some(word) = words.next() {
        let mut value = || words.next().context("a flag lacks its value");
        match word {
            "--dev" => is_dev = true,
            "--binary" => binary = Some(PathBuf::from(value()?)),
            "--only" => only = Some(value()?.to_owned()),
            "--write" => writes = true,
            "--because" => because = Some(value()?.to_owned()),
            _ => bail!(
                "usage: cargo xtask cost [--dev] [--binary PATH] [--only WORDS] [--write [--because TEXT]]"
            ),
        }
    }
    let named: Vec<&str> = only.iter().flat_map(|words| words.split(',')).collect();
    let is_wanted =
        |class: &&Class| named.is_empty() || named.iter().any(|word| class.name.contains(word));
    let classes: Vec<&Class> = class::ALL.iter().filter(is_wanted).collect();
    ensure!(!classes.is_empty(), "no class bears that name");
    let plan = Plan {
        binary: match binary {
            Some(path) => path,
            None => built(workspace, is_dev)?,
        },
        profile: if is_dev { "dev" } else { "release" },
        takes_switches: !is_dev,
        takes_idle: !is_dev && named.is_empty(),
        batches: 5,
        classes,
    };
    let verdict = match writes {
        true => Verdict::Written(because),
        false => Verdict::Held,
    };
    let mut report = Report::default();
    report.time("cost of requests", || measured(workspace, &plan, verdict));
    Ok(report)
}

/// The classes that are cheap to count, on the binary that the tests have built.
fn reduced(workspace: &Workspace) -> anyhow::Result<Outcome> {
    test::build_server(workspace)?;
    let plan = Plan {
        binary: test::binary(workspace),
        profile: "dev",
        classes: class::ALL.iter().filter(|class| class.is_reduced).collect(),
        batches: 3,
        takes_switches: false,
        takes_idle: false,
    };
    measured(workspace, &plan, Verdict::Held)
}

fn built(workspace: &Workspace, is_dev: bool) -> anyhow::Result<PathBuf> {
    if is_dev {
        test::build_server(workspace)?;
        return Ok(test::binary(workspace));
    }
    let arguments = ["build", "--locked", "--release", "--package", "gleaner-cli"];
    run_program(cargo(workspace, arguments))?;
    Ok(workspace.target().join("release/gleaner"))
}

/// Counts what `plan` says, prints it, and holds it against the budgets or writes them.
fn measured(workspace: &Workspace, plan: &Plan, verdict: Verdict) -> anyhow::Result<Outcome> {
    let valgrind = match setup::valgrind(workspace) {
        Ok(valgrind) => valgrind,
        Err(absent) => return Ok(Outcome::Skipped(absent)),
    };
    let mut budgets = Budgets::read(workspace, plan.profile)?;
    if let (Verdict::Held, Some(reason)) = (&verdict, budgets.other_compiler()?) {
        return Ok(Outcome::Skipped(reason));
    }
    let mut found = BTreeMap::<&str, Figures>::new();
    let began = Instant::now();
    let data = server::folder(workspace)?;
    let native = Served::start(workspace, &plan.binary, &data, None)?;
    class::fill(&mut Connection::open(native.address())?)?;
    let quiet = plan.classes.iter().filter(|_| plan.takes_switches);
    for class in quiet {
        let switches = counted::switches(&native, class)?;
        found.entry(class.name).or_default().switches = Some(switches);
    }
    native.stop()?;
    let counter = Counter::start(workspace, &plan.binary, &data, &valgrind)?;
    for class in &plan.classes {
        let counted = counter.count(class, plan.batches)?;
        let figures = found.entry(class.name).or_default();
        figures.instructions = Some(counted.instructions);
        figures.allocations = Some(counted.allocations);
        println!("{:28} {figures}", class.name);
    }
    counter.stop()?;
    if plan.takes_idle {
        found.extend(idle::measured(workspace, &plan.binary)?);
    }
    println!("counted in {:.1} s", began.elapsed().as_secs_f64());
    match verdict {
        Verdict::Written(because) => {
            budgets.write(workspace, &found, because.as_deref())?;
            Ok(Outcome::PASSED)
        }
        Verdict::Held => Ok(held(&budgets, &found).into()),
    }
}

/// Holds each class against its budget; says which are above, and which have no budget.
fn held(budgets: &Budgets, found: &BTreeMap<&str, Figures>) -> Counts {
    let mut counts = Counts::default();
    for (name, figures) in found {
        let faults = budgets.faults(name, figures);
        match faults.is_empty() {
            true => counts.passed += 1,
            false => counts.failed += 1,
        }
        for fault in faults {
            println!("{name}: {fault}");
        }
    }
    counts.or_failed()
}
