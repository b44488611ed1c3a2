//! `cargo xtask bench`: the criterion benches, in the profile `dist`; with `lists`, the one of [`lists`].

mod lists;

use crate::{
    command::{cargo, run_program},
    report::Report,
    workspace::Workspace,
};

/// Runs the benches; `arguments` go to criterion (a filter, `--quick`, `--save-baseline NAME`).
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<Report> {
    if let [first, rest @ ..] = arguments
        && first == "lists"
    {
        return lists::run(workspace, rest);
    }
    let mut report = Report::default();
    report.time("benches", || {
        let mut command = cargo(
            workspace,
            ["bench", "--locked", "-p", "gleaner-benches", "--"],
        );
        command.args(arguments);
        run_program(command)
    });
    Ok(report)
}
