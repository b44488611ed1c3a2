//! `gleaner cluster recover`: an etcd that was restored from an older backup gets back what nodes hold and know.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};

use anyhow::{Result, bail};
use reqwest::Method;
use serde_json::Value;

use super::consent;
use crate::exit::Exit;
use crate::remote::{self, Remote, RemoteArguments};
use crate::terminal::{one_line, say};

/// Write again what an etcd has lost that was restored from an older backup: metadata that a root has seen, and the entries
/// of shards by what leaves hold. No file is changed.
///
/// Restart the leaves after etcd was restored, and leave the roots running: they know the metadata that the backup lacks.
/// Restart those afterwards. Shows first what is to be written, and asks.
#[derive(Debug, clap::Args)]
pub(super) struct RecoverArguments {
    /// Leaf that does not answer and is not waited for: its copies are made anew; may be repeated
    #[arg(long, value_name = "NODE")]
    without: Vec<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// Runs the command.
pub(super) async fn run(arguments: &RecoverArguments) -> Result<Exit> {
    let remote = arguments.remote.remote()?;
    let without = arguments.without.join(",");
    let planned = recover(&remote, &without, true).await?;
    stdout().write_all(shown(&planned).as_bytes())?;
    if planned["state"].is_null() && list(&planned["shards"]).is_empty() {
        writeln!(stdout(), "etcd has lost nothing that nodes know of")?;
        return Ok(Exit::Success);
    }
    if !consent::is_given("Write this to etcd?", arguments.yes)? {
        bail!("nothing was changed");
    }
    let done = recover(&remote, &without, false).await?;
    let failed: Vec<Value> = list(&done["shards"]);
    let failed = failed.iter().filter(|shard| !shard["failure"].is_null());
    let mut num_failed = 0;
    for shard in failed {
        num_failed += 1;
        say(&format!("{}: {}", name(shard), text(&shard["failure"])));
    }
    if num_failed > 0 {
        bail!("{num_failed} entries were not written: run the command again");
    }
    writeln!(
        stdout(),
        "written; shards serve as soon as their leaves hear of it: see `gleaner cluster status`"
    )?;
    Ok(Exit::Success)
}

async fn recover(remote: &Remote, without: &str, is_dry: bool) -> Result<Value> {
    let asked = remote.request(Method::POST, &["_cluster", "recover"]);
    let mut asked = asked.query(&[("dry_run", is_dry)]);
    if !without.is_empty() {
        asked = asked.query(&[("without", without)]);
    }
    let answer = asked.send().await;
    remote::json(answer.map_err(|error| remote.unanswered(&error))?).await
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn text(value: &Value) -> String {
    one_line(value.as_str().unwrap_or("-"))
}

fn name(shard: &Value) -> String {
    format!("[{}][{}]", text(&shard["index"]), shard["shard"])
}

/// Shows what is to be written.
fn shown(planned: &Value) -> String {
    let mut page = String::new();
    let mut add = |line: String| writeln!(page, "{line}").expect("a string takes all");
    if let Some(state) = planned["state"].as_object() {
        add(format!(
            "the cluster state in etcd is at version {}, this root has seen {}; indices that differ: {}",
            state["version_in_etcd"],
            state["version_known"],
            list(&state["indices"])
                .iter()
                .map(text)
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    for silent in list(&planned["silent"]) {
        add(format!(
            "{} does not tell what it holds: {}",
            text(&silent["node"]),
            text(&silent["reason"])
        ));
    }
    for shard in list(&planned["shards"]) {
        let what = match shard["problem"].as_str() {
            Some(problem) => one_line(problem),
            None => format!(
                "the copy on {} leads, version {}, term {}{}",
                text(&shard["primary"]),
                shard["version"],
                shard["term"],
                if shard["new_history"] == true {
                    ", another history"
                } else {
                    ""
                }
            ),
        };
        add(format!(
            "{}: version {} in etcd, {} seen; {what}",
            name(&shard),
            shard["version_in_etcd"],
            shard["version_seen"]
        ));
        for held in list(&shard["held"]) {
            let damage = held["damage"]
                .as_str()
                .map(|damage| format!(", {}", one_line(damage)));
            add(format!(
                "    {}: version {}, fence {}, term {}, end {}, agreed {}{}",
                text(&held["node"]),
                held["version"],
                held["fence"],
                held["term"],
                held["end"],
                held["agreed"],
                damage.unwrap_or_default()
            ));
        }
    }
    for unknown in list(&planned["unknown"]) {
        let held = list(&unknown["held"]);
        let held = held
            .iter()
            .map(|held| format!("shard {} on {}", held["shard"], text(&held["node"])));
        add(format!(
            "nobody knows the index {}, whose files stay: {}. Without its metadata it cannot be recovered",
            text(&unknown["index_uuid"]),
            held.collect::<Vec<_>>().join(", ")
        ));
    }
    page
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_to_be_written_and_what_cannot_be_is_shown() {
        let planned = json!({
            "state": {"version_in_etcd": 3, "version_known": 9, "indices": ["late"]},
            "silent": [{"node": "leaf-3", "reason": "it does not answer"}],
            "shards": [{
                "index": "books", "shard": 0, "version_in_etcd": 4, "version_seen": 12, "primary": "leaf-1",
                "version": 13, "term": 7, "new_history": true, "problem": null,
                "held": [{"node": "leaf-1", "version": 12, "fence": 6, "term": 5, "end": 80, "agreed": 80, "damage": null}],
            }],
            "unknown": [{"index_uuid": "u", "held": [{"shard": 0, "node": "leaf-2"}]}],
        });
        let page = shown(&planned);
        for part in [
            "at version 3, this root has seen 9; indices that differ: late",
            "leaf-3 does not tell",
            "[books][0]: version 4 in etcd, 12 seen; the copy on leaf-1 leads, version 13, term 7, another history",
            "leaf-1: version 12, fence 6, term 5, end 80, agreed 80",
            "nobody knows the index u, whose files stay: shard 0 on leaf-2",
        ] {
            assert!(page.contains(part), "{page}");
        }
    }
}
