//! How the score of one document comes about.

use std::sync::Arc;
use std::time::Instant;

use gleaner_engine::{EngineError, explain};
use gleaner_proto::LeafFault;
use gleaner_proto::search::{ExplainAnswer, ExplainCall, ExplainedDocument};

use crate::fault::{check_uncut, copy_fault, job_fault};
use crate::read::pool::LaneName;
use crate::read::search::{Searcher, document};

impl Searcher {
    pub(crate) async fn explain_document(
        &self,
        call: ExplainCall,
    ) -> Result<ExplainAnswer, LeafFault> {
        let deadline = Instant::now() + call.remaining;
        let copy = self.target(call.shard, deadline, deadline).await?;
        let view = Arc::clone(&copy.view);
        let (id, query) = (call.id, call.query);
        let memory = self.query_memory();
        let outcome = self
            .pool
            .lane(LaneName::Short)
            .run(deadline, move |control| {
                control.draw_on(&memory);
                let Some(stored) = view.find(&id)? else {
                    return Ok(None);
                };
                let explained = explain::at_place(&view, stored.place, &query, control)?;
                Ok::<_, EngineError>(Some(ExplainedDocument {
                    matched: explained.matched,
                    explanation: explained.explanation,
                    document: document(stored),
                }))
            })
            .await;
        check_uncut(&copy.shard)?;
        let found = outcome.map_err(|fault| job_fault(&copy.shard, &fault))?;
        Ok(ExplainAnswer {
            found: found.map_err(|error| copy_fault(&copy.shard, &error))?,
            may_be_stale: copy.may_be_stale(),
        })
    }
}
