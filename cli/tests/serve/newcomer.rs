//! What a newcomer does in the first minutes: one command without any setting, and `curl`.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::process::{Served, path_with_gleaner};
use crate::told;

/// Documents as a newcomer has them: texts, numbers, dates, objects in objects, lists.
const FIRST: &str = r#"{"title": "The harbour at dawn", "pages": 120, "published": "2021-03-05",
    "author": {"name": "Ada Lind", "born": {"city": "Oslo"}}, "tags": ["sea", "light"],
    "editions": [{"year": 2021, "copies": 300}, {"year": 2022, "copies": 50}]}"#;
const OTHERS: &str = r#"{"index": {"_id": "2"}}
{"title": "A storm at sea", "pages": 310, "published": "2022-07-19", "author": {"name": "Bo Ek", "born": {"city": "Bergen"}}, "tags": ["sea", "storm"], "editions": [{"year": 2022, "copies": 80}]}
{"index": {"_id": "3"}}
{"title": "The harbour in winter", "pages": 95, "published": "2022-11-02", "author": {"name": "Ada Lind", "born": {"city": "Oslo"}}, "tags": ["sea"], "editions": []}
{"index": {"_id": "4"}}
{"title": "Bread without yeast", "pages": 64, "published": "2024-01-30", "author": {"name": "Cy Holm", "born": {"city": "Turku"}}, "tags": ["kitchen"], "editions": [{"year": 2024, "copies": 500}]}
"#;

/// A newcomer's terminal, in a folder with files.
struct Terminal<'a> {
    folder: &'a Path,
    url: String,
}

