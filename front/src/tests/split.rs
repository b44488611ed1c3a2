//! Splits, canaries and shadows over real sockets.

use super::*;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use gleaner_machine::lock::{self, Lock};
use http::request::Parts;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    ControlOptions, LimitOptions, RequestClass, Rules, ShadowOptions, SplitOptions, Visitor,
    Visitors, Work,
};

fn split(rules: &Value, targets: &[&Recorder]) -> FrontOptions {
    let targets = targets
        .iter()
        .map(|target| format!("http://{}", target.address));
    FrontOptions {
        split: SplitOptions {
            rules: serde_json::from_value::<Rules>(json!({"rules": rules})).expect("rules"),
            targets: targets
                .map(|url| url.parse().expect("an address"))
                .collect(),
            stops: None,
        },
        ..unprobed()
    }
}

/// Asks the service of those who look after the front.
async fn admin(front: &Running, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let body = match body {
        Value::Null => Body::empty(),
        body => Body::from(body.to_string()),
    };
    let request = Request::builder().method(method).uri(path).body(body);
    let answered = front.front.admin().oneshot(request.expect("a request"));
    let answer = answered.await.expect("infallible");
    let status = answer.status();
    let body = answer.into_body().collect().await.expect("a whole body");
    (
        status,
        serde_json::from_slice(&body.to_bytes()).unwrap_or_default(),
    )
}

/// Sends a request of each user, and returns which of them came to `backend`.
async fn users_of(front: &Running, backend: &Recorder, num_users: usize) -> Vec<usize> {
    backend.take();
    let mut client = front.client().await;
    for user in 0..num_users {
        client
            .send(format!(
                "GET /{user} HTTP/1.1\r\nHost: h\r\nX-User: {user}\r\n\r\n"
            ))
            .await;
        assert_eq!(client.answer().await.expect("an answer").status, 200);
    }
    let arrived = backend.take().arrived.into_iter();
    let user = |line: &str| line.split('/').nth(1)?.split(' ').next()?.parse().ok();
    let users = arrived.map(|one| user(&one.line).expect("a user"));
    users.collect()
}

#[tokio::test]
async fn a_user_stays_on_one_way_and_a_larger_share_flips_nobody() {
    let (main, other) = (Recorder::start().await, Recorder::start().await);
    let to = format!("http://{}", other.address);
    let rule =
        |share: &str| json!([{"name": "new", "to": to, "share": share, "by": "header:x-user"}]);
    let options = split(&rule("10%"), &[&other]);
    let front = Running::ahead_of(&[main.address], options).await;
    let tenth = users_of(&front, &other, 400).await;
    assert!((15..80).contains(&tenth.len()), "{}", tenth.len());
    assert_eq!(users_of(&front, &other, 400).await, tenth, "again the same");
    let rules = json!({"rules": rule("20%")});
    let (status, shown) = admin(&front, Method::PUT, "/_front/rules", &rules).await;
    assert_eq!(
        (status, &shown["rules"][0]["share_now"]),
        (StatusCode::OK, &json!("20%"))
    );
    let fifth = users_of(&front, &other, 400).await;
    assert!(fifth.len() > tenth.len());
    assert!(tenth.iter().all(|user| fifth.contains(user)));
    // Writes go the main way.
    let mut client = front.client().await;
    for user in &fifth {
        client
            .send(format!(
                "DELETE /{user} HTTP/1.1\r\nHost: h\r\nX-User: {user}\r\n\r\n"
            ))
            .await;
        client.answer().await.expect("an answer");
    }
    assert_eq!(other.num_arrived(), 0);
    let elsewhere = json!({"rules": [{"name": "x", "to": "http://10.0.0.1", "share": "1%"}]});
    let (status, error) = admin(&front, Method::PUT, "/_front/rules", &elsewhere).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        error["error"]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("--split-to"))
    );
    let (_, shown) = admin(&front, Method::GET, "/_front/rules", &Value::Null).await;
    assert_eq!(shown["rules"][0]["share"], "20%", "those in force stay");
}

