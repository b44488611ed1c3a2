//! Which way a request goes: most the main one, a share another, and of some a copy to a shadow.
//!
//! Does: keep each user on one way, rewrite what a rule rewrites, watch a way that is tried and end it when it is worse,
//! compare what a shadow answers. Does not: choose among backends of one way (`balance` does), make anything of a
//! shadow's answers that users could see. Called by [`crate::front`]. Read first: [`Split::way`].

mod canary;
mod compare;
mod page;
mod report;
mod rules;
mod shadow;
mod share;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::metric;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Uri};
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use tokio::time::Instant;

use crate::balance::Backends;
use crate::options::BackendUrl;
use canary::{Arm, Canary, Facts};
pub(crate) use page::page as shadow_page;
pub use rules::{BadRules, IndexRewrite, Rule, Rules, When};
pub(crate) use shadow::Shadow;
pub use shadow::ShadowOptions;
pub use share::{BadShare, Share, SplitKey};

/// Rules of a front, and the services that they may send requests to.
#[derive(Debug, Clone, Default)]
pub struct SplitOptions {
    /// The rules at first.
    pub rules: Rules,
    /// Services that rules may name, beside the backends.
    pub targets: Vec<BackendUrl>,
}

/// The rules in force.
pub(crate) struct Split {
    targets: Vec<(String, Arc<Backends>)>,
    active: RwLock<Arc<Vec<ActiveRule>>>,
    is_read: fn(&Method, &str) -> bool,
}

/// A rule in force.
struct ActiveRule {
    rule: Rule,
    backends: Option<Arc<Backends>>,
    /// What watches the other way; `None` where nothing does.
    canary: Option<Mutex<Canary>>,
}

/// The way of a request.
#[derive(Default, Clone)]
pub(crate) struct Way {
    /// Other backends than the front's own.
    pub(crate) backends: Option<Arc<Backends>>,
    /// The rule that fits, and the side of it.
    under: Option<(Arc<Vec<ActiveRule>>, usize, Arm)>,
}

/// What of a rule can be seen.
#[derive(Debug, Serialize)]
pub(crate) struct RuleState {
    /// The rule as it was written.
    #[serde(flatten)]
    pub(crate) rule: Rule,
    /// The share that goes the other way now.
    pub(crate) share_now: Share,
    /// What is known of the two ways, where one is tried.
    pub(crate) canary: Option<serde_json::Value>,
}

impl Split {
    /// Returns the rules of `options`.
    ///
    /// # Errors
    /// [`BadRules`].
    pub(crate) fn new(
        options: &SplitOptions,
        is_read: fn(&Method, &str) -> bool,
    ) -> Result<Self, BadRules> {
        let targets = options.targets.iter().map(|url| {
            let backends = Backends::new(std::slice::from_ref(url));
            (url.to_string(), Arc::new(backends))
        });
        let split = Self {
            targets: targets.collect(),
            active: RwLock::default(),
            is_read,
        };
        split.replace(&options.rules)?;
        Ok(split)
    }

