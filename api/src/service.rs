//! The routes: static tables, each request through one dispatcher.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use gleaner_cache::Cache;
use gleaner_cache::respond::LEAST_PACKED;
use gleaner_model::{ClusterState, metric};
use gleaner_root::{Root, measured};
use gleaner_server::PeerAddress;
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, header};
use metrics::{Histogram, SharedString};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use crate::cached::{self, Asked, Counts};
use crate::contexts::Contexts;
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::freshness::Freshness;
use crate::options::ApiOptions;
use crate::parameters::{Parameters, check_escapes};
use crate::paths::{Parts, PathMatch, Paths};
use crate::request::{BodyRoom, Handler, Request, add_cost};
use crate::response::{AnswerMaker, Form, Reply};
use crate::route::Route;
use crate::security::{
    BadCredentials, Entry, MaxAge, Needs, Principal, Right, Sender, authenticate, authorize,
    unauthenticated, unheard,
};
use crate::usage::RouteUsage;

/// What all handlers share.
pub(crate) struct App {
    pub(crate) root: Arc<Root>,
    pub(crate) options: ApiOptions,
    pub(crate) metrics: Option<PrometheusHandle>,
    pub(crate) contexts: Contexts,
    pub(crate) bodies: Arc<BodyRoom>,
    /// Answers that are kept; `None` where none is.
    pub(crate) cache: Option<Arc<Cache>>,
    /// How often what is kept answered.
    pub(crate) counts: Counts,
    pub(crate) freshness: Freshness,
    /// For how long keys are taken after the cluster state was last heard of.
    pub(crate) max_age: MaxAge,
    /// How often each route was asked.
    pub(crate) usage: RouteUsage,
}

/// The routes of all tables, over what they share.
pub(crate) struct Routes {
    app: Arc<App>,
    paths: Paths<Answering>,
}

/// What answers the requests of a path, and how long that takes.
struct Answering {
    handler: Handler,
    times: Times,
}

impl Routes {
    /// Returns `endpoints` over `app`.
    ///
    /// # Panics
    /// As [`Paths::new`].
    pub(crate) fn new(app: Arc<App>, endpoints: impl Iterator<Item = &'static Endpoint>) -> Self {
        let answering = |endpoint: &Endpoint| Answering {
            handler: endpoint.handler,
            times: Times::default(),
        };
        let paths = Paths::new(endpoints, answering);
        Self { app, paths }
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, request: http::Request<Body>) -> http::Response<Body> {
        let is_head = request.method() == Method::HEAD;
        let may_pack = request.headers().contains_key(header::ACCEPT_ENCODING);
        if let Err(error) = check_line(&request, self.app.options.max_line_bytes) {
            let mut response = plain(&self.app, Reply::error(&error)).await;
            if is_head {
                leave_out_body(&mut response, may_pack);
            }
            return response;
        }
        let found = self.paths.find(request.method(), request.uri());
        let came_by = CameBy {
            headers: request.headers(),
            extensions: request.extensions(),
            path: request.uri().path(),
        };
        let sender = sender(&self.app, came_by).await;
        let mut response = match (found, sender) {
            (PathMatch::Route(route, by, parts), Ok(sender)) => {
                let came = Came {
                    route,
                    by,
                    parts,
                    sender,
                };
                dispatch(&self.app, came, request).await
            }
            // Probes do not log in.
            (PathMatch::Route(route, by, parts), Err(_))
                if matches!(Right::of(route).needs, Needs::Nothing) =>
            {
                let came = Came {
                    route,
                    by,
                    parts,
                    sender: Sender::default(),
                };
                dispatch(&self.app, came, request).await
            }
            (_, Err(error)) => plain(&self.app, Reply::error(&error)).await,
            (PathMatch::OtherMethods(methods), Ok(_)) => {
                let reply = wrong_method(methods, &request);
                plain(&self.app, reply).await
            }
            (PathMatch::Nothing, Ok(_)) => plain(&self.app, no_handler(&request)).await,
        };
        if is_head {
            leave_out_body(&mut response, may_pack);
        }
        response
    }
}

/// Refuses a request whose first line, as HTTP/1.1 has it, is longer than `most` bytes: names are looked up for each of
/// its words, several times.
fn check_line(request: &http::Request<Body>, most: usize) -> Result<(), ApiError> {
    let target = request.uri().path_and_query();
    let target = target.map_or(0, |target| target.as_str().len());
    let num_bytes = request.method().as_str().len() + target + "  HTTP/1.1".len();
    match num_bytes <= most {
        true => Ok(()),
        false => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "too_long_http_line_exception",
            format!("An HTTP line is larger than {most} bytes."),
        )),
    }
}

