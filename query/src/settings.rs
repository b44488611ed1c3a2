//! Index settings and the body that creates an index; settings of the cluster ([`cluster`]).
//!
//! Does: read settings, flat or nested, with or without `index.` ([`parse_index_settings`]), change
//! dynamic ones ([`update_index_settings`], [`undeclared_settings`]), read a whole create-index body
//! ([`parse_create_index`]). Which settings exist, and which have an effect, stands in one table (`known`).
//! Does not: check analyzers ([`IndexSettings::analysis`] is for the room of that name).

pub mod auto_create;
pub mod cluster;
mod create;
mod flat;
mod given;
mod known;
mod resize;
mod similarity;
mod sort;

use gleaner_model::IndexSettings;
use gleaner_model::mapping::matches_pattern;
use gleaner_model::settings::routing_slots_for;
use serde_json::{Map, Value};

pub use create::{NewIndex, parse_create_index, parse_kept_part_of_index, parse_part_of_index};
pub use resize::{MAX_PRIMARY_SHARD_SIZE, Resize, resized_settings, with_shards_below};
pub use similarity::{has_similarity, loses_similarity, similarities};

use crate::error::{ErrorType, QueryError};
use given::GivenSetting;
use known::{Effect, Scope};

/// Prefix of the analysis settings, which stay a tree.
const ANALYSIS: &str = "index.analysis.";

/// Returns settings as they are kept and shown: by their dotted keys, scalars as texts. `null` stays.
///
/// # Errors
/// `illegal_argument_exception` for what is no object of settings.
pub fn flat_settings(value: &Value) -> Result<Map<String, Value>, QueryError> {
    let entries = flat::flatten(value)?.into_iter();
    let shown = entries.map(|(key, value)| {
        let value = if value.is_null() {
            value
        } else {
            flat::shown(&value)
        };
        (key, value)
    });
    Ok(shown.collect())
}

/// Reads the settings of a new index; what is not given has its default.
///
/// # Errors
/// `illegal_argument_exception` naming a setting that is unknown, refused or out of range, or those that do not go
/// together.
pub fn parse_index_settings(value: &Value) -> Result<IndexSettings, QueryError> {
    let settings = parse_some_settings(value)?;
    check_groups(&settings)?;
    Ok(settings)
}

/// Refuses settings that contradict each other: templates may have given some, the request others.
fn check_groups(settings: &IndexSettings) -> Result<(), QueryError> {
    similarity::check_group(&settings.declared)?;
    sort::check_group(&settings.declared)
}

/// Reads some of the settings of a new index: others may complete them.
///
/// # Errors
/// `illegal_argument_exception` naming a setting that is unknown, refused or out of range.
pub(crate) fn parse_some_settings(value: &Value) -> Result<IndexSettings, QueryError> {
    let mut settings = IndexSettings::default();
    let entries = flat::flatten(value)?;
    similarity::check_names(&entries)?;
    for (key, value) in &entries {
        if !value.is_null() {
            apply(&mut settings, key, value)?;
        }
    }
    settings.analysis = flat::nest(&entries, ANALYSIS)?;
    settings.routing_slots = routing_slots_for(settings.number_of_shards);
    settings.declared = entries
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key, flat::shown(&value)))
        .collect();
    declare_numbers(&mut settings);
    Ok(settings)
}

/// Changes settings of an index that exists; `null` gives a setting its default again, and all that a key with `*`
/// matches and that can change now.
///
/// # Errors
/// `illegal_argument_exception` as [`parse_index_settings`], for settings that are fixed at creation,
/// or while the index is open, and for analyzers and normalizers that would be gone.
pub fn update_index_settings(
    current: &IndexSettings,
    value: &Value,
    index: &str,
    is_closed: bool,
) -> Result<IndexSettings, QueryError> {
    let mut entries = flat::flatten(unwrapped(value))?;
    reset_matching(&mut entries, &current.declared, is_closed);
    check_scopes(&entries, index, is_closed)?;
    similarity::check_names(&entries)?;
    let mut declared = current.declared.clone();
    // An absent key has no place to keep; order of the others stays.
    declared.retain(|key, _| !entries.get(key).is_some_and(Value::is_null));
    for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
        declared.insert(key.clone(), flat::shown(value));
    }
    let mut settings = IndexSettings::default();
    for (key, value) in &declared {
        apply(&mut settings, key, value)?;
    }
    similarity::check_group(&declared)?;
    settings.analysis = current.analysis.clone();
    if entries.keys().any(|key| key.starts_with(ANALYSIS)) {
        change_analysis(&mut settings.analysis, &entries)?;
        check_kept(&current.analysis, &settings.analysis, index)?;
    }
    settings.routing_slots = current.routing_slots;
    settings.declared = declared;
    declare_numbers(&mut settings);
    Ok(settings)
}

/// Returns whether `body` gives the setting `key`, a whole name, its default: by its name, or by a pattern that it matches.
///
/// # Errors
/// As [`flat_settings`].
pub fn resets_setting(body: &Value, key: &str) -> Result<bool, QueryError> {
    let entries = flat_settings(body)?;
    let mut patterns = entries.iter();
    Ok(match entries.get(key) {
        Some(value) => value.is_null(),
        None => patterns.any(|(pattern, value)| {
            resets_matching(pattern, value) && matches_pattern(pattern, key)
        }),
    })
}

/// Returns whether an entry resets all that its key matches.
fn resets_matching(key: &str, value: &Value) -> bool {
    value.is_null() && key.contains('*')
}

