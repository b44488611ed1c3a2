//! Dear requests of one client, several at once, while another client searches for a word: it is answered meanwhile.
//!
//! The requests are of the kinds that once kept everybody waiting: long lists of names, all fields of many documents,
//! fragments of all fields, a thousand patterns, a thousand settings more than there may be. How long a short search takes
//! is not looked at, only that it does not wait for the end of the others.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::Request;
use gleaner_testkit::{Server, run};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// Requests of one kind at once.
const AT_ONCE: usize = 4;
/// Short searches while those of one kind are answered: reduced, and in full.
const NUM_SEARCHES: (usize, usize) = (10, 100);
/// Aliases of one index: reduced, and in full.
const NUM_ALIASES: (usize, usize) = (1_500, 9_900);
/// Fields of a mapping, and documents that have all of them: reduced, and in full.
const NUM_FIELDS: (usize, usize) = (300, 990);
const NUM_WIDE: (usize, usize) = (60, 1_000);
/// Clauses of a query.
const NUM_CLAUSES: usize = 1_000;
/// Longest time for a short search, and for a dear request, whose deadline is a minute: then something hangs.
const SEARCHED_WITHIN: Duration = Duration::from_secs(20);
const ANSWERED_WITHIN: Duration = Duration::from_secs(120);

/// What to send, and what it may be answered with.
struct Dear {
    request: Request,
    statuses: &'static [u16],
}

fn dear(request: Request, statuses: &'static [u16]) -> Dear {
    Dear { request, statuses }
}

/// A search of the wide index.
fn wide(body: &Value) -> Dear {
    dear(
        Request::json("POST", "/wide/_search", body),
        &[200, 429, 503],
    )
}

fn any(clauses: impl Iterator<Item = Value>) -> Value {
    let clauses: Vec<Value> = clauses.collect();
    json!({"query": {"bool": {"should": clauses}}, "track_total_hits": true})
}

/// Requests that are dear by the names in them.
fn naming() -> BTreeMap<&'static str, Dear> {
    let wildcards = |num: usize| "a*,".repeat(num);
    let long = format!("/{}/_search", wildcards(20_000));
    let within = format!("/{}/_search?q=few", wildcards(1_300));
    let health = format!("/_cluster/health/{}?timeout=0s", wildcards(1_300));
    let listed: Vec<String> = (0..20_000).map(|n| format!("*a*{n}")).collect();
    let header = json!({"index": listed});
    let msearch = format!("{header}\n{{\"size\":0}}\n");
    let boosts: Vec<Value> = listed.iter().map(|name| json!({name: 2.0})).collect();
    let boosted = json!({"indices_boost": boosts});
    let copied = json!({"source": {"index": listed}, "dest": {"index": "copied"}});
    let actions = listed
        .iter()
        .map(|name| json!({"remove": {"index": name, "alias": "a0"}}));
    let actions = json!({"actions": actions.collect::<Vec<Value>>()});
    let items = (0..3_000).map(|n| format!("{{\"index\":{{\"_index\":\"new-{n}\"}}}}\n{{}}\n"));
    let setting = |n: usize| {
        (
            format!("index.analysis.filter.f{n}.type"),
            json!("lowercase"),
        )
    };
    let settings: Map<String, Value> = (0..100_000).map(setting).collect();
    let docs: Vec<Value> = (0..9_000)
        .map(|n| json!({"_index": format!("a{n}"), "_id": "1"}))
        .collect();
    BTreeMap::from([
        ("a long line", dear(Request::new("GET", &long), &[400])),
        (
            "names in a path",
            dear(Request::new("GET", &within), &[200]),
        ),
        (
            "the health of names",
            dear(Request::new("GET", &health), &[200, 408]),
        ),
        (
            "names in a header",
            dear(Request::ndjson("POST", "/_msearch", msearch), &[200]),
        ),
        (
            "factors of names",
            dear(Request::json("POST", "/few/_search", &boosted), &[400]),
        ),
        (
            "names to copy from",
            dear(Request::json("POST", "/_reindex", &copied), &[400]),
        ),
        (
            "actions on names",
            dear(Request::json("POST", "/_aliases", &actions), &[400]),
        ),
        (
            "new indices",
            dear(
                Request::ndjson("POST", "/_bulk", items.collect::<String>()),
                &[200],
            ),
        ),
        (
            "many settings",
            dear(
                Request::json("PUT", "/few/_settings", &Value::Object(settings)),
                &[400],
            ),
        ),
        (
            "documents of aliases",
            dear(
                Request::json("POST", "/_mget", &json!({"docs": docs})),
                &[200],
            ),
        ),
    ])
}

