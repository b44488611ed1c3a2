//! Requests to a dialect whose cluster has keys.

mod look_ups;
mod matrix;
mod requests;

use std::sync::Arc;

use gleaner_model::security::{ApiKey, IndexGrant, KeyHash, KeyLimits};
use gleaner_model::{ClusterPrivilege, IndexPrivilege, Rights};
use serde_json::Value;

use super::{KeyHolder, Principal};

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
