//! Indices that are put into data streams, and taken out of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_model::{Alias, ClusterState, IndexMeta, IndexName, IndexUuid};
use gleaner_query::QueryError;
use gleaner_query::alias;
use gleaner_query::data_stream::{StreamAction, StreamChange};

use super::Admin;
use super::streams::{TIMESTAMP, check_timestamp};
use crate::RootError;
use crate::blocks::{self, Level};

impl Admin {
    /// Applies actions on data streams in their order, all or none. An index that is added becomes the oldest of its
    /// data stream and is hidden; one that is removed is hidden no more.
    ///
    /// # Errors
    /// Data streams and indices that are missing; an index that another data stream or an alias has, or without a
    /// field `@timestamp` of dates; the removal of the index that is written to.
    pub async fn modify_data_streams(&self, actions: &[StreamAction]) -> Result<(), RootError> {
        self.change(|state| {
            let mut next = state.clone();
            for action in actions {
                match action.change {
                    StreamChange::Add => add(&mut next, action)?,
                    StreamChange::Remove => remove(&mut next, action)?,
                }
            }
            alias::check_change(state, &next)?;
            let is_changed =
                next.data_streams != state.data_streams || next.indices != state.indices;
            Ok(is_changed.then_some(next))
        })
        .await
        .map(drop)
    }
}

/// Returns the name of the data stream of an action, and the index.
fn named(
    state: &ClusterState,
    action: &StreamAction,
) -> Result<(IndexName, Arc<IndexMeta>), RootError> {
    let StreamAction { stream, index, .. } = action;
    let Some((name, _)) = state.data_streams.get_key_value(stream.as_str()) else {
        return Err(QueryError::illegal(format!("data stream [{stream}] not found")).into());
    };
    let Some(found) = state.index_named(index) else {
        return Err(QueryError::illegal(format!("index [{index}] not found")).into());
    };
    blocks::check(found, Level::MetadataWrite)?;
    Ok((name.clone(), Arc::clone(found)))
}

fn add(state: &mut ClusterState, action: &StreamAction) -> Result<(), RootError> {
    let (name, index) = named(state, action)?;
    let refused = |reason: String| {
        let index = &index.name;
        QueryError::illegal(format!(
            "cannot add index [{index}] to data stream [{name}] {reason}"
        ))
    };
    match state.data_stream_of(&index.uuid) {
        Some((owner, _)) if *owner == name => return Ok(()),
        Some((owner, _)) => {
            let reason = format!("because it is already a backing index on data stream [{owner}]");
            return Err(refused(reason).into());
        }
        None => {}
    }
    if !index.aliases.is_empty() {
        let aliases: Vec<&str> = index.aliases.keys().map(IndexName::as_str).collect();
        let aliases = aliases.join(",");
        return Err(refused(format!("until its alias(es) [{aliases}] are removed")).into());
    }
    if index.mapping.field(TIMESTAMP).is_none() {
        let reason = format!("data stream timestamp field [{TIMESTAMP}] does not exist");
        return Err(QueryError::illegal(reason).into());
    }
    check_timestamp(&index.mapping)?;
    let mut added = IndexMeta::clone(&index);
    added.aliases = aliases_of_older(state, &name);
    set_hidden(&mut added, true);
    state.indices.insert(added.uuid, Arc::new(added));
    if let Some(stream) = state.data_streams.get_mut(&name) {
        stream.indices.insert(0, index.uuid);
        stream.generation += 1;
    }
    Ok(())
}

/// Returns the aliases that an index of a data stream bears that is not written to.
fn aliases_of_older(state: &ClusterState, name: &IndexName) -> BTreeMap<IndexName, Alias> {
    let stream = state.data_streams.get(name);
    let newest = stream.and_then(|stream| stream.indices.last());
    let newest = newest.and_then(|uuid| state.indices.get(uuid));
    let mut aliases = newest
        .map(|index| index.aliases.clone())
        .unwrap_or_default();
    for alias in aliases.values_mut() {
        alias.is_write_index = Some(false);
    }
    aliases
}

