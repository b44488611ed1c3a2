//! `gleaner cluster status`: members, copies, terms and in-sync sets, and an exit code that tells health.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Write as _, stdout};

use anyhow::Result;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::exit::{self, Exit};
use crate::remote::{self, Remote, RemoteArguments};
use crate::terminal::{Palette, grouped, one_line};

/// Show the members of a cluster and the copies of its shards: primaries, terms, in-sync sets.
///
/// A copy that is in sync holds everything that was acknowledged, and may become primary.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::OF_STATUS)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    remote: RemoteArguments,
    /// Print one object of JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) async fn run(arguments: &StatusArguments) -> Result<Exit> {
    let status = look(&arguments.remote.remote()?).await?;
    let text = match arguments.json {
        true => format!("{status:#}\n"),
        false => to_text(&status, Palette::of_stdout()),
    };
    stdout().write_all(text.as_bytes())?;
    Ok(match status["status"].as_str() {
        Some("green") => Exit::Success,
        Some("yellow") => Exit::Yellow,
        _ => Exit::Red,
    })
}

/// Returns the status as one object.
async fn look(remote: &Remote) -> Result<Value> {
    let of_nodes = [
        ("format", "json"),
        ("h", "name,node.role,master,uptime,cpu"),
    ];
    let columns = "index,shard,prirep,state,node,docs,unassigned.details";
    let of_shards = [("format", "json"), ("h", columns)];
    let (health, nodes, shards, state) = tokio::try_join!(
        ask(remote, &["_cluster", "health"], &[]),
        ask(remote, &["_cat", "nodes"], &of_nodes),
        ask(remote, &["_cat", "shards"], &of_shards),
        ask(remote, &["_cluster", "state", "metadata"], &[]),
    )?;
    let mut by_shard: BTreeMap<(String, u64), Vec<Value>> = BTreeMap::new();
    for copy in shards.as_array().into_iter().flatten() {
        let index = copy["index"].as_str().unwrap_or_default().to_owned();
        let number = copy["shard"]
            .as_str()
            .and_then(|number| number.parse().ok());
        by_shard
            .entry((index, number.unwrap_or_default()))
            .or_default()
            .push(copy.clone());
    }
    let shards = by_shard
        .into_iter()
        .map(|((index, number), copies)| shard(&state["metadata"], &index, number, &copies));
    // What is wrong beside copies of shards.
    let reasons = health["reasons"].as_array().cloned().unwrap_or_default();
    Ok(json!({
        "cluster_name": health["cluster_name"],
        "status": health["status"],
        "reasons": reasons,
        "members": nodes,
        "shards": shards.collect::<Vec<Value>>(),
    }))
}

/// Returns what is known of a shard.
fn shard(metadata: &Value, index: &str, number: u64, copies: &[Value]) -> Value {
    let key = number.to_string();
    let meta = &metadata["indices"][index];
    let is_primary = |copy: &&Value| copy["prirep"] == "p";
    let primary = copies.iter().find(is_primary);
    let told = |copy: &Value| {
        let mut told = Map::new();
        for name in ["node", "state", "docs", "unassigned.details"] {
            if !copy[name].is_null() {
                told.insert(name.to_owned(), copy[name].clone());
            }
        }
        Value::from(told)
    };
    json!({
        "index": index,
        "shard": number,
        "term": meta["primary_terms"][&key],
        "primary": primary.map(|copy| copy["node"].clone()),
        "in_sync": meta["in_sync_allocations"][&key],
        "copies": copies.iter().map(told).collect::<Vec<Value>>(),
    })
}

async fn ask(remote: &Remote, path: &[&str], query: &[(&str, &str)]) -> Result<Value> {
    let answer = remote.request(Method::GET, path).query(query).send().await;
    let answer = answer.map_err(|error| remote.unanswered(&error))?;
    remote::json(answer).await
}

