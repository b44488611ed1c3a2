//! Steps that drive the server with the client checks of this repository, `tests/clients`.
//!
//! They need a client from a package registry and nothing beside the checkout.

use std::process::Command;

use crate::{
    command::run_tests,
    drive::server::Server,
    report::{Outcome, Step},
    setup,
    workspace::Workspace,
};

/// A step for each client; the server must have been built before.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "client checks: elasticsearch-py 8",
        run: |w| check(w, "es8", "elasticsearch"),
    },
    Step {
        name: "client checks: elasticsearch-py 9",
        run: |w| check(w, "es9", "elasticsearch"),
    },
    Step {
        name: "client checks: opensearch-py 3",
        run: |w| check(w, "os3", "opensearchpy"),
    },
];

/// Runs the checks with the Python of an environment, which can import `library`.
fn check(workspace: &Workspace, environment: &str, library: &str) -> anyhow::Result<Outcome> {
    let python = match setup::python(workspace, environment)? {
        Ok(python) => python,
        Err(absent) => return Ok(Outcome::Skipped(absent)),
    };
    let server = Server::start(workspace, &format!("checks-{environment}"))?;
    let mut drive = Command::new(python);
    // Without -B, Python would leave its bytecode in the checkout.
    drive
        .arg("-B")
        .arg(workspace.root().join("tests/clients/drive.py"))
        .args([&server.url(), library]);
    Ok(run_tests(&mut drive)?.into())
}
