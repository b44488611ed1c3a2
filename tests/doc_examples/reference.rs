//! The examples in JSON of the reference are sent to a server: searches of its sample index find
//! something, and of each mapping an index is made.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::http::Request;
use gleaner_testkit::{Server, skipped};

use crate::page::Page;
use crate::{NO_CURL, examples, root, run};

/// Pages whose examples are searches; the first makes the index with its scripts.
const SEARCHES: [&str; 3] = ["query-dsl.md", "aggregations.md", "search.md"];

#[tokio::test(flavor = "multi_thread")]
async fn every_body_of_the_reference_is_answered() -> Result<()> {
    if Command::new("curl").arg("--version").output().is_err() {
        let test = "doc_examples::every_body_of_the_reference_is_answered";
        return skipped(test, NO_CURL);
    }
    let folder = tempfile::tempdir()?;
    let server = Server::start(&folder.path().join("data")).await?;
    for script in examples(&root().join("docs").join(SEARCHES[0]))? {
        run(&script, &server.address().to_string(), folder.path())?;
    }
    for name in SEARCHES {
        for body in Page::read(name)?.bodies() {
            let request = Request::json("POST", "/books/_search", &body.json);
            let answer = server.send(&request).await?.ok();
            let answer = answer.with_context(|| body.place.clone())?;
            let place = &body.place;
            ensure!(answer["_shards"]["failed"] == 0, "{place}: {answer}");
            let wants_none = body.json["query"].get("match_none").is_some();
            let finds = answer["hits"]["total"]["value"] != 0;
            ensure!(finds != wants_none, "{place}: {answer}");
        }
    }
    for (number, body) in Page::read("mapping.md")?.bodies().enumerate() {
        let request = Request::json("PUT", &format!("/reference-{number}"), &body.json);
        let answer = server.send(&request).await?.ok();
        answer.with_context(|| body.place.clone())?;
    }
    Ok(())
}
