//! The writes of a request, in groups by shard: sent to their primaries, and answered.
//!
//! Where documents bring new fields, the same documents have to give the same mapping, however many shards they
//! go to: primaries of several shards of an index write no batch that brings fields, but answer that it does; the
//! fields are agreed on in the order of the request ([`super::fields`]), and those batches are sent again. A
//! request that brings nothing new is written at once. Called by: [`super`]. Read first: [`Ingester::write_groups`].

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use gleaner_model::{DocumentId, Dynamic, FieldKind, IndexMeta, IndexUuid, Mapping, ShardKey};
use gleaner_proto::write::{RefusedItem, WriteFault, WriteItem};

use super::fields::{Refusals, UnagreedDocument};
use super::primary::{Writes, Written};
use super::{IngestOptions, IngestResult, Parts, RoutedWrite};
use crate::deadline::Deadline;
use crate::ingest::Ingester;

/// Writes of a request for one shard.
pub(super) struct Group {
    pub(super) shard: ShardKey,
    pub(super) index: Arc<IndexMeta>,
    pub(super) deadline: Deadline,
    /// Their places in the request, and their documents.
    pub(super) positions: Vec<(usize, DocumentId)>,
    /// Sent, or to be sent again.
    items: Vec<WriteItem>,
    /// Whether documents of another group may bring fields of the same index, or set its constants.
    asks_fields: bool,
}

/// A result and its place in the request.
pub(super) type PlacedResult = (usize, IngestResult);

impl Ingester {
    /// Writes groups of items, all at the same time.
    pub(super) async fn write_groups(
        &self,
        mut groups: Vec<Group>,
        options: &IngestOptions,
        parts: &Parts,
    ) -> Vec<PlacedResult> {
        let mut sending = groups.iter_mut().map(|group| {
            let items = match group.asks_fields {
                true => group.items.clone(),
                false => std::mem::take(&mut group.items),
            };
            let writes = Writes {
                items,
                asks_fields: group.asks_fields,
                refused: Vec::new(),
            };
            self.send(group, writes, options, parts)
        });
        let mut written = match (sending.next(), sending.len()) {
            // One shard, as of a single document, needs nothing to wait for several.
            (Some(only), 0) => vec![only.await],
            (first, _) => join_all(first.into_iter().chain(sending)).await,
        };
        if groups.iter().any(|group| group.asks_fields) && written.iter().any(is_unagreed) {
            // In a box, as what is rare makes the future of each write large.
            let again = self.write_again(&mut groups, &mut written, options, parts);
            Box::pin(again).await;
        }
        let answered = groups.iter().zip(written);
        let answered = join_all(answered.map(|(group, written)| self.answer(group, written))).await;
        answered.into_iter().flatten().collect()
    }

    /// Has a primary carry writes of a group out.
    async fn send(
        &self,
        group: &Group,
        writes: Writes,
        options: &IngestOptions,
        parts: &Parts,
    ) -> Written {
        parts.check(group.shard)?;
        let written = self.call_primary(group, writes, options).await;
        parts.note(group.shard, &written, group.deadline);
        written
    }

    /// Agrees on the fields that documents bring, in the order of the request, and sends again what was not
    /// written without them. Where they cannot be agreed on here, each primary tries, and tells why not.
    async fn write_again(
        &self,
        groups: &mut [Group],
        written: &mut [Written],
        options: &IngestOptions,
        parts: &Parts,
    ) {
        let mut refusals = Refusals::new();
        let deadlines = groups.iter().map(|group| group.deadline);
        let Some(deadline) = deadlines.min_by_key(Deadline::remaining) else {
            return;
        };
        for (index, documents) in bringing(groups, written) {
            let agreeing = self.agree_on_fields(index, documents);
            match tokio::time::timeout(deadline.remaining(), agreeing).await {
                Ok(Ok(refused)) => refusals.extend(refused),
                Ok(Err(error)) => tracing::debug!(%error, "primaries are to agree on new fields"),
                Err(_) => tracing::debug!("no time is left to agree on new fields"),
            }
        }
        let again = groups
            .iter_mut()
            .zip(written)
            .filter_map(|(group, written)| {
                let unwritten = unagreed(written);
                if unwritten.is_empty() {
                    return None;
                }
                let writes = group.take_again(&unwritten, &refusals);
                Some(async move {
                    let answered = self.send(group, writes, options, parts).await;
                    fill(written, &unwritten, answered);
                })
            });
        join_all(again).await;
    }

    /// Words what the primary of a group answered.
    async fn answer(&self, group: &Group, written: Written) -> Vec<PlacedResult> {
        let Group {
            shard,
            index,
            deadline,
            positions,
            ..
        } = group;
        let outcomes = self.told(index, written, positions.len(), *deadline).await;
        let results = positions.iter().zip(outcomes);
        results
            .map(|((at, id), outcome)| {
                let result = IngestResult {
                    index: index.name.to_string(),
                    id: id.to_string(),
                    shard: Some(*shard),
                    outcome,
                    forced_refresh: false,
                    shown: Arc::default(),
                };
                (*at, result)
            })
            .collect()
    }
}

