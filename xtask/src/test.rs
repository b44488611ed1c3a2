//! `cargo xtask test`: everything that must pass, as one list of steps.
//!
//! To add a step, add a line to [`STEPS`]. Cheap checks stand first; whatever drives the built
//! server stands last. Budget: 45 minutes on two cores from a cold cache.

use std::path::PathBuf;

use anyhow::{bail, ensure};

use crate::{
    command::{cargo, run_program},
    containers, cost, drive,
    report::{Outcome, Report, Step},
    setup,
    skips::run_tests,
    static_checks, suite,
    workspace::Workspace,
};

/// The steps, in the order in which they run.
const STEPS: &[&[Step]] = &[
    setup::STEPS,
    static_checks::LINT,
    &[
        Step {
            name: "unit and integration tests",
            run: workspace_tests,
        },
        Step {
            name: "doc tests",
            run: doc_tests,
        },
    ],
    // Its tool is built while the tests wait for what they have started.
    static_checks::DENY,
    cost::STEPS,
    drive::dialect::STEPS,
    drive::STEPS,
    drive::checks::STEPS,
    drive::fronts::STEPS,
    drive::readme::STEPS,
];

/// What a step of [`STEPS`] does among other things, and `--only` alone.
const PARTS: &[&[Step]] = &[containers::STEPS];

/// `cargo xtask test [--list | --only WORDS]`; a list is no report.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<Option<Report>> {
    let all = STEPS.iter().flat_map(|group| group.iter());
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(Some(Report::of(workspace, all))),
        ["--list"] => {
            all.for_each(|step| println!("{}", step.name));
            Ok(None)
        }
        ["--only", words] => {
            let words: Vec<&str> = words.split(',').collect();
            let is_named = |step: &&Step| words.iter().any(|word| step.name.contains(word));
            let parts = PARTS.iter().flat_map(|group| group.iter());
            let named: Vec<&Step> = all.chain(parts).filter(is_named).collect();
            ensure!(
                !named.is_empty(),
                "no step is called `{}`; see --list",
                words.join(",")
            );
            Ok(Some(Report::of(workspace, named)))
        }
        _ => bail!("usage: cargo xtask test [--list | --only WORDS]"),
    }
}

/// All targets of all packages, the architecture test among them.
fn workspace_tests(workspace: &Workspace) -> anyhow::Result<Outcome> {
    // Cargo builds the binary, for the tests of its own package, before any test runs. Tests of
    // other packages would build it again, with other features of the libraries below.
    suite::run(workspace, &binary(workspace))
}

/// The binary that [`workspace_tests`] has built.
pub(crate) fn binary(workspace: &Workspace) -> PathBuf {
    workspace.target().join("debug/gleaner")
}

fn doc_tests(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let arguments = ["test", "--workspace", "--locked", "--no-fail-fast", "--doc"];
    run_tests(workspace, cargo(workspace, arguments))
}

/// Builds the binary as [`workspace_tests`] does: with a test of its package selected over the whole
/// workspace, libraries have the features they have there and nothing is built twice.
pub(crate) fn build_server(workspace: &Workspace) -> anyhow::Result<()> {
    let arguments = [
        "test",
        "--workspace",
        "--locked",
        "--no-run",
        "--test",
        "serve",
    ];
    run_program(cargo(workspace, arguments))?;
    Ok(())
}
