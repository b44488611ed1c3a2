//! Expressions against a small cluster.

use gleaner_model::{IndexSettings, IndexUuid};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn index(number: u8, name: &str, aliases: &[(&str, Alias)]) -> (IndexUuid, Arc<IndexMeta>) {
    let uuid = IndexUuid([number; 16]);
    let named = |name: &str| IndexName::parse(name).unwrap();
    let meta = IndexMeta {
        settings: IndexSettings {
            hidden: name.starts_with('.'),
            ..IndexSettings::default()
        },
        aliases: aliases
            .iter()
            .map(|(name, alias)| (named(name), alias.clone()))
            .collect(),
        is_closed: name.starts_with("closed"),
        ..IndexMeta::new(uuid, named(name))
    };
    (uuid, Arc::new(meta))
}

pub(super) fn cluster() -> ClusterState {
    let plain = Alias::default;
    let filtered = |user: &str| Alias {
        filter: Some(json!({"term": {"user": user}})),
        search_routing: Some(user.to_owned()),
        index_routing: Some(format!("{user}-writes")),
        ..Alias::default()
    };
    let write = Alias {
        is_write_index: Some(true),
        ..Alias::default()
    };
    let no_write = Alias {
        is_write_index: Some(false),
        ..Alias::default()
    };
    let indices = [
        index(
            1,
            "logs-1",
            &[
                ("logs", plain()),
                ("kim", filtered("kim")),
                ("roll", plain()),
            ],
        ),
        index(
            2,
            "logs-2",
            &[("logs", plain()), ("lee", filtered("lee")), ("roll", write)],
        ),
        index(
            3,
            "other",
            &[("kim", filtered("kim")), ("closed-write", no_write)],
        ),
        index(4, ".secret", &[]),
        index(5, "closed-1", &[]),
    ];
    ClusterState {
        indices: indices.into_iter().collect(),
        ..ClusterState::default()
    }
}

fn names(expression: &str, options: &ResolveOptions) -> Result<Vec<String>, String> {
    resolve(expression, &cluster(), options)
        .map(|found| {
            found
                .iter()
                .map(|index| index.meta.name.to_string())
                .collect()
        })
        .map_err(|fault| format!("{} {}", fault.kind.status(), fault.reason))
}

#[test]
fn expressions_reach_indices() {
    let plain = ResolveOptions::default();
    for (expression, expected) in [
        ("", &["logs-1", "logs-2", "other"][..]),
        ("_all", &["logs-1", "logs-2", "other"]),
        ("logs-*", &["logs-1", "logs-2"]),
        ("logs-*,-logs-1", &["logs-2"]),
        ("*,-log*", &["other"]),
        // An alias of the first and the third.
        ("*,-ki*", &["logs-2"]),
        ("*,-kim", &["logs-1", "logs-2", "other"]),
        ("le*,-le*", &[]),
        ("other,logs-1", &["logs-1", "other"]),
        ("logs", &["logs-1", "logs-2"]),
        ("ki*", &["logs-1", "other"]),
        (".s*", &[".secret"]),
        (".secret", &[".secret"]),
        ("nothing*", &[]),
    ] {
        let expected: Vec<String> = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(names(expression, &plain), Ok(expected), "{expression}");
    }
    for (expression, reason) in [
        ("nope", "404 no such index [nope]"),
        ("logs-*,nope", "404 no such index [nope]"),
        ("-logs-1", "404 no such index [-logs-1]"),
        ("closed-1", "400 closed [closed-1]"),
        ("far:logs", "404 no such remote cluster: [far]"),
        (
            ",",
            "400 Invalid index name [,], it names no index; all are [_all]",
        ),
    ] {
        assert_eq!(names(expression, &plain), Err(reason.to_owned()));
    }
}

#[test]
fn commas_and_spaces_alone_are_not_everything() {
    let lenient = ResolveOptions {
        ignore_unavailable: true,
        ..ResolveOptions::default()
    };
    for expression in [",", " ", ",,,", " , ", "\t"] {
        let refused = names(expression, &lenient).unwrap_err();
        assert!(refused.starts_with("400 Invalid index name ["), "{refused}");
    }
}

