//! Copies made and kept: equal to their primary whatever happens in between.

mod cluster;
mod following;
mod history;
mod making;
mod roles;
mod wire;
