//! What is measured: a server with certificates of its own, a cluster with a front, documents, one question.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Options;
use super::load::ask;
use super::processes::{Running, free_port, until};

/// Documents that the question is asked over.
const NUM_DOCUMENTS: usize = 2_000;

/// The question whose answer is kept.
pub(super) const QUESTION: &str = "{\"query\":{\"match\":{\"text\":\"tea\"}},\"size\":10}";

/// A server that speaks TLS, and what it answered.
pub(super) struct Site {
    pub(super) options: Options,
    pub(super) folder: TempDir,
    /// `gleaner serve --secure`.
    pub(super) serve: Running,
    pub(super) serve_port: u16,
    /// File of the question's body.
    pub(super) question: PathBuf,
    /// Bytes of the answer to it, as a file of a static server.
    pub(super) answer: PathBuf,
}

impl Site {
    pub(super) fn start(options: &Options) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (data, port) = (folder.path().join("serve"), free_port()?);
        let listen = format!("127.0.0.1:{port}");
        let mut command = Command::new(&options.server);
        command.args(["serve", "--secure", "--listen", &listen, "--data"]);
        let serve = Running::start(command.arg(&data), &folder.path().join("serve.log"))?;
        let (question, answer) = (folder.path().join("question"), folder.path().join("answer"));
        std::fs::write(&question, QUESTION)?;
        let mut site = Self {
            options: options.clone(),
            serve,
            serve_port: port,
            question,
            answer: answer.clone(),
            folder,
        };
        let (ca, url) = (site.ca(), format!("https://{listen}"));
        until("the server", || {
            ask(&ca, &[&format!("{url}/_health/ready")])
                .is_ok_and(|(said, _)| said.contains(" 200"))
        })?;
        site.index(&ca, &url)?;
        let path = format!("{url}/notes/_search");
        let (said, _) = ask(&ca, &["-d", QUESTION, &path])?;
        let body = said.split("\r\n\r\n").nth(1).context("an answer")?;
        std::fs::write(&answer, body)?;
        site.answer = answer;
        Ok(site)
    }

    /// Loads the documents.
    pub(super) fn index(&self, ca: &Path, url: &str) -> Result<()> {
        let words = [
            "tea", "leaf", "green", "water", "cup", "root", "front", "shard",
        ];
        let lines = (0..NUM_DOCUMENTS).map(|n| {
            let text: Vec<&str> = (0..12)
                .map(|i| words[(n * 7 + i * i * 3) % words.len()])
                .collect();
            json!({"text": text.join(" "), "n": n}).to_string()
        });
        let file = self.folder.path().join("documents.ndjson");
        std::fs::write(&file, lines.collect::<Vec<_>>().join("\n") + "\n")?;
        let loaded = Command::new(&self.options.server)
            .args(["index", "--url", url, "--index", "notes", "--cacert"])
            .args([ca, &file])
            .output()?;
        ensure!(loaded.status.success(), "{loaded:?}");
        ask(ca, &["-X", "POST", &format!("{url}/notes/_refresh")])?;
        Ok(())
    }

    /// Returns the authority that clients believe.
    pub(super) fn ca(&self) -> PathBuf {
        self.folder.path().join("serve/tls/ca.pem")
    }

    /// Returns certificate and key of the server.
    pub(super) fn certificate(&self) -> (PathBuf, PathBuf) {
        let tls = self.folder.path().join("serve/tls");
        (tls.join("server.pem"), tls.join("server.key"))
    }
}

/// A cluster with fronts, as `gleaner cluster up` starts it.
pub(super) struct Cluster {
    _up: Running,
    data: PathBuf,
    map: Value,
}

impl Cluster {
    pub(super) fn start(site: &Site, name: &str, counts: &[&str]) -> Result<Self> {
        let data = site.folder.path().join(name);
        let mut command = Command::new(&site.options.server);
        command.args(["cluster", "up", "--listen", "127.0.0.1:0"]);
        command.args(counts).arg("--data").arg(&data);
        let up = Running::start(&mut command, &site.folder.path().join("cluster.log"))?;
        let path = data.join("processes.json");
        until("the cluster", || path.exists())?;
        let map = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        Ok(Self { _up: up, data, map })
    }

    /// Returns the addresses and processes of a role.
    pub(super) fn of(&self, role: &str) -> Vec<(String, u32)> {
        let nodes = self.map["nodes"].as_array().into_iter().flatten();
        let of_role = nodes.filter(|node| node["role"] == role);
        let entry = of_role.filter_map(|node| {
            let address = node["http_address"].as_str()?;
            Some((
                address.to_owned(),
                u32::try_from(node["pid"].as_u64()?).ok()?,
            ))
        });
        entry.collect()
    }

    /// Returns the authority that clients believe, where connections are encrypted.
    pub(super) fn ca(&self) -> PathBuf {
        self.data.join("ca.pem")
    }

    /// Returns where clients go.
    pub(super) fn url(&self) -> String {
        self.map["url"].as_str().unwrap_or_default().to_owned()
    }
}
