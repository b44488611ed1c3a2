//! `cargo xtask bench`: the criterion benches, in the profile `dist`.

use crate::{
    command::{cargo, run_program},
    report::Report,
    workspace::Workspace,
};

/// Runs the benches; `arguments` go to criterion (a filter, `--quick`, `--save-baseline NAME`).
pub(crate) fn run_benches(workspace: &Workspace, arguments: &[String]) -> Report {
    let mut report = Report::default();
    report.time("benches", || {
        let mut command = cargo(
            workspace,
            ["bench", "--locked", "-p", "gleaner-benches", "--"],
        );
        command.args(arguments);
        run_program(command)
    });
    report
}