    /// Returns the services that rules may name.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Arc<Backends>> {
        self.targets.iter().map(|(_, backends)| backends)
    }

    /// Puts other rules in force; what is known of ways that are tried is forgotten.
    ///
    /// # Errors
    /// [`BadRules`]; those in force stay.
    pub(crate) fn replace(&self, rules: &Rules) -> Result<(), BadRules> {
        rules.check()?;
        let mut active = Vec::with_capacity(rules.rules.len());
        for rule in &rules.rules {
            let backends = rule.to.as_ref().map(|to| {
                let mut targets = self.targets.iter();
                let found =
                    targets.find(|(url, _)| url.trim_end_matches('/') == to.trim_end_matches('/'));
                let unknown = || BadRules::target(rule, to);
                found
                    .map(|(_, backends)| Arc::clone(backends))
                    .ok_or_else(unknown)
            });
            active.push(ActiveRule {
                rule: rule.clone(),
                backends: backends.transpose()?,
                canary: rule.canary.then(Mutex::default),
            });
        }
        *self.active.write() = Arc::new(active);
        Ok(())
    }

    /// Returns the rules in force, and how they do.
    pub(crate) fn states(&self) -> Vec<RuleState> {
        let active = Arc::clone(&self.active.read());
        let state = |active: &ActiveRule| RuleState {
            rule: active.rule.clone(),
            share_now: active.share(),
            canary: active.canary.as_ref().map(|canary| canary.lock().shown()),
        };
        active.iter().map(state).collect()
    }

    /// Decides which way a request goes; the first rule that fits does, and rewrites the head where it says so.
    pub(crate) fn way(&self, head: &mut Parts, address: IpAddr) -> Way {
        let active = Arc::clone(&self.active.read());
        let is_read = (self.is_read)(&head.method, head.uri.path());
        let fits = |active: &ActiveRule| active.rule.fits(head, is_read);
        let Some(at) = active.iter().position(fits) else {
            return Way::default();
        };
        let found = &active[at];
        let is_other = found
            .rule
            .by
            .is_in(found.share(), &found.rule.name, head, address);
        metrics::counter!(metric::FRONT_SPLIT.name, "arm" => if is_other { "other" } else { "main" })
            .increment(1);
        if is_other {
            gleaner_telemetry::note(|facts| facts.variant = Some(found.rule.name.clone()));
        }
        if !is_other {
            return Way {
                backends: None,
                under: Some((active, at, Arm::Main)),
            };
        }
        if let Some(index) = &found.rule.index {
            rewrite(head, index);
        }
        Way {
            backends: found.backends.clone(),
            under: Some((active, at, Arm::Other)),
        }
    }
}

impl ActiveRule {
    /// Returns the share that goes the other way now: none where that was found to be worse.
    fn share(&self) -> Share {
        let is_stopped = self
            .canary
            .as_ref()
            .is_some_and(|canary| canary.lock().is_stopped());
        match is_stopped {
            true => Share::NONE,
            false => self.rule.share,
        }
    }
}

impl Way {
    /// Is it that of requests under no rule, or the main one of a rule?
    pub(crate) fn is_main(&self) -> bool {
        self.backends.is_none()
    }

    /// Notes how a request went: the status of its answer, and the time until its head came.
    pub(crate) fn note(&self, status: StatusCode, took: Duration) {
        let Some((active, at, arm)) = &self.under else {
            return;
        };
        let active = &active[*at];
        let Some(canary) = &active.canary else {
            return;
        };
        let facts = Facts {
            has_failed: status.is_server_error(),
            took,
        };
        if let Some(stop) = canary.lock().note(*arm, facts, Instant::now()) {
            tracing::warn!(
                rule = active.rule.name,
                test = stop.test,
                log_likelihood_ratio = stop.log_likelihood_ratio,
                threshold = stop.threshold,
                main_rate = stop.main_rate,
                other_rate = stop.other_rate,
                "the other way is worse: nobody is sent there any more until the rules are changed"
            );
        }
    }
}

/// Puts another index in the place of the first part of the path.
fn rewrite(head: &mut Parts, index: &IndexRewrite) {
    let path = head.uri.path();
    let rest = path
        .strip_prefix('/')
        .and_then(|path| path.strip_prefix(index.from.as_str()));
    let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return;
    };
    let query = head
        .uri
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let whole = format!("/{}{rest}{query}", index.to);
    let mut parts = head.uri.clone().into_parts();
    parts.path_and_query = whole.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        head.uri = uri;
    }
}

/// Marks requests whose answers nobody sees.
pub(crate) const SHADOW: (&str, HeaderValue) = ("x-gleaner-shadow", HeaderValue::from_static("1"));

/// Returns the status that counts for an answer, or for what came instead.
pub(crate) fn status_of<T>(answer: &Result<Response<T>, crate::refusal::Refusal>) -> StatusCode {
    match answer {
        Ok(answer) => answer.status(),
        Err(refusal) => refusal.status,
    }
}
