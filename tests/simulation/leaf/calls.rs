//! The calls that a leaf answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gleaner_model::{Generation, SeqNo, ShardKey};
use gleaner_proto::postings::{LocateAnswer, LocateCall, LocateIn, LocateSet, LocatedDocument};
use gleaner_proto::read::{Document, GetCall, ShardState};
use gleaner_proto::replicate::{FileCall, LogPage, LogTailCall, Snapshot, SnapshotCall};
use gleaner_proto::search::{
    ExpandAnswer, ExpandCall, ExplainAnswer, ExplainCall, FetchCall, OpenViewsCall, PinnedView,
    SearchCall, ShardView, StatisticsAnswer, StatisticsCall,
};
use gleaner_proto::write::{WriteAnswer, WriteCall};
use gleaner_proto::{LeafClient, LeafFault, ReplicationClient};
use gleaner_query::answer::{FetchedHit, ShardHit, ShardHits};
use gleaner_query::resolved::{ShardQuery, Statistics, StatisticsRequest, TieBreak};

use super::Leaf;
use super::views::View;
use crate::documents::Stored;
use crate::schedule::{Broken, TERM};
use crate::scoring;

/// Longest time that a refresh may wait for a sync.
const REFRESH: Duration = Duration::from_secs(10);

impl Leaf {
    async fn view(&self, asked: ShardView, remaining: Duration) -> Result<Arc<View>, LeafFault> {
        self.copy(asked.shard)?.view(asked, remaining).await
    }

    fn count(&self, view: &View, request: &StatisticsRequest) -> Statistics {
        let mut numbers = scoring::count(&view.documents, request);
        if self.cluster.schedule.is_breaking(Broken::Miscounts) {
            let fields = numbers.fields.values_mut();
            fields.for_each(|of_field| of_field.documents += 1);
        }
        numbers
    }

    /// Finds the best hits of one view.
    fn rank(&self, view: &View, query: &ShardQuery) -> ShardHits {
        let alone;
        let mut numbers = &*query.statistics;
        if self.cluster.schedule.is_breaking(Broken::ScoresAlone) {
            let mut wanted = StatisticsRequest::default();
            wanted.collect(&query.query);
            alone = scoring::count(&view.documents, &wanted);
            numbers = &alone;
        }
        let placed = view.documents.iter().zip(0..);
        let mut hits: Vec<ShardHit> = placed
            .filter_map(|(stored, place)| {
                let score = scoring::score(&query.query, stored, numbers)?;
                Some(hit(stored, place, score))
            })
            .collect();
        hits.sort_by(|a, b| by_score(a, b));
        let mut total = hits.len() as u64;
        let is_broken = |broken| self.cluster.schedule.is_breaking(broken) && !hits.is_empty();
        if is_broken(Broken::HidesHits) {
            hits.remove(0);
            total -= 1;
        } else if is_broken(Broken::RepeatsHits) && hits.len() > 1 {
            hits[1] = hits[0].clone();
        }
        ShardHits {
            generation: view.generation,
            view: view.id,
            num_documents: view.documents.len() as u64,
            total,
            max_score: hits.first().and_then(|hit| hit.score),
            hits,
            aggregations: None,
            timed_out: false,
            terminated_early: false,
            times: None,
        }
    }
}

fn hit(stored: &Stored, place: u64, score: f32) -> ShardHit {
    ShardHit {
        score: Some(score),
        keys: Vec::new(),
        tie: TieBreak {
            hash: stored.tie,
            id: None,
        },
        seq_no: stored.seq_no,
        place,
    }
}

fn by_score(a: &ShardHit, b: &ShardHit) -> std::cmp::Ordering {
    let score = |hit: &ShardHit| hit.score.unwrap_or_default();
    score(b)
        .total_cmp(&score(a))
        .then_with(|| a.tie.cmp(&b.tie))
}

