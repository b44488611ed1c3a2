//! `deploy/compose.yaml` as a user runs it: loaded over TLS through a front, taken down, brought up again, counted
//! through another one.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use gleaner_testkit::http::{Request, Response};
use serde_json::json;
use tokio::task::block_in_place;

use crate::fleet::bulk;
use crate::project::Project;

/// Seconds that the loader may take.
const LOADED_WITHIN: &str = "120";
/// Documents that are written.
const COUNT: usize = 500;
/// Documents that the loader writes.
const LOADED: usize = 5_000;

/// Starts all nodes and waits until every copy serves.
async fn up(project: &Project) -> Result<()> {
    project.start()?;
    let whole = Request::new("GET", "/_cluster/health?wait_for_status=green&timeout=5s");
    let is_whole = async || {
        let health = ask(project, "front-1", &whole).await?;
        if health.status == 200 {
            return Ok(());
        }
        let copies = Request::new(
            "GET",
            "/_cat/shards?v&h=index,shard,prirep,state,node,unassigned.reason,unassigned.details",
        );
        let copies = ask(project, "front-1", &copies).await?;
        bail!("{}\n{}", health.shown(), copies.shown());
    };
    project.until("not whole", is_whole).await
}

/// Waits until the loader has ended; what it has loaded is found.
async fn loaded(project: &Project) -> Result<()> {
    let container = project.compose(&["ps", "--all", "--quiet", "loader"])?;
    let mut waiting = Command::new("timeout");
    waiting.args([LOADED_WITHIN, "docker", "wait", container.trim()]);
    let ended = block_in_place(|| waiting.output()).context("cannot start Docker")?;
    let ended = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
    if ended != "0" {
        let logs = project.compose(&["logs", "loader"])?;
        bail!("the loader ended with {ended:?}\n{logs}");
    }
    let refresh = Request::new("POST", "/generated/_refresh");
    ask(project, "front-1", &refresh).await?.ok()?;
    let count = Request::new("GET", "/generated/_count");
    let count = ask(project, "front-1", &count).await?.ok()?;
    ensure!(count["count"] == json!(LOADED), "{count}");
    Ok(())
}

async fn ask(project: &Project, front: &str, request: &Request) -> Result<Response> {
    let address = project.address(front, "9200")?;
    let key = format!("ApiKey {}", first_key(project)?);
    let request = request.clone().with_header("authorization", &key);
    project.ask_over_tls(front, address, &request).await
}

/// Returns the first key, which one of the roots has made.
fn first_key(project: &Project) -> Result<String> {
    let read = |root| ["exec", "-T", root, "cat", "/var/lib/gleaner/admin.key"];
    let found = ["root-1", "root-2"].map(|root| project.compose(&read(root)));
    let found = found.into_iter().find_map(Result::ok);
    Ok(found.context("no root has made a key")?.trim().to_owned())
}

/// Loads documents, takes all containers away, brings them back, and counts.
pub(crate) async fn run(test: &str) -> Result<()> {
    let Some(project) = Project::of("compose.yaml") else {
        return gleaner_testkit::skipped(test, "no docker-compose answers here");
    };
    up(&project).await?;
    loaded(&project).await?;
    let documents = (0..COUNT).map(|n| (n.to_string(), json!({"n": n})));
    let load = Request::ndjson("POST", "/kept/_bulk?refresh=true", bulk(documents));
    let answer = ask(&project, "front-2", &load).await?.ok()?;
    ensure!(answer["errors"] == json!(false), "{answer}");
    project.compose(&["down"])?;
    up(&project).await?;
    let count = Request::new("GET", "/kept/_count");
    let count = ask(&project, "front-3", &count).await?.ok()?;
    ensure!(count["count"] == json!(COUNT), "{count}");
    ensure!(count["_shards"]["failed"] == json!(0), "{count}");
    Ok(())
}
