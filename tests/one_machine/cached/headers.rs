//! No header shapes an answer that is kept but those that are in its key: whatever a request says in its head, the
//! cache answers it as its evaluation would.

use std::collections::BTreeSet;
use std::io::Read as _;

use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use gleaner_testkit::http::{Request, Response};
use serde_json::json;

use super::Site;

/// Names of headers that are sent with the same two values.
struct Group {
    values: [&'static str; 2],
    names: &'static [&'static str],
}

/// Headers of all kinds: of HTTP, of proxies, of browsers, of clients of search engines. Those that frame a message are
/// left out, and those that only nodes send.
const GROUPS: &[Group] = &[
    Group {
        values: ["application/yaml", "application/cbor"],
        names: &["Accept"],
    },
    Group {
        values: [
            "application/vnd.elasticsearch+json;compatible-with=8",
            "text/plain",
        ],
        names: &["Content-Type"],
    },
    Group {
        values: ["gzip", "identity"],
        names: &["Accept-Encoding", "Content-Encoding"],
    },
    Group {
        values: ["de", "en;q=0.5, *;q=0.1"],
        names: &["Accept-Language", "Content-Language"],
    },
    Group {
        values: ["utf-8", "utf-16"],
        names: &["Accept-Charset"],
    },
    Group {
        values: ["none", "bytes"],
        names: &["Accept-Ranges"],
    },
    Group {
        values: ["bytes=0-9", "bytes=-5"],
        names: &["Range", "Content-Range", "X-Range", "Request-Range"],
    },
    Group {
        values: ["\"one\"", "\"two\""],
        names: &["If-Match", "If-None-Match", "If-Range", "ETag"],
    },
    Group {
        values: [
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Fri, 01 Jan 2100 00:00:00 GMT",
        ],
        names: &[
            "If-Modified-Since",
            "If-Unmodified-Since",
            "Date",
            "Last-Modified",
            "Expires",
            "X-Last-Modified",
        ],
    },
    Group {
        values: ["no-cache", "max-age=60"],
        names: &[
            "Cache-Control",
            "Pragma",
            "Surrogate-Control",
            "CDN-Cache-Control",
            "X-Cache-Control",
        ],
    },
    Group {
        values: ["return=minimal", "respond-async"],
        names: &["Prefer", "Preference-Applied"],
    },
    Group {
        values: ["https://evil.example", "null"],
        names: &[
            "Origin",
            "X-Origin",
            "Referer",
            "Referrer",
            "X-Frame-Options",
            "Access-Control-Allow-Origin",
        ],
    },
    Group {
        values: ["PUT", "DELETE"],
        names: &[
            "Access-Control-Request-Method",
            "X-HTTP-Method-Override",
            "X-HTTP-Method",
            "X-Method-Override",
            "X-Original-Method",
            "_method",
        ],
    },
    Group {
        values: ["x-one", "authorization"],
        names: &["Access-Control-Request-Headers", "Vary", "Trailer", "TE"],
    },
    Group {
        values: ["cross-site", "same-origin"],
        names: &["Sec-Fetch-Site"],
    },
    Group {
        values: ["navigate", "cors"],
        names: &[
            "Sec-Fetch-Mode",
            "Sec-Fetch-Dest",
            "Sec-Fetch-User",
            "Sec-Purpose",
        ],
    },
    Group {
        values: ["evil.example", "other.example:81"],
        names: &[
            "X-Forwarded-Host",
            "X-Host",
            "X-Original-Host",
            "X-HTTP-Host-Override",
            "X-Forwarded-Server",
            "X-Backend-Host",
            "X-Rewrite-Host",
        ],
    },
    Group {
        values: ["for=192.0.2.1;host=evil.example", "proto=https"],
        names: &[
            "Forwarded",
            "X-Forwarded",
            "Forwarded-For",
            "X-Forwarded-By",
        ],
    },
    Group {
        values: ["192.0.2.1", "198.51.100.7, 127.0.0.1"],
        names: &[
            "X-Forwarded-For",
            "X-Real-IP",
            "X-Client-IP",
            "True-Client-IP",
            "CF-Connecting-IP",
            "X-Cluster-Client-IP",
            "X-Originating-IP",
            "X-Remote-IP",
            "X-Remote-Addr",
            "Fastly-Client-IP",
            "X-ProxyUser-Ip",
        ],
    },
    Group {
        values: ["https", "http"],
        names: &[
            "X-Forwarded-Proto",
            "X-Forwarded-Protocol",
            "X-Forwarded-Scheme",
            "X-URL-Scheme",
            "X-Scheme",
            "Front-End-Https",
            "X-Forwarded-SSL",
        ],
    },
    Group {
        values: ["443", "81"],
        names: &[
            "X-Forwarded-Port",
            "X-Port",
            "Max-Forwards",
            "Upgrade-Insecure-Requests",
        ],
    },
    Group {
        values: ["/other", "/_cluster/settings"],
        names: &[
            "X-Original-URL",
            "X-Rewrite-URL",
            "X-Original-URI",
            "X-Forwarded-Prefix",
            "X-Forwarded-Path",
            "X-Script-Name",
            "X-Request-URI",
            "X-Accel-Redirect",
            "X-Sendfile",
            "Destination",
            "Location",
            "Content-Location",
            "SOAPAction",
        ],
    },
    Group {
        values: ["Basic eDp5", "Bearer eHl6"],
        names: &[
            "Authorization",
            "Proxy-Authorization",
            "X-Authorization",
            "X-Auth-Token",
            "X-API-Key",
        ],
    },
    Group {
        values: ["one", "two"],
        names: &[
            "Cookie",
            "X-Forwarded-User",
            "X-Remote-User",
            "Remote-User",
            "X-User",
            "X-WEBAUTH-USER",
            "es-security-runas-user",
            "From",
            "User-Agent",
            "X-Requested-With",
            "X-CSRF-Token",
            "DNT",
            "Via",
            "Save-Data",
            "Priority",
            "Early-Data",
            "Warning",
            "Upgrade",
            "HTTP2-Settings",
            "Keep-Alive",
        ],
    },
    Group {
        values: ["trace-one", "trace-two"],
        names: &[
            "X-Opaque-Id",
            "X-Request-Id",
            "X-Correlation-Id",
            "X-Trace-Id",
            "X-B3-TraceId",
            "X-B3-Sampled",
            "X-Amzn-Trace-Id",
            "Tracestate",
            "Baggage",
        ],
    },
    Group {
        values: [
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-1bf7651916cd43dd8448eb211c80319c-a7ad6b7169203331-00",
        ],
        names: &["Traceparent"],
    },
    Group {
        values: ["7", "2023-10-31"],
        names: &[
            "Elastic-Api-Version",
            "X-Elastic-Product",
            "X-Elastic-Client-Meta",
            "X-Elastic-Internal-Origin",
            "X-Elastic-Product-Use-Case",
            "X-Search-Id",
            "X-Pretty",
            "X-Tenant",
            "X-Index",
            "X-Routing",
        ],
    },
];