#[tokio::test]
async fn an_index_is_asked_for_in_place_of_another() {
    let main = Recorder::start().await;
    let index = json!({"from": "wiki", "to": "wiki-2"});
    let rules = json!([{"name": "new", "index": index, "share": "100%"}]);
    let front = Running::ahead_of(&[main.address], split(&rules, &[])).await;
    let mut client = front.client().await;
    for (path, expected) in [
        ("/wiki/_search?q=a", "get /wiki-2/_search?q=a"),
        ("/wiki", "get /wiki-2"),
        ("/wikis/_search", "get /wikis/_search"),
        ("/a/wiki", "get /a/wiki"),
    ] {
        client.get(path).await.expect("an answer");
        let seen = main.take().arrived.remove(0).line.to_lowercase();
        assert!(seen.starts_with(expected), "{path}: {seen}");
    }
}

#[tokio::test]
async fn a_canary_that_fails_is_left() {
    let main = Recorder::start().await;
    let other = Recorder::replying(|_| Reply::Bytes(recorder::plain("500 Oh", "no"))).await;
    let to = format!("http://{}", other.address);
    let rules = json!([
        {"name": "new", "to": to, "share": "50%", "by": "header:x-user", "canary": true}
    ]);
    let front = Running::ahead_of(&[main.address], split(&rules, &[&other])).await;
    let mut client = front.client().await;
    for user in 0..400 {
        client
            .send(format!(
                "GET / HTTP/1.1\r\nHost: h\r\nX-User: {user}\r\n\r\n"
            ))
            .await;
        client.answer().await.expect("an answer");
    }
    let (_, shown) = admin(&front, Method::GET, "/_front/rules", &Value::Null).await;
    let rule = &shown["rules"][0];
    assert_eq!(
        (&rule["share"], &rule["share_now"]),
        (&json!("50%"), &json!("0%")),
        "{rule}"
    );
    assert_eq!(rule["canary"]["stopped"]["test"], "failed", "{rule}");
    other.take();
    assert_eq!(client.get("/").await.expect("an answer").status, 200);
    assert_eq!(users_of(&front, &other, 20).await, Vec::<usize>::new());
}

