//! Types of fields beside the plain ones: `alias`, `wildcard`, `constant_keyword`, `token_count`, `search_as_you_type`.

use anyhow::{Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Value, json};

use super::asking::ok;

async fn started(folder: &tempfile::TempDir) -> Result<Server> {
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    let body = json!({
        "settings": {"number_of_shards": 3},
        "mappings": {"properties": {
            "text": {"type": "text", "fields": {
                "length": {"type": "token_count", "analyzer": "standard"},
                "kept": {"type": "token_count", "analyzer": "stop", "enable_position_increments": false},
                "places": {"type": "token_count", "analyzer": "stop"},
                "typed": {"type": "search_as_you_type"},
            }},
            "says": {"type": "alias", "path": "text"},
            "message": {"type": "wildcard"},
            "level": {"type": "constant_keyword", "value": "debug"},
            "owner": {"properties": {"id": {"type": "keyword"}}},
            "who": {"type": "alias", "path": "owner.id"},
            "number": {"type": "long"},
            "n": {"type": "alias", "path": "number"},
        }},
    });
    ok(&server, "PUT", "/t", &body).await?;
    for (id, text, message, owner, number) in [
        ("1", "over the hills", "GET /a/b?x=1", "ann", 3),
        ("2", "far and away and over", "PUT /a/c", "bob", 1),
        ("3", "hills", "POST /d", "ann", 2),
    ] {
        let document =
            json!({"text": text, "message": message, "owner": {"id": owner}, "number": number});
        ok(
            &server,
            "PUT",
            &format!("/t/_doc/{id}?refresh=true"),
            &document,
        )
        .await?;
    }
    Ok(server)
}

