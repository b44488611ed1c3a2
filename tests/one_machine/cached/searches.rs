//! Searches of an `_msearch`: each is kept, and shares what is kept with the same search by itself.

use anyhow::{Context, Result};
use gleaner_testkit::http::{Request, Response};
use serde_json::{Value, json};

use super::{Site, TEA, origin};

async fn send(site: &Site, lines: &str) -> Result<Response> {
    let request = Request::ndjson("POST", "/books/_msearch", lines.to_owned());
    site.send(request).await
}

/// Sends searches; returns where their answers came from, and them.
async fn ask(site: &Site, lines: &str) -> Result<(String, Vec<Value>)> {
    let response = send(site, lines).await?;
    let answers = response.json()?["responses"].take();
    let answers = answers.as_array().context("answers")?.clone();
    Ok((origin(&response)?, answers))
}

/// Returns an answer without its status, as that of a search by itself.
fn alone(answer: &Value) -> Value {
    let mut answer = answer.clone();
    assert_eq!(answer["status"], 200, "{answer}");
    let fields = answer.as_object_mut();
    fields.map(|fields| fields.remove("status"));
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn each_search_of_several_is_kept_by_itself() -> Result<()> {
    let site = Site::with_books().await?;
    let (from, tea) = site.ask("/books/_search", TEA).await?;
    assert_eq!(from, "miss");
    let lines = format!("{{}}\n{TEA}\n{{}}\n{{\"size\":1}}\n");
    let (from, first) = ask(&site, &lines).await?;
    assert_eq!((from.as_str(), alone(&first[0])), ("miss", tea));
    let (from, again) = ask(&site, &lines).await?;
    assert_eq!(
        (from.as_str(), &again),
        ("hit", &first),
        "`took` is that of the evaluation"
    );
    let (from, one) = site.ask("/books/_search", r#"{"size": 1}"#).await?;
    assert_eq!((from.as_str(), one), ("hit", alone(&first[1])));
    // The order of the searches is that of the answers, whichever of them are kept.
    let mixed = format!("{{}}\n{{\"size\":0}}\n{{}}\n{TEA}\n{{}}\n{{\"size\":1}}\n");
    let (from, three) = ask(&site, &mixed).await?;
    assert_eq!((from.as_str(), &three[1..]), ("miss", &first[..]));
    assert_eq!(three[0]["hits"]["hits"], json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_in_every_search_of_several() -> Result<()> {
    let site = Site::with_books().await?;
    let lines = format!("{{}}\n{TEA}\n{{}}\n{TEA}\n");
    let found = |answers: &[Value]| -> Vec<Value> {
        let totals = answers
            .iter()
            .map(|answer| answer["hits"]["total"]["value"].clone());
        totals.collect()
    };
    for num_found in [2, 3, 4] {
        let (_, answers) = ask(&site, &lines).await?;
        assert_eq!(found(&answers), [json!(num_found), json!(num_found)]);
        let (from, answers) = ask(&site, &lines).await?;
        assert_eq!(
            (from.as_str(), found(&answers)),
            ("hit", vec![json!(num_found); 2])
        );
        let path = format!("/books/_doc/{}?refresh=true", num_found + 1);
        site.done("PUT", &path, &json!({"title": "tea"})).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_one_search_alone_goes_around() -> Result<()> {
    let site = Site::with_books().await?;
    for (lines, word) in [
        ("{\"request_cache\":false}\n{}\n", "bypass"),
        ("{}\n{\"profile\":true}\n", "bypass"),
        ("{}\n{}\n{}\n{\"profile\":true}\n", "miss"),
    ] {
        for _ in 0..2 {
            let (from, answers) = ask(&site, lines).await?;
            assert_eq!(from, word, "{lines}");
            assert!(answers.iter().all(|answer| answer["status"] == 200));
        }
    }
    let (from, answers) = ask(&site, "{\"index\":\"gone\"}\n{}\n{}\n{}\n").await?;
    assert_eq!(
        (from.as_str(), &answers[0]["status"]),
        ("miss", &json!(404))
    );
    let controlled = async |control: &str| {
        let request = Request::ndjson("POST", "/books/_msearch", "{}\n{\"size\":3}\n".to_owned());
        origin(
            &site
                .send(request.with_header("cache-control", control))
                .await?,
        )
    };
    assert_eq!(controlled("no-store").await?, "bypass");
    assert_eq!(controlled("max-age=0").await?, "miss", "it was not stored");
    assert_eq!(controlled("no-cache").await?, "bypass");
    assert_eq!(controlled("max-age=0").await?, "hit");
    let aged = send(&site, "{}\n{\"size\":3}\n").await?;
    let age = aged.header("age").context("no age")?.parse::<u64>()?;
    assert_eq!(age / 60, 0, "it is of seconds ago");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_of_all_answers_is_not_that_of_each() -> Result<()> {
    let site = Site::with_books().await?;
    let lines = "{}\n{\"size\":1}\n";
    ask(&site, lines).await?;
    for (parameters, word) in [
        ("?pretty", "hit"),
        ("?filter_path=responses.status", "hit"),
        ("?rest_total_hits_as_int=true", "miss"),
        ("?typed_keys=true", "miss"),
    ] {
        let path = format!("/books/_msearch{parameters}");
        let response = site
            .send(Request::ndjson("POST", &path, lines.to_owned()))
            .await?;
        assert_eq!(origin(&response)?, word, "{parameters}");
        assert_eq!(response.ok()?["responses"][0]["status"], 200);
    }
    Ok(())
}
