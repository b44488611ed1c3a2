//! Tests of the layers: each over the one below, none silently.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

fn flags(line: &[&str]) -> Flags {
    Line::try_parse_from([&["gleaner"], line].concat())
        .expect("valid flags")
        .flags
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    file
}

#[test]
fn flags_stand_over_the_file_and_the_file_over_defaults() {
    let file =
        file("cluster_name = \"from file\"\nlisten = \"0.0.0.0:1\"\nquery_memory = \"2gb\"\n");
    let flags = flags(&["--listen", "127.0.0.1:7", "--search-threads", "3"]);
    let config = Config::resolve(&flags, Some(file.path())).expect("valid");
    assert_eq!(config.listen, "127.0.0.1:7", "flag over file");
    assert_eq!(config.cluster_name, "from file", "file over default");
    assert_eq!(config.query_memory, ByteSize(2 << 30));
    assert_eq!(config.search_threads, 3);
    assert_eq!(config.node_name, Config::default().node_name);
}

#[test]
fn unknown_keys_and_bad_values_are_refused_by_name() {
    let refused = |text: &str| {
        let file = file(text);
        let error = Config::resolve(&flags(&[]), Some(file.path())).expect_err("refused");
        format!("{error:#}")
    };
    assert!(refused("listne = \"x\"").contains("unknown field `listne`"));
    assert!(refused("query_memory = \"2 cups\"").contains("2 cups"));
    assert!(refused("flood_stage = 0.5").contains("high_watermark"));
    assert!(refused("search_threads = 1025").contains("wanted 1024 at most"));
    assert!(refused("search_queue = 0").contains("search_queue"));
    assert!(refused("search_timeout = \"0s\"").contains("`search_timeout` is 0"));
    assert!(refused("security_max_age = \"0s\"").contains("`security_max_age` is 0"));
    assert!(refused("security_max_age = \"6999ms\"").contains("wanted 7s or more"));
    assert!(refused("max_bulk = \"0b\"").contains("`max_bulk` and `max_body` are 0b"));
    assert!(refused("body_memory = \"0b\"").contains("`body_memory` is 0b"));
    assert!(refused("flush_operations = 0").contains("`flush_operations` is 0"));
    assert!(refused("[cluster]\nnodes = []").contains("`gleaner leaf`"));
    assert!(refused("max_connections = 0").contains("max_connections"));
    assert!(refused("max_rpc_connections = 0").contains("max_rpc_connections"));
    assert!(refused("write_timeout = \"0s\"").contains("`write_timeout` is 0"));
    assert!(
        refused("http_cors_enabled = true").contains("`http_cors_allow_origin` names no origin")
    );
    assert!(refused("hedge_share = 1.5").contains("`hedge_share` is 1.5"));
    assert!(refused("hedge_share = nan").contains("`hedge_share` is NaN"));
    assert!(refused("default_replicas = 1025").contains("`default_replicas` is 1025"));
    assert!(refused("search_lease = \"4s\"").contains("`search_lease` is 4s"));
    let absent = Config::resolve(&flags(&[]), Some(Path::new("/no/such/file")));
    assert!(format!("{:#}", absent.expect_err("absent")).contains("/no/such/file"));
}

#[test]
fn memory_that_no_search_fits_in_is_refused_by_name_and_least_value() {
    for name in ["query_memory", "memory_per_query", "term_lists_memory"] {
        let flag = format!("--{}", name.replace('_', "-"));
        for memory in ["0", "0b", "65535b"] {
            let file = file(&format!("{name} = \"{memory}\""));
            for given in [
                Config::resolve(&flags(&[&flag, memory]), None),
                Config::resolve(&flags(&[]), Some(file.path())),
            ] {
                let told = format!("{:#}", given.expect_err("refused"));
                assert!(told.contains(&format!("`{name}` is ")), "{told}");
                assert!(told.contains("wanted 64kb or more"), "{told}");
            }
        }
        Config::resolve(&flags(&[&flag, "64kb"]), None).expect("the least");
    }
    let without_caches = flags(&[
        "--filter-cache",
        "0",
        "--document-cache",
        "0",
        "--term-lists-cache",
        "0b",
    ]);
    Config::resolve(&without_caches, None).expect("nothing is remembered");
}

#[test]
fn keys_are_taken_for_longer_than_a_quiet_cluster_is_silent_or_without_a_limit() {
    for age in ["7s", "-1"] {
        let file = file(&format!("security_max_age = \"{age}\""));
        let config = Config::resolve(&flags(&[]), Some(file.path())).expect("valid");
        assert_eq!(config.security_max_age.to_string(), age);
    }
}

