//! Paths that two readers may read in two ways: a front and a root decide alike, and no spelling shows or changes what the
//! key may not.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gleaner_testkit::http::Request;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::matrix::shown;
use crate::processes::Processes;

/// The text of the only document of `other-1`, which the key may not read.
const HIDDEN: &str = "walnut";

/// Methods that a path is asked with: what shows, what writes, and what destroys.
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];

/// Longest time until a front keeps an answer.
const KEPT_WITHIN: Duration = Duration::from_secs(30);

/// Spellings; the key of the test may read `mine-*`.
const PATHS: &[&str] = &[
    "/mine-1/_search",
    "/other-1/_search",
    "/other-1/_doc/1",
    // Steps up, plain and escaped, once and twice, in either case.
    "/mine-1/../other-1/_search",
    "/mine-1/%2e%2e/other-1/_search",
    "/mine-1/%2E%2e/other-1/_search",
    "/mine-1/.%2E/other-1/_doc/1",
    "/mine-1/%252e%252e/other-1/_search",
    "/mine-1/..%2fother-1/_search",
    "/mine-1/..%2Fother-1",
    "/mine-1/_doc/..%2f..%2fother-1%2f_doc%2f1",
    "/mine-1/_doc/%2e%2e/%2e%2e/other-1/_doc/1",
    "/./other-1/_search",
    "/%2e/other-1/_search",
    "/other-1/%2E/_search",
    // Slashes and backslashes within a name, and more of them than there should be.
    "/mine-1%2Fother-1/_search",
    "/mine-1%2f..%2fother-1/_search",
    "/mine-1%252Fother-1/_search",
    "/mine-1%5C..%5Cother-1/_search",
    "/other-1%5c/_search",
    "/mine-1\\..\\other-1/_search",
    "//other-1/_search",
    "//mine-1/_search",
    "/mine-1//_search",
    "/other-1//_search",
    "/mine-1//other-1/_search",
    "/other-1/_search/",
    "/mine-1/_search/",
    "/other-1/",
    // Parameters of a segment, and ends of a path that are none.
    "/mine-1;x/_search",
    "/other-1;x=mine-1/_search",
    "/mine-1;/other-1/_search",
    "/other-1/_search;x",
    "/other-1%3Bx/_search",
    "/mine-1/_search%3Fx=/other-1",
    "/mine-1%3F/other-1/_search",
    "/mine-1%23/other-1/_search",
    "/mine-1/_search#/../../other-1/_search",
    "/mine-1/_search?index=other-1",
    // Names that are spelled in another way.
    "/%6fther-1/_search",
    "/%6Fther-1/_search",
    "/%6f%74%68%65%72%2d%31/_search",
    "/%256fther-1/_search",
    "/other%2D1/_search",
    "/OTHER-1/_search",
    "/mine-1%2Cother-1/_search",
    "/mine-1%2cother-1/_search",
    "/mine-1%252Cother-1/_search",
    "/mine-1,%6Fther-1/_search",
    "/mine-1,,other-1/_search",
    "/%2A/_search",
    "/%2a/_search",
    "/%5Fall/_search",
    "/o%2A/_search",
    "/%2A,-mine-1/_search",
    "/%3Cother-1%3E/_search",
    "/other-1%20/_search",
    "/%20other-1/_search",
    "/other-1+/_search",
    // Routes that are spelled in another way.
    "/other-1/%5Fsearch",
    "/other-1/_sear%63h",
    "/mine-1/%5fsearch",
    "/other-1/_doc/%31",
    "/other-1/_DOC/1",
    "/other-1/_source/1",
    // What is no text: overlong, cut off, above the last code point, a surrogate, NUL, half an escape.
    "/%c0%afother-1/_search",
    "/mine-1%c0%afother-1/_search",
    "/mine-1/%c0%ae%c0%ae/other-1/_search",
    "/mine-1%e0%80%afother-1/_search",
    "/%ef%bd%8fther-1/_search",
    "/other-1%c3/_search",
    "/other-1%f4%90%80%80/_search",
    "/other-1%ed%a0%80/_search",
    "/other-1%00/_search",
    "/mine-1%00,other-1/_search",
    "/other-1%0d%0a/_search",
    "/mine-1%2/other-1/_search",
    "/mine-1%zz/other-1/_search",
    "/%other-1/_search",
];

