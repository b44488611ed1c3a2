//! Shards that are known not to match are not asked, and nobody can tell by the answer.
//!
//! Days of a log, an index each, on leaves that give leases at once; beside it one process that gives
//! none, with the same documents in other shards. Each search is put several times, so that what
//! shards have said of themselves is used; between searches documents come, change and go through
//! another root, and are owed to the next search as soon as they were acknowledged as visible.

use std::time::Duration;

use anyhow::{Result, ensure};
use gleaner_datasets::Random;
use gleaner_proto::write::WriteAction;
use gleaner_root::ingest::{IngestItem, IngestOptions, RefreshPolicy};
use gleaner_root::{Root, RootOptions, SearchResponse};
use gleaner_testkit::cluster::Way;
use gleaner_testkit::{Cluster, Node, node, run};
use serde_json::{Value, json};

/// Searches: reduced, and in full.
const NUM_SEARCHES: (usize, usize) = (150, 3_000);
/// Times that each is put.
const NUM_TIMES: usize = 3;
/// Days, an index each.
const NUM_DAYS: u64 = 10;
const NUM_LEAVES: usize = 4;
/// Documents of a day.
const PER_DAY: u64 = 24;
/// Long enough for what follows at once, short for those who wait for it.
const LEASE: Duration = Duration::from_millis(60);
/// The first midnight.
const FIRST_MS: u64 = 1_767_225_600_000;
const DAY_MS: u64 = 86_400_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_the_same_whether_shards_were_skipped_or_asked() -> Result<()> {
    let mut random = Random::stream(run::seed(), 2_000);
    let plain = Node::start().await?;
    let options = RootOptions::default;
    let cluster = Cluster::start_with(NUM_LEAVES, options(), |leaf| {
        (leaf.lease, leaf.lease_after) = (LEASE, Duration::ZERO);
    })
    .await?;
    for day in 0..NUM_DAYS {
        cluster.create(&name(day), &body(2, 1)).await?;
        plain.create(&name(day), &body(1, 0)).await?;
        let items: Vec<IngestItem> = (0..PER_DAY).map(|n| put(&mut random, day, n)).collect();
        write((&cluster.root, &plain.root), items).await?;
    }
    let writer = cluster.another_root(Way::Direct, options());
    let (mut num_skipped, mut num_hits) = (0, 0);
    let mut next = None;
    for number in 0..run::sized(NUM_SEARCHES.0, NUM_SEARCHES.1) {
        let asked = next.take().unwrap_or_else(|| search(&mut random));
        let expected = plain.search("logs-*", &asked).await?;
        ensure!(expected.shards.skipped < NUM_DAYS as u32);
        for time in 0..NUM_TIMES {
            let found = cluster.search("logs-*", &asked).await?;
            num_skipped += found.shards.skipped;
            ensure!(
                told(&found) == told(&expected),
                "seed {}, search {number}, time {time}: {asked}\nfound    {}\nexpected {}",
                run::seed(),
                told(&found),
                told(&expected)
            );
            ensure!(found.coverage.share() == 1.0, "{:?}", found.coverage);
        }
        num_hits += expected.hits.len();
        if random.chance(1, 3) {
            let items = (0..1 + random.below(3)).map(|_| change(&mut random));
            let items: Vec<IngestItem> = items.collect();
            next = items.iter().find_map(time_of).map(at_that_time);
            write((&writer, &plain.root), items).await?;
        }
    }
    ensure!(num_hits > 0, "queries must find something");
    ensure!(num_skipped > 100, "shards must be skipped: {num_skipped}");
    run::report(
        "exactness-skipping",
        &json!({
            "searches": NUM_TIMES * run::sized(NUM_SEARCHES.0, NUM_SEARCHES.1),
            "shards_skipped": num_skipped,
            "differences": 0,
        }),
    )
}

fn name(day: u64) -> String {
    format!("logs-{day:02}")
}

fn body(num_shards: u32, num_replicas: u32) -> Value {
    json!({
        "settings": {
            "number_of_shards": num_shards, "number_of_replicas": num_replicas,
            "refresh_interval": -1,
        },
        "mappings": {"properties": {
            "at": {"type": "date"}, "host": {"type": "keyword"}, "message": {"type": "text"},
            "took": {"type": "long"}, "load": {"type": "double"}, "from": {"type": "ip"},
            "is_error": {"type": "boolean"}, "rare": {"type": "keyword"},
        }},
    })
}

/// Returns a document of a day; hosts and words come and go with the days.
fn document(random: &mut Random, day: u64) -> Value {
    let word = |random: &mut Random| format!("w{}", day / 2 + random.below(8));
    let words: Vec<String> = (0..1 + random.below(5)).map(|_| word(random)).collect();
    let mut document = json!({
        "at": FIRST_MS + day * DAY_MS + random.below(DAY_MS),
        "host": format!("h{}", day + random.below(4)),
        "message": words.join(" "),
        "took": 100 * day + random.below(200),
        "load": random.below(64) as f64 / 8.0 + day as f64,
        "from": format!("10.0.{day}.{}", random.below(200)),
        "is_error": random.chance(1, 12),
    });
    if random.chance(1, 20) {
        document["rare"] = format!("r{}", random.below(5)).into();
    }
    document
}

fn put(random: &mut Random, day: u64, number: u64) -> IngestItem {
    let source = document(random, day);
    node::item(&name(day), &format!("d{day}-{number}"), &source)
}

