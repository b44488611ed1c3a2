//! What a server shows to those who watch it: metrics, the slow log, what it logs at an ordinary start; and
//! what commands say when something is wrong.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::process::{Served, gleaner};
use crate::{ask, told};

fn curl(served: &Served, line: &[&str]) -> String {
    let (path, flags) = line.split_last().expect("a path");
    let output = Command::new("curl")
        .args([
            "-s",
            "--noproxy",
            "*",
            "-H",
            "Content-Type: application/json",
        ])
        .args(flags)
        .arg(format!("{}{path}", served.url()))
        .output();
    told(&output.expect("curl runs")).1
}

/// Returns the samples of a scrape, by name and labels; checks that each is described.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let described = |name: &str| text.contains(&format!("# HELP {name} "));
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            let bare = name.split('{').next().expect("a name");
            let of_histogram = ["_bucket", "_sum", "_count"];
            let bare = of_histogram
                .iter()
                .find_map(|end| bare.strip_suffix(end))
                .unwrap_or(bare);
            assert!(described(bare), "{bare} has no help");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

#[test]
fn metrics_can_be_added_up_and_are_there_from_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = Served::start(&folder.path().join("data"), &[]);
    let head = curl(&served, &["-i", "/metrics"]);
    assert!(
        head.to_lowercase()
            .contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    let before = samples(&curl(&served, &["/metrics"]));
    for counter in [
        "gleaner_search_rejected_total",
        "gleaner_write_rejected_total",
        "gleaner_write_paced_total",
        "gleaner_merges_total",
        "gleaner_shards_skipped_total",
        "gleaner_shard_requests_total{phase=\"query\",kind=\"hedge\"}",
        "gleaner_filter_cache_lookups_total{outcome=\"hit\"}",
    ] {
        assert_eq!(before.get(counter), Some(&0.0), "{counter} of {before:?}");
    }
    curl(
        &served,
        &[
            "-X",
            "POST",
            "-d",
            "{\"a\":1}",
            "/notes/_doc/1?refresh=true",
        ],
    );
    curl(&served, &["/notes/_search"]);
    let after = samples_with(&served, ["gleaner_documents", "process_open_fds"]);
    for gauge in [
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "gleaner_disk_free_bytes",
    ] {
        assert!(
            after.get(gauge).is_some_and(|value| *value > 0.0),
            "{gauge} of {after:?}"
        );
    }
    let version = format!(
        "gleaner_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(after.get(&version), Some(&1.0));
    assert!(
        after.keys().all(|name| !name.contains("quantile=")),
        "{after:?}"
    );
    let counted = after["gleaner_http_request_seconds_count{route=\"search\",status=\"200\"}"];
    let all = "gleaner_http_request_seconds_bucket{route=\"search\",status=\"200\",le=\"+Inf\"}";
    assert_eq!((counted, after[all]), (1.0, 1.0));
    assert!(after["gleaner_shard_query_seconds_count"] >= 1.0);
    // Files are measured at the start, and once a minute from then on.
    served.stop();
    let again = Served::start(&folder.path().join("data"), &[]);
    samples_with(&again, ["gleaner_store_bytes", "gleaner_log_bytes"]);
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() -> anyhow::Result<()> {
    let name = "promtool_finds_nothing_wrong_with_the_metrics";
    let mut promtool = Command::new("promtool");
    promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped());
    let Ok(mut checking) = promtool.spawn() else {
        return gleaner_testkit::skipped(name, "promtool is not here: apt-get install prometheus");
    };
    let folder = tempfile::tempdir().expect("a folder");
    let served = Served::start(&folder.path().join("data"), &[]);
    let notes = "/notes/_doc/1?refresh=true";
    curl(&served, &["-X", "POST", "-d", "{\"a\":1}", notes]);
    curl(&served, &["/notes/_search"]);
    samples_with(&served, ["gleaner_documents", "process_open_fds"]);
    let page = curl(&served, &["/metrics"]);
    let mut input = checking.stdin.take().expect("it is piped");
    input.write_all(page.as_bytes()).expect("it reads");
    drop(input);
    let checked = checking.wait_with_output().expect("it ends");
    let (code, said) = told(&checked);
    assert_eq!(code, 0, "{said}");
    Ok(())
}

/// Returns the samples of the first scrape that has both of these above 0: gauges are set on a tick.
fn samples_with(served: &Served, gauges: [&str; 2]) -> BTreeMap<String, f64> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let samples = samples(&curl(served, &["/metrics"]));
        let is_set = |gauge: &&str| samples.get(*gauge).is_some_and(|value| *value > 0.0);
        if gauges.iter().all(is_set) {
            return samples;
        }
        assert!(Instant::now() < until, "{gauges:?} of {samples:?}");
    }
}

