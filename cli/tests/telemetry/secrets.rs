//! What processes write and show, after requests with keys that are good, wrong, malformed and revoked: no secret of a key
//! and no `Authorization` is in any of it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gleaner_testkit::{etcd, skipped};
use serde_json::Value;

use super::{TRACEPARENT, curl, lines_of, text, until};
use crate::collector::Collector;
use crate::running::{gleaner, signal};

/// The trace of [`TRACEPARENT`].
const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

/// What is in every credential of this test that is wrong.
const MARK: &str = "walnut5ecret";

/// A cluster of processes with keys, all whose outputs lie in one folder; it is stopped when this is dropped.
struct Cluster {
    up: Child,
    folder: tempfile::TempDir,
    /// Where clients ask: a front and a root.
    urls: [String; 2],
    /// The first key.
    admin: String,
    /// Answers as they were shown, heads included.
    shown: String,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if matches!(self.up.try_wait(), Ok(None)) {
            signal(self.up.id(), "-TERM");
            drop(self.up.wait());
        }
    }
}

impl Cluster {
    fn start(collector: &Collector) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let said = File::create(folder.path().join("up.log"))?;
        let up = gleaner()
            .args(["cluster", "up", "--secure", "--access-logs"])
            .args(["--leaves", "1", "--roots", "1", "--fronts", "1"])
            .args(["--listen", "127.0.0.1:0", "--data", text(&data)])
            .args(["--otlp-endpoint", collector.url()])
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()?;
        let mut cluster = Self {
            up,
            folder,
            urls: Default::default(),
            admin: String::new(),
            shown: String::new(),
        };
        let map = until("the map of the processes", || {
            fs::read_to_string(data.join("processes.json")).ok()
        });
        let map: Value = serde_json::from_str(&map)?;
        cluster.urls = ["front", "root"].map(|role| {
            let mut nodes = map["nodes"].as_array().expect("nodes").iter();
            let node = nodes.find(|node| node["role"] == role);
            let address = node.and_then(|node| node["http_address"].as_str());
            format!("https://{}", address.expect("an address"))
        });
        let admin = fs::read_to_string(data.join("root-1").join("admin.key"))?;
        admin.trim().clone_into(&mut cluster.admin);
        Ok(cluster)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Asks with these words of curl; returns head and body.
    fn ask(&self, words: &[&str], url: &str) -> String {
        let ca = self.data().join("ca.pem");
        let trace = format!("traceparent: {TRACEPARENT}");
        let own = ["-i", "--cacert", text(&ca), "-H", trace.as_str()];
        curl(&[&own[..], words, &[url]].concat())
    }

    /// Asks the front and the root with what `authorization` says, and notes what they show.
    fn show(&mut self, authorization: &str, words: &[&str], path: &str) {
        let header = format!("Authorization: {authorization}");
        for url in self.urls.clone() {
            let words = [&["-H", header.as_str()][..], words].concat();
            let answer = self.ask(&words, &format!("{url}{path}"));
            assert!(answer.starts_with("HTTP/"), "{path}: {answer}");
            self.shown.push_str(&answer);
        }
    }

    /// Makes a key that may read `notes`; returns its id and its secret.
    fn make_key(&self) -> (String, String) {
        let roles = r#"{"r":{"indices":[{"names":["notes"],"privileges":["read"]}]}}"#;
        let body = &format!(r#"{{"name":"reader","role_descriptors":{roles}}}"#);
        let header = format!("Authorization: ApiKey {}", self.admin);
        let words = ["-H", header.as_str(), "-d", body];
        let made = self.ask(&words, &format!("{}/_security/api_key", self.urls[1]));
        let (_, made) = made.rsplit_once("\r\n\r\n").expect("a body");
        let made: Value = serde_json::from_str(made).expect("JSON");
        let part = |name: &str| made[name].as_str().expect("a text").to_owned();
        (part("id"), part("api_key"))
    }
}

/// Returns the files below `folder` that hold one of `needles`; those that a first key is handed out in are left out.
fn files_with(folder: &Path, needles: &[&str]) -> Vec<String> {
    let mut grep = Command::new("grep");
    grep.args(["-rlaF", "--exclude=admin.key"]);
    for needle in needles {
        assert!(needle.len() > 8, "it would be found by chance: {needle}");
        grep.args(["-e", needle]);
    }
    let output = grep.arg(folder).output().expect("grep runs");
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 1)), "{output:?}");
    let names = String::from_utf8_lossy(&output.stdout);
    names.lines().map(str::to_owned).collect()
}

