//! The routes: static tables → axum's router, each request through one dispatcher.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, State};
use axum::routing::{MethodFilter, MethodRouter, on};
use gleaner_model::metric;
use gleaner_root::Root;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use metrics::{Histogram, SharedString};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use crate::contexts::Contexts;
use crate::error::ApiError;
use crate::options::ApiOptions;
use crate::parameters::{Parameters, check_escapes};
use crate::request::{BodyRoom, Request};
use crate::response::{Form, Reply};
use crate::route::{Answer, Route, parameter_tables};

/// What all handlers share.
pub(crate) struct App {
    pub(crate) root: Arc<Root>,
    pub(crate) options: ApiOptions,
    pub(crate) metrics: Option<PrometheusHandle>,
    pub(crate) started: Instant,
    pub(crate) contexts: Contexts,
    pub(crate) bodies: Arc<BodyRoom>,
}

/// Returns the routes of all tables over `app`.
pub(crate) fn routes(app: Arc<App>) -> Router {
    let mut routes = Router::new();
    for route in parameter_tables() {
        for path in route.paths {
            routes = routes.route(path, answering(route));
        }
    }
    routes
        .method_not_allowed_fallback(wrong_method)
        .fallback(no_handler)
        .with_state(app)
}

fn answering(route: &'static Route) -> MethodRouter<Arc<App>> {
    let filters = route
        .methods
        .iter()
        .filter_map(|method| MethodFilter::try_from(method.clone()).ok());
    let filter = filters
        .reduce(MethodFilter::or)
        .unwrap_or(MethodFilter::TRACE);
    let times = Arc::new(Times::default());
    on(
        filter,
        move |State(app): State<Arc<App>>,
              parts: Result<RawPathParams, RawPathParamsRejection>,
              request: http::Request<Body>| {
            dispatch(app, (route, Arc::clone(&times)), named(parts), request)
        },
    )
}

/// Returns the path's named parts, or why the path is not text.
fn named(
    parts: Result<RawPathParams, RawPathParamsRejection>,
) -> Result<Vec<(String, String)>, ApiError> {
    let parts = parts.map_err(|rejection| ApiError::illegal(rejection.body_text()))?;
    let owned = parts
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(owned.collect())
}

async fn dispatch(
    app: Arc<App>,
    (route, times): (&'static Route, Arc<Times>),
    parts: Result<Vec<(String, String)>, ApiError>,
    request: http::Request<Body>,
) -> http::Response<Body> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let parsed = Parameters::parse(head.uri.query());
    let parameters = parsed.as_ref().ok().cloned().unwrap_or_default();
    let form = Form::of(&parameters, &head.headers);
    let mut warnings = Vec::new();
    let answer = async {
        parsed?;
        check_escapes(&path)?;
        let parts = parts?;
        if let Err(error) = &form {
            return Err(error.clone());
        }
        if route.is_refused {
            return Err(ApiError::unsupported(route.name));
        }
        warnings = parameters.check(route, &path)?;
        let request = Request {
            app: Arc::clone(&app),
            route,
            headers: head.headers,
            parameters: parameters.clone(),
            parts,
            body: parking_lot::Mutex::new(body),
            held: app.bodies.open(),
            started,
        };
        (route.handler)(request).await
    };
    let answer = answer.await;
    let mut response = finished(answer, &form.unwrap_or_default(), &parameters);
    for warning in warnings {
        let text = format!(
            "299 Gleaner-{} \"{}\"",
            env!("CARGO_PKG_VERSION"),
            warning.replace('"', "'")
        );
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    times.record(route.name, response.status(), started);
    response
}

fn finished(answer: Answer, form: &Form, parameters: &Parameters) -> http::Response<Body> {
    let reply = answer.unwrap_or_else(|error| {
        if error.status.is_server_error() {
            tracing::warn!(
                status = error.status.as_u16(),
                kind = error.kind(),
                reason = error.reason(),
                "request failed"
            );
        }
        Reply::error(&error)
    });
    reply
        .into_response(form, parameters)
        .unwrap_or_else(|error| {
            let shown = Reply::error(&error).into_response(&Form::default(), parameters);
            shown.unwrap_or_else(|_| http::Response::new(Body::empty()))
        })
}

/// The times of a route's answers. Those of common statuses are looked up once: to find a metric by its
/// labels takes longer than to record a value.
#[derive(Default)]
struct Times([OnceLock<Histogram>; COMMON.len()]);

/// Statuses that most answers have, as labels.
const COMMON: [(u16, &str); 4] = [(200, "200"), (201, "201"), (404, "404"), (429, "429")];

impl Times {
    fn record(&self, route: &'static str, status: StatusCode, started: Instant) {
        let took = started.elapsed();
        let common = COMMON.iter().zip(&self.0);
        for ((known, text), times) in common {
            if *known == status.as_u16() {
                let text = SharedString::const_str(text);
                return times.get_or_init(|| times_of(route, text)).record(took);
            }
        }
        let text = SharedString::from_owned(status.as_u16().to_string());
        times_of(route, text).record(took);
    }
}

fn times_of(route: &'static str, status: SharedString) -> Histogram {
    let labels = [
        ("route", SharedString::const_str(route)),
        ("status", status),
    ];
    metrics::histogram!(metric::HTTP_REQUEST_SECONDS.name, &labels)
}

/// A path that is known under other methods.
async fn wrong_method(
    matched: axum::extract::MatchedPath,
    request: http::Request<Body>,
) -> http::Response<Body> {
    let known = parameter_tables().filter(|route| route.paths.contains(&matched.as_str()));
    let mut allowed: Vec<&str> = known
        .flat_map(|route| route.methods)
        .map(Method::as_str)
        .collect();
    allowed.sort_unstable();
    allowed.dedup();
    let allowed = allowed.join(", ");
    let reason = format!(
        "Incorrect HTTP method for uri [{}] and method [{}], allowed: [{allowed}]",
        request.uri(),
        request.method()
    );
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let body = json!({"error": reason, "status": status.as_u16()});
    let reply = Reply::with_status(status, &body).with_header(header::ALLOW, &allowed);
    finished(Ok(reply), &Form::default(), &Parameters::default())
}

/// A path that is not known at all.
async fn no_handler(request: http::Request<Body>) -> http::Response<Body> {
    let reason = format!(
        "no handler found for uri [{}] and method [{}]",
        request.uri(),
        request.method()
    );
    let reply = Reply::with_status(StatusCode::BAD_REQUEST, &json!({"error": reason}));
    finished(Ok(reply), &Form::default(), &Parameters::default())
}

/// Header by which clients know the product.
pub(crate) const PRODUCT: HeaderName = HeaderName::from_static("x-elastic-product");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_routes_claim_one_method_of_one_path() {
        let mut seen = std::collections::BTreeSet::new();
        for route in parameter_tables() {
            for path in route.paths {
                for method in route.methods {
                    assert!(seen.insert((*path, method.to_string())), "{method} {path}");
                }
            }
        }
    }

    #[test]
    fn every_path_fits_the_router() {
        let mut routes: Router<Arc<App>> = Router::new();
        for route in parameter_tables() {
            for path in route.paths {
                routes = routes.route(path, answering(route));
            }
        }
        assert!(routes.has_routes());
    }
}
