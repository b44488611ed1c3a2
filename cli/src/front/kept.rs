//! Answers that a front of a cluster keeps: it knows the names of indices from the cluster state, and what shards show
//! from the roots, under leases.
//!
//! Does: wire the parts. Does not: decide what may be kept (`api` does), or how leases work (`leases` does).
//! Read first: [`FrontCache::start`].

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use gleaner_api::guard::Guard;
use gleaner_api::security::MaxAge;
use gleaner_api::{KeyMaker, Moment, Searches, Workloads, parameter_tables};
use gleaner_cache::{
    Answer, Beyond, Cache, CacheOptions, Current, Generations, Keep, OverflowOptions,
};
use gleaner_coordinator::Coordinator;
use gleaner_etcd::ShownVersion;
use gleaner_front::{KeptAnswers, Reads, Several, Visitors};
use gleaner_leases::{Following, Holdings, Interest, follow, leave};
use gleaner_model::{ClusterState, NodeId, PeerRole, Role, metric};
use gleaner_proto::GrpcGrantor;
use gleaner_query::canonical::edition::Targets;
use gleaner_query::limits::Limits;
use gleaner_root::edition::EditionMaker;
use http::request::Parts;
use http::{Response, StatusCode};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::visitors::KnownVisitors;
use crate::node::membership::ClusterFile;
use crate::node::state::{Calls, Participant, StateSource};
use crate::serve::node::now_ms;

/// How often leases are counted.
const COUNTED_EVERY: Duration = Duration::from_secs(1);

/// Where a front keeps answers.
pub(super) struct CacheRoom {
    /// Bytes in memory; 0 keeps none.
    pub(super) memory_bytes: u64,
    /// Where those go that fall out of it.
    pub(super) beyond: Option<Arc<dyn Beyond>>,
    /// For how long keys are taken here after the cluster state was last heard of.
    pub(super) security_max_age: Duration,
}

/// What keeps the answers of a front.
pub(super) struct FrontCache {
    /// What keeps the answers; `None` where there is no memory for any.
    pub(super) answers: Option<KeptAnswers>,
    /// Who sends requests, by the keys of the cluster.
    pub(super) visitors: Arc<dyn Visitors>,
    roots: Vec<(Following, GrpcGrantor)>,
    /// Changes of the state wait for this front from then on.
    shown: oneshot::Receiver<ShownVersion>,
    tasks: JoinSet<()>,
}

impl FrontCache {
    /// Begins to follow the cluster state and all roots. Nothing is kept before the state is known. `guard` says who may be
    /// given what is.
    ///
    /// # Errors
    /// An address of a member that is none.
    pub(super) fn start(
        file: &ClusterFile,
        calls: &Calls,
        room: CacheRoom,
        guard: Guard,
    ) -> Result<Self> {
        let memory_bytes = room.memory_bytes;
        let source = StateSource::of(file, calls)?;
        let known = Arc::new(KnownCluster::new(room.security_max_age));
        let mut tasks = JoinSet::new();
        let following = Arc::clone(&known);
        let (telling, shown) = oneshot::channel();
        let lease = file.membership.lease();
        tasks.spawn(async move {
            let followed = async {
                let coordinator = source.open(Participant::Reader).await?;
                let shown = source
                    .tell_shown(&*coordinator, PeerRole::Front, lease)
                    .await?;
                Ok::<_, anyhow::Error>((coordinator, shown))
            };
            match followed.await {
                Ok((coordinator, shown)) => {
                    // It is set once, and the cache that takes the other end is there until it leaves.
                    drop(following.state.set(coordinator));
                    drop(telling.send(shown));
                }
                Err(error) => tracing::error!("no answers are kept: {error:#}"),
            }
        });
        tasks.spawn(count_leases(Arc::clone(&known.holdings)));
        let holder = rand::random();
        let mut roots = Vec::new();
        for member in &file.membership.nodes {
            if member.role != Role::Root || memory_bytes == 0 {
                continue;
            }
            let following = Following {
                name: NodeId(member.name.as_str().into()),
                holder,
                holdings: Arc::clone(&known.holdings),
                interest: Arc::clone(&known.interest),
                grants: None,
            };
            let root = (
                following,
                GrpcGrantor::new(calls.dialling.roots.peer(&member.address)?),
            );
            let (following, grantor) = root.clone();
            tasks.spawn(async move { follow(&following, &grantor).await });
            roots.push(root);
        }
        let overflow = room.beyond.map(|beyond| {
            let known = Arc::clone(&known);
            OverflowOptions {
                beyond,
                state: Arc::new(move || known.state()),
            }
        });
        let options = CacheOptions {
            memory_bytes,
            overflow,
            ..CacheOptions::new(now_ms)
        };
        let cache = Cache::new(options, Arc::clone(&known) as _);
        let visitors = Arc::new(KnownVisitors {
            known: Arc::clone(&known),
            workloads: Workloads::default(),
        });
        let reads = ReadRequests {
            known,
            keys: KeyMaker::new(parameter_tables(), Limits::default()),
            cache: Arc::clone(&cache),
            guard,
        };
        let answers = KeptAnswers {
            cache,
            reads: Arc::new(reads),
        };
        Ok(Self {
            answers: (memory_bytes > 0).then_some(answers),
            visitors,
            roots,
            shown,
            tasks,
        })
    }

    /// Goes by nothing any more, and says so: no refresh and no change of the state waits for this front.
    pub(super) async fn leave(mut self) {
        self.tasks.shutdown().await;
        if let Ok(shown) = self.shown.try_recv()
            && let Err(error) = shown.end().await
        {
            tracing::warn!(%error, "changes may wait for this front until its lease runs out");
        }
        let left = self.roots.iter();
        join_all(left.map(|(following, grantor)| leave(following, grantor))).await;
    }
}

