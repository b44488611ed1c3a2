//! Changes of index metadata: always a compare-and-swap on the cluster state.

mod active_shards;
mod backing;
mod lifecycles;
mod settings;
mod shard_limit;
mod steps;
pub(crate) mod streams;
pub mod templates;

use std::collections::BTreeSet;
use std::sync::Arc;

use gleaner_analysis::AnalyzerRegistry;
use gleaner_coordinator::update;
use gleaner_model::{
    ActiveShards, ClusterState, IndexMeta, IndexName, IndexSettings, IndexUuid, Mapping,
    PrimaryTerm, Security,
};
use gleaner_query::QueryError;
use gleaner_query::alias::{self, AliasAction};
use gleaner_query::mapping::{AnalysisName, MappingRules, check_analyzers, parse_mapping};
use gleaner_query::names::{self, NewName, ResolveOptions};
use gleaner_query::settings::{
    cluster, has_similarity, loses_similarity, resets_setting, undeclared_settings,
    update_index_settings,
};
use gleaner_query::templates as composing;
use serde_json::Value;

pub use gleaner_query::settings::NewIndex;
pub use settings::{ClusterSettingChanges, SettingChanges};

use crate::SharedParts;
use crate::blocks::{self, Level};
use crate::cluster::ClusterView;
use crate::visibility::Refresher;
use crate::{RootError, analyzers as registry, placing};

/// Sets the number of replicas of an index that says none.
fn replicate(settings: &mut IndexSettings, replicas: u32) {
    settings.number_of_replicas = replicas;
    settings.declared.insert(
        "index.number_of_replicas".to_owned(),
        replicas.to_string().into(),
    );
}

/// Changes indices, aliases and settings, by agreement with the coordinator.
pub struct Admin {
    pub(crate) cluster: Arc<ClusterView>,
    pub(crate) refresher: Arc<Refresher>,
    pub(crate) analyzers: Arc<crate::analyzers::Cache>,
}

impl Admin {
    pub(crate) fn new(shared: &SharedParts, refresher: &Arc<Refresher>) -> Self {
        Self {
            cluster: Arc::clone(&shared.cluster),
            refresher: Arc::clone(refresher),
            analyzers: Arc::clone(&shared.analyzers),
        }
    }
}

impl Admin {
    /// Creates an index of these settings and fields, whatever templates say; its shards are opened by the leaves as
    /// soon as they hear of it.
    ///
    /// # Errors
    /// [`RootError::IndexExists`], names and settings that break a rule.
    pub async fn create_index(
        &self,
        name: &str,
        new: NewIndex,
    ) -> Result<Arc<IndexMeta>, RootError> {
        let name = NewName::from(name);
        self.create(&name, ActiveShards::ONE, |_| Ok(new.clone()))
            .await
    }

    /// As [`Admin::create_index`]; what `body` does not say comes from the templates for the name. The request will wait
    /// for `wanted` copies of each shard.
    ///
    /// # Errors
    /// As [`Admin::create_index`], a body that cannot be read, a name that templates make a data stream of, and more
    /// wanted copies than the index is to have.
    pub async fn create_index_by_templates(
        &self,
        name: &NewName,
        body: &Value,
        wanted: ActiveShards,
    ) -> Result<Arc<IndexMeta>, RootError> {
        let limits = self.cluster.limits();
        self.create(name, wanted, |state| {
            let name = name.name.as_str();
            let (composed, from) = composing::compose(&state.templates, name);
            composing::check_no_stream(name, from)?;
            Ok(composed.new_index(name, from, body, &limits)?)
        })
        .await
    }

    async fn create(
        &self,
        given: &NewName,
        wanted: ActiveShards,
        new: impl Fn(&ClusterState) -> Result<NewIndex, RootError>,
    ) -> Result<Arc<IndexMeta>, RootError> {
        let name = IndexName::parse(&given.name)?;
        let uuid = IndexUuid(rand::random());
        let state = self
            .change(|state| {
                check_free(state, name.as_str())?;
                let mut index = self.placed(state, uuid, &name, new(state)?)?;
                active_shards::check_wanted(wanted, &index.settings)?;
                index.provided_name.clone_from(&given.provided);
                let mut next = state.clone();
                next.indices.insert(uuid, Arc::new(index));
                alias::check_change(state, &next)?;
                streams::check_streams(state, &next)?;
                Ok(Some(next))
            })
            .await?;
        let created = state.indices.get(&uuid).cloned();
        created.ok_or_else(|| RootError::IndexNotFound(name.to_string()))
    }

