//! Copies made and kept: equal to their primary whatever happens in between.

mod behind;
mod cluster;
mod damaged;
mod following;
mod forgotten;
mod leases;
mod making;
mod roles;
mod set_aside;
mod stale;
mod wire;
