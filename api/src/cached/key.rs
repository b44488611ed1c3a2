//! Keys of requests, by the tables of their routes.
//!
//! Does: read a request as its route does, and say under which key, for which indices and until when its answer may be
//! kept. Does not: need a root; what it knows of the cluster is its state. Read first: [`KeyMaker`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gleaner_cache::{Keep, Memo, StaleLimits};
use gleaner_model::ClusterState;
use gleaner_query::canonical::answer::{CanonicalRequest, KeyParts, answer_key};
use gleaner_query::canonical::edition::{SettingsDigest, Targets};
use gleaner_query::limits::Limits;
use gleaner_query::search::SearchRequest;
use gleaner_query::settings::cluster;
use gleaner_root::edition::targets_of;
use gleaner_root::plan::Target;
use http::request::Parts;
use http::{HeaderMap, Method, Uri};

use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::paths::{PathMatch, Paths};
use crate::request::{ReadSearch, Reading, Request, body_in_uri, check_type, check_whole};
use crate::response::Form;
use crate::route::{KeyPart, Route};
use crate::routes::{count, search};
use crate::security::{Entry, Principal, authenticate, authorize};

use super::wish::{Wish, stale_limits};

/// Largest body of a request whose answer is kept: to read it takes some 0.2 ms.
pub(super) const MAX_BODY_BYTES: usize = 64 << 10;

/// Most shards of an answer that is kept: all of them are looked at for each request.
const MAX_SHARDS: usize = 1_024;

/// How long a request that names no `timeout` waits for the answer to an equal one.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a body as a route does.
type Read = fn(&[u8], &Reading<'_>) -> Result<(SearchRequest, Target), ApiError>;

/// The routes whose answers may be kept, by name.
const KEPT: [(&str, Read); 2] = [("search", search::read_kept), ("count", count::read_kept)];

/// Returns whether answers of `route` may be kept.
pub(crate) fn takes(route: &Route) -> bool {
    reader_of(route).is_some()
}

fn reader_of(route: &Route) -> Option<Read> {
    let mut kept = KEPT.iter();
    kept.find(|(name, _)| *name == route.name)
        .map(|(_, read)| *read)
}

/// The cluster at the time of a request.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Its state.
    pub state: Arc<ClusterState>,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

impl Moment {
    /// Returns who sends a request; `None` where that is not known here, or nobody who may.
    pub(super) fn principal(&self, headers: &HeaderMap) -> Option<Principal> {
        authenticate(headers, self.state.security.as_deref(), self.now_ms).ok()
    }
}

/// The route of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRoute {
    /// Its name, as `search`.
    pub name: &'static str,
    /// Parts of the request's path by name, unescaped.
    pub parts: Vec<(&'static str, String)>,
}

/// Makes keys of requests without a root, as a process ahead of the roots does.
pub struct KeyMaker {
    pub(super) paths: Paths<()>,
    /// Those of this node; the cluster's settings change some of them.
    pub(super) limits: Limits,
}

impl KeyMaker {
    /// Returns one that reads requests of `routes` within `limits`.
    ///
    /// # Panics
    /// As the dialect itself: when two routes claim one path.
    pub fn new(routes: impl Iterator<Item = &'static Route>, limits: Limits) -> Self {
        Self {
            paths: Paths::new(routes, |_| ()),
            limits,
        }
    }

    /// Returns the route that answers a request; `None` where there is no such route, or a part of the path is no text.
    /// Called by the fuzz tests of paths, which read each path twice.
    pub fn route_of(&self, method: &Method, uri: &Uri) -> Option<FoundRoute> {
        match self.paths.find(method, uri) {
            PathMatch::Route(route, (), parts) => Some(FoundRoute {
                name: route.name,
                parts: parts.ok()?,
            }),
            PathMatch::OtherMethods(_) | PathMatch::Nothing => None,
        }
    }

    /// Returns how the answer to a request may be kept, as `memo` has it or read anew; `body` is whole and not packed. `None` where it may not, and
    /// where the request would be refused: the root says why.
    pub fn keep(&self, head: &Parts, body: &Bytes, moment: &Moment, memo: &Memo) -> Option<Keep> {
        let PathMatch::Route(route, (), parts) = self.paths.find(&head.method, &head.uri) else {
            return None;
        };
        if !takes(route) {
            return None;
        }
        let (mut parts, parameters) = (parts.ok()?, Parameters::parse(head.uri.query()).ok()?);
        // A warning about a parameter is for one request alone.
        let warnings = parameters.check(route, head.uri.path()).ok()?;
        if !warnings.is_empty() {
            return None;
        }
        // Rights are checked before the look-up. The root refuses those who may not ask; the others share an answer where
        // their rights are the same, as the names that they reach are in the key.
        let entry = Entry {
            principal: &moment.principal(&head.headers)?,
            route,
            parameters: &parameters,
            state: &moment.state,
            now_ms: moment.now_ms,
        };
        authorize(&entry, &mut parts).ok()?;
        let form = Form::of(&parameters, &head.headers).ok()?;
        check_type(&head.headers).ok()?;
        check_whole(&head.headers, body).ok()?;
        let body = body_in_uri(body, &parameters).ok()?;
        let reading = Reading {
            parameters: &parameters,
            parts: &parts,
            limits: cluster::limits(moment.state.settings(), self.limits),
            state: Arc::clone(&moment.state),
            now_ms: moment.now_ms,
        };
        let keep = Kept {
            route,
            headers: &head.headers,
            form: &form,
            body: &body,
        };
        keep.read(&reading, memo, &mut None)
    }
}

/// Returns how the answer to `request`, with `body`, may be kept. Where the body was read for that, the request holds what
/// was read.
pub(super) fn keep_of(
    request: &mut Request,
    form: &Form,
    body: &Bytes,
    memo: &Memo,
) -> Option<Keep> {
    let mut read = None;
    let keep = Kept {
        route: request.route,
        headers: &request.headers,
        form,
        body,
    };
    let keep = keep.read(&request.reading(), memo, &mut read)?;
    request.read = read;
    Some(keep)
}

/// A request whose answer may be kept.
struct Kept<'a> {
    route: &'a Route,
    headers: &'a HeaderMap,
    form: &'a Form,
    body: &'a Bytes,
}

