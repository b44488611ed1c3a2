//! `_cat/nodes`, `_cat/health`, `_cat/count` and `_validate/query` as clients get them, over sockets.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use gleaner_testkit::Server;
use gleaner_testkit::http::Request;
use gleaner_testkit::server::Start;
use serde_json::{Map, Value, json};

/// Queries of all kinds, on an index of [`every_kind`].
const CLAUSES: [&str; 52] = [
    r#"{"match_all": {}}"#,
    r#"{"match_none": {}}"#,
    r#"{"match": {"text": {"query": "red fox", "fuzziness": "AUTO"}}}"#,
    r#"{"match_phrase": {"text": "red fox"}}"#,
    r#"{"match_phrase_prefix": {"text": "red fo"}}"#,
    r#"{"match_bool_prefix": {"text": "red fo"}}"#,
    r#"{"multi_match": {"query": "red fox", "fields": ["text", "tag"]}}"#,
    r#"{"combined_fields": {"query": "red fox", "fields": ["text"]}}"#,
    r#"{"query_string": {"query": "text:(red OR fo*) AND ages:[1 TO 5]"}}"#,
    r#"{"simple_query_string": {"query": "red + fo*", "fields": ["text"]}}"#,
    r#"{"term": {"tag": "red"}}"#,
    r#"{"term": {"ages": 5}}"#,
    r#"{"term": {"days": "2024-05-01"}}"#,
    r#"{"term": {"addresses": "10.0.0.7"}}"#,
    r#"{"terms": {"tag": ["red", "fox"]}}"#,
    r#"{"terms": {"ages": [5, 7]}}"#,
    r#"{"terms_set": {"tag": {"terms": ["red"], "minimum_should_match_field": "n"}}}"#,
    r#"{"range": {"n": {"gte": 1, "lt": 5}}}"#,
    r#"{"range": {"day": {"gte": "2024-01-01", "lt": "now"}}}"#,
    r#"{"range": {"address": {"gte": "10.0.0.1"}}}"#,
    r#"{"range": {"tag": {"gte": "a", "lt": "m"}}}"#,
    r#"{"range": {"text": {"gte": "a"}}}"#,
    r#"{"range": {"ages": {"gte": 1, "lt": 5}}}"#,
    r#"{"range": {"days": {"gte": "2024-01-01", "relation": "within"}}}"#,
    r#"{"range": {"addresses": {"gte": "10.0.0.1", "relation": "contains"}}}"#,
    r#"{"exists": {"field": "place"}}"#,
    r#"{"exists": {"field": "ages"}}"#,
    r#"{"ids": {"values": ["0"]}}"#,
    r#"{"prefix": {"tag": "re"}}"#,
    r#"{"wildcard": {"tag": "r?d*"}}"#,
    r#"{"regexp": {"tag": "re(d|ad)"}}"#,
    r#"{"fuzzy": {"tag": "rad"}}"#,
    r#"{"intervals": {"text": {"prefix": {"prefix": "fo"}}}}"#,
    r#"{"span_term": {"text": "red"}}"#,
    r#"{"span_or": {"clauses": [{"span_term": {"text": "red"}}]}}"#,
    r#"{"span_multi": {"match": {"prefix": {"text": "fo"}}}}"#,
    r#"{"span_first": {"match": {"span_term": {"text": "red"}}, "end": 2}}"#,
    r#"{"span_near": {"clauses": [{"span_term": {"text": "red"}}, {"span_term": {"text": "fox"}}], "slop": 1}}"#,
    r#"{"span_not": {"include": {"span_term": {"text": "red"}}, "exclude": {"span_term": {"text": "fox"}}}}"#,
    r#"{"span_containing": {"big": {"span_term": {"text": "red"}}, "little": {"span_term": {"text": "red"}}}}"#,
    r#"{"span_within": {"big": {"span_term": {"text": "red"}}, "little": {"span_term": {"text": "red"}}}}"#,
    r#"{"more_like_this": {"fields": ["text"], "like": "red fox", "min_term_freq": 1}}"#,
    r#"{"geo_distance": {"distance": "2km", "place": [13.4, 52.5]}}"#,
    r#"{"geo_bounding_box": {"place": {"top_left": [13, 53], "bottom_right": [14, 52]}}}"#,
    r#"{"geo_polygon": {"place": {"points": [[13, 52], [14, 52], [14, 53]]}}}"#,
    r#"{"bool": {"must": {"term": {"ages": 5}}, "must_not": {"geo_distance": {"distance": "2km", "place": [13.4, 52.5]}}}}"#,
    r#"{"constant_score": {"filter": {"term": {"days": "2024-05-01"}}}}"#,
    r#"{"dis_max": {"queries": [{"term": {"ages": 5}}, {"prefix": {"tag": "re"}}]}}"#,
    r#"{"boosting": {"positive": {"match_all": {}}, "negative": {"term": {"ages": 5}}, "negative_boost": 0.5}}"#,
    r#"{"function_score": {"query": {"term": {"ages": 5}}, "functions": [{"filter": {"prefix": {"tag": "re"}}, "weight": 2}]}}"#,
    r#"{"distance_feature": {"field": "day", "origin": "now", "pivot": "7d"}}"#,
    r#"{"rank_feature": {"field": "weight"}}"#,
];

