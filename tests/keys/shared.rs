//! Fronts that keep answers for many tenants: none is shown the answer to another.
//!
//! Keys that reach different parts of the same indices, three of them through aliases with filters, send the same
//! requests at once, in an order that a seed draws. A front must answer as a root does to the same key without a cache.

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use gleaner_datasets::Random;
use gleaner_testkit::http::{Request, Response};
use gleaner_testkit::{etcd, run, skipped};
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::processes::Processes;

/// How many clients ask at once, each over a connection to every front.
const NUM_CLIENTS: usize = 6;

/// How many requests each of them sends.
const NUM_REQUESTS: usize = 250;

/// The fewest answers that must have been kept ones.
const MIN_HITS: usize = 200;

/// The fewest requests by which some of the keys must find different things.
const MIN_DIFFERENT: usize = 12;

/// What the keys have rights to, and which.
const GRANTS: [(&[&str], &str); 12] = [
    (&["orders-kim"], "read"),
    (&["orders-lee"], "read"),
    (&["orders-dear"], "read"),
    (&["orders"], "read"),
    (&["orders-all"], "read"),
    (&["other"], "read"),
    (&["stock"], "read"),
    (&["*"], "read"),
    (&["orders-kim", "other"], "read"),
    (&["orders-kim", "orders-lee"], "read"),
    (&["other", "stock"], "read"),
    (&["orders"], "view_index_metadata"),
];

/// Paths of searches; those without a name, and those with wildcards, reach what a key has rights to.
pub(crate) const SEARCHED: [&str; 8] = [
    "/_search",
    "/_all/_search",
    "/*/_search",
    "/orders/_search",
    "/orders-kim/_search",
    "/orders-*/_search",
    "/o*,-other/_search",
    "/s*/_search",
];

/// Paths of counts.
pub(crate) const COUNTED: [&str; 4] = [
    "/_count",
    "/*/_count",
    "/other/_count",
    "/orders-lee/_count",
];

/// Makes `orders` with three views, `other` and `stock`, with documents of three customers each.
async fn fill(processes: &Processes) -> Result<()> {
    let of = |customer: &str| json!({"filter": {"term": {"customer": customer}}});
    let properties = json!({
        "customer": {"type": "keyword"},
        "text": {"type": "text"},
        "price": {"type": "integer"},
    });
    let body = |aliases: Value| {
        json!({
            "settings": {"number_of_shards": 2},
            "mappings": {"properties": properties},
            "aliases": aliases,
        })
    };
    let views = json!({
        "orders-kim": of("kim"),
        "orders-lee": of("lee"),
        "orders-dear": {"filter": {"range": {"price": {"gte": 10}}}},
        "orders-all": {},
    });
    let mut lines = String::new();
    for (index, aliases) in [
        ("orders", views),
        ("other", json!({})),
        ("stock", json!({})),
    ] {
        let made = Request::json("PUT", &format!("/{index}"), &body(aliases));
        let made = processes.send(processes.roots[0], &processes.admin, &made);
        made.await?.ok()?;
        for number in 0..18 {
            let customer = ["kim", "lee", "sam"][number % 3];
            let text = ["green tea", "black tea", "tea and milk"][number / 3 % 3];
            let document = json!({"customer": customer, "text": text, "price": number});
            let action = json!({"index": {"_index": index, "_id": number.to_string()}});
            lines += &format!("{action}\n{document}\n");
        }
    }
    let bulk = Request::ndjson("POST", "/_bulk?refresh=true", lines);
    let bulk = processes.send(processes.roots[0], &processes.admin, &bulk);
    let written = bulk.await?.ok()?;
    ensure!(written["errors"] == false, "{written}");
    Ok(())
}

/// Returns thirty requests.
fn requests() -> Vec<Request> {
    let tea = json!({"query": {"match": {"text": "tea"}}, "size": 20});
    let customers = json!({
        "size": 0,
        "aggs": {
            "customers": {"terms": {"field": "customer"}},
            "price": {"stats": {"field": "price"}},
        },
    });
    let everything = json!({
        "query": {"term": {"text": "green"}},
        "size": 1,
        "aggs": {"all": {"global": {}, "aggs": {"price": {"sum": {"field": "price"}}}}},
    });
    let mut requests = Vec::new();
    for path in SEARCHED {
        for body in [&tea, &customers, &everything] {
            requests.push(Request::json("POST", path, body));
        }
    }
    let milk = json!({"query": {"match": {"text": "milk"}}});
    requests.extend(COUNTED.map(|path| Request::json("POST", path, &milk)));
    let searches = format!(
        "{{}}\n{tea}\n{{\"index\":\"orders-kim\"}}\n{tea}\n{{\"index\":\"o*\"}}\n{customers}\n\
         {{\"index\":\"other\"}}\n{everything}\n"
    );
    for path in ["/_msearch", "/orders-lee/_msearch"] {
        requests.push(Request::ndjson("POST", path, searches.clone()));
    }
    requests
}

