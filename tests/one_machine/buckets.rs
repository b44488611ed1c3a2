//! Buckets without documents, and documents without values: what is inside them is shown as
//! elsewhere.

use anyhow::Result;
use gleaner_query::answer::{AggregationValue, Bucket, BucketKey};
use gleaner_testkit::Node;
use serde_json::{Value, json};

/// Starts a node with one index whose field `d` is a date of `format`.
async fn node_of(format: &str, dates: &[&str]) -> Result<Node> {
    let node = Node::start().await?;
    let properties = json!({"d": {"type": "date", "format": format}});
    let body = json!({"settings": {"number_of_shards": 3}, "mappings": {"properties": properties}});
    node.create("days", &body).await?;
    for (i, date) in dates.iter().enumerate() {
        node.put("days", &[(i.to_string(), json!({"d": date}))])
            .await?;
    }
    Ok(node)
}

fn buckets_of(value: &AggregationValue) -> &[Bucket] {
    match value {
        AggregationValue::Buckets { buckets, .. } => buckets,
        other => panic!("{other:?} are no buckets"),
    }
}

async fn buckets(node: &Node, indices: &str, aggregation: &Value) -> Result<Vec<Bucket>> {
    let body = json!({"size": 0, "aggs": {"x": aggregation}});
    let response = node.search(indices, &body).await?;
    assert_eq!(response.shards.failures.len(), 0);
    Ok(buckets_of(&response.aggregations[0].value).to_vec())
}

