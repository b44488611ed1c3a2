//! Every route × key, through a front and at a root: the same answer to both; and a key that is revoked is refused by
//! every process within a second.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::{etcd, skipped};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::paths;
use crate::processes::Processes;

/// How long a revoked key may be taken by any process.
const REVOKED_WITHIN: Duration = Duration::from_secs(1);

/// A key that is none.
const WRONG: &str = "a wrong key";

/// How often it is tried through a front, which refuses more than ten a minute.
const MOST_WRONG: usize = 8;

/// Keys: name, privileges on the cluster, names of indices, privileges on those.
const KEYS: &[(&str, &[&str], &str, &[&str])] = &[
    ("nothing", &[], "mine-*", &[]),
    ("reader", &[], "mine-*", &["read"]),
    ("viewer", &[], "mine-*", &["view_index_metadata", "monitor"]),
    ("watcher", &["monitor"], "none", &["read"]),
];

/// Makes a key; returns its id and what is sent of it.
async fn made(
    processes: &Processes,
    (name, cluster, names, privileges): (&str, &[&str], &str, &[&str]),
) -> Result<(String, String)> {
    let roles = json!({"role": {"cluster": cluster, "indices": [{"names": names, "privileges": privileges}]}});
    let body = json!({"name": name, "role_descriptors": roles});
    let request = Request::json("POST", "/_security/api_key", &body);
    let made = processes.send(processes.roots[0], &processes.admin, &request);
    let made = made.await?.ok()?;
    let text = |name: &str| made[name].as_str().map(str::to_owned).context("a text");
    Ok((text("id")?, text("encoded")?))
}

/// What must be the same of two answers.
pub(crate) fn shown(response: &Response) -> (u16, Value) {
    let body = response.json().unwrap_or(Value::Null);
    (response.status, body["error"].clone())
}

/// Requests that only read, one for each route and kind of name: whoever may send them changes nothing.
fn requests() -> Vec<Request> {
    let mut requests = Vec::new();
    for route in gleaner_api::parameter_tables() {
        let only_denied = !route.methods.iter().any(|method| method == "GET");
        for path in route.paths {
            // Each process answers for itself whether it is ready.
            if *path == "/_health/ready" {
                continue;
            }
            for index in ["mine-1", "other-1", "*", "mine-1,other-1"] {
                let has_index = path.contains("{index}");
                if (!has_index && index != "*") || (only_denied && index != "other-1") {
                    continue;
                }
                let path = path.replace("{index}", index).replace(['{', '}'], "x");
                let path = path.replace("*rest", "rest");
                let method = route.methods[0].as_str();
                requests.push(Request::json(method, &path, &json!({})));
            }
        }
    }
    let searches = "{\"index\":\"mine-1\"}\n{}\n{\"index\":\"other-1\"}\n{}\n{}\n{}\n";
    requests.push(Request::ndjson("POST", "/_msearch", searches));
    requests.push(Request::ndjson("POST", "/other-1/_msearch", "{}\n{}\n"));
    let lines = "{\"index\":{\"_index\":\"other-1\"}}\n{}\n{\"delete\":{\"_index\":\"mine-1\",\"_id\":\"1\"}}\n";
    requests.push(Request::ndjson("POST", "/_bulk", lines));
    requests.push(Request::ndjson(
        "POST",
        "/other-1/_bulk",
        "{\"create\":{}}\n{}\n",
    ));
    let docs = json!({"docs": [{"_index": "other-1", "_id": "1"}]});
    requests.push(Request::json("POST", "/_mget", &docs));
    requests
}

