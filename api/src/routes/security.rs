//! `_security`: API keys made, changed, shown, found and invalidated; who one is, and what one may do.

mod change;
mod invalidate;
mod last;
mod privileges;
mod query;
mod room;
mod update;

use std::sync::Arc;

use gleaner_model::ClusterPrivilege;
use gleaner_model::security::{ANONYMOUS, ApiKey, Security};
use gleaner_query::security::NewApiKey;
use gleaner_root::RootError;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::request::{Answer, Request};
use crate::response::{KeepOn, Reply};
use crate::route::{Parameter, Route};
use crate::security::{KeyHolder, Principal, Secret};
use change::{Changer, change_security};
use room::make_room;

const AT_ONCE: &[Parameter] = &[Parameter::no_effect(
    "refresh",
    "keys can be used at once, on every node",
)];

const LIMITED_BY: Parameter = Parameter::no_effect(
    "with_limited_by",
    "a key has all that it may do in its own roles",
);

const PROFILE: Parameter = Parameter::no_effect("with_profile_uid", "there are no users");

const SELECTION: &[Parameter] = &[
    Parameter::honoured("id"),
    Parameter::honoured("name"),
    Parameter::honoured("owner"),
    Parameter::honoured("active_only"),
    LIMITED_BY,
    PROFILE,
    Parameter::refused("username", "a user"),
    Parameter::refused("realm_name", "a realm"),
];

