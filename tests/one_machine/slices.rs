//! The slices of a scroll, and of a point in time, share no document and are all of it together.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use gleaner_query::answer::{AggregationValue, Hit};
use gleaner_query::limits::Limits;
use gleaner_query::search::parse_search;
use gleaner_root::SearchResponse;
use gleaner_root::by_query::{ByQueryRequest, Change};
use gleaner_root::ingest::{IngestItem, RefreshPolicy};
use gleaner_root::origin::Origin;
use gleaner_root::plan::Target;
use gleaner_root::scroll::ScrollOrigin;
use gleaner_root::search::SearchOptions;
use gleaner_testkit::Node;
use gleaner_testkit::node::item;
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);
const INDICES: &str = "one,mine";

/// Index, id and routing of hits, with the bits of their scores.
type Hits = BTreeMap<(String, String, Option<String>), Option<u32>>;

/// What all pages of a search show.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    hits: Hits,
    total: u64,
    /// Documents in an aggregation.
    matching: u64,
    /// Documents in a global one.
    everything: u64,
}

impl Seen {
    fn begin(first: &SearchResponse) -> Result<Self> {
        let count = |number: usize| match &first.aggregations[number].value {
            AggregationValue::Single { doc_count, .. } => Ok(*doc_count),
            other => anyhow::bail!("{other:?} is no bucket"),
        };
        Ok(Self {
            hits: Hits::new(),
            total: first.total.map_or(0, |total| total.value),
            matching: count(0)?,
            everything: count(1)?,
        })
    }

    fn add(&mut self, hits: Vec<Hit>) {
        for hit in hits {
            let content = hit.content;
            let name = (hit.index, content.id.to_string(), content.routing);
            self.insert(name, hit.score.map(f32::to_bits));
        }
    }

    fn join(&mut self, slice: Self) {
        self.total += slice.total;
        self.matching += slice.matching;
        self.everything += slice.everything;
        for (name, score) in slice.hits {
            self.insert(name, score);
        }
    }

    fn insert(&mut self, name: (String, String, Option<String>), score: Option<u32>) {
        let shown = format!("{name:?}");
        let before = self.hits.insert(name, score);
        assert_eq!(before, None, "{shown} is there twice");
    }
}

fn target() -> Target {
    Target {
        expression: Some(INDICES.to_owned()),
        ..Target::default()
    }
}

/// Makes an index of three shards, and another behind an alias with a filter.
async fn indices() -> Result<Node> {
    let node = Node::start().await?;
    let mappings = json!({"properties": {
        "text": {"type": "text"},
        "tenant": {"type": "keyword"},
    }});
    let one = json!({"settings": {"number_of_shards": 3}, "mappings": mappings});
    node.create("one", &one).await?;
    let aliases = json!({"mine": {"filter": {"term": {"tenant": "a"}}}});
    let two = json!({
        "settings": {"number_of_shards": 2}, "mappings": mappings, "aliases": aliases,
    });
    node.create("two", &two).await?;
    for name in ["one", "two"] {
        for batch in 0..3 {
            let numbers = batch * 40..(batch + 1) * 40;
            let documents: Vec<(String, Value)> = numbers.map(document).collect();
            node.put(name, &documents).await?;
        }
    }
    // Documents of one id in several shards are in one slice.
    let routed = (0..6).map(|routing| IngestItem {
        routing: Some(routing.to_string()),
        ..item("one", "routed", &json!({"text": "hare"}))
    });
    let results = node.ingest(routed.collect(), RefreshPolicy::Immediate);
    for result in results.await {
        result.outcome?;
    }
    Ok(node)
}

fn document(n: usize) -> (String, Value) {
    let text = if n.is_multiple_of(2) {
        "hare ".repeat(n % 5 + 1)
    } else {
        "fox".to_owned()
    };
    let tenant = if n.is_multiple_of(3) { "a" } else { "b" };
    (n.to_string(), json!({"text": text, "tenant": tenant}))
}

fn body(query: &Value, sort: &str) -> Value {
    json!({"query": query, "sort": [sort], "size": 20, "aggs": {
        "matching": {"filter": {"match_all": {}}},
        "everything": {"global": {}},
    }})
}

