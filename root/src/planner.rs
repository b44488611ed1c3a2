//! Which shards to ask, and what: names → indices → resolved queries.

use std::collections::BTreeSet;
use std::sync::Arc;

use gleaner_model::{IndexMeta, ShardKey};
use gleaner_proto::search::HighlightWhat;
use gleaner_query::QueryError;
use gleaner_query::aggregation;
use gleaner_query::dsl::Query;
use gleaner_query::names::{self, ResolvedIndex};
use gleaner_query::resolved::{Clause, NamedClause};
use gleaner_query::search::{Highlight, SearchRequest, Slice};
use gleaner_query::settings::similarities;
use gleaner_shard_router::shard_of;

use crate::blocks::{self, Level};
use crate::cluster::ClusterView;
use crate::plan::{IndexPlan, PlannedShard, ResolvedQueries, SearchedIndices, Target};
use crate::resolve::{Expansions, Resolver, check_factors};
use crate::scatter::Scatterer;
use crate::token::{IndexViews, PointInTimeState};
use crate::{RootError, SharedParts};

/// Turns requests into what shards are asked.
pub struct Planner {
    pub(crate) cluster: Arc<ClusterView>,
    pub(crate) scatterer: Arc<Scatterer>,
    pub(crate) analyzers: Arc<crate::analyzers::Cache>,
    pub(crate) expansions: crate::expansion::Cache,
    pub(crate) statistics: Arc<crate::statistics::Cache>,
    pub(crate) shown: Arc<crate::shown::VisibleFloor>,
}

impl Planner {
    pub(crate) fn new(shared: &SharedParts, scatterer: &Arc<Scatterer>) -> Self {
        Self {
            cluster: Arc::clone(&shared.cluster),
            scatterer: Arc::clone(scatterer),
            analyzers: Arc::clone(&shared.analyzers),
            expansions: crate::expansion::Cache::default(),
            statistics: Arc::clone(&shared.statistics),
            shown: Arc::clone(&shared.shown),
        }
    }
}

/// What a search of an index would ask.
#[derive(Debug, Clone)]
pub struct SearchedIndex {
    /// The index, and the aliases it was reached through.
    pub found: ResolvedIndex,
    /// Its shards, in order; by routing, those of the routing values alone.
    pub shards: Vec<ShardKey>,
}

impl Planner {
    /// Returns the shards that a search of `target` would ask, index by index, whatever it looks for.
    ///
    /// # Errors
    /// [`RootError`] when the names cannot be resolved, or one is closed.
    pub fn searched(&self, target: &Target) -> Result<Vec<SearchedIndex>, RootError> {
        let state = self.cluster.state();
        let searched = |found: ResolvedIndex| {
            if found.meta.is_closed {
                return Err(RootError::IndexClosed(found.meta.name.to_string()));
            }
            let of_aliases = found.search_routing.as_deref();
            let routing = names::search_routing(target.routing.as_deref(), of_aliases);
            let shards = routed_shards(&found.meta, routing.as_ref()).collect();
            Ok(SearchedIndex { found, shards })
        };
        let found = names::resolve(target.name(), &state, &target.options)?;
        found.into_iter().map(searched).collect()
    }

    /// Returns the indices and shards that `target` names to be read, nothing resolved yet.
    pub(crate) fn targets(&self, target: &Target) -> Result<Vec<IndexPlan>, RootError> {
        self.targets_at(target, Some(Level::Read))
    }

    /// The same for something that blocks keep out at `level`; `None` where none does.
    pub(crate) fn targets_at(
        &self,
        target: &Target,
        level: Option<Level>,
    ) -> Result<Vec<IndexPlan>, RootError> {
        let state = self.cluster.state();
        let found = names::resolve(target.name(), &state, &target.options)?;
        let mut plans = Vec::with_capacity(found.len());
        for found in found {
            let index = found.meta;
            if index.is_closed {
                return Err(RootError::IndexClosed(index.name.to_string()));
            }
            if let Some(level) = level {
                blocks::check(&index, level)?;
            }
            let of_aliases = found.search_routing.as_deref();
            let routing = names::search_routing(target.routing.as_deref(), of_aliases);
            let alias_filters = found
                .filters
                .iter()
                .map(|filter| gleaner_query::dsl::parse_query(filter, &self.cluster.limits()))
                .collect::<Result<_, _>>()?;
            let alias_filter_texts = found.filters.iter().map(ToString::to_string).collect();
            let shards = routed_shards(&index, routing.as_ref());
            let leaves = &self.cluster.leaves;
            let shown = |shard| self.shown.of(shard, || leaves.history(shard));
            let shards = shards.map(|shard| PlannedShard::newest(shard, shown(shard)));
            let shards = shards.collect();
            plans.push(IndexPlan {
                index,
                shards,
                alias_filters,
                alias_filter_texts,
                boost: 1.0,
                resolved: ResolvedQueries::default(),
                has_patterns: false,
                lost: Vec::new(),
                hopeless: Vec::new(),
                excluded: Vec::new(),
            });
        }
        Ok(plans)
    }

