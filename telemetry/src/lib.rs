//! What operators see of requests: lines of the access log, and spans of traces.
//!
//! Does: read and write `traceparent` ([`TraceContext`]), carry a request's trace and what is noted of it from task to
//! task ([`Scope`]), time spans and queue them for an exporter ([`Span`], [`record_spans`]), write lines on a thread of
//! its own ([`LineLog`], [`AccessLog`]), know what the process is busy with ([`top`]). Does not: accept connections, encode or send spans, know routes.
//! Called by `server` (one line and one span a request), `proto` (traces between nodes), `root` and `leaf` (spans),
//! `api` and `front` (what is noted); `cli` reads the queue of spans. Read [`Scope`] first, then
//! `docs/decisions/0054-telemetry.md`.
//!
//! Nothing here waits for a disk or a collector: queues are bounded, and what finds no room is counted and dropped.

mod access;
mod context;
mod facts;
mod line_log;
mod recorder;
mod scope;
mod span;
mod top;

pub use access::{AccessLog, AccessRecord, Served};
pub use context::{TRACEPARENT, TRACEPARENT_KEY, TraceContext};
pub use facts::{Facts, NotedShards, QueryKey};
pub use line_log::{LineLog, LinePlace};
pub use recorder::record_spans;
pub use scope::{Scope, carried, current, in_common, note};
pub use span::{AttributeValue, FinishedSpan, Span, SpanKind, traced};
pub use top::{Busy, HotKey, HotRoute, RunningRequest, note_shards, top};