/// The least number of headers: fewer prove little.
const MIN_NAMES: usize = 120;

/// Headers on which the answer to a request that is evaluated depends: without such headers the test proves nothing.
const SHAPING: [&str; 3] = ["Accept", "Accept-Encoding", "Origin"];

/// Parts of an answer's head that are compared beside status and body; others tell where it comes from.
const COMPARED: [&str; 6] = [
    "content-type",
    "content-encoding",
    "x-opaque-id",
    "warning",
    "location",
    "access-control-allow-origin",
];

/// Returns a search whose answer is the same for each `number`, and kept under another key.
fn search(method: &str, parameters: &str, number: usize) -> Request {
    let path = format!("/books/_search?filter_path=hits,error,status{parameters}");
    let query = json!({"query": {"bool": {
        "must": {"match": {"title": "tea"}},
        "filter": {"range": {"year": {"lte": 3_000 + number}}},
    }}});
    Request {
        body: Some(query.to_string().into_bytes()),
        ..Request::new(method, &path)
    }
}

/// Returns the request with a header, and with the type of its body where that header is another.
fn with(request: Request, header: Option<(&str, &str)>) -> Request {
    let json = ("content-type", "application/json");
    let is_type = header.is_some_and(|(name, _)| name.eq_ignore_ascii_case(json.0));
    let own = header.into_iter();
    let headers = own.chain((!is_type).then_some(json));
    headers.fold(request, |request, (name, value)| {
        request.with_header(name, value)
    })
}

