//! Tests of the rules: each one finds the fault planted for it, and nothing in a clean house.

use crate::{
    RULES, Rule, dependencies,
    house::{Dependency, House, Package, Source, Violation},
    sources,
};

const MANIFEST: &str = "[lints]\nworkspace = true\n";

fn package(room: &str, uses: &[&str]) -> Package {
    let dependencies = uses
        .iter()
        .map(|name| Dependency {
            name: (*name).to_owned(),
            is_dev: false,
        })
        .collect();
    Package {
        room: room.to_owned(),
        dependencies,
        manifest: MANIFEST.to_owned(),
    }
}

fn house_of(packages: Vec<Package>) -> House {
    House {
        packages,
        ..House::default()
    }
}

fn house_with(path: &str, code: &str) -> House {
    let source = Source::new(path, &format!("//! A file.\n{code}\n"));
    House {
        sources: vec![source],
        ..House::default()
    }
}

#[track_caller]
fn assert_found(rule: Rule, house: &House, seen: &str) {
    let violations = rule(house);
    let found = violations
        .iter()
        .any(|violation| violation.to_string().contains(seen));
    assert!(found, "`{seen}` not in {violations:?}");
}

#[test]
fn a_clean_house_breaks_no_rule() {
    let mut house = house_of(vec![
        package("model", &[]),
        package("engine", &["gleaner-model", "tantivy"]),
    ]);
    house.sources = vec![
        Source::new(
            "engine/src/lib.rs",
            "//! Names tantivy.\nuse tantivy::Index;\n",
        ),
        Source::new(
            "model/src/lib.rs",
            "//! No tokio here.\nuse std::net::IpAddr;\n",
        ),
        Source::new(
            "cli/src/main.rs",
            "//! Main.\nfn main() { std::process::exit(1) }\n",
        ),
    ];
    for (sentence, rule) in RULES {
        assert_eq!(rule(&house), vec![], "{sentence}");
    }
}

#[test]
fn a_room_without_a_line_is_found() {
    assert_found(
        dependencies::unplaced_packages,
        &house_of(vec![package("utils", &[])]),
        "utils",
    );
}

#[test]
fn a_room_that_uses_its_own_line_or_one_below_is_found() {
    let rule = dependencies::broken_layers;
    for (room, used) in [
        ("leaf", "root"),
        ("model", "query"),
        ("engine", "api"),
        ("root", "datasets"),
    ] {
        let house = house_of(vec![package(room, &[&format!("gleaner-{used}")])]);
        assert_found(rule, &house, &format!("uses `{used}`"));
    }
}

#[test]
fn a_room_may_use_the_test_kit_only_in_its_tests() {
    let mut house = house_of(vec![package("leaf", &["gleaner-testkit"])]);
    assert_found(dependencies::broken_layers, &house, "uses `testkit`");
    house.packages[0].dependencies[0].is_dev = true;
    assert_eq!(dependencies::broken_layers(&house), vec![]);
}

#[test]
fn an_index_that_a_root_links_is_found_and_one_of_its_tests_is_not() {
    let rule = dependencies::linked_indices;
    let mut house = house_of(vec![
        package("root", &["gleaner-partial", "gleaner-engine"]),
        package("partial", &["gleaner-query"]),
        package("engine", &["gleaner-partial", "tantivy"]),
    ]);
    assert_found(rule, &house, "engine: brings `tantivy`");
    house.packages[0].dependencies[1].is_dev = true;
    assert_eq!(rule(&house), vec![]);
}

#[test]
fn a_package_that_drops_the_lints_is_found() {
    let mut house = house_of(vec![package("model", &[])]);
    house.packages[0].manifest = "[lints]\n".to_owned();
    assert_found(dependencies::uninherited_lints, &house, "model");
}

#[test]
fn a_dependency_without_a_reason_is_found() {
    let house = House {
        outside_dependencies: vec!["bytes".into(), "left-pad".into()],
        explained: "\n| `bytes` | slices | – |\n".into(),
        ..House::default()
    };
    let violations = dependencies::unexplained_dependencies(&house);
    assert_eq!(
        violations,
        vec![Violation::new("Cargo.toml", "`left-pad` has no row")]
    );
}

#[test]
fn a_library_outside_its_room_is_found_in_manifest_and_code() {
    let house = house_of(vec![
        package("api", &["tantivy"]),
        package("leaf", &["tonic-build"]),
    ]);
    assert_found(
        dependencies::stray_dependencies,
        &house,
        "api: depends on `tantivy`",
    );
    assert_found(
        dependencies::stray_dependencies,
        &house,
        "leaf: depends on `tonic-build`",
    );
    let house = house_with("root/src/merge.rs", "use tantivy::Score;");
    assert_found(
        sources::stray_names,
        &house,
        "root/src/merge.rs: names `tantivy`",
    );
}

#[test]
fn a_room_that_calls_an_etcd_is_found() {
    let code = "use gleaner_proto::{Connect, etcd::Client};";
    assert_found(
        sources::callers_of_etcd,
        &house_with("leaf/src/lib.rs", code),
        "leaf/src/lib.rs",
    );
    let own = house_with("etcd/src/lib.rs", code);
    assert_eq!(sources::callers_of_etcd(&own), vec![]);
}

#[test]
fn a_service_named_in_two_modules_is_found_and_in_one_it_is_not() {
    let mut house = house_with("coordinator/src/etcd.rs", "use etcd_client::Client;");
    house.sources.push(Source::new(
        "coordinator/src/etcd/lease.rs",
        "//! x\nuse etcd_client::Lease;",
    ));
    assert_eq!(sources::scattered_services(&house), vec![]);
    house.sources.push(Source::new(
        "coordinator/src/watch.rs",
        "//! x\nuse etcd_client::Watch;",
    ));
    assert_found(
        sources::scattered_services,
        &house,
        "all name `etcd_client`",
    );
}

