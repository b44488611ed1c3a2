//! From a folder on disk to an open copy and back: opening, replay, durable commits, repair, removal.
//!
//! Read [`maintenance`] first.

pub(crate) mod flush;
pub(crate) mod folders;
pub(crate) mod gauges;
pub(crate) mod healing;
pub(crate) mod leftovers;
pub(crate) mod maintenance;
pub(crate) mod mending;
pub(crate) mod on_disk;
pub(crate) mod opening_order;
pub(crate) mod readiness;
pub(crate) mod recovery;
pub(crate) mod removal;
pub(crate) mod reopening;
pub(crate) mod scrubber;
pub(crate) mod set_aside;
pub(crate) mod starts;
pub(crate) mod states;
pub(crate) mod stopping;
pub(crate) mod term;
pub(crate) mod watermark;