    /// Returns a new index with its copies placed, checked against what is there.
    fn placed(
        &self,
        state: &ClusterState,
        uuid: IndexUuid,
        name: &IndexName,
        new: NewIndex,
    ) -> Result<IndexMeta, RootError> {
        check_known(
            &new.mapping,
            None,
            &new.settings,
            &registry::build(&new.settings)?,
        )?;
        for alias in new.aliases.keys() {
            alias::check_free(alias, name, state)?;
        }
        let NewIndex {
            mut settings,
            says_replicas,
            mapping,
            aliases,
            final_name,
        } = new;
        if !says_replicas {
            replicate(&mut settings, self.cluster.options.default_replicas);
        }
        active_shards::check(&settings)?;
        shard_limit::check(state, &settings, self.cluster.options.max_shards_per_node)?;
        // Its primaries are opened for the first time: see `leaf`.
        let terms = vec![PrimaryTerm::default(); settings.number_of_shards as usize];
        let mut index = IndexMeta {
            created_ms: self.cluster.now_ms(),
            settings,
            mapping: Arc::new(mapping),
            aliases,
            primary_terms: terms,
            final_name,
            ..IndexMeta::new(uuid, name.clone())
        };
        index.copies = placing::copies(state, &index)?;
        Ok(index)
    }

    /// Deletes the indices named; aliases may not be named.
    ///
    /// # Errors
    /// [`RootError::Query`] when a name is missing or is an alias.
    pub async fn delete_indices(
        &self,
        expression: &str,
        options: &ResolveOptions,
    ) -> Result<(), RootError> {
        let options = ResolveOptions {
            ignore_aliases: true,
            allow_closed: true,
            ..*options
        };
        self.change(|state| {
            cluster::check_destructive(state.settings(), expression)?;
            let found = names::resolve(expression, state, &options)?;
            for found in &found {
                blocks::check_deletion(&found.meta)?;
            }
            if found.is_empty() {
                return Ok(None);
            }
            let mut next = state.clone();
            for found in &found {
                next.delete_index(&found.meta.uuid);
            }
            streams::check_streams(state, &next)?;
            Ok(Some(next))
        })
        .await?;
        Ok(())
    }

    /// Merges `body` into the mappings of the indices named.
    ///
    /// # Errors
    /// What cannot be read or merged; no index is changed then.
    pub async fn put_mapping(
        &self,
        expression: &str,
        options: &ResolveOptions,
        body: &Value,
        write_index_only: bool,
    ) -> Result<(), RootError> {
        self.change_indices(expression, options, |_, index| {
            if write_index_only && !is_write_index(index, expression) {
                return Ok(None);
            }
            blocks::check(index, Level::MetadataWrite)?;
            let rules = MappingRules::from(&index.settings);
            let mapping = parse_mapping(body, Some(&index.mapping), &rules)?;
            let registry = self.analyzers.of(index)?;
            check_known(&mapping, Some(&index.mapping), &index.settings, &registry)?;
            if mapping == *index.mapping {
                return Ok(None);
            }
            Ok(Some(IndexMeta {
                mapping: Arc::new(mapping),
                ..index.clone()
            }))
        })
        .await
    }

