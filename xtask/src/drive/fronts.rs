//! The client checks of this repository once more, over verified TLS, through three fronts to two roots in turns.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::{
    command::run_tests,
    report::{Outcome, Step},
    setup, test,
    workspace::Workspace,
};

/// The step; the server must have been built before.
pub(crate) const STEPS: &[Step] = &[Step {
    name: "client checks: through fronts over TLS",
    run: check,
}];

/// How long the cluster may take until it serves.
const UP_WITHIN: Duration = Duration::from_secs(60);

/// A cluster of processes, stopped when dropped.
struct Cluster {
    up: Child,
    data: PathBuf,
}

impl Cluster {
    fn start(workspace: &Workspace) -> anyhow::Result<Self> {
        let data = workspace.scratch().join("data-fronts");
        drop(fs::remove_dir_all(&data));
        let log = workspace.scratch().join("fronts.log");
        let output = fs::File::create(&log)?;
        test::build_server(workspace)?;
        let up = Command::new(test::binary(workspace))
            .args(["cluster", "up", "--secure", "--no-keys"])
            .args(["--listen", "127.0.0.1:0"])
            .args([
                "--leaves", "2", "--copies", "2", "--roots", "2", "--fronts", "3",
            ])
            .arg("--data")
            .arg(&data)
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            .spawn()
            .context("cannot start a cluster")?;
        let mut cluster = Self { up, data };
        cluster
            .wait_until_up()
            .with_context(|| format!("see {}", log.display()))?;
        Ok(cluster)
    }

    /// Waits for the list of its processes, which is written when all are ready.
    fn wait_until_up(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        while began.elapsed() < UP_WITHIN {
            if let Some(status) = self.up.try_wait()? {
                bail!("the cluster ended with {status}");
            }
            if self.data.join("processes.json").exists() {
                return Ok(());
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "another process offers no event to wait on"
            )]
            thread::sleep(Duration::from_millis(50));
        }
        bail!("the cluster is not up within {UP_WITHIN:?}")
    }

    /// Returns where its fronts listen, with commas.
    fn fronts(&self) -> anyhow::Result<String> {
        let map = fs::read_to_string(self.data.join("processes.json"))?;
        let map: Value = serde_json::from_str(&map)?;
        let nodes = map["nodes"].as_array().context("no nodes")?;
        let fronts = nodes.iter().filter(|node| node["role"] == "front");
        let urls = fronts.filter_map(|front| front["http_address"].as_str());
        let urls: Vec<String> = urls.map(|address| format!("https://{address}")).collect();
        anyhow::ensure!(urls.len() == 3, "three fronts are wanted: {map}");
        Ok(urls.join(","))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let asked = Command::new("kill").arg(self.up.id().to_string()).status();
        if asked.is_ok() {
            drop(self.up.wait());
        }
        drop(fs::remove_dir_all(&self.data));
    }
}

fn check(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let python = match setup::python(workspace, "es9")? {
        Ok(python) => python,
        Err(absent) => return Ok(Outcome::Skipped(absent)),
    };
    let cluster = Cluster::start(workspace)?;
    let mut drive = Command::new(python);
    drive
        .arg("-B")
        .arg(workspace.root().join("tests/clients/drive.py"))
        .args([&cluster.fronts()?, "elasticsearch", "--ca"])
        .arg(cluster.data.join("ca.pem"));
    Ok(run_tests(&mut drive)?.into())
}
