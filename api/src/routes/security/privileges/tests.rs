//! What is asked for, and what rights cover.

use super::foreign::{FOREIGN_ON_CLUSTER, FOREIGN_ON_INDICES};
use super::*;

fn reader() -> Rights {
    Rights {
        cluster: vec![ClusterPrivilege::Monitor],
        indices: vec![IndexGrant {
            names: vec!["logs-*".to_owned()],
            privileges: vec![IndexPrivilege::Read, IndexPrivilege::Index],
        }],
    }
}

#[test]
fn a_privilege_is_held_where_the_rights_cover_it() {
    let rights = reader();
    for (privilege, name, expected) in [
        ("read", "logs-1", true),
        ("create_doc", "logs-1", true),
        ("create", "logs-1", true),
        ("none", "other", true),
        ("read", "logs-a*", true),
        ("read", "logs-*", true),
        ("read", "log*", false),
        ("read", "*", false),
        ("read", "logs-*,other", false),
        ("write", "logs-1", false),
        ("read", "other", false),
        ("read_cross_cluster", "logs-1", false),
    ] {
        let has = parse_index_privilege(privilege).map(|known| has_on_index(&rights, known, name));
        assert_eq!(has, Ok(expected), "{privilege} {name}");
    }
    for (privilege, expected) in [
        ("none", true),
        ("monitor", true),
        ("read_ilm", true),
        ("manage", false),
        ("manage_ml", false),
    ] {
        let has = parse_cluster_privilege(privilege).map(|known| has_on_cluster(&rights, known));
        assert_eq!(has, Ok(expected), "{privilege}");
    }
    let all = Rights::all();
    for name in FOREIGN_ON_CLUSTER {
        let has = parse_cluster_privilege(name).map(|known| has_on_cluster(&all, known));
        assert_eq!(has, Ok(true), "{name}");
    }
    for name in FOREIGN_ON_INDICES {
        let has = parse_index_privilege(name).map(|known| has_on_index(&all, known, "any"));
        assert_eq!(has, Ok(true), "{name}");
    }
}

#[test]
fn names_of_no_privilege_are_refused() {
    let action = "indices:data/read/search";
    for (body, expected) in [
        (
            json!({"cluster": ["monitor", "monitr"]}),
            "unknown cluster privilege [monitr]".to_owned(),
        ),
        (
            json!({"index": [{"names": ["logs-1"], "privileges": [action]}]}),
            format!("unknown index privilege [{action}]"),
        ),
    ] {
        let refused = Wanted::parse(&body, "kim").err().expect("refused");
        let reason = refused.reason();
        assert!(reason.starts_with(&expected), "{reason}");
    }
}

#[test]
fn a_body_that_asks_for_nothing_or_too_much_is_refused() {
    let many: Vec<String> = (0..=MOST_CHECKS).map(|at| at.to_string()).collect();
    for (body, expected) in [
        (json!({}), "[cluster,index,applications] are missing"),
        (json!({"cluster": []}), "at least one privilege"),
        (json!({"clusters": []}), "unknown field [clusters]"),
        (json!({"index": [{"names": ["a"]}]}), "[privileges]"),
        (json!({"index": [{"privileges": ["read"]}]}), "[names]"),
        (
            json!({"index": [{"names": ["a"], "privileges": ["read"], "query": "{}"}]}),
            "[query] is not supported",
        ),
        (
            json!({"index": [{"names": many, "privileges": ["read"]}]}),
            "[10001]",
        ),
        (
            json!({"application": [{"privileges": ["read"], "resources": ["*"]}]}),
            "[application]",
        ),
    ] {
        let refused = Wanted::parse(&body, "kim").err().expect("refused");
        assert!(refused.reason().contains(expected), "{}", refused.reason());
    }
}

#[test]
fn a_body_whose_answer_would_be_large_is_refused() {
    let long = "a".repeat(MOST_BYTES_OF_NAME);
    let longer = "a".repeat(MOST_BYTES_OF_NAME + 1);
    let application = |application: &str, privilege: &str, resources: &[String]| {
        let check = json!({
            "application": application, "privileges": [privilege], "resources": resources,
        });
        json!({"application": [check]})
    };
    let one = [long.clone()];
    let most = application(&long, &long, &one);
    assert!(Wanted::parse(&most, "kim").is_ok());
    for (body, expected) in [
        (json!({"cluster": [longer]}), "[cluster]"),
        (
            json!({"index": [{"names": [longer], "privileges": ["read"]}]}),
            "[names]",
        ),
        (
            json!({"index": [{"names": ["a"], "privileges": [longer]}]}),
            "[privileges]",
        ),
        (application(&longer, "a", &one), "[application]"),
        (
            application("a", "a", std::slice::from_ref(&longer)),
            "[resources]",
        ),
    ] {
        let refused = Wanted::parse(&body, "kim").err().expect("refused");
        let reason = refused.reason();
        assert!(reason.starts_with(expected), "{reason}");
        assert!(reason.contains("[256] bytes"), "{reason}");
    }
    // As many as are answered, each with a long privilege.
    let many: Vec<String> = (0..MOST_CHECKS).map(|at| format!("{at:0>255}")).collect();
    let refused = Wanted::parse(&application("a", &long, &many), "kim");
    let refused = refused.err().expect("refused");
    let expected = "[4194304] bytes";
    assert!(refused.reason().contains(expected), "{}", refused.reason());
}
