//! Writes: resolve → route → group by shard → write → answer in order.

mod active;
mod fields;
mod full;
mod groups;
mod id_source;
mod identity;
mod parts;
mod primary;
mod required;
mod streamed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{ActiveShards, ChosenTemplates, ClusterState, DocumentId, IndexMeta, ShardKey};
use gleaner_proto::write::{Condition, Update, WriteAction, WriteFault, WriteItem, WriteOutcome};
use gleaner_query::QueryError;
use gleaner_query::names::{self, NewName};
use gleaner_query::settings::auto_create;
use gleaner_query::templates::index_template_of;
use gleaner_shard_router::shard_of;

pub(crate) use id_source::IdSource;
pub(crate) use identity::Keys;
pub use parts::{Parts, RefreshOutcomes};
pub(crate) use required::check_alias;

use crate::RootError;
use crate::SharedParts;
use crate::admin::Admin;
use crate::blocks::{self, Level};
use crate::cluster::ClusterView;
use crate::visibility::CopyOutcome;
use crate::visibility::Refresher;

/// One write as the client asked for it.
#[derive(Debug, Clone, PartialEq)]
pub struct IngestItem {
    /// Index or alias.
    pub index: String,
    /// The document; `None` lets the root make an id (only for documents that are put whole).
    pub id: Option<String>,
    /// Routing value; an empty one is none.
    pub routing: Option<String>,
    /// What to do.
    pub action: WriteAction,
    /// What must hold before.
    pub condition: Condition,
    /// Whether `index` must be an alias.
    pub require_alias: bool,
    /// Whether `index` must be a data stream, or become one.
    pub require_data_stream: bool,
    /// Templates for fields that the document brings (only for documents that are put whole).
    pub templates: ChosenTemplates,
}

/// When written documents become visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RefreshPolicy {
    /// By the next refresh.
    #[default]
    None,
    /// At once: the shards written to are refreshed.
    Immediate,
    /// The answer waits for the next refresh.
    WaitFor,
}

/// What holds for all items of a request.
#[derive(Debug, Clone, Default)]
pub struct IngestOptions {
    /// When written documents become visible.
    pub refresh: RefreshPolicy,
    /// How long each shard is waited for: to take the writes, and then to show them. Default
    /// `write_timeout`.
    pub timeout: Option<Duration>,
    /// The client's key for sending the request again without applying it twice. It counts only
    /// together with what is asked: other items under the same key are another request.
    pub idempotency_key: Option<String>,
    /// How many copies of a shard are to be in sync before it is written to; they are waited for as long as
    /// `timeout` says. Default what the index says.
    pub active_shards: Option<ActiveShards>,
    /// The name in the path of the request, where it has date math: an index that a write makes under that name keeps the
    /// math for its rollovers. Default `None`.
    pub new_name: Option<NewName>,
}

impl IngestOptions {
    /// Returns these options with a key that stands for `items` alone.
    fn naming(&self, items: &[IngestItem]) -> Self {
        let key = self.idempotency_key.as_ref();
        Self {
            idempotency_key: key.map(|key| identity::of_request(key, items)),
            ..self.clone()
        }
    }
}

/// The answer to one item.
#[derive(Debug)]
pub struct IngestResult {
    /// Name of the index written to; the name as asked when it could not be resolved.
    pub index: String,
    /// The document; as asked or as made.
    pub id: String,
    /// The shard written to.
    pub shard: Option<ShardKey>,
    /// What happened.
    pub outcome: Result<WriteOutcome, RootError>,
    /// Whether the shard was refreshed for this request.
    pub forced_refresh: bool,
    /// What became of a refresh that was asked for, on each copy, the primary first; empty where none
    /// was.
    pub shown: Arc<[CopyOutcome]>,
}

struct RoutedWrite {
    at: usize,
    index: Arc<IndexMeta>,
    item: WriteItem,
}