#[test]
fn names_of_interfaces_are_no_names_of_indices() {
    let lenient = ResolveOptions {
        ignore_unavailable: true,
        ..ResolveOptions::default()
    };
    for (expression, name) in [
        ("_license", "_license"),
        ("other,_x*", "_x*"),
        ("_all*", "_all*"),
    ] {
        let reason = format!("400 Invalid index name [{name}], must not start with '_'.");
        assert_eq!(names(expression, &lenient), Err(reason));
    }
    assert!(names("_all,-_x*", &lenient).is_ok());
    let reason = resolve_single("_license", &cluster()).unwrap_err().reason;
    assert_eq!(
        reason,
        "Invalid index name [_license], must not start with '_'."
    );
}

#[test]
fn options_decide_what_is_left_out() {
    let plain = ResolveOptions::default();
    let lenient = ResolveOptions {
        ignore_unavailable: true,
        ..plain
    };
    assert_eq!(
        names("nope,closed-1,other", &lenient),
        Ok(vec!["other".to_owned()])
    );
    let some = ResolveOptions {
        allow_no_indices: false,
        ..plain
    };
    assert_eq!(
        names("nothing*", &some),
        Err("404 no such index [nothing*]".to_owned())
    );
    let strict = ResolveOptions {
        allow_no_indices: false,
        ..lenient
    };
    assert_eq!(
        names("nope", &strict),
        Err("404 no such index [nope]".to_owned())
    );
    let all = ResolveOptions {
        expand_wildcards: ExpandWildcards::ALL,
        ..plain
    };
    assert_eq!(names("*", &all).unwrap().len(), 5);
    let searched = ResolveOptions {
        ignore_unavailable: true,
        ..all
    };
    // An alias has such a name too.
    assert_eq!(names("closed-*", &searched), Ok(vec!["other".to_owned()]));
    let shown = ResolveOptions {
        allow_closed: true,
        ..searched
    };
    let both = ["closed-1", "other"].map(str::to_owned);
    assert_eq!(names("closed-*", &shown), Ok(Vec::from(both)));
    let closed = ResolveOptions {
        expand_wildcards: ExpandWildcards::parse("closed").unwrap(),
        ..plain
    };
    assert_eq!(names("*", &closed), Ok(vec!["closed-1".to_owned()]));
    let indices = ResolveOptions {
        ignore_aliases: true,
        ..plain
    };
    assert!(
        names("logs", &indices)
            .unwrap_err()
            .contains("matches an alias")
    );
    assert_eq!(names("ki*", &indices), Ok(vec![]));
    assert!(ExpandWildcards::parse("opened").is_err());
}

#[test]
fn aliases_bring_their_filters_and_routing() {
    let state = cluster();
    let found = |expression: &str, name: &str| {
        let found = resolve(expression, &state, &ResolveOptions::default()).unwrap();
        let index = found
            .into_iter()
            .find(|index| index.meta.name.as_str() == name)
            .unwrap();
        (index.filters, index.search_routing)
    };
    let kim = json!({"term": {"user": "kim"}});
    assert_eq!(found("kim", "logs-1"), (vec![kim], Some("kim".to_owned())));
    assert_eq!(found("kim,logs", "logs-1"), (vec![], None));
    assert_eq!(found("kim,logs-1", "logs-1"), (vec![], None));
    assert_eq!(found("*", "other"), (vec![], None));
}

/// Returns the names of the indices that an expression reaches.
fn reached(state: &ClusterState, expression: &str, options: &ResolveOptions) -> Vec<String> {
    let found = resolve(expression, state, options).unwrap();
    let names = found.iter().map(|index| index.meta.name.to_string());
    names.collect()
}

#[test]
fn all_indices_are_those_that_are_not_hidden() {
    let indices = [
        index(1, "plain", &[]),
        index(2, ".secret", &[("public", Alias::default())]),
    ];
    let state = ClusterState {
        indices: indices.into_iter().collect(),
        ..ClusterState::default()
    };
    let reached = |expression: &str, options: &ResolveOptions| reached(&state, expression, options);
    let plain = ResolveOptions::default();
    for expression in ["", "_all", "*"] {
        assert_eq!(reached(expression, &plain), ["plain"], "{expression}");
    }
    for expression in ["public", "pub*"] {
        assert_eq!(reached(expression, &plain), [".secret"], "{expression}");
    }
    let hidden = ResolveOptions {
        expand_wildcards: ExpandWildcards::parse("open,hidden").unwrap(),
        ..plain
    };
    assert_eq!(reached("*", &hidden), [".secret", "plain"]);
}