/// Searches, writes and asks for what is not there, as somebody with this `Authorization`.
fn use_key(cluster: &mut Cluster, authorization: &str) {
    let search = r#"{"query":{"match":{"a":"tea"}}}"#;
    for (words, path) in [
        (&["-d", search][..], "/notes/_search"),
        (&["-d", search], "/notes/_search"),
        (&["-d", "{\"query\": {"], "/notes/_search"),
        (&["-d", search], "/others/_search"),
        (&["-X", "PUT", "-d", "{}"], "/notes/_doc/2"),
        (&[], "/no/such/path/at/all"),
        (&[], "/_security/_authenticate"),
    ] {
        cluster.show(authorization, words, path);
    }
}

/// Returns the credentials that follow the scheme, for an id and a secret that is wrong.
fn wrong(id: &str) -> String {
    STANDARD.encode(format!("{id}:{MARK}"))
}

/// Sends credentials that are none, in every form that is read and some that are not.
fn guess(cluster: &mut Cluster, id: &str) {
    let (wrong, unknown) = (wrong(id), wrong("nobody"));
    for authorization in [
        format!("ApiKey {wrong}"),
        format!("Basic {wrong}"),
        format!("Bearer {unknown}"),
        format!("ApiKey {MARK}"),
        format!("Digest {MARK}"),
        MARK.to_owned(),
    ] {
        cluster.show(&authorization, &[], "/notes/_search");
    }
}

/// Asks for all that says what processes do and did.
fn show_pages(cluster: &mut Cluster) {
    let admin = format!("ApiKey {}", cluster.admin);
    for path in [
        "/metrics",
        "/topz",
        "/_tasks?detailed=true",
        "/_cat/tasks?v=true",
        "/_nodes",
        "/_nodes/stats",
        "/_nodes/hot_threads?interval=10ms",
        "/_cluster/state",
        "/_cluster/settings?include_defaults=true",
        "/_security/api_key",
    ] {
        cluster.show(&admin, &[], path);
    }
}

#[test]
fn no_secret_of_a_key_is_written_down_or_shown() -> anyhow::Result<()> {
    if !etcd::is_installed() {
        let test = "telemetry::no_secret_of_a_key_is_written_down_or_shown";
        return skipped(test, etcd::NO_ETCD);
    }
    let collector = Collector::start();
    let mut cluster = Cluster::start(&collector)?;
    let admin = format!("ApiKey {}", cluster.admin);
    let settings = r#"{"settings":{"index.search.slowlog.threshold.query.warn":"0ms"}}"#;
    cluster.show(&admin, &["-X", "PUT", "-d", settings], "/notes");
    let document = ["-X", "PUT", "-d", r#"{"a":"tea"}"#];
    cluster.show(&admin, &document, "/notes/_doc/1?refresh=true");
    let (id, secret) = cluster.make_key();
    let encoded = STANDARD.encode(format!("{id}:{secret}"));
    for scheme in ["ApiKey", "Basic"] {
        use_key(&mut cluster, &format!("{scheme} {encoded}"));
    }
    guess(&mut cluster, &id);
    show_pages(&mut cluster);
    let ids = format!(r#"{{"ids":["{id}"]}}"#);
    let revoke = ["-X", "DELETE", "-d", ids.as_str()];
    cluster.show(&admin, &revoke, "/_security/api_key");
    use_key(&mut cluster, &format!("ApiKey {encoded}"));
    show_pages(&mut cluster);

    // All is written once the processes have ended.
    let data = cluster.data();
    lines_of(&data.join("front-1.access.jsonl"), 20);
    until("the spans of requests", || {
        (!collector.spans_of(TRACE).is_empty()).then_some(())
    });
    signal(cluster.up.id(), "-TERM");
    assert!(
        cluster.up.wait()?.success(),
        "the cluster ends with success"
    );
    fs::write(cluster.folder.path().join("shown"), &cluster.shown)?;
    fs::write(cluster.folder.path().join("spans"), collector.bytes())?;

    // What is to be found is found: who was refused what, and slow searches.
    let audit = files_with(&data.join("root-1").join("audit.jsonl"), &[id.as_str()]);
    assert_eq!(audit.len(), 1, "the denials of the key");
    let slow = files_with(&data, &["slow search"]);
    assert!(!slow.is_empty(), "the slow log");
    let first = String::from_utf8(STANDARD.decode(&cluster.admin)?)?;
    let (_, first) = first.split_once(':').expect("an id and a secret");
    let (known, unknown) = (wrong(&id), wrong("nobody"));
    let needles: [&str; 7] = [
        &secret,
        &encoded,
        MARK,
        &known,
        &unknown,
        &cluster.admin,
        first,
    ];
    let found = files_with(cluster.folder.path(), &needles);
    assert!(found.is_empty(), "secrets are in {found:?}");
    Ok(())
}