/// Where a write goes, and as which document.
struct Placement {
    index: Arc<IndexMeta>,
    shard: ShardKey,
    id: DocumentId,
    routing: Option<String>,
    /// The root made the id: a document that has it all the same stays, and the write is a conflict.
    creates: bool,
}

impl Placement {
    /// Returns what `item` writes there.
    fn write(self, item: IngestItem) -> WriteItem {
        let mut action = item.action;
        if let WriteAction::Index { create, .. } = &mut action {
            *create |= self.creates;
        }
        WriteItem {
            id: self.id,
            routing: self.routing,
            action,
            condition: item.condition,
            templates: item.templates,
        }
    }
}

/// Writes documents.
pub struct Ingester {
    pub(crate) cluster: Arc<ClusterView>,
    pub(crate) admin: Arc<Admin>,
    pub(crate) refresher: Arc<Refresher>,
    pub(crate) analyzers: Arc<crate::analyzers::Cache>,
    pub(crate) ids: IdSource,
    pub(crate) keys: Keys,
}

impl Ingester {
    pub(crate) fn new(shared: &SharedParts, admin: &Arc<Admin>) -> Self {
        Self {
            cluster: Arc::clone(&shared.cluster),
            admin: Arc::clone(admin),
            refresher: Arc::clone(&admin.refresher),
            analyzers: Arc::clone(&shared.analyzers),
            ids: IdSource::new(),
            keys: Keys::default(),
        }
    }
}

impl Ingester {
    /// Applies writes, shard by shard in parallel, and answers in the order of `items`; each item
    /// succeeds or fails by itself.
    ///
    /// # Cancel safety
    /// A dropped future may still have written: treat the outcome as unknown.
    pub async fn ingest(
        &self,
        items: Vec<IngestItem>,
        options: &IngestOptions,
    ) -> Vec<IngestResult> {
        let parts = self.begin_parts(options);
        let mut results = self.ingest_part(items, options, &parts).await;
        self.show_parts(&parts).await.tell(&mut results);
        results
    }

    /// As [`Ingester::ingest`], of a request's next part; nothing is refreshed, see [`Ingester::show_parts`].
    ///
    /// # Cancel safety
    /// A dropped future may still have written: treat the outcome as unknown.
    pub async fn ingest_part(
        &self,
        items: Vec<IngestItem>,
        options: &IngestOptions,
        parts: &Parts,
    ) -> Vec<IngestResult> {
        let options = &options.naming(&items);
        let mut results: Vec<Option<IngestResult>> = items.iter().map(|_| None).collect();
        let groups = self.route_all(items, options, parts, &mut results).await;
        let groups = groups::grouped(groups, parts);
        let answered = match groups.iter().any(|group| active::waits(group, options)) {
            true => self.write_with_copies(groups, options, parts).await,
            false => self.write_groups(groups, options, parts).await,
        };
        for (at, result) in answered {
            results[at] = Some(result);
        }
        let answered = "every item was refused, or is in exactly one group that answered";
        results
            .into_iter()
            .map(|result| result.expect(answered))
            .collect()
    }

    /// Groups items by shard, each group in their order; answers those that are refused.
    async fn route_all(
        &self,
        items: Vec<IngestItem>,
        options: &IngestOptions,
        parts: &Parts,
        results: &mut [Option<IngestResult>],
    ) -> BTreeMap<ShardKey, Vec<RoutedWrite>> {
        let mut groups: BTreeMap<ShardKey, Vec<RoutedWrite>> = BTreeMap::new();
        let key = options.idempotency_key.as_deref();
        // An index that one item makes is there for all of them, wherever they stand.
        let items = items.into_iter().enumerate();
        let (makers, others): (Vec<_>, Vec<_>) = items.partition(|(_, item)| makes_index(item));
        for (at, item) in makers.into_iter().chain(others) {
            match self.place(at, &item, key, parts).await {
                Ok(placed) => {
                    let (shard, index) = (placed.shard, Arc::clone(&placed.index));
                    let item = placed.write(item);
                    let group = groups.entry(shard).or_default();
                    group.push(RoutedWrite { at, index, item });
                }
                Err(error) => results[at] = Some(refused(item, error)),
            }
        }
        for routed in groups.values_mut() {
            routed.sort_by_key(|routed| routed.at);
        }
        groups
    }