/// Leaves out what differs between two answers to one search, wherever it is.
fn leave_out(answer: &mut Value) {
    match answer {
        Value::Object(fields) => {
            // Shards that rest are left out after a while.
            for name in ["took", "skipped"] {
                fields.remove(name);
            }
            fields.values_mut().for_each(leave_out);
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out),
        _ => {}
    }
}

fn shown(response: &Response) -> Result<(u16, Value)> {
    let mut answer = response.json()?;
    leave_out(&mut answer);
    Ok((response.status, answer))
}

/// Returns what a root answers to each key, by request, without what is kept.
async fn evaluated(
    processes: &Processes,
    keys: &[String],
    requests: &[Request],
) -> Result<Vec<Vec<(u16, Value)>>> {
    let mut root = Connection::to(processes, processes.roots[0]);
    let mut by_key = Vec::new();
    for key in keys {
        let mut answers = Vec::new();
        for request in requests {
            // As `request_cache=false`, for every search of an `_msearch` too.
            let request = request.clone().with_header("cache-control", "no-store");
            let answer = root.send(key, &request).await?;
            let from = answer.header("x-cache");
            ensure!(from != Some("hit"), "{request:?} is not evaluated");
            answers.push(shown(&answer)?);
        }
        by_key.push(answers);
    }
    Ok(by_key)
}

/// Do two of the keys that may send a request find different things by it?
fn is_different(by_key: &[Vec<(u16, Value)>], request: usize) -> bool {
    let answers = by_key.iter().map(|answers| &answers[request]);
    let found = answers.filter(|(status, _)| *status == 200);
    let mut found = found.map(|(_, answer)| answer);
    let first = found.next();
    found.any(|answer| Some(answer) != first)
}

/// What all clients share.
struct Scene<'a> {
    processes: &'a Processes,
    keys: &'a [String],
    requests: &'a [Request],
    expected: &'a [Vec<(u16, Value)>],
}

/// Sends requests that a seed draws; returns how many of the answers had been kept.
async fn ask(scene: &Scene<'_>, client: u64) -> Result<usize> {
    let mut random = Random::stream(run::seed(), 12_000 + client);
    let fronts = scene.processes.fronts.iter();
    let fronts = fronts.map(|front| Connection::to(scene.processes, *front));
    let mut fronts: Vec<Connection<'_>> = fronts.collect();
    let mut num_hits = 0;
    for _ in 0..NUM_REQUESTS {
        let mut draw = |bound: usize| random.below(bound as u64) as usize;
        let (key, request) = (draw(scene.keys.len()), draw(scene.requests.len()));
        let front = draw(fronts.len());
        let answer = fronts[front].send(&scene.keys[key], &scene.requests[request]);
        let answer = answer.await?;
        let from = answer.header("x-cache").unwrap_or("no cache");
        num_hits += usize::from(from == "hit");
        let (found, expected) = (shown(&answer)?, &scene.expected[key][request]);
        ensure!(
            found == *expected,
            "seed {}, {:?}, {from} of front {front}: {:?}\n{found:?}\nby a root: {expected:?}",
            run::seed(),
            GRANTS[key],
            scene.requests[request]
        );
    }
    Ok(num_hits)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_front_answers_a_tenant_with_what_it_keeps_for_another() -> Result<()> {
    if !etcd::is_installed() {
        let test = "keys::no_front_answers_a_tenant_with_what_it_keeps_for_another";
        return skipped(test, etcd::NO_ETCD);
    }
    let processes = Processes::start().await?;
    fill(&processes).await?;
    let mut keys = Vec::new();
    for (names, privilege) in GRANTS {
        let rights = json!({"indices": [{"names": names, "privileges": [privilege]}]});
        keys.push(processes.make_key(&names.join(","), &rights).await?);
    }
    let requests = requests();
    let expected = evaluated(&processes, &keys, &requests).await?;
    let places = 0..requests.len();
    let num_different = places.filter(|at| is_different(&expected, *at)).count();
    ensure!(
        num_different >= MIN_DIFFERENT,
        "the keys find the same by all but {num_different} requests"
    );
    let scene = Scene {
        processes: &processes,
        keys: &keys,
        requests: &requests,
        expected: &expected,
    };
    let clients = (0..NUM_CLIENTS as u64).map(|client| ask(&scene, client));
    let num_hits: usize = try_join_all(clients).await?.iter().sum();
    ensure!(num_hits >= MIN_HITS, "{num_hits} kept answers prove little");
    Ok(())
}
