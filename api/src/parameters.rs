//! URI parameters: read, checked against the route's table, typed.

pub(crate) mod groups;
pub(crate) mod metrics;
pub(crate) mod reach;

use std::time::Duration;

use gleaner_model::ActiveShards;
use gleaner_query::names::{ExpandWildcards, ResolveOptions};
use gleaner_query::units::parse_time;

use crate::error::ApiError;
use crate::route::{ParameterEffect, Route};

/// The parameters of a request, in the order given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the query part of a URI.
    ///
    /// # Errors
    /// 400 for escapes that are not UTF-8 and for a name given twice.
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, ApiError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            // The last one holds, as in the dialect.
            pairs.retain(|(known, _)| *known != name);
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// Checks every name against the route's table; returns the warnings due.
    ///
    /// # Errors
    /// 400 naming a parameter that is refused, or all that are unknown.
    pub(crate) fn check(&self, route: &Route, path: &str) -> Result<Vec<String>, ApiError> {
        let (mut warnings, mut unknown) = (Vec::new(), Vec::new());
        for (name, value) in &self.0 {
            match route.parameter(name).map(|parameter| parameter.handling) {
                Some(ParameterEffect::Honoured) => {}
                Some(ParameterEffect::NoEffect(why)) => {
                    if name == "preference" {
                        check_preference(value)?;
                    }
                    warnings.push(format!(
                        "parameter [{name}] of [{}] has no effect: {why}",
                        route.name
                    ));
                }
                // A feature that is switched off is not asked for.
                Some(ParameterEffect::Refused(_)) if is_off(name, value) => {}
                Some(ParameterEffect::Refused(what)) => {
                    return Err(ApiError::illegal(format!(
                        "request [{path}] contains parameter [{name}]: {what} is not supported"
                    )));
                }
                None => unknown.push(name.clone()),
            }
        }
        if !unknown.is_empty() {
            let known = route.all_parameters().map(|parameter| parameter.name);
            let known: Vec<&str> = known.collect();
            metrics::check(path, &unknown, "parameter", &known)?;
        }
        Ok(warnings)
    }

    /// Returns the value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns all pairs.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Returns a flag; present without a value is true.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some("true" | "") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(ApiError::illegal(format!(
                "Failed to parse value [{other}] as only [true] or [false] are allowed."
            ))),
        }
    }

    /// Returns whether a flag is given and true.
    pub(crate) fn is_set(&self, name: &str) -> Result<bool, ApiError> {
        Ok(self.flag(name)?.unwrap_or(false))
    }

    /// Returns a whole number.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|_| {
            ApiError::illegal(format!(
                "Failed to parse int parameter [{name}] with value [{text}]"
            ))
        })
    }

    /// Returns a time with its unit; `-1` is none.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Duration>, ApiError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        Ok(parse_time(text, name)?)
    }

    /// Returns how many copies of a shard are waited for; `None` where the request does not say.
    pub(crate) fn active_shards(&self) -> Result<Option<ActiveShards>, ApiError> {
        let Some(text) = self.get("wait_for_active_shards") else {
            return Ok(None);
        };
        let refused = |_| ApiError::illegal(format!("cannot parse ActiveShardCount[{text}]"));
        text.parse().map(Some).map_err(refused)
    }

    /// Returns a comma-separated list.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<String>> {
        self.get(name).map(comma_list)
    }

    /// Returns what an index expression may leave out, over a route's defaults.
    pub(crate) fn resolve_options(
        &self,
        defaults: ResolveOptions,
    ) -> Result<ResolveOptions, ApiError> {
        let mut options = defaults;
        if let Some(flag) = self.flag("ignore_unavailable")? {
            options.ignore_unavailable = flag;
        }
        if let Some(flag) = self.flag("allow_no_indices")? {
            options.allow_no_indices = flag;
        }
        if let Some(text) = self.get("expand_wildcards") {
            options.expand_wildcards = ExpandWildcards::parse(text)?;
        }
        Ok(options)
    }
}

/// Preferences for copies that are known; those by roles are of version 6 and of OpenSearch.
const PREFERENCES: [&str; 7] = [
    "_local",
    "_only_local",
    "_onlyLocal",
    "_primary",
    "_primary_first",
    "_replica",
    "_replica_first",
];

/// Refuses a preference that would change the answer, or which nodes give it: shards, and nodes by name. A text that does
/// not begin with `_` stands for itself.
pub(crate) fn check_preference(value: &str) -> Result<(), ApiError> {
    let kind = value.split_once(':').map_or(value, |(kind, _)| kind);
    match kind {
        "_shards" | "_only_nodes" | "_prefer_nodes" => Err(ApiError::illegal(format!(
            "[preference] [{value}] is not supported: all shards are asked, of any node"
        ))),
        other if !other.starts_with('_') || PREFERENCES.contains(&other) => Ok(()),
        unknown => Err(ApiError::illegal(format!("no Preference for [{unknown}]"))),
    }
}

/// Returns whether a parameter asks for its feature not to be used; `_none` is the dialect's name for
/// no pipeline, also in place of an index's default one.
fn is_off(name: &str, value: &str) -> bool {
    match name {
        // The feature is to leave them out.
        "include_empty_fields" => matches!(value, "true" | ""),
        "pipeline" | "search_pipeline" => matches!(value, "false" | "_none"),
        _ => value == "false",
    }
}

/// Splits at commas; empty items are left out.
pub(crate) fn comma_list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Refuses a path with a `%` that begins no escape sequence: it would stand for itself.
pub(crate) fn check_escapes(path: &str) -> Result<(), ApiError> {
    let is_escape = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    match path.split('%').skip(1).all(is_escape) {
        true => Ok(()),
        false => Err(unterminated(path)),
    }
}