impl Group {
    /// Takes items out to be sent again, with those among them that were refused.
    fn take_again(&mut self, unwritten: &[usize], refusals: &Refusals) -> Writes {
        let mut writes = Writes::default();
        let mut items = std::mem::take(&mut self.items).into_iter().enumerate();
        for (number, at) in (0..).zip(unwritten) {
            writes
                .items
                .extend(items.find(|(place, _)| place == at).map(|(_, item)| item));
            if let Some(fault) = refusals.get(&self.positions[*at].0) {
                let fault = fault.clone();
                writes.refused.push(RefusedItem { at: number, fault });
            }
        }
        writes
    }
}

/// Returns the groups of routed writes, each with the deadline of its shard.
pub(super) fn grouped(groups: BTreeMap<ShardKey, Vec<RoutedWrite>>, parts: &Parts) -> Vec<Group> {
    let mut num_groups: BTreeMap<IndexUuid, usize> = BTreeMap::new();
    for shard in groups.keys() {
        *num_groups.entry(shard.index).or_default() += 1;
    }
    let groups = groups.into_iter();
    let groups = groups.filter_map(|(shard, routed)| {
        let index = Arc::clone(&routed.first()?.index);
        let asks_fields = num_groups[&shard.index] > 1 && may_grow(&index.mapping);
        let positions = routed
            .iter()
            .map(|routed| (routed.at, routed.item.id.clone()));
        Some(Group {
            shard,
            deadline: parts.deadline(shard),
            positions: positions.collect(),
            items: routed.into_iter().map(|routed| routed.item).collect(),
            asks_fields,
            index,
        })
    });
    groups.collect()
}

/// Returns whether documents may change the mapping at all: by fields that they bring, or by constants that they set.
fn may_grow(mapping: &Mapping) -> bool {
    let grows = |kind: &FieldKind| match kind {
        FieldKind::Object { dynamic, .. } => *dynamic == Some(Dynamic::True),
        kind => kind.lacks_value(),
    };
    let mut kinds = mapping.fields.values().map(|field| &field.kind);
    mapping.is_enabled() && (mapping.dynamic == Dynamic::True || kinds.any(grows))
}

fn is_unagreed(written: &Written) -> bool {
    !unagreed(written).is_empty()
}

/// Returns the places of items that were not written before their fields are agreed on.
fn unagreed(written: &Written) -> Vec<usize> {
    let outcomes = written.iter().flatten().enumerate();
    outcomes
        .filter(|(_, outcome)| matches!(outcome, Err(WriteFault::Unagreed { .. })))
        .map(|(at, _)| at)
        .collect()
}

/// Returns the documents that bring fields, by index, in the order of the request.
fn bringing(groups: &[Group], written: &[Written]) -> BTreeMap<IndexUuid, Vec<UnagreedDocument>> {
    let mut by_index: BTreeMap<IndexUuid, Vec<UnagreedDocument>> = BTreeMap::new();
    for (group, written) in groups.iter().zip(written) {
        // A group that asks about fields has kept its items.
        let items = group.positions.iter().zip(&group.items);
        for (((at, id), item), outcome) in items.zip(written.iter().flatten()) {
            if let Err(WriteFault::Unagreed {
                document: Some(source),
            }) = outcome
            {
                let documents = by_index.entry(group.shard.index).or_default();
                documents.push(UnagreedDocument {
                    at: *at,
                    id: id.clone(),
                    source: source.clone(),
                    templates: item.templates.clone(),
                });
            }
        }
    }
    for documents in by_index.values_mut() {
        documents.sort_by_key(|document| document.at);
    }
    by_index
}

/// Puts what items came to that were sent again at their places.
fn fill(written: &mut Written, unwritten: &[usize], answered: Written) {
    match (written, answered) {
        (Ok(outcomes), Ok(answered)) => {
            for (at, outcome) in unwritten.iter().zip(answered) {
                outcomes[*at] = outcome;
            }
        }
        (Ok(outcomes), Err(fault)) if unwritten.len() < outcomes.len() => {
            for at in unwritten {
                outcomes[*at] = Err(WriteFault::Shard(fault.clone()));
            }
        }
        (written, answered) => *written = answered,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::index;

    #[test]
    fn documents_change_a_mapping_that_is_open_or_has_a_constant_without_its_value() {
        let unset = json!({"c": {"type": "constant_keyword"}});
        let set = json!({"c": {"type": "constant_keyword", "value": "x"}});
        let open = json!({"o": {"type": "object", "dynamic": "true"}});
        let below = json!({"o": {"properties": unset}});
        let fed = json!({"t": {"type": "text", "fields": unset}});
        for (declared, expected) in [
            (json!({}), true),
            (json!({"dynamic": "strict"}), false),
            (json!({"dynamic": "strict", "properties": open}), true),
            (json!({"dynamic": "strict", "properties": unset}), true),
            (json!({"dynamic": "false", "properties": below}), true),
            (json!({"dynamic": "strict", "properties": fed}), true),
            (json!({"dynamic": "strict", "properties": set}), false),
            (json!({"enabled": false, "properties": unset}), false),
        ] {
            let grows = may_grow(&index(1, &declared).mapping);
            assert_eq!(grows, expected, "{declared}");
        }
    }
}