/// Returns the key of each bucket as it is shown.
fn keys(buckets: &[Bucket]) -> Vec<BucketKey> {
    buckets.iter().map(|bucket| bucket.key.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_inside_gaps_are_those_of_their_siblings() -> Result<()> {
    for (format, dates, bound, zone) in [
        (
            "dd.MM.yyyy",
            ["01.02.2020", "05.02.2020"],
            "03.02.2020",
            None,
        ),
        (
            "yyyy-MM-dd",
            ["2020-02-01", "2020-02-05"],
            "2020-02-03",
            Some("+02:00"),
        ),
    ] {
        let node = node_of(format, &dates).await?;
        let mut ranges = json!({"field": "d", "ranges": [{"to": bound}]});
        if let Some(zone) = zone {
            ranges["time_zone"] = json!(zone);
        }
        let extended = json!({"min": dates[0], "max": bound});
        let days = json!({"field": "d", "calendar_interval": "day", "extended_bounds": extended});
        let inner = json!({
            "early": {"date_range": ranges},
            "days": {"date_histogram": days},
        });
        let outer =
            json!({"date_histogram": {"field": "d", "fixed_interval": "1d"}, "aggs": inner});
        let found = buckets(&node, "days", &outer).await?;
        assert_eq!(found.len(), 5, "{format}");
        let early = |at: usize| buckets_of(&found[at].sub[0].value);
        for at in 0..5 {
            assert_eq!(keys(early(at)), keys(early(0)), "{format} {at}");
            assert_eq!(early(at)[0].doc_count, u64::from(at == 0), "{format} {at}");
        }
        let days = buckets_of(&found[2].sub[1].value);
        assert_eq!(days.len(), 3, "{format}");
        assert_eq!(days[0].key_as_string.as_deref(), Some(dates[0]), "{format}");

        let all = json!({"min": dates[0], "max": dates[1]});
        let outer = json!({
            "date_histogram": {"field": "d", "fixed_interval": "1d", "extended_bounds": all},
            "aggs": inner,
        });
        let body = json!({"query": {"match_none": {}}, "size": 0, "aggs": {"x": outer}});
        let response = node.search("days", &body).await?;
        let none = buckets_of(&response.aggregations[0].value);
        assert_eq!(none.len(), 5, "{format}");
        assert_eq!(
            keys(buckets_of(&none[3].sub[0].value)),
            keys(early(0)),
            "{format}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bound_alone_extends_histograms_within_the_limit() -> Result<()> {
    let node = node_of("strict_date_optional_time", &["2020-02-03", "2020-02-05"]).await?;
    let days = |bounds: Value| {
        let days = json!({"field": "d", "calendar_interval": "day", "extended_bounds": bounds});
        json!({ "date_histogram": days })
    };
    for (bounds, expected) in [
        (json!({"min": "2020-02-01"}), vec![0, 0, 1, 0, 1]),
        (json!({"max": "2020-02-06"}), vec![1, 0, 1, 0]),
        (json!({"min": "2020-02-09"}), vec![1, 0, 1]),
    ] {
        let request = days(bounds);
        let found = buckets(&node, "days", &request).await?;
        let counts: Vec<u64> = found.iter().map(|bucket| bucket.doc_count).collect();
        assert_eq!(counts, expected, "{request}");
        let none = json!({"query": {"match_none": {}}, "size": 0, "aggs": {"x": request}});
        let response = node.search("days", &none).await?;
        assert!(buckets_of(&response.aggregations[0].value).is_empty());
    }
    let far = json!({"size": 0, "aggs": {"x": days(json!({"min": "0001-01-01"}))}});
    assert!(node.search("days", &far).await.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_stands_for_a_missing_one_where_the_field_is_unknown() -> Result<()> {
    let node = node_of("strict_date_optional_time", &["2020-02-01"]).await?;
    node.create("others", &json!({})).await?;
    node.put("others", &[("a".to_owned(), json!({"n": 1}))])
        .await?;
    let days = json!({"field": "d", "calendar_interval": "day", "missing": "2020-02-02"});
    let histogram = json!({"date_histogram": days});
    let shown = |buckets: &[Bucket]| {
        let text = |bucket: &Bucket| bucket.key_as_string.clone().unwrap_or_default();
        buckets
            .iter()
            .map(|bucket| (text(bucket), bucket.doc_count))
            .collect::<Vec<_>>()
    };
    let second = ("2020-02-02T00:00:00.000Z".to_owned(), 1);
    let found = buckets(&node, "others", &histogram).await?;
    assert_eq!(shown(&found), std::slice::from_ref(&second));
    let found = buckets(&node, "days,others", &histogram).await?;
    let first = ("2020-02-01T00:00:00.000Z".to_owned(), 1);
    assert_eq!(shown(&found), [first, second]);
    let ranges = json!({"field": "d", "missing": "2020-02-02", "ranges": [{"from": "2020-02-02"}]});
    let found = buckets(&node, "others", &json!({"date_range": ranges})).await?;
    assert_eq!(found[0].doc_count, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_without_documents_are_in_every_bucket_whatever_the_layout() -> Result<()> {
    let properties = json!({
        "k": {"type": "keyword"}, "n": {"type": "long"}, "p": {"type": "keyword"},
    });
    let sources = [
        json!({"k": "a", "p": "x", "n": 1}),
        json!({"k": "b", "p": "y", "n": 4}),
        // In no bucket of the outer ones, the last one in no answer to the query.
        json!({"k": "c"}),
        json!({"k": "d", "q": true}),
    ];
    for (shards, is_one_segment) in [(1, true), (1, false), (3, false)] {
        let node = Node::start().await?;
        let body = json!({
            "settings": {"number_of_shards": shards}, "mappings": {"properties": properties},
        });
        node.create("things", &body).await?;
        let documents = sources.iter().enumerate();
        let documents: Vec<_> = documents.map(|(i, s)| (i.to_string(), s.clone())).collect();
        for part in documents.chunks(if is_one_segment { 4 } else { 1 }) {
            node.put("things", part).await?;
        }
        let keys = json!({"terms": {"field": "k", "min_doc_count": 0, "order": {"_key": "asc"}}});
        for outer in [
            json!({"terms": {"field": "p"}}),
            json!({"histogram": {"field": "n", "interval": 1}}),
        ] {
            let mut outer = outer;
            outer["aggs"] = json!({"keys": keys});
            let query = json!({"bool": {"must_not": {"exists": {"field": "q"}}}});
            let body = json!({"size": 0, "query": query, "aggs": {"x": outer}});
            let response = node.search("things", &body).await?;
            assert_eq!(response.aggregations.len(), 1);
            let parents = buckets_of(&response.aggregations[0].value);
            for parent in parents {
                let inner = buckets_of(&parent.sub[0].value);
                let text = |key: &str| BucketKey::Text(key.to_owned());
                assert_eq!(
                    self::keys(inner),
                    ["a", "b", "c", "d"].map(text),
                    "{shards} {outer}"
                );
                let total: u64 = inner.iter().map(|bucket| bucket.doc_count).sum();
                assert_eq!(total, parent.doc_count, "{shards} {outer}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_without_the_documents_of_a_bucket_is_refused_by_name() -> Result<()> {
    let node = Node::start().await?;
    let keyword = json!({"type": "keyword"});
    let properties = json!({"class": keyword, "word": keyword});
    let body = json!({"settings": {"number_of_shards": 2}, "mappings": {"properties": properties}});
    node.create("texts", &body).await?;
    for i in 0..8 {
        let (class, word) = [("a", "x"), ("b", "y")][i % 2];
        let source = json!({"class": class, "word": word});
        node.put("texts", &[(i.to_string(), source)]).await?;
    }
    let request = |background: &str, is_superset: bool| {
        let significance =
            json!({"include_negatives": true, "background_is_superset": is_superset});
        let words = json!({
            "field": "word", "min_doc_count": 1, "chi_square": significance,
            "background_filter": {"term": {"class": background}},
        });
        json!({
            "size": 0, "query": {"term": {"class": "a"}},
            "aggs": {"x": {"significant_terms": words, "aggs": {"n": {"value_count": {"field": "word"}}}}},
        })
    };
    let refused = node.search("texts", &request("b", true)).await;
    let refused = format!(
        "{:?}",
        refused.expect_err("the bucket is not in its background")
    );
    assert!(refused.contains("subsetFreq > supersetFreq"), "{refused}");
    assert!(refused.contains("background_is_superset"), "{refused}");
    for (background, is_superset) in [("b", false), ("a", true)] {
        let response = node
            .search("texts", &request(background, is_superset))
            .await?;
        assert_eq!(response.shards.failures.len(), 0);
    }
    Ok(())
}