#[test]
fn a_room_that_reads_the_environment_or_exits_is_found() {
    let house = house_with("leaf/src/lib.rs", "fn f() { std::env::var(\"X\"); }");
    assert_found(sources::environment_readers, &house, "names `env::var`");
    let house = house_with(
        "api/src/lib.rs",
        "use std::process;\nfn f() { process::exit(1) }",
    );
    assert_found(
        sources::environment_readers,
        &house,
        "names `process::exit`",
    );
}

#[test]
fn io_threads_and_clocks_in_a_pure_room_are_found() {
    let cases = [
        ("use std::{fmt, fs};", "std::fs"),
        ("fn f() { std::thread::spawn(g); }", "std::thread"),
        ("fn f() { Instant::now(); }", "Instant::now"),
        ("fn f() { chrono::Utc::now(); }", "Utc::now"),
        ("use tokio::sync::watch;", "tokio"),
        ("use std::net::TcpStream;", "TcpStream"),
    ];
    for (code, name) in cases {
        let house = house_with("query/src/lib.rs", code);
        assert_found(sources::impure_rooms, &house, &format!("names `{name}`"));
    }
    let in_tests = "#[cfg(test)]\nmod tests { use std::fs; }";
    assert_eq!(
        sources::impure_rooms(&house_with("query/src/lib.rs", in_tests)),
        vec![]
    );
}

#[test]
fn unsafe_code_outside_the_named_modules_is_found() {
    let house = house_with("engine/src/lib.rs", "fn f() { unsafe { g() } }");
    assert_found(sources::stray_unsafe, &house, "says `unsafe`");
}

#[test]
fn a_metric_named_where_it_is_counted_is_found() {
    let listed = "fn f() { metrics::counter!(metric::SHARDS.name).increment(1); }";
    assert!(sources::unlisted_metrics(&house_with("leaf/src/lib.rs", listed)).is_empty());
    let stray = "fn f() { metrics::counter!(\"gleaner_stray_total\").increment(1); }";
    let house = house_with("leaf/src/lib.rs", stray);
    assert_found(sources::unlisted_metrics, &house, "no list names");
}

#[test]
fn files_with_the_wrong_shape_are_found() {
    assert_found(
        sources::mod_files,
        &house_with("root/src/plan/mod.rs", ""),
        "is a `mod.rs`",
    );
    let house = house_with("root/src/plan.rs", &"// line\n".repeat(500));
    assert_found(sources::long_files, &house, "has 502 lines");
    let headless = House {
        sources: vec![Source::new("root/src/plan.rs", "use std::fmt;\n")],
        ..House::default()
    };
    assert_found(sources::headless_files, &headless, "does not start");
}

#[test]
fn an_example_that_is_not_run_is_found() {
    let example = "//! A plan.\n//!\n//! ```text\n//! no test\n//! ```\n\n/// ```\n/// plan();\n/// ```\nfn plan() {}\n";
    let mut house = house_with("root/src/plan.rs", "");
    house.sources = vec![Source::new("root/src/plan.rs", example)];
    assert_eq!(sources::examples_not_run(&house), []);
    house.packages = vec![Package {
        room: "root".to_owned(),
        dependencies: Vec::new(),
        manifest: "[lib]\ndoctest = false\n".to_owned(),
    }];
    assert_found(sources::examples_not_run, &house, "an example");
}

#[test]
fn a_clause_that_touches_a_file_which_is_not_listed_is_found() {
    let mut house = house_with("engine/src/stray.rs", "fn f() { Clause::Ids; }");
    house.architecture =
        "## What does a new query clause touch?\n\n| `engine/src/lower.rs` | x |\n".into();
    let rule = crate::clauses::unlisted_clause_files;
    assert_found(rule, &house, "engine/src/stray.rs: names the clause");
    assert_found(rule, &house, "engine/src/lower.rs: is listed");
}

#[test]
fn a_clause_that_holds_clauses_has_a_table_of_its_own() {
    let sources = [
        (
            "engine/src/lower.rs",
            "fn f() { (Clause::Ids, Clause::Functions) }",
        ),
        ("engine/src/explain.rs", "fn f() { Clause::Functions }"),
        ("query/src/text.rs", "fn f() { Query::FunctionScore }"),
    ];
    let sources = sources.map(|(path, code)| Source::new(path, code));
    let tables = |rows: &str| House {
        sources: sources.to_vec(),
        architecture: format!(
            "## What does a new query clause touch?\n\n| `engine/src/lower.rs` | x |\n\n\
             ### A clause that holds clauses\n\n{rows}\n## Next\n\n| `model/src/lib.rs` | x |\n"
        ),
        ..House::default()
    };
    let rule = crate::clauses::unlisted_clause_files;
    let whole = "| `engine/src/explain.rs` | x |\n| `query/src/text.rs` | x |\n";
    assert!(rule(&tables(whole)).is_empty());
    let half = "| `engine/src/explain.rs` | x |\n";
    assert_found(rule, &tables(half), "query/src/text.rs: names the clause");
    let other = format!("{whole}| `engine/src/view.rs` | x |\n");
    assert_found(rule, &tables(&other), "engine/src/view.rs: is listed");
    let rows = (0..10).map(|n| format!("| `engine/src/{n}.rs` | x |\n"));
    let long = tables(&rows.collect::<Vec<_>>().concat());
    assert_found(
        rule,
        &long,
        "lists 10 files for `function_score`, 9 at most",
    );
}
