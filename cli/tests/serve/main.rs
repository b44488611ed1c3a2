//! `gleaner serve` and `gleaner demo` as users run them: real processes, folders and ports.

mod newcomer;
mod process;
mod watching;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use process::{Served, gleaner};
use serde_json::Value;

fn told(output: &Output) -> (i32, String) {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// Runs a client command against the server.
fn ask(served: &Served, line: &[&str]) -> (i32, String) {
    let output = gleaner()
        .env("GLEANER_URL", served.url())
        .args(line)
        .output();
    told(&output.expect("it runs"))
}

fn search(served: &Served, index: &str, query: &str) -> Value {
    let (code, said) = ask(served, &["search", "--index", index, "--json", query]);
    assert_eq!(code, 0, "{said}");
    serde_json::from_str(&said).expect("JSON")
}

/// What decision 0010 relies on. jemalloc tells its settings, as it took them, when the process ends.
#[test]
fn the_allocator_has_our_settings() {
    let output = gleaner()
        .env("MALLOC_CONF", "stats_print:true")
        .arg("--version")
        .output();
    let (code, said) = told(&output.expect("it runs"));
    assert_eq!(code, 0, "{said}");
    for setting in ["opt.dirty_decay_ms: 200 ", "opt.muzzy_decay_ms: 0 "] {
        assert!(said.contains(setting), "{setting}: {said}");
    }
}

#[test]
fn documents_outlive_the_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.ndjson");
    // No mapping is given, and each document brings fields of its own.
    let documents = [
        r#"{"k":"x","text":"scattered words"}"#,
        r#"{"k":"y","year":1999}"#,
        r#"{"k":"z","place":{"city":"Oslo"}}"#,
    ];
    fs::write(&file, documents.join("\n")).expect("written");
    let data = folder.path().join("data");

    let first = Served::start(&data, &[]);
    let file = file.to_str().expect("a name");
    let (code, said) = ask(
        &first,
        &["index", "--index", "notes", "--id-field", "k", file],
    );
    assert_eq!(code, 0, "{said}");
    let wanted = [
        ("scattered", "x"),
        ("year:1999", "y"),
        ("place.city:oslo", "z"),
    ];
    let assert_all_found = |served: &Served| {
        for (query, id) in wanted {
            let hits = &search(served, "notes", query)["hits"];
            assert_eq!(hits["total"]["value"], 1, "{query}");
            assert_eq!(hits["hits"][0]["_id"], id, "{query}");
        }
    };
    assert_all_found(&first);
    let (code, said) = first.stop();
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("curl") && said.contains("everything is committed"),
        "{said}"
    );

    let again = Served::start(&data, &[]);
    assert_all_found(&again);
    let (code, said) = again.stop();
    assert_eq!(code, 0);
    assert!(
        !said.contains("Try:"),
        "hints are for the first run: {said}"
    );
}

/// No mapping, defaults everywhere: what stands out in some texts is asked for as the reference shows it.
#[test]
fn words_that_stand_out_are_found_in_texts_that_nobody_has_described() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.ndjson");
    let documents = (0..40).map(|n| match n % 8 {
        0 => format!(r#"{{"body":"The volcano threw lava and ash, note {n}"}}"#),
        _ => format!(r#"{{"body":"The harbour had ships and ash trees, note {n}"}}"#),
    });
    fs::write(&file, documents.collect::<Vec<_>>().join("\n")).expect("written");
    let served = Served::start(&folder.path().join("data"), &[]);
    let file = file.to_str().expect("a name");
    let (code, said) = ask(&served, &["index", "--index", "notes", file]);
    assert_eq!(code, 0, "{said}");
    let body = r#"{"size": 0, "query": {"match": {"body": "volcano"}}, "aggs": {"best": {
        "sampler": {}, "aggs": {"words": {"significant_text": {"field": "body"}}}}}}"#;
    let sent = Command::new("curl")
        .args(["-s", "-H", "content-type: application/json", "-d", body])
        .arg(format!("{}/notes/_search", served.url()))
        .output();
    let sent = sent.expect("curl runs");
    let found: Value = serde_json::from_slice(&sent.stdout).expect("JSON");
    let words = &found["aggregations"]["best"]["words"];
    assert_eq!(
        (&words["doc_count"], &words["bg_count"]),
        (&5.into(), &40.into()),
        "{found}"
    );
    let buckets = words["buckets"].as_array().expect("buckets");
    let keys: Vec<_> = buckets.iter().map(|bucket| &bucket["key"]).collect();
    assert_eq!(keys, ["lava", "threw", "volcano"], "{found}");
    assert!(
        buckets.iter().all(|bucket| bucket["bg_count"] == 5),
        "{found}"
    );
}

