//! The files of `deploy/patterns` as a user runs them: what their heads show is what happens.

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::Request;
use serde_json::Value;

use crate::project::Project;

const NO_COMPOSE: &str = "no docker-compose answers here";

/// A service that speaks plain HTTP is reached over TLS, and in no other way.
pub(crate) async fn sidecar(test: &str) -> Result<()> {
    let Some(project) = Project::of("patterns/sidecar.yaml") else {
        return gleaner_testkit::skipped(test, NO_COMPOSE);
    };
    project.start()?;
    let address = project.address("legacy", "9443")?;
    let ask = async || {
        let root = Request::new("GET", "/");
        project.ask_over_tls("tls", address, &root).await?.ok()
    };
    let answer = project.until("no answer over TLS", ask).await?;
    ensure!(answer["cluster_name"].is_string(), "{answer}");
    let plain = Request::new("GET", "/").send(address).await;
    let is_answered = plain.as_ref().is_ok_and(|answer| answer.status == 200);
    ensure!(!is_answered, "answered without TLS: {plain:?}");
    Ok(())
}

/// A Redis is seen as metrics, and its slow commands as lines.
pub(crate) async fn adapter(test: &str) -> Result<()> {
    let Some(project) = Project::of("patterns/adapter.yaml") else {
        return gleaner_testkit::skipped(test, NO_COMPOSE);
    };
    project.start()?;
    let address = project.address("redis", "9121")?;
    let is_seen = async || {
        let page = Request::new("GET", "/metrics").send(address).await?;
        let text = String::from_utf8_lossy(&page.body);
        ensure!(text.lines().any(|line| line == "redis_up 1"), "{text}");
        Ok(())
    };
    project.until("no metrics", is_seen).await?;
    let slow = "for turn = 1, 10000000 do end";
    let redis = ["exec", "-T", "redis", "redis-cli", "eval", slow, "0"];
    project.compose(&redis)?;
    let is_logged = async || {
        let lines = project.compose(&["logs", "--no-color", "adapter"])?;
        let is_of_command = |line: &&str| line.to_lowercase().contains("eval took");
        let line = lines.lines().find(is_of_command);
        let line = line.context("it is not in the log")?;
        let json = line.find('{').map_or("", |begin| &line[begin..]);
        let line: Value = serde_json::from_str(json).context(json.to_owned())?;
        ensure!(line["event"]["dataset"] == "redis.slowlog", "{line}");
        Ok(())
    };
    project.until("no slow command", is_logged).await
}

/// A program that knows one Redis reads what it wrote when the server that holds it has died.
pub(crate) async fn ambassador(test: &str) -> Result<()> {
    let Some(project) = Project::of("patterns/ambassador.yaml") else {
        return gleaner_testkit::skipped(test, NO_COMPOSE);
    };
    project.start()?;
    let redis = |service: &str, words: &[&str]| {
        let answer = project.compose(&[&["exec", "-T", service, "redis-cli"], words].concat())?;
        Ok::<_, anyhow::Error>(answer.trim().to_owned())
    };
    let write = async || {
        let answer = redis("program", &["set", "user:1", "Ada"])?;
        ensure!(answer == "OK", "{answer}");
        Ok(())
    };
    project.until("nothing is written", write).await?;
    // A server that was not reached yet when the key was written gets it before it is in.
    let hold = async || {
        let mut holders = Vec::new();
        for service in ["redis-1", "redis-2", "redis-3"] {
            if redis(service, &["exists", "user:1"])? == "1" {
                holders.push(service);
            }
        }
        ensure!(holders.len() == 2, "{holders:?}");
        Ok(holders)
    };
    let holders = project.until("two do not hold it", hold).await?;
    project.compose(&["kill", holders[0]])?;
    let answer = redis("program", &["get", "user:1"])?;
    ensure!(answer == "Ada", "{answer}");
    Ok(())
}