    /// Returns what a search reads, nothing resolved yet.
    pub(crate) fn look_up(
        &self,
        indices: SearchedIndices<'_>,
    ) -> Result<Vec<IndexPlan>, RootError> {
        match indices {
            SearchedIndices::Named(target) => self.targets(target),
            SearchedIndices::Pinned(state) => self.pinned(state),
        }
    }

    /// Returns the plans to search the views of `state`, nothing resolved yet. An index that is gone has no context; one
    /// that was closed is refused.
    pub(crate) fn pinned(&self, state: &PointInTimeState) -> Result<Vec<IndexPlan>, RootError> {
        let cluster = self.cluster.state();
        let plan_of = |views: &IndexViews| {
            let index = cluster.indices.get(&views.uuid());
            let index = index.ok_or_else(|| {
                RootError::ContextMissing(gleaner_model::names::shown(&views.uuid()))
            })?;
            if index.is_closed {
                return Err(RootError::IndexClosed(index.name.to_string()));
            }
            blocks::check(index, Level::Read)?;
            let alias_filters = views
                .alias_filters
                .iter()
                .map(|text| self.parse_filter(text))
                .collect::<Result<Vec<_>, RootError>>()?;
            let shards = state
                .pinned(views)
                .map(|(shard, node, view)| PlannedShard::pinned(shard, node, view))
                .collect();
            Ok(IndexPlan {
                index: Arc::clone(index),
                shards,
                alias_filters,
                alias_filter_texts: views.alias_filters.clone(),
                boost: 1.0,
                resolved: ResolvedQueries::default(),
                has_patterns: false,
                lost: Vec::new(),
                hopeless: Vec::new(),
                excluded: Vec::new(),
            })
        };
        state.indices.iter().map(plan_of).collect()
    }

    fn parse_filter(&self, text: &str) -> Result<gleaner_query::dsl::Query, RootError> {
        let json = serde_json::from_str(text)
            .map_err(|error| RootError::BadToken(format!("alias filter in id: {error}")))?;
        Ok(gleaner_query::dsl::parse_query(
            &json,
            &self.cluster.limits(),
        )?)
    }

    /// Resolves the request's queries for one index.
    pub(crate) fn resolve_plan(
        &self,
        plan: &mut IndexPlan,
        asked: DatedRequest<'_>,
        expansions: &mut Expansions,
    ) -> Result<(), RootError> {
        let analyzers = self.analyzers.of(&plan.index)?;
        let limits = &self.cluster.limits();
        let index = Arc::clone(&plan.index);
        let mut resolver = Resolver::new(&index, &analyzers, limits, asked.now_ms, expansions);
        let resolved = resolve_request(&mut resolver, asked.request, plan);
        plan.resolved = resolved.map_err(|source| RootError::QueryOfIndex {
            index: index.name.to_string(),
            uuid: index.uuid.to_string(),
            source,
        })?;
        Ok(())
    }
}

/// A request, and when it came: `now` is the same on all shards.
#[derive(Clone, Copy)]
pub(crate) struct DatedRequest<'a> {
    pub(crate) request: &'a SearchRequest,
    /// Milliseconds since the epoch.
    pub(crate) now_ms: i64,
}