impl Terminal<'_> {
    /// Runs a command as it is written; returns what it prints.
    fn run(&self, command: &str) -> String {
        let output = Command::new("sh")
            .args(["-c", command])
            .current_dir(self.folder)
            .env("PATH", path_with_gleaner())
            .env("NO_PROXY", "*")
            .output();
        let output = output.expect("sh runs");
        let (code, said) = told(&output);
        assert_eq!(code, 0, "`{command}` said {said}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs a `curl` with a path in the place of `URL`; returns its answer, which is no error.
    fn curl(&self, line: &str) -> Value {
        let command = format!("curl -s {}", line.replace("URL", &self.url));
        let said = self.run(&command);
        let answer: Value = serde_json::from_str(&said).expect(&said);
        assert!(answer.get("error").is_none(), "`{command}` said {said}");
        answer
    }

    fn search(&self, body: &Value) -> Value {
        self.curl(&format!(
            "'URL/library/_search' -H 'Content-Type: application/json' -d '{body}'"
        ))
    }

    /// Returns the ids that a query finds, sorted.
    fn found(&self, query: &Value) -> Vec<String> {
        ids(&self.search(&json!({"query": query})))
    }

    /// Writes the documents, one by itself and the others at once.
    fn write_documents(&self) {
        let first =
            format!("-X PUT 'URL/library/_doc/1' -H 'Content-Type: application/json' -d '{FIRST}'");
        assert_eq!(self.curl(&first)["result"], "created");
        fs::write(self.folder.join("books.ndjson"), OTHERS).expect("written");
        let written = self.curl(
            "-X POST 'URL/library/_bulk?refresh=true' -H 'Content-Type: application/x-ndjson' \
             --data-binary @books.ndjson",
        );
        assert_eq!(written["errors"], false, "{written}");
        self.curl("-X POST 'URL/library/_refresh'");
    }

    fn assert_all_is_found(&self) {
        let by_word = self.curl("'URL/library/_search?q=harbour'");
        assert_eq!(ids(&by_word), ["1", "3"]);
        let first: Value = serde_json::from_str(FIRST).expect("JSON");
        assert_eq!(self.curl("'URL/library/_doc/1'")["_source"], first);
        let storm = json!({"match": {"title": "harbour storm"}});
        let of_2022 = json!({"gte": "2022-01-01", "lt": "2023-01-01"});
        for (query, expected) in [
            (storm, &["1", "2", "3"][..]),
            (json!({"range": {"published": of_2022}}), &["2", "3"][..]),
            (json!({"range": {"pages": {"gt": 100}}}), &["1", "2"][..]),
            (
                json!({"match": {"author.born.city": "oslo"}}),
                &["1", "3"][..],
            ),
            (json!({"term": {"editions.year": 2022}}), &["1", "2"][..]),
        ] {
            assert_eq!(self.found(&query), expected, "{query}");
        }
    }

    fn assert_all_is_counted(&self) {
        let tags = json!({"terms": {"field": "tags.keyword"}});
        let years = json!({"date_histogram": {"field": "published", "calendar_interval": "year"}});
        let counted = self.search(&json!({"size": 0, "aggs": {"tags": tags, "years": years}}));
        let counts = |name: &str, key: &str| {
            let buckets = counted["aggregations"][name]["buckets"].as_array();
            let buckets = buckets.expect("buckets").iter();
            let count = |bucket: &Value| json!([bucket[key], bucket["doc_count"]]);
            Value::Array(buckets.map(count).collect())
        };
        let by_tag = json!([["sea", 3], ["kitchen", 1], ["light", 1], ["storm", 1]]);
        assert_eq!(counts("tags", "key"), by_tag);
        let year = |year: u32| format!("{year}-01-01T00:00:00.000Z");
        let by_year = json!([
            [year(2021), 1],
            [year(2022), 2],
            [year(2023), 0],
            [year(2024), 1]
        ]);
        assert_eq!(counts("years", "key_as_string"), by_year);
    }

    /// Waits until all primaries serve; one node alone has no place for their replicas.
    fn wait_until_yellow(&self) {
        let health = self.curl("'URL/_cluster/health?wait_for_status=yellow&timeout=60s'");
        assert_eq!(health["timed_out"], false, "{health}");
        assert_eq!(health["status"], "yellow", "{health}");
        assert_eq!(health["number_of_nodes"], 1, "{health}");
    }

    fn assert_all_is_listed(&self) {
        let table = self.run(&format!("curl -s '{}/_cat/indices?v'", self.url));
        let mut rows = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let head = rows.next().expect("a head");
        let row = rows.next().expect("a row");
        let cell = |column: &str| {
            let place = head.iter().position(|name| *name == column);
            row[place.expect(column)]
        };
        assert_eq!((cell("index"), cell("docs.count")), ("library", "4"));
        assert_eq!((cell("health"), cell("status")), ("yellow", "open"));
    }

    fn assert_all_is_there(&self) {
        self.wait_until_yellow();
        self.assert_all_is_listed();
        self.assert_all_is_found();
        self.assert_all_is_counted();
    }
}

/// Returns the ids of the hits, sorted: which of them scores best is for other tests.
fn ids(answer: &Value) -> Vec<String> {
    let hits = answer["hits"]["hits"].as_array().expect("hits");
    let id = |hit: &Value| hit["_id"].as_str().expect("an id").to_owned();
    let mut ids: Vec<String> = hits.iter().map(id).collect();
    ids.sort();
    ids
}

/// Returns the commands of a text as they are printed, those of several lines whole.
fn commands_in(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim);
    let commands = lines.filter(|line| line.starts_with("curl ") || line.starts_with("gleaner "));
    commands.map(str::to_owned).collect()
}

#[test]
fn the_first_steps_that_a_server_prints_work_as_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut served = Served::start_plain(&folder.path().join("data"));
    let terminal = Terminal {
        folder: folder.path(),
        url: served.url(),
    };
    fs::write(
        folder.path().join("FILE.ndjson"),
        "{\"text\": \"a line\"}\n",
    )
    .expect("written");
    let commands = commands_in(&served.first_steps());
    let [welcome, write, search, load] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    let answer_of = |command: &str| -> Value {
        let said = terminal.run(command);
        serde_json::from_str(&said).expect(&said)
    };
    assert!(answer_of(welcome)["version"]["number"].is_string());
    assert_eq!(answer_of(write)["result"], "created");
    assert_eq!(ids(&answer_of(search)), ["1"]);
    terminal.run(load);
    let counted = terminal.curl("'URL/notes/_count'");
    assert_eq!(counted["count"], 2, "{counted}");
}

#[test]
fn documents_that_nobody_described_are_found_counted_and_outlive_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let first = Served::start_plain(&data);
    let terminal = Terminal {
        folder: folder.path(),
        url: first.url(),
    };
    terminal.write_documents();
    terminal.assert_all_is_there();
    first.kill();

    let again = Served::start_plain(&data);
    let terminal = Terminal {
        folder: folder.path(),
        url: again.url(),
    };
    terminal.assert_all_is_there();
    let (code, said) = again.stop();
    assert_eq!(code, 0, "{said}");
}
