//! Every route × class of rights × name: who is let in, frozen in `denials.txt` for people to read.

use std::fmt::Write as _;
use std::path::Path;

use gleaner_model::{ClusterPrivilege, ClusterState, IndexPrivilege};

use super::super::rights::Needs;
use super::super::{Entry, Principal, Right, authorize, check_name};
use super::{principal, rights};
use crate::parameters::Parameters;
use crate::route::Route;
use crate::routes::parameter_tables;

/// Keys of every class, by name.
fn keys() -> Vec<(&'static str, Principal)> {
    let on_indices = [
        ("read", IndexPrivilege::Read),
        ("view", IndexPrivilege::ViewIndexMetadata),
        ("index", IndexPrivilege::Index),
        ("create", IndexPrivilege::CreateDoc),
        ("delete", IndexPrivilege::Delete),
        ("stats", IndexPrivilege::Monitor),
        ("upkeep", IndexPrivilege::Maintenance),
        ("configure", IndexPrivilege::AutoConfigure),
        ("ilm", IndexPrivilege::ManageIlm),
        ("manage", IndexPrivilege::Manage),
    ];
    let on_cluster = [
        ("c:monitor", ClusterPrivilege::Monitor),
        ("c:manage", ClusterPrivilege::Manage),
        ("c:keys", ClusterPrivilege::ManageOwnApiKey),
        ("c:ilm", ClusterPrivilege::ReadIlm),
        ("c:policies", ClusterPrivilege::ManageIlm),
        ("c:templates", ClusterPrivilege::ManageIndexTemplates),
    ];
    let mut keys = vec![("none", principal("none", rights(&[], &[])))];
    for (name, privilege) in on_indices {
        keys.push((name, principal(name, rights(&[], &[("mine-*", privilege)]))));
    }
    for (name, privilege) in on_cluster {
        keys.push((name, principal(name, rights(&[privilege], &[]))));
    }
    let all = [("*", IndexPrivilege::All)];
    let all = rights(&[ClusterPrivilege::All], &all);
    keys.push(("all", principal("all", all)));
    keys
}

/// A cluster with `mine-1` and `other-1`.
fn cluster() -> ClusterState {
    let mut state = ClusterState::default();
    for (number, name) in [(1, "mine-1"), (2, "other-1")] {
        let uuid = gleaner_model::IndexUuid([number; 16]);
        let index = gleaner_model::IndexMeta {
            settings: gleaner_model::IndexSettings::default(),
            mapping: std::sync::Arc::default(),
            ..gleaner_model::IndexMeta::new(
                uuid,
                gleaner_model::IndexName::parse(name).expect("a name"),
            )
        };
        state.indices.insert(uuid, std::sync::Arc::new(index));
    }
    state
}

/// What a key may do by a route under a name: nothing, or what it reaches.
fn reached(
    principal: &Principal,
    route: &'static Route,
    index: Option<&str>,
    state: &ClusterState,
) -> Result<Option<String>, u16> {
    let parameters = Parameters::default();
    let entry = Entry {
        principal,
        route,
        parameters: &parameters,
        state,
        now_ms: 0,
    };
    let mut parts: Vec<_> = index
        .map(|index| ("index", index.to_owned()))
        .into_iter()
        .collect();
    authorize(&entry, &mut parts).map_err(|error| error.status.as_u16())?;
    let right = Right::of(route);
    // What routes check by themselves, item by item.
    if let (Needs::Items(_), Some(action), Some(index)) = (right.needs, right.on_indices(), index) {
        let checked = check_name(principal, &action, index, state);
        checked.map_err(|error| error.status.as_u16())?;
    }
    Ok(parts.pop().map(|(_, names)| names))
}

fn page() -> String {
    let (keys, state) = (keys(), cluster());
    let mut page = String::new();
    for route in parameter_tables().filter(|route| !route.is_refused) {
        let right = Right::of(route);
        let needs = format!("{:?}", right.needs);
        let needs = needs.split(", 0x").next().unwrap_or_default();
        let needs = needs.trim_end_matches(')');
        writeln!(page, "{} [{}] {needs})", route.name, right.action).expect("a text");
        let has_index = route.paths.iter().any(|path| path.contains("{index}"));
        let has_none = route.paths.iter().any(|path| !path.contains("{index}"));
        let mut names: Vec<Option<&str>> = Vec::new();
        if has_index {
            names.extend([Some("mine-1"), Some("other-1"), Some("*")]);
        }
        if has_none {
            names.push(None);
        }
        for name in names {
            let mut let_in = Vec::new();
            for (key, principal) in &keys {
                if let Ok(reached) = reached(principal, route, name, &state) {
                    let reached = reached.filter(|reached| Some(reached.as_str()) != name);
                    let reached = reached.map_or_else(String::new, |names| format!("→{names}"));
                    let_in.push(format!("{key}{reached}"));
                }
            }
            let shown = name.unwrap_or("(no name)");
            writeln!(page, "  {shown}: {}", let_in.join(" ")).expect("a text");
        }
    }
    page
}

#[test]
fn who_is_let_in_where_is_what_the_table_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/security/tests/denials.txt");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &page).expect("the table can be written");
    }
    let committed = std::fs::read_to_string(&file).expect("denials.txt is committed");
    assert!(
        committed == page,
        "denials.txt is out of date: look at what changed with UPDATE=1"
    );
}

#[test]
fn no_key_reaches_a_name_that_it_has_no_right_to() {
    let (keys, state) = (keys(), cluster());
    for route in parameter_tables().filter(|route| !route.is_refused) {
        let right = Right::of(route);
        for (key, principal) in keys.iter().filter(|(key, _)| *key != "all") {
            if right.on_indices().is_none() {
                continue;
            }
            let other = reached(principal, route, Some("other-1"), &state);
            assert_eq!(other, Err(403), "{key} by {}", route.name);
            for name in [Some("*"), Some("_all"), Some("oth*,mine-*"), None] {
                let reached = reached(principal, route, name, &state);
                let reached = reached.ok().flatten().unwrap_or_default();
                let is_hidden = !reached.contains("other");
                assert!(is_hidden, "{key} by {}: {name:?} → {reached}", route.name);
            }
        }
    }
}