/// Leaves the head that the answer to `GET` has. It names a `content-length` only where that of `GET` is known: not where
/// the route made no body for `HEAD`, and not where the answer to `GET` would be packed.
fn leave_out_body(response: &mut http::Response<Body>, may_pack: bool) {
    let body = std::mem::take(response.body_mut());
    let is_told = |length: &u64| *length > 0 && !(may_pack && *length > LEAST_PACKED);
    if let Some(length) = body.size_hint().exact().filter(is_told) {
        let entry = response.headers_mut().entry(header::CONTENT_LENGTH);
        entry.or_insert_with(|| HeaderValue::from(length));
    }
}

/// Returns who sends a request. A key that is not known here may have been made through another node: who keeps the
/// cluster state is asked then.
///
/// # Errors
/// 401; 503 where nothing was heard of the keys for too long.
async fn sender(app: &App, came_by: CameBy<'_>) -> Result<Sender, ApiError> {
    let CameBy {
        headers,
        extensions,
        path,
    } = came_by;
    let cluster = app.root.cluster();
    let address = extensions.get().map(|PeerAddress(peer)| *peer);
    let anybody = Sender {
        principal: Principal::Anybody,
        address,
    };
    if extensions.get::<ForProbes>().is_some() {
        return Ok(anybody);
    }
    let state = app.max_age.state(&**cluster.coordinator());
    let mut state = state.map_err(unheard)?;
    if state.security.is_none() {
        return Ok(anybody);
    }
    let check =
        |state: &ClusterState| authenticate(headers, state.security.as_deref(), cluster.now_ms());
    let mut checked = check(&state);
    if matches!(checked, Err(BadCredentials::Unknown)) {
        app.freshness.renew(&app.root).await;
        state = cluster.state();
        checked = check(&state);
    }
    let principal = checked.map_err(|bad| {
        let error = unauthenticated(bad, path);
        app.note_denial(&anybody, Some(path), &error);
        error
    })?;
    Ok(Sender { principal, address })
}

/// What says who sends a request: its body cannot be shared between threads.
#[derive(Clone, Copy)]
struct CameBy<'a> {
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    path: &'a str,
}

/// Marks requests of the listener for probes, where nobody logs in: an extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForProbes;

/// A request that has come, beside its head and body.
struct Came<'a> {
    route: &'static Route,
    by: &'a Answering,
    parts: Parts,
    sender: Sender,
}

async fn dispatch(
    app: &Arc<App>,
    came: Came<'_>,
    request: http::Request<Body>,
) -> http::Response<Body> {
    let Came {
        route,
        by,
        parts,
        sender,
    } = came;
    note_request(route, &parts, &sender);
    app.usage.note(route);
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let is_conditional = head.method != Method::POST;
    let parsed = Parameters::parse(head.uri.query());
    let parameters = parsed.as_ref().ok().cloned().unwrap_or_default();
    let form = Form::of(&parameters, &head.headers);
    let checked = || {
        parsed?;
        check_escapes(head.uri.path())?;
        let parts = parts?;
        let form = form.clone()?;
        if route.is_refused {
            return Err(ApiError::unsupported(route.name));
        }
        let warnings = parameters.check(route, head.uri.path())?;
        Ok((parts, form, warnings))
    };
    let mut checked = checked();
    if let Ok((parts, _, _)) = &mut checked {
        let freshness = &app.freshness;
        freshness
            .assure(&app.root, route, &head.method, parts)
            .await;
        if let Err(error) = authorized(app, route, &sender, &parameters, parts) {
            app.note_denial(&sender, Some(head.uri.path()), &error);
            checked = Err(error);
        }
    }
    let response = match checked {
        Ok((parts, form, warnings)) => {
            let request = Request {
                app: Arc::clone(app),
                route,
                handler: by.handler,
                uri: head.uri,
                headers: head.headers,
                parameters,
                parts,
                body: parking_lot::Mutex::new(body),
                whole: None,
                read: None,
                held: app.bodies.open(),
                making: AnswerMaker::new(&app.root),
                parsed: None,
                started,
                sender,
                wants_edition: false,
            };
            match app.cache.as_ref().filter(|_| cached::takes(route)) {
                None => carry_out(request, form, &warnings).await,
                Some(cache) => {
                    let asked = Asked {
                        request,
                        form,
                        warnings,
                        is_conditional,
                    };
                    Box::pin(cached::answer(cache, asked)).await
                }
            }
        }
        Err(error) => {
            let reply = refusal(&error.spoken_by(app.options.distribution));
            let making = AnswerMaker::new(&app.root);
            finished(reply, &form.unwrap_or_default(), &parameters, &making).await
        }
    };
    by.times.record(route.name, response.status(), started);
    response
}

/// Notes what is asked, by whom, for those who look after the node.
fn note_request(route: &'static Route, parts: &Parts, sender: &Sender) {
    gleaner_telemetry::note(|facts| {
        let mut parts = parts.iter().flatten();
        let index = parts.find(|(name, _)| *name == "index");
        facts.note_target(route.name, index.map(|(_, names)| names.as_str()));
        facts.key_id = sender.principal.holder().map(|holder| holder.id.clone());
    });
}