/// Puts the settings of `declared` that can change now in place of the patterns that reset them; what else is said of
/// such a setting holds. Analysis and similarities are reset by patterns that name them only: fields use them.
fn reset_matching(
    entries: &mut Map<String, Value>,
    declared: &Map<String, Value>,
    is_closed: bool,
) {
    let patterns: Vec<String> = entries
        .iter()
        .filter(|(key, value)| resets_matching(key, value))
        .map(|(key, _)| key.clone())
        .collect();
    if patterns.is_empty() {
        return;
    }
    entries.retain(|key, value| !resets_matching(key, value));
    for key in declared.keys() {
        let used = [ANALYSIS, similarity::PREFIX];
        let prefix = used.into_iter().find(|prefix| key.starts_with(prefix));
        let is_matched = patterns.iter().any(|pattern| {
            let names_it = prefix.is_none_or(|prefix| pattern.starts_with(prefix));
            matches_pattern(pattern, key) && names_it
        });
        let can_change = match scope_of(key) {
            Some(Scope::Dynamic) => true,
            Some(Scope::Static) => is_closed,
            Some(Scope::Final) | None => false,
        };
        if is_matched && can_change {
            entries.entry(key.as_str()).or_insert(Value::Null);
        }
    }
}

/// Takes out what is `null`, then puts in the rest.
fn change_analysis(analysis: &mut Value, entries: &Map<String, Value>) -> Result<(), QueryError> {
    for (key, value) in entries {
        if let Some(path) = key.strip_prefix(ANALYSIS).filter(|_| value.is_null()) {
            flat::remove(analysis, path);
        }
    }
    let added = flat::nest(entries, ANALYSIS)?;
    flat::overlay(analysis, &added);
    Ok(())
}

/// Refuses changes that leave nothing of an analyzer or normalizer: fields name them, and an index
/// whose fields name what is not there could not be opened.
fn check_kept(before: &Value, after: &Value, index: &str) -> Result<(), QueryError> {
    for part in ["analyzer", "normalizer"] {
        let Some(names) = before.get(part).and_then(Value::as_object) else {
            continue;
        };
        let kept = after.get(part);
        if let Some(gone) = names
            .keys()
            .find(|name| kept.and_then(|kept| kept.get(name.as_str())).is_none())
        {
            return Err(wrong(format!(
                "Can't remove {part} [{gone}] of [{index}], fields may use it; it can be changed"
            )));
        }
    }
    Ok(())
}

/// Returns the settings of `value` that an index does not declare yet, flat. Patterns reset nothing then: what they
/// match is declared.
///
/// # Errors
/// `illegal_argument_exception` for what is no object of settings.
pub fn undeclared_settings(current: &IndexSettings, value: &Value) -> Result<Value, QueryError> {
    let mut entries = flat::flatten(unwrapped(value))?;
    entries
        .retain(|key, value| !current.declared.contains_key(key) && !resets_matching(key, value));
    Ok(Value::Object(entries))
}

/// Returns what a body holds under `settings`, if that is all it holds, and else the body.
fn unwrapped(value: &Value) -> &Value {
    match value.as_object() {
        Some(body) if body.len() == 1 => body.get("settings").unwrap_or(value),
        _ => value,
    }
}

/// Reads one setting into its typed place.
fn apply(settings: &mut IndexSettings, key: &str, value: &Value) -> Result<(), QueryError> {
    if key.starts_with(ANALYSIS) {
        return Ok(());
    }
    match known::find(key).map(|known| &known.effect) {
        Some(Effect::Set(set)) => set(settings, &GivenSetting { key, value }),
        Some(Effect::Accepted) => Ok(()),
        Some(Effect::Refused(why)) => Err(wrong(format!("setting [{key}] {why}"))),
        Some(Effect::Only(wanted)) => {
            let text = GivenSetting { key, value }.text()?;
            if text == *wanted {
                return Ok(());
            }
            Err(wrong(format!(
                "setting [{key}] of [{text}] is not supported, only [{wanted}] is"
            )))
        }
        None => Err(unknown(key)),
    }
}

/// Returns when a setting may change; `None` where there is no such setting.
fn scope_of(key: &str) -> Option<Scope> {
    match key.starts_with(ANALYSIS) {
        true => Some(Scope::Static),
        false => known::find(key).map(|known| known.scope),
    }
}

/// Refuses settings that cannot change now.
fn check_scopes(
    entries: &Map<String, Value>,
    index: &str,
    is_closed: bool,
) -> Result<(), QueryError> {
    let mut fixed = Vec::new();
    for key in entries.keys() {
        match scope_of(key).ok_or_else(|| unknown(key))? {
            Scope::Final => {
                return Err(wrong(format!(
                    "final {index} setting [{key}], not updateable"
                )));
            }
            Scope::Static if !is_closed => fixed.push(key.as_str()),
            Scope::Static | Scope::Dynamic => {}
        }
    }
    if fixed.is_empty() {
        return Ok(());
    }
    fixed.sort_unstable();
    Err(wrong(format!(
        "Can't update non dynamic settings [[{}]] for open indices [[{index}]]",
        fixed.join(", ")
    )))
}

/// Echoes shard and replica counts even where nobody gave them, as the dialect does.
fn declare_numbers(settings: &mut IndexSettings) {
    for (key, number) in [
        ("index.number_of_shards", settings.number_of_shards),
        ("index.number_of_replicas", settings.number_of_replicas),
    ] {
        let text = Value::from(number.to_string());
        settings.declared.entry(key).or_insert(text);
    }
}

fn wrong(reason: String) -> QueryError {
    QueryError::new(ErrorType::Settings, reason)
}

fn unknown(key: &str) -> QueryError {
    wrong(format!(
        "unknown setting [{key}] please check that any required plugins are installed, or check \
         the breaking changes documentation for removed settings"
    ))
}

#[cfg(test)]
mod tests;
