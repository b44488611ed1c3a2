//! The calls that a leaf answers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_model::{Generation, ShardKey};
use gleaner_proto::node::NodeFault;
use gleaner_proto::read::{Documents, GetCall, ShardState, WaitForRefreshCall};
use gleaner_proto::replicate::{
    FileCall, FollowerMessages, PrimaryMessages, Snapshot, SnapshotCall,
};
use gleaner_proto::search::{
    ExpandAnswer, ExpandCall, ExplainAnswer, ExplainCall, FetchCall, FetchFrom, FetchHits,
    OpenViewsCall, PinnedView, SearchCall, ShardView, StatisticsAnswer, StatisticsCall,
};
use gleaner_proto::write::{WriteAnswer, WriteCall};
use gleaner_proto::{LeafClient, LeafFault, ReplicationClient};
use gleaner_query::answer::{FetchedHit, FetchedHits, ShardHits};
use tokio::time::Instant;

use super::Leaf;
use super::primary::Tail;
use super::ranking::{fetched, share_threshold};
use super::views::View;
use crate::schedule::Broken;

/// Longest time that the shards of a call wait for one among them that is behind, as with a leaf.
const BEHIND_PATIENCE: Duration = Duration::from_millis(25);

/// Returns until when a copy that is behind is waited for.
fn shown_by(num_shards: usize, remaining: Duration) -> Instant {
    let patience = match num_shards {
        1 => remaining,
        _ => BEHIND_PATIENCE.min(remaining / 4),
    };
    Instant::now() + patience
}

/// Longest time that a refresh may wait for a sync.
const REFRESH: Duration = Duration::from_secs(10);

impl Leaf {
    async fn view(&self, asked: ShardView, shown_by: Instant) -> Result<Arc<View>, LeafFault> {
        let remaining = shown_by.saturating_duration_since(Instant::now());
        self.copy(asked.shard)?.view(asked, remaining).await
    }

    /// Returns the content of the hits asked.
    fn stored(&self, view: &View, from: &FetchFrom) -> Result<FetchedHits, LeafFault> {
        let shard = from.shard.shard;
        let mut hits = match &from.hits {
            FetchHits::Places(places) => {
                let stored = places
                    .iter()
                    .map(|place| view.documents.get(*place as usize));
                let hits = stored.map(|stored| Some(fetched(stored?)));
                let reason = "no document stands at that place".to_owned();
                let wrong = LeafFault::Internal { shard, reason };
                hits.collect::<Option<Vec<FetchedHit>>>().ok_or(wrong)?
            }
            FetchHits::Numbers(numbers) => {
                let stored = numbers.iter().map(|number| view.numbered(*number));
                let hits = stored.map(|stored| Some(fetched(stored?)));
                let view = view.id.0;
                let gone = LeafFault::ViewMissing { shard, view };
                hits.collect::<Option<Vec<FetchedHit>>>().ok_or(gone)?
            }
        };
        if self.cluster.schedule.is_breaking(Broken::SwapsContents) && hits.len() > 1 {
            hits.swap(0, 1);
        }
        Ok(hits.into())
    }
}

#[async_trait]
impl LeafClient for Leaf {
    async fn statistics(&self, call: StatisticsCall) -> Vec<Result<StatisticsAnswer, LeafFault>> {
        let _open = self.opened(Some(call.remaining));
        if let Err(fault) = self.admit(&call.shards, call.remaining).await {
            return call.shards.iter().map(|_| Err(fault.clone())).collect();
        }
        let mut answers = Vec::new();
        let shown_by = shown_by(call.shards.len(), call.remaining);
        for asked in &call.shards {
            let view = self.view(*asked, shown_by).await;
            answers.push(view.map(|view| StatisticsAnswer {
                view: view.id,
                generation: view.generation,
                statistics: self.count(&view, &call.request),
                num_documents: Some(view.documents.len() as u64),
                may_be_stale: false,
            }));
        }
        answers
    }

    async fn expand(&self, call: ExpandCall) -> Vec<Result<ExpandAnswer, LeafFault>> {
        let what = "patterns".to_owned();
        let fault = LeafFault::Unsupported { what };
        call.shards.iter().map(|_| Err(fault.clone())).collect()
    }