fn to_text(status: &Value, palette: Palette) -> String {
    let Palette {
        strong,
        faint,
        reset,
        ..
    } = palette;
    let text = |value: &Value| one_line(value.as_str().unwrap_or("-"));
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (members, shards) = (list(&status["members"]), list(&status["shards"]));
    let colour = palette.of_health(status["status"].as_str().unwrap_or_default());
    let mut page = format!(
        "{strong}{}{reset}  {colour}{}{reset}  members: {}, shards: {}\n\n",
        text(&status["cluster_name"]),
        text(&status["status"]),
        members.len(),
        grouped(shards.len() as u64)
    );
    for reason in list(&status["reasons"]) {
        // In place of the empty line, which follows.
        page.truncate(page.trim_end().len());
        add(&mut page, &format!("\n{colour}{}{reset}\n", text(&reason)));
    }
    let head = format!(
        "{:<20} {:<6} {:<6} {:>5} {:>8}",
        "MEMBER", "ROLE", "MASTER", "CPU%", "UP"
    );
    add(&mut page, &format!("{faint}{head}{reset}"));
    for member in &members {
        let [name, role, master, cpu, uptime] =
            ["name", "node.role", "master", "cpu", "uptime"].map(|column| text(&member[column]));
        add(
            &mut page,
            &format!("{name:<20} {role:<6} {master:<6} {cpu:>5} {uptime:>8}"),
        );
    }
    if shards.is_empty() {
        return page;
    }
    let head = format!(
        "\n{:<24} {:>5} {:>5} {:<14} {:<24} {}",
        "INDEX", "SHARD", "TERM", "PRIMARY", "IN SYNC", "COPIES"
    );
    add(&mut page, &format!("{faint}{head}{reset}"));
    for shard in &shards {
        let in_sync: Vec<String> = list(&shard["in_sync"]).iter().map(text).collect();
        let copies: Vec<String> = list(&shard["copies"])
            .iter()
            .map(|copy| of_copy(copy, palette))
            .collect();
        let line = format!(
            "{:<24} {:>5} {:>5} {:<14} {:<24} {}",
            text(&shard["index"]),
            shard["shard"].to_string(),
            shard["term"].to_string(),
            text(&shard["primary"]),
            in_sync.join(","),
            copies.join(", ")
        );
        add(&mut page, &line);
    }
    page
}

fn add(page: &mut String, line: &str) {
    writeln!(page, "{line}").expect("a string takes all");
}

/// Returns the node of a copy, and its state where it does not serve.
fn of_copy(copy: &Value, palette: Palette) -> String {
    let Palette { bad, reset, .. } = palette;
    let node = one_line(copy["node"].as_str().unwrap_or("nowhere"));
    match copy["state"].as_str() {
        Some("STARTED") => node,
        state => {
            let state = state.unwrap_or("unknown").to_lowercase();
            let details = copy["unassigned.details"].as_str().map(one_line);
            let details = details.map_or_else(String::new, |details| format!(" {details}"));
            format!("{bad}{node} {state}{details}{reset}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shard_has_a_line_with_its_term_its_in_sync_set_and_what_is_wrong() {
        let metadata = json!({"indices": {"books": {
            "primary_terms": {"0": 3},
            "in_sync_allocations": {"0": ["leaf-1"]},
        }}});
        let copies = [
            json!({"index": "books", "shard": "0", "prirep": "p", "state": "STARTED", "node": "leaf-1", "docs": "7"}),
            json!({"index": "books", "shard": "0", "prirep": "r", "state": "UNASSIGNED", "node": null,
                   "unassigned.details": "node_left [leaf-2]"}),
        ];
        let shard = shard(&metadata, "books", 0, &copies);
        assert_eq!(shard["term"], 3);
        assert_eq!(shard["primary"], "leaf-1");
        let status = json!({
            "cluster_name": "c", "status": "yellow",
            "reasons": ["etcd has no majority (1 of 3 members answers)", "another"],
            "members": [{"name": "leaf-1", "node.role": "d", "master": "-", "cpu": "4", "uptime": "3h"}],
            "shards": [shard],
        });
        let text = to_text(&status, Palette::PLAIN);
        let head: Vec<&str> = text.lines().take(4).collect();
        let lost = "etcd has no majority (1 of 3 members answers)";
        assert_eq!(head[1..], [lost, "another", ""], "{text}");
        let last = text.lines().last().expect("a line");
        let words: Vec<&str> = last.split_whitespace().collect();
        let expected = "books 0 3 leaf-1 leaf-1 leaf-1, nowhere unassigned node_left [leaf-2]";
        assert_eq!(words.join(" "), expected, "{text}");
    }
}
