//! The routes, by path and method: the static tables, as the router that finds one of them.
//!
//! Does: finds a request's route and unescapes the parts of its path. Does not: carry requests out.
//! Called by: [`crate::service`]. Read first: [`Paths::find`].
//!
//! It stands on `matchit`, as axum's own router does. That one hands a request through six futures and a map
//! of extensions before its handler has it, some 7,000 instructions: a fifth of what a single document that is
//! written costs before the shard has it.

use std::collections::HashMap;

use http::{Method, Uri};
use percent_encoding::percent_decode_str;

use crate::error::ApiError;
use crate::route::Route;

/// Routes with `T` beside each.
pub(crate) struct Paths<T> {
    router: matchit::Router<PathEntry<T>>,
}

/// What is known of a path.
struct PathEntry<T> {
    /// Names of its parts, in their order.
    names: Vec<&'static str>,
    /// The routes that answer it, each under methods of its own.
    routes: Vec<(&'static Route, T)>,
}

/// What a path asks for.
pub(crate) enum PathMatch<'a, T> {
    /// A route.
    Route(&'static Route, &'a T, Parts),
    /// A path that has routes, under other methods: these.
    OtherMethods(Vec<&'static str>),
    /// Nothing.
    Nothing,
}

/// Parts of a path by name, unescaped, or why they are not text.
pub(crate) type Parts = Result<Vec<(&'static str, String)>, ApiError>;

impl<T> Paths<T> {
    /// Returns a router of `routes`, or of endpoints; `beside` makes what stands beside each.
    ///
    /// # Panics
    /// When two routes claim one path in ways that cannot be told apart: a fault of the tables, found by their
    /// tests.
    pub(crate) fn new<R: AsRef<Route> + 'static>(
        routes: impl Iterator<Item = &'static R>,
        beside: impl Fn(&R) -> T,
    ) -> Self {
        let mut known: HashMap<&'static str, PathEntry<T>> = HashMap::new();
        for entry in routes {
            let route = entry.as_ref();
            for path in route.paths {
                let known = known.entry(path).or_insert_with(|| PathEntry {
                    names: names(path),
                    routes: Vec::new(),
                });
                known.routes.push((route, beside(entry)));
            }
        }
        let mut router = matchit::Router::new();
        for (path, known) in known {
            let inserted = router.insert(path, known);
            inserted.unwrap_or_else(|error| panic!("the path [{path}] is not one: {error}"));
        }
        Self { router }
    }

    /// Returns the route of a request. What answers `GET` answers `HEAD`, unless another route does.
    pub(crate) fn find(&self, method: &Method, uri: &Uri) -> PathMatch<'_, T> {
        let Ok(found) = self.router.at(uri.path()) else {
            return PathMatch::Nothing;
        };
        let known = found.value;
        let under = |method: &Method| {
            let mut routes = known.routes.iter();
            routes.find(|(route, _)| route.methods.contains(method))
        };
        let answering = under(method).or_else(|| match *method {
            Method::HEAD => under(&Method::GET),
            _ => None,
        });
        let Some((route, beside)) = answering else {
            let methods = known.routes.iter().flat_map(|(route, _)| route.methods);
            return PathMatch::OtherMethods(methods.map(Method::as_str).collect());
        };
        let values = found.params.iter().map(|(_, value)| value);
        PathMatch::Route(route, beside, unescaped(&known.names, values))
    }
}

/// Returns what stands in braces.
fn names(path: &'static str) -> Vec<&'static str> {
    let parts = path.split('/');
    let name = |part: &'static str| part.strip_prefix('{')?.strip_suffix('}');
    parts.filter_map(name).collect()
}

fn unescaped<'a>(names: &[&'static str], values: impl Iterator<Item = &'a str>) -> Parts {
    let text = |(name, value): (&&'static str, &str)| {
        if !value.contains('%') {
            return Ok((*name, value.to_owned()));
        }
        let text = percent_decode_str(value).decode_utf8();
        let text = text.map_err(|_| ApiError::illegal(format!("Invalid UTF-8 in `{name}`")))?;
        Ok((*name, text.into_owned()))
    };
    names.iter().zip(values).map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::parameter_tables;

    fn found(
        method: &Method,
        path: &'static str,
    ) -> Option<(&'static str, Vec<(&'static str, String)>)> {
        let paths = Paths::new(parameter_tables(), |_| ());
        match paths.find(method, &Uri::from_static(path)) {
            PathMatch::Route(route, (), parts) => Some((route.name, parts.expect("text"))),
            PathMatch::OtherMethods(_) | PathMatch::Nothing => None,
        }
    }

    #[test]
    fn parts_are_unescaped_under_their_names() {
        let (name, parts) = found(&Method::PUT, "/a%2Cb/_doc/%C3%A9%2F1").expect("a route");
        assert_eq!(name, "index");
        assert_eq!(
            parts,
            [("index", "a,b".to_owned()), ("id", "é/1".to_owned())]
        );
    }

    #[test]
    fn parts_that_are_no_text_are_refused() {
        let paths = Paths::new(parameter_tables(), |_| ());
        let uri = Uri::from_static("/books/_doc/%FF");
        let PathMatch::Route(_, (), Err(error)) = paths.find(&Method::GET, &uri) else {
            panic!("it is no text");
        };
        assert_eq!(error.reason(), "Invalid UTF-8 in `id`");
    }

    #[test]
    fn what_answers_get_answers_head_where_nothing_else_does() {
        let name = |method: Method| found(&method, "/_cat/indices").map(|(name, _)| name);
        assert!(name(Method::GET).is_some());
        assert_eq!(name(Method::HEAD), name(Method::GET));
        assert_eq!(name(Method::DELETE), None);
    }

    #[test]
    fn other_methods_of_a_path_are_told() {
        let paths = Paths::new(parameter_tables(), |_| ());
        let uri = Uri::from_static("/books/_doc/1");
        let PathMatch::OtherMethods(methods) = paths.find(&Method::PATCH, &uri) else {
            panic!("it is known under others");
        };
        assert!(
            methods.contains(&"PUT") && methods.contains(&"GET"),
            "{methods:?}"
        );
        let nothing = paths.find(&Method::GET, &Uri::from_static("/a/b/c/d/e"));
        assert!(matches!(nothing, PathMatch::Nothing));
    }
}