const QUERIED: &[Parameter] = &[
    LIMITED_BY,
    PROFILE,
    Parameter::no_effect("typed_keys", "there are no aggregations of keys"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "security.create_api_key",
        methods: &[Method::POST, Method::PUT],
        paths: &["/_security/api_key"],
        parameters: &[AT_ONCE],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(create(request))),
    Route {
        name: "security.update_api_key",
        methods: &[Method::PUT],
        paths: &["/_security/api_key/{id}"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(update::update(request))),
    Route {
        name: "security.query_api_keys",
        methods: &[Method::GET, Method::POST],
        paths: &["/_security/_query/api_key"],
        parameters: &[QUERIED],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(query::query(request))),
    Route {
        name: "security.get_api_key",
        methods: &[Method::GET],
        paths: &["/_security/api_key"],
        parameters: &[SELECTION],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { get(&request) })),
    Route {
        name: "security.invalidate_api_key",
        methods: &[Method::DELETE],
        paths: &["/_security/api_key"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(invalidate::invalidate(request))),
    Route {
        name: "security.authenticate",
        methods: &[Method::GET],
        paths: &["/_security/_authenticate"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { whoami(&request) })),
    Route {
        name: "security.has_privileges",
        methods: &[Method::GET, Method::POST],
        paths: &[
            "/_security/user/_has_privileges",
            "/_security/user/{name}/_has_privileges",
        ],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(privileges::check(request))),
    Route {
        name: "security.get_user_privileges",
        methods: &[Method::GET],
        paths: &["/_security/user/_privileges"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(async move { Ok(privileges::show(&request)) })),
];

/// Returns who asks, in a cluster with keys.
fn holder(request: &Request) -> Result<&KeyHolder, ApiError> {
    let off = || {
        let reason =
            "[security] is off: this cluster has no API keys, start its roots with `--secure`";
        ApiError::unsupported("security").reworded(reason)
    };
    request.sender.principal.holder().ok_or_else(off)
}

async fn create(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    let wanted = NewApiKey::parse(&body)?;
    let is_for_strangers = wanted.name == ANONYMOUS;
    let mut secret = Secret::random();
    if is_for_strangers {
        ANONYMOUS.clone_into(&mut secret.id);
    }
    let mut expires_ms = None;
    let changed = change_security(&request, |security, changer| {
        let key = new_key(&wanted, &secret, changer)?;
        expires_ms = key.expires_ms;
        let mut next = security.clone();
        make_room(&mut next, changer)?;
        next.api_keys.insert(secret.id.clone(), Arc::new(key));
        Ok(Some(next))
    });
    changed.await?;
    let mut shown = json!({"id": secret.id, "name": wanted.name});
    if let Some(expires_ms) = expires_ms {
        shown["expiration"] = expires_ms.into();
    }
    if !is_for_strangers {
        shown["api_key"] = secret.secret.as_str().into();
        shown["encoded"] = secret.encoded().into();
    }
    Ok(Reply::json(&shown))
}

/// Returns the key that `changer` makes.
///
/// # Errors
/// 403 where it would be one that he may not make; 400 where strangers would get his own rights.
fn new_key(wanted: &NewApiKey, secret: &Secret, changer: &Changer) -> Result<ApiKey, ApiError> {
    let holder = &changer.holder;
    let rights = wanted.rights.as_ref().unwrap_or(&holder.key.rights);
    changer.check_given(rights)?;
    if wanted.name == ANONYMOUS {
        changer.check_cluster(ClusterPrivilege::ManageSecurity)?;
        if wanted.rights.is_none() {
            return Err(no_roles());
        }
    }
    let mut limits = wanted.limits;
    // A sender that manages only its own keys gets none that is wider than the one that it has.
    if !manages_all(holder) {
        limits = limits.within(holder.key.limits);
    }
    Ok(ApiKey {
        name: wanted.name.clone(),
        hash: secret.hash(),
        creator: Some(holder.id.to_string()),
        created_ms: changer.now_ms,
        expires_ms: changer.ends_ms(wanted.expiration),
        invalidated_ms: None,
        rights: rights.clone(),
        limits,
        role_descriptors: wanted.role_descriptors.clone(),
        metadata: wanted.metadata.clone(),
    })
}

/// Returns the refusal of a key without roles, which would have those of another.
fn no_roles() -> ApiError {
    let reason = "[role_descriptors] is empty: name the roles of a key that is not your own";
    ApiError::illegal(reason)
}

/// Refuses to go on with an answer that takes too long, or that nobody waits for any more.
///
/// # Errors
/// 503.
fn check_time(keep_on: KeepOn<'_>) -> Result<(), ApiError> {
    match keep_on() {
        true => Ok(()),
        false => Err(RootError::Late.into()),
    }
}

/// Which keys a request names.
#[derive(Default)]
struct Selected {
    /// Their ids; `None` is any.
    ids: Option<Vec<String>>,
    /// A pattern of their names; `None` is any.
    name: Option<String>,
    /// Whether it names those alone that are one's own.
    is_own: bool,
}

impl Selected {
    /// Does it name the key?
    fn has(&self, id: &str, key: &ApiKey) -> bool {
        let is_named = self
            .name
            .as_ref()
            .is_none_or(|name| gleaner_model::mapping::matches_pattern(name, &key.name));
        let ids = self.ids.as_ref();
        is_named && ids.is_none_or(|ids| ids.iter().any(|wanted| wanted == id))
    }
}

/// May somebody see and invalidate all keys?
fn manages_all(holder: &KeyHolder) -> bool {
    holder
        .key
        .rights
        .allow_cluster(ClusterPrivilege::ManageApiKey)
}

/// Is a key one's own, or made by it?
fn is_of(holder: &KeyHolder, id: &str, key: &ApiKey) -> bool {
    *holder.id == *id || key.creator.as_deref() == Some(&*holder.id)
}

/// Refuses to name a key by its id that one may not know of.
fn check_ids(request: &Request, selected: &Selected, security: &Security) -> Result<(), ApiError> {
    let holder = holder(request)?;
    for id in selected.ids.iter().flatten() {
        let known = security.api_keys.get(id);
        if !known.is_some_and(|key| manages_all(holder) || is_of(holder, id, key)) {
            request.check_cluster(ClusterPrivilege::ManageApiKey)?;
            let reason = format!("api key [{id}] not found");
            let status = StatusCode::NOT_FOUND;
            return Err(ApiError::new(
                status,
                "resource_not_found_exception",
                reason,
            ));
        }
    }
    Ok(())
}

fn get(request: &Request) -> Answer {
    let holder = holder(request)?;
    let parameters = &request.parameters;
    let selected = Selected {
        ids: parameters.list("id").filter(|ids| !ids.is_empty()),
        name: parameters.get("name").map(str::to_owned),
        is_own: parameters.is_set("owner")?,
    };
    let is_active_only = parameters.is_set("active_only")?;
    let cluster = request.root().cluster();
    let (state, now_ms) = (cluster.state(), cluster.now_ms());
    let security = state.security.clone().unwrap_or_default();
    check_ids(request, &selected, &security)?;
    let sees_all = manages_all(holder) && !selected.is_own;
    let keys = security.api_keys.iter().filter(|(id, key)| {
        selected.has(id, key)
            && (sees_all || is_of(holder, id, key))
            && (!is_active_only || key.is_valid(now_ms))
    });
    let shown: Vec<Value> = keys.map(|(id, key)| shown(id, key)).collect();
    Ok(Reply::json(&json!({"api_keys": shown})))
}

fn shown(id: &str, key: &ApiKey) -> Value {
    let mut shown = Map::new();
    let mut add = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    add("id", id.into());
    add("name", key.name.as_str().into());
    add("type", "rest".into());
    add("creation", key.created_ms.into());
    if let Some(expires_ms) = key.expires_ms {
        add("expiration", expires_ms.into());
    }
    add("invalidated", key.invalidated_ms.is_some().into());
    if let Some(invalidated_ms) = key.invalidated_ms {
        add("invalidation", invalidated_ms.into());
    }
    add("username", username(id, key).into());
    add("realm", REALM.into());
    add("metadata", key.metadata.clone());
    add("role_descriptors", key.role_descriptors.clone());
    let limits = serde_json::to_value(key.limits).unwrap_or_default();
    add("limits", limits);
    Value::Object(shown)
}

/// Returns the name of the user that a key is of, as the dialect has it: the id of the key that made it, or its own.
fn username<'a>(id: &'a str, key: &'a ApiKey) -> &'a str {
    key.creator.as_deref().unwrap_or(id)
}

/// Where keys are known, as the dialect calls it.
const REALM: &str = "_es_api_key";

fn whoami(request: &Request) -> Answer {
    let holder = match &request.sender.principal {
        Principal::Key(holder) => holder,
        Principal::Anybody => holder(request)?,
    };
    let realm = json!({"name": REALM, "type": REALM});
    let is_stranger = *holder.id == *ANONYMOUS;
    let key = (!is_stranger).then(|| json!({"id": *holder.id, "name": holder.key.name}));
    Ok(Reply::json(&json!({
        "username": username(&holder.id, &holder.key),
        "roles": [],
        "full_name": null,
        "email": null,
        "metadata": {},
        "enabled": true,
        "authentication_realm": realm,
        "lookup_realm": realm,
        "authentication_type": if is_stranger { "anonymous" } else { "api_key" },
        "api_key": key,
    })))
}
