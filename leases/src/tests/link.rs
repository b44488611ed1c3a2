//! The way from a holder to a grantor.

use std::sync::Arc;

use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::world::{Fault, Followed};
use super::*;

/// A way on which each message is late by up to 300 ms, and sometimes lost.
pub(super) struct Link<S> {
    pub(super) grantor: Arc<S>,
    pub(super) is_good: bool,
    pub(super) random: parking_lot::Mutex<StdRng>,
    pub(super) fault: Option<Fault>,
}

/// What was shown when an ask came.
struct Earlier<'a> {
    shown: &'a dyn Shown,
    leased: Vec<(ShardKey, Generation)>,
    longest: Duration,
}

impl Shown for Earlier<'_> {
    fn leasable(&self, _: IndexUuid, longest: &mut Duration) -> Vec<(ShardKey, Generation)> {
        *longest = self.longest.min(*longest);
        self.leased.clone()
    }

    fn note_read(&self, index: IndexUuid) {
        self.shown.note_read(index);
    }

    fn state_version(&self) -> u64 {
        self.shown.state_version()
    }
}

impl<S> Link<S> {
    async fn travel(&self) -> Result<(), FollowFault> {
        let (wait, is_lost) = {
            let mut random = self.random.lock();
            let slow = !self.is_good && random.random_bool(0.1);
            let most = if slow { 300 } else { 5 };
            let is_lost = !self.is_good && random.random_bool(0.03);
            (random.random_range(0..most), is_lost)
        };
        sleep(Duration::from_millis(wait)).await;
        if is_lost {
            sleep(Duration::from_millis(400)).await;
            return Err(FollowFault::Unreachable("lost".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl<S: Followed> Grantor for Link<S> {
    async fn follow(&self, call: FollowCall) -> Result<FollowAnswer, FollowFault> {
        let sent = Instant::now();
        self.travel().await?;
        // Whoever is there by now.
        let grants = self.grantor.grants();
        let shown: &dyn Shown = &*self.grantor;
        let mut longest = LEASE;
        let earlier = Earlier {
            shown,
            leased: shown.leasable(A, &mut longest),
            longest,
        };
        let shown = match self.fault {
            Some(Fault::ReadsBeforeItNotes) => &earlier,
            _ => shown,
        };
        let mut answer = grants.answer(&call, shown).await?;
        if !Arc::ptr_eq(&grants, &self.grantor.grants()) {
            return Err(FollowFault::Unreachable("it has begun again".to_owned()));
        }
        self.travel().await?;
        if self.fault == Some(Fault::CountsFromAnswer) {
            answer.lease += sent.elapsed();
        }
        Ok(answer)
    }
}
