//! `DELETE _security/api_key`: ends API keys by id or by name, or all of one's own.
//!
//! What a body may name together is checked as in the `InvalidateApiKeyRequest` of Elasticsearch. An id that no key has is
//! passed over.

use std::sync::Arc;

use gleaner_model::ClusterPrivilege;
use gleaner_model::security::Security;
use gleaner_query::json::ObjectReader;
use serde_json::{Value, json};

use super::change::{Changer, change_security};
use super::last::{Ending, check_last};
use super::{Selected, is_of, manages_all};
use crate::error::ApiError;
use crate::request::{Answer, Request};
use crate::response::Reply;

pub(super) async fn invalidate(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    let selected = parse(&body)?;
    let mut outcome = Outcome::default();
    let changed = change_security(&request, |security, changer| {
        check_reached(changer, &selected, security)?;
        let mut next = security.clone();
        outcome = end(&mut next, &selected, changer);
        if outcome.ended.is_empty() {
            return Ok(None);
        }
        check_last(security, &next, changer, Ending::Now)?;
        Ok(Some(next))
    });
    changed.await?;
    Ok(Reply::json(&json!({
        "invalidated_api_keys": outcome.ended,
        "previously_invalidated_api_keys": outcome.ended_before,
        "error_count": 0,
    })))
}

/// Reads which keys are to end.
fn parse(body: &Value) -> Result<Selected, ApiError> {
    let mut reader = ObjectReader::part("invalidate_api_key", body)?;
    let ids = ids(&mut reader)?;
    let name = reader.text("name")?.filter(|name| has_text(name));
    let is_own = reader.boolean("owner")?.unwrap_or(false);
    let mut users = ["username", "realm_name"].into_iter();
    let names_user = users.any(|key| reader.take(key).is_some_and(is_named));
    let names_keys = ids.is_some() || name.is_some();
    let checks = [
        (
            !names_keys && !is_own && !names_user,
            "One of [api key id(s), api key name, username, realm name] must be specified if [owner] flag is false",
        ),
        (
            names_keys && names_user,
            "username or realm name must not be specified when the api key id(s) or api key name are specified",
        ),
        (
            is_own && names_user,
            "neither username nor realm-name may be specified when invalidating owned API keys",
        ),
        (
            ids.is_some() && name.is_some(),
            "only one of [api key id(s), api key name] can be specified",
        ),
    ];
    let failed = checks.into_iter().filter(|(is_failed, _)| *is_failed);
    let reasons: Vec<String> = failed.map(|(_, reason)| reason.to_owned()).collect();
    if !reasons.is_empty() {
        return Err(ApiError::validation(&reasons));
    }
    if names_user {
        reader.unsupported(&["username", "realm_name"])?;
    }
    reader.finish()?;
    Ok(Selected { ids, name, is_own })
}

/// Reads the ids of keys; `None` where the body names none. `id` is how version 7 named one.
fn ids(reader: &mut ObjectReader<'_>) -> Result<Option<Vec<String>>, ApiError> {
    let (ids, id) = (reader.texts("ids")?, reader.text("id")?);
    if ids.is_some() && id.is_some() {
        let reason = "Must use either [id] or [ids], not both at the same time";
        return Err(ApiError::illegal(reason));
    }
    let Some(ids) = ids else {
        return Ok(id.filter(|id| has_text(id)).map(|id| vec![id]));
    };
    if ids.is_empty() {
        let reason = "Field [ids] cannot be an empty array".to_owned();
        return Err(ApiError::validation(&[reason]));
    }
    let places = ids.iter().enumerate();
    let blank = places.filter_map(|(at, id)| (!has_text(id)).then_some(at));
    let blank: Vec<usize> = blank.collect();
    let (noun, place) = match blank.len() {
        0 => return Ok(Some(ids)),
        1 => ("id", "position"),
        _ => ("ids", "positions"),
    };
    Err(ApiError::validation(&[format!(
        "Field [ids] must not contain blank id, but got blank {noun} at index {place}: {blank:?}"
    )]))
}

