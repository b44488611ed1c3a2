//! Copies made and kept: equal to their primary whatever happens in between.

mod cluster;
mod damaged;
mod following;
mod history;
mod lost;
mod making;
mod roles;
mod stale;
mod wire;