/// Requests that are dear by what is looked for and shown.
fn searching() -> BTreeMap<&'static str, Dear> {
    let size = run::sized(NUM_WIDE.0, NUM_WIDE.1);
    let every: Vec<&str> = vec!["*"; 100];
    let wildcard = |n: usize| json!({"wildcard": {"k": format!("*{}*{n}*", n % 10)}});
    let circle = |n: usize| json!({"geo_distance": {"distance": "900km", "at": {"lat": n % 80, "lon": n % 170}}});
    let named = |n: usize| json!({"wildcard": {"k": {"value": format!("*{n}*"), "_name": format!("n{n}")}}});
    let counts = (0..500).map(|n| (format!("c{n}"), json!({"cardinality": {"field": "k"}})));
    let counts: Map<String, Value> = counts.collect();
    BTreeMap::from([
        ("all fields", wide(&json!({"size": size, "fields": ["*"]}))),
        (
            "all fields, often",
            wide(&json!({"size": 10, "fields": every})),
        ),
        (
            "all columns",
            wide(&json!({"size": 10, "docvalue_fields": ["*"]})),
        ),
        (
            "fragments of all fields",
            wide(&json!({
                "size": 10, "query": {"query_string": {"query": "word"}},
                "highlight": {"require_field_match": false, "fields": {"*": {}}},
            })),
        ),
        ("wildcards", wide(&any((0..NUM_CLAUSES).map(wildcard)))),
        ("circles", wide(&any((0..NUM_CLAUSES).map(circle)))),
        ("named queries", wide(&any((0..200).map(named)))),
        (
            "explained",
            wide(&json!({"size": 50, "explain": true,
            "query": {"query_string": {"query": "word another"}}})),
        ),
        ("counts", wide(&json!({"size": 0, "aggs": counts}))),
    ])
}

/// Two indices: one to be searched by everybody, with many aliases, one of many fields.
async fn prepare(server: &Server) -> Result<()> {
    let send = async |request: Request| server.send(&request).await?.ok();
    let few = json!({"settings": {"number_of_shards": 1}});
    send(Request::json("PUT", "/few", &few)).await?;
    let put = json!({"title": "few words"});
    send(Request::json("PUT", "/few/_doc/1?refresh=true", &put)).await?;
    let names: Vec<String> = (0..run::sized(NUM_ALIASES.0, NUM_ALIASES.1))
        .map(|n| format!("a{n}"))
        .collect();
    let actions = json!({"actions": [{"add": {"index": "few", "aliases": names}}]});
    send(Request::json("POST", "/_aliases", &actions)).await?;
    let fields: Vec<String> = (0..run::sized(NUM_FIELDS.0, NUM_FIELDS.1))
        .map(|n| format!("f{n}"))
        .collect();
    let kind = |n: usize| match n % 2 {
        0 => json!({"type": "text"}),
        _ => json!({"type": "keyword"}),
    };
    let mut properties: Map<String, Value> = fields
        .iter()
        .enumerate()
        .map(|(n, field)| (field.clone(), kind(n)))
        .collect();
    properties.insert("k".to_owned(), json!({"type": "keyword"}));
    properties.insert("at".to_owned(), json!({"type": "geo_point"}));
    let mapping =
        json!({"settings": {"number_of_shards": 3}, "mappings": {"properties": properties}});
    send(Request::json("PUT", "/wide", &mapping)).await?;
    let mut bulk = String::new();
    for n in 0..run::sized(NUM_WIDE.0, NUM_WIDE.1) {
        let texts = fields
            .iter()
            .map(|field| (field.clone(), json!("word and another word")));
        let mut document: Map<String, Value> = texts.collect();
        document.insert("k".to_owned(), json!(format!("key {n} of {}", n * 7_919)));
        document.insert("at".to_owned(), json!({"lat": n % 80, "lon": n % 170}));
        bulk.push_str(&format!(
            "{{\"index\":{{}}}}\n{}\n",
            Value::Object(document)
        ));
    }
    let request = Request::ndjson("POST", "/wide/_bulk?refresh=true", bulk);
    let answer = send(request).await?;
    ensure!(answer["errors"] == false, "a document was refused");
    // There is room for one index more than there are.
    let room = json!({"persistent": {"cluster.max_shards_per_node": 5}});
    send(Request::json("PUT", "/_cluster/settings", &room)).await?;
    Ok(())
}

