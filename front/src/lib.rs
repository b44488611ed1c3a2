//! The tier ahead: any number of processes that hold nothing, between clients and roots, or any other HTTP service.
//!
//! Does: clean requests of what only a next hop may say, know the client behind proxies, choose a backend by its
//! readiness, its load or the session, forward once and once more where that is safe, say what failed; answer from
//! what `cache` keeps. Does not: accept connections (`server` does), know TLS (it asks `tls`), read the dialect
//! ([`Reads`] does).
//! Called by `cli`. Read [`Front`] first, then `docs/decisions/0040-front.md`.

mod address;
mod admin;
mod answer;
mod backend;
mod balance;
mod body;
mod budget;
mod classes;
mod connect;
mod control;
mod familiar;
mod forward;
mod front;
mod gather;
mod health;
mod hygiene;
mod kept;
mod limits;
mod mean;
mod options;
mod outcome;
mod pause;
mod probe;
mod redirect;
mod refusal;
mod session;
mod split;
mod traffic;

pub use address::TrustedProxies;
pub use classes::RequestClass;
pub use control::{ControlOptions, Target, Visitor, Visitors, Work};
pub use front::Front;
pub use gather::Join;
pub use kept::{KeptAnswers, Reads, Several};
pub use limits::LimitOptions;
pub use options::{BackendUrl, BadBackendUrl, Binding, FrontOptions};
pub use redirect::RedirectToHttps;
pub use session::{BadSessionKey, SessionKey};
pub use split::{
    BadRules, BadShare, BadSplit, IndexRewrite, Rule, Rules, ShadowOptions, Share, SplitKey,
    SplitOptions, StopFileError, When,
};

#[cfg(test)]
mod tests;
