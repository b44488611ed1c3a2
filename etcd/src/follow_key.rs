//! The value of one key, followed.

use std::time::Duration;

use bytes::Bytes;
use gleaner_proto::etcd::{Client, Fault, Range};
use tokio::sync::watch;

/// Wait after a failure before the key is read again.
const RETRIED_AFTER: Duration = Duration::from_millis(500);

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum KeyState {
    /// Nothing yet: no member of etcd has answered.
    #[default]
    Unknown,
    /// It is not there.
    Absent,
    /// It has this value.
    Value(Bytes),
}

/// Follows `key` until the other end is dropped. While etcd does not answer, what was known stays.
pub async fn follow_key(client: Client, key: String, tell: watch::Sender<KeyState>) {
    loop {
        let followed = tokio::select! {
            followed = follow_once(&client, &key, &tell) => followed,
            () = tell.closed() => return,
        };
        if let Err(fault) = followed {
            tracing::warn!(key, %fault, "a key of etcd is not followed; it is read again");
        }
        tokio::time::sleep(RETRIED_AFTER).await;
    }
}

/// Reads the key and follows its changes until that fails.
async fn follow_once(
    client: &Client,
    key: &str,
    tell: &watch::Sender<KeyState>,
) -> Result<(), Fault> {
    let listing = client.range(Range::key(key)).await?;
    let first = listing.pairs.into_iter().next();
    pass_on(
        tell,
        first.map_or(KeyState::Absent, |pair| KeyState::Value(pair.value)),
    );
    // The watch is of all keys that begin so.
    let mut watch = client.watch(key, listing.revision.next()).await?;
    loop {
        for event in watch.next().await? {
            if event.key == key.as_bytes() {
                pass_on(tell, event.value.map_or(KeyState::Absent, KeyState::Value));
            }
        }
    }
}

fn pass_on(tell: &watch::Sender<KeyState>, state: KeyState) {
    tell.send_if_modified(|known| {
        let has_changed = *known != state;
        *known = state;
        has_changed
    });
}
