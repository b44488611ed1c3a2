//! The workspace as the rules see it: packages with their dependencies, and source files.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::circles::{self, Tied};
use crate::code;

/// The rooms and the line of the house on which each stands; `ARCHITECTURE.md` draws it.
pub(crate) const LINES: &[(&str, u8)] = &[
    ("model", 1),
    ("threads", 1),
    ("listener", 2),
    ("machine", 2),
    ("telemetry", 2),
    ("tls", 2),
    ("query", 2),
    ("analysis", 2),
    ("shard-router", 2),
    ("log", 2),
    ("coordinator", 2),
    ("leases", 2),
    ("adapter", 2),
    ("replication", 2),
    ("document", 3),
    ("partial", 3),
    ("proto", 3),
    ("server", 3),
    ("client", 3),
    ("ambassador", 3),
    ("engine", 4),
    ("etcd", 4),
    ("cache", 4),
    ("log-node", 4),
    ("controller", 4),
    ("jobs", 4),
    ("leaf", 5),
    ("root", 5),
    ("api", 6),
    ("front", 6),
    ("cli", 7),
];

/// Packages beside the house.
pub(crate) const BESIDE: &[&str] = &["datasets", "testkit", "tests", "benches", "xtask"];

/// A broken rule: where, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) place: String,
    pub(crate) seen: String,
}

impl Violation {
    pub(crate) fn new(place: impl Into<String>, seen: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            seen: seen.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.seen)
    }
}

/// A member of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    /// The folder under the root, which is the room's name.
    pub(crate) room: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) manifest: String,
}

/// One line of a package's dependencies.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    /// The package's name; rooms carry their prefix `gleaner-`.
    pub(crate) name: String,
    pub(crate) is_dev: bool,
}

/// One `.rs` file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) room: String,
    /// From the root of the workspace, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text without comments, literals and test modules; see [`code::product`].
    pub(crate) product: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let room = path.split('/').next().unwrap_or_default().to_owned();
        // Integration tests, benches, and test modules in files of their own are no product code.
        let is_test = path.contains("/tests/")
            || path.contains("/benches/")
            || path.ends_with("/tests.rs")
            || path.ends_with("_tests.rs");
        let product = if is_test {
            String::new()
        } else {
            code::product(text)
        };
        Self {
            room,
            path: path.to_owned(),
            text: text.to_owned(),
            product,
        }
    }
}

/// All that the rules look at.
#[derive(Debug, Clone, Default)]
pub(crate) struct House {
    pub(crate) packages: Vec<Package>,
    pub(crate) sources: Vec<Source>,
    /// Names in `[workspace.dependencies]`, apart from the rooms.
    pub(crate) outside_dependencies: Vec<String>,
    /// The text of decision 0002.
    pub(crate) explained: String,
    /// The text of `ARCHITECTURE.md`.
    pub(crate) architecture: String,
    /// How closely the files of rooms may be tied.
    pub(crate) circles: &'static [(&'static str, Tied)],
}

impl House {
    /// Reads the workspace that this test belongs to.
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("a workspace around it");
        let packages = read_packages(root);
        let mut sources = Vec::new();
        for package in &packages {
            read_sources(root, &root.join(&package.room), &mut sources);
        }
        assert!(
            sources.len() >= packages.len(),
            "each package has at least one source file"
        );
        let read = |path: &str| fs::read_to_string(root.join(path)).expect("it can be read");
        let manifest: toml::Value = toml::from_str(&read("Cargo.toml")).expect("it is TOML");
        let table = manifest["workspace"]["dependencies"]
            .as_table()
            .expect("a table");
        let outside = table
            .iter()
            .filter(|(_, value)| value.get("path").is_none())
            .map(|(name, _)| name);
        Self {
            packages,
            sources,
            outside_dependencies: outside.cloned().collect(),
            explained: read("docs/decisions/0002-dependencies.md"),
            architecture: read("ARCHITECTURE.md"),
            circles: circles::CIRCLES,
        }
    }
}

fn read_packages(root: &Path) -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root)
        .output()
        .expect("cargo can be run");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(package)
        .collect()
}

fn package(metadata: &Value) -> Package {
    let manifest = PathBuf::from(metadata["manifest_path"].as_str().expect("a path"));
    let folder = manifest
        .parent()
        .and_then(Path::file_name)
        .expect("a folder");
    let dependencies = metadata["dependencies"].as_array().expect("dependencies");
    Package {
        room: folder.to_string_lossy().into_owned(),
        dependencies: dependencies
            .iter()
            .map(|dependency| Dependency {
                name: dependency["name"].as_str().expect("a name").to_owned(),
                is_dev: dependency["kind"] == "dev",
            })
            .collect(),
        manifest: fs::read_to_string(&manifest).expect("a manifest can be read"),
    }
}

fn read_sources(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder of the workspace")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            read_sources(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file is UTF-8");
            let below = path.strip_prefix(root).expect("it stands below the root");
            sources.push(Source::new(&below.to_string_lossy(), &text));
        }
    }
}
