//! `gleaner cluster accept-loss`: a shard whose copies have lost acknowledged operations serves again, without them.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use super::consent;
use crate::exit::Exit;
use crate::remote::{self, Remote, RemoteArguments};
use crate::terminal::{one_line, say};

/// How often it is looked whether the shard serves.
const EVERY: Duration = Duration::from_millis(500);

/// Have a shard that is red serve again with what one of its copies still holds, and give up what is lost.
///
/// Shows first what each copy holds and what would be lost, and asks. Bring a lost data folder back instead where there is
/// one: nothing is lost then. Refused while a copy in sync is whole.
#[derive(Debug, clap::Args)]
pub(super) struct AcceptLossArguments {
    /// The index
    #[arg(value_name = "INDEX")]
    index: String,
    /// The number of the shard
    #[arg(value_name = "SHARD")]
    shard: u32,
    /// Node whose copy is to lead [default: the one that holds most]
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Begin with an empty copy: no document of the shard is left
    #[arg(long)]
    empty: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Seconds to wait until the shard serves
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    wait: u64,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// Runs the command.
pub(super) async fn run(arguments: &AcceptLossArguments) -> Result<Exit> {
    let remote = arguments.remote.remote()?;
    let copies = copies_of(&remote, arguments).await?;
    stdout().write_all(shown(arguments, &copies).as_bytes())?;
    let node = chosen(arguments, &copies)?;
    let copy = copies.iter().find(|copy| copy["node"] == *node);
    let lost = match arguments.empty {
        true => "lost_if_empty",
        false => "lost_if_primary",
    };
    let lost = copy
        .and_then(|copy| copy[lost].as_str())
        .unwrap_or("unknown");
    let what = match arguments.empty {
        true => "an empty copy leads",
        false => "its copy leads",
    };
    say(&format!(
        "On `{node}` {what}. Lost: {}. Copies on other nodes are made anew from it: what only they hold is gone for good",
        one_line(lost)
    ));
    if !consent::is_given("Accept the loss?", arguments.yes)? {
        bail!("nothing was changed");
    }
    force(&remote, arguments, &node).await?;
    wait(&remote, arguments).await
}

/// Returns what is known of each copy.
async fn copies_of(remote: &Remote, arguments: &AcceptLossArguments) -> Result<Vec<Value>> {
    let (index, shard) = (&arguments.index, arguments.shard);
    let body = json!({"index": index, "shard": shard, "primary": true});
    let asked = remote
        .request(Method::POST, &["_cluster", "allocation", "explain"])
        .json(&body);
    let answer = asked.send().await;
    let answer = answer.map_err(|error| remote.unanswered(&error))?;
    let explained = remote::json(answer).await?;
    let copies = explained["copies"].as_array().cloned();
    copies.with_context(|| {
        format!(
            "[{index}][{shard}] is in one process, which has its only copy: there is none to choose"
        )
    })
}

/// Returns the node whose copy is to lead: the one that is named, or which holds most.
fn chosen(arguments: &AcceptLossArguments, copies: &[Value]) -> Result<String> {
    let name = |copy: &Value| copy["node"].as_str().unwrap_or_default().to_owned();
    if let Some(whole) = copies.iter().find(|copy| copy["lack"].is_null()) {
        bail!(
            "nothing is lost: the copy on `{}` is in sync, its node is alive, and it holds all that was acknowledged",
            name(whole)
        );
    }
    if let Some(node) = &arguments.node {
        return Ok(node.clone());
    }
    let is_fit = |copy: &&Value| {
        // One that has nothing of the shard tells neither, and no reason either.
        let is_silent = copy["state"].is_null() && copy["holds"].is_null();
        let has_told = copy["alive"] == true && (!is_silent || copy["reason"].is_null());
        has_told && (arguments.empty || !copy["holds"].is_null())
    };
    let most = |copy: &&Value| {
        let next = copy["holds"]["next"].as_u64();
        (
            copy["holds"]["term"].as_u64(),
            next,
            copy["primary"] == true,
        )
    };
    match copies.iter().filter(is_fit).max_by_key(most) {
        Some(copy) => Ok(name(copy)),
        None if arguments.empty => bail!(
            "no node that is to hold a copy is alive: start one, with an empty folder where its own is gone"
        ),
        None => bail!(
            "no copy that is left holds anything, as far as nodes that are alive tell: start those that are not, or begin \
             with nothing by `--empty`"
        ),
    }
}

async fn force(remote: &Remote, arguments: &AcceptLossArguments, node: &str) -> Result<()> {
    let command = match arguments.empty {
        true => "allocate_empty_primary",
        false => "allocate_stale_primary",
    };
    let (index, shard) = (&arguments.index, arguments.shard);
    let fields = json!({"index": index, "shard": shard, "node": node, "accept_data_loss": true});
    let body = json!({"commands": [{command: fields}]});
    let asked = remote
        .request(Method::POST, &["_cluster", "reroute"])
        .json(&body);
    let answer = asked.send().await;
    let answer = answer.map_err(|error| remote.unanswered(&error))?;
    remote::json(answer).await.map(drop)
}

/// Waits until the shard has a primary that serves; else says why it has none.
async fn wait(remote: &Remote, arguments: &AcceptLossArguments) -> Result<Exit> {
    let (index, shard) = (&arguments.index, arguments.shard);
    let until = Instant::now() + Duration::from_secs(arguments.wait);
    loop {
        let path = ["_cluster", "health", index.as_str()];
        let asked = remote.request(Method::GET, &path);
        let answer = asked.query(&[("level", "shards")]).send().await;
        let answer = answer.map_err(|error| remote.unanswered(&error))?;
        let health = remote::json(answer).await?;
        let status = &health["indices"][index]["shards"][shard.to_string()]["status"];
        match status.as_str() {
            Some(status @ ("green" | "yellow")) => {
                writeln!(stdout(), "[{index}][{shard}] serves again: {status}")?;
                return Ok(Exit::Success);
            }
            _ if Instant::now() < until => tokio::time::sleep(EVERY).await,
            _ => break,
        }
    }
    let copies = copies_of(remote, arguments).await?;
    stdout().write_all(shown(arguments, &copies).as_bytes())?;
    say(&format!(
        "[{index}][{shard}] does not serve yet; the copy that leads says why above"
    ));
    Ok(Exit::Red)
}

/// Shows the copies, one in a line.
fn shown(arguments: &AcceptLossArguments, copies: &[Value]) -> String {
    let (index, shard) = (&arguments.index, arguments.shard);
    let mut page = format!(
        "[{index}][{shard}]\n{:<20} {:<6} {:<8} {:>6} {:>10} {:>10}  {}\n",
        "NODE", "ALIVE", "IN SYNC", "TERM", "END", "AGREED", "KNOWN TO HAVE HELD"
    );
    let yes = |value: &Value| if *value == true { "yes" } else { "no" };
    let number = |value: &Value| {
        value
            .as_u64()
            .map_or_else(|| "-".to_owned(), |number| number.to_string())
    };
    for copy in copies {
        let mark = match copy["mark"]["position"].as_u64() {
            Some(position) => format!(
                "{position} operations, at {}",
                one_line(
                    copy["mark"]["noted"]
                        .as_str()
                        .unwrap_or("a time that is not known")
                )
            ),
            None => "not known".to_owned(),
        };
        let holds = &copy["holds"];
        writeln!(
            page,
            "{:<20} {:<6} {:<8} {:>6} {:>10} {:>10}  {mark}",
            one_line(copy["node"].as_str().unwrap_or("-")),
            yes(&copy["alive"]),
            yes(&copy["in_sync"]),
            number(&holds["term"]),
            number(&holds["next"]),
            number(&holds["agreed"]),
        )
        .expect("a string takes all");
        for (label, value) in [
            ("lacks", &copy["lack"]),
            ("says", &copy["reason"]),
            ("lost if it leads", &copy["lost_if_primary"]),
        ] {
            if let Some(told) = value.as_str() {
                writeln!(page, "    {label}: {}", one_line(told)).expect("a string takes all");
            }
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(node: Option<&str>, empty: bool) -> AcceptLossArguments {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            arguments: AcceptLossArguments,
        }
        let line = <Line as clap::Parser>::parse_from(["accept-loss", "books", "0"]);
        AcceptLossArguments {
            node: node.map(str::to_owned),
            empty,
            ..line.arguments
        }
    }

    fn copy(node: &str, holds: Option<(u64, u64)>) -> Value {
        json!({
            "node": node,
            "alive": true,
            "in_sync": false,
            "primary": false,
            "state": "recovering",
            "lack": "it is not in sync",
            "holds": holds.map(|(term, next)| json!({"term": term, "next": next, "agreed": next})),
            "mark": {"position": 9, "noted": "2026-01-01T00:00:00.000Z"},
            "lost_if_primary": "operations 5 to 8, 4 in all",
        })
    }

    #[test]
    fn the_copy_that_holds_most_is_chosen_unless_one_is_named_or_nothing_is_lost() {
        let copies = [
            copy("leaf-1", None),
            copy("leaf-2", Some((3, 5))),
            copy("leaf-3", Some((2, 7))),
        ];
        let chosen = |node, empty, copies: &[Value]| super::chosen(&arguments(node, empty), copies);
        assert_eq!(chosen(None, false, &copies).expect("one"), "leaf-2");
        assert_eq!(
            chosen(Some("leaf-3"), false, &copies).expect("it"),
            "leaf-3"
        );
        let nothing = [copy("leaf-1", None)];
        assert!(chosen(None, false, &nothing).is_err());
        assert_eq!(chosen(None, true, &nothing).expect("it"), "leaf-1");
        let mut whole = copy("leaf-1", Some((3, 9)));
        whole["lack"] = Value::Null;
        let refused = chosen(Some("leaf-2"), false, &[whole]).expect_err("refused");
        assert!(refused.to_string().contains("nothing is lost"));
    }

    #[test]
    fn each_copy_is_shown_with_what_it_holds_and_held() {
        let page = shown(&arguments(None, false), &[copy("leaf-2", Some((3, 5)))]);
        for part in [
            "[books][0]",
            "leaf-2",
            "9 operations, at 2026-01-01",
            "lacks: it is not in sync",
            "4 in all",
        ] {
            assert!(page.contains(part), "{page}");
        }
    }
}
