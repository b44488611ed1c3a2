//! `index_filter` of a key that reaches an index only through an alias with a filter: it finds what the alias shows.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::tenants::Site;

/// Starts a site where `secret` is a field of an order of `lee`, and of a document of `other`.
async fn with_secrets() -> Result<Site> {
    let site = Site::start(0).await?;
    for (path, customer) in [("/orders/_doc/5", "lee"), ("/other/_doc/6", "kim")] {
        let document = json!({"customer": customer, "secret": "x"});
        let path = format!("{path}?refresh=true");
        site.admin("PUT", &path, &document).await?;
    }
    Ok(site)
}

fn having(field: &str) -> Value {
    json!({"index_filter": {"exists": {"field": field}}})
}

async fn indices(site: &Site, key: &str, names: &str, body: &Value) -> Result<Value> {
    let path = format!("{names}/_field_caps?fields=*");
    let (status, answer) = site.asked(key, ("POST", &path), body).await?;
    ensure!(status == 200, "{path}: {answer}");
    let has_fields = answer["fields"] != json!({});
    ensure!(has_fields == (answer["indices"] != json!([])), "{answer}");
    Ok(answer["indices"].clone())
}

/// Opens a point in time and returns the ids of all that it shows.
async fn shown(site: &Site, key: &str, names: &str, body: &Value) -> Result<Vec<String>> {
    let path = format!("/{names}/_pit?keep_alive=1m");
    let (status, opened) = site.asked(key, ("POST", &path), body).await?;
    ensure!(status == 200, "{path}: {opened}");
    let search = json!({"pit": {"id": opened["id"]}});
    let (status, found) = site.asked(key, ("POST", "/_search"), &search).await?;
    ensure!(status == 200, "{path}: {found}");
    let hits = found["hits"]["hits"].as_array().context("hits")?;
    let ids = hits.iter().filter_map(|hit| hit["_id"].as_str());
    let mut ids: Vec<String> = ids.map(str::to_owned).collect();
    ids.sort();
    Ok(ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn capabilities_tell_nothing_of_documents_outside_a_view() -> Result<()> {
    let site = with_secrets().await?;
    let kim = site.key(&["orders-kim"], &["read"]).await?;
    let lee = site.key(&["orders-lee"], &["read"]).await?;
    let both = site.key(&["orders-kim", "orders-lee"], &["read"]).await?;
    let whole = site.key(&["orders"], &["read"]).await?;
    let of_lee = json!({"index_filter": {"term": {"customer": "lee"}}});
    let of_kim = json!({"index_filter": {"term": {"customer": "kim"}}});
    let (none, orders) = (json!([]), json!(["orders"]));
    for (key, body, expected) in [
        (&kim, having("secret"), &none),
        (&kim, of_lee.clone(), &none),
        (&kim, of_kim.clone(), &orders),
        (&lee, having("secret"), &orders),
        (&lee, of_kim, &none),
        (&both, having("secret"), &orders),
        (&whole, of_lee, &orders),
    ] {
        for names in ["", "/_all", "/orders*"] {
            let found = indices(&site, key, names, &body).await?;
            ensure!(found == *expected, "{names}: {body}: {found}");
        }
    }
    let found = indices(&site, &kim, "/orders-kim", &having("secret")).await?;
    ensure!(found == none, "{found}");
    // A document that the filter names is read by a right to all of its index.
    let values = json!({"index": "orders", "id": "5", "path": "customer"});
    let named = json!({"index_filter": {"terms": {"customer": values}}});
    let path = "/orders-kim/_field_caps?fields=*";
    let (status, refused) = site.asked(&kim, ("POST", path), &named).await?;
    ensure!(status == 403, "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_in_time_is_of_the_views_in_which_the_filter_matches() -> Result<()> {
    let site = with_secrets().await?;
    let key = site.key(&["orders-kim", "other"], &["read"]).await?;
    let tea = json!({"index_filter": {"match": {"text": "tea"}}});
    for (names, body, expected) in [
        // The order with a secret is outside the view.
        ("orders-kim,other", having("secret"), vec!["4", "6"]),
        ("o*", having("secret"), vec!["4", "6"]),
        // One index is kept in any case, and no more of it is shown.
        ("orders-kim", having("secret"), vec!["1"]),
        ("orders-kim,other", tea, vec!["1", "4", "6"]),
    ] {
        let ids = shown(&site, &key, names, &body).await?;
        ensure!(ids == expected, "{names}: {body}: {ids:?}");
    }
    Ok(())
}
