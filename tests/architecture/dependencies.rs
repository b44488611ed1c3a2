//! Rules about manifests: who may depend on whom, and on what.

use std::collections::BTreeSet;

use crate::house::{BESIDE, Dependency, House, LINES, Package, Violation};

/// Libraries that only some rooms may depend on, and those rooms.
///
/// Tests and benches may name the bare index library to measure us against it.
pub(crate) const OWNED_LIBRARIES: &[(&str, &[&str])] = &[
    ("tantivy", &["engine", "tests", "benches"]),
    ("prost", &["proto"]),
    ("tonic", &["proto"]),
    ("libc", &["machine", "threads"]),
    ("rustls", &["tls"]),
    ("tokio-rustls", &["tls"]),
    ("rcgen", &["tls"]),
    ("redis-protocol", &["ambassador"]),
    ("hickory-resolver", &["ambassador"]),
];

/// The room that answers from what others found, without an index of its own.
const WITHOUT_INDEX: &str = "root";

/// Finds members of the workspace that have no line and do not stand beside the house.
pub(crate) fn unplaced_packages(house: &House) -> Vec<Violation> {
    let placed = |room: &str| line_of(room).is_some() || BESIDE.contains(&room);
    let unplaced = house
        .packages
        .iter()
        .filter(|package| !placed(&package.room));
    unplaced
        .map(|package| Violation::new(&package.room, "stands on no line"))
        .collect()
}

/// Finds dependencies on a room of the same line or of one below.
pub(crate) fn broken_layers(house: &House) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in &house.packages {
        let Some(own) = line_of(&package.room) else {
            continue;
        };
        for dependency in &package.dependencies {
            let Some(used) = dependency.name.strip_prefix("gleaner-") else {
                continue;
            };
            if !may_use(package, own, used, dependency) {
                let seen = format!("(line {own}) uses `{used}` ({})", place_of(used));
                violations.push(Violation::new(&package.room, seen));
            }
        }
    }
    violations
}

/// Tests of a room may use the test kit and the collections; the binary offers the collections.
fn may_use(package: &Package, own: u8, used: &str, dependency: &Dependency) -> bool {
    match line_of(used) {
        Some(line) => line < own,
        None if dependency.is_dev => ["datasets", "testkit"].contains(&used),
        None => ["cli", "client"].contains(&package.room.as_str()) && used == "datasets",
    }
}

/// Finds packages whose manifest does not say `[lints] workspace = true`.
pub(crate) fn uninherited_lints(house: &House) -> Vec<Violation> {
    let inherits = |package: &&Package| {
        let manifest: toml::Value = toml::from_str(&package.manifest).expect("cargo read it too");
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        lints.and_then(toml::Value::as_bool) == Some(true)
    };
    let others = house.packages.iter().filter(|package| !inherits(package));
    others
        .map(|package| Violation::new(&package.room, "has no `[lints] workspace = true`"))
        .collect()
}

/// Finds outside dependencies without a row in the table of decision 0002.
pub(crate) fn unexplained_dependencies(house: &House) -> Vec<Violation> {
    let explained = |name: &str| house.explained.contains(&format!("\n| `{name}` | "));
    let unexplained = house
        .outside_dependencies
        .iter()
        .filter(|name| !explained(name));
    unexplained
        .map(|name| Violation::new("Cargo.toml", format!("`{name}` has no row")))
        .collect()
}

/// Finds dependencies on a library by a room that does not own it.
pub(crate) fn stray_dependencies(house: &House) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in &house.packages {
        for dependency in &package.dependencies {
            let family = |library: &str| {
                dependency.name == library || dependency.name.starts_with(&format!("{library}-"))
            };
            let owned = OWNED_LIBRARIES.iter().find(|(library, _)| family(library));
            if owned.is_some_and(|(_, owners)| !owners.contains(&package.room.as_str())) {
                let seen = format!("depends on `{}`", dependency.name);
                violations.push(Violation::new(&package.room, seen));
            }
        }
    }
    violations
}

/// Finds rooms that `root` builds on, itself among them, which depend on the index library; what only its
/// tests use does not count.
pub(crate) fn linked_indices(house: &House) -> Vec<Violation> {
    let mut linked = BTreeSet::new();
    let mut rooms = vec![WITHOUT_INDEX];
    while let Some(room) = rooms.pop() {
        let package = house.packages.iter().find(|package| package.room == room);
        if let Some(package) = package.filter(|_| linked.insert(room)) {
            let used = package.dependencies.iter().filter(|used| !used.is_dev);
            rooms.extend(used.filter_map(|used| used.name.strip_prefix("gleaner-")));
        }
    }
    let names_index = |package: &&Package| {
        let mut used = package.dependencies.iter();
        linked.contains(package.room.as_str())
            && used.any(|used| !used.is_dev && used.name.starts_with("tantivy"))
    };
    let found = house.packages.iter().filter(names_index);
    found
        .map(|package| Violation::new(&package.room, "brings `tantivy` into `root`"))
        .collect()
}

pub(crate) fn line_of(room: &str) -> Option<u8> {
    LINES
        .iter()
        .find(|(name, _)| *name == room)
        .map(|(_, line)| *line)
}

fn place_of(room: &str) -> String {
    line_of(room).map_or_else(
        || "beside the house".to_owned(),
        |line| format!("line {line}"),
    )
}
