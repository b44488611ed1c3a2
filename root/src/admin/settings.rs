//! Settings of the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_model::ClusterState;
use gleaner_model::mapping::matches_pattern;
use gleaner_query::settings::cluster;
use serde_json::{Map, Value};

use crate::RootError;
use crate::admin::Admin;

/// Settings, flat, and what they are to be; null is none, also for all that a key with `*` matches.
pub type SettingChanges = BTreeMap<String, Value>;

/// Changes to the settings of the cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterSettingChanges {
    /// Those of persistent settings.
    pub persistent: SettingChanges,
    /// Those of transient settings, which override persistent ones.
    pub transient: SettingChanges,
}

/// Takes away what is null first: one request may reset all settings and set one of them.
fn change_settings(settings: &mut Map<String, Value>, changes: &SettingChanges) {
    let (removed, set): (Vec<_>, Vec<_>) = changes.iter().partition(|(_, value)| value.is_null());
    for (pattern, _) in removed {
        settings.retain(|key, _| !matches_pattern(pattern, key));
    }
    for (key, value) in set {
        settings.insert(key.clone(), value.clone());
    }
}

/// Refuses to close an index where the cluster's settings forbid that, in the words of `TransportCloseIndexAction`.
pub(super) fn check_closing(state: &ClusterState) -> Result<(), RootError> {
    let key = cluster::CLOSE_ENABLED;
    match cluster::flag(state.settings(), key) {
        Some(false) => Err(RootError::WrongState(format!(
            "index closing is disabled - set [{key}: true] to enable it. NOTE: closed indices still consume a significant \
             amount of diskspace"
        ))),
        _ => Ok(()),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_resets_every_setting_that_its_key_matches() {
        let changed = |changes: Value| {
            let before =
                json!({"search.max_buckets": "7", "search.max_keep_alive": "1m", "cluster.x": "y"});
            let mut settings = before.as_object().cloned().expect("an object");
            let changes = changes.as_object().cloned().expect("an object");
            change_settings(&mut settings, &changes.into_iter().collect());
            Value::Object(settings)
        };
        for (changes, expected) in [
            (json!({"search.*": null}), json!({"cluster.x": "y"})),
            (json!({"*": null}), json!({})),
            (
                json!({"search.max_buckets": null}),
                json!({"search.max_keep_alive": "1m", "cluster.x": "y"}),
            ),
            (
                json!({"search.max_buckets": "9", "search.max_*": null}),
                json!({"search.max_buckets": "9", "cluster.x": "y"}),
            ),
            (
                json!({"search": null, "cluster.*z": null, "cluster.x": null}),
                json!({"search.max_buckets": "7", "search.max_keep_alive": "1m"}),
            ),
        ] {
            assert_eq!(changed(changes.clone()), expected, "{changes}");
        }
    }
}
