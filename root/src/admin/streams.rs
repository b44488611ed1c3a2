//! Data streams, and the next index of one or of an alias.
//!
//! A data stream is kept as an alias of its indices, so every search and every change that names it reaches them;
//! the list in the cluster state says in which order they were made. Its alias is changed here alone.

use std::sync::Arc;

use gleaner_model::template::DataStreamTemplate;
use gleaner_model::{
    Alias, ClusterState, DataStream, FieldKind, IndexMeta, IndexName, IndexUuid, Mapping,
};
use gleaner_query::QueryError;
use gleaner_query::alias;
use gleaner_query::names::{ExpandWildcards, NewName, expand_date_math, resolve_streams};
use gleaner_query::templates::{
    Composed, ComposedFrom, check_no_stream, compose, index_template_of,
};
use serde_json::{Value, json};

use super::{Admin, check_free};
use crate::RootError;
use crate::lifecycle::rollover_alias;

/// The field that tells when what a document of a data stream tells of was.
pub(crate) const TIMESTAMP: &str = "@timestamp";

/// What an alias or a data stream goes on with.
pub(crate) struct Next<'a> {
    /// The alias or data stream.
    pub(crate) target: &'a str,
    /// The index that is replaced.
    pub(crate) old: IndexUuid,
    /// Name of the next.
    pub(crate) name: &'a NewName,
    /// Its number in a data stream, from 1; 0 under an alias, which has none.
    pub(crate) generation: u64,
    /// What it gets beside what templates say.
    pub(crate) body: &'a Value,
}

/// Refuses to close the index that a data stream is written to.
pub(super) fn check_not_written(state: &ClusterState, index: &IndexMeta) -> Result<(), QueryError> {
    let stream = state.data_stream_of(&index.uuid).map(|(_, stream)| stream);
    let newest = stream.and_then(|stream| stream.indices.last());
    if newest != Some(&index.uuid) {
        return Ok(());
    }
    Err(QueryError::illegal(format!(
        "cannot close the following data stream write indices [{}]",
        index.name
    )))
}

impl Admin {
    /// Returns the number and the name of the next index of a data stream whose newest has the number `generation`.
    /// Names that are taken are passed over.
    ///
    /// # Errors
    /// A name that no index can bear.
    pub(crate) fn next_backing(
        &self,
        state: &ClusterState,
        stream: &str,
        mut generation: u64,
    ) -> Result<(u64, NewName), RootError> {
        loop {
            generation += 1;
            let name = self.backing_name(stream, generation)?;
            if check_free(state, &name.name).is_ok() {
                return Ok((generation, name));
            }
        }
    }

    /// Returns the name of the index with number `generation` of a data stream, made today.
    fn backing_name(&self, stream: &str, generation: u64) -> Result<NewName, RootError> {
        let day = expand_date_math("<{now/d}>", self.cluster.now_ms())?;
        let name = format!(".ds-{stream}-{day}-{generation:06}");
        Ok(NewName::from(IndexName::parse(&name)?.as_str()))
    }

    /// Creates a data stream with its first index, as the template for its name says.
    ///
    /// # Errors
    /// A name that is taken or that no data stream template is for.
    pub async fn create_data_stream(&self, name: &str) -> Result<(), RootError> {
        let uuid = IndexUuid(rand::random());
        self.change(|state| {
            if state.data_streams.contains_key(name) {
                return Err(RootError::DataStreamExists(name.to_owned()));
            }
            let stream = IndexName::parse(name)?;
            check_free(state, name)?;
            // An index that once was of a stream of this name may bear the first name.
            let (generation, backing) = self.next_backing(state, name, 0)?;
            let next = Next {
                target: name,
                old: uuid,
                name: &backing,
                generation,
                body: &Value::Null,
            };
            let (index, of) = self.backing_index(state, &next, uuid)?;
            let mut changed = state.clone();
            changed.indices.insert(uuid, Arc::new(index));
            let created = DataStream {
                indices: vec![uuid],
                generation,
                hidden: of.hidden,
                allow_custom_routing: of.allow_custom_routing,
                lifecycle: compose(&state.templates, name).0.stream_lifecycle()?,
            };
            changed.data_streams.insert(stream, created);
            take_writes(&mut changed, uuid);
            alias::check_change(state, &changed)?;
            check_streams(state, &changed)?;
            Ok(Some(changed))
        })
        .await
        .map(drop)
    }