/// Returns an index with a field for each kind of query.
fn every_kind() -> Value {
    let fields = [
        ("text", "text"),
        ("tag", "keyword"),
        ("n", "integer"),
        ("day", "date"),
        ("address", "ip"),
        ("place", "geo_point"),
        ("ages", "integer_range"),
        ("days", "date_range"),
        ("addresses", "ip_range"),
        ("weight", "rank_feature"),
    ];
    let properties = fields.map(|(name, kind)| (name.to_owned(), json!({"type": kind})));
    let properties: Map<String, Value> = properties.into_iter().collect();
    json!({"mappings": {"properties": properties}})
}

/// A server with an index of two shards, each with a replica that has no place, and three documents.
async fn served(folder: &tempfile::TempDir) -> Result<Server> {
    let mut start = Start::on(&folder.path().join("data"));
    start.arguments = ["--node-name", "shelf"].map(str::to_owned).to_vec();
    let server = start.spawn().await?;
    let properties = json!({"text": {"type": "text"}, "n": {"type": "integer"}});
    let settings = json!({"number_of_shards": 2, "number_of_replicas": 1});
    let index = json!({"settings": settings, "mappings": {"properties": properties}});
    let create = Request::json("PUT", "/books", &index);
    server.send(&create).await?.ok()?;
    for (n, text) in ["red fox", "red", "fox"].into_iter().enumerate() {
        let path = format!("/books/_doc/{n}?refresh=true");
        let put = Request::json("PUT", &path, &json!({"text": text, "n": n}));
        server.send(&put).await?.ok()?;
    }
    Ok(server)
}

/// Returns a table as text, by lines and cells.
async fn table(server: &Server, path: &str) -> Result<Vec<Vec<String>>> {
    let answer = server.send(&Request::new("GET", path)).await?;
    ensure!(answer.status == 200, "{path}: {}", answer.shown());
    let kind = answer.header("content-type").unwrap_or_default();
    ensure!(kind.starts_with("text/plain"), "{path}: {kind}");
    let text = String::from_utf8(answer.body)?;
    ensure!(text.ends_with('\n'), "{path}: {text}");
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    Ok(text.lines().map(cells).collect())
}

