//! Settings of the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_model::ClusterState;
use serde_json::{Map, Value};

use crate::RootError;
use crate::admin::Admin;

/// Settings, flat, and what they are to be; null is none.
pub type SettingChanges = BTreeMap<String, Value>;

fn change_settings(settings: &mut Map<String, Value>, changes: &SettingChanges) {
    for (key, value) in changes {
        if value.is_null() {
            settings.shift_remove(key);
        } else {
            settings.insert(key.clone(), value.clone());
        }
    }
}

impl Admin {
    /// Changes settings of the cluster, the persistent ones and those that stand over them; `null` removes one.
    ///
    /// # Errors
    /// [`RootError::Coordinator`].
    pub async fn put_cluster_settings(
        &self,
        persistent: &SettingChanges,
        transient: &SettingChanges,
    ) -> Result<Arc<ClusterState>, RootError> {
        self.change(|state| {
            let mut next = state.clone();
            change_settings(&mut next.persistent_settings, persistent);
            change_settings(&mut next.transient_settings, transient);
            let is_same = next.persistent_settings == state.persistent_settings
                && next.transient_settings == state.transient_settings;
            Ok((!is_same).then_some(next))
        })
        .await
    }
}
