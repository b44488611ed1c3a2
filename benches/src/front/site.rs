//! What is measured: a server with certificates of its own, a cluster with a front, documents, one question.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Options;
use super::load::{Access, ask};
use super::processes::{Running, free_port, is_ready, until};

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
        let url = format!("https://{listen}");
        until("the first key", || site.access().is_ok())?;
        let access = site.access()?;
        until("the server", || {
            ask(&access, &[&format!("{url}/_health/ready")])
                .is_ok_and(|(said, _)| said.contains(" 200"))
        })?;
        site.index(Some(&access), &url)?;
        let path = format!("{url}/notes/_search");
        let (said, _) = ask(&access, &["-d", QUESTION, &path])?;
        let body = said.split("\r\n\r\n").nth(1).context("an answer")?;
        std::fs::write(&answer, body)?;
        site.answer = answer;
        Ok(site)
    }

    /// Starts a process of the program with `words` on a port of its own; returns it with its address once it is ready.
    pub(super) fn run(&self, name: &str, words: &[&str]) -> Result<(Running, String)> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut command = Command::new(&self.options.server);
        command.args(words).args(["--listen", &address]);
        let log = self.folder.path().join(format!("{name}.log"));
        let running = Running::start(&mut command, &log)?;
        until(name, || is_ready(&address))?;
        Ok((running, address))
    }

    /// Loads the documents; `access` is `None` where connections are not encrypted and no keys are required.
    pub(super) fn index(&self, access: Option<&Access>, url: &str) -> Result<()> {
        self.index_many(access, url, NUM_DOCUMENTS)
    }

    /// Loads so many documents, as [`Self::index`].
    pub(super) fn index_many(
        &self,
        access: Option<&Access>,
        url: &str,
        num_documents: usize,
    ) -> Result<()> {
        let words = [
            "tea", "leaf", "green", "water", "cup", "root", "front", "shard",
        ];
        let lines = (0..num_documents).map(|n| {
            let text: Vec<&str> = (0..12)
                .map(|i| words[(n * 7 + i * i * 3) % words.len()])
                .collect();
            json!({"text": text.join(" "), "n": n}).to_string()
        });
        let file = self.folder.path().join("documents.ndjson");
        std::fs::write(&file, lines.collect::<Vec<_>>().join("\n") + "\n")?;
        let mut command = Command::new(&self.options.server);
        command.args(["index", "--url", url, "--index", "notes"]);
        if let Some(access) = access {
            command.arg("--cacert").arg(&access.ca);
            command.env("GLEANER_API_KEY", &access.key);
        }
        let loaded = command.arg(&file).output()?;
        ensure!(loaded.status.success(), "{loaded:?}");
        Ok(())
    }

    /// Returns how clients get in.
    ///
    /// # Errors
    /// The server has not made its first key yet.
    pub(super) fn access(&self) -> Result<Access> {
        let folder = self.folder.path().join("serve");
        Ok(Access {
            ca: folder.join("tls/ca.pem"),
            key: key_of(&folder)?,
        })
    }

    /// Returns certificate and key of the server.
    pub(super) fn certificate(&self) -> (PathBuf, PathBuf) {
        let tls = self.folder.path().join("serve/tls");
        (tls.join("server.pem"), tls.join("server.key"))
    }
}

/// Returns the first key of a cluster, as it lies in the folder of the process that made it.
fn key_of(folder: &Path) -> Result<String> {
    let key = std::fs::read_to_string(folder.join("admin.key"))?;
    Ok(key.trim().to_owned())
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

    /// Returns how clients get in where it was started with `--secure`.
    ///
    /// # Errors
    /// There is no first key.
    pub(super) fn access(&self) -> Result<Access> {
        let roots = (1..=9).map(|root| self.data.join(format!("root-{root}")));
        let mut keys = roots.filter_map(|folder| key_of(&folder).ok());
        Ok(Access {
            ca: self.data.join("ca.pem"),
            key: keys.next().context("a first key")?,
        })
    }

    /// Writes the file of the cluster's members anew with a front more, of the name `limited`; returns where it is.
    pub(super) fn with_front(&self, address: &str) -> Result<PathBuf> {
        let members = std::fs::read_to_string(self.data.join("cluster.toml"))?;
        let front =
            format!("[[cluster.fronts]]\nname = \"limited\"\nhttp_address = \"{address}\"\n");
        let path = self.data.join("cluster-with-front.toml");
        std::fs::write(&path, format!("{members}\n{front}"))?;
        Ok(path)
    }

    /// Returns where clients go.
    pub(super) fn url(&self) -> String {
        self.map["url"].as_str().unwrap_or_default().to_owned()
    }
}