    /// Returns where item `at` of a request goes; makes its id and its index where it may.
    async fn place(
        &self,
        at: usize,
        item: &IngestItem,
        key: Option<&str>,
        parts: &Parts,
    ) -> Result<Placement, RootError> {
        let (index, alias_routing) = self.write_index(item, parts).await?;
        check_blocks(&index)?;
        let named = item.id.as_deref().map(DocumentId::parse).transpose()?;
        // An id made of the client's key may be there already: from the request's first try.
        let creates = named.is_none() && key.is_none();
        let routing = names::single_routing(&item.index, item.routing.clone(), alias_routing)?;
        let id = match (named, key) {
            (Some(id), _) => id,
            (None, Some(key)) => DocumentId::parse(&id_source::id_of_key(key, at))?,
            (None, None) => DocumentId::parse(&self.ids.next(self.cluster.now_ms()))?,
        };
        if routing.is_none() && index.mapping.routing_required {
            return Err(RootError::Write(WriteFault::Document {
                kind: "routing_missing_exception".into(),
                reason: format!("routing is required for [{}]/[{id}]", index.name),
                cause: None,
            }));
        }
        let settings = &index.settings;
        let routed_by = routing.as_deref().unwrap_or(id.as_str());
        let shard = shard_of(routed_by, settings.routing_slots, settings.number_of_shards);
        let shard = ShardKey {
            index: index.uuid,
            shard,
        };
        Ok(Placement {
            index,
            shard,
            id,
            routing,
            creates,
        })
    }

    /// Returns the index a write goes to and its alias's routing; creates it when it may.
    async fn write_index(
        &self,
        item: &IngestItem,
        parts: &Parts,
    ) -> Result<(Arc<IndexMeta>, Option<String>), RootError> {
        let state = self.cluster.state();
        if !item.require_alias && !item.require_data_stream && makes_index(item) {
            parts.check_room(&state, &item.index)?;
        }
        required::check(&state, item)?;
        if let Some(found) = names::resolve_write(&item.index, &state)? {
            streamed::check(&state, &found.meta, item)?;
            return Ok((found.meta, found.index_routing));
        }
        if !makes_index(item) {
            return Err(RootError::IndexNotFound(item.index.clone()));
        }
        self.check_creation(&state, &item.index)?;
        // In a box, as what is rare makes the future of each write large.
        let created = Box::pin(self.create_missing(item, parts)).await?;
        Ok((created, None))
    }

    /// Refuses to let a write make the index `name` where its template forbids it, or the cluster's settings, or this
    /// node's.
    fn check_creation(&self, state: &ClusterState, name: &str) -> Result<(), QueryError> {
        let template = index_template_of(&state.templates, name);
        match template.and_then(|(_, of)| Some((of, of.allow_auto_create?))) {
            Some((_, true)) => Ok(()),
            Some((template, false)) => {
                let patterns = template.index_patterns.join(", ");
                let why = format!("composable template [{patterns}] forbids index auto creation");
                Err(auto_create::refused(name, &why))
            }
            None => {
                let by_node = self.cluster.options.auto_create_index;
                auto_create::check(state.settings(), by_node, name)
            }
        }
    }