async fn get(server: &Server, path: &str) -> Result<Value> {
    server.send(&Request::new("GET", path)).await?.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_told_with_address_roles_and_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    let (address, port) = (server.address().to_string(), server.address().port());
    let columns = "ip,port,http_address,node.role,master,name";
    let rows = table(&server, &format!("/_cat/nodes?v&h={columns}")).await?;
    let head: Vec<&str> = columns.split(',').collect();
    let port = port.to_string();
    let row = ["127.0.0.1", &port, &address, "dim", "*", "shelf"];
    assert_eq!(rows, [head, row.to_vec()]);
    let ids = [
        "/_cat/nodes?h=id&format=json",
        "/_cat/nodes?h=id&format=json&full_id=true",
    ];
    let (short, full) = (get(&server, ids[0]).await?, get(&server, ids[1]).await?);
    let id = |told: &Value| told[0]["id"].as_str().map(str::to_owned);
    let (short, full) = (id(&short).context("an id")?, id(&full).context("an id")?);
    let begins = full.starts_with(&short) && full.len() > short.len();
    ensure!(begins, "`{short}` is not the start of `{full}`");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_columns_of_nodes_are_those_of_the_dialect() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    let defaults = "ip heap.percent ram.percent cpu load_1m load_5m load_15m node.role master name";
    let rows = table(&server, "/_cat/nodes?v").await?;
    assert_eq!(rows[0].join(" "), defaults);
    let row = &rows[1];
    for percent in &row[1..4] {
        let percent: u32 = percent.parse().context("a whole number")?;
        ensure!(percent <= 100, "{row:?}");
    }
    for load in &row[4..7] {
        let (_, hundredths) = load.split_once('.').context("a fraction")?;
        ensure!(hundredths.len() == 2, "{row:?}");
    }
    let help = server
        .send(&Request::new("GET", "/_cat/nodes?help"))
        .await?;
    let help = String::from_utf8(help.body)?;
    for aliases in ["d,da,disk,diskAvail", "fdc,fileDescriptorCurrent"] {
        ensure!(help.contains(aliases), "{help}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_tells_of_its_disk_memory_and_files() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    let path = "/_cat/nodes?h=dt,du,d,dup,hc,hm,rc,rm,fdc,fdm,u,b&bytes=b&time=ms";
    let row = &table(&server, path).await?[0];
    let figures = row[..11].iter().map(|text| text.parse());
    let figures: Vec<f64> = figures.collect::<Result<_, _>>()?;
    let [total, used, available, used_percent] = figures[..4] else {
        anyhow::bail!("{row:?}");
    };
    ensure!(used + available == total, "{row:?}");
    ensure!(
        (used_percent - used * 100.0 / total).abs() < 0.01,
        "{row:?}"
    );
    for part_and_whole in figures[4..10].chunks_exact(2) {
        ensure!(part_and_whole[0] < part_and_whole[1], "{row:?}");
    }
    ensure!(figures[6] > 0.0 && figures[8] > 0.0, "{row:?}");
    ensure!(row[11] == env!("CARGO_PKG_VERSION"), "{row:?}");
    // Other views of the same node say the same.
    let path = "/_cat/allocation?h=disk.total,disk.percent&bytes=b";
    let disk = &table(&server, path).await?[0];
    ensure!(
        disk[0] == row[0] && disk[1].parse::<u32>()? <= 100,
        "{disk:?}"
    );
    let stats = get(&server, "/_nodes/stats/fs,process").await?;
    let nodes = stats["nodes"].as_object().context("nodes")?;
    let node = nodes.values().next().context("one")?;
    for (path, text) in [
        ("/fs/total/total_in_bytes", &row[0]),
        ("/process/max_file_descriptors", &row[9]),
    ] {
        let figure = node.pointer(path).and_then(Value::as_u64);
        ensure!(figure == Some(text.parse()?), "{path}: {node}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_counts_nodes_and_shards() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    let columns = "status,node.total,node.data,shards,pri,unassign,active_shards_percent";
    let path = format!("/_cat/health?h={columns}");
    let yellow = ["yellow", "1", "1", "2", "2", "2", "50.0%"];
    assert_eq!(table(&server, &path).await?, [yellow]);
    let none = json!({"index": {"number_of_replicas": 0}});
    let change = Request::json("PUT", "/books/_settings", &none);
    server.send(&change).await?.ok()?;
    let green = ["green", "1", "1", "2", "2", "0", "100.0%"];
    assert_eq!(table(&server, &path).await?, [green]);
    let told = get(&server, "/_cat/health?format=json").await?;
    ensure!(told[0]["cluster"] == "gleaner", "{told}");
    let epoch = told[0]["epoch"].as_str().context("seconds as text")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    ensure!(now.abs_diff(epoch.parse()?) < 600, "{epoch}, now {now}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn allocation_counts_the_copies_that_no_node_holds() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    let rows = table(&server, "/_cat/allocation?h=shards,node").await?;
    assert_eq!(rows, [["2", "shelf"], ["2", "UNASSIGNED"]]);
    let none = json!({"index": {"number_of_replicas": 0}});
    let change = Request::json("PUT", "/books/_settings", &none);
    server.send(&change).await?.ok()?;
    let rows = table(&server, "/_cat/allocation?h=shards,node").await?;
    assert_eq!(rows, [["2", "shelf"]]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_of_an_index_and_a_query() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    for (path, expected) in [
        ("/_cat/count?h=count", "3"),
        ("/_cat/count/books?h=count", "3"),
        ("/_cat/count/books?h=dc&q=text:fox", "2"),
        ("/_cat/count/no*?h=count", "0"),
    ] {
        assert_eq!(table(&server, path).await?, [[expected]], "{path}");
    }
    let head = ["epoch", "timestamp", "count"];
    assert_eq!(table(&server, "/_cat/count?v").await?[0], head);
    let body = json!({"query": {"range": {"n": {"gte": 2}}}});
    let counted = Request::json("GET", "/_cat/count/books?format=json", &body);
    let told = server.send(&counted).await?.ok()?;
    ensure!(told[0]["count"] == "1", "{told}");
    let missing = Request::new("GET", "/_cat/count/nowhere");
    let missing = server.send(&missing).await?;
    ensure!(missing.status == 404, "{}", missing.shown());
    let error = missing.json()?["error"]["type"].clone();
    ensure!(error == "index_not_found_exception", "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_validated_without_being_run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    let one = json!({"total": 1, "successful": 1, "failed": 0});
    let good = json!({"query": {"match": {"text": "Red"}}});
    let ask = |path: &str, body: &Value| Request::json("POST", path, body);
    let path = "/books/_validate/query?explain=true";
    let told = server.send(&ask(path, &good)).await?.ok()?;
    let explained = json!([{"index": "books", "valid": true, "explanation": "text:red"}]);
    let expected = json!({"_shards": one, "valid": true, "explanations": explained});
    assert_eq!(told, expected);
    let short = server.send(&ask("/books/_validate/query", &good)).await?;
    assert_eq!(short.ok()?, json!({"_shards": one, "valid": true}));
    // Against the mapping: read well, and wrong for the field.
    let told = get(&server, "/books/_validate/query?explain=true&q=n:many").await?;
    ensure!(told["valid"] == false && told["_shards"] == one, "{told}");
    let reason = told["explanations"][0]["error"].as_str();
    ensure!(reason.is_some_and(|text| text.contains("many")), "{told}");
    let bad = json!({"query": {"no_such_query": {}}});
    let told = server.send(&ask(path, &bad)).await?.ok()?;
    let reason = "parsing_exception[unknown query [no_such_query]]";
    assert_eq!(told, json!({"valid": false, "error": reason}));
    let missing = Request::new("GET", "/nowhere/_validate/query");
    let missing = server.send(&missing).await?;
    ensure!(missing.status == 404, "{}", missing.shown());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_searched_is_valid_of_every_kind() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    let create = Request::json("PUT", "/kinds", &every_kind());
    server.send(&create).await?.ok()?;
    for clause in CLAUSES {
        let query: Value = serde_json::from_str(clause)?;
        let body = json!({"query": query});
        let search = Request::json("POST", "/kinds/_search", &body);
        let found = server.send(&search).await?.ok()?;
        ensure!(found["_shards"]["failed"] == 0, "{clause}: {found}");
        let path = "/kinds/_validate/query?explain=true";
        let told = server.send(&Request::json("POST", path, &body)).await?;
        let told = told.ok()?;
        ensure!(told["valid"] == true, "{clause}: {told}");
        let explained = told["explanations"][0]["explanation"].as_str();
        let says_nothing = explained == Some("MatchNoDocsQuery");
        ensure!(says_nothing == clause.contains("match_none"), "{told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn more_like_this_is_explained_by_its_words() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = served(&folder).await?;
    let like = |like: Value| {
        let options =
            json!({"fields": ["text"], "like": like, "min_term_freq": 1, "min_doc_freq": 1});
        json!({"query": {"more_like_this": options}})
    };
    for (body, num_hits, explanation) in [
        (like(json!("a red fox")), 3, "text:a text:fox text:red"),
        (
            like(json!([{"_id": "0"}])),
            2,
            "+(text:fox text:red) -_id:(0)",
        ),
    ] {
        let search = Request::json("POST", "/books/_search", &body);
        let found = server.send(&search).await?.ok()?;
        ensure!(found["hits"]["total"]["value"] == num_hits, "{found}");
        let path = "/books/_validate/query?explain=true&rewrite=true";
        let told = server.send(&Request::json("POST", path, &body)).await?;
        let told = told.ok()?;
        let expected = json!([{"index": "books", "valid": true, "explanation": explanation}]);
        assert_eq!(told["explanations"], expected);
    }
    Ok(())
}
