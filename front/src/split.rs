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
mod stops;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::metric;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Uri};
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::balance::Backends;
use crate::body::innermost;
use crate::classes::RequestClass;
use crate::control::Target;
use crate::options::BackendUrl;
use canary::{Arm, Canary, Facts};
pub(crate) use page::page as shadow_page;
pub use rules::{BadRules, IndexRewrite, Rule, Rules, When};
pub(crate) use shadow::Shadow;
pub use shadow::ShadowOptions;
pub use share::{BadShare, Share, SplitKey};
pub use stops::StopFileError;
use stops::{StopFile, Stopped};

/// Time after which what could not be written is written again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Rules of a front, and the services that they may send requests to.
#[derive(Debug, Clone, Default)]
pub struct SplitOptions {
    /// The rules at first.
    pub rules: Rules,
    /// Services that rules may name, beside the backends.
    pub targets: Vec<BackendUrl>,
    /// File that keeps which ways were left, for the next start; `None` keeps nothing. No two fronts whose rules have a
    /// canary may share it: each locks the file of this name with `.lock` appended.
    pub stops: Option<PathBuf>,
}

/// A front cannot start with these options.
#[derive(Debug, thiserror::Error)]
pub enum BadSplit {
    /// The rules cannot be put in force.
    #[error(transparent)]
    Rules(#[from] BadRules),
    /// It is not known which ways were left, or another front keeps its own there.
    #[error(transparent)]
    Stops(#[from] StopFileError),
}

/// The rules in force.
pub(crate) struct Split {
    targets: Vec<(String, Arc<Backends>)>,
    active: RwLock<Arc<Vec<ActiveRule>>>,
    is_read: fn(&Method, &str) -> bool,
    stops: Option<StopFile>,
    /// Other rules are in force, or a way was left: what is kept is to be written.
    changed: Arc<Notify>,
}

/// A rule in force.
struct ActiveRule {
    rule: Rule,
    backends: Option<Arc<Backends>>,
    /// What watches the other way; `None` where nothing does.
    canary: Option<Arc<Mutex<Canary>>>,
    /// That of [`Split`].
    changed: Arc<Notify>,
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
    /// Returns the rules of `options`; ways that were left under the same rules before are left.
    ///
    /// # Errors
    /// [`BadSplit`]; the file of ways that were left stays as it is then.
    pub(crate) fn new(
        options: &SplitOptions,
        is_read: fn(&Method, &str) -> bool,
    ) -> Result<Self, BadSplit> {
        let stops = options.stops.clone().map(StopFile::new);
        let stopped = match &stops {
            Some(file) => left_before(file, &options.rules)?,
            None => Vec::new(),
        };
        let targets = options.targets.iter().map(|url| {
            let backends = Backends::new(std::slice::from_ref(url));
            (url.to_string(), Arc::new(backends))
        });
        let split = Self {
            targets: targets.collect(),
            active: RwLock::default(),
            is_read,
            stops,
            changed: Arc::default(),
        };
        split.put_in_force(&options.rules, |rule| {
            let found = stopped.iter().find(|stopped| stopped.rule == *rule)?;
            Some(Arc::new(Mutex::new(Canary::stopped(found.stop))))
        })?;
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
        self.put_in_force(rules, |_| None)
    }

    /// As [`Self::replace`], but a rule that stays as it is keeps what is known of its way, and a way that was left
    /// stays so.
    ///
    /// # Errors
    /// [`BadRules`]; those in force stay.
    pub(crate) fn reload(&self, rules: &Rules) -> Result<(), BadRules> {
        let before = Arc::clone(&self.active.read());
        self.put_in_force(rules, |rule| {
            let found = before.iter().find(|active| active.rule == *rule)?;
            found.canary.clone()
        })
    }

    /// Puts rules in force; `known` returns what watched the way of a rule before.
    fn put_in_force(
        &self,
        rules: &Rules,
        known: impl Fn(&Rule) -> Option<Arc<Mutex<Canary>>>,
    ) -> Result<(), BadRules> {
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
                canary: rule.canary.then(|| known(rule).unwrap_or_default()),
                changed: Arc::clone(&self.changed),
            });
        }
        *self.active.write() = Arc::new(active);
        self.changed.notify_one();
        Ok(())
    }

    /// Keeps which ways were left, within moments of each change, and tries again where that fails; ends at once where
    /// there is no file for it.
    pub(crate) async fn keep_stops(self: Arc<Self>) {
        let Some(file) = &self.stops else {
            return;
        };
        let mut fault: Option<String> = None;
        loop {
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep(RETRY_AFTER), if fault.is_some() => {}
            }
            let split = Arc::clone(&self);
            let found = match spawn_blocking(move || split.write_stops()).await {
                Ok(written) => written.err().map(|error| innermost(&error)),
                Err(panic) => Some(panic.to_string()),
            };
            // Each fault once, not each attempt.
            if found != fault {
                log_keeping(file, found.as_deref());
            }
            fault = found;
        }
    }

    fn write_stops(&self) -> Result<(), StopFileError> {
        let Some(file) = &self.stops else {
            return Ok(());
        };
        let active = Arc::clone(&self.active.read());
        file.write(active.iter().filter_map(ActiveRule::stopped).collect())
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

    /// Decides which way a request of this class goes; the first rule that fits does, and rewrites the head where it
    /// says so.
    pub(crate) fn way(&self, head: &mut Parts, address: IpAddr, class: RequestClass) -> Way {
        let active = Arc::clone(&self.active.read());
        let Some(at) = self.find_rule(&active, head, class) else {
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

    fn find_rule(&self, active: &[ActiveRule], head: &Parts, class: RequestClass) -> Option<usize> {
        let is_read = (self.is_read)(&head.method, head.uri.path());
        let fits = |active: &ActiveRule| active.rule.fits(head, is_read, class);
        active.iter().position(fits)
    }

    /// Returns the class of a request: what `target` says; without one, whether it reads.
    pub(crate) fn class(&self, head: &Parts, target: Option<&Target>) -> RequestClass {
        match target {
            Some(target) => target.class,
            None if (self.is_read)(&head.method, head.uri.path()) => RequestClass::Read,
            None => RequestClass::Write,
        }
    }
}

impl ActiveRule {
    /// Returns why its way was left, where it was.
    fn stopped(&self) -> Option<Stopped> {
        let stop = self.canary.as_ref()?.lock().stop()?;
        Some(Stopped {
            rule: self.rule.clone(),
            stop,
        })
    }

    /// Returns the share that goes the other way now: none where that was found to be worse.
    fn share(&self) -> Share {
        let is_stopped = self
            .canary
            .as_ref()
            .is_some_and(|canary| canary.lock().stop().is_some());
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
            active.changed.notify_one();
            tracing::warn!(
                rule = active.rule.name,
                test = stop.test.name(),
                log_likelihood_ratio = stop.log_likelihood_ratio,
                threshold = stop.threshold,
                main_rate = stop.main_rate,
                other_rate = stop.other_rate,
                "the other way is worse: nobody is sent there any more until the rules are changed"
            );
        }
    }
}

/// Takes the file for this front, and returns which ways were left.
fn left_before(file: &StopFile, rules: &Rules) -> Result<Vec<Stopped>, StopFileError> {
    if let Err(error) = file.lock() {
        if rules.has_canary() {
            return Err(error);
        }
        // Without a canary no way is left, and such rules may be in a folder that the front may only read.
        log_unkept(file, &error);
        if matches!(error, StopFileError::Held { .. }) {
            // What another front keeps there is its own.
            file.pass_over();
            return Ok(Vec::new());
        }
    }
    file.read()
}

/// Logs that a front without a canary goes on although it could not take its file.
fn log_unkept(file: &StopFile, error: &StopFileError) {
    let file = file.path().display();
    let reason = innermost(error);
    tracing::warn!(%file, reason, "a way that a canary leaves would not be kept");
}

/// Logs that a file can be written no more or for another reason, or that it can be written again.
fn log_keeping(file: &StopFile, fault: Option<&str>) {
    let file = file.path().display();
    match fault {
        Some(error) => {
            tracing::error!(%file, error, "which ways were left is not kept as it is now");
        }
        None => tracing::info!(%file, "which ways were left is kept again"),
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

#[cfg(test)]
mod tests;
