//! What clients ask about their own keys over real sockets: privileges, the keys that one sees, and changes of a key.
//!
//! An answer about a privilege is held against what a request that needs it is answered with the same key.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::tenants::Site;

const CHECK: (&str, &str) = ("POST", "/_security/user/_has_privileges");

/// Asks whether a key may read an index.
async fn may_read(site: &Site, key: &str, index: &str) -> Result<Value> {
    let body = json!({"index": [{"names": [index], "privileges": ["read"]}]});
    let (status, answer) = site.asked(key, CHECK, &body).await?;
    assert_eq!(status, 200, "{answer}");
    let may_read = answer["index"][index]["read"].clone();
    assert_eq!(answer["has_all_requested"], may_read, "{answer}");
    Ok(may_read)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_do_what_an_answer_about_its_rights_says() -> Result<()> {
    let site = Site::start(0).await?;
    let key = site.key(&["orders"], &["read"]).await?;
    for (index, expected) in [("orders", 200), ("orders-kim", 403), ("other", 403)] {
        let path = format!("/{index}/_search");
        let (status, answer) = site.asked(&key, ("GET", &path), &Value::Null).await?;
        assert_eq!(status, expected, "{path}: {answer}");
        let may_read = may_read(&site, &key, index).await?;
        assert_eq!(may_read, expected == 200, "{index}");
    }
    let show = ("GET", "/_security/user/_privileges");
    let (status, answer) = site.asked(&key, show, &Value::Null).await?;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["indices"][0]["names"], json!(["orders"]), "{answer}");
    let other = ("GET", "/_security/user/kim/_has_privileges");
    let body = json!({"cluster": ["monitor"]});
    let (status, _) = site.asked(&key, other, &body).await?;
    assert_eq!(status, 403);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_found_and_reaches_what_it_is_given_later() -> Result<()> {
    let site = Site::start(0).await?;
    let key = site.key(&["orders"], &["read"]).await?;
    let query = json!({"query": {"term": {"name": "orders"}}, "sort": "name"});
    let path = "/_security/_query/api_key";
    let found = site.admin("POST", path, &query).await?;
    assert_eq!(found["total"], 1, "{found}");
    let id = found["api_keys"][0]["id"].as_str().context("an id")?;
    let all = json!({"query": {"match_all": {}}});
    let (_, own) = site.asked(&key, ("POST", path), &all).await?;
    assert_eq!(own["count"], 1, "others are not its own: {own}");
    assert_eq!(own["api_keys"][0]["id"], id, "{own}");
    let grant = json!({"names": ["other"], "privileges": ["read"]});
    let body = json!({"role_descriptors": {"r": {"indices": [grant]}}});
    let change = format!("/_security/api_key/{id}");
    let (status, _) = site.asked(&key, ("PUT", &change), &body).await?;
    assert_eq!(status, 403, "it manages no keys");
    let changed = site.admin("PUT", &change, &body).await?;
    assert_eq!(changed, json!({"updated": true}));
    for (index, expected) in [("orders", 403), ("other", 200)] {
        let path = format!("/{index}/_search");
        let (status, answer) = site.asked(&key, ("GET", &path), &Value::Null).await?;
        assert_eq!(status, expected, "{path}: {answer}");
        let may_read = may_read(&site, &key, index).await?;
        assert_eq!(may_read, expected == 200, "{index}");
    }
    Ok(())
}
