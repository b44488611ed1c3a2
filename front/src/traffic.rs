//! How far a connection to a backend has come: whether its last request was the first, and whether anything was said
//! to it.
//!
//! A connection that is kept may be closed by the backend in the moment in which a request is sent over it. That request
//! was lost, though its backend is well; one that breaks a connection which was made for it was seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use hyper_util::client::legacy::Error;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Nothing was sent.
    Unused,
    /// Its first request was sent, and nothing was heard.
    Asked,
    /// Something was heard since the last request.
    Heard,
    /// A further request was sent, and nothing was heard since.
    AskedAgain,
}

const STAGES: [Stage; 4] = [Stage::Unused, Stage::Asked, Stage::Heard, Stage::AskedAgain];

/// What has gone over a connection. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic(Arc<AtomicU8>);

impl Traffic {
    /// Returns that of the connection on which a request failed, where it had one.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        let mut extras = http::Extensions::new();
        error.connect_info()?.get_extras(&mut extras);
        extras.remove()
    }

    pub(crate) fn stage(&self) -> Stage {
        STAGES[usize::from(self.0.load(Relaxed))]
    }

    /// Notes that bytes of a request were sent.
    pub(crate) fn note_sent(&self) {
        match self.stage() {
            Stage::Unused => self.0.store(Stage::Asked as u8, Relaxed),
            Stage::Heard => self.0.store(Stage::AskedAgain as u8, Relaxed),
            Stage::Asked | Stage::AskedAgain => {}
        }
    }

    /// Notes that bytes came.
    pub(crate) fn note_heard(&self) {
        if matches!(self.stage(), Stage::Asked | Stage::AskedAgain) {
            self.0.store(Stage::Heard as u8, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_further_request_is_told_from_the_first() {
        let traffic = Traffic::default();
        traffic.note_heard();
        assert_eq!(traffic.stage(), Stage::Unused, "a greeting is no answer");
        for (stages, of) in [
            ([Stage::Asked, Stage::Heard], "the first request"),
            ([Stage::AskedAgain, Stage::Heard], "the second"),
            ([Stage::AskedAgain, Stage::Heard], "the third"),
        ] {
            for _ in 0..2 {
                traffic.note_sent();
                assert_eq!(traffic.stage(), stages[0], "{of}");
            }
            traffic.note_heard();
            assert_eq!(traffic.stage(), stages[1], "{of}");
        }
    }
}