/// What is compared of an answer.
#[derive(Debug, PartialEq)]
struct Shown {
    status: u16,
    head: [Option<String>; COMPARED.len()],
    /// Unpacked.
    body: Vec<u8>,
}

impl Shown {
    fn of(answer: &Response) -> Result<Self> {
        let mut body = answer.body.clone();
        if answer.header("content-encoding") == Some("gzip") {
            body.clear();
            GzDecoder::new(&answer.body[..]).read_to_end(&mut body)?;
        }
        Ok(Self {
            status: answer.status,
            head: COMPARED.map(|name| answer.header(name).map(str::to_owned)),
            body,
        })
    }
}

/// A header, and what is answered without it and with each of its values where nothing is kept.
struct Case {
    name: &'static str,
    headers: [Option<(&'static str, &'static str)>; 3],
    expected: Vec<Shown>,
}

impl Case {
    async fn evaluate(
        site: &Site,
        method: &str,
        name: &'static str,
        values: [&'static str; 2],
    ) -> Result<Self> {
        let headers = [None, Some((name, values[0])), Some((name, values[1]))];
        let mut expected = Vec::new();
        for header in headers {
            let request = with(search(method, "&request_cache=false", 0), header);
            let answer = site.send(request).await;
            let answer = answer.with_context(|| format!("{method} with {header:?}"))?;
            expected.push(Shown::of(&answer)?);
        }
        Ok(Self {
            name,
            headers,
            expected,
        })
    }

    /// Does the header shape the answer to a request that is evaluated?
    fn is_shaping(&self) -> bool {
        self.expected[0] != self.expected[1] || self.expected[1] != self.expected[2]
    }

    /// Sends the cold search `number` in the order `places` of the headers, each twice; returns how many answers were
    /// kept ones.
    async fn ask(
        &self,
        site: &Site,
        method: &str,
        number: usize,
        places: [usize; 3],
    ) -> Result<usize> {
        let mut num_hits = 0;
        for place in places.into_iter().flat_map(|place| [place, place]) {
            let request = with(search(method, "", number), self.headers[place]);
            let answer = site.send(request).await?;
            let from = answer.header("x-cache").unwrap_or("no cache");
            num_hits += usize::from(from == "hit");
            let found = Shown::of(&answer)?;
            ensure!(
                found == self.expected[place],
                "{method} with {:?} in the order {places:?}, {from}: {found:?}\nevaluated: {:?}",
                self.headers[place],
                self.expected[place]
            );
        }
        Ok(num_hits)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_shapes_what_another_request_is_answered_from_the_cache() -> Result<()> {
    let site = Site::with_books().await?;
    // Long enough to be packed where the client takes that.
    let book = json!({"title": "tea", "year": 2000, "note": "tea and more tea ".repeat(1_000)});
    site.done("PUT", "/books/_doc/3?refresh=true", &book)
        .await?;
    let mut shaping = BTreeSet::new();
    let (mut num_names, mut num_asked, mut num_hits) = (0, 0, 0);
    for method in ["POST", "GET"] {
        for Group { values, names } in GROUPS {
            for name in *names {
                let case = Case::evaluate(&site, method, name, *values).await?;
                if case.is_shaping() {
                    shaping.insert(case.name);
                }
                for places in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
                    num_asked += 1;
                    num_hits += case.ask(&site, method, num_asked, places).await?;
                }
                num_names += 1;
            }
        }
    }
    ensure!(
        num_names / 2 >= MIN_NAMES,
        "{num_names} names in two rounds"
    );
    for name in SHAPING {
        ensure!(
            shaping.contains(name),
            "`{name}` shapes nothing: {shaping:?}"
        );
    }
    // Five of six answers are kept ones where no value goes around the cache.
    ensure!(
        num_hits > num_asked * 4,
        "{num_hits} hits of {num_asked} searches"
    );
    Ok(())
}
