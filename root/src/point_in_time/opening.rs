//! Views being opened: on one copy of each shard, on a second where the first is late, on all one after the other
//! where those before may lack acknowledged writes. What is not used is let go of in the background, also where it
//! is opened only after nobody waits for it any more.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use gleaner_model::{NodeId, SeqNo};
use gleaner_proto::read::WaitForRefreshCall;
use gleaner_proto::search::{OpenViewsCall, PinnedView, ShardView};
use gleaner_proto::{LeafClient, LeafFault};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::holders::release_all;
use crate::leaves::LeafHandle;
use crate::scatter::LeafCall;

/// Longest time that the shards of a call wait for one among them that does not show yet what was
/// acknowledged: it is asked for again by itself then, and of another copy.
const BEHIND_PATIENCE: Duration = Duration::from_millis(25);

/// What one leaf says of each view that it was asked for.
type OpenAnswer = Vec<Result<PinnedView, LeafFault>>;

/// The views opened for one id. Dropping it releases those that are not kept.
#[derive(Default)]
pub(super) struct Openings(Mutex<Vec<(LeafHandle, Vec<PinnedView>)>>);

impl Openings {
    /// Asks a leaf for views that show what was acknowledged as visible: an id is worth no less than a
    /// search.
    ///
    /// # Cancel safety
    /// What the leaf opens for a dropped future is released.
    pub(super) async fn open(
        &self,
        call: LeafCall,
        keep_alive: Duration,
        holder: u64,
    ) -> OpenAnswer {
        let LeafCall {
            located,
            shards,
            remaining,
            plan: _,
        } = call;
        let patience = match shards.len() {
            1 => remaining,
            _ => BEHIND_PATIENCE.min(remaining / 4),
        };
        let waits = shards.iter().map(|asked| shows(&located, *asked, patience));
        let shown: Vec<Result<(), LeafFault>> = join_all(waits).await;
        let both = shards.iter().zip(&shown);
        let ready = both.filter(|(_, shown)| shown.is_ok());
        let open = OpenViewsCall {
            shards: ready.map(|(asked, _)| asked.shard).collect(),
            keep_alive,
            holder,
        };
        let opened = match open.shards.is_empty() {
            true => Vec::new(),
            false => self.pin(located, open).await,
        };
        let mut opened = opened.into_iter();
        let outcome = |(asked, shown): (&ShardView, Result<(), LeafFault>)| {
            shown.and_then(|()| {
                let reason = "the leaf answered for fewer shards than it was asked".to_owned();
                let shard = asked.shard;
                let missing = LeafFault::Internal { shard, reason };
                opened.next().unwrap_or(Err(missing))
            })
        };
        shards.iter().zip(shown).map(outcome).collect()
    }

    async fn pin(&self, located: LeafHandle, call: OpenViewsCall) -> OpenAnswer {
        let client = Arc::clone(&located.client);
        let call = Box::pin(async move { client.open_views(call).await });
        let opening = OpenCall {
            client: Arc::clone(&located.client),
            call: Some(call),
        };
        let opened = opening.answer().await;
        let views = opened.iter().flatten().copied().collect();
        self.0.lock().push((located, views));
        opened
    }

    /// Leaves a view pinned: its id is given away.
    pub(super) fn keep(&self, node: &NodeId, kept: &PinnedView) {
        let mut opened = self.0.lock();
        let of_node = opened.iter_mut().filter(|(leaf, _)| leaf.node == *node);
        of_node.for_each(|(_, views)| views.retain(|view| view != kept));
    }
}

impl Drop for Openings {
    fn drop(&mut self) {
        let mut opened = std::mem::take(self.0.get_mut());
        opened.retain(|(_, views)| !views.is_empty());
        if let (false, Ok(runtime)) = (opened.is_empty(), Handle::try_current()) {
            runtime.spawn(release_all(opened));
        }
    }
}

/// Waits until a copy shows what is asked of it at least.
async fn shows(copy: &LeafHandle, asked: ShardView, patience: Duration) -> Result<(), LeafFault> {
    let shard = asked.shard;
    let wanted = asked.at_least.unwrap_or_default();
    let Some(last) = wanted.0.checked_sub(1) else {
        return Ok(());
    };
    let call = WaitForRefreshCall::on_copy(shard, SeqNo(last), patience);
    let shown = copy.client.wait_for_refresh(call);
    let visible = match shown.await {
        Ok(generation) => generation.visible,
        // Far away, or silent: asked again by itself, it has more time.
        Err(LeafFault::DeadlinePassed { .. }) => SeqNo::default(),
        Err(fault) => return Err(fault),
    };
    if visible >= wanted {
        return Ok(());
    }
    Err(LeafFault::Behind {
        shard,
        wanted,
        visible,
    })
}

/// A call under way. Its leaf may have opened the views before it hears that nobody waits, so a call
/// that is dropped goes on in the background and releases what it gets.
struct OpenCall {
    client: Arc<dyn LeafClient>,
    /// `None` once it is answered.
    call: Option<Pin<Box<dyn Future<Output = OpenAnswer> + Send>>>,
}

impl OpenCall {
    async fn answer(mut self) -> OpenAnswer {
        let Some(call) = &mut self.call else {
            return Vec::new();
        };
        let opened = call.await;
        self.call = None;
        opened
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let (Some(call), Ok(runtime)) = (self.call.take(), Handle::try_current()) else {
            return;
        };
        let client = Arc::clone(&self.client);
        runtime.spawn(async move {
            let views: Vec<PinnedView> = call.await.into_iter().flatten().collect();
            if !views.is_empty() {
                client.release_views(views).await;
            }
        });
    }
}
