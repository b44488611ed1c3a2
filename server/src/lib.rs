//! The HTTP server: connections from the accepted socket to the answered request.
//!
//! Does: accept connections within bounds, believe the PROXY headers of trusted peers, encrypt ([`gleaner_tls`]),
//! speak HTTP/1.1 and HTTP/2, answer probes on a thread of their own, end what is silent, slow or unread, tell
//! each request where it comes from ([`PeerAddress`], [`Encryption`]), and have it told in the access log and in traces
//! ([`gleaner_telemetry`]), and escape text for pages in HTML ([`escaped_html`]).
//! Does not: know what a request asks for, who may ask, or how faults are rendered, but for what no service sees.
//! Called by `api`, and by what stands ahead of roots. Read [`serve`] first, then `docs/decisions/0031-edge.md`.
//!
//! The thread is the *edge*. A connection stays there until it has sent its first bytes, so silent ones never
//! reach the runtime, and the probes that it begins with are answered there, so work on the runtime cannot hold
//! them up. Every other connection moves to the runtime once, and its requests cost nothing more than before.

mod accessed;
mod admission;
mod client;
mod connection;
mod edge;
mod encryption;
mod frames;
mod html;
mod leftover;
mod options;
mod panic;
mod probing;
mod proxy;
mod response;
mod server;

pub use client::{Encryption, PeerAddress};
pub use html::escaped_html;
pub use leftover::Leftover;
pub use options::ServerOptions;
pub use panic::answer_to_panic;
pub use server::{Answers, serve, serve_probes};

#[cfg(test)]
mod tests;
