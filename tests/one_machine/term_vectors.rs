//! `_termvectors` and `_mtermvectors` over HTTP: terms and their places, and numbers that do not depend on shards,
//! segments and deleted documents.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

/// How an index is made, with the same live documents each time.
struct Layout {
    shards: u32,
    /// Whether the documents were written before in another form, and some more that are deleted.
    is_rewritten: bool,
    is_merged: bool,
}

const WORDS: [&str; 4] = ["quick", "brown", "fox", "dog"];

/// Words of a document, some of them several times.
fn text(n: usize) -> String {
    let words = (0..=n % 7).map(|at| WORDS[(n * 3 + at * at) % WORDS.len()]);
    words.collect::<Vec<_>>().join(" ")
}

async fn send(server: &Server, method: &str, path: &str, body: &Value) -> Result<Value> {
    let request = match body {
        Value::Null => Request::new(method, path),
        body => Request::json(method, path, body),
    };
    server.send(&request).await?.ok()
}

async fn fill(server: &Server, index: &str, layout: &Layout) -> Result<()> {
    let properties = json!({
        "text": {"type": "text", "term_vector": "with_positions_offsets", "fields": {
            "english": {"type": "text", "analyzer": "english"},
        }},
        "tag": {"type": "keyword"},
    });
    let body = json!({
        "settings": {"number_of_shards": layout.shards, "refresh_interval": "-1"},
        "mappings": {"properties": properties},
    });
    send(server, "PUT", &format!("/{index}"), &body).await?;
    let put = async |n: usize, text: String| {
        let path = format!("/{index}/_doc/{n}?refresh={}", n.is_multiple_of(5));
        send(
            server,
            "PUT",
            &path,
            &json!({"text": text, "tag": ["a", "b", "a"]}),
        )
        .await
    };
    if layout.is_rewritten {
        for n in 0..60 {
            put(n, "fox fox fox cat".to_owned()).await?;
        }
        for n in 40..60 {
            send(
                server,
                "DELETE",
                &format!("/{index}/_doc/{n}"),
                &Value::Null,
            )
            .await?;
        }
    }
    for n in 0..40 {
        put(n, text(n)).await?;
    }
    send(server, "POST", &format!("/{index}/_refresh"), &Value::Null).await?;
    if layout.is_merged {
        let path = format!("/{index}/_forcemerge?max_num_segments=1");
        send(server, "POST", &path, &Value::Null).await?;
    }
    Ok(())
}