fn resolve_request(
    resolver: &mut Resolver<'_>,
    request: &SearchRequest,
    plan: &IndexPlan,
) -> Result<ResolvedQueries, QueryError> {
    let everything = Query::MatchAll { boost: 1.0 };
    let mut query = resolver.resolve(request.query.as_ref().unwrap_or(&everything))?;
    if plan.boost != 1.0 {
        query = Clause::Boost {
            clause: Box::new(query),
            factor: plan.boost,
        };
    }
    let IndexMeta {
        settings, mapping, ..
    } = resolver.index;
    let rescores = request.rescores.iter();
    let rescores = rescores.map(|rescore| resolver.resolve(&rescore.query));
    let rescores: Vec<Clause> = rescores.collect::<Result<_, _>>()?;
    let mut scoring: Vec<Clause> = rescores.iter().cloned().chain([query.clone()]).collect();
    let highlight = request.highlight.as_ref();
    let highlight = highlight.map(|highlight| (highlight, query.clone()));
    let of_aliases = plan.alias_filters.iter();
    let of_aliases = of_aliases.map(|filter| resolver.resolve(filter));
    let of_aliases: Vec<Clause> = of_aliases.collect::<Result<_, _>>()?;
    let kept = kept_to(of_aliases, request);
    if !kept.is_empty() {
        query = filtered(query, kept.clone());
    }
    let post_filter = request
        .post_filter
        .as_ref()
        .map(|q| resolver.resolve(q))
        .transpose()?;
    // Hits tell of those above; what aggregations count are no hits.
    let named = std::mem::take(&mut resolver.named);
    check_named(&named)?;
    let by_name = named.iter().filter(|_| request.named_scores);
    scoring.extend(by_name.map(|named| named.clause.clone()));
    // What scores hits at first, anew and by name has one set of similarities.
    let scoring = Clause::DisMax {
        clauses: scoring,
        tie_breaker: 0.0,
    };
    let similarities = similarities(settings, mapping, &scoring);
    check_factors(&scoring, &similarities)?;
    let queries = aggregation::queries(&request.aggregations);
    let filters = queries.into_iter().map(|query| resolver.resolve(query));
    let mut aggregation_filters: Vec<Clause> = filters.collect::<Result<_, _>>()?;
    if !kept.is_empty() {
        // `global` goes beyond the query, but not beyond what the aliases show, nor the slice.
        aggregation_filters.push(filtered(Clause::MatchAll, kept));
    }
    let highlight =
        highlight.map(|(highlight, asked)| resolve_highlight(resolver, highlight, asked));
    Ok(ResolvedQueries {
        query,
        similarities,
        post_filter,
        aggregation_filters,
        highlight: highlight.transpose()?,
        rescores,
        named,
    })
}

/// Refuses names of what scores decide about: hits are asked by name without them.
fn check_named(named: &[NamedClause]) -> Result<(), QueryError> {
    let mut named = named.iter();
    match named.find(|named| named.clause.matches_by_score()) {
        None => Ok(()),
        Some(by_score) => Err(QueryError::parsing(format!(
            "[_name] of [{}] is not supported: what it names matches by [min_score]",
            by_score.name
        ))),
    }
}

/// Resolves the queries of `highlight`, with the terms that their patterns stand for; where there is none
/// for all fields it is what was `asked` for.
fn resolve_highlight(
    resolver: &mut Resolver<'_>,
    highlight: &Highlight,
    asked: Clause,
) -> Result<HighlightWhat, QueryError> {
    // What was looked for already does not count.
    resolver.num_words = 0;
    resolver.num_copied_bytes = 0;
    let mut resolve = |query: &Option<Box<Query>>| {
        let query = query.as_deref();
        query.map(|query| resolver.resolve(query)).transpose()
    };
    let fields = highlight.fields.iter();
    Ok(HighlightWhat {
        highlight: highlight.clone(),
        query: resolve(&highlight.query)?.unwrap_or(asked),
        field_queries: fields
            .map(|(_, options)| resolve(&options.query))
            .collect::<Result<_, _>>()?,
    })
}

/// Returns what all that the request sees must match: any of the aliases' filters, and the slice.
fn kept_to(of_aliases: Vec<Clause>, request: &SearchRequest) -> Vec<Clause> {
    let any = |should| Clause::Bool {
        must: Vec::new(),
        should,
        filter: Vec::new(),
        must_not: Vec::new(),
        minimum_should_match: 1,
    };
    let of_aliases = (!of_aliases.is_empty()).then(|| any(of_aliases));
    let of_slice = request
        .slice
        .map(|Slice { id, max }| Clause::Slice { id, max });
    of_aliases.into_iter().chain(of_slice).collect()
}

/// Requires all of `filters` beside `query`.
fn filtered(query: Clause, filters: Vec<Clause>) -> Clause {
    Clause::Bool {
        must: vec![query],
        should: Vec::new(),
        filter: filters,
        must_not: Vec::new(),
        minimum_should_match: 0,
    }
}

/// Returns the shards of `index` that documents with one of the routing values can be on; all
/// without any.
pub(crate) fn routed_shards(
    index: &IndexMeta,
    routing: Option<&BTreeSet<&str>>,
) -> impl Iterator<Item = ShardKey> + use<> {
    let settings = &index.settings;
    let routed: Option<BTreeSet<ShardKey>> = routing.map(|values| {
        let shards = values.iter().map(|value| ShardKey {
            index: index.uuid,
            shard: shard_of(value, settings.routing_slots, settings.number_of_shards),
        });
        shards.collect()
    });
    let all = routed.is_none().then(|| index.shards());
    let routed = routed.into_iter().flatten();
    all.into_iter().flatten().chain(routed)
}