#[test]
fn times_that_would_be_cut_to_nothing_are_refused_by_name() {
    for name in [
        "security_max_age",
        "search_timeout",
        "search_lease",
        "search_lease_after",
        "flush_interval",
        "write_timeout",
        "shutdown_grace",
    ] {
        let flag = format!("--{}", name.replace('_', "-"));
        let refused = Line::try_parse_from(["gleaner", &flag, "500micros"]);
        let told = refused.expect_err("too fine").to_string();
        assert!(told.contains(&flag), "{told}");
        assert!(told.contains("whole milliseconds"), "{told}");

        let file = file(&format!("{name} = \"500micros\""));
        let refused = Config::resolve(&flags(&[]), Some(file.path()));
        let told = format!("{:#}", refused.expect_err("too fine"));
        assert!(told.contains(name), "{told}");
        assert!(told.contains("whole milliseconds"), "{told}");
    }
}

#[test]
fn what_is_printed_gives_the_same_configuration_again() {
    let config = Config {
        search_queue: 77,
        ..Config::default()
    };
    let printed = file(&config.to_toml().expect("TOML"));
    let again = Config::resolve(&flags(&[]), Some(printed.path())).expect("valid");
    assert_eq!(again, config);
}

#[test]
fn every_setting_has_a_flag_and_a_variable() {
    let settings = Table::try_from(Config::default()).expect("a table");
    let command = <Line as clap::CommandFactory>::command();
    for name in settings.keys() {
        let flag = command
            .get_arguments()
            .find(|flag| flag.get_id() == name.as_str());
        let flag = flag.unwrap_or_else(|| panic!("no flag for `{name}`"));
        let variable = flag
            .get_env()
            .and_then(|name| name.to_str())
            .expect("a variable");
        let expected = match name.as_str() {
            "data" => "GLEANER_DATA_DIR".to_owned(),
            name => format!("GLEANER_{}", name.to_uppercase()),
        };
        assert_eq!(variable, expected);
        assert_eq!(flag.get_long(), Some(name.replace('_', "-").as_str()));
    }
}

#[test]
fn the_help_of_every_setting_tells_the_default_in_force() {
    let settings = Table::try_from(Config::default()).expect("a table");
    let command = <Line as clap::CommandFactory>::command();
    for (name, value) in &settings {
        let mut flags = command.get_arguments();
        let flag = flags.find(|flag| flag.get_id() == name.as_str());
        let help = flag
            .and_then(clap::Arg::get_help)
            .expect("help")
            .to_string();
        let told = help.rsplit_once("[default: ").expect("a default").1;
        let in_force = match value.as_str() {
            // This one follows another, and this one is too long for a line of help.
            Some("") if name == "publish_address" => "the one listened on".to_owned(),
            Some(_) if name == "http_cors_allow_headers" => "those that clients use".to_owned(),
            Some("") => "none".to_owned(),
            Some(text) => text.to_owned(),
            None => value.to_string(),
        };
        assert_eq!(told.trim_end_matches(']'), in_force, "{name}");
    }
}

#[test]
fn the_operators_page_has_every_setting_with_its_default() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let mut sections = page.split("\n## ");
    let section = sections.find(|section| section.starts_with("Process settings\n"));
    let rows = section.expect("it has the section").lines();
    let told: Vec<String> = rows
        .filter(|row| row.starts_with("| `"))
        .map(|row| {
            let mut cells = row.split('|').skip(1);
            let mut cell = || {
                cells
                    .next()
                    .map_or("", |cell| cell.trim().trim_matches('`'))
            };
            format!("{} = {}", cell(), cell())
        })
        .collect();
    let printed = Config::default().to_toml().expect("TOML");
    let in_force: Vec<&str> = printed.lines().collect();
    assert_eq!(told, in_force);
}

#[test]
fn the_defaults_are_frozen() {
    insta::assert_snapshot!(Config::default().to_toml().expect("TOML"));
}

#[test]
fn a_member_listens_at_its_entry_unless_something_else_is_said() {
    let members = "[cluster]\netcd = ['http://etcd.internal:2379']\n\
        [[cluster.nodes]]\nname = 'r'\nrole = 'root'\naddress = 'r:9300'\nhttp_address = '10.0.0.1:9201'\n\
        [[cluster.nodes]]\nname = 'l'\nrole = 'leaf'\naddress = 'l:9300'\n";
    for (head, line, expected) in [
        ("node_name = 'r'\n", &[][..], "10.0.0.1:9201"),
        ("", &["--node-name", "r"], "10.0.0.1:9201"),
        ("node_name = 'l'\n", &[], "127.0.0.1:9200"),
        (
            "node_name = 'r'\nlisten = '127.0.0.1:7'\n",
            &[],
            "127.0.0.1:7",
        ),
        (
            "node_name = 'r'\n",
            &["--listen", "127.0.0.1:8"],
            "127.0.0.1:8",
        ),
    ] {
        let file = file(&format!("{head}{members}"));
        let (config, _) = Config::resolve_member(&flags(line), file.path()).expect(head);
        assert_eq!(config.listen, expected, "{head} {line:?}");
    }
}
