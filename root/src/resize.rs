//! An index made from another one with more shards, fewer, or as many: split, shrink, clone.
//!
//! The documents are copied into an index of a name of its own, which wildcards leave out. It gets the name that was
//! asked for in one change of the cluster state, when all are in it: nobody sees a part of it under that name. What fails
//! before leaves nothing; a process that ends meanwhile leaves the unnamed index. Does not: share files with the source.
//! Called by: `api`. Read first: [`Resizing::run`].

use std::sync::Arc;

use gleaner_model::{ClusterState, IndexMeta, IndexName, IndexUuid};
use gleaner_proto::read::ShardPhase;
use gleaner_query::QueryError;
use gleaner_query::alias;
use gleaner_query::names::ResolveOptions;
use gleaner_query::search::{SearchRequest, SourceFilter};
use gleaner_query::settings::{
    MAX_PRIMARY_SHARD_SIZE, NewIndex, Resize, parse_create_index, resized_settings,
    with_shards_below,
};
use serde_json::{Value, json};

use crate::admin::{Admin, check_free};
use crate::by_query::{
    ByQuery, ByQueryRequest, Change, Destination, NewRouting, Slices, VersionType,
};
use crate::cluster::ClusterView;
use crate::origin::Origin;
use crate::plan::Target;
use crate::{Root, RootError};

/// Begins the names of indices that are not whole yet.
const UNFINISHED: &str = ".resize-";

/// An index that is to be made from another one.
#[derive(Debug, Clone)]
pub struct ResizeRequest {
    /// How.
    pub how: Resize,
    /// The index whose documents are copied; its writes are blocked.
    pub source: String,
    /// Its name.
    pub target: String,
    /// Settings that are not the source's, and aliases.
    pub body: Value,
}

impl Root {
    /// Makes an index from another one. It goes on when nobody waits for it any more.
    ///
    /// # Errors
    /// A source that is missing, closed, or takes writes; a name that is not free; settings that do not come of the
    /// source's; documents that could not be copied, of which nothing stays.
    pub async fn resize(
        &self,
        request: ResizeRequest,
        origin: &Origin,
    ) -> Result<Arc<IndexMeta>, RootError> {
        let is_sized = max_size(&request).is_some();
        let mut resizing = Resizing {
            cluster: Arc::clone(&self.cluster),
            admin: Arc::clone(&self.admin),
            by_query: Arc::clone(&self.by_query),
            num_bytes: is_sized.then_some(0),
            request,
            origin: origin.clone(),
        };
        if is_sized {
            // What is wrong with the request is said before sizes are asked for.
            let source = resizing.source(&self.cluster.state())?;
            resizing.wanted(&source)?;
            resizing.num_bytes = Some(self.primary_bytes(&source).await?);
        }
        let run = tokio::spawn(async move { Box::pin(resizing.run()).await });
        let ended = run.await;
        ended.unwrap_or_else(|error| Err(RootError::Internal(error.to_string())))
    }

    /// Returns the bytes of the primaries of an index, which is flushed for it.
    async fn primary_bytes(&self, index: &IndexMeta) -> Result<u64, RootError> {
        let target = Target {
            expression: Some(index.name.to_string()),
            ..Target::default()
        };
        self.reader.flush(&target).await?;
        let states = self.reader.shard_states().await;
        let shards = states.one_each().into_iter();
        // Others do not know their size.
        let own = shards.filter(|located| {
            let is_started = located.state.phase == ShardPhase::Started;
            located.index.uuid == index.uuid && is_started
        });
        let sizes: Vec<u64> = own.map(|located| located.state.store_bytes).collect();
        let (num_told, num_shards) = (sizes.len(), index.settings.number_of_shards as usize);
        match num_told == num_shards {
            true => Ok(sizes.into_iter().sum()),
            false => Err(RootError::WrongState(format!(
                "the size of index {} is not known: [{num_told}] of its [{num_shards}] shards say theirs",
                index.name
            ))),
        }
    }
}

/// Refuses an index that may change while it is copied.
fn check_blocked(source: &IndexMeta) -> Result<(), RootError> {
    let blocks = source.settings.blocks;
    if blocks.write || blocks.read_only {
        return Ok(());
    }
    let name = &source.name;
    Err(RootError::WrongState(format!(
        "index {name} must be read-only to resize index. use \"index.blocks.write=true\""
    )))
}

/// Returns how large a primary of the smaller index may be, where that decides how many it has.
fn max_size(request: &ResizeRequest) -> Option<&Value> {
    let given = request.body.get(MAX_PRIMARY_SHARD_SIZE);
    given.filter(|value| request.how == Resize::Shrink && !value.is_null())
}

/// One index that is being made.
struct Resizing {
    cluster: Arc<ClusterView>,
    admin: Arc<Admin>,
    by_query: Arc<ByQuery>,
    request: ResizeRequest,
    /// Bytes of the source's primaries, where they decide how many shards there are.
    num_bytes: Option<u64>,
    origin: Origin,
}

impl Resizing {
    async fn run(&self) -> Result<Arc<IndexMeta>, RootError> {
        let state = self.cluster.state();
        let source = self.source(&state)?;
        let wanted = self.wanted(&source)?;
        check_blocked(&source)?;
        check_free(&state, &self.request.target)?;
        let name = format!("{UNFINISHED}{:032x}", rand::random::<u128>());
        let mut unfinished = wanted.clone();
        unfinished.aliases.clear();
        unfinished.settings.hidden = true;
        unfinished.settings.blocks = gleaner_model::Blocks::default();
        let made = self.admin.create_index(&name, unfinished).await?;
        let filled = match self.copy(&source, &name).await {
            Ok(()) => self.name_it(&source, made.uuid, wanted).await,
            Err(error) => Err(error),
        };
        if filled.is_err() {
            let options = ResolveOptions::default();
            if let Err(error) = self.admin.delete_indices(&name, &options).await {
                tracing::warn!(index = name, %error, "an unfinished index could not be deleted");
            }
        }
        filled
    }

