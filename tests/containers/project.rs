//! A file of Compose as a user runs it, with containers, networks and volumes of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gleaner_testkit::http::{Request, Response};
use gleaner_tls::{Alpn, Connector, Trust};
use tempfile::NamedTempFile;
use tokio::net::TcpStream;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

/// Seconds that a command of Compose may take before it counts as stuck.
const WITHIN: &str = "120";
/// How long all containers may take until they serve, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// Pause between two looks at containers that have just been started.
const POLL: Duration = Duration::from_millis(100);

/// A project of Compose; gone when dropped.
pub(crate) struct Project {
    name: String,
    file: PathBuf,
}

impl Project {
    /// Returns the project of a file in `deploy`; `None` where no Compose answers.
    pub(crate) fn of(file: &str) -> Option<Self> {
        let found = Command::new("docker-compose").arg("version").output();
        let is_here = found.is_ok_and(|output| output.status.success());
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
        let stem = file.replace(['/', '.'], "-");
        is_here.then(|| Self {
            name: format!("gleaner-{stem}-{}", std::process::id()),
            file: PathBuf::from(folder).join(file),
        })
    }

    /// Runs Compose on the file, with the images of the drills and any free ports.
    pub(crate) fn compose(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new("timeout");
        command.args([WITHIN, "docker-compose", "--file"]);
        command.arg(&self.file);
        command.args(["--project-name", &self.name]).args(words);
        for port in ["GLEANER_PORT", "GLEANER_SECOND_PORT", "GLEANER_THIRD_PORT"] {
            command.env(port, "0");
        }
        let output = block_in_place(|| command.output()).context("cannot start Compose")?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "docker-compose {words:?}: {told}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts all containers.
    pub(crate) fn start(&self) -> Result<()> {
        self.compose(&["up", "--detach", "--no-build"]).map(drop)
    }

    /// Asks again and again until there is an answer that is good.
    pub(crate) async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Result<T>) -> Result<T> {
        let began = Instant::now();
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) if began.elapsed() > READY_WITHIN => {
                    let logs = self.compose(&["logs", "--tail", "20"])?;
                    bail!("{what}: {error:#}\n{logs}");
                }
                Err(_) => sleep(POLL).await,
            }
        }
    }

    /// Returns where a port of a service is reached.
    pub(crate) fn address(&self, service: &str, port: &str) -> Result<SocketAddr> {
        let published = self.compose(&["port", service, port])?;
        published.trim().parse().context(published)
    }

    /// Sends a request to a service over TLS, which must show a certificate of the authority that `holder` has.
    pub(crate) async fn ask_over_tls(
        &self,
        holder: &str,
        address: SocketAddr,
        request: &Request,
    ) -> Result<Response> {
        let read = ["exec", "-T", holder, "cat", "/etc/gleaner/certs/ca.pem"];
        let ca = NamedTempFile::new()?;
        std::fs::write(ca.path(), self.compose(&read)?)?;
        let trust = Trust::Authorities(ca.path().to_owned());
        let connector = Connector::new(&trust, None, Alpn::Http1)?;
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
