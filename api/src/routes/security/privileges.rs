//! `_security/user/_has_privileges` and `_security/user/_privileges`: what the sender of a request may do.
//!
//! Does: hold the privileges that a body names against the rights of the sender's key, and list those rights. Does not:
//! answer for anybody else, or take actions (`indices:data/read/search`) for privileges. In a cluster without keys
//! everybody may do everything, as a superuser of the dialect.
//! Read first: [`check`]. The names of privileges are in `foreign`.
//! Source: Elasticsearch reference, *Has privileges*, *Get user privileges* and *Security privileges*.

mod foreign;

use std::collections::{BTreeMap, BTreeSet};

use gleaner_model::security::{ANONYMOUS, IndexGrant};
use gleaner_model::{ClusterPrivilege, IndexPrivilege, Rights};
use gleaner_query::QueryError;
use gleaner_query::json::ObjectReader;
use serde_json::{Map, Value, json};

use super::{check_time, username};
use crate::error::ApiError;
use crate::request::{Answer, Request};
use crate::response::{Buffer, Extent, KeepOn, Reply};
use foreign::{parse_cluster_privilege, parse_index_privilege};

/// Most privileges on single names and resources in one request: the answer has a line for each.
const MOST_CHECKS: usize = 10_000;

/// Most bytes of a name in a request: as of an index.
const MOST_BYTES_OF_NAME: usize = 255;

/// Most bytes of an answer. It has each privilege once for each name, so it can be much larger than its request.
const MOST_BYTES: usize = 4 << 20;

/// Bytes of a line of an answer beside the name that it has.
const LINE_BYTES: usize = 10;

/// Steps to hold a name against a pattern.
const STEPS_PER_PATTERN: usize = 64;

/// Privileges to look for.
struct Wanted {
    /// By their names; `None`: `none`, which everybody has.
    cluster: BTreeMap<String, Option<ClusterPrivilege>>,
    indices: Vec<IndexCheck>,
    applications: Vec<ApplicationCheck>,
}

/// Privileges to look for on names of indices.
struct IndexCheck {
    names: Vec<String>,
    /// By their names; `None`: `none`, which everybody has.
    privileges: BTreeMap<String, Option<IndexPrivilege>>,
}

/// Privileges to look for on resources of an application.
struct ApplicationCheck {
    application: String,
    privileges: BTreeSet<String>,
    resources: Vec<String>,
}

pub(super) async fn check(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    let name = name_of_sender(&request);
    if request.part("name").is_some_and(|named| named != name) {
        request.check_cluster(ClusterPrivilege::ManageSecurity)?;
        let reason = "users may only check the privileges of their own account";
        return Err(ApiError::illegal(reason));
    }
    let wanted = Wanted::parse(&body, name)?;
    let name = name.to_owned();
    let rights = rights_of_sender(&request);
    let is_superuser = request.sender.principal.holder().is_none();
    let extent = wanted.extent(&rights);
    let held = request.making.memory.reserve(extent.body_bytes)?;
    let write = move |out: &mut Buffer<'_>| {
        let checked = Checked::of(&wanted, &rights, is_superuser, out.keep_on());
        let written = out.try_json(checked.map(|checked| checked.into_json(&name)));
        drop(held);
        written
    };
    let body = request.making.written(extent, write).await?;
    Ok(Reply::made(body))
}

/// Lists what the sender may do.
pub(super) fn show(request: &Request) -> Reply {
    let rights = rights_of_sender(request);
    let cluster = rights.cluster.iter().map(ToString::to_string);
    let cluster: BTreeSet<String> = cluster.collect();
    let indices = rights.indices.iter().map(|grant| {
        let privileges = grant.privileges.iter().map(ToString::to_string);
        json!({
            "names": grant.names,
            "privileges": privileges.collect::<BTreeSet<String>>(),
            "allow_restricted_indices": false,
        })
    });
    Reply::json(&json!({
        "cluster": cluster,
        "global": [],
        "indices": indices.collect::<Vec<Value>>(),
        "applications": [],
        "run_as": [],
    }))
}

