//! Checks that run none of the product: formatting, lints, dependencies, layering.

use crate::{
    command::{cargo, run_program},
    report::{Outcome, Step},
    setup,
    skips::run_tests,
    workspace::Workspace,
};

/// `cargo xtask fmt`.
pub(crate) const FORMAT: &[Step] = &[Step {
    name: "fmt",
    run: format,
}];

/// `cargo xtask lint`.
pub(crate) const LINT: &[Step] = &[
    Step {
        name: "fmt --check",
        run: check_format,
    },
    Step {
        name: "clippy",
        run: clippy,
    },
];

/// `cargo xtask deny`.
pub(crate) const DENY: &[Step] = &[
    Step {
        name: "licences, bans, sources",
        run: deny,
    },
    Step {
        name: "advisories",
        run: advisories,
    },
];

/// `cargo xtask arch`.
pub(crate) const ARCHITECTURE: &[Step] = &[Step {
    name: "architecture",
    run: architecture,
}];

fn format(workspace: &Workspace) -> anyhow::Result<Outcome> {
    run_program(cargo(workspace, ["fmt", "--all"]))
}

fn check_format(workspace: &Workspace) -> anyhow::Result<Outcome> {
    run_program(cargo(workspace, ["fmt", "--all", "--check"]))
}

fn clippy(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    run_program(cargo(workspace, arguments))
}

fn deny(workspace: &Workspace) -> anyhow::Result<Outcome> {
    match setup::cargo_deny(workspace)? {
        Ok(tool) => run_program(cargo_deny(
            workspace,
            &tool,
            &["licenses", "bans", "sources"],
        )),
        Err(absent) => Ok(Outcome::Skipped(absent)),
    }
}

/// The database of advisories is fetched from the network: out of reach is a skip, a find is not.
fn advisories(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let tool = match setup::cargo_deny(workspace)? {
        Ok(tool) => tool,
        Err(absent) => return Ok(Outcome::Skipped(absent)),
    };
    let mut fetch = std::process::Command::new(&tool);
    fetch.args(["fetch", "db"]).current_dir(workspace.root());
    if run_program(fetch).is_err() {
        return Ok(Outcome::Skipped(
            "the advisory database cannot be fetched here".into(),
        ));
    }
    run_program(cargo_deny(
        workspace,
        &tool,
        &["--disable-fetch", "advisories"],
    ))
}

fn cargo_deny(
    workspace: &Workspace,
    tool: &std::path::Path,
    what: &[&str],
) -> std::process::Command {
    let mut command = std::process::Command::new(tool);
    command.args([
        "--all-features",
        "--workspace",
        "check",
        "--hide-inclusion-graph",
    ]);
    command.args(what).current_dir(workspace.root());
    command
}

fn architecture(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let arguments = [
        "test",
        "--locked",
        "-p",
        "gleaner-tests",
        "--test",
        "architecture",
    ];
    run_tests(workspace, cargo(workspace, arguments))
}
