//! `deploy/compose.yaml` as a user runs it: loaded over TLS through a front, taken down, brought up again, counted
//! through another one.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gleaner_testkit::http::{Request, Response};
use gleaner_tls::{Alpn, Connector, Trust};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::fleet::bulk;

/// Seconds that a command of Compose may take before it counts as stuck.
const WITHIN: &str = "120";
/// How long all copies may take until they serve, on a busy machine.
const WHOLE_WITHIN: Duration = Duration::from_secs(90);
/// Pause between two looks at containers that have just been started.
const POLL: Duration = Duration::from_millis(100);
/// Documents that are written.
const COUNT: usize = 500;
/// Documents that the loader writes.
const LOADED: usize = 5_000;

/// A project of Compose with volumes of its own; gone when dropped.
struct Project {
    name: String,
}

impl Project {
    /// Runs Compose on the file of `deploy`, with the image of the drills and any free port.
    fn compose(&self, words: &[&str]) -> Result<String> {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/compose.yaml");
        let mut command = Command::new("timeout");
        command.args([WITHIN, "docker-compose", "--file", file]);
        command.args(["--project-name", &self.name]).args(words);
        for port in ["GLEANER_PORT", "GLEANER_SECOND_PORT", "GLEANER_THIRD_PORT"] {
            command.env(port, "0");
        }
        let output = command.output().context("cannot start Compose")?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "docker-compose {words:?}: {told}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts all nodes and waits until every copy serves.
    async fn up(&self) -> Result<()> {
        block_in_place(|| self.compose(&["up", "--detach", "--no-build"]))?;
        let began = Instant::now();
        let whole = Request::new("GET", "/_cluster/health?wait_for_status=green&timeout=5s");
        loop {
            let health = self.ask("front-1", &whole).await;
            if health.as_ref().is_ok_and(|health| health.status == 200) {
                return Ok(());
            }
            if began.elapsed() > WHOLE_WITHIN {
                let logs = block_in_place(|| self.compose(&["logs", "--tail", "20"]))?;
                let told = health.map_or_else(|error| error.to_string(), |told| told.shown());
                bail!("not whole: {told}\n{logs}");
            }
            sleep(POLL).await;
        }
    }

    /// Waits until the loader has ended; what it has loaded is found.
    async fn loaded(&self) -> Result<()> {
        let container = block_in_place(|| self.compose(&["ps", "--all", "--quiet", "loader"]))?;
        let wait = ["wait", container.trim()];
        let mut waiting = Command::new("timeout");
        waiting.args([WITHIN, "docker"]).args(wait);
        let ended = block_in_place(|| waiting.output()).context("cannot start Docker")?;
        let ended = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
        if ended != "0" {
            let logs = block_in_place(|| self.compose(&["logs", "loader"]))?;
            bail!("the loader ended with {ended:?}\n{logs}");
        }
        let refresh = Request::new("POST", "/generated/_refresh");
        self.ask("front-1", &refresh).await?.ok()?;
        let count = Request::new("GET", "/generated/_count");
        let count = self.ask("front-1", &count).await?.ok()?;
        ensure!(count["count"] == json!(LOADED), "{count}");
        Ok(())
    }

    /// Sends a request to a front over TLS, which must show a certificate of the cluster's authority.
    async fn ask(&self, front: &str, request: &Request) -> Result<Response> {
        let (ca, published) = block_in_place(|| {
            let read = ["exec", "-T", front, "cat", "/etc/gleaner/certs/ca.pem"];
            Ok::<_, anyhow::Error>((
                self.compose(&read)?,
                self.compose(&["port", front, "9200"])?,
            ))
        })?;
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), ca)?;
        let trust = Trust::Authorities(file.path().to_owned());
        let connector = Connector::new(&trust, None, Alpn::Http1)?;
        let address: SocketAddr = published.trim().parse().context(published.clone())?;
        let stream = TcpStream::connect(address).await?;
        let stream = connector.connect("localhost", stream).await?;
        request.send_over(stream, address).await
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        drop(self.compose(&["down", "--volumes", "--timeout", "5"]));
    }
}

/// Loads documents, takes all containers away, brings them back, and counts.
pub(crate) async fn run(test: &str) -> Result<()> {
    let found = Command::new("docker-compose").arg("version").output();
    if !found.is_ok_and(|output| output.status.success()) {
        return gleaner_testkit::skipped(test, "no docker-compose answers here");
    }
    let name = format!("gleaner-compose-{}", std::process::id());
    let project = Project { name };
    project.up().await?;
    project.loaded().await?;
    let documents = (0..COUNT).map(|n| (n.to_string(), json!({"n": n})));
    let load = Request::ndjson("POST", "/kept/_bulk?refresh=true", bulk(documents));
    let answer = project.ask("front-2", &load).await?.ok()?;
    ensure!(answer["errors"] == json!(false), "{answer}");
    block_in_place(|| project.compose(&["down"]))?;
    project.up().await?;
    let count = Request::new("GET", "/kept/_count");
    let count = project.ask("front-3", &count).await?.ok()?;
    ensure!(count["count"] == json!(COUNT), "{count}");
    ensure!(count["_shards"]["failed"] == json!(0), "{count}");
    Ok(())
}
