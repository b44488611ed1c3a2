//! Views being opened: on one copy of each shard, on a second where the first is late. What is not used
//! is let go of in the background, also where it is opened only after nobody waits for it any more.

use std::pin::Pin;
use std::sync::Arc;

use gleaner_model::NodeId;
use gleaner_proto::search::{OpenViewsCall, PinnedView};
use gleaner_proto::{LeafClient, LeafFault};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::holders::release_all;
use crate::leaves::Located;

/// What one leaf says of each view that it was asked for.
type Opened = Vec<Result<PinnedView, LeafFault>>;

/// The views opened for one id. Dropping it releases those that are not kept.
#[derive(Default)]
pub(super) struct Openings(Mutex<Vec<(Located, Vec<PinnedView>)>>);

impl Openings {
    /// Asks a leaf for views.
    ///
    /// # Cancel safety
    /// What the leaf opens for a dropped future is released.
    pub(super) async fn open(&self, located: Located, call: OpenViewsCall) -> Opened {
        let client = Arc::clone(&located.client);
        let call = Box::pin(async move { client.open_views(call).await });
        let opening = Opening {
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

/// A call under way. Its leaf may have opened the views before it hears that nobody waits, so a call
/// that is dropped goes on in the background and releases what it gets.
struct Opening {
    client: Arc<dyn LeafClient>,
    /// `None` once it is answered.
    call: Option<Pin<Box<dyn Future<Output = Opened> + Send>>>,
}

impl Opening {
    async fn answer(mut self) -> Opened {
        let Some(call) = &mut self.call else {
            return Vec::new();
        };
        let opened = call.await;
        self.call = None;
        opened
    }
}

impl Drop for Opening {
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
