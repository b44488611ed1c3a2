//! Documents that an earlier program indexed without fields they brought.
//!
//! Where several documents brought new fields together, earlier programs indexed only the first one's. Does:
//! looks through a primary that such a program wrote, once, and indexes again what lacks fields. Copies follow by
//! the log. Says in the node's log which index it was, and which it cannot judge. Does not: hold up the
//! opening, searches or writes. Called by: [`crate::lifecycle::maintenance`], when a primary is open.
//! Read first: [`Primary::mend`].

use std::collections::BTreeSet;
use std::sync::Arc;

use gleaner_engine::{EngineError, LackingDocuments, StoredDocument, View};
use gleaner_model::{FieldPath, IndexName};

use crate::copy::applier::with_causes;
use crate::copy::shard::Shard;
use crate::write::{MAX_AGAIN, Primary};

/// Bytes of documents after which a batch ends.
const BATCH_BYTES: usize = 4 << 20;

/// What a shard was found to lack.
#[derive(Default)]
struct MendReport {
    num_documents: usize,
    unsure: BTreeSet<FieldPath>,
}

impl Primary {
    /// Indexes documents of a primary again that lack fields; nothing where they are known to have all.
    pub(crate) async fn mend(self: Arc<Self>) {
        let shard = &self.shard;
        let _alone = self.mending.lock().await;
        if shard.engine().is_complete() {
            return;
        }
        let index = shard.schema.index.load().name.clone();
        match self.mended().await {
            Ok(mended) => mended.tell(&index, shard),
            // It is opened again where it can be, and looked through then.
            Err(_)
                if self.node().is_stopping()
                    || self.has_ended()
                    || shard.applier.failure().is_some() => {}
            Err(reason) => tracing::warn!(
                shard = %shard.key,
                %index,
                reason,
                "documents of this index may not be found by fields that came with them, as an earlier version \
                 left some out: they are looked for again when the node starts; \
                 `POST /<index>/_update_by_query` indexes all documents again"
            ),
        }
    }

    async fn mended(&self) -> Result<MendReport, String> {
        let shard = &self.shard;
        let mut mended = MendReport::default();
        let view = shard.engine().view();
        let num_segments = match view.has_late_fields() {
            true => view.segments().len(),
            false => 0,
        };
        for segment in 0..num_segments {
            let LackingDocuments { places, unsure } = self.lacking(&view, segment).await?;
            mended.unsure.extend(unsure);
            let mut places = &places[..];
            while !places.is_empty() {
                let documents = read(&view, places).await?;
                places = &places[documents.len()..];
                let again = self.index_again(documents).await;
                match again.map_err(|fault| fault.to_string())? {
                    Some(num_documents) => mended.num_documents += num_documents,
                    None => return Err("a block keeps writes out".to_owned()),
                }
            }
        }
        drop(view);
        shard.engine().set_complete();
        if mended.num_documents > 0 {
            let shown = self.refresh().await;
            shown.map_err(|fault| fault.to_string())?;
        }
        Ok(mended)
    }

    async fn lacking(&self, view: &Arc<View>, segment: usize) -> Result<LackingDocuments, String> {
        let (view, shard) = (Arc::clone(view), Arc::clone(&self.shard));
        let lacking = tokio::task::spawn_blocking(move || {
            let goes_on = || !shard.node.is_stopping() && shard.applier.failure().is_none();
            view.lacking_fields(segment, &goes_on)
        });
        let lacking = lacking.await.map_err(|error| error.to_string())?;
        let lacking = lacking.map_err(|error| with_causes(&error))?;
        lacking.ok_or_else(|| "the copy is closed".to_owned())
    }
}

/// Reads the first documents of those at `places`, as many as make a batch.
async fn read(view: &Arc<View>, places: &[u64]) -> Result<Vec<StoredDocument>, String> {
    let (view, places) = (
        Arc::clone(view),
        places[..places.len().min(MAX_AGAIN)].to_vec(),
    );
    let reading = tokio::task::spawn_blocking(move || {
        let (mut documents, mut num_bytes) = (Vec::with_capacity(places.len()), 0);
        for place in places {
            let document = view.document(place)?;
            num_bytes += document.source.len();
            documents.push(document);
            if num_bytes > BATCH_BYTES {
                break;
            }
        }
        Ok::<_, EngineError>(documents)
    });
    let documents = reading.await.map_err(|error| error.to_string())?;
    documents.map_err(|error| with_causes(&error))
}

impl MendReport {
    fn tell(&self, index: &IndexName, shard: &Shard) {
        let num_documents = self.num_documents;
        if num_documents > 0 {
            tracing::info!(
                shard = %shard.key,
                %index,
                num_documents,
                "an earlier version left out fields that came with these documents; they were indexed again"
            );
        }
        if !self.unsure.is_empty() {
            let fields: Vec<&str> = self.unsure.iter().map(FieldPath::as_str).collect();
            tracing::warn!(
                shard = %shard.key,
                %index,
                ?fields,
                "documents of this index have values of these fields that no search finds, as the fields were \
                 declared later, or as an earlier version left them out: `POST /<index>/_update_by_query` indexes \
                 them again"
            );
        }
    }
}

#[cfg(test)]
mod tests;
