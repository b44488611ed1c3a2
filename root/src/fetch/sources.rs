//! What is shown of the winners' `_source`: filtered off the runtime's threads where that takes long.

use std::sync::Arc;

use bytes::Bytes;
use gleaner_partial::control::Control;
use gleaner_query::answer::FetchedHit;
use gleaner_query::source::{ShownSource, SourceFault};
use tokio::time::Instant;

use super::hit::Joiner;
use crate::RootError;
use crate::merge::RankedHit;
use crate::search::Searcher;

/// Steps of filtering that are done where the search is: some 0.3 ms.
const INLINE_STEPS: usize = 128 << 10;

/// What is shown of one document.
type ShownDocument = Result<Option<Bytes>, SourceFault>;

/// Documents to filter, with what shows them.
type Documents = Vec<(Arc<ShownSource>, Bytes)>;

impl Searcher {
    /// Returns what is shown of each winner; of one without content, nothing. Those that there is no time
    /// for are called off.
    pub(super) async fn shown_sources(
        &self,
        joiner: &Joiner<'_>,
        winners: &[RankedHit],
        contents: &[Option<FetchedHit>],
        by: Instant,
    ) -> Result<Vec<ShownDocument>, RootError> {
        let both = winners.iter().zip(contents);
        if joiner.shown.iter().all(|shown| shown.is_free()) {
            let one = |(ranked, content): (&RankedHit, &Option<FetchedHit>)| match content {
                Some(content) => joiner.shown[ranked.plan].of(&content.source, &|| true),
                None => Ok(None),
            };
            return Ok(both.map(one).collect());
        }
        let documents: Documents = both
            .map(|(ranked, content)| {
                let source = content.as_ref().map(|content| content.source.clone());
                let shown = Arc::clone(&joiner.shown[ranked.plan]);
                (shown, source.unwrap_or_else(|| Bytes::from_static(b"{}")))
            })
            .collect();
        let steps = documents
            .iter()
            .map(|(shown, source)| shown.num_steps(source));
        if steps.sum::<usize>() < INLINE_STEPS {
            return Ok(show(&documents, &|| true));
        }
        let num_documents = documents.len();
        let work = move |control: &Control| show(&documents, &|| control.check().is_ok());
        let shown = self.workers.run(by, work).await?;
        Ok(shown.unwrap_or_else(|| vec![Err(SourceFault::CalledOff); num_documents]))
    }
}

fn show(documents: &Documents, keep_on: &dyn Fn() -> bool) -> Vec<ShownDocument> {
    let one = |(shown, source): &(Arc<ShownSource>, Bytes)| match keep_on() {
        true => shown.of(source, keep_on),
        false => Err(SourceFault::CalledOff),
    };
    documents.iter().map(one).collect()
}