    /// Changes dynamic settings of the indices named.
    ///
    /// # Errors
    /// Settings that are unknown, fixed, or out of range; no index is changed then.
    pub async fn put_settings(
        &self,
        expression: &str,
        options: &ResolveOptions,
        body: &Value,
        preserve_existing: bool,
    ) -> Result<(), RootError> {
        self.change_indices(expression, options, |state, index| {
            let body = if preserve_existing {
                undeclared_settings(&index.settings, body)?
            } else {
                body.clone()
            };
            let name = index.name.as_str();
            let mut settings =
                update_index_settings(&index.settings, &body, name, index.is_closed)?;
            if resets_setting(&body, "index.number_of_replicas")? {
                replicate(&mut settings, self.cluster.options.default_replicas);
            }
            let is_replicated_anew =
                settings.number_of_replicas != index.settings.number_of_replicas;
            // Leaves may have joined since the same number was asked for.
            let filled = match !is_replicated_anew && names_replicas(&body) {
                true => placing::with_missing(state, index)?,
                false => None,
            };
            if settings == index.settings && filled.is_none() {
                return Ok(None);
            }
            active_shards::check_change(&index.settings, &settings)?;
            if loses_similarity(&index.settings, &settings) {
                check_similarities(&index.mapping, &settings)?;
            }
            // Or no block could be lifted.
            if filled.is_some() || !differ_in_blocks_only(&settings, &index.settings) {
                blocks::check(index, Level::MetadataWrite)?;
            }
            let mut mapping = Arc::clone(&index.mapping);
            if settings.analysis != index.settings.analysis {
                registry::build(&settings)?;
                // Leaves build analyzers anew with each version of the mapping.
                Arc::make_mut(&mut mapping).version.0 += 1;
            }
            let mut changed = IndexMeta {
                settings,
                mapping,
                ..index.clone()
            };
            // Without a table every leaf has the whole index, and a table would take it away.
            if is_replicated_anew && !index.copies.is_empty() {
                changed.copies = placing::copies(state, &changed)?;
            } else if let Some(copies) = filled {
                changed.copies = copies;
            }
            Ok(Some(changed))
        })
        .await
    }

    /// Opens or closes the indices named. Those that are opened show all that was written to them.
    ///
    /// # Errors
    /// [`RootError::Query`] when a name is missing.
    pub async fn set_closed(
        &self,
        expression: &str,
        options: &ResolveOptions,
        is_closed: bool,
    ) -> Result<(), RootError> {
        let options = ResolveOptions {
            allow_closed: true,
            ..*options
        };
        let mut shards = BTreeSet::new();
        self.change_indices(expression, &options, |state, index| {
            cluster::check_destructive(state.settings(), expression)?;
            if is_closed {
                settings::check_closing(state)?;
                streams::check_not_written(state, index)?;
            }
            blocks::check(index, Level::MetadataWrite)?;
            shards.extend(index.shards());
            Ok((index.is_closed != is_closed).then(|| IndexMeta {
                is_closed,
                ..index.clone()
            }))
        })
        .await?;
        if !is_closed {
            // A copy that cannot now does so by its own refresh interval.
            self.refresher.show_all(shards.into_iter()).await;
        }
        Ok(())
    }

    /// Applies alias actions, all or none.
    ///
    /// # Errors
    /// Names that are missing or break a rule.
    pub async fn update_aliases(&self, actions: &[AliasAction]) -> Result<(), RootError> {
        self.change(|state| {
            let changes = alias::apply_alias_actions(actions, state)?;
            let mut next = state.clone();
            let named = changes.aliases.keys().chain(&changes.removed);
            let named = named.filter_map(|uuid| state.indices.get(uuid));
            // An alias of a data stream is not its indices' own: a block of one does not hold it up.
            let is_own = |index: &&Arc<IndexMeta>| {
                index.stream_name().is_none() || changes.removed.contains(&index.uuid)
            };
            for index in named.filter(is_own) {
                blocks::check(index, Level::MetadataWrite)?;
            }
            for (uuid, aliases) in changes.aliases {
                if let Some(index) = next.indices.get_mut(&uuid) {
                    Arc::make_mut(index).aliases = aliases;
                }
            }
            for uuid in changes.removed {
                next.delete_index(&uuid);
            }
            alias::check_change(state, &next)?;
            streams::check_streams(state, &next)?;
            Ok((next.indices != state.indices).then_some(next))
        })
        .await?;
        Ok(())
    }

