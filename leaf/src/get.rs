//! Documents by id: the latest acknowledged write, or what searches see.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use gleaner_engine::StoredDocument;
use gleaner_model::DocumentId;
use gleaner_proto::LeafFault;
use gleaner_proto::read::{Document, GetCall};

use crate::Leaf;
use crate::fault::engine_fault;
use crate::shard::Shard;

impl Leaf {
    /// Returns documents in the order asked.
    pub(crate) async fn get_documents(
        &self,
        shard: &Arc<Shard>,
        call: GetCall,
    ) -> Result<Vec<Option<Document>>, LeafFault> {
        shard
            .counters
            .get
            .fetch_add(call.ids.len() as u64, Ordering::Relaxed);
        let mut documents = Vec::with_capacity(call.ids.len());
        for id in call.ids {
            let unseen = if call.realtime {
                self.unseen(shard, &id).await
            } else {
                None
            };
            let document = match unseen {
                Some(document) => document,
                None => visible(shard, &id)?,
            };
            documents.push(document);
        }
        Ok(documents)
    }

    /// Returns the latest write of `id` when searches may not see it yet: the document, or that it
    /// is deleted.
    async fn unseen(&self, shard: &Arc<Shard>, id: &DocumentId) -> Option<Option<Document>> {
        let primary = shard.primary.lock().await;
        let latest = primary.versions.get(id)?;
        Some(latest.content.as_ref().map(|content| Document {
            id: id.clone(),
            routing: content.routing.clone(),
            seq_no: latest.seq_no,
            term: latest.term,
            version: latest.version,
            source: content.source.clone(),
        }))
    }
}

fn visible(shard: &Arc<Shard>, id: &DocumentId) -> Result<Option<Document>, LeafFault> {
    let found = shard.engine().view().find(id);
    let found = found.map_err(|error| engine_fault(shard.key, &error))?;
    Ok(found.map(document))
}

/// Returns a stored document as it is answered.
pub(crate) fn document(stored: StoredDocument) -> Document {
    let StoredDocument {
        id,
        routing,
        seq_no,
        term,
        version,
        source,
        place: _,
    } = stored;
    Document {
        id,
        routing,
        seq_no,
        term,
        version,
        source,
    }
}