    /// Deletes the data streams that names and wildcards stand for, with their indices. `expand` says which of them
    /// wildcards stand for.
    ///
    /// # Errors
    /// `index_not_found_exception` for a name that no data stream bears.
    pub async fn delete_data_streams(
        &self,
        names: &str,
        expand: ExpandWildcards,
    ) -> Result<(), RootError> {
        self.change(|state| {
            let mut next = state.clone();
            for (name, stream) in resolve_streams(names, state, expand)? {
                next.data_streams.remove(name);
                for uuid in &stream.indices {
                    next.delete_index(uuid);
                }
            }
            Ok((next.data_streams != state.data_streams).then_some(next))
        })
        .await
        .map(drop)
    }

    /// Checks what [`Admin::put_next`] would do.
    ///
    /// # Errors
    /// As that.
    pub(crate) fn check_next(&self, next: &Next<'_>) -> Result<(), RootError> {
        let uuid = IndexUuid(rand::random());
        self.with_next(&self.cluster.state(), next, uuid).map(drop)
    }

    /// Has an alias or a data stream go on with its next index; `None` where the old one is not the one that is
    /// written to any more, or the newest state is not as `check` wants it.
    ///
    /// # Errors
    /// A name that is taken, and what templates and the body refuse.
    pub(crate) async fn put_next(
        &self,
        next: &Next<'_>,
        check: impl Fn(&ClusterState) -> bool,
    ) -> Result<Option<Arc<IndexMeta>>, RootError> {
        let uuid = IndexUuid(rand::random());
        let changed = self
            .change(|state| match check(state) {
                true => self.with_next(state, next, uuid),
                false => Ok(None),
            })
            .await?;
        Ok(changed.indices.get(&uuid).cloned())
    }

    fn with_next(
        &self,
        state: &ClusterState,
        next: &Next<'_>,
        uuid: IndexUuid,
    ) -> Result<Option<ClusterState>, RootError> {
        let written = gleaner_query::names::resolve_write(next.target, state)?;
        let old = match written {
            Some(written) if written.meta.uuid == next.old => written.meta,
            _ => return Ok(None),
        };
        check_free(state, &next.name.name)?;
        let mut changed = state.clone();
        let index = match changed.data_streams.get_mut(next.target) {
            Some(stream) => {
                // An index that came into the stream or left it meanwhile has counted on, too.
                stream.generation = next.generation.max(stream.generation + 1);
                stream.indices.push(uuid);
                let (index, of) = self.backing_index(state, next, uuid)?;
                stream.allow_custom_routing |= of.allow_custom_routing;
                index
            }
            None => self.aliased_index(state, next, uuid, &old)?,
        };
        let mut replaced = IndexMeta::clone(&old);
        // Under another alias it is not at its end.
        let is_stream = state.data_streams.contains_key(next.target);
        if is_stream || rollover_alias(&old) == Some(next.target) {
            replaced.rolled_over_ms = Some(self.cluster.now_ms().max(old.created_ms));
        }
        let alias = replaced.aliases.get_mut(next.target);
        // An alias that says of each index whether it is written to keeps the old one for searches.
        match alias {
            Some(alias) if alias.is_write_index.is_some() => alias.is_write_index = Some(false),
            _ => drop(replaced.aliases.remove(next.target)),
        }
        if is_stream {
            let others = replaced.aliases.values_mut();
            others.for_each(|alias| alias.is_write_index = Some(false));
        }
        changed.indices.insert(replaced.uuid, Arc::new(replaced));
        changed.indices.insert(uuid, Arc::new(index));
        alias::check_change(state, &changed)?;
        Ok(Some(changed))
    }

