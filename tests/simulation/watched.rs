//! A leaf as the root sees it, with a watch before it that notes what is asked and answered.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gleaner_model::node_stats::NodeStats;
use gleaner_model::{Generation, ShardKey};
use gleaner_proto::node::NodeFault;
use gleaner_proto::postings::{LocateAnswer, LocateCall};
use gleaner_proto::read::{CopyOnDisk, Documents, GetCall, ShardState, WaitForRefreshCall};
use gleaner_proto::search::{
    ExpandAnswer, ExpandCall, ExplainAnswer, ExplainCall, FetchCall, OpenViewsCall, PinnedView,
    SearchCall, StatisticsAnswer, StatisticsCall,
};
use gleaner_proto::write::{WriteAnswer, WriteCall};
use gleaner_proto::{GrpcLeaf, LeafClient, LeafFault};
use gleaner_query::answer::{FetchedHits, ShardHits};

use crate::cluster::{Cluster, now};
use crate::history::{Phase, Seen};
use crate::network;
use crate::schedule::Broken;

tokio::task_local! {
    /// The search that a call belongs to: its position in the history.
    pub(crate) static SEARCH: usize;
}

/// A leaf behind a watch.
pub(crate) struct Watched {
    cluster: Arc<Cluster>,
    number: usize,
    leaf: GrpcLeaf,
}

impl Watched {
    pub(crate) fn new(cluster: Arc<Cluster>, number: usize) -> Self {
        let leaf = GrpcLeaf::new(network::peer(number));
        Self {
            cluster,
            number,
            leaf,
        }
    }

    /// Carries out a call of a search and notes it.
    async fn noted<T: Send + 'static>(
        &self,
        (phase, shards): (Phase, Vec<ShardKey>),
        call: impl Future<Output = Vec<Result<T, LeafFault>>> + Send + 'static,
        told: impl Fn(&T) -> String,
    ) -> Vec<Result<T, LeafFault>> {
        let search = SEARCH.try_with(|search| *search).unwrap_or(usize::MAX);
        let call_of = format!("s{search} {phase:?} leaf-{}", self.number);
        self.cluster.trace(|| {
            let numbers: Vec<u32> = shards.iter().map(|shard| shard.shard.0).collect();
            format!("{call_of} asks {numbers:?}")
        });
        let out = Out::new(self, (search, phase), shards.clone());
        let called = async move {
            let answer = call.await;
            out.answered();
            answer
        };
        let answer = if self.cluster.schedule.is_breaking(Broken::LeaksCalls) {
            tokio::spawn(called).await.expect("calls do not panic")
        } else {
            called.await
        };
        self.cluster
            .trace(|| format!("{call_of} {}", told_all(&answer, told)));
        if shards.len() > 1 {
            let mut history = self.cluster.history.lock();
            for (shard, answer) in shards.iter().zip(&answer) {
                if let Err(LeafFault::Behind { .. }) = answer {
                    history.behind.insert((search, phase, *shard, self.number));
                }
            }
        }
        answer
    }

    fn see(&self, call: &SearchCall, answers: &[Result<ShardHits, LeafFault>]) {
        let Ok(search) = SEARCH.try_with(|search| *search) else {
            return;
        };
        let mut history = self.cluster.history.lock();
        for (asked, answer) in call.shards.iter().zip(answers) {
            if let Ok(hits) = answer {
                history.searches[search].seen.push(Seen {
                    shard: asked.shard,
                    query: Arc::clone(&call.query),
                    hits: hits.clone(),
                });
            }
        }
    }
}

/// Requests that are out, until they are answered or given up.
struct Out {
    cluster: Arc<Cluster>,
    number: usize,
    of: (usize, Phase),
    shards: Vec<ShardKey>,
    is_answered: bool,
}

impl Out {
    fn new(watched: &Watched, of: (usize, Phase), shards: Vec<ShardKey>) -> Self {
        let mut history = watched.cluster.history.lock();
        for shard in &shards {
            let out = history.out.entry((of.0, of.1, *shard)).or_default();
            let is_second = *out > 0;
            *out += 1;
            let is_wait = history.behind.remove(&(of.0, of.1, *shard, watched.number));
            match is_second {
                _ if is_wait => {}
                true => history.asked_second(now()),
                false => history.asked_first(now()),
            }
        }
        drop(history);
        Self {
            cluster: Arc::clone(&watched.cluster),
            number: watched.number,
            of,
            shards,
            is_answered: false,
        }
    }
}

