//! Views kept alive between the phases of a search, and for scrolls and points in time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_engine::View;
use gleaner_query::answer::ViewId;
use parking_lot::Mutex;

/// How long a view outlives the last phase that named it. Longer than any sane search takes between
/// its phases; a search that is slower begins again.
const PHASE_AGE: Duration = Duration::from_secs(30);

/// The views of one shard that someone may still ask for.
#[derive(Default)]
pub(crate) struct Views {
    kept: Mutex<BTreeMap<ViewId, Kept>>,
}

struct Kept {
    view: Arc<View>,
    expires: Instant,
    /// Scrolls and points in time that hold it.
    pins: usize,
}

impl Views {
    /// Keeps `view` for the next phase of a search.
    pub(crate) fn keep(&self, view: &Arc<View>) {
        self.extend(view, PHASE_AGE, 0);
    }

    /// Keeps `view` for `keep_alive` on behalf of one more holder.
    pub(crate) fn pin(&self, view: &Arc<View>, keep_alive: Duration) {
        self.extend(view, keep_alive, 1);
    }

    fn extend(&self, view: &Arc<View>, age: Duration, pins: usize) {
        let expires = Instant::now() + age;
        let mut kept = self.kept.lock();
        let entry = kept.entry(view.id());
        let entry = entry.or_insert_with(|| Kept {
            view: Arc::clone(view),
            expires,
            pins: 0,
        });
        entry.expires = entry.expires.max(expires);
        entry.pins += pins;
    }

    /// Returns the view of that id, if it is still kept.
    pub(crate) fn find(&self, id: ViewId) -> Option<Arc<View>> {
        self.kept.lock().get(&id).map(|kept| Arc::clone(&kept.view))
    }

    /// Keeps a pinned view for another `keep_alive`; returns whether it was still there.
    pub(crate) fn renew(&self, id: ViewId, keep_alive: Duration) -> bool {
        let expires = Instant::now() + keep_alive;
        let mut kept = self.kept.lock();
        let Some(entry) = kept.get_mut(&id).filter(|entry| entry.pins > 0) else {
            return false;
        };
        entry.expires = entry.expires.max(expires);
        true
    }

    /// Takes one holder off; returns whether it was one. Searches under way keep the view.
    pub(crate) fn release(&self, id: ViewId) -> bool {
        let mut kept = self.kept.lock();
        let Some(entry) = kept.get_mut(&id).filter(|entry| entry.pins > 0) else {
            return false;
        };
        entry.pins -= 1;
        if entry.pins == 0 {
            kept.remove(&id);
        }
        true
    }

    /// Forgets views whose time is over.
    pub(crate) fn expire(&self) {
        let now = Instant::now();
        self.kept.lock().retain(|_, kept| kept.expires > now);
    }
}
