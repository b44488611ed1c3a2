//! Expressions under the rights of keys, against a small cluster.

use gleaner_model::security::IndexGrant;

use super::*;
use crate::names::{resolve, tests::cluster};

fn rights(names: &[&str], privilege: IndexPrivilege) -> Rights {
    let grant = |name: &&str| IndexGrant {
        names: vec![(*name).to_owned()],
        privileges: vec![privilege],
    };
    Rights {
        cluster: Vec::new(),
        indices: names.iter().map(grant).collect(),
    }
}

/// What a key with the right to read `names` reaches by `expression`: indices, or the names that it may not use.
fn reached(names: &[&str], expression: Option<&str>) -> Result<String, String> {
    let (rights, state) = (rights(names, IndexPrivilege::Read), cluster());
    let access = Access {
        rights: &rights,
        privilege: IndexPrivilege::Read,
        ignores_filters: false,
        state: &state,
    };
    let options = ResolveOptions::default();
    let narrowed = access.narrow(expression, &options);
    let narrowed = narrowed.map_err(|denial| match denial {
        Denial::Denied { names, .. } => names.join(","),
        Denial::Missing(error) => error.reason,
    })?;
    let found = resolve(narrowed.as_deref().unwrap_or_default(), &state, &options);
    let found = found.map_err(|error| error.reason)?;
    let shown = found.iter().map(|index| {
        let filter = if index.filters.is_empty() {
            ""
        } else {
            "+filter"
        };
        format!("{}{filter}", index.meta.name)
    });
    Ok(shown.collect::<Vec<_>>().join(","))
}

#[test]
fn wildcards_reach_what_rights_allow() {
    let all = [None, Some("_all"), Some("*"), Some("logs-*")];
    for expression in all {
        assert_eq!(reached(&["logs-1"], expression).as_deref(), Ok("logs-1"));
        assert_eq!(reached(&["nothing"], expression).as_deref(), Ok(""));
        let denied = expression.unwrap_or("_all").to_owned();
        assert_eq!(reached(&[], expression), Err(denied), "no right at all");
    }
    assert_eq!(
        reached(&["logs-*"], Some("*")).as_deref(),
        Ok("logs-1,logs-2")
    );
    assert_eq!(
        reached(&["logs-*"], Some("*,-logs-1")).as_deref(),
        Ok("logs-2")
    );
    assert_eq!(reached(&["logs-1"], Some("*,-logs-*")).as_deref(), Ok(""));
}

#[test]
fn names_without_a_right_are_refused_whether_they_exist_or_not() {
    for (expression, denied) in [
        ("logs-2", "logs-2"),
        ("logs-1,logs-2", "logs-2"),
        ("missing", "missing"),
        ("logs-*,logs-2,other", "logs-2,other"),
        ("-logs-2", "-logs-2"),
        ("_secret", "_secret"),
        ("logs", "logs"),
    ] {
        let expected = Err(denied.to_owned());
        assert_eq!(
            reached(&["logs-1"], Some(expression)),
            expected,
            "{expression}"
        );
    }
}

#[test]
fn a_right_to_an_alias_carries_its_filter_and_none_to_the_index() {
    let both = Ok("logs-1+filter,other+filter");
    assert_eq!(reached(&["kim"], Some("kim")).as_deref(), both);
    assert_eq!(reached(&["kim"], None).as_deref(), both);
    assert_eq!(reached(&["kim"], Some("logs-1")), Err("logs-1".to_owned()));
    assert_eq!(reached(&["kim"], Some("*,-kim")).as_deref(), Ok(""));
    assert_eq!(
        reached(&["kim", "logs-1"], None).as_deref(),
        Ok("logs-1,other+filter")
    );
}

#[test]
fn what_ignores_filters_needs_a_right_to_the_index() {
    let state = cluster();
    let check = |names: &[&str], name: &str| {
        let rights = rights(names, IndexPrivilege::Read);
        let access = Access {
            rights: &rights,
            privilege: IndexPrivilege::Read,
            ignores_filters: true,
            state: &state,
        };
        let narrowed = access.narrow(Some(name), &ResolveOptions::default());
        assert_eq!(access.check(name).is_ok(), narrowed.is_ok(), "{name}");
        narrowed.is_ok()
    };
    assert!(!check(&["kim"], "kim"), "its filter would be lost");
    assert!(!check(&["kim", "logs-1"], "kim"), "there is a second one");
    assert!(check(&["kim", "logs-1", "other"], "kim"));
    assert!(check(&["roll"], "roll"), "it has no filter");
    assert!(check(&["*"], "kim"));
    assert!(!check(&["logs-1"], "kim"), "no right to the name");
}

#[test]
fn nothing_that_may_be_reached_is_missing_where_something_is_wanted() {
    let (rights, state) = (rights(&["none"], IndexPrivilege::Manage), cluster());
    let access = Access {
        rights: &rights,
        privilege: IndexPrivilege::Manage,
        ignores_filters: true,
        state: &state,
    };
    let options = ResolveOptions {
        allow_no_indices: false,
        ..ResolveOptions::default()
    };
    let error = access
        .narrow(Some("logs-*"), &options)
        .expect_err("missing");
    assert_eq!(error.to_string(), "no such index [logs-*]");
}
