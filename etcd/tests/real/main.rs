//! The coordinator, entries and sessions on a real etcd, which each test starts for itself; skipped where none is installed.

mod cluster;
mod coordinator;
mod entries;
mod health;
mod link;
mod members;
mod outcomes;
mod reach;
mod server;
mod session;
mod shown;
mod users;