/// `gleaner serve 2>&1 | tee log`, and the reader ends: what is said then is lost, and nothing else.
#[test]
fn a_server_goes_on_when_nobody_reads_what_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = Served::start_unheard(&folder.path().join("data"));
    let (code, said) = ask(&served, &["health", "--url", &served.url()]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(served.stop().0, 0, "it says at its end that it ends");
}

/// A pipe in place of the cluster state keeps the server opening for as long as the test has its other end.
#[test]
fn a_second_sigint_ends_a_server_that_is_still_opening() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("cluster.json");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    let mut server = gleaner()
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path())
        .spawn()
        .expect("it runs");
    // Opens once the server reads.
    let held = fs::File::options().write(true).open(&pipe);
    let process = server.id().to_string();
    let since = Instant::now();
    // Two that arrive together count as one, so there are more.
    let ended = loop {
        let asked = Command::new("kill").args(["-INT", &process]).status();
        assert!(asked.expect("kill runs").success());
        let ended = server.try_wait().expect("it is ours");
        if ended.is_some() || since.elapsed() > Duration::from_secs(30) {
            break ended;
        }
    };
    drop(held.expect("a pipe"));
    drop(server.kill());
    server.wait().expect("it ends");
    assert_eq!(ended.and_then(|status| status.code()), Some(130));
}

#[test]
fn a_folder_and_a_port_have_one_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let first = Served::start(&data, &[]);
    let second = |data: &Path, listen: &str| {
        let mut command = gleaner();
        command
            .arg("serve")
            .arg("--data")
            .arg(data)
            .args(["--listen", listen]);
        told(&command.output().expect("it runs"))
    };
    let (code, said) = second(&data, "127.0.0.1:0");
    assert_eq!(code, 1);
    assert!(said.contains("in use by another gleaner"), "{said}");
    let address = first.url().replace("http://", "");
    let (code, said) = second(&folder.path().join("other"), &address);
    assert_eq!(code, 1);
    assert!(said.contains(&format!("{address} is taken")), "{said}");
}

#[test]
fn a_cluster_takes_neither_the_folder_nor_the_port_of_a_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let first = Served::start(&data, &[]);
    let address = first.url().replace("http://", "");
    let cluster = |data: &Path| {
        let mut command = gleaner();
        command.args(["cluster", "up", "--listen", &address, "--data"]);
        told(&command.arg(data).output().expect("it runs"))
    };
    let (code, said) = cluster(&folder.path().join("other"));
    assert_eq!(code, 1);
    assert!(said.contains(&format!("{address} is taken")), "{said}");
    assert_eq!(first.stop().0, 0);

    let state = fs::read(data.join("cluster.json")).expect("the state");
    let (code, said) = cluster(&data);
    assert_eq!(code, 1);
    assert!(said.contains("a folder of its own"), "{said}");
    assert_eq!(fs::read(data.join("cluster.json")).expect("whole"), state);
}

#[test]
fn health_is_asked_at_the_forms_of_address_that_searches_take() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = Served::start(&folder.path().join("data"), &[]);
    let address = served.url().replace("http://", "");
    for url in [served.url(), address.clone(), format!("{address}/")] {
        let (code, said) = ask(&served, &["health", "--url", &url]);
        assert_eq!(code, 0, "{said}");
    }
}