impl Kept<'_> {
    /// Puts what the body says into `read`, where it is read.
    fn read(
        &self,
        reading: &Reading<'_>,
        memo: &Memo,
        read: &mut Option<Box<ReadSearch>>,
    ) -> Option<Keep> {
        let wish = Wish::of(self.headers, reading.parameters);
        if wish == Wish::Around || self.body.len() > MAX_BODY_BYTES {
            return None;
        }
        let form = form_bytes(self.route, reading.parameters, self.form)?;
        let version = reading.state.version.to_le_bytes();
        let num_parts = [u8::try_from(reading.parts.len()).ok()?];
        let names = [&version[..], &form, self.body, &num_parts];
        let path = reading.parts.iter().map(|(_, value)| value.as_bytes());
        let pairs = reading.parameters.pairs().iter();
        let pairs = pairs.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let parts = names.into_iter().chain(path).chain(pairs);
        let mut make = || self.make(reading, &form, read);
        let mut path = reading.parts.iter().map(|(_, value)| value.as_bytes());
        let keep = match path.any(has_date_math) {
            true => make()?,
            false => memo.keep(parts, make)?,
        };
        Some(Keep {
            renews: wish == Wish::Renewed,
            stale: allowed_stale(self.headers, &keep.targets, &reading.state),
            ..keep
        })
    }

    /// Reads the request as its route does.
    fn make(
        &self,
        reading: &Reading<'_>,
        form: &[u8],
        read: &mut Option<Box<ReadSearch>>,
    ) -> Option<Keep> {
        let (search, target) = reader_of(self.route)?(self.body, reading).ok()?;
        let keep = keep_of_search(&search, &target, reading, form)?;
        // Names with factors are narrowed to what the sender may reach before they are checked.
        if search.indices_boost.is_empty() {
            *read = Some(Box::new(ReadSearch { search, target }));
        }
        Some(keep)
    }
}

/// Returns whether names may say dates: on another day they are those of other indices.
pub(super) fn has_date_math(names: &[u8]) -> bool {
    names.contains(&b'<')
}

/// Returns how the answer in `form` to a search of `target` may be kept.
pub(super) fn keep_of_search(
    search: &SearchRequest,
    target: &Target,
    reading: &Reading<'_>,
    form: &[u8],
) -> Option<Keep> {
    // Which names may have factors depends on who asks, and an answer is kept for all who reach the same indices.
    if reading.state.security.is_some() && !search.indices_boost.is_empty() {
        return None;
    }
    let request = CanonicalRequest::of(search, reading.now_ms)?;
    let targets = targets_of(target, search, &reading.state, reading.now_ms).ok()?;
    let num_shards: usize = targets.indices.iter().map(|index| index.shards.len()).sum();
    let key = answer_key(&KeyParts {
        cluster_uuid: &reading.state.cluster_uuid,
        settings: &SettingsDigest::of(&reading.state.settings()),
        targets: &targets,
        request: &request,
        form,
    });
    let keep = || Keep {
        key,
        targets: Arc::new(targets),
        until_ms: request.until_ms(),
        // Half of it is left for the request itself.
        patience: search.timeout.map_or(PATIENCE, |timeout| timeout / 2),
        renews: false,
        stale: StaleLimits::default(),
    };
    (num_shards <= MAX_SHARDS).then(keep)
}

/// Returns how old an answer the request takes, as far as every index that is asked allows it.
pub(super) fn allowed_stale(
    headers: &HeaderMap,
    targets: &Targets,
    state: &ClusterState,
) -> StaleLimits {
    let indices = targets.indices.iter();
    let settings = indices.filter_map(|index| state.indices.get(&index.uuid));
    let allowed = settings.map(|index| index.settings.max_stale_ms).min();
    let allowed = Duration::from_millis(allowed.unwrap_or_default());
    let StaleLimits { always, on_error } = stale_limits(headers);
    StaleLimits {
        always: always.min(allowed),
        on_error: on_error.min(allowed),
    }
}

/// Returns the route and what shapes its answers beside the search itself, each part with its length before it;
/// `None` where a parameter makes the answer one for this request alone.
fn form_bytes(route: &Route, parameters: &Parameters, form: &Form) -> Option<Vec<u8>> {
    let mut shaping = Vec::new();
    for (name, value) in parameters.pairs() {
        match route.parameter(name)?.in_key {
            KeyPart::Form => shaping.push((name.as_str(), value.as_str())),
            KeyPart::Request | KeyPart::Neutral => {}
            KeyPart::Alone | KeyPart::Undecided => return None,
        }
    }
    Some(joined_form(route.name, form.media_type(), shaping))
}

/// Puts what shapes an answer into bytes.
pub(super) fn joined_form(
    route: &str,
    media_type: &str,
    mut shaping: Vec<(&str, &str)>,
) -> Vec<u8> {
    shaping.sort_unstable();
    let mut bytes = Vec::with_capacity(64);
    let mut add = |text: &str| {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    add(route);
    add(media_type);
    for (name, value) in shaping {
        add(name);
        add(value);
    }
    bytes
}

#[cfg(test)]
pub(super) mod tests;