/// Returns the name that `_security/_authenticate` shows; in a cluster without keys that of strangers.
fn name_of_sender(request: &Request) -> &str {
    let holder = request.sender.principal.holder();
    holder.map_or(ANONYMOUS, |holder| username(&holder.id, &holder.key))
}

/// Returns what the sender may do.
fn rights_of_sender(request: &Request) -> Rights {
    let holder = request.sender.principal.holder();
    holder.map_or_else(Rights::all, |holder| holder.key.rights.clone())
}

impl Wanted {
    /// Reads the body of a request of the user called `name`.
    ///
    /// # Errors
    /// Names of privileges that the dialect does not know; bodies that ask for nothing or too much.
    fn parse(body: &Value, name: &str) -> Result<Self, ApiError> {
        let mut reader = ObjectReader::part("has_privileges", body)?;
        let cluster = reader.texts("cluster")?;
        check_lengths("cluster", cluster.iter().flatten())?;
        let indices = entries(&mut reader, &["index"])?;
        let applications = entries(&mut reader, &["application", "applications"])?;
        reader.finish()?;
        if cluster.is_none() && indices.is_none() && applications.is_none() {
            return Err(ApiError::parse(format!(
                "failed to parse privileges check [{name}]. All privilege parameters [cluster,index,applications] are missing"
            )));
        }
        let indices = indices.unwrap_or_default().iter().map(IndexCheck::parse);
        let applications = applications.unwrap_or_default();
        let applications = applications.iter().map(ApplicationCheck::parse);
        let cluster = by_name(cluster.unwrap_or_default(), parse_cluster_privilege);
        let wanted = Self {
            cluster: cluster?,
            indices: indices.collect::<Result<_, _>>()?,
            applications: applications.collect::<Result<_, _>>()?,
        };
        let is_empty = wanted.cluster.is_empty()
            && wanted.indices.is_empty()
            && wanted.applications.is_empty();
        if is_empty {
            let reason = "must specify at least one privilege".to_owned();
            return Err(ApiError::validation(&[reason]));
        }
        wanted.check_size()?;
        Ok(wanted)
    }

    /// Refuses what has too large an answer.
    fn check_size(&self) -> Result<(), ApiError> {
        let num_checks = self.num_checks();
        if num_checks > MOST_CHECKS {
            return Err(ApiError::illegal(format!(
                "the request asks for [{num_checks}] privileges on single names, at most [{MOST_CHECKS}] are answered"
            )));
        }
        let num_bytes = self.num_bytes();
        match num_bytes > MOST_BYTES {
            true => Err(ApiError::illegal(format!(
                "the answer would have [{num_bytes}] bytes, at most [{MOST_BYTES}] bytes are answered"
            ))),
            false => Ok(()),
        }
    }

    /// Returns how much there is to the answer of one who has `rights`.
    fn extent(&self, rights: &Rights) -> Extent {
        let patterns = rights.indices.iter().map(|grant| grant.names.len());
        let num_patterns = patterns.sum::<usize>();
        let num_matches = self.num_checks().saturating_mul(num_patterns);
        let body_bytes = self.num_bytes();
        let work_bytes = num_matches.saturating_mul(STEPS_PER_PATTERN);
        Extent {
            work_bytes: work_bytes.saturating_add(body_bytes),
            body_bytes,
        }
    }

    /// Returns how many bytes the answer has for names of indices and resources of applications, at most.
    fn num_bytes(&self) -> usize {
        let indices = self.indices.iter();
        let indices = indices.map(|check| num_bytes(&check.names, check.privileges.keys()));
        let applications = self.applications.iter().map(|check| {
            let resources = num_bytes(&check.resources, check.privileges.iter());
            resources.saturating_add(check.application.len() + LINE_BYTES)
        });
        indices.chain(applications).fold(0, usize::saturating_add)
    }

