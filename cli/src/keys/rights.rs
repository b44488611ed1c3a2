//! What a key may do, as flags say it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// What the key may do; at least one of them.
#[derive(Debug, clap::Args)]
pub(super) struct RightsArguments {
    /// May search and get documents of the indices and aliases that match; may be repeated
    #[arg(long, value_name = "PATTERN")]
    read: Vec<String>,
    /// May index, update and delete documents of the indices that match, and create those; may be repeated
    #[arg(long, value_name = "PATTERN")]
    write: Vec<String>,
    /// May do all with the indices that match but to read and write documents; may be repeated
    #[arg(long, value_name = "PATTERN")]
    manage: Vec<String>,
    /// May see the state of the cluster
    #[arg(long)]
    monitor: bool,
    /// May do everything
    #[arg(long, conflicts_with_all = ["read", "write", "manage", "monitor", "role_descriptors"])]
    admin: bool,
    /// What it may do as the dialect writes it, in JSON
    #[arg(long, value_name = "JSON", conflicts_with_all = ["read", "write", "manage", "monitor"])]
    role_descriptors: Option<String>,
}

impl RightsArguments {
    /// Returns the role descriptors of the dialect.
    ///
    /// # Errors
    /// When nothing is said, or the JSON is none.
    pub(super) fn descriptors(&self) -> Result<Value> {
        if let Some(text) = &self.role_descriptors {
            return serde_json::from_str(text).context("`--role-descriptors` is no JSON");
        }
        if self.admin {
            let indices = json!([{"names": ["*"], "privileges": ["all"]}]);
            return Ok(json!({"admin": {"cluster": ["all"], "indices": indices}}));
        }
        let grants = [
            (&self.read, &["read", "view_index_metadata"][..]),
            (&self.write, &["write", "create_index"]),
            (&self.manage, &["manage"]),
        ];
        let grants = grants.into_iter().filter(|(names, _)| !names.is_empty());
        let grants: Vec<Value> = grants
            .map(|(names, privileges)| json!({"names": names, "privileges": privileges}))
            .collect();
        ensure!(
            !grants.is_empty() || self.monitor,
            "the key could do nothing: say what it may with `--read`, `--write`, `--manage`, `--monitor`, `--admin` or \
             `--role-descriptors`"
        );
        let cluster: &[&str] = if self.monitor { &["monitor"] } else { &[] };
        Ok(json!({"key": {"cluster": cluster, "indices": grants}}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_role_descriptors() {
        let mut rights = RightsArguments {
            read: vec!["logs-*".to_owned()],
            write: Vec::new(),
            manage: Vec::new(),
            monitor: true,
            admin: false,
            role_descriptors: None,
        };
        let indices = json!([{"names": ["logs-*"], "privileges": ["read", "view_index_metadata"]}]);
        let expected = json!({"key": {"cluster": ["monitor"], "indices": indices}});
        assert_eq!(rights.descriptors().expect("rights"), expected);
        (rights.read, rights.monitor) = (Vec::new(), false);
        let error = rights.descriptors().expect_err("nothing").to_string();
        assert!(error.contains("--read"), "{error}");
    }
}