    /// Returns the next index of an alias, which bears it as the old one did.
    fn aliased_index(
        &self,
        state: &ClusterState,
        next: &Next<'_>,
        uuid: IndexUuid,
        old: &IndexMeta,
    ) -> Result<IndexMeta, RootError> {
        let name = IndexName::parse(&next.name.name)?;
        let (composed, from) = compose(&state.templates, name.as_str());
        check_no_stream(name.as_str(), from)?;
        if composed.aliases.contains_key(next.target) {
            let target = next.target;
            let of = match from {
                ComposedFrom::Index(of, _) => of,
                ComposedFrom::Legacy => "legacy",
            };
            return Err(QueryError::illegal(format!(
                "Rollover alias [{target}] can point to multiple indices, found duplicated alias [[{target}]] in \
                 index template [{of}]"
            ))
            .into());
        }
        let limits = self.cluster.limits();
        let mut new = composed.new_index(name.as_str(), from, next.body, &limits)?;
        if let Some((alias, known)) = old.aliases.get_key_value(next.target) {
            new.aliases.insert(alias.clone(), known.clone());
        }
        let mut index = self.placed(state, uuid, &name, new)?;
        index.provided_name.clone_from(&next.name.provided);
        Ok(index)
    }

    /// Returns the next index of a data stream, and what its template says of the stream.
    fn backing_index(
        &self,
        state: &ClusterState,
        next: &Next<'_>,
        uuid: IndexUuid,
    ) -> Result<(IndexMeta, DataStreamTemplate), RootError> {
        check_unsaid(next.body)?;
        let name = IndexName::parse(&next.name.name)?;
        let stream = IndexName::parse(next.target)?;
        let template = index_template_of(&state.templates, next.target);
        let Some(of) = template.and_then(|(_, template)| template.data_stream) else {
            return Err(QueryError::illegal(format!(
                "no matching index template found for data stream [{stream}]"
            ))
            .into());
        };
        let (mut composed, from) = compose(&state.templates, next.target);
        let hidden = Value::from("true");
        composed.settings.insert("index.hidden".to_owned(), hidden);
        add_timestamp(&mut composed);
        if of.allow_custom_routing {
            let routing = composed.mappings.entry("_routing");
            routing.or_insert_with(|| json!({"required": true}));
        }
        let limits = self.cluster.limits();
        let mut new = composed.new_index(name.as_str(), from, &Value::Null, &limits)?;
        check_timestamp(&new.mapping)?;
        // Templates give their aliases to a data stream that is made; later they are what was made of them.
        let aliases = match state.indices.get(&next.old) {
            Some(old) => old.aliases.clone(),
            None if new.aliases.contains_key(&stream) => return Err(of_stream(&stream).into()),
            None => std::mem::take(&mut new.aliases),
        };
        let aliases = aliases.into_iter();
        let aliases = aliases.filter(|(_, known)| !known.is_data_stream);
        new.aliases = aliases
            .map(|(alias, known)| (alias, alias_of_stream(known)))
            .collect();
        let alias = Alias {
            is_write_index: Some(true),
            is_hidden: Some(of.hidden),
            is_data_stream: true,
            ..Alias::default()
        };
        new.aliases.insert(stream.clone(), alias);
        Ok((self.placed(state, uuid, &name, new)?, of))
    }
}

/// Refuses what a request says of the next index of a data stream: its template says that.
fn check_unsaid(body: &Value) -> Result<(), QueryError> {
    let is_said = |part: &Value| match part {
        Value::Null => false,
        Value::Object(entries) => !entries.is_empty(),
        _ => true,
    };
    let mut parts = body.as_object().into_iter().flatten();
    if parts.any(|(_, part)| is_said(part)) {
        let reason = "aliases, mappings, and index settings may not be specified when rolling over a data stream";
        return Err(QueryError::illegal(reason));
    }
    Ok(())
}

/// Returns an alias as the newest index of a data stream bears it.
fn alias_of_stream(alias: Alias) -> Alias {
    Alias {
        is_write_index: Some(alias.is_write_index == Some(true)),
        filter: alias.filter,
        ..Alias::default()
    }
}

/// Has the aliases by which a new index takes writes give up those of other data streams.
fn take_writes(state: &mut ClusterState, newest: IndexUuid) {
    let Some(index) = state.indices.get(&newest).cloned() else {
        return;
    };
    let aliases = index.aliases.iter();
    let taken = aliases.filter(|(_, of)| of.is_write_index == Some(true) && !of.is_data_stream);
    for (name, _) in taken {
        for (uuid, other) in &mut state.indices {
            let before = other.aliases.get(name).and_then(|of| of.is_write_index);
            if *uuid == newest || other.stream_name().is_none() || before != Some(true) {
                continue;
            }
            if let Some(alias) = Arc::make_mut(other).aliases.get_mut(name) {
                alias.is_write_index = Some(false);
            }
        }
    }
}

