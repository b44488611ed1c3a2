//! Requests to a dialect whose cluster has keys.

mod invalidated;
mod last;
mod look_ups;
mod matrix;
mod narrow;
mod privileges;
mod queried;
mod requests;
mod slow;
mod unheard;
mod updated;
mod without_rights;

use std::sync::Arc;

use gleaner_model::security::{ApiKey, IndexGrant, KeyHash, KeyLimits};
use gleaner_model::{ClusterPrivilege, ClusterState, IndexPrivilege, Rights};
use serde_json::Value;

use super::{Action, KeyHolder, Principal, check_name, sealed, unsealed};

/// Returns the rights of a key.
fn rights(cluster: &[ClusterPrivilege], indices: &[(&str, IndexPrivilege)]) -> Rights {
    let grant = |(name, privilege): &(&str, IndexPrivilege)| IndexGrant {
        names: vec![(*name).to_owned()],
        privileges: vec![*privilege],
    };
    Rights {
        cluster: cluster.to_vec(),
        indices: indices.iter().map(grant).collect(),
    }
}

/// Returns the owner of a key with `rights`, whose secret nobody knows.
fn principal(name: &str, rights: Rights) -> Principal {
    let key = ApiKey {
        name: name.to_owned(),
        hash: KeyHash::default(),
        creator: None,
        created_ms: 0,
        expires_ms: None,
        invalidated_ms: None,
        rights,
        limits: KeyLimits::default(),
        role_descriptors: Value::Null,
        metadata: Value::Null,
    };
    Principal::Key(KeyHolder {
        id: name.into(),
        key: Arc::new(key),
    })
}

#[test]
fn who_may_configure_makes_indices_by_writes_alone() {
    let state = ClusterState::default();
    let action = |name, privilege| Action {
        name,
        privilege,
        ignores_filters: false,
    };
    let write = action("indices:data/write/bulk[create]", IndexPrivilege::CreateDoc);
    let make = action("indices:admin/create", IndexPrivilege::CreateIndex);
    let shipper = |privileges: &[IndexPrivilege]| {
        let indices = privileges.iter().map(|privilege| ("mine-*", *privilege));
        principal("shipper", rights(&[], &indices.collect::<Vec<_>>()))
    };
    let both = shipper(&[IndexPrivilege::CreateDoc, IndexPrivilege::AutoConfigure]);
    assert!(check_name(&both, &write, "mine-1", &state).is_ok());
    assert!(check_name(&both, &make, "mine-1", &state).is_err());
    assert!(check_name(&both, &write, "other-1", &state).is_err());
    let writer = shipper(&[IndexPrivilege::CreateDoc]);
    assert!(check_name(&writer, &write, "mine-1", &state).is_err());
    let maker = shipper(&[IndexPrivilege::CreateDoc, IndexPrivilege::CreateIndex]);
    assert!(check_name(&maker, &write, "mine-1", &state).is_ok());
}

#[test]
fn a_context_ends_when_the_rights_of_its_key_change() {
    let state = ClusterState::default();
    let reader = |name| principal("one", rights(&[], &[(name, IndexPrivilege::Read)]));
    let id = sealed(&reader("logs-*"), &state, "R1QBAQ".to_owned());
    let action = "indices:data/read/scroll";
    let same = unsealed(&reader("logs-*"), &state, &id, action);
    assert_eq!(same.expect("its own"), "R1QBAQ");
    let more = rights(
        &[ClusterPrivilege::Monitor],
        &[("logs-*", IndexPrivilege::Read)],
    );
    for other in [reader("logs-1"), principal("one", more)] {
        let refused = unsealed(&other, &state, &id, action).expect_err("other rights");
        assert_eq!(refused.status, http::StatusCode::FORBIDDEN);
    }
}