#[test]
fn settings_are_printed_as_they_are_resolved() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("gleaner.toml");
    fs::write(
        &file,
        "search_queue = 7\nnode_name = \"file\"\nlisten = \"file:1\"\n",
    )
    .expect("written");
    let output = gleaner()
        .env("GLEANER_NODE_NAME", "variable")
        .env("GLEANER_LISTEN", "variable:1")
        .args(["serve", "--print-config", "--listen", "flag:1", "--config"])
        .arg(&file)
        .output();
    let (code, said) = told(&output.expect("it runs"));
    assert_eq!(code, 0, "{said}");
    for line in [
        "search_queue = 7",
        "node_name = \"variable\"",
        "listen = \"flag:1\"",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn the_demo_searches_generated_text_where_there_is_no_registry() {
    let home = tempfile::tempdir().expect("a folder");
    let output = gleaner()
        .env("CARGO_HOME", home.path())
        .args([
            "demo",
            "--once",
            "--listen",
            "127.0.0.1:0",
            "--limit",
            "200",
        ])
        .output();
    let (code, said) = told(&output.expect("it runs"));
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("there is no cargo registry here"), "{said}");
    assert!(said.contains("Indexed 200 documents"), "{said}");
    assert_eq!(said.matches("curl -s").count(), 3, "{said}");
    let found = said.lines().filter(|line| line.contains(" match, "));
    let found: Vec<&str> = found.filter(|line| !line.contains("  0 match")).collect();
    assert_eq!(found.len(), 3, "each search finds something: {said}");
}

#[test]
fn the_demo_gathers_the_crates_of_a_registry() {
    let home = tempfile::tempdir().expect("a folder");
    let krate = home.path().join("registry/src/here/pool-1.2.0");
    fs::create_dir_all(krate.join("src")).expect("made");
    let manifest = "[package]\nname = \"pool\"\nversion = \"1.2.0\"\nlicense = \"MIT\"\n";
    fs::write(krate.join("Cargo.toml"), manifest).expect("written");
    fs::write(
        krate.join("README.md"),
        "# Pool\nA work stealing thread pool.\n",
    )
    .expect("written");
    let source = "/// Spawns unsafe work, and says in some more words what to keep in mind.\n\
                  pub fn spawn() {}\n";
    fs::write(krate.join("src/lib.rs"), source).expect("written");
    let output = gleaner()
        .env("CARGO_HOME", home.path())
        .args(["demo", "--once", "--listen", "127.0.0.1:0", "--limit", "0"])
        .output();
    let (code, said) = told(&output.expect("it runs"));
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("1 crates") && said.contains("Indexed 3 documents"),
        "{said}"
    );
    assert!(said.contains("pool-1.2.0/README.md"), "{said}");
    assert!(said.contains("licences: MIT 2"), "{said}");
}

#[test]
fn a_folder_of_collections_that_is_not_there_is_named() {
    let output = gleaner()
        .args(["dataset", "export", "cve", "--data", "/no/such/folder"])
        .output();
    let (code, said) = told(&output.expect("it runs"));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("`/no/such/folder`"), "{said}");
}

#[test]
fn pages_and_completions_are_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = gleaner()
        .arg("man")
        .arg(folder.path())
        .output()
        .expect("it runs");
    assert_eq!(told(&output).0, 0);
    assert!(folder.path().join("gleaner-index.1").exists());
    let output = gleaner()
        .args(["completions", "bash"])
        .output()
        .expect("it runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains("--dead-letter"));
}

/// Runs the commands of the README as they stand there, on one server.
#[test]
fn the_commands_of_the_readme_work() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = fs::read_to_string(readme).expect("the README is there");
    let folder = tempfile::tempdir().expect("a folder");
    let served = Served::start(&folder.path().join("data"), &[]);
    let commands = process::commands_of(&readme);
    assert!(commands.len() >= 5, "{commands:?}");
    for command in commands {
        let here = command.replace("http://127.0.0.1:9200", &served.url());
        let output = Command::new("sh")
            .args(["-ec", &here])
            .current_dir(folder.path())
            .env("PATH", process::path_with_gleaner())
            .env("GLEANER_URL", served.url())
            .output();
        let (code, said) = told(&output.expect("sh runs"));
        assert_eq!(code, 0, "`{command}` said {said}");
        assert!(!said.contains("\"error\""), "`{command}` said {said}");
    }
}