/// Adds the field that tells when what a document of a data stream tells of was, where no template says what it is.
pub(super) fn add_timestamp(composed: &mut Composed) {
    let fields = composed.mappings.entry("properties");
    let fields = fields.or_insert_with(|| json!({}));
    if let Value::Object(fields) = fields {
        let date = json!({"type": "date"});
        fields.entry(TIMESTAMP).or_insert(date);
    }
}

/// Refuses a mapping without the field that tells when what a document of a data stream tells of was.
pub(super) fn check_timestamp(mapping: &Mapping) -> Result<(), QueryError> {
    let field = mapping.field(TIMESTAMP);
    match field.map(|field| &field.kind) {
        Some(FieldKind::Date { .. }) => Ok(()),
        _ => Err(QueryError::illegal(format!(
            "data stream timestamp field [{TIMESTAMP}] must be of type [date]"
        ))),
    }
}

/// Refuses to change the alias that a data stream is, or to delete the index that it writes to.
pub(super) fn check_streams(state: &ClusterState, next: &ClusterState) -> Result<(), QueryError> {
    for (name, stream) in &state.data_streams {
        // A stream that is deleted goes with its indices.
        if !next.data_streams.contains_key(name) {
            continue;
        }
        let write = stream.indices.last();
        for uuid in &stream.indices {
            let Some(before) = state.indices.get(uuid) else {
                continue;
            };
            let Some(after) = next.indices.get(uuid) else {
                if Some(uuid) == write {
                    let index = &before.name;
                    return Err(QueryError::illegal(format!(
                        "index [{index}] is the write index for data stream [{name}] and cannot be deleted"
                    )));
                }
                continue;
            };
            if before.aliases.get(name.as_str()) != after.aliases.get(name.as_str()) {
                return Err(of_stream(name));
            }
        }
        let bearers = |state: &ClusterState| state.aliased(name.as_str()).count();
        let is_of = |uuid: &&IndexUuid| next.indices.contains_key(*uuid);
        if bearers(next) != stream.indices.iter().filter(is_of).count() {
            return Err(of_stream(name));
        }
    }
    Ok(())
}

fn of_stream(name: &IndexName) -> QueryError {
    QueryError::illegal(format!(
        "the name [{name}] is that of a data stream: aliases of that name cannot be added, changed or removed"
    ))
}

#[cfg(test)]
mod tests {
    use gleaner_model::template::IndexTemplate;
    use gleaner_query::settings::NewIndex;

    use super::super::templates::NewTemplate;
    use super::*;
    use crate::testing::Fixture;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_data_stream_passes_over_names_that_are_taken() {
        let fixture = Fixture::new([]);
        let admin = fixture.root.admin();
        let template = IndexTemplate {
            index_patterns: vec!["logs-*".to_owned()],
            data_stream: Some(DataStreamTemplate::default()),
            ..IndexTemplate::default()
        };
        let template = NewTemplate::Index(template);
        let put = admin.put_template("logs", &template, false).await;
        put.expect("put");
        admin.create_data_stream("logs-a").await.expect("made");
        for generation in [2, 3] {
            let taken = admin.backing_name("logs-a", generation);
            let taken = taken.expect("a good name").name;
            let made = admin.create_index(&taken, NewIndex::default()).await;
            made.expect("made");
        }
        let state = fixture.root.cluster().state();
        let next = admin.next_backing(&state, "logs-a", 1);
        let (generation, name) = next.expect("a free name");
        let next = Next {
            target: "logs-a",
            old: state.data_streams["logs-a"].indices[0],
            name: &name,
            generation,
            body: &Value::Null,
        };
        let made = admin.put_next(&next, |_| true).await;
        let made = made.expect("no fault").expect("replaced");
        assert!(made.name.as_str().ends_with("-000004"), "{}", made.name);
        let state = fixture.root.cluster().state();
        assert_eq!(state.data_streams["logs-a"].generation, 4);
    }
}