fn unterminated(text: &str) -> ApiError {
    ApiError::illegal(format!("unterminated escape sequence in [{text}]"))
}

fn decode(text: &str) -> Result<String, ApiError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.and_then(hex_digit));
                let [Some(high), Some(low)] = digits else {
                    return Err(unterminated(text));
                };
                bytes.push(high << 4 | low);
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| ApiError::illegal(format!("[{text}] is not UTF-8 once unescaped")))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_escaped_throughout_or_refused() {
        for path in ["/a/_doc/b", "/a/_doc/%C3%a9%20", "/"] {
            assert!(check_escapes(path).is_ok(), "{path}");
        }
        for path in ["/a/_doc/%ZZ", "/a/_doc/%2", "/a/_doc/100%", "/a%%20"] {
            assert!(check_escapes(path).is_err(), "{path}");
        }
    }

    #[test]
    fn pairs_are_unescaped_and_the_last_of_a_name_holds() {
        let parsed = Parameters::parse(Some("q=a%20b+c&pretty&q=%C3%A9")).expect("well formed");
        assert_eq!(parsed.get("q"), Some("é"));
        assert_eq!(parsed.flag("pretty").ok().flatten(), Some(true));
    }

    #[test]
    fn broken_escapes_are_refused() {
        for query in ["a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert!(Parameters::parse(Some(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn a_preference_for_shards_or_nodes_or_of_no_known_kind_is_refused_by_name() {
        let routes = crate::routes::parameter_tables();
        let with = routes.filter(|route| route.parameter("preference").is_some());
        for route in with {
            let checked = |query: &str| {
                let parsed = Parameters::parse(Some(query)).expect("well formed");
                parsed
                    .check(route, "/x")
                    .map_err(|error| error.reason().to_owned())
            };
            for good in ["_local", "_only_local", "_primary", "me", "my_id:1", ""] {
                assert!(checked(&format!("preference={good}")).is_ok(), "{good}");
            }
            for (unknown, kind) in [("_bogus", "_bogus"), ("_bogus:a", "_bogus"), ("_", "_")] {
                let reason = checked(&format!("preference={unknown}")).expect_err(unknown);
                assert_eq!(reason, format!("no Preference for [{kind}]"));
            }
            for refused in [
                "_shards:0",
                "_shards:1|_local",
                "_only_nodes:a",
                "_prefer_nodes:a,b",
            ] {
                let reason = checked(&format!("preference={refused}")).expect_err(refused);
                assert!(reason.contains(refused), "{reason}");
            }
        }
    }

    #[test]
    fn no_pipeline_is_a_pipeline_that_is_known() {
        let route = crate::routes::parameter_tables()
            .find(|r| r.name == "bulk")
            .expect("a route");
        let checked = |query| {
            let parsed = Parameters::parse(Some(query)).expect("well formed");
            parsed.check(route, "/_bulk").is_ok()
        };
        assert!(checked("pipeline=_none"));
        assert!(!checked("pipeline=p"));
        assert!(!checked("list_executed_pipelines=_none"));
    }

    #[test]
    fn fields_without_values_can_be_included_alone() {
        let route = crate::routes::parameter_tables()
            .find(|r| r.name == "field_caps")
            .expect("a route");
        let checked = |query| {
            let parsed = Parameters::parse(Some(query)).expect("well formed");
            parsed.check(route, "/_field_caps").is_ok()
        };
        assert!(checked("include_empty_fields=true"));
        assert!(checked("include_empty_fields"));
        assert!(!checked("include_empty_fields=false"));
    }

    #[test]
    fn parameters_of_newer_clients_have_no_effect() {
        for (name, path, query) in [
            ("search", "/_search", "_source_exclude_vectors=false"),
            ("mget", "/_mget", "_source_exclude_vectors=true"),
            ("search", "/_search", "min_compatible_shard_node=8.0.0"),
            ("index", "/i/_doc/1", "include_source_on_error=false"),
            (
                "index (made id)",
                "/i/_doc",
                "include_source_on_error=false",
            ),
            ("create", "/i/_create/1", "include_source_on_error=true"),
            ("update", "/i/_update/1", "include_source_on_error=false"),
            ("bulk", "/_bulk", "include_source_on_error=false"),
            (
                "open_point_in_time",
                "/i/_pit",
                "max_concurrent_shard_requests=5",
            ),
        ] {
            let route = crate::routes::parameter_tables()
                .find(|r| r.name == name)
                .expect("a route");
            let parsed = Parameters::parse(Some(query)).expect("well formed");
            let warnings = parsed.check(route, path).expect("known");
            assert_eq!(warnings.len(), 1, "{query}");
        }
    }

    #[test]
    fn unknown_parameters_are_named_with_a_hint() {
        let route = crate::routes::parameter_tables()
            .find(|r| r.name == "search")
            .expect("a route");
        let parsed = Parameters::parse(Some("form=1")).expect("well formed");
        let error = parsed.check(route, "/i/_search").expect_err("unknown");
        assert!(
            error.reason().contains("unrecognized parameter: [form]"),
            "{}",
            error.reason()
        );
        let parsed = Parameters::parse(Some("siz=1&q=a&bogus=1&fron=2")).expect("well formed");
        let error = parsed.check(route, "/i/_search").expect_err("unknown");
        assert_eq!(
            error.reason(),
            "request [/i/_search] contains unrecognized parameters: [bogus], [fron] -> did you mean [from]?, \
             [siz] -> did you mean [size]?"
        );
    }
}
