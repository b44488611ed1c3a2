//! What ends an answer that is kept: everything that would make a search answer otherwise.

use anyhow::Result;
use gleaner_testkit::http::Request;
use serde_json::{Value, json};

use super::{Site, TEA};

/// Asks twice: the second time the answer is kept. Returns how many were found.
async fn found(site: &Site, path: &str, body: &str) -> Result<Value> {
    let (_, first) = site.ask(path, body).await?;
    let (from, again) = site.ask(path, body).await?;
    assert_eq!((from.as_str(), &again), ("hit", &first), "{path}");
    Ok(again["hits"]["total"]["value"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_visible_ends_it_and_one_that_is_not_does_not() -> Result<()> {
    let site = Site::with_books().await?;
    let settings = json!({"index": {"refresh_interval": "-1"}});
    site.done("PUT", "/books/_settings", &settings).await?;
    assert_eq!(found(&site, "/books/_search", TEA).await?, 2);
    site.done("PUT", "/books/_doc/3", &json!({"title": "tea"}))
        .await?;
    let (from, _) = site.ask("/books/_search", TEA).await?;
    assert_eq!(from, "hit");
    site.done("POST", "/books/_refresh", &json!({})).await?;
    assert_eq!(found(&site, "/books/_search", TEA).await?, 3);
    site.done("POST", "/books/_refresh", &json!({})).await?;
    let (from, _) = site.ask("/books/_search", TEA).await?;
    assert_eq!(from, "hit", "nothing new was shown");
    site.done("DELETE", "/books/_doc/3?refresh=true", &Value::Null)
        .await?;
    assert_eq!(found(&site, "/books/_search", TEA).await?, 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_that_moves_ends_it() -> Result<()> {
    let site = Site::with_books().await?;
    site.done(
        "PUT",
        "/others/_doc/1?refresh=true",
        &json!({"title": "tea"}),
    )
    .await?;
    let alias = async |actions: Value| {
        site.done("POST", "/_aliases", &json!({"actions": actions}))
            .await
    };
    alias(json!([{"add": {"index": "books", "alias": "current"}}])).await?;
    assert_eq!(found(&site, "/current/_search", TEA).await?, 2);
    let filter = json!({"ids": {"values": ["2"]}});
    alias(json!([{"add": {"index": "books", "alias": "current", "filter": filter}}])).await?;
    assert_eq!(found(&site, "/current/_search", TEA).await?, 1);
    alias(json!([{"add": {"index": "books", "alias": "current", "search_routing": "1"}}])).await?;
    found(&site, "/current/_search", TEA).await?;
    alias(json!([
        {"remove": {"index": "books", "alias": "current"}},
        {"add": {"index": "others", "alias": "current"}},
    ]))
    .await?;
    assert_eq!(found(&site, "/current/_search", TEA).await?, 1);
    let both = r#"{"query":{"match":{"title":"tea"}},"indices_boost":[{"current":3.0}]}"#;
    assert_eq!(found(&site, "/books,others/_search", both).await?, 3);
    alias(json!([{"remove": {"index": "others", "alias": "current"}}])).await?;
    let (from, refused) = site.ask("/books,others/_search", both).await?;
    assert_eq!((from.as_str(), &refused["status"]), ("bypass", &json!(404)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_grows_ends_it() -> Result<()> {
    let site = Site::with_books().await?;
    let sorted = r#"{"sort":[{"pages":{"order":"asc","unmapped_type":"keyword"}}]}"#;
    assert_eq!(found(&site, "/books/_search", sorted).await?, 2);
    let mapping = json!({"properties": {"pages": {"type": "integer"}}});
    site.done("PUT", "/books/_mapping", &mapping).await?;
    let (from, _) = site.ask("/books/_search", sorted).await?;
    assert_eq!(from, "miss");
    let book = json!({"title": "tea", "binding": "paper"});
    let paper = r#"{"query":{"term":{"binding.keyword":"paper"}}}"#;
    assert_eq!(found(&site, "/books/_search", paper).await?, 0);
    site.done("PUT", "/books/_doc/3?refresh=wait_for", &book)
        .await?;
    assert_eq!(found(&site, "/books/_search", paper).await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_made_again_under_its_name_is_another() -> Result<()> {
    let site = Site::with_books().await?;
    assert_eq!(found(&site, "/books/_search", TEA).await?, 2);
    site.done("DELETE", "/books", &Value::Null).await?;
    let (from, gone) = site.ask("/books/_search", TEA).await?;
    assert_eq!((from.as_str(), &gone["status"]), ("bypass", &json!(404)));
    site.done(
        "PUT",
        "/books",
        &json!({"settings": {"number_of_shards": 2}}),
    )
    .await?;
    for (id, title) in [("1", "coffee"), ("2", "cocoa")] {
        let path = format!("/books/_doc/{id}?refresh=true");
        site.done("PUT", &path, &json!({"title": title, "year": 1990}))
            .await?;
    }
    assert_eq!(found(&site, "/books/_search", TEA).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_change_end_it() -> Result<()> {
    let site = Site::with_books().await?;
    let years = r#"{"size":0,"aggs":{"years":{"terms":{"field":"year"}},"ids":{"histogram":{"field":"year","interval":1,"extended_bounds":{"min":1980,"max":2000}}}}}"#;
    found(&site, "/books/_search", years).await?;
    let limit = |value: Value| json!({"persistent": {"search.max_buckets": value}});
    site.done("PUT", "/_cluster/settings", &limit(json!(5)))
        .await?;
    let (_, refused) = site.ask("/books/_search", years).await?;
    assert!(refused["error"].is_object(), "{refused}");
    site.done("PUT", "/_cluster/settings", &limit(Value::Null))
        .await?;
    found(&site, "/books/_search", years).await?;
    assert_eq!(found(&site, "/books/_search", TEA).await?, 2);
    let block = |is_set: bool| json!({"index": {"blocks": {"read": is_set}}});
    site.done("PUT", "/books/_settings", &block(true)).await?;
    let (from, refused) = site.ask("/books/_search", TEA).await?;
    assert_eq!((from.as_str(), &refused["status"]), ("bypass", &json!(403)));
    site.done("PUT", "/books/_settings", &block(false)).await?;
    assert_eq!(found(&site, "/books/_search", TEA).await?, 2);
    site.done("POST", "/books/_close", &json!({})).await?;
    let closed = Request::new("POST", "/books/_search").with_body("application/json", TEA);
    assert_eq!(site.send(closed).await?.status, 400);
    Ok(())
}