fn has_text(text: &str) -> bool {
    !text.trim().is_empty()
}

/// Does a value name a user or a realm? A blank text names none, as in the dialect.
fn is_named(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => has_text(text),
        _ => true,
    }
}

/// Refuses ids that are not one's own, whether there are such keys or not, to those who may not manage all. Where the
/// request is for one's own alone, the others are passed over.
fn check_reached(
    changer: &Changer,
    selected: &Selected,
    security: &Security,
) -> Result<(), ApiError> {
    let is_own = |id: &String| {
        let key = security.api_keys.get(id);
        key.is_some_and(|key| is_of(&changer.holder, id, key))
    };
    match selected.is_own || selected.ids.iter().flatten().all(is_own) {
        true => Ok(()),
        false => changer.check_cluster(ClusterPrivilege::ManageApiKey),
    }
}

/// The ids of the keys that a request names.
#[derive(Default)]
struct Outcome {
    /// Those that it ended.
    ended: Vec<String>,
    /// Those that had been ended before.
    ended_before: Vec<String>,
}

/// Ends the keys that `selected` names, as far as they are in the reach of `changer`.
fn end(security: &mut Security, selected: &Selected, changer: &Changer) -> Outcome {
    let holder = &changer.holder;
    let reaches_all = manages_all(holder) && !selected.is_own;
    let mut outcome = Outcome::default();
    for (id, key) in &mut security.api_keys {
        if !selected.has(id, key) || !(reaches_all || is_of(holder, id, key)) {
            continue;
        }
        if key.invalidated_ms.is_some() {
            outcome.ended_before.push(id.clone());
            continue;
        }
        Arc::make_mut(key).invalidated_ms = Some(changer.now_ms);
        outcome.ended.push(id.clone());
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_body_may_not_name_together_is_refused() {
        let one = "One of [api key id(s), api key name, username, realm name] must be specified if [owner] flag is false";
        let only_one = "only one of [api key id(s), api key name] can be specified";
        let no_user = "username or realm name must not be specified when the api key id(s) or api key name are specified";
        let no_owner =
            "neither username nor realm-name may be specified when invalidating owned API keys";
        let place =
            "Field [ids] must not contain blank id, but got blank id at index position: [1]";
        let places =
            "Field [ids] must not contain blank id, but got blank ids at index positions: [0, 2]";
        let empty = "Field [ids] cannot be an empty array";
        for (body, reasons) in [
            (json!({"owner": true, "ids": []}), &[empty][..]),
            (json!({"ids": []}), &[empty][..]),
            (json!({"ids": ["a", " "]}), &[place][..]),
            (json!({"ids": ["", "a", ""]}), &[places][..]),
            (json!({}), &[one][..]),
            (json!({"name": " ", "owner": false}), &[one][..]),
            (json!({"ids": ["a"], "name": "b"}), &[only_one][..]),
            (json!({"name": "b", "realm_name": "r"}), &[no_user][..]),
            (json!({"owner": true, "username": "u"}), &[no_owner][..]),
            (
                json!({"owner": true, "ids": ["a"], "username": "u"}),
                &[no_user, no_owner][..],
            ),
        ] {
            let error = parse(&body).err().expect("refused");
            let reasons: Vec<String> = reasons.iter().map(|&reason| reason.to_owned()).collect();
            let expected = ApiError::validation(&reasons);
            assert_eq!(error.reason(), expected.reason(), "{body}");
            assert_eq!(error.kind(), expected.kind(), "{body}");
        }
        for body in [json!({"username": "u"}), json!({"ids": ["a"], "id": "b"})] {
            assert!(parse(&body).is_err(), "{body}");
        }
    }

    #[test]
    fn blank_users_and_realms_are_none() {
        let body = json!({"id": "a", "username": null, "realm_name": ""});
        let selected = parse(&body).expect("read");
        assert_eq!(selected.ids, Some(vec!["a".to_owned()]));
        let own = parse(&json!({"owner": true})).expect("read");
        assert!(own.is_own && own.ids.is_none() && own.name.is_none());
    }
}