    /// Changes the keys of a cluster that has some; `None` from `change` leaves them.
    ///
    /// # Errors
    /// What `change` fails with, [`RootError::Coordinator`], and that the cluster has no keys.
    pub async fn change_security<F>(&self, mut change: F) -> Result<Arc<ClusterState>, RootError>
    where
        F: FnMut(&Security) -> Result<Option<Security>, QueryError>,
    {
        self.change(|state| {
            let Some(security) = &state.security else {
                let reason = "this cluster has no API keys: start its roots with `--secure`";
                return Err(QueryError::illegal(reason).into());
            };
            let changed = change(security)?;
            Ok(changed.map(|security| ClusterState {
                security: Some(Arc::new(security)),
                ..state.clone()
            }))
        })
        .await
    }

    async fn change_indices<F>(
        &self,
        expression: &str,
        options: &ResolveOptions,
        mut change: F,
    ) -> Result<(), RootError>
    where
        F: FnMut(&ClusterState, &IndexMeta) -> Result<Option<IndexMeta>, RootError>,
    {
        self.change(|state| {
            let mut next = None;
            for found in names::resolve(expression, state, options)? {
                if let Some(index) = change(state, &found.meta)? {
                    let next = next.get_or_insert_with(|| state.clone());
                    next.indices.insert(index.uuid, Arc::new(index));
                }
            }
            if let Some(next) = &next {
                let default = self.cluster.options.max_shards_per_node;
                shard_limit::check_growth(state, next, default)?;
            }
            Ok(next)
        })
        .await?;
        Ok(())
    }

    pub(crate) async fn change<F>(&self, change: F) -> Result<Arc<ClusterState>, RootError>
    where
        F: FnMut(&ClusterState) -> Result<Option<ClusterState>, RootError>,
    {
        update::<RootError, F>(&*self.cluster.coordinator, change).await
    }
}

fn is_write_index(index: &IndexMeta, expression: &str) -> bool {
    index
        .aliases
        .get(expression)
        .is_none_or(|alias| alias.is_write_index != Some(false))
}

/// Refuses a name that an index or an alias bears.
pub(crate) fn check_free(state: &ClusterState, name: &str) -> Result<(), RootError> {
    if let Some(index) = state.index_named(name) {
        let uuid = index.uuid.to_string();
        return Err(RootError::IndexExists {
            name: name.to_owned(),
            uuid,
        });
    }
    if state.aliased(name).next().is_some() {
        let kind = gleaner_query::error::ErrorType::InvalidIndexName;
        let reason = format!("Invalid index name [{name}], already exists as alias");
        return Err(gleaner_query::QueryError::new(kind, reason).into());
    }
    Ok(())
}

/// Refuses a mapping that newly names an analyzer or normalizer its index does not define.
fn check_known(
    mapping: &Mapping,
    before: Option<&Mapping>,
    settings: &IndexSettings,
    registry: &AnalyzerRegistry,
) -> Result<(), RootError> {
    let is_known = |name: AnalysisName<'_>| match name {
        AnalysisName::Analyzer(name) => registry.analyzer(name).is_some(),
        AnalysisName::Normalizer(name) => registry.normalizer(name).is_some(),
        AnalysisName::Similarity(name) => has_similarity(settings, name),
    };
    check_analyzers(mapping, before, &MappingRules::from(settings), &is_known)?;
    Ok(())
}

/// Refuses settings that lack a similarity which fields name.
fn check_similarities(mapping: &Mapping, settings: &IndexSettings) -> Result<(), RootError> {
    let is_known = |name: AnalysisName<'_>| match name {
        AnalysisName::Similarity(name) => has_similarity(settings, name),
        AnalysisName::Analyzer(_) | AnalysisName::Normalizer(_) => true,
    };
    check_analyzers(mapping, None, &MappingRules::from(settings), &is_known)?;
    Ok(())
}

/// Returns whether `body` says how many replicas there are to be, in whichever form.
fn names_replicas(body: &Value) -> bool {
    let mut entries = body.as_object().into_iter().flatten();
    entries.any(|(key, value)| key.ends_with("number_of_replicas") || names_replicas(value))
}

fn differ_in_blocks_only(one: &IndexSettings, other: &IndexSettings) -> bool {
    let others = |settings: &IndexSettings| {
        let mut declared = settings.declared.clone();
        declared.retain(|key, _| !key.starts_with("index.blocks."));
        declared
    };
    others(one) == others(other)
}

#[cfg(test)]
mod tests;
