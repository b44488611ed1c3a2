//! A key sees and ends the tasks that it asked for, and no others, unless it may watch or manage the cluster.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::tenants::Site;

/// A task that waits for minutes after each document.
const SLOW: &str =
    "/orders/_update_by_query?wait_for_completion=false&requests_per_second=0.01&scroll_size=1";

async fn listed(site: &Site, key: &str) -> Result<Vec<String>> {
    let path = "/_tasks?actions=*byquery&group_by=none";
    let (status, answer) = site.asked(key, ("GET", path), &Value::Null).await?;
    ensure!(status == 200, "{answer}");
    let tasks = answer["tasks"].as_array().into_iter().flatten();
    let ids = tasks.map(|task| format!("{}:{}", task["node"].as_str().unwrap_or("?"), task["id"]));
    Ok(ids.collect())
}

async fn status(site: &Site, key: &str, route: (&str, &str)) -> Result<u16> {
    Ok(site.asked(key, route, &Value::Null).await?.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_reaches_its_own_tasks_alone() -> Result<()> {
    let site = Site::start(0).await?;
    let one = site.key(&["orders"], &["read", "write"]).await?;
    let two = site.key(&["orders"], &["read", "write"]).await?;
    let watch = json!({"name": "watch", "role_descriptors": {"role": {"cluster": ["monitor"]}}});
    let watch = site.admin("POST", "/_security/api_key", &watch).await?;
    let watch = watch["encoded"].as_str().context("a key")?.to_owned();
    let (_, begun) = site.asked(&one, ("POST", SLOW), &json!({})).await?;
    let id = begun["task"].as_str().context("an id")?.to_owned();
    let (task, cancel) = (format!("/_tasks/{id}"), format!("/_tasks/{id}/_cancel"));
    let faster = format!("/_update_by_query/{id}/_rethrottle?requests_per_second=0.02");

    // For another key it is as if there were none.
    ensure!(listed(&site, &two).await?.is_empty());
    let path = "/_cat/tasks?format=json&actions=*byquery";
    let (_, table) = site.asked(&two, ("GET", path), &Value::Null).await?;
    ensure!(table == json!([]), "{table}");
    for route in [("GET", &task), ("POST", &cancel), ("POST", &faster)] {
        ensure!(
            status(&site, &two, (route.0, route.1)).await? == 404,
            "{route:?}"
        );
    }
    let all = "/_tasks/_cancel?actions=*byquery";
    let (_, cancelled) = site.asked(&two, ("POST", all), &Value::Null).await?;
    ensure!(cancelled["nodes"] == json!({}), "{cancelled}");

    // Who may watch sees it, and cannot end it.
    ensure!(listed(&site, &watch).await? == [id.as_str()]);
    ensure!(status(&site, &watch, ("GET", &task)).await? == 200);
    ensure!(status(&site, &watch, ("POST", &cancel)).await? == 404);

    ensure!(listed(&site, &one).await? == [id.as_str()]);
    ensure!(status(&site, &one, ("POST", &faster)).await? == 200);
    let waiting = format!("{cancel}?wait_for_completion=true");
    ensure!(status(&site, &one, ("POST", &waiting)).await? == 200);

    // What it did is told to the same keys.
    let (status_of_result, result) = site.asked(&one, ("GET", &task), &Value::Null).await?;
    ensure!(
        status_of_result == 200 && result["completed"] == true,
        "{result}"
    );
    ensure!(status(&site, &two, ("GET", &task)).await? == 404);
    ensure!(status(&site, &watch, ("GET", &task)).await? == 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn those_without_a_key_have_no_tasks_of_their_own() -> Result<()> {
    let site = Site::start(0).await?;
    let grant = json!({"names": ["orders"], "privileges": ["read", "write"]});
    let body = json!({"name": "_anonymous", "role_descriptors": {"role": {"indices": [grant]}}});
    site.admin("POST", "/_security/api_key", &body).await?;
    let (status, answer) = site.anonymous("GET", "/_tasks").await?;
    ensure!(status == 403, "{answer}");
    Ok(())
}
