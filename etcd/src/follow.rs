//! One watch on the prefix for as long as a node runs, and all keys read at once where a watch cannot tell.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_coordinator::CoordinatorError;
use gleaner_model::ClusterState;
use gleaner_proto::etcd::{Client, Fault, Listing, Range};

use crate::change;
use crate::error_of;
use crate::keys::Keys;
use crate::mirror::{Mirror, View};
use crate::rules::Rule;

/// Keys that are read at once: with the largest values there can be, 48 MiB.
const PAGE: u32 = 32;

/// For how long etcd may be away before that is worth a warning.
const STARTING: Duration = Duration::from_secs(10);

/// How often it is noted whether etcd gives signs of life.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Pauses between attempts, each twice as long as the last one.
pub(crate) struct Pauses(Duration);

impl Pauses {
    /// The shortest and the longest.
    const BOUNDS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

    pub(crate) fn new() -> Self {
        Self(Self::BOUNDS.0)
    }

    /// Waits for the next one.
    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(Self::BOUNDS.1);
    }
}

/// Says that etcd is away, and how loudly.
struct Absence(Option<Instant>);

impl Absence {
    fn note(&mut self, reason: &dyn std::fmt::Display) {
        let away = self.0.get_or_insert_with(Instant::now).elapsed();
        match away < STARTING {
            true => tracing::info!(%reason, "etcd is not followed; trying again"),
            false => tracing::warn!(%reason, "etcd is not followed; trying again"),
        }
    }
}

/// What to do where etcd holds no cluster of the name.
#[derive(Debug, Clone)]
pub enum IfAbsent {
    /// Begin one with this state.
    Begin(Box<ClusterState>),
    /// Wait until a node has begun it.
    Wait,
    /// Refuse: the node holds data of it, so that etcd has lost it.
    Refuse,
}

/// Reads all keys of the cluster, as they were at one revision.
///
/// # Errors
/// That nobody answers.
pub(crate) async fn read_all(client: &Client, keys: &Keys) -> Result<Listing, Fault> {
    let page = || Range::prefix(keys.prefix()).limit(PAGE);
    'anew: loop {
        let mut all = client.range(page()).await?;
        while let Some(last) = all.pairs.last().filter(|_| all.has_more) {
            let rest = page().after(&last.key).at(all.revision);
            match client.range(rest).await {
                Ok(next) => {
                    all.pairs.extend(next.pairs);
                    all.has_more = next.has_more;
                }
                Err(Fault::Compacted { .. }) => continue 'anew,
                Err(fault) => return Err(fault),
            }
        }
        return Ok(all);
    }
}

/// Waits until etcd answers; returns what it holds, once a cluster was begun there.
///
/// # Errors
/// What cannot be read, and [`IfAbsent::Refuse`].
pub(crate) async fn first_view(
    client: &Client,
    keys: &Keys,
    absent: &IfAbsent,
) -> Result<View, CoordinatorError> {
    let (mut pauses, mut absence) = (Pauses::new(), Absence(None));
    loop {
        match try_first_view(client, keys, absent).await {
            Err(
                CoordinatorError::Unavailable { reason } | CoordinatorError::OutOfQuota { reason },
            ) => absence.note(&reason),
            known => return known,
        }
        pauses.pause().await;
    }
}

async fn try_first_view(
    client: &Client,
    keys: &Keys,
    absent: &IfAbsent,
) -> Result<View, CoordinatorError> {
    let listing = read_all(client, keys).await.map_err(error_of)?;
    let view = View::of(keys.clone(), listing);
    if view.entries.cluster.is_some() || view.entries.meta.is_some() {
        return Ok(view);
    }
    let initial = match absent {
        IfAbsent::Begin(initial) => initial,
        IfAbsent::Wait => {
            let reason = "no node has begun the cluster yet".to_owned();
            return Err(CoordinatorError::Unavailable { reason });
        }
        IfAbsent::Refuse => {
            return Err(CoordinatorError::Unreadable {
                path: keys.cluster(),
                reason: "it is not there, and this node has data of a cluster: start etcd with the data that it \
                         had, or this node with an empty folder to begin anew"
                    .to_owned(),
            });
        }
    };
    let begun = client.transaction(change::beginning(keys, initial)?).await;
    // Where another node was faster, or nobody knows, reading tells.
    match begun {
        Ok(_) | Err(Fault::Unknown { .. }) => {}
        Err(fault) => return Err(error_of(fault)),
    }
    let listing = read_all(client, keys).await.map_err(error_of)?;
    let view = View::of(keys.clone(), listing);
    match view.entries.cluster.is_some() {
        true => Ok(view),
        false => Err(CoordinatorError::Unavailable {
            reason: "it is not known whether the cluster was begun".to_owned(),
        }),
    }
}

