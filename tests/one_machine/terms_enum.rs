//! `_terms_enum`: the first terms that begin with some text, whatever the layout.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::{answered, ok};

/// Tags of documents, the number of each being its id.
const TAGS: [&[&str]; 7] = [
    &["apple", "Zebra"],
    &["Apricot", "apple"],
    &["ape", "a"],
    &["APE"],
    &["banana"],
    &["äpfel"],
    &[],
];

/// Makes an index of `shards` shards with the tags, of which an alias shows those of even documents.
async fn filled(server: &Server, index: &str, shards: u32) -> Result<()> {
    let even = json!({"filter": {"term": {"is_even": true}}});
    let body = json!({
        "settings": {"number_of_shards": shards},
        "aliases": {"all": {}, "even": even},
        "mappings": {"properties": {
            "tag": {"type": "keyword"}, "is_even": {"type": "boolean"}, "text": {"type": "text"},
            "kind": {"type": "constant_keyword", "value": format!("kind of {index}")},
        }},
    });
    ok(server, "PUT", &format!("/{index}"), &body).await?;
    let lines = TAGS.iter().enumerate().map(|(n, tags)| {
        let action = json!({"index": {"_id": n.to_string()}});
        let document = json!({"tag": tags, "is_even": n % 2 == 0, "text": tags});
        format!("{action}\n{document}\n")
    });
    let path = format!("/{index}/_bulk?refresh=true");
    let bulk = Request::ndjson("POST", &path, lines.collect::<String>());
    let written = server.send(&bulk).await?.ok()?;
    ensure!(written["errors"] == false, "{written}");
    Ok(())
}

async fn started(folder: &tempfile::TempDir) -> Result<Server> {
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    filled(&server, "one", 1).await?;
    filled(&server, "many", 5).await?;
    let other =
        json!({"aliases": {"all": {}}, "mappings": {"properties": {"tag": {"type": "text"}}}});
    ok(&server, "PUT", "/other", &other).await?;
    Ok(server)
}

async fn terms(server: &Server, index: &str, body: &Value) -> Result<Value> {
    let answer = ok(server, "POST", &format!("/{index}/_terms_enum"), body).await?;
    ensure!(answer["complete"] == true, "{answer}");
    let shards = &answer["_shards"];
    let is_whole = shards["failed"] == 0 && shards["successful"] == shards["total"];
    ensure!(is_whole, "{answer}");
    Ok(answer["terms"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_begin_so_come_in_order_and_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let everything = json!([
        "APE", "Apricot", "Zebra", "a", "ape", "apple", "banana", "äpfel"
    ]);
    for (body, expected) in [
        (json!({"string": "ap"}), json!(["ape", "apple"])),
        (json!({"string": "ap", "size": 1}), json!(["ape"])),
        (
            json!({"string": "aP", "case_insensitive": true}),
            json!(["APE", "Apricot", "ape", "apple"]),
        ),
        (
            json!({"string": "ap", "case_insensitive": true, "size": 2, "search_after": "Apricot"}),
            json!(["ape", "apple"]),
        ),
        (
            json!({"string": "ap", "search_after": "ape"}),
            json!(["apple"]),
        ),
        (
            json!({"string": "ap", "search_after": "B"}),
            json!(["ape", "apple"]),
        ),
        (json!({"string": "ä"}), json!(["äpfel"])),
        (json!({"string": "nothing"}), json!([])),
        (json!({}), everything),
        (
            json!({"string": "a", "index_filter": {"term": {"is_even": true}}}),
            json!(["a", "ape", "apple"]),
        ),
        (
            json!({"string": "ap", "index_filter": {"term": {"tag": "banana"}}}),
            json!([]),
        ),
    ] {
        for index in ["one", "many", "one,many", "all"] {
            let mut body = body.clone();
            body["field"] = json!("tag");
            let found = terms(&server, index, &body).await?;
            ensure!(found == expected, "{index}: {body}: {found}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_are_those_that_an_alias_shows_of_fields_that_have_some() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    for (index, field, start, expected) in [
        ("even", "tag", "Ap", json!([])),
        (
            "even",
            "tag",
            "",
            json!(["Zebra", "a", "ape", "apple", "banana"]),
        ),
        ("even,one", "tag", "Ap", json!(["Apricot"])),
        (
            "all",
            "kind",
            "kind",
            json!(["kind of many", "kind of one"]),
        ),
        ("all", "text", "a", json!([])),
        ("all", "is_even", "t", json!([])),
        ("all", "nowhere", "", json!([])),
    ] {
        let body = json!({"field": field, "string": start});
        let found = terms(&server, index, &body).await?;
        ensure!(found == expected, "{index}: {body}: {found}");
    }
    for (body, reason) in [
        (
            json!({"string": "a"}),
            "Validation Failed: 1: field cannot be null;",
        ),
        (
            json!({"field": "tag", "size": 0}),
            "[size] must be between [1] and [10000] but was [0]",
        ),
        (
            json!({"field": "tag", "start": "a"}),
            "[terms_enum] unknown field [start]",
        ),
    ] {
        let refused = answered(&server, ("POST", "/one/_terms_enum"), &body).await?;
        ensure!(refused.status == 400, "{}", refused.shown());
        let shown = refused.json()?["error"]["reason"].to_string();
        ensure!(shown.contains(reason), "{shown}");
    }
    let uri = "/one/_terms_enum?source_content_type=application/json&source=";
    let uri = format!("{uri}%7B%22field%22%3A%22tag%22%2C%22string%22%3A%22b%22%7D");
    let found = server.send(&Request::new("GET", &uri)).await?.ok()?;
    ensure!(found["terms"] == json!(["banana"]), "{found}");
    Ok(())
}
