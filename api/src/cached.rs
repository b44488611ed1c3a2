//! The way of requests whose answers may be kept, around their routes.
//!
//! Does: read what such a request asks of the cache, find its key, answer it from the cache or by its route, and say
//! in headers which it was (`X-Cache`, `Age`, `ETag`). Does not: keep answers (`gleaner-cache` does), evaluate.
//! Called by: [`crate::service`], where there is a cache. Read first: [`answer`].

mod counts;
mod key;
mod parts;
mod wish;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use gleaner_cache::respond::{BYPASS, Wanted, mark, respond};
use gleaner_cache::{Answer, Cache, CacheOptions, Current, Generations, OverflowOptions};
use gleaner_model::Edition;
use gleaner_query::canonical::edition::Targets;
use gleaner_query::search::SearchRequest;
use gleaner_root::Root;
use gleaner_root::edition::targets_of;
use gleaner_root::plan::Target;
use http::{Response, StatusCode, header};

use crate::error::ApiError;
use crate::options::{ApiOptions, CacheBeyond};
use crate::request::Request;
use crate::response::{Form, Reply, warning_values};
use crate::service::{App, carry_out};

pub(crate) use counts::{Counted, Counts, Lookup};
pub(crate) use key::takes;
pub use key::{FoundRoute, KeyMaker, Moment};
pub use parts::Searches;
pub(crate) use parts::{MAX_KEPT_SEARCHES, PART_END, PartRequest, edition_list, head_of_all};
use wish::Wish;

/// Returns the cache that `options` ask for; `None` where it has no memory.
pub(crate) fn cache_of(root: &Arc<Root>, options: &ApiOptions) -> Option<Arc<Cache>> {
    let clock = root.cluster().clock();
    let memory_bytes = options.cache_bytes;
    let cache = || {
        let beyond = options.cache_beyond.as_ref();
        let overflow = beyond.map(|CacheBeyond(beyond)| {
            let root = Arc::clone(root);
            OverflowOptions {
                beyond: Arc::clone(beyond),
                state: Arc::new(move || Some(root.cluster().state())),
            }
        });
        let options = CacheOptions {
            memory_bytes,
            entry_bytes: options.cache_entry_bytes,
            clock,
            overflow,
        };
        Cache::new(options, Arc::new(OfRoot(Arc::clone(root))))
    };
    (memory_bytes > 0).then(cache)
}

/// What is current by a root in this process, which knows, holds leases, or asks the leaves.
struct OfRoot(Arc<Root>);

#[async_trait]
impl Generations for OfRoot {
    fn current(&self, targets: &Targets) -> Current {
        match self.0.current_edition(targets) {
            Some(current) => Current::Edition(current),
            None if self.0.knows_editions() => Current::Unknown,
            None => Current::Elsewhere,
        }
    }

    async fn ask(&self, targets: &Targets, patience: Duration) -> Option<Edition> {
        self.0.ask_edition(targets, patience).await
    }
}

/// A request of a route whose answers may be kept, ready to be carried out.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) form: Form,
    /// About parameters of this request: they stand in no answer that is kept.
    pub(crate) warnings: Vec<String>,
    /// Whether it may be told that nothing has changed: it is no `POST`.
    pub(crate) is_conditional: bool,
}

/// Answers a request: with what is kept, with an equal one, or by its route.
pub(crate) async fn answer(cache: &Arc<Cache>, asked: Asked) -> Response<Body> {
    let Asked {
        mut request,
        form,
        warnings,
        is_conditional,
    } = asked;
    let wanted = Wanted::of(&request.headers, is_conditional);
    let body = request.bytes().await;
    let keep = body.as_ref().ok();
    let keep = keep.and_then(|body| key::keep_of(&mut request, &form, body, cache.memo()));
    request.whole = Some(body);
    let Some(keep) = keep else {
        let mut response = carry_out(request, form, &warnings).await;
        mark(response.headers_mut(), BYPASS);
        return response;
    };
    gleaner_telemetry::note(|facts| facts.note_key(&keep.key.0));
    request.wants_edition = true;
    let app = Arc::clone(&request.app);
    // Made where nothing is kept only, and in a box: the cache hands it on.
    let fetch = || {
        let fetching = async move { read_whole(carry_out(request, form, &[]).await).await };
        Box::pin(gleaner_telemetry::carried(fetching))
    };
    let mut response = match cache.answer(&keep, fetch).await {
        Ok(served) => {
            app.note_lookup(Lookup::of(&served), &keep.targets);
            respond(served, &keep, &wanted).map(Body::from)
        }
        Err(lost) => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            let error = ApiError::new(status, "exception", lost.to_string());
            Reply::error(&error).into_unshaped_response()
        }
    };
    for value in warning_values(&warnings) {
        response.headers_mut().append(header::WARNING, value);
    }
    response
}

impl App {
    /// Counts how a request that asks `targets` went.
    pub(crate) fn note_lookup(&self, lookup: Option<Lookup>, targets: &Targets) {
        if let Some(lookup) = lookup {
            let state = self.root.cluster().state();
            self.counts.note(lookup, targets, &state);
        }
    }
}

/// Counts a search that takes what is kept, and whose own answer is not, as its queries name documents.
pub(crate) fn note_unkept(request: &Request, search: &SearchRequest, target: &Target) {
    let wish = Wish::of(&request.headers, &request.parameters);
    let is_counted = request.app.cache.is_some() && wish == Wish::Any;
    if !is_counted || !search.names_documents() {
        return;
    }
    let cluster = request.root().cluster();
    let (state, now_ms) = (cluster.state(), cluster.now_ms());
    if let Ok(targets) = targets_of(target, search, &state, now_ms) {
        request.app.counts.note(Lookup::Miss, &targets, &state);
    }
}

/// Takes an answer apart. Its body is there already: only bulks are sent while they are made.
async fn read_whole(response: Response<Body>) -> Answer {
    let (head, body) = response.into_parts();
    let edition = head.extensions.get::<Edition>().copied();
    match to_bytes(body, usize::MAX).await {
        Ok(body) => Answer {
            status: head.status,
            headers: head.headers,
            body,
            edition,
        },
        Err(_) => Answer {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            headers: head.headers,
            body: bytes::Bytes::new(),
            edition: None,
        },
    }
}
