//! Answers that are kept, over HTTP: which requests share one, which go around, and what ends one.

mod changes;
mod headers;
mod searches;
mod stale;

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use gleaner_api::ApiOptions;
use gleaner_testkit::Node;
use gleaner_testkit::http::{Request, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A node that answers over HTTP and keeps answers.
struct Site {
    _node: Node,
    address: SocketAddr,
}

impl Site {
    async fn start() -> Result<Self> {
        let node = Node::start().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let options = ApiOptions {
            cache_bytes: 64 << 20,
            ..ApiOptions::default()
        };
        let dialect = gleaner_api::dialect(Arc::clone(&node.root), options.clone(), None);
        tokio::spawn(
            async move { gleaner_api::serve(listener, dialect, &options, pending()).await },
        );
        let site = Self {
            _node: node,
            address,
        };
        Ok(site)
    }

    /// Starts a node with an index of two books.
    async fn with_books() -> Result<Self> {
        let site = Self::start().await?;
        let properties = json!({"title": {"type": "text"}, "year": {"type": "integer"}});
        let body = json!({
            "settings": {"number_of_shards": 2},
            "mappings": {"properties": properties},
        });
        site.done("PUT", "/books", &body).await?;
        for (id, title) in [("1", "tea"), ("2", "green tea")] {
            let path = format!("/books/_doc/{id}?refresh=true");
            let book = json!({"title": title, "year": 1990});
            site.done("PUT", &path, &book).await?;
        }
        Ok(site)
    }

    /// Sends a request that must succeed.
    async fn done(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let response = Request::json(method, path, body).send(self.address).await?;
        response.ok()
    }

    async fn send(&self, request: Request) -> Result<Response> {
        request.send(self.address).await
    }

    /// Searches with `text` as it is; returns where the answer came from, and the answer.
    async fn ask(&self, path: &str, text: &str) -> Result<(String, Value)> {
        let request = Request::new("POST", path).with_body("application/json", text);
        let response = self.send(request).await?;
        Ok((origin(&response)?, response.json()?))
    }
}

fn origin(response: &Response) -> Result<String> {
    let origin = response.header("x-cache").context("no `x-cache`")?;
    Ok(origin.to_owned())
}

const TEA: &str = r#"{"query":{"match":{"title":"tea"}},"size":5}"#;

#[tokio::test(flavor = "multi_thread")]
async fn spellings_of_one_search_share_an_answer() -> Result<()> {
    let site = Site::with_books().await?;
    let (from, first) = site.ask("/books/_search", TEA).await?;
    assert_eq!(
        (from.as_str(), &first["hits"]["total"]["value"]),
        ("miss", &json!(2))
    );
    let spelt =
        r#" { "size" : 5, "from": 0, "query": { "match": { "title": { "query": "tea" } } } } "#;
    for path in [
        "/books/_search",
        "/boo*/_search?allow_partial_search_results=true",
        "/books/_search?request_cache=true&timeout=50s",
        "/books/_search?preference=_local&max_concurrent_shard_requests=3",
    ] {
        let (from, again) = site.ask(path, spelt).await?;
        assert_eq!((from.as_str(), &again), ("hit", &first), "{path}");
    }
    let (from, sized) = site
        .ask(
            "/books/_search?size=5",
            r#"{"query":{"match":{"title":"tea"}}}"#,
        )
        .await?;
    assert_eq!((from.as_str(), &sized), ("hit", &first));
    for path in [
        "/books/_search?pretty",
        "/books/_search?filter_path=hits",
        "/books/_search?rest_total_hits_as_int=true",
        "/books/_search?routing=1",
        "/books/_search?size=6",
        "/books/_search?format=yaml",
    ] {
        let request = Request::new("POST", path).with_body("application/json", TEA);
        let response = site.send(request).await?;
        assert_eq!(origin(&response)?, "miss", "{path}");
    }
    let (from, _) = site
        .ask("/books/_count", r#"{"query":{"match":{"title":"tea"}}}"#)
        .await?;
    assert_eq!(from, "miss");
    let (from, count) = site
        .ask("/books/_count", r#"{"query":{"match":{"title":"tea"}}}"#)
        .await?;
    assert_eq!((from.as_str(), &count["count"]), ("hit", &json!(2)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_and_misses_are_counted_by_shard() -> Result<()> {
    let site = Site::with_books().await?;
    let lookup =
        r#"{"query":{"terms":{"year":{"index":"books","id":"1","path":"year"}}},"size":0}"#;
    for (path, body) in [
        ("/books/_search?request_cache=true", TEA),
        ("/books/_search", TEA),
        ("/books/_search?request_cache=false", TEA),
        ("/books/_search?routing=1", TEA),
        ("/books/_search", lookup),
        ("/books/_search?request_cache=false", lookup),
    ] {
        site.done("POST", path, &serde_json::from_str(body)?)
            .await?;
    }
    let lines = format!("{{\"index\":\"books\"}}\n{TEA}\n");
    let searches = Request::new("POST", "/_msearch").with_body("application/x-ndjson", lines);
    site.send(searches).await?.ok()?;
    let stats = Request::new("GET", "/books/_stats/request_cache?level=shards");
    let stats = site.send(stats).await?.json()?;
    let of = |hits, misses| json!({"memory_size_in_bytes": 0, "evictions": 0, "hit_count": hits, "miss_count": misses});
    // Two shards each, but for the search that its routing leaves one of.
    assert_eq!(stats["_all"]["primaries"]["request_cache"], of(4, 5));
    let total = &stats["indices"]["books"]["total"];
    assert_eq!(total["request_cache"], of(4, 5));
    let shards = &stats["indices"]["books"]["shards"];
    let mut misses: Vec<_> = ["0", "1"]
        .iter()
        .map(|shard| shards[shard][0]["request_cache"]["miss_count"].as_u64())
        .collect();
    misses.sort_unstable();
    assert_eq!(misses, [Some(2), Some(3)]);
    let table = "/_cat/indices/books?h=request_cache.hit_count,rcmc";
    let table = site.send(Request::new("GET", table)).await?;
    assert_eq!(table.body.trim_ascii(), b"4 5");
    let nodes = Request::new("GET", "/_nodes/stats/indices/request_cache");
    let nodes = site.send(nodes).await?.json()?;
    let node = nodes["nodes"]
        .as_object()
        .and_then(|nodes| nodes.values().next());
    let node = node.context("a node")?;
    assert_eq!(node["indices"]["request_cache"], of(4, 5));
    // What comes after it under its name begins anew.
    site.send(Request::new("DELETE", "/books")).await?.ok()?;
    site.done("PUT", "/books", &json!({})).await?;
    let stats = Request::new("GET", "/books/_stats/request_cache");
    let stats = site.send(stats).await?.json()?;
    assert_eq!(stats["_all"]["total"]["request_cache"], of(0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_are_those_of_each_request() -> Result<()> {
    let site = Site::with_books().await?;
    for (path, expected) in [
        ("/books/_search", None),
        ("/books/_search?preference=_local", Some("[preference]")),
        ("/books/_search?phase_took=true", Some("[phase_took]")),
        ("/books/_search", None),
    ] {
        let request = Request::new("POST", path).with_body("application/json", TEA);
        let response = site.send(request).await?;
        let warning = response.header("warning");
        assert_eq!(warning.is_some(), expected.is_some(), "{path}");
        assert!(
            warning
                .unwrap_or_default()
                .contains(expected.unwrap_or_default())
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_one_request_goes_around() -> Result<()> {
    let site = Site::with_books().await?;
    let own = [
        ("?request_cache=false", TEA),
        ("?scroll=1m", TEA),
        ("?min_coverage=0.5", TEA),
        ("?explain=true", TEA),
        ("?terminate_after=1", TEA),
        ("", r#"{"profile":true}"#),
        ("", r#"{"query":{"range":{"year":{"lt":"now"}}}}"#),
        ("?q=title:tea&sort=nope", "{}"),
        ("", "{"),
    ];
    for (parameters, body) in own {
        for _ in 0..2 {
            let path = format!("/books/_search{parameters}");
            let request = Request::new("POST", &path).with_body("application/json", body);
            let from = origin(&site.send(request).await?)?;
            let is_evaluated = from == "bypass" || (from == "miss" && parameters.contains("nope"));
            assert!(is_evaluated, "{parameters} {body}: {from}");
        }
    }
    let (from, _) = site.ask("/gone/_search", TEA).await?;
    assert_eq!(from, "bypass", "the root says what is wrong");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_says_whether_it_takes_what_is_kept() -> Result<()> {
    let site = Site::with_books().await?;
    let controlled = async |control: &str| {
        let request = Request::new("POST", "/books/_search").with_body("application/json", TEA);
        origin(
            &site
                .send(request.with_header("cache-control", control))
                .await?,
        )
    };
    assert_eq!(controlled("no-store").await?, "bypass");
    assert_eq!(controlled("max-age=0").await?, "miss", "it was not stored");
    assert_eq!(controlled("no-cache").await?, "bypass");
    assert_eq!(controlled("max-age=0").await?, "hit");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_the_answer_is_told_so() -> Result<()> {
    let site = Site::with_books().await?;
    let get = async |tag: Option<&str>| {
        let request = Request::new("GET", "/books/_search?q=tea");
        let request = match tag {
            Some(tag) => request.with_header("if-none-match", tag),
            None => request,
        };
        site.send(request).await
    };
    let first = get(None).await?;
    let tag = first.header("etag").context("no tag")?.to_owned();
    assert_eq!((first.status, first.header("age")), (200, None));
    let second = get(Some("\"other\"")).await?;
    let age = second.header("age").context("no age")?.parse::<u64>()?;
    assert_eq!((second.status, age / 60), (200, 0), "it is of seconds ago");
    assert_eq!(second.header("etag"), Some(&*tag));
    let known = get(Some(&format!("\"other\", {tag}"))).await?;
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(origin(&known)?, "hit");
    let book = json!({"title": "black tea"});
    site.done("PUT", "/books/_doc/3?refresh=true", &book)
        .await?;
    let changed = get(Some(&tag)).await?;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(&*tag));
    let posted = Request::new("POST", "/books/_search?q=tea");
    assert_eq!(site.send(posted).await?.header("etag"), None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_equal_cold_requests_are_evaluated_once() -> Result<()> {
    let site = Site::with_books().await?;
    let num_queries = async || -> Result<u64> {
        let stats = site
            .send(Request::new("GET", "/books/_stats/search"))
            .await?;
        let stats = stats.ok()?;
        let number = &stats["_all"]["total"]["search"]["query_total"];
        number.as_u64().context("no number of queries")
    };
    let before = num_queries().await?;
    let asked = (0..1_000).map(|_| site.ask("/books/_search", TEA));
    let answers = try_join_all(asked).await?;
    let is_miss = |(from, _): &&(String, Value)| from == "miss";
    assert_eq!(answers.iter().filter(is_miss).count(), 1);
    assert!(answers.iter().all(|(_, answer)| *answer == answers[0].1));
    // Each of two shards once.
    assert_eq!(num_queries().await? - before, 2);
    Ok(())
}