#[test]
fn all_are_data_streams_too() {
    let stream = |is_hidden: bool| Alias {
        is_data_stream: true,
        is_hidden: Some(is_hidden),
        ..Alias::default()
    };
    let indices = [
        index(1, "plain", &[]),
        index(2, ".ds-seen-1", &[("seen", stream(false))]),
        index(3, ".ds-secret-1", &[("secret", stream(true))]),
    ];
    let named = |name: &str| {
        let name = IndexName::parse(name).unwrap();
        (name, gleaner_model::DataStream::default())
    };
    let state = ClusterState {
        indices: indices.into_iter().collect(),
        data_streams: [named("seen"), named("secret")].into(),
        ..ClusterState::default()
    };
    let reached = |expression: &str, options: &ResolveOptions| reached(&state, expression, options);
    let plain = ResolveOptions::default();
    for expression in ["", "_all", "*"] {
        let expected = [".ds-seen-1", "plain"];
        assert_eq!(reached(expression, &plain), expected, "{expression}");
    }
    assert_eq!(reached("*,-seen", &plain), ["plain"]);
    assert_eq!(reached("*,-se*", &plain), ["plain"]);
    let indices_alone = ResolveOptions {
        ignore_aliases: true,
        ..plain
    };
    assert_eq!(reached("*", &indices_alone), ["plain"]);
    assert!(resolve("seen", &state, &indices_alone).is_err());
    let with_streams = ResolveOptions {
        includes_streams: true,
        ..indices_alone
    };
    assert_eq!(reached("s*", &with_streams), [".ds-seen-1"]);
    assert_eq!(reached("seen,secret", &with_streams).len(), 2);
}

#[test]
fn writes_and_single_operations_need_one_index() {
    let state = cluster();
    let write =
        |name| resolve_write(name, &state).map(|found| found.map(|t| t.meta.name.to_string()));
    assert_eq!(write("logs-1"), Ok(Some("logs-1".to_owned())));
    assert_eq!(write("roll"), Ok(Some("logs-2".to_owned())));
    assert_eq!(write("lee"), Ok(Some("logs-2".to_owned())));
    assert_eq!(write("nope"), Ok(None));
    for name in ["logs", "closed-write"] {
        assert!(
            write(name)
                .unwrap_err()
                .reason
                .starts_with("no write index is defined for alias")
        );
    }
    let mut two = state.clone();
    for index in two.indices.values_mut() {
        if let Some(alias) = Arc::make_mut(index).aliases.get_mut("roll") {
            alias.is_write_index = Some(true);
        }
    }
    let refused = resolve_write("roll", &two).unwrap_err().reason;
    assert!(
        refused.starts_with("no write index is defined"),
        "{refused}"
    );
    let target = resolve_write("lee", &state).unwrap().unwrap();
    assert_eq!(target.index_routing.as_deref(), Some("lee-writes"));
    assert_eq!(
        resolve_single("logs", &state).unwrap_err().reason,
        "alias [logs] has more than one index associated with it [logs-1, logs-2], can't execute a \
         single index op"
    );
    assert_eq!(
        resolve_single("lee", &state)
            .unwrap()
            .unwrap()
            .index_routing
            .as_deref(),
        Some("lee-writes")
    );
    assert_eq!(resolve_single("nope", &state), Ok(None));
}

#[test]
fn dates_are_put_into_names() {
    // 2024-03-22T23:30Z
    let now = 1_711_150_200_000;
    for (expression, expected) in [
        ("logs", "logs"),
        ("<logs-{now/d}>", "logs-2024.03.22"),
        ("<logs-{now/M}>", "logs-2024.03.01"),
        ("<logs-{now/M{yyyy.MM}}>", "logs-2024.03"),
        ("<logs-{now/d{yyyy.MM.dd|+12:00}}>", "logs-2024.03.23"),
        (
            "<a\\{b\\}-{now-1d/d}>,-<c-{now/d{uuuu}}>",
            "a{b}-2024.03.21,-c-2024",
        ),
    ] {
        assert_eq!(expand_date_math(expression, now).as_deref(), Ok(expected));
    }
    for wrong in ["<a-{now>", "<a-}>", "<a-{now/x}>", "<a-{now{}}>", "<a\\>"] {
        assert!(expand_date_math(wrong, now).is_err(), "{wrong}");
    }
}