/// Draws a write: mostly of another day's content, which no range that was known covers.
fn change(random: &mut Random) -> IngestItem {
    let (day, number) = (random.below(NUM_DAYS), random.below(2 * PER_DAY));
    let mut item = put(random, day, number);
    if random.chance(1, 4) {
        item.action = WriteAction::Delete;
    } else if random.chance(1, 2) {
        let other = random.below(NUM_DAYS);
        let source = document(random, other);
        item.action = node::item(&name(day), "", &source).action;
    }
    item
}

/// Returns when what is written happened; `None` for a delete.
fn time_of(item: &IngestItem) -> Option<u64> {
    let WriteAction::Index { source, .. } = &item.action else {
        return None;
    };
    let source: Value = serde_json::from_slice(source).ok()?;
    source["at"].as_u64()
}

/// Returns a search for what happened at one moment.
fn at_that_time(at: u64) -> Value {
    json!({"query": {"range": {"at": {"gte": at, "lte": at}}}})
}

/// Makes the same writes visible in both, last in the first.
async fn write(roots: (&Root, &Root), items: Vec<IngestItem>) -> Result<()> {
    for root in [roots.1, roots.0] {
        let options = IngestOptions {
            refresh: RefreshPolicy::Immediate,
            ..IngestOptions::default()
        };
        for result in root.ingester().ingest(items.clone(), &options).await {
            result.outcome?;
        }
    }
    Ok(())
}

fn search(random: &mut Random) -> Value {
    let size = [0, 1, 5, 20][random.below(4) as usize];
    let mut body = json!({
        "query": query(random, 2),
        "size": size,
        "track_total_hits": random.chance(2, 3),
    });
    match random.below(4) {
        0 => body["sort"] = json!([{"at": "desc"}]),
        1 => body["sort"] = json!([{"took": "asc"}, "_score"]),
        _ => {}
    }
    if random.chance(1, 4) {
        body["post_filter"] = leaf(random);
    }
    if random.chance(1, 3) {
        body["aggs"] = aggregations(random);
    }
    body
}

fn query(random: &mut Random, depth: u32) -> Value {
    if depth == 0 || random.chance(1, 2) {
        return leaf(random);
    }
    let mut some = |most| -> Vec<Value> {
        let number = random.below(most);
        (0..number).map(|_| query(random, depth - 1)).collect()
    };
    let (must, filter, should, must_not) = (some(3), some(3), some(3), some(2));
    json!({"bool": {"must": must, "filter": filter, "should": should, "must_not": must_not}})
}

fn leaf(random: &mut Random) -> Value {
    let day = random.below(NUM_DAYS + 1);
    match random.below(10) {
        9 => {
            let word = format!("w{}", random.below(16));
            json!({"match": {"message": {"query": word, "fuzziness": 1}}})
        }
        0 | 1 => {
            let from = FIRST_MS + day * DAY_MS + random.below(DAY_MS);
            let bound = ["gte", "gt", "lt", "lte"][random.below(4) as usize];
            json!({"range": {"at": {bound: from}}})
        }
        2 => {
            let least = random.below(100 * NUM_DAYS + 300);
            json!({"range": {"took": {"gte": least, "lt": least + random.below(200)}}})
        }
        3 => json!({"range": {"load": {"gt": random.below(20) as f64 / 2.0}}}),
        4 => json!({"term": {"host": format!("h{}", random.below(NUM_DAYS + 6))}}),
        5 => json!({"terms": {"rare": [format!("r{}", random.below(6)), "none"]}}),
        6 => {
            let words = format!("w{} w{}", random.below(16), random.below(16));
            let operator = ["and", "or"][random.below(2) as usize];
            json!({"match": {"message": {"query": words, "operator": operator}}})
        }
        7 => json!({"term": {"from": format!("10.0.{day}.0/24")}}),
        _ => match random.below(3) {
            0 => json!({"exists": {"field": "rare"}}),
            1 => json!({"term": {"is_error": true}}),
            _ => json!({"match_phrase": {"message": format!("w{day} w{}", random.below(12))}}),
        },
    }
}

fn aggregations(random: &mut Random) -> Value {
    match random.below(5) {
        0 => json!({
            "hosts": {"terms": {"field": "host", "size": 3}, "aggs": {"load": {"avg": {"field": "load"}}}},
        }),
        1 => json!({
            "days": {"date_histogram": {"field": "at", "calendar_interval": "day"}},
            "took": {"stats": {"field": "took"}},
        }),
        2 => json!({
            "errors": {"filter": {"term": {"is_error": true}}},
            "ranges": {"range": {"field": "at", "ranges": [{"to": FIRST_MS + DAY_MS}, {"from": FIRST_MS}]}},
        }),
        3 => json!({
            "all": {"global": {}, "aggs": {"hosts": {"cardinality": {"field": "host"}}}},
        }),
        _ => json!({"hosts": {"terms": {"field": "host", "min_doc_count": 0, "size": 30}}}),
    }
}

/// Returns all of an answer that a client sees of documents.
fn told(response: &SearchResponse) -> String {
    let hits = response.hits.iter().map(|hit| {
        let score = hit.score.map(f32::to_bits);
        let source = hit.source.as_ref().map(|bytes| bytes.to_vec());
        let source = source.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (&hit.index, &hit.content.id, score, &hit.sort, source)
    });
    let max_score = response.max_score.map(f32::to_bits);
    format!(
        "{:?} {max_score:?} {:?} {:?}",
        response.total,
        hits.collect::<Vec<_>>(),
        response.aggregations
    )
}
