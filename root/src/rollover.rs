//! Rollover: an alias or a data stream goes on with a new index, where conditions say that the time has come.
//!
//! The index that is measured is the one that is replaced, in one change of the cluster state: where another has
//! replaced it meanwhile, the new one is measured, so two who ask at the same time replace it once.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::{ClusterState, IndexMeta};
use gleaner_query::QueryError;
use gleaner_query::names::NewName;
use gleaner_query::rollover::{Measures, RolloverRequest, next_name};

use crate::admin::streams::Next;
use crate::lifecycle::is_rollover_due;
use crate::read::ShardStates;
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

/// What is to be replaced, and how.
struct Wish<'a> {
    /// The alias or data stream.
    target: &'a str,
    /// Name of the next index, instead of the one that follows.
    new_name: Option<&'a NewName>,
    request: &'a RolloverRequest,
    /// Whether nothing is changed.
    is_dry: bool,
}

impl Root {
    /// Replaces the index that documents written to `target` go to: an alias or a data stream. The new one is called
    /// `new_name`, by default as the old one with the next number, and with the dates of today where the old one was given
    /// date math. With `is_dry` nothing is changed.
    ///
    /// # Errors
    /// A target that is neither, an alias of data streams or without a write index, a name without a number, an index
    /// that is there already.
    pub async fn rollover(
        &self,
        target: &str,
        new_name: Option<&NewName>,
        request: &RolloverRequest,
        is_dry: bool,
    ) -> Result<RolloverReport, RootError> {
        let wish = Wish {
            target,
            new_name,
            request,
            is_dry,
        };
        loop {
            let old = write_index(target, &self.cluster.state())?;
            let states = self.reader.shard_states().await;
            // `None` where another was faster.
            if let Some(report) = self.roll_over(&wish, &old, &states, |_| true).await? {
                return Ok(report);
            }
        }
    }

    /// Replaces the index that documents written to `target` go to as [`Self::rollover`] does, if its lifecycle still
    /// says so in the state that is changed.
    ///
    /// # Errors
    /// As [`Self::rollover`].
    pub(crate) async fn roll_over_if_due(
        &self,
        target: &str,
        request: &RolloverRequest,
        states: &ShardStates,
    ) -> Result<Option<RolloverReport>, RootError> {
        let wish = Wish {
            target,
            new_name: None,
            request,
            is_dry: false,
        };
        let old = write_index(target, &self.cluster.state())?;
        let is_due =
            |state: &ClusterState| is_rollover_due(state, self.cluster.now_ms(), target, request);
        self.roll_over(&wish, &old, states, is_due).await
    }

    /// Replaces `old`, measured by `states`; `None` where it is not the one that is written to any more, or the newest
    /// state is not as `check` wants it.
    async fn roll_over(
        &self,
        wish: &Wish<'_>,
        old: &IndexMeta,
        states: &ShardStates,
        check: impl Fn(&ClusterState) -> bool,
    ) -> Result<Option<RolloverReport>, RootError> {
        let state = self.cluster.state();
        let stream = state.data_streams.get(wish.target);
        let (generation, new_index) = match (stream, wish.new_name) {
            (Some(_), Some(_)) => {
                let reason = "new index name may not be specified when rolling over a data stream";
                return Err(QueryError::illegal(reason).into());
            }
            (Some(stream), None) => {
                self.admin
                    .next_backing(&state, wish.target, stream.generation)?
            }
            (None, Some(name)) => (0, name.clone()),
            (None, None) => {
                let name = next_name(old.given_name())?;
                (0, NewName::read(&name, self.cluster.now_ms())?)
            }
        };
        let measures = self.measure(old, states);
        let conditions = wish.request.conditions.iter().map(|condition| {
            let shown = format!("[{}: {}]", condition.name, condition.given);
            (shown, condition.is_met(&measures))
        });
        let mut report = RolloverReport {
            old_index: old.name.to_string(),
            new_index: new_index.name.clone(),
            rolled_over: false,
            conditions: conditions.collect(),
            created: None,
        };
        let next = Next {
            target: wish.target,
            old: old.uuid,
            name: &new_index,
            generation,
            body: &wish.request.next,
        };
        // A body that the new index could not be made with is refused also where it is not made.
        if wish.is_dry || !wish.request.is_due(&measures) {
            self.admin.check_next(&next)?;
            return Ok(Some(report));
        }
        let created = self.admin.put_next(&next, check).await?;
        Ok(created.map(|created| {
            report.rolled_over = true;
            report.created = Some(created);
            report
        }))
    }

    fn measure(&self, index: &IndexMeta, states: &ShardStates) -> Measures {
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
    let mut bearers = state.aliased(target);
    if bearers.any(|(index, alias)| !alias.is_data_stream && index.stream_name().is_some()) {
        let reason = "Aliases to data streams cannot be rolled over. Please rollover the data stream itself.";
        return illegal(reason.to_owned());
    }
    match gleaner_query::names::resolve_write(target, state) {
        Ok(Some(found)) => Ok(found.meta),
        Ok(None) | Err(_) => illegal(format!(
            "rollover target [{target}] does not point to a write index"
        )),
    }
}
