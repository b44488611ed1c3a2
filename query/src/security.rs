//! Bodies of the security interface: role descriptors → rights, what a new API key is to be, and what is to change of one.
//!
//! Does: read them, and refuse by name what is not supported: rights on parts of documents, and patterns that are more
//! than `*`. Does not: make keys or check rights.
//! Source: Elasticsearch reference, *Create API key*, *Update API key* and *Defining roles*.

use std::time::Duration;

use gleaner_model::Rights;
use gleaner_model::security::{IndexGrant, KeyLimits, UnknownPrivilege};
use serde_json::{Map, Value};

use crate::error::{ErrorType, QueryError};
use crate::json::ObjectReader;
use crate::units::parse_time;

/// Longest name of a key, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Largest metadata and role descriptors of a key, in bytes as JSON: all nodes have them.
const MAX_PART_BYTES: usize = 4 << 10;

/// Privileges on the cluster that are about features which are not there: there is nothing that they would grant. `none`
/// is the dialect's word for an empty list.
///
/// Source: Elasticsearch reference, *Security privileges*.
const EMPTY: [&str; 14] = [
    "none",
    "read_pipeline",
    "manage_pipeline",
    "manage_ingest_pipelines",
    "monitor_data_frame_transforms",
    "monitor_enrich",
    "monitor_inference",
    "monitor_ml",
    "monitor_rollup",
    "monitor_snapshot",
    "monitor_text_structure",
    "monitor_transform",
    "monitor_watcher",
    "read_slm",
];

/// An API key that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewApiKey {
    /// Name for people.
    pub name: String,
    /// For how long it can be used.
    pub expiration: Expiration,
    /// What it may do; `None`: what its maker may.
    pub rights: Option<Rights>,
    /// The role descriptors as given.
    pub role_descriptors: Value,
    /// What its maker writes down beside it.
    pub metadata: Value,
    /// How often, and at what cost.
    pub limits: KeyLimits,
}

impl NewApiKey {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// What is missing, unknown or not supported, by name.
    pub fn parse(body: &Value) -> Result<Self, QueryError> {
        let mut reader = ObjectReader::part("create_api_key", body)?;
        let name = reader.text("name")?.unwrap_or_default();
        let expiration = parse_expiration(&mut reader)?;
        let role_descriptors = part(&mut reader, "role_descriptors")?;
        let metadata = part(&mut reader, "metadata")?;
        let limits = match reader.take("limits") {
            Some(limits) => parse_limits(limits)?,
            None => KeyLimits::default(),
        };
        reader.finish()?;
        check_name(&name)?;
        Ok(Self {
            name,
            expiration: expiration.unwrap_or_default(),
            rights: parse_roles(&role_descriptors)?,
            role_descriptors: Value::Object(role_descriptors),
            metadata: Value::Object(metadata),
            limits,
        })
    }
}

/// What is to change of an API key; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApiKeyUpdate {
    /// How long it can be used from now on.
    pub expiration: Option<Expiration>,
    /// What it may do.
    pub roles: Option<NewRoles>,
    /// What is written down beside it.
    pub metadata: Option<Value>,
}

/// When a key ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expiration {
    /// When it is invalidated.
    #[default]
    Never,
    /// So long after the request.
    After(Duration),
}

/// The roles of a key.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRoles {
    /// What they allow; `None`, where there are none: what the sender of the request may do.
    pub rights: Option<Rights>,
    /// The role descriptors as given.
    pub descriptors: Value,
}

impl ApiKeyUpdate {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// What is unknown or not supported, by name.
    pub fn parse(body: &Value) -> Result<Self, QueryError> {
        let mut reader = ObjectReader::part("update_api_key", body)?;
        let expiration = parse_expiration(&mut reader)?;
        let roles = match given_part(&mut reader, "role_descriptors")? {
            None => None,
            Some(descriptors) => Some(NewRoles {
                rights: parse_roles(&descriptors)?,
                descriptors: Value::Object(descriptors),
            }),
        };
        let metadata = given_part(&mut reader, "metadata")?;
        reader.finish()?;
        Ok(Self {
            expiration,
            roles,
            metadata: metadata.map(Value::Object),
        })
    }
}