fn remove(state: &mut ClusterState, action: &StreamAction) -> Result<(), RootError> {
    let (name, index) = named(state, action)?;
    let Some(stream) = state.data_streams.get_mut(&name) else {
        return Ok(());
    };
    check_removal(&stream.indices, &name, &index)?;
    stream.indices.retain(|uuid| *uuid != index.uuid);
    stream.generation += 1;
    let mut removed = IndexMeta::clone(&index);
    removed.aliases.clear();
    set_hidden(&mut removed, false);
    state.indices.insert(removed.uuid, Arc::new(removed));
    Ok(())
}

fn check_removal(
    indices: &[IndexUuid],
    stream: &IndexName,
    index: &IndexMeta,
) -> Result<(), QueryError> {
    let name = &index.name;
    if !indices.contains(&index.uuid) {
        return Err(QueryError::illegal(format!(
            "index [{name}] is not part of data stream [{stream}]"
        )));
    }
    if indices.last() == Some(&index.uuid) {
        return Err(QueryError::illegal(format!(
            "cannot remove backing index [{name}] of data stream [{stream}] because it is the write index"
        )));
    }
    Ok(())
}

fn set_hidden(index: &mut IndexMeta, is_hidden: bool) {
    index.settings.hidden = is_hidden;
    index
        .settings
        .declared
        .insert("index.hidden".to_owned(), is_hidden.to_string().into());
}

#[cfg(test)]
mod tests {
    use gleaner_model::DataStream;
    use serde_json::json;

    use super::*;
    use crate::testing;

    /// A data stream `logs` of the first two of four indices; the last has no times.
    fn state() -> ClusterState {
        let timed = json!({"properties": {"@timestamp": {"type": "date"}}});
        let indices = (0..4_u8).map(|n| match n {
            3 => testing::index(n, &json!({})),
            _ => testing::index(n, &timed),
        });
        let mut state = testing::state(indices);
        let name = IndexName::parse("logs").expect("a good name");
        let stream = DataStream {
            indices: state.indices.keys().copied().take(2).collect(),
            generation: 2,
            ..DataStream::default()
        };
        for (at, uuid) in stream.indices.iter().enumerate() {
            let alias = Alias {
                is_data_stream: true,
                is_write_index: Some(at == 1),
                ..Alias::default()
            };
            let index = state.indices.get_mut(uuid).expect("it is there");
            Arc::make_mut(index).aliases.insert(name.clone(), alias);
        }
        state.data_streams.insert(name, stream);
        state
    }

    fn action(change: StreamChange, index: &str) -> StreamAction {
        StreamAction {
            change,
            stream: "logs".to_owned(),
            index: index.to_owned(),
        }
    }

    #[test]
    fn an_index_comes_and_goes_with_its_aliases() {
        let mut state = state();
        add(&mut state, &action(StreamChange::Add, "index-2")).expect("added");
        let stream = &state.data_streams["logs"];
        let names: Vec<&str> = stream
            .indices
            .iter()
            .map(|uuid| state.indices[uuid].name.as_str())
            .collect();
        assert_eq!(names, ["index-2", "index-0", "index-1"]);
        assert_eq!(stream.generation, 3);
        let added = state.index_named("index-2").expect("it is there");
        assert!(added.settings.hidden);
        assert_eq!(added.aliases["logs"].is_write_index, Some(false));
        // Once more is no change.
        let before = state.clone();
        add(&mut state, &action(StreamChange::Add, "index-2")).expect("it is in");
        assert_eq!(state, before);
        remove(&mut state, &action(StreamChange::Remove, "index-2")).expect("removed");
        let removed = state.index_named("index-2").expect("it is there");
        assert!(removed.aliases.is_empty() && !removed.settings.hidden);
        assert_eq!(state.data_streams["logs"].indices.len(), 2);
    }

    #[test]
    fn what_would_break_a_stream_is_refused() {
        let mut state = state();
        for (change, index, expected) in [
            (StreamChange::Add, "index-3", "[@timestamp] does not exist"),
            (StreamChange::Add, "none", "index [none] not found"),
            (
                StreamChange::Remove,
                "index-2",
                "index [index-2] is not part of data stream [logs]",
            ),
            (
                StreamChange::Remove,
                "index-1",
                "because it is the write index",
            ),
        ] {
            let action = action(change, index);
            let refused = match change {
                StreamChange::Add => add(&mut state, &action),
                StreamChange::Remove => remove(&mut state, &action),
            };
            let reason = refused.expect_err("refused").to_string();
            assert!(reason.contains(expected), "{reason}");
        }
    }
}
