//! Companions from the image, each started by one `docker run` with variables: its health check says healthy, and what
//! it is for happens.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gleaner_testkit::http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::fleet::{LABEL, docker, docker_output};

/// The node that the companions use; its name on the network.
const SEARCH: &str = "search";

/// How long a container may take, on a busy machine.
const WITHIN: Duration = Duration::from_secs(90);
/// Pause between two looks at a container.
const POLL: Duration = Duration::from_millis(100);

/// How a container is started: its name on the network, the command of the image, and variables.
#[derive(Clone, Copy)]
struct Run<'a> {
    name: &'a str,
    command: &'a [&'a str],
    variables: &'a [&'a str],
}

/// A node and companions of it on a network of their own; gone when dropped.
struct Site {
    /// What their names begin with; the network's name.
    name: String,
    /// What all of them are marked with.
    label: String,
    image: String,
    /// Files for the companions, which they see at `/given`.
    folder: TempDir,
    containers: Vec<String>,
}

impl Site {
    /// Makes the network, and starts the node.
    async fn start() -> Result<Self> {
        let image = std::env::var("GLEANER_IMAGE");
        let image = image.context("`GLEANER_IMAGE` names no image; see the head of this test")?;
        let run = std::env::var("GLEANER_DRILL");
        let run = run.unwrap_or_else(|_| std::process::id().to_string());
        let mut site = Self {
            name: format!("gleaner-drill-{run}-companions"),
            label: format!("{LABEL}={run}"),
            image,
            folder: tempfile::tempdir()?,
            containers: Vec::new(),
        };
        // The user of the image is another one.
        fs::set_permissions(site.folder.path(), fs::Permissions::from_mode(0o755))?;
        docker(&["network", "create", "--label", &site.label, &site.name])?;
        site.run(Run {
            name: SEARCH,
            command: &["serve"],
            variables: &["GLEANER_INSECURE=true", "GLEANER_ALLOWED_HOSTS=search"],
        })
        .await?;
        Ok(site)
    }

    fn container(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    /// Starts a container, and waits until its health check says that it is healthy.
    async fn run(&mut self, run: Run<'_>) -> Result<()> {
        let container = self.container(run.name);
        let given = format!("{}:/given:ro", self.folder.path().display());
        let mut words = vec!["run", "--detach", "--name", &container];
        words.extend(["--label", &self.label, "--volume", &given]);
        words.extend(["--network", &self.name, "--network-alias", run.name]);
        words.extend(["--publish", "127.0.0.1::9200"]);
        for variable in run.variables {
            words.extend(["--env", variable]);
        }
        if run.name != SEARCH {
            words.extend(["--env", "GLEANER_PROBE_LISTEN=127.0.0.1:9210"]);
        }
        words.push(&self.image);
        words.extend(run.command);
        self.containers.push(container.clone());
        block_in_place(|| docker(&words))?;
        let is_healthy = async || {
            let status = [
                "inspect",
                "--format",
                "{{.State.Health.Status}}",
                &container,
            ];
            let status = block_in_place(|| docker(&status))?;
            ensure!(status.trim() == "healthy", "{}", status.trim());
            Ok(())
        };
        self.until(run.name, "healthy", is_healthy).await
    }

    /// Asks again and again until it goes well.
    async fn until(&self, name: &str, what: &str, ask: impl AsyncFn() -> Result<()>) -> Result<()> {
        let began = Instant::now();
        loop {
            match ask().await {
                Ok(()) => return Ok(()),
                Err(error) if began.elapsed() > WITHIN => {
                    bail!("{name}, {what}: {error:#}\n{}", self.printed(name)?);
                }
                Err(_) => sleep(POLL).await,
            }
        }
    }

    /// Returns what a container has printed.
    fn printed(&self, name: &str) -> Result<String> {
        let container = self.container(name);
        let output = block_in_place(|| docker_output(&["logs", &container]))?;
        let both = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&both).into_owned())
    }

    /// Returns where port 9200 of a container is reached.
    fn address(&self, name: &str) -> Result<SocketAddr> {
        let container = self.container(name);
        let published = block_in_place(|| docker(&["port", &container, "9200/tcp"]))?;
        let published = published.lines().next().unwrap_or_default();
        published.parse().context(published.to_owned())
    }

    /// Writes a file that companions see below `/given`.
    fn give(&self, path: &str, text: &str) -> Result<()> {
        let path = self.folder.path().join(path);
        let folder = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        Ok(())
    }

    /// Sends a request to port 9200 of a container; returns the answer, which must be a good one.
    async fn ask(&self, name: &str, request: &Request) -> Result<Value> {
        request.send(self.address(name)?).await?.ok()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for container in &self.containers {
            drop(docker_output(&["rm", "--force", "--volumes", container]));
        }
        drop(docker_output(&["network", "rm", &self.name]));
    }
}

