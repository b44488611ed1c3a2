//! Requests to a dialect whose cluster has keys.

mod invalidated;
mod look_ups;
mod matrix;
mod narrow;
mod requests;

use std::sync::Arc;

use gleaner_model::security::{ApiKey, IndexGrant, KeyHash, KeyLimits};
use gleaner_model::{ClusterPrivilege, ClusterState, IndexPrivilege, Rights};
use serde_json::Value;

use super::{Action, KeyHolder, Principal, check_name};

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
