//! The REST dialect: Elasticsearch's and OpenSearch's HTTP interface over a [`Root`].
//!
//! Does: routes, parameters, content types, limits on bodies, rendering, one table of errors.
//! Does not: evaluate, plan, merge, keep data; parse queries, mappings, settings (`query` does).
//! Called by `cli`, which wires [`dialect`] and [`serve`]. Read [`route::Route`] first: each route is
//! one static table of its paths, methods and parameters, and the documentation is made of them.

mod bound;
mod cached;
mod contexts;
mod dialect;
mod distribution;
pub mod docs;
mod endpoint;
mod error;
mod freshness;
mod gathered;
pub mod guard;
mod headers;
mod late;
mod look_up;
mod middleware;
pub mod openapi;
pub mod options;
mod parameters;
mod paths;
mod probes;
mod render;
mod request;
mod response;
pub mod route;
mod routes;
pub mod security;
mod serve;
mod service;
#[cfg(test)]
mod testing;
mod topz;
mod usage;
mod work;

pub use bound::{Bindings, Bound};
pub use cached::{FoundRoute, KeyMaker, Moment, Searches};
pub use dialect::{Dialect, dialect};
pub use distribution::Distribution;
pub use gathered::{Gather, GatheredRoutes, RootAnswer};
pub use options::{ApiOptions, CacheBeyond, DiskWatermarks, RemoteClusters};
pub use probes::probes;
pub use routes::{action_shown, parameter_tables, read_task_id};
pub use serve::{serve, serve_probes};
pub use topz::TopzPage;
pub use work::{WorkClass, WorkTarget, Workload, Workloads};

#[cfg(doc)]
use gleaner_root::Root;
