//! Load by `h2load`, and single requests by `curl`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Connections at once.
const CLIENTS: usize = 8;

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

impl Version {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// How clients get in where connections are encrypted and keys are required.
#[derive(Debug, Clone)]
pub(super) struct Access {
    /// The authority that they believe.
    pub(super) ca: PathBuf,
    /// Their API key.
    pub(super) key: String,
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Question<'a> {
    pub(super) url: String,
    /// An API key to show.
    pub(super) key: Option<&'a str>,
    /// A body to send by `POST`.
    pub(super) body: Option<&'a Path>,
    pub(super) version: Version,
}

/// Sends `num` requests over connections that stay open; each must be answered 200.
pub(super) fn load(question: &Question<'_>, num: usize) -> Result<()> {
    let mut command = Command::new("h2load");
    if question.version == Version::Http1 {
        command.arg("--h1");
    }
    command.args(["-t", "1", "-m", "1"]);
    command.args(["-n", &num.to_string(), "-c", &CLIENTS.to_string()]);
    if let Some(body) = question.body {
        command.arg("-d").arg(body);
        command.args(["-H", "content-type: application/json"]);
    }
    if let Some(key) = question.key {
        command.arg("-H").arg(header(key));
    }
    let output = command.arg(&question.url).output();
    let output = output.context("h2load does not run")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = format!("status codes: {num} 2xx");
    ensure!(said.contains(&all), "{}: {said}", question.url);
    Ok(())
}

fn header(key: &str) -> String {
    format!("authorization: ApiKey {key}")
}

/// Returns the head and the body of an answer, and how long it took.
pub(super) fn ask(access: &Access, words: &[&str]) -> Result<(String, Duration)> {
    let output = Command::new("curl")
        .args(["-s", "-i", "--noproxy", "*", "--max-time", "60", "--cacert"])
        .arg(&access.ca)
        .arg("-H")
        .arg(header(&access.key))
        .args([
            "-H",
            "content-type: application/json",
            "-w",
            "\n%{time_total}",
        ])
        .args(words)
        .output()
        .context("curl does not run")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (answer, took) = said.rsplit_once('\n').unwrap_or_default();
    ensure!(output.status.success(), "{words:?} has no answer");
    let took: f64 = took.parse().context("a time")?;
    Ok((answer.to_owned(), Duration::from_secs_f64(took)))
}
