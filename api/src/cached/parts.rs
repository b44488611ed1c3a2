//! Keys of the searches of an `_msearch`: each has that of the same search by itself, so they share what is kept.
//!
//! Does: make them, take an `_msearch` apart for who stands ahead of a root, and put answers together as the route does.
//! Does not: keep or fetch anything. Called by the route, and through [`KeyMaker::searches`] by fronts.
//! Read first: [`PartRequest::keep`].

use std::time::Duration;

use bytes::Bytes;
use gleaner_cache::{Keep, Memo};
use gleaner_query::settings::cluster;
use http::HeaderMap;
use http::request::Parts;

use super::key::{
    KeyMaker, MAX_BODY_BYTES, Moment, allowed_stale, has_date_math, joined_form, keep_of_search,
};
use super::wish::Wish;
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::paths::PathMatch;
use crate::request::{Reading, check_type, check_whole};
use crate::response::Form;
use crate::route::{KeyPart, Route};
use crate::routes::{Header, read_kept};
use crate::security::{Entry, Principal, authorize, narrowed};

mod apart;

pub use apart::Searches;
pub(crate) use apart::{PART_END, edition_list};

/// Most searches of an `_msearch` whose answers are kept; all of one with more go to the root.
pub(crate) const MAX_KEPT_SEARCHES: usize = 100;

/// The route whose answers those of a part are.
const AS_ROUTE: &str = "search";

/// Parameters that shape answers of parts. Others shape the answer to all of them, when it is there.
const SHAPING: [&str; 3] = ["typed_keys", "rest_total_hits_as_int", "human"];

/// One search of an `_msearch`, as it was sent.
pub(crate) struct PartRequest<'a> {
    /// Headers of the request.
    pub(crate) headers: &'a HeaderMap,
    pub(crate) principal: &'a Principal,
    /// The route of `_msearch`.
    pub(crate) route: &'static Route,
    /// Its own header line.
    pub(crate) line: &'a [u8],
    pub(crate) body: &'a Bytes,
}

impl PartRequest<'_> {
    /// Returns how its answer may be kept; `None` where it may not, and where the root would refuse it.
    pub(crate) fn keep(&self, header: &Header, reading: &Reading<'_>, memo: &Memo) -> Option<Keep> {
        let wish = match header.request_cache {
            Some(false) => Wish::Around,
            Some(true) | None => Wish::of(self.headers, reading.parameters),
        };
        if wish == Wish::Around || self.body.len() > MAX_BODY_BYTES {
            return None;
        }
        let form = form_of_part(self.route, reading.parameters)?;
        let narrow = |expression: Option<&str>| {
            let (state, options) = (&reading.state, &header.target.options);
            narrowed(self.principal, self.route, state, expression, options)
        };
        let names = narrow(header.target.expression.as_deref()).ok()?;
        let version = reading.state.version.to_le_bytes();
        let has_names = [u8::from(names.is_some())];
        let num_parts = [u8::try_from(reading.parts.len()).ok()?];
        let spelt = [b"msearch", &version[..], &form, self.line, self.body];
        let names_spelt = [
            &has_names[..],
            names.as_deref().unwrap_or_default().as_bytes(),
        ];
        let path = reading.parts.iter().map(|(_, value)| value.as_bytes());
        let pairs = reading.parameters.pairs().iter();
        let pairs = pairs.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let spelling = spelt.into_iter().chain(names_spelt).chain([&num_parts[..]]);
        let make = || {
            let narrow = |_: Option<&str>, _: &_| Ok::<_, ApiError>(names.clone());
            let (search, target) = read_kept(self.body, header, reading, narrow).ok()?;
            keep_of_search(&search, &target, reading, &form)
        };
        let has_dates = has_date_math(self.line) || path.clone().any(has_date_math);
        let keep = match has_dates {
            true => make()?,
            false => memo.keep(spelling.chain(path).chain(pairs), make)?,
        };
        Some(Keep {
            renews: wish == Wish::Renewed,
            stale: allowed_stale(self.headers, &keep.targets, &reading.state),
            ..keep
        })
    }
}

/// Returns what shapes the answer of a part; `None` where a parameter makes it one for this request alone.
fn form_of_part(route: &Route, parameters: &Parameters) -> Option<Vec<u8>> {
    let mut shaping = Vec::new();
    for (name, value) in parameters.pairs() {
        match route.parameter(name)?.in_key {
            KeyPart::Form if SHAPING.contains(&name.as_str()) => {
                shaping.push((name.as_str(), value.as_str()));
            }
            KeyPart::Form | KeyPart::Request | KeyPart::Neutral => {}
            KeyPart::Alone | KeyPart::Undecided => return None,
        }
    }
    let media_type = Form::default().media_type();
    Some(joined_form(AS_ROUTE, media_type, shaping))
}

impl KeyMaker {
    /// Takes an `_msearch` apart, as `memo` knows its searches or read anew; `body` is whole and not packed. `None` where it is
    /// no such request, where none of its answers may be kept, and where the root would refuse it.
    pub fn searches(
        &self,
        head: &Parts,
        body: &Bytes,
        moment: &Moment,
        memo: &Memo,
    ) -> Option<Searches> {
        let PathMatch::Route(route, (), parts) = self.paths.find(&head.method, &head.uri) else {
            return None;
        };
        if route.name != "msearch" {
            return None;
        }
        let (mut parts, parameters) = (parts.ok()?, Parameters::parse(head.uri.query()).ok()?);
        let warnings = parameters.check(route, head.uri.path()).ok()?;
        let concurrent = parameters.number::<usize>("max_concurrent_searches").ok()?;
        let form = Form::of(&parameters, &head.headers).ok()?;
        let is_plain = form.is_compact() && form.filter().is_none();
        if !warnings.is_empty() || concurrent == Some(0) || !is_plain {
            return None;
        }
        crate::routes::check_search_type(parameters.get("search_type")).ok()?;
        let principal = moment.principal(&head.headers)?;
        let entry = Entry {
            principal: &principal,
            route,
            parameters: &parameters,
            state: &moment.state,
            now_ms: moment.now_ms,
        };
        authorize(&entry, &mut parts).ok()?;
        check_type(&head.headers).ok()?;
        check_whole(&head.headers, body).ok()?;
        let lines = apart::lines(body).filter(|lines| lines.len() <= MAX_KEPT_SEARCHES)?;
        let reading = Reading {
            parameters: &parameters,
            parts: &parts,
            limits: cluster::limits(moment.state.settings(), self.limits),
            state: moment.state.clone(),
            now_ms: moment.now_ms,
        };
        let keep = |(line, body): &(Bytes, Bytes)| {
            let part = PartRequest {
                headers: &head.headers,
                principal: &principal,
                route,
                line,
                body,
            };
            let header = Header::read(line, &reading).ok()?;
            part.keep(&header, &reading, memo)
        };
        let keeps: Vec<Option<Keep>> = lines.iter().map(keep).collect();
        let is_any = keeps.iter().any(Option::is_some);
        is_any.then(|| Searches::new(lines, keeps))
    }
}

/// Returns the head of the answer to all searches, up to the first of them.
pub(crate) fn head_of_all(took: Duration) -> String {
    format!(r#"{{"took":{},"responses":["#, took.as_millis())
}

#[cfg(test)]
mod tests;
