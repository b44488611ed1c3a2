//! Requests: where they go, how, with what head.

use gleaner_api::route::Route;
use gleaner_datasets::Random;
use gleaner_testkit::http::Request;

use crate::bodies;

/// A request, and whether its head is no proper HTTP (then closing the connection is an answer).
pub(crate) struct Hostile {
    pub(crate) request: Request,
    pub(crate) breaks_http: bool,
}

/// Endpoints that are asked more often than others; `{i}` is an index, `{d}` a document.
const ENDPOINTS: &[(&str, &str)] = &[
    ("GET", "/"),
    ("POST", "/{i}/_search"),
    ("POST", "/{i}/_search"),
    ("POST", "/{i}/_search"),
    ("POST", "/{i}/_search"),
    ("POST", "/_search"),
    ("POST", "/{i}/_count"),
    ("POST", "/_msearch"),
    ("POST", "/_bulk"),
    ("POST", "/{i}/_bulk"),
    ("PUT", "/{i}"),
    ("HEAD", "/{i}"),
    ("DELETE", "/{i}"),
    ("PUT", "/{i}/_doc/{d}"),
    ("POST", "/{i}/_doc"),
    ("GET", "/{i}/_doc/{d}"),
    ("GET", "/{i}/_source/{d}"),
    ("DELETE", "/{i}/_doc/{d}"),
    ("PUT", "/{i}/_create/{d}"),
    ("POST", "/{i}/_update/{d}"),
    ("POST", "/_mget"),
    ("POST", "/{i}/_mget"),
    ("PUT", "/{i}/_mapping"),
    ("GET", "/{i}/_mapping"),
    ("PUT", "/{i}/_settings"),
    ("GET", "/{i}/_settings"),
    ("POST", "/_aliases"),
    ("PUT", "/{i}/_alias/{d}"),
    ("GET", "/_alias"),
    ("POST", "/_analyze"),
    ("POST", "/{i}/_analyze"),
    ("POST", "/{i}/_explain/{d}"),
    ("POST", "/{i}/_validate/query"),
    ("POST", "/{i}/_field_caps"),
    ("POST", "/{i}/_delete_by_query"),
    ("POST", "/_search/scroll"),
    ("DELETE", "/_search/scroll"),
    ("POST", "/{i}/_pit"),
    ("DELETE", "/_pit"),
    ("POST", "/{i}/_refresh"),
    ("POST", "/{i}/_flush"),
    ("POST", "/{i}/_forcemerge"),
    ("GET", "/_cluster/health"),
    ("GET", "/_cat/indices"),
    ("GET", "/_cat/shards"),
    ("GET", "/_nodes/_all/http"),
    ("GET", "/{i}/_stats"),
    ("PUT", "/_cluster/settings"),
    ("POST", "/_reindex"),
    ("PUT", "/_index_template/{d}"),
];

const INDICES: &[&str] = &[
    "stable",
    "stable",
    "stable",
    "a",
    "b",
    "missing",
    "*",
    "_all",
    "st*",
    "-a",
    "A",
    "",
    "a,b",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "%00",
    "%3Cx-%7Bnow%2Fd%7D%3E",
    "a%2Fb",
    "%ff%fe",
    "_x",
    "stable,-stable",
    "%E2%98%83",
];

const DOCUMENTS: &[&str] = &[
    "1",
    "2",
    "..",
    "%2e%2e%2f",
    "%00",
    "%ff",
    "a%2Fb",
    "%E2%98%83",
    " x",
];

const METHODS: &[&str] = &[
    "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "get",
];

const PARAMETERS: &[&str] = &[
    "q=",
    "q=%28%28%28",
    "q=title%3A%2Fa%7B99999%7D%2F",
    "size=-1",
    "size=99999999999999999999",
    "from=1e9",
    "routing=%00",
    "pretty",
    "pretty=maybe",
    "filter_path=**.**.**.*",
    "format=cbor",
    "filter_path=-*,*",
    "timeout=-1",
    "timeout=9999999999999d",
    "scroll=1y",
    "keep_alive=1m",
    "version=-1&version_type=external",
    "if_seq_no=1",
    "refresh=perhaps",
    "unknown_parameter=1",
    "size=1&size=2",
    "%zz=%",
    "=",
    "&&&",
    "wait_for_active_shards=all",
    "max_num_segments=0",
    "op_type=create",
    "_source_includes=*.*.*.*",
    "sort=n:sideways",
    "stored_fields=_none_",
    "max_concurrent_searches=0",
    "h=%2A&s=nothing&v=true",
    "wait_for_status=purple",
    "slices=1000000",
    "preference=_shards%3A99",
    "typed_keys=true&rest_total_hits_as_int=true",
];

