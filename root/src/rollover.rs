//! Rollover: an alias or a data stream goes on with a new index, where conditions say that the time has come.
//!
//! The index that is measured is the one that is replaced, in one change of the cluster state: where another has
//! replaced it meanwhile, the new one is measured, so two who ask at the same time replace it once.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{ClusterState, IndexMeta};
use gleaner_query::QueryError;
use gleaner_query::rollover::{Measures, RolloverRequest, next_name};

use crate::admin::streams::Next;
use crate::{Root, RootError};

/// What a rollover came to, or would come to.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloverReport {
    /// The index that was written to.
    pub old_index: String,
    /// The index that is written to now, or would be.
    pub new_index: String,
    /// Whether the index was replaced.
    pub rolled_over: bool,
    /// Each condition as shown, and whether it is met.
    pub conditions: Vec<(String, bool)>,
    /// The new index, where there is one.
    pub created: Option<Arc<IndexMeta>>,
}

impl Root {
    /// Replaces the index that documents written to `target` go to: an alias or a data stream. The new one is called
    /// `new_name`, by default as the old one with the next number. With `is_dry` nothing is changed.
    ///
    /// # Errors
    /// A target that is neither, an alias without a write index, a name without a number, an index that is there
    /// already.
    pub async fn rollover(
        &self,
        target: &str,
        new_name: Option<&str>,
        request: &RolloverRequest,
        is_dry: bool,
    ) -> Result<RolloverReport, RootError> {
        loop {
            let state = self.cluster.state();
            let old = write_index(target, &state)?;
            let stream = state.data_streams.get(target);
            let new_index = match (stream, new_name) {
                (Some(_), Some(_)) => {
                    let reason =
                        "new index name may not be specified when rolling over a data stream";
                    return Err(QueryError::illegal(reason).into());
                }
                (Some(stream), None) => self.admin.backing_name(target, stream.generation + 1)?,
                (None, Some(name)) => name.to_owned(),
                (None, None) => next_name(old.name.as_str())?,
            };
            let measures = self.measure(&old).await;
            let conditions = request.conditions.iter().map(|condition| {
                let shown = format!("[{}: {}]", condition.name, condition.given);
                (shown, condition.is_met(&measures))
            });
            let mut report = RolloverReport {
                old_index: old.name.to_string(),
                new_index: new_index.clone(),
                rolled_over: false,
                conditions: conditions.collect(),
                created: None,
            };
            let is_due = request.is_due(&measures);
            let next = Next {
                target,
                old: old.uuid,
                name: &new_index,
                body: &request.next,
            };
            // What is wrong with the new index is told whether it is made or not.
            if is_dry || !is_due {
                self.admin.check_next(&next)?;
                return Ok(report);
            }
            // `None` where another was faster.
            if let Some(created) = self.admin.put_next(&next).await? {
                report.rolled_over = true;
                report.created = Some(created);
                return Ok(report);
            }
        }
    }

    async fn measure(&self, index: &IndexMeta) -> Measures {
        let states = self.reader.shard_states().await;
        let age = self.cluster.now_ms() - index.created_ms;
        let mut measures = Measures {
            age: Duration::from_millis(u64::try_from(age).unwrap_or(0)),
            ..Measures::default()
        };
        let shards = states.one_each().into_iter();
        for located in shards.filter(|located| located.index.uuid == index.uuid) {
            let (documents, bytes) = (located.state.num_documents, located.state.store_bytes);
            measures.documents += documents;
            measures.bytes += bytes;
            measures.largest_shard_bytes = measures.largest_shard_bytes.max(bytes);
            measures.largest_shard_documents = measures.largest_shard_documents.max(documents);
        }
        measures
    }
}

/// Returns the index that documents written to an alias or a data stream go to.
fn write_index(target: &str, state: &ClusterState) -> Result<Arc<IndexMeta>, RootError> {
    let illegal = |reason: String| Err(QueryError::illegal(reason).into());
    if state.index_named(target).is_some() {
        let reason =
            "rollover target is a [concrete index] but one of [alias,data_stream] was expected";
        return illegal(reason.to_owned());
    }
    if state.aliased(target).next().is_none() {
        return illegal(format!("rollover target [{target}] does not exist"));
    }
    match gleaner_query::names::resolve_write(target, state) {
        Ok(Some(found)) => Ok(found.meta),
        Ok(None) | Err(_) => illegal(format!(
            "rollover target [{target}] does not point to a write index"
        )),
    }
}
