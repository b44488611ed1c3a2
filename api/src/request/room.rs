//! Memory that the bodies of all requests hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;

use crate::error::ApiError;

/// Bytes that bodies may hold, and do.
pub(crate) struct BodyRoom {
    limit_bytes: usize,
    held_bytes: AtomicUsize,
}

impl BodyRoom {
    /// Returns room for as many bytes.
    pub(crate) fn new(limit_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            limit_bytes,
            held_bytes: AtomicUsize::new(0),
        })
    }

    /// Returns what counts the bytes of one body.
    pub(crate) fn open(self: &Arc<Self>) -> BodyReservation {
        BodyReservation {
            room: Arc::clone(self),
            bytes: 0,
        }
    }
}

/// Bytes that one body holds; given back on drop.
pub(crate) struct BodyReservation {
    room: Arc<BodyRoom>,
    bytes: usize,
}

impl BodyReservation {
    /// Counts `bytes` more.
    ///
    /// # Errors
    /// 429 when that is more than there is room for; what was counted before stays.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        let (held, limit) = (&self.room.held_bytes, self.room.limit_bytes);
        let wanted = held
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes);
        if wanted > limit {
            held.fetch_sub(bytes, Ordering::Relaxed);
            return Err(refused(wanted, limit, self.bytes.saturating_add(bytes)));
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back all but `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let rest = self.bytes.min(bytes);
        let given = self.bytes - rest;
        self.room.held_bytes.fetch_sub(given, Ordering::Relaxed);
        self.bytes = rest;
    }
}

impl Drop for BodyReservation {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// Returns the refusal of a body that would hold `own` bytes, all together `wanted`.
fn refused(wanted: usize, limit: usize, own: usize) -> ApiError {
    let reason = format!(
        "[in_flight_requests] Data too large, data for [<http_request>] would be [{wanted}], which is \
         larger than the limit of [{limit}]"
    );
    let durability = match own > limit {
        true => "PERMANENT",
        false => "TRANSIENT",
    };
    ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "circuit_breaking_exception",
        reason,
    )
    .with("bytes_wanted", wanted)
    .with("bytes_limit", limit)
    .with("durability", durability)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_the_room_and_give_it_back() {
        let room = BodyRoom::new(100);
        let (mut one, mut other) = (room.open(), room.open());
        one.grow(60).expect("room");
        let refused = other.grow(50).expect_err("no room");
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.kind(), "circuit_breaking_exception");
        assert_eq!(refused.to_body()["error"]["durability"], "TRANSIENT");
        other.grow(40).expect("room");
        one.shrink_to(10);
        other.grow(50).expect("given back");
        drop(other);
        one.grow(90).expect("given back");
        let refused = one.grow(1).expect_err("no room");
        assert_eq!(refused.to_body()["error"]["durability"], "PERMANENT");
        drop(one);
        assert_eq!(room.held_bytes.load(Ordering::Relaxed), 0);
    }
}