/// Values of parameters of any route.
const VALUES: &[&str] = &[
    "",
    "true",
    "false",
    "none",
    "-1",
    "0",
    "1",
    "18446744073709551616",
    "1m",
    "-1m",
    "*",
    "*,-*",
    "stable",
    "title",
    "a.b.c",
    "%00",
    "%ff",
    "%E2%98%83",
    "%7B%22a%22%3A",
];

const CONTENT_TYPES: &[&str] = &[
    "application/json",
    "application/json",
    "application/json",
    "application/x-ndjson",
    "application/vnd.elasticsearch+json; compatible-with=8",
    "application/cbor",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "",
    "json",
    "application/json; charset=utf-16",
    "*/*",
];

pub(crate) fn pick<'a>(random: &mut Random, choices: &[&'a str]) -> &'a str {
    choices[random.below(choices.len() as u64) as usize]
}

impl Hostile {
    /// Draws a request: an endpoint that is right more often than not, a body that rarely is.
    pub(crate) fn draw(random: &mut Random) -> Self {
        let (method, mut path) = if random.chance(1, 4) {
            any_route(random)
        } else {
            let (method, path) = ENDPOINTS[random.below(ENDPOINTS.len() as u64) as usize];
            let path = path.replace("{i}", pick(random, INDICES));
            (method, path.replace("{d}", pick(random, DOCUMENTS)))
        };
        let method = if random.chance(1, 15) {
            pick(random, METHODS)
        } else {
            method
        };
        if random.chance(1, 4) {
            let mark = if path.contains('?') { '&' } else { '?' };
            path = format!("{path}{mark}{}", pick(random, PARAMETERS));
        }
        let mut breaks_http = method == "get";
        if random.chance(1, 60) {
            // A query in the address that no parser should recurse into.
            let depth = 1_000 + random.below(9_000) as usize;
            path = format!("/stable/_search?q={}a", "(".repeat(depth));
        }
        let mut request = Request::new(method, &path);
        if random.chance(9, 10) {
            request = with_body(random, request);
        }
        if random.chance(1, 30) {
            breaks_http = true;
            request = with_giant_head(random, request);
        }
        // The address itself may be no address: spaces, more bytes than a server reads.
        breaks_http |= path.contains(' ') || path.len() > 8_000;
        Self {
            request,
            breaks_http,
        }
    }

    /// Returns the request for a message: what is needed to see what it was.
    pub(crate) fn shown(&self) -> String {
        let Request {
            method,
            path,
            headers,
            body,
        } = &self.request;
        let path: String = path.chars().take(200).collect();
        let headers = format!("{headers:?}");
        let headers: String = headers.chars().take(300).collect();
        let body = body.as_deref().unwrap_or_default();
        let start = String::from_utf8_lossy(&body[..body.len().min(400)]);
        format!("{method} {path} {headers} {} bytes: {start}", body.len())
    }
}

/// Draws a method and a path of the dialect's tables, at times with one of the route's own parameters.
fn any_route(random: &mut Random) -> (&'static str, String) {
    let routes: Vec<&'static Route> = gleaner_api::parameter_tables().collect();
    let route = routes[random.below(routes.len() as u64) as usize];
    let method = &route.methods[random.below(route.methods.len() as u64) as usize];
    let parts = pick(random, route.paths).split('/').map(|part| match part {
        "{index}" => pick(random, INDICES),
        _ if part.starts_with('{') => pick(random, DOCUMENTS),
        _ => part,
    });
    let mut path = parts.collect::<Vec<_>>().join("/");
    if random.chance(1, 2) {
        let parameters: Vec<&str> = route.all_parameters().map(|own| own.name).collect();
        let name = pick(random, &parameters);
        path = format!("{path}?{name}={}", pick(random, VALUES));
    }
    (method.as_str(), path)
}

fn with_body(random: &mut Random, request: Request) -> Request {
    let (body, encoding) = bodies::draw(random, &request.path);
    let lines = ["_bulk", "_msearch"]
        .iter()
        .any(|end| request.path.contains(end));
    let content_type = match random.below(8) {
        0 => pick(random, CONTENT_TYPES),
        _ if lines => "application/x-ndjson",
        _ => "application/json",
    };
    let request = request.with_body(content_type, body);
    match encoding {
        Some(encoding) => request.with_header("content-encoding", encoding),
        None => request,
    }
}

fn with_giant_head(random: &mut Random, request: Request) -> Request {
    match random.below(3) {
        0 => request.with_header("x-opaque-id", &"x".repeat(200_000)),
        1 => (0..400).fold(request, |request, n| {
            request.with_header(&format!("x-many-{n}"), "1")
        }),
        _ => request.with_header("authorization", &"Basic ////".repeat(3_000)),
    }
}
