//! What talks to a server of the dialect over HTTP, ours or any other: the bulk loader, the index that follows a folder,
//! the load tester.
//!
//! Does: load, follow, measure, word what went wrong. Does not: read flags or the environment, end the process, know
//! what a server is made of. Called by `cli`. Read [`load::run`], [`watch::run`], [`bench::run`]; [`remote::Remote`] is
//! the server.

pub mod bench;
pub mod http;
pub mod load;
pub mod remote;
pub mod text;
pub mod watch;
