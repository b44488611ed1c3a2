//! Settings of the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_model::ClusterState;
use serde_json::{Map, Value};

use crate::RootError;
use crate::admin::Admin;

/// Settings, flat, and what they are to be; null is none.
pub type SettingChanges = BTreeMap<String, Value>;

/// Changes to the settings of the cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterSettingChanges {
    /// Those of persistent settings.
    pub persistent: SettingChanges,
    /// Those of transient settings, which override persistent ones.
    pub transient: SettingChanges,
}

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
    /// Changes settings of the cluster.
    ///
    /// # Errors
    /// [`RootError::Coordinator`].
    pub async fn put_cluster_settings(
        &self,
        changes: &ClusterSettingChanges,
    ) -> Result<Arc<ClusterState>, RootError> {
        self.change(|state| {
            let mut next = state.clone();
            change_settings(&mut next.persistent_settings, &changes.persistent);
            change_settings(&mut next.transient_settings, &changes.transient);
            let is_same = next.persistent_settings == state.persistent_settings
                && next.transient_settings == state.transient_settings;
            Ok((!is_same).then_some(next))
        })
        .await
    }
}