/// Sets the gauge of the leases that are held, again and again.
async fn count_leases(holdings: Arc<Holdings>) {
    let mut looks = tokio::time::interval(COUNTED_EVERY);
    loop {
        looks.tick().await;
        let num_held = u32::try_from(holdings.num_held()).unwrap_or(u32::MAX);
        metrics::gauge!(metric::FRONT_LEASES_HELD.name).set(num_held);
    }
}

/// The cluster as a front knows it.
pub(super) struct KnownCluster {
    /// Not there until the state is known.
    state: OnceLock<Arc<dyn Coordinator>>,
    max_age: MaxAge,
    holdings: Arc<Holdings>,
    interest: Arc<Interest>,
    editions: EditionMaker,
}

impl KnownCluster {
    fn new(security_max_age: Duration) -> Self {
        let consequence = "no kept answer is served by its keys";
        Self {
            state: OnceLock::new(),
            max_age: MaxAge::new(security_max_age, consequence),
            holdings: Arc::default(),
            interest: Arc::default(),
            editions: EditionMaker::default(),
        }
    }

    pub(super) fn state(&self) -> Option<Arc<ClusterState>> {
        Some(self.state.get()?.state())
    }

    /// Returns the state by which requests are answered here. `None` where it is not known, and where the cluster has
    /// keys and nothing was heard of the state for so long that some may have been revoked.
    fn state_of_keys(&self) -> Option<Arc<ClusterState>> {
        self.max_age.state(&**self.state.get()?).ok()
    }
}

#[async_trait]
impl Generations for KnownCluster {
    fn current(&self, targets: &Targets) -> Current {
        let indices = targets.indices.iter().map(|index| index.uuid);
        self.interest.note(indices, true);
        let Some(state) = self.state() else {
            return Current::Unknown;
        };
        let shown = |shard| self.holdings.newest(shard, state.version);
        let current = self.editions.edition_at(&state, targets, shown);
        current.map_or(Current::Unknown, Current::Edition)
    }
}

/// Reads requests of the dialect.
struct ReadRequests {
    known: Arc<KnownCluster>,
    keys: KeyMaker,
    cache: Arc<Cache>,
    /// What every root lets pass.
    guard: Guard,
}

impl ReadRequests {
    fn moment(&self) -> Option<Moment> {
        Some(Moment {
            state: self.known.state_of_keys()?,
            now_ms: now_ms(),
        })
    }
}

impl Reads for ReadRequests {
    fn may_be_answered(&self, head: &Parts) -> bool {
        self.guard.passes(head)
    }

    fn keep(&self, head: &Parts, body: &Bytes) -> Option<Keep> {
        self.keys
            .keep(head, body, &self.moment()?, self.cache.memo())
    }

    fn several(&self, head: &Parts, body: &Bytes) -> Option<Arc<dyn Several>> {
        let moment = self.moment()?;
        let searches = self.keys.searches(head, body, &moment, self.cache.memo())?;
        Some(Arc::new(PartsOfSearches(searches)))
    }
}

/// The searches of an `_msearch`, as parts of one request.
struct PartsOfSearches(Searches);

impl Several for PartsOfSearches {
    fn keeps(&self) -> &[Option<Keep>] {
        self.0.keeps()
    }

    fn body_for(&self, places: &[usize]) -> Bytes {
        self.0.body_for(places)
    }

    fn answers_in(&self, answer: &Response<Bytes>, num: usize) -> Option<Vec<Answer>> {
        self.0.answers_in(answer, num)
    }

    fn joined(&self, answers: &[(StatusCode, Bytes)], took: Duration) -> Bytes {
        Searches::joined(answers, took)
    }
}

#[cfg(test)]
mod tests {
    use gleaner_coordinator::CoordinatorError;
    use gleaner_model::Security;
    use tokio::sync::watch;

    use super::*;

    /// Follows a state that was last heard of a while ago.
    struct Silent {
        state: Arc<ClusterState>,
        unheard_for: Duration,
    }

    #[async_trait]
    impl Coordinator for Silent {
        fn state(&self) -> Arc<ClusterState> {
            Arc::clone(&self.state)
        }

        async fn latest(&self) -> Result<Arc<ClusterState>, CoordinatorError> {
            Ok(self.state())
        }

        fn watch(&self) -> watch::Receiver<Arc<ClusterState>> {
            watch::Sender::new(self.state()).subscribe()
        }

        fn unheard_for(&self) -> Duration {
            self.unheard_for
        }

        async fn compare_and_swap(
            &self,
            expected: u64,
            _next: ClusterState,
        ) -> Result<Arc<ClusterState>, CoordinatorError> {
            Err(CoordinatorError::Conflict {
                expected,
                current: self.state.version,
            })
        }
    }

    #[test]
    fn keys_are_taken_for_so_long_after_the_state_was_heard_of() {
        let answers_by = |security: Option<Security>, seconds: u64| {
            let known = KnownCluster::new(Duration::from_secs(60));
            let state = ClusterState {
                security: security.map(Arc::new),
                ..ClusterState::default()
            };
            let silent = Silent {
                state: Arc::new(state),
                unheard_for: Duration::from_secs(seconds),
            };
            drop(known.state.set(Arc::new(silent)));
            known.state_of_keys().is_some()
        };
        assert!(answers_by(Some(Security::default()), 60));
        assert!(!answers_by(Some(Security::default()), 61));
        assert!(answers_by(None, 61), "nobody is asked for a key");
    }
}
