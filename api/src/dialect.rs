//! The service that speaks the dialect: what every request passes before and after its route.
//!
//! It is not made of layers of a router: each would box every route's future and body once more, for every
//! request.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::{BoxError, Router};
use futures::FutureExt;
use futures::future::BoxFuture;
use gleaner_cache::respond::{LEAST_PACKED, VARY};
use gleaner_root::Root;
use gleaner_server::{Leftover, answer_to_panic};
use http::header;
use metrics_exporter_prometheus::PrometheusHandle;
use tower::{Service, ServiceExt};
use tower_http::compression::Compression;
use tower_http::compression::predicate::{And, DefaultPredicate, Predicate as _, SizeAbove};

use crate::cached;
use crate::contexts::Contexts;
use crate::endpoint::Endpoint;
use crate::freshness::Freshness;
use crate::late;
use crate::middleware::{self, Access};
use crate::options::ApiOptions;
use crate::request::BodyRoom;
use crate::routes::endpoints;
use crate::security::MaxAge;
use crate::service::{App, Routes};
use crate::usage::RouteUsage;

/// The service that speaks the dialect; cheap to clone. It may be there before its root is: see
/// [`Dialect::late`].
#[derive(Clone)]
pub struct Dialect {
    /// Empty as long as there is no root.
    pub(crate) spoken: Arc<OnceLock<DialectRoutes>>,
    /// What answers until there is one.
    pub(crate) before: Router,
}

/// Returns the service that speaks the dialect over `root`; `metrics` is what `/metrics` prints.
///
/// # Panics
/// When two routes claim one path in ways that cannot be told apart: a fault of the tables, found by their tests.
pub fn dialect(root: Arc<Root>, options: ApiOptions, metrics: Option<PrometheusHandle>) -> Dialect {
    Dialect::over(root, options, metrics, endpoints())
}

impl Dialect {
    fn over(
        root: Arc<Root>,
        options: ApiOptions,
        metrics: Option<PrometheusHandle>,
        endpoints: impl Iterator<Item = &'static Endpoint>,
    ) -> Self {
        let endpoints: Vec<&'static Endpoint> = endpoints.collect();
        let routes = endpoints.iter().map(|endpoint| &endpoint.route);
        let usage = RouteUsage::of(routes, root.cluster().now_ms());
        let app = Arc::new(App {
            cache: cached::cache_of(&root, &options),
            counts: cached::Counts::default(),
            freshness: Freshness::default(),
            max_age: MaxAge::new(options.security_max_age, "requests are refused"),
            root,
            bodies: BodyRoom::new(options.body_memory_bytes),
            options,
            metrics,
            contexts: Contexts::default(),
            usage,
        });
        let routes = Routes::new(app, endpoints.into_iter());
        let routes = RouteService(Arc::new(routes));
        let worth_it = DefaultPredicate::new().and(SizeAbove::new(LEAST_PACKED));
        let packing = Compression::new(routes.clone()).compress_when(worth_it);
        Self {
            spoken: Arc::new(OnceLock::from(DialectRoutes { routes, packing })),
            before: Router::new(),
        }
    }
}

impl<B> Service<http::Request<B>> for Dialect
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    /// Always ready: what is bounded is bounded further in.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let request = request.map(Body::new);
        match self.spoken.get() {
            Some(spoken) => spoken.answer(request),
            None => Box::pin(late::answer(self.before.clone(), request)),
        }
    }
}

/// An answer that is being made.
type Answering = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

/// Packs answers that are larger.
type Packing = Compression<RouteService, And<DefaultPredicate, SizeAbove>>;

/// The routes of all tables over a root.
#[derive(Clone)]
pub(crate) struct DialectRoutes {
    routes: RouteService,
    /// The same, for clients that take packed answers.
    packing: Packing,
}

/// The routes as a service.
#[derive(Clone)]
struct RouteService(Arc<Routes>);

impl Service<http::Request<Body>> for RouteService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Answering {
        let routes = Arc::clone(&self.0);
        Box::pin(async move { Ok(routes.answer(request).await) })
    }
}

impl DialectRoutes {
    fn answer(&self, mut request: http::Request<Body>) -> Answering {
        let access = Access::begin(&request);
        middleware::trim_path(&mut request);
        let leftover = Leftover::of(&mut request);
        // In boxes of their own, which are moved when they are made only.
        let answering = match request.headers().contains_key(header::ACCEPT_ENCODING) {
            true => packed(self.packing.clone(), request),
            false => self.routes.clone().call(request),
        };
        Box::pin(async move {
            let answering = AssertUnwindSafe(access.instrument(answering)).catch_unwind();
            let answered = answering.await;
            let answered = answered.map(|Ok(response)| response);
            let mut response = answered.unwrap_or_else(answer_to_panic);
            response.headers_mut().insert(header::VARY, VARY);
            leftover.settle(&mut response).await;
            access.end(&mut response);
            Ok(response)
        })
    }
}