/// What a document's terms are, without what differs from one index to the other.
async fn vectors(server: &Server, index: &str, id: usize) -> Result<Value> {
    let path = format!("/{index}/_termvectors/{id}?term_statistics&fields=text*,tag");
    let mut shown = send(server, "GET", &path, &Value::Null).await?;
    ensure!(shown["found"] == true, "{shown}");
    Ok(shown["term_vectors"].take())
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_exact_whatever_the_layout() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let layouts = [
        (1, false, false),
        (1, true, true),
        (3, true, false),
        (5, false, true),
    ];
    let mut expected = None;
    for (at, (shards, is_rewritten, is_merged)) in layouts.into_iter().enumerate() {
        let layout = Layout {
            shards,
            is_rewritten,
            is_merged,
        };
        let index = format!("books-{at}");
        fill(&server, &index, &layout).await?;
        let mut told = Vec::new();
        for id in [0, 6, 13, 39] {
            told.push(vectors(&server, &index, id).await?);
        }
        let expected = expected.get_or_insert_with(|| told.clone());
        assert_eq!(
            told, *expected,
            "{shards} shards, {is_rewritten}, {is_merged}"
        );
    }
    // Counted by hand.
    let texts: Vec<String> = (0..40).map(text).collect();
    let occurrences = |word: &str| -> usize {
        let words = texts.iter().flat_map(|text| text.split(' '));
        words.filter(|found| *found == word).count()
    };
    let holding = |word: &str| texts.iter().filter(|text| text.contains(word)).count();
    let told = &expected.unwrap_or_default()[2]["text"];
    for word in text(13).split(' ') {
        let term = &told["terms"][word];
        assert_eq!(term["ttf"], occurrences(word), "{word}: {told}");
        assert_eq!(term["doc_freq"], holding(word), "{word}: {told}");
    }
    let numbers = json!({
        "sum_ttf": WORDS.map(occurrences).iter().sum::<usize>(),
        "sum_doc_freq": WORDS.map(holding).iter().sum::<usize>(),
        "doc_count": 40,
    });
    assert_eq!(told["field_statistics"], numbers);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_have_places_and_documents_need_not_be_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let layout = Layout {
        shards: 2,
        is_rewritten: false,
        is_merged: false,
    };
    fill(&server, "books", &layout).await?;
    let put = json!({"text": ["Ünïted quick", "quick fox"]});
    send(&server, "PUT", "/books/_doc/new", &put).await?;
    // Only the field whose mapping asks for vectors, and what searches cannot see yet.
    let path = "/books/_termvectors/new?field_statistics=false";
    let shown = send(&server, "GET", path, &Value::Null).await?;
    let token = |position: u32, start: u32, end: u32| json!({"position": position, "start_offset": start, "end_offset": end});
    let terms = json!({
        "fox": {"term_freq": 1, "tokens": [token(103, 19, 22)]},
        "quick": {"term_freq": 2, "tokens": [token(1, 7, 12), token(102, 13, 18)]},
        "ünïted": {"term_freq": 1, "tokens": [token(0, 0, 6)]},
    });
    assert_eq!(shown["term_vectors"], json!({"text": {"terms": terms}}));
    let path = "/books/_termvectors/new?realtime=false";
    let shown = send(&server, "GET", path, &Value::Null).await?;
    assert_eq!(shown["found"], false, "{shown}");
    assert_eq!(shown.get("term_vectors"), None);
    let body = json!({
        "doc": {"text": "Foxes running"},
        "fields": ["text"],
        "per_field_analyzer": {"text": "english"},
        "positions": false, "offsets": false, "field_statistics": false,
    });
    let shown = send(&server, "POST", "/books/_termvectors", &body).await?;
    let terms = json!({"fox": {"term_freq": 1}, "run": {"term_freq": 1}});
    assert_eq!(shown["term_vectors"]["text"]["terms"], terms, "{shown}");
    let body = json!({"docs": [
        {"_id": "new", "fields": ["text"]},
        {"_id": "nobody"},
        {"_index": "nowhere", "_id": "1"},
    ]});
    let shown = send(&server, "POST", "/books/_mtermvectors", &body).await?;
    let docs = &shown["docs"];
    assert_eq!(
        docs[0]["term_vectors"]["text"]["terms"]["quick"]["term_freq"],
        2
    );
    assert_eq!(
        (&docs[1]["found"], &docs[1]["_id"]),
        (&json!(false), &json!("nobody"))
    );
    assert_eq!(docs[2]["error"]["type"], "index_not_found_exception");
    let told = &shown_of_doc(&server, &json!({"text": "fox fox dog"})).await?;
    assert_eq!((&told["_version"], told.get("_id")), (&json!(0), None));
    Ok(())
}

/// Returns the terms of a document that is in no index, those that stand in it twice.
async fn shown_of_doc(server: &Server, document: &Value) -> Result<Value> {
    let body = json!({
        "doc": document, "positions": false, "offsets": false,
        "filter": {"min_term_freq": 2, "max_num_terms": 3},
    });
    let shown = send(server, "POST", "/books/_termvectors", &body).await?;
    let vector = &shown["term_vectors"]["text"];
    let terms = vector["terms"].as_object().map_or(0, serde_json::Map::len);
    ensure!(terms == 1, "{shown}");
    let (fox, holding) = (
        &vector["terms"]["fox"],
        (0..40).filter(|n| text(*n).contains("fox")),
    );
    // tf · (ln((N + 1) / (n + 1)) + 1).
    let expected = 2.0 * ((41.0 / (holding.count() as f64 + 1.0)).ln() + 1.0);
    let score = fox["score"].as_f64().unwrap_or_default();
    ensure!(
        (score - expected).abs() < 1e-5 && fox["term_freq"] == 2,
        "{shown}"
    );
    ensure!(fox.get("doc_freq").is_none(), "{shown}");
    Ok(shown)
}