/// Leaves out hits that cannot be among the best of all shards of the call: leaves share one
/// threshold among them.
fn share_threshold(answers: &mut [Result<ShardHits, LeafFault>], top: usize) {
    let hits = answers.iter().flatten().flat_map(|answer| &answer.hits);
    let mut best: Vec<ShardHit> = hits.cloned().collect();
    best.sort_by(by_score);
    let worst = best.get(top.max(1) - 1).cloned();
    for answer in answers.iter_mut().flatten() {
        if let Some(worst) = &worst {
            answer.hits.retain(|hit| by_score(hit, worst).is_le());
        }
        answer.hits.truncate(top);
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
        for asked in &call.shards {
            let view = self.view(*asked, call.remaining).await;
            answers.push(view.map(|view| StatisticsAnswer {
                view: view.id,
                generation: view.generation,
                statistics: self.count(&view, &call.request),
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
        for asked in &call.shards {
            let view = self.view(*asked, call.remaining).await;
            answers.push(view.map(|view| self.rank(&view, &call.query)));
        }
        for answer in answers.iter_mut().flatten().filter(|_| is_cut) {
            answer.timed_out = true;
            let seen = answer.hits.len().div_ceil(2);
            answer.hits.truncate(seen);
            answer.total = seen as u64;
        }
        share_threshold(&mut answers, call.query.top);
        answers
    }

    async fn locate(&self, call: LocateCall) -> Vec<Result<LocateAnswer, LeafFault>> {
        let _open = self.opened(Some(call.remaining));
        let shards: Vec<ShardView> = call.shards.iter().map(|asked| asked.shard).collect();
        if let Err(fault) = self.admit(&shards, call.remaining).await {
            return call.shards.iter().map(|_| Err(fault.clone())).collect();
        }
        let mut answers = Vec::new();
        for LocateIn { shard, sets } in &call.shards {
            let view = self.view(*shard, call.remaining).await;
            answers.push(view.map(|view| LocateAnswer {
                view: view.id,
                generation: view.generation,
                num_documents: view.documents.len() as u64,
                sets: sets.iter().map(|set| located(&view, set)).collect(),
                times: None,
            }));
        }
        answers
    }

    async fn fetch(&self, call: FetchCall) -> Result<Vec<FetchedHit>, LeafFault> {
        let _open = self.opened(Some(call.remaining));
        let asked = ShardView {
            shard: call.shard,
            view: Some(call.view),
            at_least: None,
        };
        self.admit(&[asked], call.remaining).await?;
        let view = self.view(asked, call.remaining).await?;
        let hits = call.places.iter().map(|place| {
            let stored = view.documents.get(*place as usize);
            stored.map(|stored| fetched(stored))
        });
        let hits: Option<Vec<FetchedHit>> = hits.collect();
        let mut hits = hits.ok_or_else(|| LeafFault::Internal {
            shard: call.shard,
            reason: "no document stands at that place".to_owned(),
        })?;
        if self.cluster.schedule.is_breaking(Broken::SwapsContents) && hits.len() > 1 {
            hits.swap(0, 1);
        }
        Ok(hits)
    }

    async fn explain(&self, _call: ExplainCall) -> Result<Option<ExplainAnswer>, LeafFault> {
        Ok(None)
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

    async fn get(&self, call: GetCall) -> Result<Vec<Option<Document>>, LeafFault> {
        Ok(call.ids.iter().map(|_| None).collect())
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

    async fn wait_for_refresh(
        &self,
        shard: ShardKey,
        seq_no: SeqNo,
        deadline: Duration,
    ) -> Result<Generation, LeafFault> {
        let _open = self.opened(Some(deadline));
        let copy = self.copy(shard)?;
        copy.check_started()?;
        let wanted = SeqNo(seq_no.0 + 1);
        copy.wait_until_visible(wanted, deadline).await?;
        Ok(copy.inner.lock().views.newest().generation)
    }

    async fn flush(&self, _shard: ShardKey) -> Result<(), LeafFault> {
        Ok(())
    }

    async fn force_merge(&self, _shard: ShardKey, _max_segments: usize) -> Result<(), LeafFault> {
        Ok(())
    }

    async fn shard_states(&self) -> Vec<ShardState> {
        Vec::new()
    }
}

fn located(view: &View, set: &LocateSet) -> Vec<LocatedDocument> {
    let places = view.documents.iter().zip(0..);
    let by_number: BTreeMap<u64, (&Arc<Stored>, u64)> = places
        .map(|(stored, place)| (stored.seq_no.0, (stored, place)))
        .collect();
    let found = set.documents.iter().filter_map(|seq_no| {
        let (stored, place) = by_number.get(&seq_no)?;
        Some(LocatedDocument {
            seq_no: SeqNo(seq_no),
            place: *place,
            tie: TieBreak {
                hash: stored.tie,
                id: None,
            },
        })
    });
    let mut found: Vec<LocatedDocument> = found.collect();
    found.sort_by(|a, b| a.tie.cmp(&b.tie));
    found.truncate(set.top);
    found
}

fn fetched(stored: &Stored) -> FetchedHit {
    FetchedHit {
        id: stored.id.clone(),
        routing: None,
        seq_no: stored.seq_no,
        term: TERM,
        version: stored.version,
        source: stored.source.clone(),
        fields: Default::default(),
        highlight: Default::default(),
        explanation: None,
    }
}

#[async_trait]
impl ReplicationClient for Leaf {
    async fn log_tail(&self, call: LogTailCall) -> Result<LogPage, LeafFault> {
        self.copy(call.shard)?.tail(call).await
    }

    async fn open_snapshot(&self, _call: SnapshotCall) -> Result<Snapshot, LeafFault> {
        Err(unsupported())
    }

    async fn read_file(&self, _call: FileCall) -> Result<Bytes, LeafFault> {
        Err(unsupported())
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