fn packed(packing: Packing, request: http::Request<Body>) -> Answering {
    Box::pin(async move {
        let Ok(packed) = packing.oneshot(request).await;
        Ok(packed.map(Body::new))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use gleaner_coordinator::{Coordinator, Embedded};
    use gleaner_model::ClusterState;
    use gleaner_proto::{GrpcLeaf, Peer};
    use gleaner_root::leaves::SingleLeaf;
    use gleaner_root::{LeafHandle, RootOptions};
    use http::{Request, Response, StatusCode};
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::route::Route;

    /// A root without indices, and without a leaf to call.
    pub(crate) fn speaking() -> Dialect {
        dialect(root(), ApiOptions::default(), None)
    }

    pub(crate) fn root() -> Arc<Root> {
        root_with(RootOptions::default())
    }

    pub(crate) fn root_with(options: RootOptions) -> Arc<Root> {
        let coordinator = Arc::new(Embedded::in_memory(ClusterState::default()));
        root_over(coordinator, options)
    }

    /// As [`root_with`], over the state of `coordinator`.
    pub(crate) fn root_over(coordinator: Arc<dyn Coordinator>, options: RootOptions) -> Arc<Root> {
        let peer = Peer::new("127.0.0.1:1").expect("an address");
        let leaf = LeafHandle {
            node: gleaner_model::NodeId("away".into()),
            client: Arc::new(GrpcLeaf::new(peer)),
        };
        let leaves = Arc::new(SingleLeaf::new(leaf));
        Arc::new(Root::new(coordinator, leaves, options, || 0))
    }

    async fn get(path: &str, (name, value): (&str, &str)) -> Response<Body> {
        let request = Request::get(path).header(name, value).body(Body::empty());
        let Ok(answer) = speaking().oneshot(request.expect("a request")).await;
        answer
    }

    #[tokio::test]
    async fn every_answer_names_the_product_and_the_clients_id() {
        for path in ["/", "/_nodes", "/books/_search", "/not/known/at/all"] {
            let answer = get(path, ("x-opaque-id", "mine")).await;
            assert_eq!(
                answer.headers()["x-elastic-product"],
                "Elasticsearch",
                "{path}"
            );
            assert_eq!(answer.headers()["x-opaque-id"], "mine", "{path}");
        }
    }

    #[tokio::test]
    async fn slashes_at_the_end_change_nothing() {
        for path in ["/_nodes", "/_nodes/", "/_nodes//?human=true"] {
            let answer = get(path, ("accept", "*/*")).await;
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
        }
    }

    #[tokio::test]
    async fn an_answer_to_head_has_the_length_of_the_one_to_get() {
        let whole = get("/_nodes", ("accept", "*/*")).await;
        let whole = whole.into_body().collect().await.expect("a whole body");
        let request = Request::head("/_nodes").body(Body::empty());
        let Ok(answer) = speaking().oneshot(request.expect("a request")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let told = answer.headers()[header::CONTENT_LENGTH].clone();
        assert_eq!(told, whole.to_bytes().len().to_string());
        let body = answer.into_body().collect().await.expect("no body");
        assert!(body.to_bytes().is_empty());
    }

    #[tokio::test]
    async fn an_answer_to_head_tells_no_length_that_the_one_to_get_has_not() {
        let head = async |path: &str, codings: &str| {
            let request = Request::head(path).header("accept-encoding", codings);
            let request = request.body(Body::empty()).expect("a request");
            let Ok(answer) = speaking().oneshot(request).await;
            let told = answer.headers().get(header::CONTENT_LENGTH).cloned();
            (answer.status().as_u16(), told.is_some())
        };
        // Of these the route makes no body.
        for path in ["/books", "/_alias/books", "/_template/books"] {
            assert_eq!(head(path, "identity").await, (404, false), "{path}");
        }
        // This one would be packed.
        assert_eq!(head("/_openapi.json", "gzip").await, (200, false));
        assert_eq!(head("/", "gzip").await, (200, true));
    }

    #[tokio::test]
    async fn every_answer_says_that_it_depends_on_its_form_and_packing() {
        for (path, codings) in [
            ("/", "gzip"),
            ("/_openapi.json", "gzip"),
            ("/_cat/indices", "identity"),
            ("/books/_search", "gzip"),
        ] {
            let answer = get(path, ("accept-encoding", codings)).await;
            let lines: Vec<_> = answer.headers().get_all(header::VARY).iter().collect();
            assert_eq!(lines, ["accept, accept-encoding"], "{path}");
        }
    }

    #[tokio::test]
    async fn answers_are_packed_for_those_who_say_so_where_that_saves_a_packet() {
        let small = get("/", ("accept-encoding", "gzip")).await;
        assert!(!small.headers().contains_key(header::CONTENT_ENCODING));
        let path = "/_openapi.json";
        let plain = get(path, ("accept-encoding", "identity")).await;
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
        let plain = plain.into_body().collect().await.expect("a whole body");
        let packed = get(path, ("accept-encoding", "gzip")).await;
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
        let packed = packed.into_body().collect().await.expect("a whole body");
        let mut unpacked = Vec::new();
        let packed = packed.to_bytes();
        let mut decoder = flate2::read::GzDecoder::new(&packed[..]);
        std::io::Read::read_to_end(&mut decoder, &mut unpacked).expect("gzip");
        assert_eq!(unpacked, plain.to_bytes());
    }

    static PANICS: Endpoint = Route {
        name: "panics",
        methods: &[http::Method::GET],
        paths: &["/panics"],
        parameters: &[],
        is_refused: false,
    }
    .answered_by(|_| Box::pin(async { panic!("as a test asks") }));

    #[tokio::test]
    async fn a_panic_is_answered_as_a_fault_of_ours() {
        let options = ApiOptions::default();
        let dialect = Dialect::over(root(), options, None, std::iter::once(&PANICS));
        let request = Request::get("/panics").body(Body::empty());
        let Ok(answer) = dialect.oneshot(request.expect("a request")).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()["x-elastic-product"], "Elasticsearch");
        let body = answer.into_body().collect().await.expect("a whole body");
        let body: serde_json::Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
        assert_eq!(body["error"]["type"], "exception");
    }
}
