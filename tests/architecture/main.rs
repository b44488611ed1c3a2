//! Reads `cargo metadata` and the sources, and says which sentence of the design was broken.
//!
//! The sentences are those of `ARCHITECTURE.md`. Each rule is a function from a [`House`] to the
//! [`Violation`]s it finds; the planted-fault tests in `planted` show that each one can fail.

mod circles;
mod clauses;
mod code;
mod dependencies;
mod house;
mod planted;
mod sources;

use std::fmt::Write;

use house::{House, Violation};

/// Finds what breaks one sentence of the design.
type Rule = fn(&House) -> Vec<Violation>;

/// Every rule there is, with the sentence that it holds.
const RULES: &[(&str, Rule)] = &[
    (
        "every package has its place in the house",
        dependencies::unplaced_packages,
    ),
    (
        "a room uses only rooms of the lines above its own",
        dependencies::broken_layers,
    ),
    (
        "every package inherits the lints of the workspace",
        dependencies::uninherited_lints,
    ),
    (
        "every dependency has a line in decision 0002",
        dependencies::unexplained_dependencies,
    ),
    (
        "a library that one room owns is named by that room alone",
        dependencies::stray_dependencies,
    ),
    (
        "a library that one room owns is named by that room alone",
        sources::stray_names,
    ),
    (
        "`root` links no tantivy outside its tests",
        dependencies::linked_indices,
    ),
    (
        "only one module names each outside service",
        sources::scattered_services,
    ),
    ("only `etcd` calls an etcd", sources::callers_of_etcd),
    (
        "only `cli` reads the environment or exits",
        sources::environment_readers,
    ),
    (
        "pure rooms do no I/O, spawn nothing, read no clock",
        sources::impure_rooms,
    ),
    (
        "`unsafe` stands only in named modules, with a `SAFETY:` argument",
        sources::stray_unsafe,
    ),
    (
        "a metric's name stands in `model/src/metric.rs`",
        sources::unlisted_metrics,
    ),
    (
        "a module is `foo.rs` and `foo/`, never `mod.rs`",
        sources::mod_files,
    ),
    (
        "a package whose doc tests are off has none",
        sources::examples_not_run,
    ),
    ("no file is longer than 500 lines", sources::long_files),
    (
        "a query clause touches the files that `ARCHITECTURE.md` lists",
        clauses::unlisted_clause_files,
    ),
    (
        "circles of imports inside a room can only shrink",
        circles::changed_circles,
    ),
    (
        "every source file says in its head what it is",
        sources::headless_files,
    ),
];

#[test]
fn the_house_stands_as_its_design_says() {
    let house = House::read();
    let mut told = String::new();
    for (sentence, rule) in RULES {
        for violation in rule(&house) {
            writeln!(told, "{sentence}:\n    {violation}").expect("a String takes all text");
        }
    }
    assert!(told.is_empty(), "\n{told}");
}