/// Sends a request over and over until that is over; returns how often it was answered.
async fn send_on(
    dear: Arc<Dear>,
    to: SocketAddr,
    is_over: Arc<AtomicBool>,
    num_under_way: Arc<AtomicUsize>,
) -> Result<usize> {
    let mut num_answered = 0;
    while num_answered == 0 || !is_over.load(Ordering::Relaxed) {
        num_under_way.fetch_add(1, Ordering::Relaxed);
        let answer = timeout(ANSWERED_WITHIN, dear.request.send(to)).await;
        num_under_way.fetch_sub(1, Ordering::Relaxed);
        let answer = answer.context("it is not answered")??;
        let shown: String = answer.shown().chars().take(300).collect();
        ensure!(dear.statuses.contains(&answer.status), "{shown}");
        num_answered += 1;
    }
    Ok(num_answered)
}

/// Searches for a word while requests of one kind are answered; returns the longest time that it took.
async fn search_beside(kind: &str, dear: Dear, server: &Server) -> Result<Duration> {
    let (is_over, num_under_way) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let dear = Arc::new(dear);
    let mut senders = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (dear, is_over) = (Arc::clone(&dear), Arc::clone(&is_over));
        let under_way: Arc<AtomicUsize> = Arc::clone(&num_under_way);
        senders.spawn(send_on(dear, server.address(), is_over, under_way));
    }
    let short = Request::new("GET", "/few/_search?q=words");
    let mut longest = Duration::ZERO;
    let (mut num_answered, wanted) = (0, run::sized(NUM_SEARCHES.0, NUM_SEARCHES.1));
    while num_answered < wanted {
        let began = Instant::now();
        let answer = timeout(SEARCHED_WITHIN, server.send(&short)).await;
        let answer = answer.with_context(|| format!("{kind}: a short search waits"))??;
        ensure!(
            answer.ok()?["hits"]["total"]["value"] == 1,
            "{}",
            answer.shown()
        );
        longest = longest.max(began.elapsed());
        // Only those count beside which something is answered still.
        num_answered += usize::from(num_under_way.load(Ordering::Relaxed) > 0);
    }
    is_over.store(true, Ordering::Relaxed);
    while let Some(sent) = senders.join_next().await {
        let num_answered = sent?.with_context(|| kind.to_owned())?;
        ensure!(num_answered > 0, "{kind}");
    }
    Ok(longest)
}

#[tokio::test(flavor = "multi_thread")]
async fn short_searches_are_answered_while_dear_requests_are() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Server::start(&folder.path().join("data")).await?;
    prepare(&server).await?;
    let mut figures = Map::new();
    for (kind, dear) in naming().into_iter().chain(searching()) {
        let longest = search_beside(kind, dear, &server).await?;
        let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        figures.insert(kind.to_owned(), json!(longest));
    }
    run::report("starving", &json!({"longest_ms": figures}))?;
    ensure!(server.is_alive()?);
    let printed = server.printed()?;
    ensure!(!printed.contains("panicked"), "{printed}");
    Ok(())
}
