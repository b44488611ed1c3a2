//! Load at a constant rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

/// Begins `request` so many times a second, each when it is due whether or not others have been answered, so that what
/// waits is seen; it gets its number, from 0, and when it was due. Ends with the last of them once `is_over`.
///
/// # Panics
/// When a request does, and at a rate of 0.
pub async fn at_rate<F>(
    per_second: u32,
    is_over: Arc<AtomicBool>,
    request: impl Fn(u64, Instant) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    // What falls behind is made up for: an interval bursts by default.
    let mut ticks = interval(Duration::from_secs(1) / per_second);
    let mut open = JoinSet::new();
    for number in 0.. {
        let due = ticks.tick().await;
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        open.spawn(request(number, due));
        while let Some(ended) = open.try_join_next() {
            ended.expect("a request ends");
        }
    }
    open.join_all().await;
}