    async fn search(&self, call: SearchCall) -> Vec<Result<ShardHits, LeafFault>> {
        let _open = self.opened(Some(call.remaining));
        let mut is_cut = false;
        if let Err(fault) = self.admit(&call.shards, call.remaining).await {
            // A leaf that ran out of time may answer what it has seen until then.
            is_cut = matches!(fault, LeafFault::DeadlinePassed { .. })
                && self.random.lock().chance(1, 2);
            if !is_cut {
                return call.shards.iter().map(|_| Err(fault.clone())).collect();
            }
        }
        let mut answers = Vec::new();
        let shown_by = shown_by(call.shards.len(), call.remaining);
        for asked in &call.shards {
            let view = self.view(*asked, shown_by).await;
            answers.push(view.map(|view| {
                let mut hits = self.rank(&view, &call.query);
                hits.timed_out = is_cut;
                let copy = self.copies.get(&asked.shard);
                hits.unmatched = copy.and_then(|copy| copy.unmatched(&view, (&call.query, &hits)));
                hits
            }));
        }
        for answer in answers.iter_mut().flatten().filter(|_| is_cut) {
            let seen = answer.hits.len().div_ceil(2);
            answer.hits.truncate(seen);
            answer.total = seen as u64;
        }
        share_threshold(&mut answers, call.query.top);
        answers
    }

    async fn fetch(&self, call: FetchCall) -> Vec<Result<FetchedHits, LeafFault>> {
        let _open = self.opened(Some(call.remaining));
        let all: Vec<ShardView> = call.shards.iter().map(|from| from.shard).collect();
        if let Err(fault) = self.admit(&all, call.remaining).await {
            return all.iter().map(|_| Err(fault.clone())).collect();
        }
        let mut answers = Vec::new();
        let shown_by = shown_by(call.shards.len(), call.remaining);
        for from in &call.shards {
            let view = self.view(from.shard, shown_by).await;
            answers.push(view.and_then(|view| self.stored(&view, from)));
        }
        answers
    }

    async fn explain(&self, _call: ExplainCall) -> Result<ExplainAnswer, LeafFault> {
        Ok(ExplainAnswer::default())
    }

    async fn open_views(&self, call: OpenViewsCall) -> Vec<Result<PinnedView, LeafFault>> {
        let fault = LeafFault::Unsupported {
            what: "points in time".to_owned(),
        };
        call.shards.iter().map(|_| Err(fault.clone())).collect()
    }

    async fn renew_views(
        &self,
        views: Vec<PinnedView>,
        _keep_alive: Duration,
    ) -> Vec<Result<(), LeafFault>> {
        let gone = |view: &PinnedView| {
            Err(LeafFault::ViewMissing {
                shard: view.shard,
                view: view.view.0,
            })
        };
        views.iter().map(gone).collect()
    }

    async fn release_views(&self, _views: Vec<PinnedView>) -> usize {
        0
    }

    async fn write(&self, call: WriteCall) -> Result<WriteAnswer, LeafFault> {
        let _open = self.opened(None);
        let asked = ShardView {
            shard: call.shard,
            view: None,
            at_least: None,
        };
        self.admit(&[asked], call.remaining).await?;
        self.copy(call.shard)?.write(call).await
    }

    async fn get(&self, call: GetCall) -> Result<Documents, LeafFault> {
        Ok(Documents {
            found: vec![None; call.ids.len()],
            may_be_stale: false,
        })
    }

    async fn refresh(&self, shard: ShardKey) -> Result<Generation, LeafFault> {
        let _open = self.opened(None);
        let asked = ShardView {
            shard,
            view: None,
            at_least: None,
        };
        self.admit(&[asked], REFRESH).await?;
        let copy = self.copy(shard)?;
        copy.check_primary()?;
        Ok(copy.refresh_now().await)
    }

    async fn wait_for_refresh(&self, call: WaitForRefreshCall) -> Result<Generation, LeafFault> {
        let _open = self.opened(Some(call.remaining));
        let copy = self.copy(call.shard)?;
        copy.check_started()?;
        copy.wait_until_visible(call.seq_no.next(), call.remaining)
            .await?;
        Ok(copy.inner.lock().views.newest().generation)
    }

    async fn flush(&self, _shard: ShardKey) -> Result<(), LeafFault> {
        Ok(())
    }

    async fn force_merge(&self, _shard: ShardKey, _max_segments: usize) -> Result<(), LeafFault> {
        Ok(())
    }

    async fn shard_states(&self) -> Result<Vec<ShardState>, NodeFault> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl ReplicationClient for Leaf {
    async fn open_snapshot(&self, _call: SnapshotCall) -> Result<Snapshot, LeafFault> {
        Err(unsupported())
    }

    async fn read_file(&self, _call: FileCall) -> Result<Bytes, LeafFault> {
        Err(unsupported())
    }

    async fn follow(&self, said: FollowerMessages) -> Result<PrimaryMessages, NodeFault> {
        Ok(Tail::answer(self.copies.clone(), said))
    }

    async fn close_snapshot(&self, _shard: ShardKey, _snapshot: u64) -> Result<(), LeafFault> {
        Ok(())
    }
}

fn unsupported() -> LeafFault {
    LeafFault::Unsupported {
        what: "files of a shard".to_owned(),
    }
}