/// Returns the `expiration` of the body; `None` where there is none.
fn parse_expiration(reader: &mut ObjectReader<'_>) -> Result<Option<Expiration>, QueryError> {
    let Some(text) = reader.text("expiration")? else {
        return Ok(None);
    };
    let time = parse_time(&text, "expiration")?;
    Ok(Some(time.map_or(Expiration::Never, Expiration::After)))
}

fn check_name(name: &str) -> Result<(), QueryError> {
    let fault = if name.trim().is_empty() {
        "api key name is required".to_owned()
    } else if name.len() > MAX_NAME_BYTES {
        format!("api key name may not be more than {MAX_NAME_BYTES} bytes long")
    } else if name.trim() != name {
        "api key name may not begin or end with whitespace".to_owned()
    } else if name.starts_with('_') && name != gleaner_model::security::ANONYMOUS {
        "api key name may not begin with an underscore".to_owned()
    } else {
        return Ok(());
    };
    let reason = format!("Validation Failed: 1: {fault};");
    Err(QueryError::new(ErrorType::Validation, reason))
}

/// Returns an object of the body, which must be small; an empty one where there is none.
fn part(
    reader: &mut ObjectReader<'_>,
    key: &'static str,
) -> Result<Map<String, Value>, QueryError> {
    Ok(given_part(reader, key)?.unwrap_or_default())
}

/// Returns an object of the body, which must be small.
fn given_part(
    reader: &mut ObjectReader<'_>,
    key: &'static str,
) -> Result<Option<Map<String, Value>>, QueryError> {
    match reader.take(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value @ Value::Object(entries)) => {
            let num_bytes = value.to_string().len();
            if num_bytes > MAX_PART_BYTES {
                return Err(QueryError::illegal(format!(
                    "[{key}] has [{num_bytes}] bytes, at most [{MAX_PART_BYTES}] are kept with a key"
                )));
            }
            Ok(Some(entries.clone()))
        }
        Some(other) => Err(reader.wrong(key, "an object", other)),
    }
}

fn parse_limits(value: &Value) -> Result<KeyLimits, QueryError> {
    let mut reader = ObjectReader::part("limits", value)?;
    let limits = KeyLimits {
        requests_per_second: reader.small_count("requests_per_second")?,
        cost_ms_per_second: reader.small_count("cost_ms_per_second")?,
        concurrent: reader.small_count("concurrent")?,
    };
    reader.finish()?;
    let all = [
        limits.requests_per_second,
        limits.cost_ms_per_second,
        limits.concurrent,
    ];
    match all.contains(&Some(0)) {
        true => Err(QueryError::illegal("[limits] must be at least [1] each")),
        false => Ok(limits),
    }
}

/// Reads role descriptors by name; `None` where there are none.
fn parse_roles(roles: &Map<String, Value>) -> Result<Option<Rights>, QueryError> {
    let mut rights = Rights::default();
    for (name, role) in roles {
        parse_role(name, role, &mut rights)?;
    }
    Ok((!roles.is_empty()).then_some(rights))
}

fn parse_role(name: &str, role: &Value, rights: &mut Rights) -> Result<(), QueryError> {
    let mut reader = ObjectReader::part(name, role)?;
    for privilege in reader.texts("cluster")?.unwrap_or_default() {
        if EMPTY.contains(&privilege.as_str()) {
            continue;
        }
        let privilege = privilege.parse();
        rights
            .cluster
            .push(privilege.map_err(|error| unknown(&error))?);
    }
    let grants = match reader.take_any(&["indices", "index"]) {
        None | Some(Value::Null) => &[],
        Some(Value::Array(grants)) => grants.as_slice(),
        Some(other) => return Err(reader.wrong("indices", "a list of objects", other)),
    };
    for grant in grants {
        rights.indices.push(parse_grant(grant)?);
    }
    reader.unsupported_unless_empty(&[
        "applications",
        "run_as",
        "global",
        "remote_indices",
        "remote_cluster",
        "restriction",
    ])?;
    reader.ignore(&["metadata", "transient_metadata", "description"]);
    reader.finish()
}

