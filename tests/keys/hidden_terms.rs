//! `terms` with `min_doc_count: 0` through the filter of an alias: keys of documents outside the view are not shown.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::tenants::Site;

/// Fields of every type that `terms` takes, each with a value of kim, one of lee, and one that both have.
const FIELDS: [(&str, &str, [&str; 3]); 8] = [
    ("k", "keyword", ["\"kims\"", "\"lees\"", "\"both\""]),
    ("l", "long", ["1", "2", "3"]),
    ("d", "double", ["1.5", "2.5", "3.5"]),
    ("s", "short", ["11", "12", "13"]),
    ("u", "unsigned_long", ["21", "22", "23"]),
    ("t", "date", ["1000", "2000", "3000"]),
    ("i", "ip", ["\"10.0.0.1\"", "\"10.0.0.2\"", "\"10.0.0.3\""]),
    ("b", "boolean", ["true", "false", "true"]),
];

/// Makes `view`, with an alias for each of two customers.
async fn site() -> Result<Site> {
    let site = Site::start(0).await?;
    let mut properties = json!({"customer": {"type": "keyword"}});
    for (name, kind, _) in FIELDS {
        properties[name] = json!({"type": kind});
    }
    let view = |customer: &str| json!({"filter": {"term": {"customer": customer}}});
    let body = json!({
        "settings": {"number_of_shards": 2},
        "mappings": {"properties": properties},
        "aliases": {"view-kim": view("kim"), "view-lee": view("lee"), "view-all": {}},
    });
    site.admin("PUT", "/view", &body).await?;
    for (id, customer, at) in [
        (1, "kim", 0),
        (2, "lee", 1),
        (3, "kim", 2),
        (4, "lee", 2),
        (5, "kim", 0),
        (6, "lee", 1),
    ] {
        let values = FIELDS.map(|(name, _, values)| format!("\"{name}\":{}", values[at]));
        let text = format!("{{\"customer\":\"{customer}\",{}}}", values.join(","));
        let document: Value = serde_json::from_str(&text)?;
        site.admin("PUT", &format!("/view/_doc/{id}?refresh=true"), &document)
            .await?;
    }
    Ok(site)
}

/// Returns the aggregations that list the keys of a field, each below others.
fn asked(field: &str) -> Value {
    let terms = json!({"terms": {"field": field, "min_doc_count": 0, "size": 100}});
    let below = |around: Value| {
        let mut around = around;
        around["aggs"] = json!({"keys": terms});
        around
    };
    json!({
        "keys": terms,
        "in_global": below(json!({"global": {}})),
        "in_sampler": below(json!({"sampler": {"shard_size": 10}})),
        "in_filter": below(json!({"filter": {"match_all": {}}})),
        "in_filters": below(json!({"filters": {"filters": {"a": {"match_all": {}}, "b": {"match_none": {}}}}})),
        "in_terms": below(json!({"terms": {"field": "customer"}})),
        "in_missing": below(json!({"missing": {"field": "nowhere"}})),
    })
}

/// Gathers the keys of all lists called `keys`, wherever they stand.
fn gather(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => {
            for (name, inner) in entries {
                let buckets = inner["buckets"].as_array().filter(|_| name == "keys");
                for bucket in buckets.into_iter().flatten() {
                    found.insert(bucket["key"].to_string());
                }
                gather(inner, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
        _ => {}
    }
}

async fn keys(
    site: &Site,
    key: &str,
    alias: &str,
    field: &str,
    query: &Value,
) -> Result<BTreeSet<String>> {
    let body = json!({"size": 0, "query": query, "aggs": asked(field)});
    let path = format!("/{alias}/_search");
    let (status, answer) = site.asked(key, ("POST", &path), &body).await?;
    ensure!(status == 200, "{field}: {answer}");
    let mut found = BTreeSet::new();
    gather(&answer["aggregations"], &mut found);
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_without_documents_are_those_of_documents_in_the_view() -> Result<()> {
    let site = site().await?;
    let kim = site.key(&["view-kim"], &["read"]).await?;
    let lee = site.key(&["view-lee"], &["read"]).await?;
    let all = site.key(&["view-all"], &["read"]).await?;
    let queries = [
        json!({"match_all": {}}),
        json!({"match_none": {}}),
        json!({"term": {"l": 3}}),
    ];
    for (field, ..) in FIELDS {
        for query in &queries {
            let of_kim = keys(&site, &kim, "view-kim", field, query).await?;
            let of_lee = keys(&site, &lee, "view-lee", field, query).await?;
            let of_all = keys(&site, &all, "view-all", field, query).await?;
            // A boolean has no third value.
            let (own, whole) = if field == "b" { (1, 2) } else { (2, 3) };
            ensure!(of_kim.len() == own, "{field} {query}: {of_kim:?}");
            ensure!(of_lee.len() == 2, "{field} {query}: {of_lee:?}");
            ensure!(of_all.len() == whole, "{field} {query}: {of_all:?}");
            ensure!(of_kim != of_lee && of_kim.is_subset(&of_all), "{field}");
        }
    }
    Ok(())
}