#[test]
fn a_slow_search_is_logged_with_its_query_and_the_name_its_client_gave() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = Served::start(&folder.path().join("data"), &[]);
    curl(
        &served,
        &[
            "-X",
            "POST",
            "-d",
            "{\"a\":\"x\"}",
            "/notes/_doc/1?refresh=true",
        ],
    );
    let body = "{\"query\":{\"match\":{\"a\":\"x\"}}}";
    let search = [
        "-X",
        "POST",
        "-H",
        "X-Opaque-Id: the-shop",
        "-d",
        body,
        "/notes/_search",
    ];
    curl(&served, &search);
    let settings = "{\"index.search.slowlog.threshold.query.warn\":\"10m\",\
        \"index.search.slowlog.threshold.query.debug\":\"0ms\",\
        \"index.indexing.slowlog.threshold.index.warn\":\"0ms\"}";
    let answer = curl(&served, &["-X", "PUT", "-d", settings, "/notes/_settings"]);
    assert_eq!(answer, "{\"acknowledged\":true}");
    curl(&served, &search);
    curl(
        &served,
        &["-X", "POST", "-d", "{\"a\":\"y\"}", "/notes/_doc/2"],
    );
    let off = settings.replace("10m", "-1").replace("0ms", "-1");
    curl(&served, &["-X", "PUT", "-d", &off, "/notes/_settings"]);
    curl(&served, &search);
    let (code, said) = served.stop();
    assert_eq!(code, 0, "{said}");
    let lines = said
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let slow: Vec<Value> = lines.filter(|line| line["target"] == "slow_log").collect();
    assert_eq!(slow.len(), 2, "{said}");
    let (search, write) = (&slow[0], &slow[1]);
    assert_eq!(search["index"], "notes");
    assert_eq!(search["source"], body);
    assert_eq!(search["opaque_id"], "the-shop");
    assert_eq!(
        (&search["phase"], &search["threshold"]),
        (&"query".into(), &"debug".into())
    );
    assert_eq!(
        (&search["total_hits"], &search["level"]),
        (&"1".into(), &"INFO".into())
    );
    assert_eq!(
        (&write["level"], &write["num_documents"]),
        (&"WARN".into(), &1.into())
    );
    let shard = write["shard"].as_str().expect("a shard");
    assert!(shard.starts_with("[notes]["), "{shard}");
}

#[test]
fn nothing_is_warned_of_at_an_ordinary_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    for _ in 0..2 {
        let served = Served::start(&data, &[]);
        curl(
            &served,
            &[
                "-X",
                "POST",
                "-d",
                "{\"a\":1}",
                "/notes/_doc/1?refresh=true",
            ],
        );
        curl(&served, &["/_health/ready"]);
        let (code, said) = served.stop();
        assert_eq!(code, 0);
        assert!(
            !said.contains("\"WARN\"") && !said.contains("\"ERROR\""),
            "{said}"
        );
    }
}

#[test]
fn a_refused_search_says_why_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = Served::start(&folder.path().join("data"), &[]);
    curl(&served, &["-X", "PUT", "/notes"]);
    let (code, said) = ask(
        &served,
        &["search", "--index", "notes", "--size", "20000", "x"],
    );
    assert_eq!(code, 1);
    let cause = said.find("Result window is too large").expect(&said);
    assert!(
        said.find("all shards failed")
            .is_none_or(|outer| cause < outer),
        "{said}"
    );
}

#[test]
fn a_broken_line_has_one_place_and_its_text_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = Served::start(&folder.path().join("data"), &[]);
    let (file, dead) = (folder.path().join("a.ndjson"), folder.path().join("dead"));
    fs::write(&file, "{\"n\":1}\n{\"n\":}\n[{\"n\":2}]\n").expect("written");
    let (name, letters) = (
        file.to_str().expect("a name"),
        dead.to_str().expect("a name"),
    );
    let (code, said) = ask(
        &served,
        &["index", "--index", "notes", "--dead-letter", letters, name],
    );
    assert_eq!(code, 3, "{said}");
    let told = format!("refused: {name}:2:6: not a JSON object: expected value\n");
    assert!(said.contains(&told), "{said}");
    assert!(said.contains("--format json"), "{said}");
    let letters = fs::read_to_string(dead).expect("letters");
    let letters: Vec<Value> = letters
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    assert_eq!(letters[0]["raw"], "{\"n\":}");
    assert_eq!(letters[1]["raw"], "[{\"n\":2}]");
}

#[test]
fn a_misspelt_variable_ends_the_start_and_is_named() {
    // In two parts: a unit test takes each whole name in the sources for one that is read.
    let misspelt = ["GLEANER", "LISTN"].join("_");
    let output = gleaner()
        .env(&misspelt, "127.0.0.1:1")
        .arg("serve")
        .output();
    let (code, said) = told(&output.expect("it runs"));
    assert_eq!(code, 1);
    assert!(
        said.contains(&misspelt) && said.contains("`GLEANER_LISTEN`"),
        "{said}"
    );
}
