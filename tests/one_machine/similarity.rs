//! BM25 with numbers of one's own: declared with the index, shown again, in every score, and changed.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::ok;

/// What LangChain's `ElasticSearchBM25Retriever.create` sends with its own defaults.
fn langchain() -> Value {
    json!({
        "settings": {
            "analysis": {"analyzer": {"default": {"type": "standard"}}},
            "similarity": {"custom_bm25": {"type": "BM25", "k1": 2.0, "b": 0.75}},
        },
        "mappings": {
            "properties": {"content": {"type": "text", "similarity": "custom_bm25"}},
        },
    })
}

/// Four texts of 2, 3, 2 and 1 words: 2 on the average. `foo` is in two of them.
const TEXTS: [(&str, &str); 4] = [
    ("1", "foo bar"),
    ("2", "foo foo baz"),
    ("3", "hello world"),
    ("4", "bar"),
];

/// idf of `foo`: N = 4 and n = 2, so ln(1 + 2.5 / 2.5).
const IDF: f64 = std::f64::consts::LN_2;

async fn started(folder: &tempfile::TempDir) -> Result<Server> {
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    ok(&server, "PUT", "/docs", &langchain()).await?;
    let mut lines = String::new();
    for (id, text) in TEXTS {
        lines += &format!("{}\n", json!({"index": {"_index": "docs", "_id": id}}));
        lines += &format!("{}\n", json!({"content": text}));
    }
    let bulk = Request::ndjson("POST", "/_bulk?refresh=true", lines);
    let written = server.send(&bulk).await?.ok()?;
    ensure!(written["errors"] == false, "{written}");
    Ok(server)
}

/// Returns the reason of a request that is refused.
async fn refusal(server: &Server, method: &str, path: &str, body: &Value) -> Result<String> {
    let answer = server.send(&Request::json(method, path, body)).await?;
    ensure!(answer.status == 400, "{}", answer.shown());
    let body: Value = answer.json()?;
    Ok(body["error"]["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

/// Checks that `foo` finds texts 2 and 1 with these scores, whichever way it is asked for.
async fn check_scores(server: &Server, second: f64, first: f64) -> Result<()> {
    for way in ["shards", "terms"] {
        let body = json!({"query": {"match": {"content": "foo"}}, "scatter": way});
        let found = ok(server, "POST", "/docs/_search", &body).await?;
        let hits = found["hits"]["hits"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let mut scores: Vec<(&str, f64)> = hits
            .iter()
            .filter_map(|hit| Some((hit["_id"].as_str()?, hit["_score"].as_f64()?)))
            .collect();
        // Equal scores come in the order of a hash.
        scores.sort_by_key(|(id, _)| *id);
        let expected = [("1", first), ("2", second)];
        let is_close = |((id, score), (wanted, by_hand)): (&(&str, f64), &(&str, f64))| {
            id == wanted && (score - by_hand).abs() < 1e-6
        };
        ensure!(
            scores.len() == 2 && scores.iter().zip(&expected).all(is_close),
            "{way}: {scores:?}, by hand {expected:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn langchains_store_scores_with_the_numbers_it_declares() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    // k1 · (1 − b + b · length / average): 2 · (0.25 + 0.75 · 3 / 2) and 2 · (0.25 + 0.75 · 2 / 2).
    let (second, first) = (IDF * 3.0 * 2.0 / (2.0 + 2.75), IDF * 3.0 / (1.0 + 2.0));
    check_scores(&server, second, first).await?;

    let body = json!({"query": {"match": {"content": "foo"}}});
    let explained = ok(&server, "POST", "/docs/_explain/2", &body).await?;
    let shown = explained.to_string();
    let score = explained["explanation"]["value"]
        .as_f64()
        .unwrap_or_default();
    ensure!((score - second).abs() < 1e-6, "{explained}");
    ensure!(shown.contains("boost * idf * 3 * tf"), "{explained}");
    for leaf in [
        json!({"value": 2.0, "description": "k1, term saturation parameter", "details": []}),
        json!({"value": 0.75, "description": "b, length normalization parameter", "details": []}),
    ] {
        ensure!(shown.contains(&leaf.to_string()), "{leaf}: {explained}");
    }

    let settings = server.send(&Request::new("GET", "/docs/_settings")).await?;
    let settings = settings.ok()?;
    let similarity = &settings["docs"]["settings"]["index"]["similarity"];
    let declared = json!({"custom_bm25": {"type": "BM25", "k1": "2.0", "b": "0.75"}});
    ensure!(*similarity == declared, "{settings}");
    let mapping = server.send(&Request::new("GET", "/docs/_mapping")).await?;
    let mapping = mapping.ok()?;
    let content = &mapping["docs"]["mappings"]["properties"]["content"];
    ensure!(
        *content == json!({"type": "text", "similarity": "custom_bm25"}),
        "{mapping}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_change_while_the_index_is_closed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let without_saturation = json!({"similarity": {"custom_bm25": {"k1": 0}}});
    let told = refusal(&server, "PUT", "/docs/_settings", &without_saturation).await?;
    ensure!(told.contains("Can't update non dynamic settings"), "{told}");
    ok(&server, "POST", "/docs/_close", &json!({})).await?;
    let wrong = json!({"index.similarity.custom_bm25.b": 2});
    let told = refusal(&server, "PUT", "/docs/_settings", &wrong).await?;
    ensure!(
        told == "illegal b value: 2.0, must be between 0 and 1",
        "{told}"
    );
    ok(&server, "PUT", "/docs/_settings", &without_saturation).await?;
    ok(&server, "POST", "/docs/_open", &json!({})).await?;
    check_scores(&server, IDF, IDF).await?;

    let mapping = json!({"properties": {"content": {"type": "text", "similarity": "BM25"}}});
    let told = refusal(&server, "PUT", "/docs/_mapping", &mapping).await?;
    let parameter = "Cannot update parameter [similarity] from [custom_bm25] to [BM25]";
    ensure!(told.contains(parameter), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn similarities_that_are_not_there_are_refused_by_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    let field = |name: &str| json!({"mappings": {"properties": {"t": {"type": "text", "similarity": name}}}});
    let of_type = |name: &str| json!({"settings": {"index.similarity.x.type": name}});
    for (body, reason) in [
        (
            field("custom_bm25"),
            "Unknown Similarity type [custom_bm25] for field [t]",
        ),
        (
            field("boolean"),
            "[similarity] of [boolean] on field [t] is not supported",
        ),
        (
            of_type("LMDirichlet"),
            "setting [index.similarity.x.type] of [LMDirichlet] is not supported, only [BM25] is",
        ),
        (of_type("mine"), "Unknown Similarity type [mine] for [x]"),
    ] {
        let told = refusal(&server, "PUT", "/other", &body).await?;
        ensure!(told.contains(reason), "{told}");
    }
    Ok(())
}