async fn by_scroll(node: &Node, body: &Value) -> Result<Seen> {
    let origin = ScrollOrigin {
        body: Bytes::from(body.to_string()),
        ..ScrollOrigin::default()
    };
    let (target, options) = (target(), SearchOptions::default());
    let started = node
        .root
        .contexts()
        .start_scroll(&target, origin, MINUTE, &options);
    let mut page = started.await?;
    let mut seen = Seen::begin(&page)?;
    while !page.hits.is_empty() {
        assert_eq!(page.total.map(|total| total.value), Some(seen.total));
        let id = page.scroll_id.take().context("a scroll has an id")?;
        seen.add(page.hits);
        page = node
            .root
            .contexts()
            .continue_scroll(&id, None, &options)
            .await?;
    }
    Ok(seen)
}

async fn by_point_in_time(node: &Node, id: &str, body: &Value) -> Result<Seen> {
    let mut body = body.clone();
    body["pit"] = json!({"id": id});
    let mut page = node.search(INDICES, &body).await?;
    let mut seen = Seen::begin(&page)?;
    while let Some(last) = page.hits.last() {
        body["search_after"] = json!(last.sort);
        seen.add(page.hits);
        page = node.search(INDICES, &body).await?;
    }
    Ok(seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_share_no_document_and_are_everything_together() -> Result<()> {
    let node = indices().await?;
    let id = node.root.contexts().open_pit(&target(), MINUTE).await?;
    let hares = json!({"match": {"text": "hare"}});
    for (query, sort) in [(hares, "_score"), (json!({"match_all": {}}), "_doc")] {
        let whole = by_scroll(&node, &body(&query, sort)).await?;
        assert_eq!(whole.hits.len() as u64, whole.total);
        assert_eq!(whole.everything > whole.total, sort == "_score");
        for (max, is_pit) in [(2, false), (2, true), (5, false), (5, true)] {
            let mut together = Seen::default();
            for slice in 0..max {
                let mut body = body(&query, sort);
                body["slice"] = json!({"id": slice, "max": max});
                let seen = match is_pit {
                    true => by_point_in_time(&node, &id, &body).await?,
                    false => by_scroll(&node, &body).await?,
                };
                let num_hits = seen.hits.len() as u64;
                assert!(num_hits > 0 && num_hits < whole.total, "{body}");
                assert_eq!((seen.total, seen.matching), (num_hits, num_hits), "{body}");
                together.join(seen);
            }
            assert_eq!(together, whole, "{query} {max} {is_pit}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_of_what_is_not_held_is_refused() -> Result<()> {
    let node = indices().await?;
    let sliced = json!({"slice": {"id": 0, "max": 2}});
    let refused = node.search("one", &sliced).await.expect_err("not held");
    assert_eq!(
        format!("{refused:#}"),
        "[slice] can only be used with [scroll] or [point-in-time] requests"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_slice_nothing_else_is_deleted() -> Result<()> {
    let node = indices().await?;
    let everything = json!({"match_all": {}});
    let slice = |id: u32| {
        let mut body = body(&everything, "_doc");
        body["slice"] = json!({"id": id, "max": 2});
        body
    };
    let (first, second) = (slice(0), slice(1));
    let num_first = by_scroll(&node, &first).await?.total;
    let kept = by_scroll(&node, &second).await?;
    let sliced = json!({"query": everything, "slice": {"id": 0, "max": 2}});
    let search = parse_search(sliced.to_string().as_bytes(), &Limits::default())?;
    let request = ByQueryRequest {
        page_size: 10,
        is_refreshed: true,
        ..ByQueryRequest::new(Change::Delete, target(), search)
    };
    let begun = node
        .root
        .by_query()
        .begin(request, &Origin::default(), None)?;
    assert_eq!(begun.ended().await?.status.counts.deleted, num_first);
    assert_eq!(by_scroll(&node, &first).await?, Seen::default());
    assert_eq!(by_scroll(&node, &second).await?, kept);
    Ok(())
}