impl Out {
    fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        let (search, phase) = self.of;
        let mut history = self.cluster.history.lock();
        for shard in &self.shards {
            if let Some(out) = history.out.get_mut(&(search, phase, *shard)) {
                *out -= 1;
                if *out == 0 {
                    history.out.remove(&(search, phase, *shard));
                }
            }
        }
        if !self.is_answered && turmoil::in_simulation() {
            let line = format!("s{search} {phase:?} leaf-{} given up", self.number);
            history.trace(now(), &line);
        }
    }
}

fn told_all<T>(answers: &[Result<T, LeafFault>], told: impl Fn(&T) -> String) -> String {
    let told = |answer: &Result<T, LeafFault>| match answer {
        Ok(answer) => told(answer),
        Err(fault) => fault.to_string(),
    };
    let told: Vec<String> = answers.iter().map(told).collect();
    format!("answers {told:?}")
}

#[async_trait]
impl LeafClient for Watched {
    async fn statistics(&self, call: StatisticsCall) -> Vec<Result<StatisticsAnswer, LeafFault>> {
        let shards = call.shards.iter().map(|asked| asked.shard).collect();
        let leaf = self.leaf.clone();
        let sent = async move { leaf.statistics(call).await };
        self.noted((Phase::Statistics, shards), sent, |answer| {
            format!("at {}", answer.generation.visible)
        })
        .await
    }

    async fn expand(&self, call: ExpandCall) -> Vec<Result<ExpandAnswer, LeafFault>> {
        self.leaf.expand(call).await
    }

    async fn search(&self, call: SearchCall) -> Vec<Result<ShardHits, LeafFault>> {
        let shards = call.shards.iter().map(|asked| asked.shard).collect();
        let (leaf, asked) = (self.leaf.clone(), call.clone());
        let sent = async move { leaf.search(call).await };
        let answers = self.noted((Phase::Query, shards), sent, |answer| {
            format!("{} at {}", answer.total, answer.generation.visible)
        });
        let answers = answers.await;
        self.see(&asked, &answers);
        answers
    }

    async fn locate(&self, call: LocateCall) -> Vec<Result<LocateAnswer, LeafFault>> {
        self.leaf.locate(call).await
    }

    async fn fetch(&self, call: FetchCall) -> Vec<Result<FetchedHits, LeafFault>> {
        let shards = call.shards.iter().map(|from| from.shard.shard).collect();
        let leaf = self.leaf.clone();
        let sent = async move { leaf.fetch(call).await };
        self.noted((Phase::Fetch, shards), sent, |fetched| {
            format!("fetched {}", fetched.hits.len())
        })
        .await
    }

    async fn explain(&self, call: ExplainCall) -> Result<ExplainAnswer, LeafFault> {
        self.leaf.explain(call).await
    }

    async fn open_views(&self, call: OpenViewsCall) -> Vec<Result<PinnedView, LeafFault>> {
        self.leaf.open_views(call).await
    }

    async fn renew_views(
        &self,
        views: Vec<PinnedView>,
        keep_alive: Duration,
    ) -> Vec<Result<(), LeafFault>> {
        self.leaf.renew_views(views, keep_alive).await
    }

    async fn release_views(&self, views: Vec<PinnedView>) -> usize {
        self.leaf.release_views(views).await
    }

    async fn write(&self, call: WriteCall) -> Result<WriteAnswer, LeafFault> {
        self.leaf.write(call).await
    }

    async fn get(&self, call: GetCall) -> Result<Documents, LeafFault> {
        self.leaf.get(call).await
    }

    async fn refresh(&self, shard: ShardKey) -> Result<Generation, LeafFault> {
        self.leaf.refresh(shard).await
    }

    async fn wait_for_refresh(&self, call: WaitForRefreshCall) -> Result<Generation, LeafFault> {
        self.leaf.wait_for_refresh(call).await
    }

    async fn flush(&self, shard: ShardKey) -> Result<(), LeafFault> {
        self.leaf.flush(shard).await
    }

    async fn force_merge(&self, shard: ShardKey, max_segments: usize) -> Result<(), LeafFault> {
        self.leaf.force_merge(shard, max_segments).await
    }

    async fn shard_states(&self) -> Result<Vec<ShardState>, NodeFault> {
        self.leaf.shard_states().await
    }

    async fn copies_on_disk(&self) -> Result<Vec<CopyOnDisk>, NodeFault> {
        self.leaf.copies_on_disk().await
    }

    async fn node_stats(&self) -> Result<NodeStats, NodeFault> {
        self.leaf.node_stats().await
    }
}
