//! Rules about source files: what each room may name, and how a file looks.

use std::collections::BTreeMap;

use crate::{
    code::names,
    dependencies::{OWNED_LIBRARIES, line_of},
    house::{House, Package, Source, Violation},
};

/// Rooms that compute and nothing else.
const PURE_ROOMS: &[&str] = &[
    "model",
    "query",
    "analysis",
    "shard-router",
    "replication",
    "document",
];

/// What a pure room never names. Addresses (`std::net::IpAddr`) are values and allowed.
const IMPURE_NAMES: &[&str] = &[
    "std::fs",
    "std::thread",
    "std::process",
    "std::io::stdin",
    "std::io::stdout",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "Instant::now",
    "SystemTime::now",
    "Utc::now",
    "Local::now",
    "tokio",
    "rayon",
];

/// How the environment is read and a process ended.
const ENVIRONMENT_NAMES: &[&str] = &[
    "env::var",
    "env::var_os",
    "env::vars",
    "env::vars_os",
    "env::args",
    "env::args_os",
    "env::current_dir",
    "env::set_var",
    "process::exit",
    "process::abort",
];

/// Libraries of outside services, each of which one module hides.
const SERVICES: &[&str] = &["etcd_client", "openraft", "tokio_postgres"];

/// The modules that may say `unsafe`, each with a `SAFETY:` argument.
const UNSAFE_MODULES: &[&str] = &[
    "cli/src/allocator.rs",
    "machine/src/mapped/guard.rs",
    "machine/src/mapped/mapping.rs",
    "threads/src/linux.rs",
];

/// Lines of a file at which it must have been split.
const MAX_FILE_LINES: usize = 500;

/// Finds names of a library in a room that does not own it.
pub(crate) fn stray_names(house: &House) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (library, owners) in OWNED_LIBRARIES {
        let strangers = house
            .sources
            .iter()
            .filter(|s| !owners.contains(&s.room.as_str()));
        violations.extend(strangers.filter_map(|source| naming(source, library)));
    }
    violations
}

/// Finds services whose library is named by more than one module.
///
/// A module is a file directly under `src/`, with the folder of the same name.
pub(crate) fn scattered_services(house: &House) -> Vec<Violation> {
    let mut violations = Vec::new();
    for service in SERVICES {
        let mut modules = BTreeMap::new();
        for source in house
            .sources
            .iter()
            .filter(|source| line_of(&source.room).is_some())
        {
            if names(&source.product, service) {
                modules
                    .entry(module_of(&source.path))
                    .or_insert(&source.path);
            }
        }
        if modules.len() > 1 {
            let places: Vec<&str> = modules.values().map(|path| path.as_str()).collect();
            violations.push(Violation::new(
                places.join(", "),
                format!("all name `{service}`"),
            ));
        }
    }
    violations
}

fn module_of(path: &str) -> String {
    path.split('/')
        .take(3)
        .collect::<Vec<_>>()
        .join("/")
        .trim_end_matches(".rs")
        .to_owned()
}

/// Finds rooms other than `etcd` that call an etcd.
pub(crate) fn callers_of_etcd(house: &House) -> Vec<Violation> {
    let is_other = |source: &&Source| line_of(&source.room).is_some() && source.room != "etcd";
    all_naming(
        house.sources.iter().filter(is_other),
        &["gleaner_proto::etcd"],
    )
}

/// Finds rooms other than `cli` that read the environment or end the process.
pub(crate) fn environment_readers(house: &House) -> Vec<Violation> {
    // Tests, benches, the test kit and xtask are started by people; datasets is a library like a room.
    let reads_nothing = |source: &&Source| {
        let is_room = line_of(&source.room).is_some() || source.room == "datasets";
        is_room && source.room != "cli"
    };
    all_naming(
        house.sources.iter().filter(reads_nothing),
        ENVIRONMENT_NAMES,
    )
}

/// Finds I/O, threads and clocks in pure rooms.
pub(crate) fn impure_rooms(house: &House) -> Vec<Violation> {
    let is_pure = |source: &&Source| PURE_ROOMS.contains(&source.room.as_str());
    let in_src = |source: &&Source| source.path.split('/').nth(1) == Some("src");
    all_naming(
        house.sources.iter().filter(is_pure).filter(in_src),
        IMPURE_NAMES,
    )
}