async fn ids(server: &Server, query: &Value) -> Result<Vec<String>> {
    let body = json!({"query": query});
    let found = ok(server, "POST", "/t/_search", &body).await?;
    ensure!(found["_shards"]["failed"] == 0, "{query}: {found}");
    let hits = found["hits"]["hits"].as_array().into_iter().flatten();
    let mut ids: Vec<String> = hits
        .filter_map(|hit| hit["_id"].as_str().map(str::to_owned))
        .collect();
    ids.sort();
    Ok(ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_found_by_what_their_types_mean() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = started(&folder).await?;
    for (query, expected) in [
        (json!({"match": {"says": "hills"}}), vec!["1", "3"]),
        (json!({"match_phrase": {"says": "and over"}}), vec!["2"]),
        (json!({"term": {"who": "ann"}}), vec!["1", "3"]),
        (json!({"terms": {"who": ["bob", "eve"]}}), vec!["2"]),
        (json!({"prefix": {"who": "a"}}), vec!["1", "3"]),
        (json!({"range": {"n": {"gte": 2}}}), vec!["1", "3"]),
        (json!({"exists": {"field": "who"}}), vec!["1", "2", "3"]),
        (
            json!({"query_string": {"query": "who:bob OR n:3"}}),
            vec!["1", "2"],
        ),
        (
            json!({"multi_match": {"query": "ann", "fields": ["wh*", "owner.*"]}}),
            vec!["1", "3"],
        ),
        (json!({"wildcard": {"message": "*/a/*"}}), vec!["1", "2"]),
        (
            json!({"regexp": {"message": "P(U|OS)T .*"}}),
            vec!["2", "3"],
        ),
        (json!({"term": {"message": "POST /d"}}), vec!["3"]),
        (
            json!({"terms": {"message": ["POST /d", "PUT /a/c"]}}),
            vec!["2", "3"],
        ),
        (json!({"term": {"level": "debug"}}), vec!["1", "2", "3"]),
        (json!({"term": {"level": "info"}}), vec![]),
        (json!({"wildcard": {"level": "de*"}}), vec!["1", "2", "3"]),
        (json!({"term": {"text.length": 5}}), vec!["2"]),
        (json!({"range": {"text.length": {"lt": 4}}}), vec!["1", "3"]),
        (json!({"term": {"text.places": 3}}), vec!["1"]),
        (json!({"term": {"text.kept": 2}}), vec!["1"]),
        (
            json!({"multi_match": {
                "query": "over th", "type": "bool_prefix", "operator": "and",
                "fields": ["text.typed", "text.typed._2gram", "text.typed._3gram"],
            }}),
            vec!["1"],
        ),
        (
            json!({"match": {"text.typed._2gram": "far and"}}),
            vec!["2"],
        ),
        (
            json!({"match_phrase_prefix": {"text.typed": "away and ov"}}),
            vec!["2"],
        ),
    ] {
        let found = ids(&server, &query).await?;
        ensure!(found == expected, "{query}: {found:?}, not {expected:?}");
    }
    check_shown(&server).await
}

/// Checks sorting, aggregations, what is shown of fields, capabilities.
async fn check_shown(server: &Server) -> Result<()> {
    let body = json!({
        "query": {"match": {"says": "over"}},
        "sort": [{"n": "asc"}],
        "aggs": {
            "who": {"terms": {"field": "who"}}, "sum": {"sum": {"field": "n"}},
            "level": {"terms": {"field": "level"}}, "length": {"max": {"field": "text.length"}},
        },
        "fields": ["who", "says", "text.length"],
        "docvalue_fields": ["n", "level"],
        "highlight": {"fields": {"says": {}}},
    });
    let found = ok(server, "POST", "/t/_search", &body).await?;
    let hit = &found["hits"]["hits"][0];
    ensure!(hit["_id"] == "2" && hit["sort"] == json!([1]), "{found}");
    let fields = json!({
        "who": ["bob"], "says": ["far and away and over"], "text.length": [5], "n": [1], "level": ["debug"],
    });
    ensure!(hit["fields"] == fields, "{found}");
    ensure!(
        hit["highlight"]["says"][0] == "far and away and <em>over</em>",
        "{found}"
    );
    let results = &found["aggregations"];
    ensure!(
        results["sum"]["value"] == 4.0 && results["length"]["value"] == 5.0,
        "{found}"
    );
    ensure!(
        results["who"]["buckets"].as_array().map(Vec::len) == Some(2),
        "{found}"
    );
    ensure!(
        results["level"]["buckets"][0] == json!({"key": "debug", "doc_count": 2}),
        "{found}"
    );
    let path = "/t/_field_caps?fields=who,level,message,text.length";
    let caps = server.send(&Request::new("GET", path)).await?.ok()?;
    for (field, kind) in [
        ("who", "keyword"),
        ("level", "keyword"),
        ("message", "keyword"),
        ("text.length", "token_count"),
    ] {
        ensure!(caps["fields"][field][kind]["searchable"] == true, "{caps}");
    }
    let mapping = server
        .send(&Request::new("GET", "/t/_mapping"))
        .await?
        .ok()?;
    let who = &mapping["t"]["mappings"]["properties"]["who"];
    ensure!(
        *who == json!({"type": "alias", "path": "owner.id"}),
        "{mapping}"
    );
    check_refused(server).await
}

async fn check_refused(server: &Server) -> Result<()> {
    let declared = |field: Value| json!({"properties": {"new": field}});
    for (method, path, body, reason) in [
        (
            "PUT",
            "/t/_doc/9",
            json!({"who": "x"}),
            "Cannot write to a field alias",
        ),
        (
            "PUT",
            "/t/_doc/9",
            json!({"level": "info"}),
            "but got [info]",
        ),
        (
            "PUT",
            "/t/_mapping",
            declared(json!({"type": "alias", "path": "nothing"})),
            "an alias must refer to an existing field in the mappings.",
        ),
        (
            "PUT",
            "/t/_mapping",
            declared(json!({"type": "text", "copy_to": "who"})),
            "Cannot copy to a field alias [who]",
        ),
    ] {
        let answer = server.send(&Request::json(method, path, &body)).await?;
        ensure!(answer.status == 400, "{body}: {}", answer.shown());
        ensure!(
            answer.shown().contains(reason),
            "{body}: {}",
            answer.shown()
        );
    }
    Ok(())
}

/// Types of numbers with values near which their grain changes, each once.
fn numbers() -> Vec<(&'static str, Value, Vec<Value>)> {
    let whole = |bits: &[u32]| -> Vec<Value> {
        let near = bits
            .iter()
            .flat_map(|bits| [(1_i128 << bits) - 1, 1 << bits, (1 << bits) + 1]);
        let both = near.flat_map(|n| [n, -n]);
        both.filter_map(|n| i64::try_from(n).ok())
            .map(Value::from)
            .collect()
    };
    let scaled: Vec<Value> = [
        90_071_992_547_409.9,
        90_071_992_547_409.93,
        90_071_992_547_410.11,
        123_456_789_012_345_680.0,
        -90_071_992_547_410.11,
        1e17,
        4.35,
        0.29,
        -0.29,
        2_251_799_813_685_247.9,
        22_517_998_136_852.49,
        0.0,
    ]
    .map(Value::from)
    .to_vec();
    let fractions = || {
        [1.5, 0.1, -0.1, 3.4e38, 1e-40, 0.0, 16_777_217.0]
            .map(Value::from)
            .to_vec()
    };
    let factor = |factor: f64| json!({"type": "scaled_float", "scaling_factor": factor});
    vec![
        ("long", json!({"type": "long"}), whole(&[0, 53, 62])),
        ("integer", json!({"type": "integer"}), whole(&[0, 30])),
        ("short", json!({"type": "short"}), whole(&[0, 14])),
        ("byte", json!({"type": "byte"}), whole(&[0, 6])),
        (
            "unsigned_long",
            json!({"type": "unsigned_long"}),
            [0, 1, u64::MAX, u64::MAX - 1, 1 << 63]
                .map(Value::from)
                .to_vec(),
        ),
        (
            "double",
            json!({"type": "double"}),
            [fractions(), whole(&[53, 54])].concat(),
        ),
        ("float", json!({"type": "float"}), fractions()),
        (
            "half_float",
            json!({"type": "half_float"}),
            [1.5, 0.1, 65_504.0, 2_049.0, 1e-7]
                .map(Value::from)
                .to_vec(),
        ),
        ("hundredths", factor(100.0), scaled.clone()),
        ("tens", factor(0.1), scaled.clone()),
        ("thirds", factor(3.0), scaled),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_term_finds_is_what_is_between_it_and_itself() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Start::on(&folder.path().join("data")).spawn().await?;
    for (name, declared, values) in numbers() {
        let mut unindexed = declared.clone();
        unindexed["index"] = json!(false);
        let body = json!({"settings": {"number_of_shards": 2}, "mappings": {"properties": {"v": declared, "u": unindexed}}});
        ok(&server, "PUT", &format!("/{name}"), &body).await?;
        for (id, value) in values.iter().enumerate() {
            let document = json!({"v": value, "u": value});
            ok(&server, "PUT", &format!("/{name}/_doc/{id}"), &document).await?;
        }
        ok(&server, "POST", &format!("/{name}/_refresh"), &json!({})).await?;
        for (id, value) in values.iter().enumerate() {
            for field in ["v", "u"] {
                let term = found(&server, name, &json!({"term": {field: value}})).await?;
                ensure!(
                    term.contains(&id.to_string()),
                    "{name} {field} {value}: {term:?}"
                );
                let range = json!({"range": {field: {"gte": value, "lte": value}}});
                let between = found(&server, name, &range).await?;
                // Bounds between two multiples are not rounded.
                let is_coarse = ["thirds", "tens", "hundredths"].contains(&name)
                    && between.is_empty()
                    && !is_multiple(name, value);
                ensure!(
                    between == term || is_coarse,
                    "{name} {field} {value}: {term:?} {between:?}"
                );
                let text =
                    json!({"range": {field: {"gte": value.to_string(), "lte": value.to_string()}}});
                ensure!(found(&server, name, &text).await? == between, "{text}");
            }
        }
    }
    server.stop().await
}

/// Returns whether a value is one that a `scaled_float` of that name keeps as it is.
fn is_multiple(name: &str, value: &Value) -> bool {
    let factor = match name {
        "hundredths" => 100.0,
        "tens" => 0.1,
        _ => 3.0,
    };
    let value = value.as_f64().unwrap_or_default();
    let units = value * factor;
    units.fract() == 0.0 || units.abs() >= (1_u64 << 51) as f64 || units.round() / factor == value
}

/// Returns the ids of what a query finds, in order.
async fn found(server: &Server, index: &str, query: &Value) -> Result<Vec<String>> {
    let body = json!({"query": query, "size": 100, "_source": false});
    let answer = ok(server, "POST", &format!("/{index}/_search"), &body).await?;
    let hits = answer["hits"]["hits"].as_array().into_iter().flatten();
    let mut ids: Vec<String> = hits
        .filter_map(|hit| hit["_id"].as_str())
        .map(str::to_owned)
        .collect();
    ids.sort_unstable();
    Ok(ids)
}