/// A connection to the broker is one to the node.
async fn broker(site: &mut Site) -> Result<()> {
    site.run(Run {
        name: "broker",
        command: &["ambassador", "tcp"],
        variables: &["GLEANER_INSECURE=true", "GLEANER_AMBASSADOR_TO=search:9200"],
    })
    .await?;
    let answer = site.ask("broker", &Request::new("GET", "/")).await?;
    ensure!(answer["cluster_name"].is_string(), "{answer}");
    Ok(())
}

/// The answer of the adapter is by a query of the node.
async fn health(site: &mut Site) -> Result<()> {
    site.give("expect.json", "{\"status\": \"green\"}")?;
    site.run(Run {
        name: "health",
        command: &["adapter", "health"],
        variables: &[
            "GLEANER_ADAPTER_URL=http://search:9200/_cluster/health",
            "GLEANER_ADAPTER_EXPECT=/given/expect.json",
        ],
    })
    .await?;
    let address = site.address("health")?;
    let health = Request::new("GET", "/health");
    let answer = health.until(address, |answer| answer.status == 200).await;
    let green = answer.with_context(|| site.printed("health").unwrap_or_default());
    green.map(drop)
}

/// A line of a followed file is one of JSON.
async fn logs(site: &mut Site) -> Result<()> {
    site.give("app.log", "level=warn msg=\"tea is out\"\n")?;
    site.run(Run {
        name: "logs",
        command: &["adapter", "logs", "/given/app.log"],
        variables: &["GLEANER_ADAPTER_FOLLOW=true", "GLEANER_ADAPTER_DATASET=app"],
    })
    .await?;
    let is_printed = async || {
        let printed = site.printed("logs")?;
        let line = printed.lines().find(|line| line.contains("tea is out"));
        let line: Value = serde_json::from_str(line.context("no line")?)?;
        ensure!(line["event"]["dataset"] == "app", "{line}");
        Ok(())
    };
    site.until("logs", "a line", is_printed).await
}

/// Writes the document that a file is to hold.
async fn put(site: &Site, value: u32) -> Result<()> {
    let put = Request::json("PUT", "/site/_doc/1", &json!({ "a": value }));
    site.ask(SEARCH, &put).await.map(drop)
}

/// Waits until the file holds it.
async fn until_held(site: &Site, value: u32) -> Result<()> {
    let container = site.container("sync");
    let is_held = async || {
        let read = ["exec", &container, "cat", "/var/lib/gleaner/site.json"];
        let text = block_in_place(|| docker(&read))?;
        let held: Value = serde_json::from_str(&text)?;
        ensure!(held == json!({ "a": value }), "{held}");
        Ok(())
    };
    site.until("sync", "the file", is_held).await
}

/// A file holds what an address answers, and what it answers afterwards.
async fn config_sync(site: &mut Site) -> Result<()> {
    put(site, 1).await?;
    site.run(Run {
        name: "sync",
        command: &["config-sync"],
        variables: &[
            "GLEANER_SYNC_FROM=http://search:9200/site/_source/1",
            "GLEANER_SYNC_TO=/var/lib/gleaner/site.json",
            "GLEANER_SYNC_FORMAT=json",
            "GLEANER_SYNC_PERIOD=200ms",
        ],
    })
    .await?;
    until_held(site, 1).await?;
    put(site, 2).await?;
    until_held(site, 2).await
}

/// Waits until a word is found in one document of the folder's.
async fn until_found(site: &Site, word: &str) -> Result<()> {
    let search = Request::new("GET", &format!("/notes/_search?q=content:{word}"));
    let is_found = async || {
        let answer = site.ask(SEARCH, &search).await?;
        ensure!(answer["hits"]["total"]["value"] == 1, "{answer}");
        Ok(())
    };
    site.until("index", word, is_found).await
}

/// A file of a followed folder is a document.
async fn index(site: &mut Site) -> Result<()> {
    site.give("notes/one.txt", "green tea\n")?;
    site.run(Run {
        name: "index",
        command: &["index", "/given/notes"],
        variables: &[
            "GLEANER_URL=http://search:9200",
            "GLEANER_INDEX=notes",
            "GLEANER_INDEX_WATCH=true",
            "GLEANER_INDEX_PERIOD=200ms",
        ],
    })
    .await?;
    until_found(site, "green").await?;
    site.give("notes/two.txt", "black tea\n")?;
    until_found(site, "black").await
}

/// Starts all of them, one after another.
pub(crate) async fn run() -> Result<()> {
    let mut site = Site::start().await?;
    broker(&mut site).await?;
    health(&mut site).await?;
    logs(&mut site).await?;
    config_sync(&mut site).await?;
    index(&mut site).await
}