    /// Returns the index to copy.
    fn source(&self, state: &ClusterState) -> Result<Arc<IndexMeta>, RootError> {
        let name = &self.request.source;
        let source = state.index_named(name);
        let source = source.ok_or_else(|| RootError::IndexNotFound(name.clone()))?;
        if source.is_closed {
            return Err(RootError::IndexClosed(name.clone()));
        }
        Ok(Arc::clone(source))
    }

    /// Returns what the index is to be when it is whole.
    fn wanted(&self, source: &IndexMeta) -> Result<NewIndex, RootError> {
        let ResizeRequest {
            how, target, body, ..
        } = &self.request;
        let name = IndexName::parse(target)?;
        if !body.is_null() && !body.is_object() {
            return Err(
                QueryError::parsing("the body of a resize request must be an object").into(),
            );
        }
        if body.get("mappings").is_some() {
            let reason = "mappings are not allowed when resizing indices, all mappings are copied from the source index";
            return Err(QueryError::illegal(reason).into());
        }
        let aliases = json!({"aliases": body.get("aliases").unwrap_or(&Value::Null)});
        let is_known = |key: &str| match key {
            "settings" | "aliases" => true,
            MAX_PRIMARY_SHARD_SIZE => *how == Resize::Shrink,
            _ => false,
        };
        let others = body.as_object().into_iter().flatten();
        if let Some((key, _)) = others.into_iter().find(|(key, _)| !is_known(key)) {
            let reason = format!("unknown field [{key}] of a resize request");
            return Err(QueryError::illegal(reason).into());
        }
        let mut given = body.get("settings").cloned().unwrap_or(Value::Null);
        if let (Some(max_size), Some(num_bytes)) = (max_size(&self.request), self.num_bytes) {
            given = with_shards_below(&source.settings, &given, max_size, num_bytes)?;
        }
        Ok(NewIndex {
            settings: resized_settings(&source.settings, &given, *how)?,
            says_replicas: true,
            mapping: (*source.mapping).clone(),
            aliases: parse_create_index(&aliases, &self.cluster.limits())?.aliases,
            final_name: Some(name),
        })
    }

    /// Copies all documents of `source`.
    async fn copy(&self, source: &Arc<IndexMeta>, name: &str) -> Result<(), RootError> {
        let limit = self.cluster.options.write_timeout;
        let settled = self
            .admin
            .settle_writes(std::slice::from_ref(source), limit)
            .await;
        let target = Target {
            expression: Some(source.name.to_string()),
            ..Target::default()
        };
        let refreshed = self.admin.refresher.refresh(&target).await?;
        // What is not shown would be missing.
        for outcome in settled.into_iter().chain(refreshed) {
            outcome.outcome?;
        }
        let destination = Destination {
            index: name.to_owned(),
            require_alias: false,
            creates: false,
            version_type: VersionType::External,
            routing: NewRouting::Keep,
            source: SourceFilter {
                enabled: true,
                includes: Vec::new(),
                excludes: Vec::new(),
            },
        };
        let mut request = ByQueryRequest::new(
            Change::Reindex(destination),
            target,
            SearchRequest::default(),
        );
        request.is_refreshed = true;
        request.slices = Slices::Auto;
        let report = self
            .by_query
            .begin(request, &self.origin, None)?
            .ended()
            .await?;
        if let Some(failure) = report.failures.into_iter().next() {
            return Err(failure.error);
        }
        let counts = report.status.counts;
        let is_whole = !report.timed_out && counts.created == counts.total;
        match is_whole {
            true => Ok(()),
            false => Err(QueryError::illegal(format!(
                "[{}] of [{}] documents of [{}] could be copied: the task was cancelled, or documents of one id are \
                 on several shards",
                counts.created, counts.total, source.name
            ))
            .into()),
        }
    }

    /// Gives the index its name, its settings and its aliases, unless the source has changed meanwhile.
    async fn name_it(
        &self,
        source: &IndexMeta,
        uuid: IndexUuid,
        wanted: NewIndex,
    ) -> Result<Arc<IndexMeta>, RootError> {
        let name = IndexName::parse(&self.request.target)?;
        let named = |state: &ClusterState| {
            let now = self.source(state)?;
            check_blocked(&now)?;
            check_free(state, name.as_str())?;
            if now.uuid != source.uuid {
                return Err(RootError::IndexNotFound(source.name.to_string()));
            }
            for alias in wanted.aliases.keys() {
                alias::check_free(alias, &name, state)?;
            }
            let mut next = state.clone();
            let gone = || RootError::IndexNotFound(name.to_string());
            let made = next.indices.get_mut(&uuid).ok_or_else(gone)?;
            let made = Arc::make_mut(made);
            made.name = name.clone();
            made.final_name = None;
            made.settings = wanted.settings.clone();
            made.aliases = wanted.aliases.clone();
            alias::check_change(state, &next)?;
            Ok(Some(next))
        };
        let state = self.admin.change(named).await?;
        let made = state.indices.get(&uuid).cloned();
        made.ok_or_else(|| RootError::IndexNotFound(name.to_string()))
    }
}