fn parse_grant(grant: &Value) -> Result<IndexGrant, QueryError> {
    let mut reader = ObjectReader::part("indices", grant)?;
    // Rights on parts of documents: an alias with a filter is what there is instead.
    reader.unsupported_unless_empty(&["query", "field_security"])?;
    let names = reader.texts("names")?.unwrap_or_default();
    let mut privileges = Vec::new();
    for privilege in reader.texts("privileges")?.unwrap_or_default() {
        if privilege != "none" {
            let privilege = privilege.parse();
            privileges.push(privilege.map_err(|error| unknown(&error))?);
        }
    }
    if reader.boolean("allow_restricted_indices")? == Some(true) {
        return Err(QueryError::illegal(
            "[allow_restricted_indices] is not supported: there are no restricted indices",
        ));
    }
    reader.finish()?;
    if names.is_empty() {
        return Err(QueryError::illegal(
            "[names] of [indices] must name an index or pattern",
        ));
    }
    names.iter().try_for_each(|name| check_pattern(name))?;
    Ok(IndexGrant { names, privileges })
}

fn unknown(error: &UnknownPrivilege) -> QueryError {
    QueryError::illegal(error.to_string())
}

/// Refuses patterns that other products read in more ways than one, and some of which grant all but what they name.
fn check_pattern(pattern: &str) -> Result<(), QueryError> {
    let is_plain = !pattern.is_empty()
        && !pattern.starts_with(['-', '_', '/'])
        && !pattern
            .contains(|c: char| matches!(c, ',' | '?' | '<' | '>' | '|') || c.is_whitespace());
    match is_plain {
        true => Ok(()),
        false => Err(QueryError::illegal(format!(
            "[{pattern}] is no pattern of names: only [*] stands for other characters, and nothing can be excluded"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use gleaner_model::{ClusterPrivilege, IndexPrivilege};
    use serde_json::json;

    use super::*;

    fn refused(body: &Value) -> String {
        let error = NewApiKey::parse(body).expect_err("refused");
        error.reason
    }

    #[test]
    fn a_key_is_read_with_its_roles() {
        let key = NewApiKey::parse(&json!({
            "name": "reader", "expiration": "1d", "metadata": {"team": "web"},
            "limits": {"requests_per_second": 50},
            "role_descriptors": {
                "logs": {"cluster": ["monitor"], "indices": [
                    {"names": ["logs-*", "audit"], "privileges": ["read", "view_index_metadata"]}
                ]},
                "notes": {"index": [{"names": "notes", "privileges": ["write", "create"]}]}
            }
        }))
        .expect("a key");
        let rights = key.rights.expect("rights");
        assert!(rights.allow_cluster(ClusterPrivilege::Monitor));
        assert!(rights.allow_index(IndexPrivilege::Read, "logs-1"));
        assert!(rights.allow_index(IndexPrivilege::Delete, "notes"));
        assert!(!rights.allow_index(IndexPrivilege::Read, "notes"));
        let day = Expiration::After(Duration::from_secs(86_400));
        assert_eq!(key.expiration, day);
        assert_eq!(key.limits.requests_per_second, Some(50));
        let plain = NewApiKey::parse(&json!({"name": "all"})).expect("a key");
        assert_eq!(plain.rights, None);
        assert_eq!(plain.expiration, Expiration::Never);
        let none = json!({"name": "n", "role_descriptors": {"r": {}}});
        let none = NewApiKey::parse(&none).expect("a key");
        assert_eq!(none.rights, Some(Rights::default()));
    }

    #[test]
    fn roles_of_shippers_are_read_and_give_no_more_than_they_say() {
        use IndexPrivilege::{CreateIndex, DeleteIndex, Index, Manage, Read};
        let shipper = json!({"name": "beats", "role_descriptors": {"filebeat": {
            "cluster": ["read_ilm", "read_pipeline", "monitor_ml", "manage_index_templates"],
            "indices": [{
                "names": ["filebeat-*"],
                "privileges": ["auto_configure", "create_doc", "view_index_metadata", "manage_ilm"],
            }],
        }}});
        let rights = NewApiKey::parse(&shipper).expect("a key").rights;
        let rights = rights.expect("rights");
        assert!(rights.allow_cluster(ClusterPrivilege::ReadIlm));
        assert!(!rights.allow_cluster(ClusterPrivilege::ManageIlm));
        assert!(rights.allow_index(IndexPrivilege::AutoConfigure, "filebeat-1"));
        assert!(rights.allow_index(IndexPrivilege::CreateDoc, "filebeat-1"));
        for denied in [ClusterPrivilege::Monitor, ClusterPrivilege::Manage] {
            assert!(!rights.allow_cluster(denied), "{denied}");
        }
        for denied in [CreateIndex, DeleteIndex, Index, Manage, Read] {
            assert!(!rights.allow_index(denied, "filebeat-1"), "{denied}");
        }
        let setup = json!({"r": {"cluster": ["manage_ilm"]}});
        let rights = NewApiKey::parse(&json!({"name": "setup", "role_descriptors": setup}));
        let rights = rights.expect("a key").rights.expect("rights");
        assert!(rights.allow_cluster(ClusterPrivilege::ManageIlm));
        assert!(!rights.allow_index(IndexPrivilege::ManageIlm, "filebeat-1"));
        let nothing = json!({"cluster": ["read_pipeline", "none", "monitor_watcher"]});
        let nothing = json!({"name": "n", "role_descriptors": {"r": nothing}});
        let rights = NewApiKey::parse(&nothing).expect("a key").rights;
        assert_eq!(rights, Some(Rights::default()));
        for privilege in ["manage_ml", "view_index_templates"] {
            let role = json!({"cluster": [privilege]});
            let reason = refused(&json!({"name": "n", "role_descriptors": {"r": role}}));
            assert!(reason.contains(&format!("[{privilege}]")), "{reason}");
        }
    }

    #[test]
    fn an_update_leaves_what_it_does_not_name() {
        let update = ApiKeyUpdate::parse(&json!({})).expect("an update");
        assert_eq!(update, ApiKeyUpdate::default());
        let roles = json!({"r": {"cluster": ["monitor"]}});
        let body = json!({"role_descriptors": roles, "metadata": {}, "expiration": "1h"});
        let update = ApiKeyUpdate::parse(&body).expect("an update");
        let hour = Expiration::After(Duration::from_secs(3_600));
        assert_eq!(update.expiration, Some(hour));
        assert_eq!(update.metadata, Some(json!({})));
        let rights = update.roles.expect("roles").rights.expect("rights");
        assert!(rights.allow_cluster(ClusterPrivilege::Monitor));
        let body = json!({"role_descriptors": {}, "expiration": "-1"});
        let update = ApiKeyUpdate::parse(&body).expect("an update");
        assert_eq!(update.expiration, Some(Expiration::Never));
        assert_eq!(update.roles.map(|roles| roles.rights), Some(None));
        for (body, expected) in [
            (json!({"name": "other"}), "unknown field [name]"),
            (json!({"metadata": 1}), "[metadata]"),
            (
                json!({"role_descriptors": {"r": {"cluster": ["x"]}}}),
                "unknown cluster privilege [x]",
            ),
        ] {
            let error = ApiKeyUpdate::parse(&body).expect_err("refused");
            assert!(error.reason.contains(expected), "{}", error.reason);
        }
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let with =
            |grant: Value| json!({"name": "n", "role_descriptors": {"r": {"indices": [grant]}}});
        let grant = json!({"names": ["a"], "privileges": ["read"], "query": {"match_all": {}}});
        assert!(refused(&with(grant)).contains("[query] is not supported"));
        let fields =
            json!({"names": ["a"], "privileges": ["read"], "field_security": {"grant": ["x"]}});
        assert!(refused(&with(fields)).contains("[field_security]"));
        for pattern in ["-a", "a,b", "/a.*/", "a?", "_all", "", "a b"] {
            let grant = json!({"names": [pattern], "privileges": ["read"]});
            assert!(refused(&with(grant)).contains("no pattern"), "{pattern}");
        }
        let grant = json!({"names": ["a"], "privileges": ["raed"]});
        assert!(refused(&with(grant)).contains("unknown index privilege [raed]"));
        let role = json!({"name": "n", "role_descriptors": {"r": {"run_as": ["kim"]}}});
        assert!(refused(&role).contains("[run_as]"));
        assert!(refused(&json!({})).contains("name is required"));
        assert!(refused(&json!({"name": "_x"})).contains("underscore"));
        let limits = json!({"name": "n", "limits": {"concurrent": 0}});
        assert!(refused(&limits).contains("at least [1]"));
        let large = json!({"name": "n", "metadata": {"x": "y".repeat(5_000)}});
        assert!(refused(&large).contains("at most [4096]"));
    }
}