    /// Returns how many lines the answer has for names of indices and resources of applications.
    fn num_checks(&self) -> usize {
        let indices = self.indices.iter();
        let indices = indices.map(|check| check.names.len().saturating_mul(check.privileges.len()));
        let applications = self.applications.iter();
        let applications =
            applications.map(|check| check.resources.len().saturating_mul(check.privileges.len()));
        indices.chain(applications).fold(0, usize::saturating_add)
    }
}

/// Returns how many bytes an answer has for each of `privileges` on each of `names`.
fn num_bytes<'a>(names: &[String], privileges: impl Iterator<Item = &'a String>) -> usize {
    let lines = privileges.map(|name| name.len() + LINE_BYTES);
    let lines = lines.fold(0, usize::saturating_add);
    let names = names.iter().map(|name| name.len() + LINE_BYTES);
    let all = names.map(|name| name.saturating_add(lines));
    all.fold(0, usize::saturating_add)
}

/// Refuses long names under `key`.
///
/// # Errors
/// `illegal_argument_exception`.
fn check_lengths<'a>(
    key: &str,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<(), QueryError> {
    let mut lengths = names.into_iter().map(String::len);
    match lengths.find(|length| *length > MOST_BYTES_OF_NAME) {
        None => Ok(()),
        Some(length) => Err(QueryError::illegal(format!(
            "[{key}] has a name of [{length}] bytes, at most [{MOST_BYTES_OF_NAME}] are taken"
        ))),
    }
}

/// Returns the list under the first of `keys` that is there.
fn entries<'a>(
    reader: &mut ObjectReader<'a>,
    keys: &[&'static str],
) -> Result<Option<&'a [Value]>, QueryError> {
    match reader.take_any(keys) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(entries)) => Ok(Some(entries)),
        Some(other) => Err(reader.wrong(keys[0], "a list of objects", other)),
    }
}

/// Returns the texts of a key that an entry must have.
fn required(reader: &mut ObjectReader<'_>, key: &'static str) -> Result<Vec<String>, QueryError> {
    let texts = reader.texts(key)?.filter(|texts| !texts.is_empty());
    let texts = texts.ok_or_else(|| {
        let name = reader.name();
        QueryError::parsing(format!("[{name}] is missing the required [{key}] field"))
    })?;
    check_lengths(key, &texts)?;
    Ok(texts)
}

/// Reads each of `names` with `parse`.
fn by_name<P>(
    names: Vec<String>,
    parse: fn(&str) -> Result<Option<P>, QueryError>,
) -> Result<BTreeMap<String, Option<P>>, QueryError> {
    let mut privileges = BTreeMap::new();
    for name in names {
        let privilege = parse(&name)?;
        privileges.insert(name, privilege);
    }
    Ok(privileges)
}

impl IndexCheck {
    fn parse(entry: &Value) -> Result<Self, QueryError> {
        let mut reader = ObjectReader::part("index", entry)?;
        // Rights on parts of documents.
        reader.unsupported_unless_empty(&["query", "field_security"])?;
        let names = required(&mut reader, "names")?;
        let privileges = required(&mut reader, "privileges")?;
        // There are no restricted indices: the answer is the same with them.
        reader.boolean("allow_restricted_indices")?;
        reader.finish()?;
        Ok(Self {
            names,
            privileges: by_name(privileges, parse_index_privilege)?,
        })
    }
}

impl ApplicationCheck {
    fn parse(entry: &Value) -> Result<Self, QueryError> {
        let mut reader = ObjectReader::part("application", entry)?;
        let application = reader.text("application")?.filter(|name| !name.is_empty());
        let application = application.ok_or_else(|| {
            QueryError::parsing("[application] is missing the required [application] field")
        })?;
        check_lengths("application", [&application])?;
        let privileges = required(&mut reader, "privileges")?;
        let resources = required(&mut reader, "resources")?;
        reader.finish()?;
        Ok(Self {
            application,
            privileges: privileges.into_iter().collect(),
            resources,
        })
    }
}