/// Returns the request by which a path is asked: what writes brings a body.
fn request(method: &str, path: &str) -> Request {
    match method {
        "PUT" => Request::json(method, path, &json!({"text": "hazel"})),
        _ => Request::new(method, path),
    }
}

/// Asks until the answer is one that was kept.
async fn keep(processes: &Processes, address: SocketAddr, request: &Request) -> Result<()> {
    let kept = timeout(KEPT_WITHIN, async {
        loop {
            let answer = processes.send(address, &processes.admin, request).await?;
            if answer.header("x-cache") == Some("hit") {
                return answer.ok();
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    let kept = kept
        .await
        .with_context(|| format!("no hit: {request:?}"))??;
    ensure!(kept.to_string().contains(HIDDEN), "{kept}");
    Ok(())
}

/// Returns what no request of the test may change: which indices there are, and all of the two.
async fn contents(processes: &Processes, root: SocketAddr) -> Result<Vec<Value>> {
    let mut contents = Vec::new();
    for path in [
        "/_cat/indices?format=json&h=index&s=index",
        "/mine-1,other-1",
        "/mine-1,other-1/_search?filter_path=hits&version=true&request_cache=false",
    ] {
        let request = Request::new("GET", path);
        let answer = processes.send(root, &processes.admin, &request).await?;
        contents.push(answer.ok()?);
    }
    Ok(contents)
}

/// Asks a front and a root for every path with `key`, which may read `mine-*`, and compares what they decide.
pub(crate) async fn decided_alike(processes: &Processes, key: &str) -> Result<()> {
    let (front, root) = (processes.fronts[0], processes.roots[1]);
    let admin = &processes.admin;
    for (index, text) in [("mine-1", "cherry"), ("other-1", HIDDEN)] {
        let path = format!("/{index}/_doc/1?refresh=true");
        let document = Request::json("PUT", &path, &json!({"text": text}));
        processes.send(root, admin, &document).await?.ok()?;
    }
    let before = contents(processes, root).await?;
    // The front keeps what the first key is shown; it must not be shown to another.
    for path in ["/other-1/_search", "/%6Fther-1/_search"] {
        keep(processes, front, &Request::new("GET", path)).await?;
    }
    let (mut num_let_in, mut num_refused) = (0, 0);
    for path in PATHS {
        for method in METHODS {
            let request = request(method, path);
            // Through the front once more: what is kept must not open a door.
            let first = processes.send(front, key, &request).await?;
            let at_root = processes.send(root, key, &request).await?;
            let second = processes.send(front, key, &request).await?;
            num_let_in += usize::from(at_root.status == 200);
            num_refused += usize::from(at_root.status == 403);
            for answer in [&first, &at_root, &second] {
                assert_eq!(answer.status, at_root.status, "{method} {path}");
                if answer.status == 403 {
                    assert_eq!(shown(answer), shown(&at_root), "{method} {path}");
                }
                let body = String::from_utf8_lossy(&answer.body);
                ensure!(!body.contains(HIDDEN), "{method} {path}: {body}");
            }
        }
    }
    ensure!(num_let_in > 5, "{num_let_in} were let in");
    ensure!(num_refused > 20, "{num_refused} were refused");
    let refresh = Request::new("POST", "/_refresh");
    processes.send(root, admin, &refresh).await?.ok()?;
    let after = contents(processes, root).await?;
    ensure!(after == before, "{after:?}\n{before:?}");
    // Who may sees the document by some of these paths, so it would have been found.
    for path in [
        "/other-1/_search",
        "/%6Fther-1/_search",
        "/other%2D1/_doc/1",
    ] {
        for address in [front, root] {
            let request = Request::new("GET", path);
            let answer = processes.send(address, admin, &request).await?.ok()?;
            let shows = answer.to_string().contains(HIDDEN);
            ensure!(shows, "{path}: {answer}");
        }
    }
    Ok(())
}