#[tokio::test(flavor = "multi_thread")]
async fn fronts_and_roots_let_in_the_same_and_forget_a_key_within_a_second() -> Result<()> {
    if !etcd::is_installed() {
        let test = "keys::fronts_and_roots_let_in_the_same_and_forget_a_key_within_a_second";
        return skipped(test, etcd::NO_ETCD);
    }
    let processes = Processes::start().await?;
    let (front, root) = (processes.fronts[0], processes.roots[1]);
    for name in ["mine-1", "other-1"] {
        let request = Request::json("PUT", &format!("/{name}"), &json!({}));
        let created = processes.send(front, &processes.admin, &request).await?;
        created.ok()?;
    }
    let mut keys = vec![("no key", String::new()), (WRONG, "eDp5".to_owned())];
    let mut first = None;
    for key in KEYS {
        let (id, encoded) = made(&processes, *key).await?;
        first.get_or_insert((id, encoded.clone()));
        keys.push((key.0, encoded));
    }
    let (mut num_denied, mut num_asked, mut num_wrong) = (0, 0, 0);
    for request in requests() {
        for (name, key) in &keys {
            num_wrong += usize::from(*name == WRONG);
            if *name == WRONG && num_wrong > MOST_WRONG {
                continue;
            }
            // Through the front first and again: what is kept must not open a door.
            let by_front = processes.send(front, key, &request).await?;
            let at_root = processes.send(root, key, &request).await?;
            num_asked += 1;
            let (one, two) = (shown(&by_front), shown(&at_root));
            num_denied += usize::from(matches!(one.0, 401 | 403));
            assert_eq!(one.0, two.0, "{name}: {request:?}: {} {}", one.1, two.1);
            if matches!(one.0, 401 | 403) {
                assert_eq!(one.1, two.1, "{name}: {request:?}");
            }
        }
    }
    ensure!(num_denied > 500, "{num_denied} of {num_asked} denied");
    let audit = ["root-1", "root-2"].map(|root| {
        let path = processes
            .folder()
            .join("data")
            .join(root)
            .join("audit.jsonl");
        std::fs::read_to_string(path).unwrap_or_default()
    });
    let lines: Vec<&str> = audit.iter().flat_map(|text| text.lines()).collect();
    ensure!(lines.len() > 10, "denials are written down");
    for line in lines {
        let line: Value = serde_json::from_str(line)?;
        ensure!(line["http.status"].is_u64(), "{line}");
        let time = line["@timestamp"].as_str();
        ensure!(time.is_some_and(|time| time.ends_with('Z')), "{line}");
        ensure!(line["client.address"] == "127.0.0.1", "{line}");
    }
    let reader = keys.iter().find(|(name, _)| *name == "reader");
    let (_, reader) = reader.context("the key of the reader")?;
    paths::decided_alike(&processes, reader).await?;
    let (id, key) = first.context("a key")?;
    revoked(&processes, &id, &key).await?;
    guessed(&processes).await
}

/// Guesses keys at a front until it does not even ask a root.
async fn guessed(processes: &Processes) -> Result<()> {
    let whoami = Request::new("GET", "/_security/_authenticate");
    for _ in 0..20 {
        let answer = processes.send(processes.fronts[0], "eDp5", &whoami).await?;
        if answer.status == 429 {
            let body = answer.json()?;
            assert_eq!(body["error"]["code"], "auth_failures", "{body}");
            ensure!(answer.header("retry-after").is_some(), "it says when");
            return Ok(());
        }
    }
    anyhow::bail!("guesses are not limited")
}

async fn revoked(processes: &Processes, id: &str, key: &str) -> Result<()> {
    let all: Vec<_> = processes.fronts.iter().chain(&processes.roots).collect();
    let whoami = Request::new("GET", "/_security/_authenticate");
    for address in &all {
        let answer = processes.send(**address, key, &whoami).await?;
        assert_eq!(answer.status, 200, "{}", answer.shown());
    }
    let revoke = Request::json("DELETE", "/_security/api_key", &json!({"ids": [id]}));
    let answer = processes.send(processes.fronts[0], &processes.admin, &revoke);
    answer.await?.ok()?;
    let since = Instant::now();
    for address in all {
        while processes.send(*address, key, &whoami).await?.status == 200 {
            ensure!(since.elapsed() < REVOKED_WITHIN, "{address} takes it still");
            sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}