/// Finds `unsafe` outside the named modules, and named modules without an argument.
pub(crate) fn stray_unsafe(house: &House) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in house
        .sources
        .iter()
        .filter(|source| names(&source.product, "unsafe"))
    {
        if !UNSAFE_MODULES.contains(&source.path.as_str()) {
            violations.push(Violation::new(&source.path, "says `unsafe`"));
        } else if !source.text.contains("SAFETY:") {
            violations.push(Violation::new(&source.path, "has no `SAFETY:` argument"));
        }
    }
    violations
}

/// Finds metrics whose name does not come from the list of all.
pub(crate) fn unlisted_metrics(house: &House) -> Vec<Violation> {
    let macros = ["counter!(", "gauge!(", "histogram!("];
    let is_unlisted = |source: &&Source| {
        macros.iter().any(|name| {
            let calls = source.product.split(name).skip(1);
            // A literal name is blanked, so what follows it comes first.
            calls
                .map(str::trim_start)
                .any(|rest| !rest.starts_with(char::is_alphabetic))
        })
    };
    let found = house.sources.iter().filter(is_unlisted);
    found
        .map(|source| Violation::new(&source.path, "counts what no list names"))
        .collect()
}

/// Finds files called `mod.rs`.
pub(crate) fn mod_files(house: &House) -> Vec<Violation> {
    let is_mod = |source: &&Source| source.path.ends_with("/mod.rs");
    let found = house.sources.iter().filter(is_mod);
    found
        .map(|source| Violation::new(&source.path, "is a `mod.rs`"))
        .collect()
}

/// Finds examples in doc comments that are not run, as their package has doc tests off: rustdoc takes seconds for each package in
/// which it looks for some.
pub(crate) fn examples_not_run(house: &House) -> Vec<Violation> {
    let is_off = |package: &&Package| package.manifest.contains("doctest = false");
    let off: Vec<&str> = house
        .packages
        .iter()
        .filter(is_off)
        .map(|package| package.room.as_str())
        .collect();
    let in_them = house
        .sources
        .iter()
        .filter(|source| off.contains(&source.room.as_str()));
    in_them
        .flat_map(|source| {
            let lines = examples(&source.text).into_iter();
            lines.map(|line| {
                Violation::new(
                    format!("{}:{line}", source.path),
                    "an example, and `doctest = false`",
                )
            })
        })
        .collect()
}

/// Returns the lines on which doc tests begin.
fn examples(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut is_inside = false;
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim_start();
        let comment = line
            .strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"));
        let Some(comment) = comment else {
            is_inside = false;
            continue;
        };
        let Some(language) = comment.trim_start().strip_prefix("```") else {
            continue;
        };
        if !is_inside && ["", "rust", "no_run", "should_panic"].contains(&language) {
            found.push(number);
        }
        is_inside = !is_inside;
    }
    found
}

/// Finds files that should have been split.
pub(crate) fn long_files(house: &House) -> Vec<Violation> {
    let length = |source: &Source| source.text.lines().count();
    let found = house
        .sources
        .iter()
        .filter(|source| length(source) > MAX_FILE_LINES);
    found
        .map(|s| Violation::new(&s.path, format!("has {} lines", length(s))))
        .collect()
}

/// Finds files that do not begin with a `//!` comment.
pub(crate) fn headless_files(house: &House) -> Vec<Violation> {
    let found = house
        .sources
        .iter()
        .filter(|source| !source.text.starts_with("//!"));
    found
        .map(|source| Violation::new(&source.path, "does not start with `//!`"))
        .collect()
}

fn all_naming<'a>(sources: impl Iterator<Item = &'a Source>, forbidden: &[&str]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        violations.extend(forbidden.iter().filter_map(|name| naming(source, name)));
    }
    violations
}

fn naming(source: &Source, name: &str) -> Option<Violation> {
    names(&source.product, name).then(|| Violation::new(&source.path, format!("names `{name}`")))
}