/// Waits until a file is there, or is gone.
async fn until_there(path: &Path, is_wanted: bool) {
    soon("the file of ways that were left", async {
        while path.exists() != is_wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Waits until no front has a file of ways that were left.
async fn until_free(path: &Path) {
    let lock = lock::beside(path);
    soon("the end of a front", async {
        while Lock::take(&lock).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_canary_that_was_left_stays_so_when_the_front_starts_again_until_a_person_starts_it() {
    let main = Recorder::start().await;
    let other = Recorder::replying(|_| Reply::Bytes(recorder::plain("500 Oh", "no"))).await;
    let to = format!("http://{}", other.address);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rules.json.stopped");
    let rule = |share: &str| json!([{"name": "new", "to": to, "share": share, "by": "header:x-user", "canary": true}]);
    let started = async |share: &str| {
        let mut options = split(&rule(share), &[&other]);
        options.split.stops = Some(path.clone());
        Running::ahead_of(&[main.address], options).await
    };
    let share_now = async |front: &Running| {
        let (_, shown) = admin(front, Method::GET, "/_front/rules", &Value::Null).await;
        shown["rules"][0]["share_now"].clone()
    };
    let front = started("50%").await;
    let mut client = front.client().await;
    for user in 0..400 {
        let request = format!("GET / HTTP/1.1\r\nHost: h\r\nX-User: {user}\r\n\r\n");
        client.send(request).await;
        client.answer().await.expect("an answer");
    }
    until_there(&path, true).await;
    drop((client, front));
    until_free(&path).await;

    let front = started("50%").await;
    assert_eq!(share_now(&front).await, "0%", "the next one knows");
    let same: Rules = serde_json::from_value(json!({"rules": rule("50%")})).expect("rules");
    front.front.reload_rules(&same).expect("good rules");
    assert_eq!(share_now(&front).await, "0%", "the file says nothing new");
    let rules = json!({"rules": rule("50%")});
    admin(&front, Method::PUT, "/_front/rules", &rules).await;
    assert_eq!(share_now(&front).await, "50%", "a person starts it");
    until_there(&path, false).await;
}

#[tokio::test]
async fn a_canary_that_was_left_is_tried_again_under_another_rule() {
    let (main, other) = (Recorder::start().await, Recorder::start().await);
    let to = format!("http://{}", other.address);
    let folder = tempfile::tempdir().expect("a folder");
    let rule = |share: &str| json!({"name": "new", "to": to, "share": share, "canary": true});
    let stop = json!({
        "test": "slow", "log_likelihood_ratio": 6.0, "threshold": 5.5, "main_rate": 0.0,
        "other_rate": 0.5, "main_requests": 90, "other_requests": 90,
    });
    for (left, share_now) in [("20%", "0%"), ("10%", "20%")] {
        let kept = json!({"stopped": [{
            "rule": serde_json::from_value::<crate::Rule>(rule(left)).expect("a rule"), "stop": stop,
        }]});
        let path = folder.path().join(left);
        fs::write(&path, kept.to_string()).expect("written");
        let mut options = split(&json!([rule("20%")]), &[&other]);
        options.split.stops = Some(path.clone());
        let front = Running::ahead_of(&[main.address], options).await;
        let (_, shown) = admin(&front, Method::GET, "/_front/rules", &Value::Null).await;
        assert_eq!(shown["rules"][0]["share_now"], share_now, "{shown}");
        until_there(&path, share_now == "0%").await;
    }
}

/// Returns options under which a canary is tried, and this file keeps whether it was left.
fn keeping(path: &Path, main: &Recorder) -> FrontOptions {
    let index = json!({"from": "wiki", "to": "wiki-2"});
    let rules = json!([{"name": "new", "index": index, "share": "1%", "canary": true}]);
    let mut options = split(&rules, &[]);
    options.split.stops = Some(path.to_owned());
    let url = format!("http://{}", main.address);
    options.backends = vec![url.parse().expect("an address")];
    options
}

#[tokio::test]
async fn a_front_does_not_start_with_a_file_that_is_not_its_own_and_leaves_it_as_it_is() {
    let main = Recorder::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rules.json.stopped");
    for content in [
        "",
        "no JSON",
        "{}",
        r#"{"rules": []}"#,
        r#"{"stopped": [], "rules": []}"#,
    ] {
        fs::write(&path, content).expect("written");
        let refused = Front::checked(keeping(&path, &main)).expect_err(content);
        let said = refused.to_string();
        assert!(said.contains("rules.json.stopped`"), "{said}");
        assert!(said.contains("`--rules-state`"), "{said}");
        let there = fs::read_to_string(&path).expect("it is there");
        assert_eq!(there, content);
    }
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("made");
    assert!(Front::checked(keeping(&path, &main)).is_err());
    assert!(path.is_dir());
}

#[tokio::test]
async fn fronts_do_not_share_a_file_of_ways_that_were_left() {
    let main = Recorder::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rules.json.stopped");
    let first = Front::checked(keeping(&path, &main)).expect("a new file");
    let refused = Front::checked(keeping(&path, &main)).expect_err("it is held");
    let said = refused.to_string();
    assert!(said.contains("another front"), "{said}");
    assert!(said.contains("`--node-name`"), "{said}");
    drop(first);
    until_free(&path).await;
    Front::checked(keeping(&path, &main)).expect("it is free");
}

/// Takes what asks for a path with `scan` for a scan.
struct Scans;

impl Visitors for Scans {
    fn visitor(&self, _: &Parts) -> Visitor {
        Visitor::Stranger
    }

    fn work(&self, head: &Parts, _: &Bytes) -> Work {
        Work {
            class: match head.uri.path().contains("scan") {
                true => RequestClass::Scan,
                false => RequestClass::Read,
            },
            shape: 0,
            guess_ms: 1.0,
        }
    }
}

#[tokio::test]
async fn a_rule_may_be_for_a_class_of_requests() {
    let (main, other) = (Recorder::start().await, Recorder::start().await);
    let to = format!("http://{}", other.address);
    let rule = |class: &str| json!([{"name": "class", "when": {"class": class}, "to": to, "share": "100%"}]);
    let options = FrontOptions {
        control: Some(ControlOptions {
            limits: LimitOptions::default(),
            num_places: 16,
            visitors: Arc::new(Scans),
        }),
        ..split(&rule("scan"), &[&other])
    };
    let front = Running::ahead_of(&[main.address], options).await;
    let mut client = front.client().await;
    let others = async |client: &mut Client| {
        for path in ["/a", "/scan", "/b"] {
            client.get(path).await.expect("an answer");
        }
        let arrived = other.take().arrived.into_iter();
        arrived.map(|one| one.line).collect::<Vec<_>>()
    };
    assert_eq!(others(&mut client).await, ["GET /scan"]);
    let rules = json!({"rules": rule("read")});
    let (status, shown) = admin(&front, Method::PUT, "/_front/rules", &rules).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(shown["rules"][0]["when"], json!({"class": "read"}));
    assert_eq!(others(&mut client).await, ["GET /a", "GET /b"]);
}

/// Returns an answer to a search with these hits.
fn hits(ids: &str) -> Reply {
    let hit = |id: char| json!({"_index": "a", "_id": id.to_string(), "_score": 1.0});
    let hits: Vec<Value> = ids.chars().map(hit).collect();
    let body = json!({"hits": {"total": {"value": ids.len()}, "hits": hits}}).to_string();
    Reply::Bytes(recorder::plain("200 OK", &body))
}

fn shadowed(by: &Recorder) -> FrontOptions {
    FrontOptions {
        shadow: Some(ShadowOptions {
            to: format!("http://{}", by.address)
                .parse()
                .expect("an address"),
            share: "100%".parse().expect("a share"),
            keeps_bodies: false,
            compares_index: true,
        }),
        ..unprobed()
    }
}

/// Waits until the report says so.
async fn reported(front: &Running, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    soon(what, async {
        loop {
            let (_, report) = admin(front, Method::GET, "/_front/shadow", &Value::Null).await;
            if is_wanted(&report) {
                return report;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_is_compared_and_users_see_nothing_of_it() {
    let main = Recorder::replying(|_| hits("abcd")).await;
    let shadow = Recorder::replying(|arrived| match arrived.line.contains("/far") {
        true => hits("efgh"),
        false => hits("abcd"),
    })
    .await;
    let front = Running::ahead_of(&[main.address], shadowed(&shadow)).await;
    let mut client = front.client().await;
    for path in ["/near?q=secret", "/far?q=secret", "/near"] {
        let answer = client.get(path).await.expect("an answer");
        assert!(answer.body.contains("\"a\"") && !answer.body.contains("\"e\""));
    }
    client
        .send("POST /write HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        .await;
    client.answer().await.expect("an answer");
    let report = reported(&front, "three", |report| report["compared"] == 3).await;
    assert_eq!(report["searches"]["same_order"], 2, "{report}");
    assert_eq!(report["worst"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        report["worst"][0]["request"], "GET /far",
        "what was asked is users' own"
    );
    assert_eq!(report["worst"][0]["likeness"]["overlap"], 0.0);
    let seen = shadow.take().arrived;
    assert_eq!(seen.len(), 3, "writes are not copied");
    assert!(
        seen.iter()
            .all(|one| one.field("x-gleaner-shadow") == Some("1"))
    );
    assert_eq!(
        seen[0].field("host"),
        Some(shadow.address.to_string().as_str())
    );
    let request = Request::get("/_front/shadow")
        .header("accept", "text/html")
        .body(Body::empty());
    let page = front
        .front
        .admin()
        .oneshot(request.expect("a request"))
        .await
        .expect("infallible");
    let page = page.into_body().collect().await.expect("a page").to_bytes();
    assert!(String::from_utf8_lossy(&page).contains("Where they differ most"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_stands_still_holds_nobody_up() {
    let main = Recorder::replying(|_| hits("abcd")).await;
    let shadow = Recorder::replying(|_| Reply::Silence(Vec::new())).await;
    let front = Running::ahead_of(&[main.address], shadowed(&shadow)).await;
    let mut client = front.client().await;
    for _ in 0..1_100 {
        assert_eq!(client.get("/a").await.expect("an answer").status, 200);
    }
    let is_full = |report: &Value| report["dropped"].as_u64().is_some_and(|number| number > 0);
    let report = reported(&front, "copies are dropped", is_full).await;
    assert_eq!(report["compared"], 0);
    assert_eq!(main.num_arrived(), 1_100);
    assert!(
        shadow.num_arrived() <= 16,
        "a few at once: {}",
        shadow.num_arrived()
    );
}
