//! Steps that drive the server built here from outside: real clients, and in [`dialect`] YAML tests.
//!
//! These suites stand in the shared folder beside the checkout; where it is absent, the steps say so.
//! Those of this repository are driven by [`checks`] and [`readme`].

pub(crate) mod checks;
pub(crate) mod dialect;
pub(crate) mod fronts;
pub(crate) mod readme;
pub(crate) mod server;

use std::{path::PathBuf, process::Command};

use crate::{
    command::run_tests,
    drive::server::Server,
    report::{Outcome, Step},
    setup,
    workspace::Workspace,
};

/// The steps, in order; the server must have been built before.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "client: elasticsearch-py 8",
        run: |w| client(w, "es8", "es8", ""),
    },
    Step {
        name: "client: elasticsearch-py 9",
        run: |w| client(w, "es9", "es8", "es9"),
    },
    Step {
        name: "client: opensearch-py 3",
        run: |w| client(w, "os3", "os", ""),
    },
];

/// Drives one client. `kind` is what the drive calls it, `folder` where its environment stands.
fn client(
    workspace: &Workspace,
    environment: &str,
    kind: &str,
    folder: &str,
) -> anyhow::Result<Outcome> {
    let Some(suite) = workspace.shared("compat") else {
        return Ok(Outcome::Skipped(
            "no ../shared/compat beside the checkout".into(),
        ));
    };
    if let Err(absent) = setup::python(workspace, environment)? {
        return Ok(Outcome::Skipped(absent));
    }
    let environments: PathBuf = setup::environments(workspace).join(folder);
    let server = Server::start(workspace, environment)?;
    let mut drive = Command::new("python3");
    drive.arg(suite.join("clients.py")).arg(server.url());
    drive.args(["--client", kind, "--venvs"]).arg(environments);
    Ok(run_tests(&mut drive)?.into())
}