/// The answer, while it is made.
#[derive(Default)]
struct Checked {
    cluster: Map<String, Value>,
    /// By name of an index.
    index: Map<String, Value>,
    /// By name of an application.
    application: Map<String, Value>,
    num_lacking: usize,
}

impl Checked {
    /// Holds what is wanted against `rights`.
    ///
    /// # Errors
    /// 503 where there was no time.
    fn of(
        wanted: &Wanted,
        rights: &Rights,
        is_superuser: bool,
        keep_on: KeepOn<'_>,
    ) -> Result<Self, ApiError> {
        let mut checked = Self::default();
        for (name, privilege) in &wanted.cluster {
            let has = checked.note(has_on_cluster(rights, *privilege));
            checked.cluster.insert(name.clone(), has);
        }
        for check in &wanted.indices {
            for name in &check.names {
                check_time(keep_on)?;
                checked.check_index(name, &check.privileges, rights);
            }
        }
        for check in &wanted.applications {
            check_time(keep_on)?;
            checked.check_application(check, is_superuser);
        }
        Ok(checked)
    }

    /// Returns the answer to the user called `name`.
    fn into_json(self, name: &str) -> Value {
        let has_all = self.num_lacking == 0;
        let mut shown = Map::new();
        let mut add = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
        add("username", name.into());
        add("has_all_requested", has_all.into());
        add("cluster", Value::Object(self.cluster));
        add("index", Value::Object(self.index));
        add("application", Value::Object(self.application));
        Value::Object(shown)
    }

    /// Counts what the sender lacks.
    fn note(&mut self, has: bool) -> Value {
        self.num_lacking += usize::from(!has);
        Value::Bool(has)
    }

    fn check_index(
        &mut self,
        name: &str,
        privileges: &BTreeMap<String, Option<IndexPrivilege>>,
        rights: &Rights,
    ) {
        for (privilege_name, privilege) in privileges {
            let has = self.note(has_on_index(rights, *privilege, name));
            let shown = self.index.entry(name).or_insert_with(|| json!({}));
            shown[privilege_name.as_str()] = has;
        }
    }

    /// There are no privileges on applications: keys have none.
    fn check_application(&mut self, check: &ApplicationCheck, is_superuser: bool) {
        for resource in &check.resources {
            for privilege in &check.privileges {
                let has = self.note(is_superuser);
                let shown = self.application.entry(check.application.as_str());
                let shown = shown.or_insert_with(|| json!({}));
                if shown.get(resource).is_none() {
                    shown[resource.as_str()] = json!({});
                }
                shown[resource.as_str()][privilege.as_str()] = has;
            }
        }
    }
}

/// Do `rights` cover a privilege on the cluster? Everybody has the privilege `None`.
fn has_on_cluster(rights: &Rights, privilege: Option<ClusterPrivilege>) -> bool {
    privilege.is_none_or(|privilege| rights.allow_cluster(privilege))
}

/// Do `rights` cover a privilege on an index or alias, or on all names that match a pattern? Everybody has the privilege
/// `None`.
fn has_on_index(rights: &Rights, privilege: Option<IndexPrivilege>, name: &str) -> bool {
    let Some(privilege) = privilege else {
        return true;
    };
    if !name.contains('*') || name.contains(',') {
        return rights.allow_index(privilege, name);
    }
    let grant = IndexGrant {
        names: vec![name.to_owned()],
        privileges: vec![privilege],
    };
    let asked = Rights {
        cluster: Vec::new(),
        indices: vec![grant],
    };
    rights.lack(&asked).is_none()
}

#[cfg(test)]
mod tests;