    /// Creates the index, or the data stream, that a write names, as the templates say, and notes that it did.
    async fn create_missing(
        &self,
        item: &IngestItem,
        parts: &Parts,
    ) -> Result<Arc<IndexMeta>, RootError> {
        let name = item.index.as_str();
        let state = self.cluster.state();
        let template = index_template_of(&state.templates, name);
        let created = match template.and_then(|(_, template)| template.data_stream) {
            Some(of) => {
                streamed::check_routing(item, name, of.allow_custom_routing)?;
                streamed::check_appended(item)?;
                self.admin.create_data_stream(name).await
            }
            None => {
                let body = serde_json::Value::Null;
                let new = parts.new_name(name);
                let created = self
                    .admin
                    .create_index_by_templates(&new, &body, ActiveShards::ONE);
                created.await.map(drop)
            }
        };
        match &created {
            Ok(()) => parts.note_made(name),
            Err(error) => parts.note_full(&state, error),
        }
        match created {
            // Where someone else was faster, what is there is as good.
            Ok(()) | Err(RootError::IndexExists { .. } | RootError::DataStreamExists(_)) => {
                let found = names::resolve_write(name, &self.cluster.state())?;
                let missing = || RootError::IndexNotFound(name.to_owned());
                found.map(|found| found.meta).ok_or_else(missing)
            }
            Err(error) => Err(error),
        }
    }
}

fn refused(item: IngestItem, error: RootError) -> IngestResult {
    IngestResult {
        index: item.index,
        id: item.id.unwrap_or_default(),
        shard: None,
        outcome: Err(error),
        forced_refresh: false,
        shown: Arc::default(),
    }
}

/// Returns whether a missing index is made for a write. A deletion finds nothing in a new one, unless
/// it brings a version that later writes are held against.
fn makes_index(item: &IngestItem) -> bool {
    !matches!(item.action, WriteAction::Delete) || has_external_version(item)
}

fn has_external_version(item: &IngestItem) -> bool {
    matches!(
        item.condition,
        Condition::ExternalGreater(_) | Condition::ExternalGreaterOrEqual(_)
    )
}

fn check_blocks(index: &IndexMeta) -> Result<(), RootError> {
    if index.is_closed {
        return Err(RootError::IndexClosed(index.name.to_string()));
    }
    blocks::check(index, Level::Write)
}

/// Checks the combination of a write's parameters, as the dialect words it.
///
/// # Errors
/// [`QueryError`] (`action_request_validation_exception`) naming what does not go together.
pub fn check_item(item: &IngestItem) -> Result<(), QueryError> {
    let conditional = matches!(item.condition, Condition::Is { .. });
    let external = has_external_version(item);
    // An id that the server makes stands for a creation.
    let creates = item.id.is_none();
    match &item.action {
        WriteAction::Index { create, .. } if conditional && (*create || creates) => {
            invalid(&["create operations do not support compare and set. use index instead"])
        }
        WriteAction::Index { create, .. } if external && (*create || creates) => {
            invalid(&["create operations only support internal versioning. use index instead"])
        }
        WriteAction::Update(_) if external => invalid(&[
            "internal versioning can not be used for optimistic concurrency control. Please use \
             `if_seq_no` and `if_primary_term` instead",
        ]),
        WriteAction::Update(_) | WriteAction::Delete if item.id.is_none() => {
            invalid(&["an id must be provided if version type or value are set"])
        }
        WriteAction::Update(update) if conditional => check_conditional(update),
        _ => Ok(()),
    }
}

/// Refuses what an update with a condition cannot do (Elasticsearch, `UpdateRequest.validate`).
fn check_conditional(update: &Update) -> Result<(), QueryError> {
    let mut reasons = Vec::new();
    if update.retry_on_conflict > 0 {
        reasons.push("compare and write operations can not be retried");
    }
    if update.doc_as_upsert {
        reasons.push("compare and write operations can not be used with upsert");
    }
    if update.upsert.is_some() {
        reasons.push("upsert requests don't support `if_seq_no` and `if_primary_term`");
    }
    match reasons.is_empty() {
        true => Ok(()),
        false => invalid(&reasons),
    }
}

fn invalid(reasons: &[&str]) -> Result<(), QueryError> {
    let mut text = "Validation Failed: ".to_owned();
    for (number, reason) in (1..).zip(reasons) {
        text.push_str(&format!("{number}: {reason};"));
    }
    let kind = gleaner_query::error::ErrorType::Validation;
    Err(QueryError::new(kind, text))
}

#[cfg(test)]
mod tests;