/// Refuses a request without the right that its route needs, as [`authorize`].
fn authorized(
    app: &App,
    route: &'static Route,
    sender: &Sender,
    parameters: &Parameters,
    parts: &mut Vec<(&'static str, String)>,
) -> Result<(), ApiError> {
    let cluster = app.root.cluster();
    let entry = Entry {
        principal: &sender.principal,
        route,
        parameters,
        state: &cluster.state(),
        now_ms: cluster.now_ms(),
    };
    authorize(&entry, parts)
}

/// Has a request answered by its route; `warnings` are about its parameters.
pub(crate) async fn carry_out(
    request: Request,
    form: Form,
    warnings: &[String],
) -> http::Response<Body> {
    if !request.tells_cost() {
        return worked_on(request, form, warnings).await;
    }
    // In a box: only fronts ask, and it would make every future larger.
    let work = Box::pin(measured(worked_on(request, form, warnings)));
    let (mut response, took) = work.await;
    add_cost(response.headers_mut(), took);
    response
}

async fn worked_on(request: Request, form: Form, warnings: &[String]) -> http::Response<Body> {
    let spoken = request.app.options.distribution;
    let (parameters, making) = (request.parameters.clone(), request.making.clone());
    let answer = (request.handler)(request).await;
    let answer = answer.map_err(|error| error.spoken_by(spoken));
    let reply = answer.unwrap_or_else(|error| refusal(&error));
    finished(reply.warning(warnings), &form, &parameters, &making).await
}

/// Returns the answer that reports `error`; the log has those that are a server's.
fn refusal(error: &ApiError) -> Reply {
    if error.status.is_server_error() {
        tracing::warn!(
            status = error.status.as_u16(),
            kind = error.kind(),
            reason = error.reason(),
            "request failed"
        );
    }
    Reply::error(error)
}

async fn finished(
    reply: Reply,
    form: &Form,
    parameters: &Parameters,
    making: &AnswerMaker,
) -> http::Response<Body> {
    let warnings = reply.warnings().to_vec();
    match reply.into_response(form, parameters, making).await {
        Ok(response) => response,
        Err(error) => {
            let form = Form::default();
            let reply = Reply::error(&error).warning(&warnings);
            let shown = reply.into_response(&form, parameters, making);
            let shown = shown.await;
            shown.unwrap_or_else(|_| http::Response::new(Body::empty()))
        }
    }
}

/// Sends an answer that no route made.
async fn plain(app: &Arc<App>, reply: Reply) -> http::Response<Body> {
    let making = AnswerMaker::new(&app.root);
    let (form, parameters) = (Form::default(), Parameters::default());
    finished(reply, &form, &parameters, &making).await
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

/// A path that is known under other methods, which `OPTIONS` asks for.
fn wrong_method(mut allowed: Vec<&'static str>, request: &http::Request<Body>) -> Reply {
    allowed.sort_unstable();
    allowed.dedup();
    let allowed = allowed.join(", ");
    if request.method() == Method::OPTIONS {
        return Reply::empty(StatusCode::OK).with_header(header::ALLOW, &allowed);
    }
    let reason = format!(
        "Incorrect HTTP method for uri [{}] and method [{}], allowed: [{allowed}]",
        request.uri(),
        request.method()
    );
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let body = json!({"error": reason, "status": status.as_u16()});
    Reply::with_status(status, &body).with_header(header::ALLOW, &allowed)
}

/// A path that is not known at all.
fn no_handler(request: &http::Request<Body>) -> Reply {
    let reason = format!(
        "no handler found for uri [{}] and method [{}]",
        request.uri(),
        request.method()
    );
    Reply::with_status(StatusCode::BAD_REQUEST, &json!({"error": reason}))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::Value;

    use crate::routes::parameter_tables;
    use crate::testing::{sent, speaking};

    #[tokio::test]
    async fn a_first_line_that_is_too_long_is_refused_before_its_names_are_looked_up() {
        let dialect = speaking();
        let around = "GET /?q= HTTP/1.1".len();
        for (num_bytes, refused) in [(4_096, false), (4_097, true), (60_000, true)] {
            let path = format!("/?q={}", "a".repeat(num_bytes - around));
            let (status, answer) = sent(&dialect, ("GET", &path), &Value::Null).await;
            let kind = answer["error"]["type"].as_str().unwrap_or_default();
            assert_eq!(
                kind == "too_long_http_line_exception",
                refused,
                "{num_bytes}: {status} {answer}"
            );
            assert!(!refused || status == StatusCode::BAD_REQUEST);
        }
        let names = format!("/{}/_search", "a*,".repeat(2_000));
        let (_, answer) = sent(&dialect, ("GET", &names), &Value::Null).await;
        let reason = &answer["error"]["reason"];
        assert_eq!(reason, "An HTTP line is larger than 4096 bytes.");
    }

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
}
