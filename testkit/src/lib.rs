//! What tests share: a whole node in one process, the real binary, the exhaustive oracle.
//!
//! Does: wire coordinator, log, leaf and root in a temporary folder ([`node::Node`]), and stop and
//! start them again on the same data; start, ask and kill the binary, alone ([`server::Server`]) and
//! as a cluster ([`processes::Processes`]) on an etcd ([`etcd::Etcd`]), harm a leaf's folder
//! ([`folder::Folders`]), give processes networks of their own that can be cut ([`namespaces::Namespaces`]); say what a search must answer ([`oracle::Oracle`]); size and
//! seed runs ([`run`]); record tests that cannot run here ([`skipped`]).
//! Does not: test anything itself.

pub mod cluster;
pub mod etcd;
pub mod folder;
pub mod http;
pub mod namespaces;
pub mod node;
pub mod oracle;
pub mod processes;
pub mod proxy;
pub mod rate;
pub mod run;
pub mod server;
pub mod skip;
pub mod slow;

pub use cluster::Cluster;
pub use node::Node;
pub use server::Server;
pub use skip::skipped;