/// One index with so many aliases, `a0` to the last.
fn with_aliases(num: usize) -> ClusterState {
    let names: Vec<String> = (0..num).map(|n| format!("a{n}")).collect();
    let aliases: Vec<(&str, Alias)> = names
        .iter()
        .map(|name| (name.as_str(), Alias::default()))
        .collect();
    let indices = [index(1, "books", &aliases), index(2, "other", &[])];
    ClusterState {
        indices: indices.into_iter().collect(),
        ..ClusterState::default()
    }
}

#[test]
fn what_is_named_again_is_not_looked_up_again() {
    let state = with_aliases(9_900);
    let options = ResolveOptions::default();
    let again = "a*,".repeat(20_000);
    let found = resolve(&again, &state, &options).expect("it is one wildcard");
    assert_eq!(found, resolve("a*", &state, &options).unwrap());
    assert_eq!(found[0].aliases.len(), 9_900);
    let excluded = format!("*,{}other", "-a*,".repeat(20_000));
    assert_eq!(reached(&state, &excluded, &options), ["other"]);
    // An exclusion takes away what was named before it, and not what is named again behind it.
    assert_eq!(
        reached(&state, "a*,-a*,a*,other", &options),
        ["books", "other"]
    );
    assert!(reached(&state, "a*,a*,-a*", &options).is_empty());
    let listed: Vec<String> = (0..9_900).map(|n| format!("a{n}")).collect();
    let found = resolve(&listed.join(","), &state, &options).expect("names are looked up");
    assert_eq!(found[0].aliases.len(), 9_900);
}

#[test]
fn wildcards_that_stand_for_too_much_together_are_refused() {
    let state = with_aliases(9_900);
    let options = ResolveOptions::default();
    let wildcards = |num: usize| {
        let items: Vec<String> = (0..num).map(|n| format!("*a*{n}")).collect();
        items.join(",")
    };
    assert!(resolve(&wildcards(50), &state, &options).is_ok());
    let refused = resolve(&wildcards(100), &state, &options).unwrap_err();
    assert!(
        refused.reason.contains("more than [524288] names"),
        "{}",
        refused.reason
    );
    let alternating = "a*,-a*,".repeat(200);
    assert!(resolve(&alternating, &state, &options).is_err());
    // Of wildcards that begin otherwise, only their own names are looked at.
    let prefixes: Vec<String> = (0..2_000).map(|n| format!("a{n}*")).collect();
    assert!(resolve(&prefixes.join(","), &state, &options).is_ok());
    let entries: Vec<(String, f32)> = (0..100).map(|n| (format!("*a*{n}"), 2.0)).collect();
    assert!(IndexBoosts::resolve(&entries, &state, &options, 0).is_err());
    let same = vec![("a*".to_owned(), 2.0); 20_000];
    assert!(IndexBoosts::resolve(&same, &state, &options, 0).is_ok());
}

proptest! {
    #[test]
    fn no_expression_panics(expression in "[-a-z*.,<>{}|/\\\\0-9:]{0,20}|\\PC{0,12}", now: i64) {
        drop(resolve(&expression, &cluster(), &ResolveOptions::default()));
        drop(resolve_write(&expression, &cluster()));
        drop(expand_date_math(&expression, now));
    }

    #[test]
    fn many_items_find_what_few_do(items in prop::collection::vec("-?([a-z*.]{1,3}|logs|kim|other|closed-1|lo\\*|\\*-1|_all|roll)", 1..8)) {
        // Names that nothing bears make the expression long enough to be looked up in order.
        let expression = items.join(",");
        let long = format!("{expression},{}", "nothing,".repeat(4_000));
        let options = ResolveOptions { ignore_unavailable: true, ..ResolveOptions::default() };
        prop_assert_eq!(resolve(&expression, &cluster(), &options), resolve(&long, &cluster(), &options));
    }
}