/// Follows etcd for ever: from where the mirror is, on the next member where one is silent or ends the watch.
pub(crate) async fn follow(client: Client, keys: Keys, mirror: Arc<Mirror>) {
    let (mut pauses, mut absence) = (Pauses::new(), Absence(None));
    loop {
        let on_change = || (pauses, absence) = (Pauses::new(), Absence(None));
        let followed = follow_once(&client, &keys, &mirror, on_change).await;
        mirror.note_followed(false);
        match followed {
            Err(Fault::Compacted { .. }) => match read_all(&client, &keys).await {
                Ok(listing) => {
                    match mirror.omits(Rule::ReadWhatIsCompacted) {
                        true => mirror.advance(listing.revision, |_| false),
                        false => mirror.replace(listing),
                    }
                    continue;
                }
                Err(fault) => absence.note(&fault),
            },
            Err(fault) => absence.note(&fault),
            Ok(never) => match never {},
        }
        pauses.pause().await;
    }
}

/// Follows one watch until it ends; `on_change` is called with each change.
async fn follow_once(
    client: &Client,
    keys: &Keys,
    mirror: &Mirror,
    mut on_change: impl FnMut(),
) -> Result<Infallible, Fault> {
    let known = mirror.view().revision;
    if client.range(Range::key(&keys.meta())).await?.revision < known {
        // A watch from there on would wait until the history is as long again, and miss what comes before.
        tracing::error!(
            revision = known.0,
            "etcd does not have a revision that this node has seen: it was emptied, or a backup restored"
        );
        mirror.begin_again(read_all(client, keys).await?);
    }
    let from = mirror.view().revision.next();
    let mut watch = client.watch(keys.prefix(), from).await?;
    mirror.note_followed(true);
    loop {
        mirror.note_heard(watch.heard());
        // Signs of life come without changes too.
        let Ok(changes) = tokio::time::timeout(LOOK_EVERY, watch.next()).await else {
            continue;
        };
        mirror.apply(&changes?);
        on_change();
    }
}

#[cfg(test)]
mod tests {

    use anyhow::Result;
    use gleaner_coordinator::Coordinator;
    use gleaner_model::{IndexMeta, IndexName, IndexUuid};
    use gleaner_proto::Connect;
    use gleaner_testkit::etcd::{Etcd, NO_ETCD, is_installed};
    use gleaner_testkit::skipped;

    use super::*;
    use crate::EtcdCoordinator;

    fn with_index(state: &ClusterState, number: u8) -> ClusterState {
        let index = IndexMeta::new(
            IndexUuid([number; 16]),
            IndexName::parse(&format!("index-{number}")).expect("a good name"),
        );
        let mut next = state.clone();
        next.indices.insert(index.uuid, Arc::new(index));
        next
    }

    async fn change(coordinator: &EtcdCoordinator, number: u8) -> Result<u64> {
        let state = coordinator.state();
        let next = with_index(&state, number);
        let made = coordinator.compare_and_swap(state.version, next).await?;
        Ok(made.version)
    }

    /// Follows an etcd that has thrown the history away which comes after what the mirror knows. Does it miss a change?
    async fn misses_what_was_compacted(omitted: Option<Rule>) -> Result<bool> {
        let etcd = Etcd::start()?;
        let client = Client::new(&Connect::default(), &[etcd.address()]).expect("an address");
        let keys = Keys::of("barley").expect("a good name");
        let begin = IfAbsent::Begin(Box::default());
        let coordinator =
            EtcdCoordinator::open(client.clone(), keys.clone(), begin.clone()).await?;
        let mut mirror = Mirror::new(first_view(&client, &keys, &begin).await?)?;
        mirror.omitted = omitted;
        let mirror = Arc::new(mirror);
        change(&coordinator, 1).await?;
        change(&coordinator, 2).await?;
        let newest = client.range(Range::key(&keys.meta())).await?;
        etcd.compact(newest.revision.0)?;
        let following = tokio::spawn(follow(client, keys, Arc::clone(&mirror)));
        // It follows once the watch that could not tell is over.
        let mut revisions = mirror.revisions();
        revisions
            .wait_for(|known| *known >= newest.revision)
            .await?;
        let last = change(&coordinator, 3).await?;
        let mut states = mirror.states().subscribe();
        let shown = states
            .wait_for(|state| state.version >= last)
            .await?
            .clone();
        following.abort();
        Ok(shown.indices.len() < 3)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_found_that_what_was_compacted_is_skipped() -> Result<()> {
        if !is_installed() {
            let test = "follow::tests::it_is_found_that_what_was_compacted_is_skipped";
            return skipped(test, NO_ETCD);
        }
        assert!(!misses_what_was_compacted(None).await?);
        assert!(misses_what_was_compacted(Some(Rule::ReadWhatIsCompacted)).await?);
        Ok(())
    }
}
