//! `_search/scroll`: next pages, ends.

use std::time::Duration;

use bytes::Bytes;
use gleaner_model::ClusterPrivilege;
use gleaner_query::json::ObjectReader;
use gleaner_query::units::parse_time;
use gleaner_root::search::SearchOptions;
use http::{Method, StatusCode};
use serde_json::json;

use super::search::shown;
use crate::contexts::{ContextId, ContextKind};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::comma_list;
use crate::parameters::groups::SOURCE;
use crate::render::search::SearchForm;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::{Parameter, Route};

const SCROLL: &[Parameter] = &[
    Parameter::honoured("scroll"),
    Parameter::honoured("scroll_id"),
    Parameter::honoured("rest_total_hits_as_int"),
    Parameter::honoured("typed_keys"),
];
const CLEAR: &[Parameter] = &[Parameter::honoured("scroll_id")];

pub(super) static ENDPOINTS: &[Endpoint] = &[
    Route {
        name: "scroll",
        methods: &[Method::GET, Method::POST],
        paths: &["/_search/scroll", "/_search/scroll/{scroll_id}"],
        parameters: &[SCROLL, SOURCE],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(scroll(request))),
    Route {
        name: "clear_scroll",
        methods: &[Method::DELETE],
        paths: &["/_search/scroll", "/_search/scroll/{scroll_id}"],
        parameters: &[CLEAR],
        is_refused: false,
    }
    .answered_by(|request| Box::pin(clear(request))),
];

/// What a request about scrolls names.
#[derive(Debug, Default)]
struct ScrollRequest {
    ids: Vec<String>,
    keep_alive: Option<Duration>,
}

/// Reads path, parameters and body; what the body says holds.
async fn named(request: &mut Request) -> Result<ScrollRequest, ApiError> {
    let body = request.bytes().await?;
    let mut named = ScrollRequest {
        ids: request
            .part("scroll_id")
            .or_else(|| request.parameters.get("scroll_id"))
            .map(comma_list)
            .unwrap_or_default(),
        keep_alive: request.parameters.time("scroll")?,
    };
    let text = body.trim_ascii();
    // Older clients send the bare id.
    if text.first().is_some_and(|byte| *byte != b'{') {
        named.ids = vec![String::from_utf8_lossy(text).into_owned()];
    } else if !text.is_empty() {
        let limits = request.root().cluster().limits();
        let read = move |text: &[u8]| gleaner_query::json::read(text, &limits);
        let value = request.parsed(&body.slice_ref(text), read).await?;
        let mut reader = ObjectReader::part("scroll", &value)?;
        if let Some(ids) = reader.texts("scroll_id")? {
            named.ids = ids;
        }
        if let Some(time) = reader.text("scroll")? {
            named.keep_alive = parse_time(&time, "scroll")?;
        }
        if let Some((key, _)) = reader.rest().next() {
            return Err(ApiError::illegal(format!(
                "Unknown parameter [{key}] in request body or parameter is of the wrong type"
            )));
        }
    }
    Ok(named)
}

async fn scroll(mut request: Request) -> Answer {
    let ScrollRequest { ids, keep_alive } = named(&mut request).await?;
    let [id] = ids.as_slice() else {
        return Err(ApiError::validation(&["scrollId is missing".to_owned()]));
    };
    let contexts = &request.app.contexts;
    let id = contexts.newest(&request.unsealed(id)?);
    contexts.renew(ContextId::of(&id));
    let search = request.root().contexts().scrolled_search(&id)?;
    let form = SearchForm::of(&search, &request.parameters)?;
    let options = SearchOptions {
        origin: request.origin(&Bytes::new()),
        memory: Some(request.making.memory.clone()),
        ..SearchOptions::default()
    };
    let root = request.root();
    let mut response = root
        .contexts()
        .continue_scroll(&id, keep_alive, &options)
        .await?;
    let next = response.scroll_id.clone();
    response.scroll_id = response.scroll_id.map(|id| request.sealed(id));
    let reply = shown(&request, response, form).await?;
    // Only now: a page that is refused is asked for again, also by those who keep to the first id.
    if let Some(next) = &next {
        contexts.advance(&id, ContextId::of(next));
    }
    Ok(reply.about_what_is_done())
}

async fn clear(mut request: Request) -> Answer {
    let ScrollRequest { mut ids, .. } = named(&mut request).await?;
    if ids.is_empty() {
        return Err(ApiError::validation(
            &["no scroll ids specified".to_owned()],
        ));
    }
    let is_all = ids.iter().any(|id| id == "_all");
    if is_all {
        let opened = request.app.contexts.all(ContextKind::Scroll);
        request.check_cluster(ClusterPrivilege::Manage)?;
        ids = opened.into_iter().map(|known| known.newest).collect();
    } else {
        let unsealed = ids.iter().map(|id| request.unsealed(id));
        ids = unsealed.collect::<Result<_, _>>()?;
    }
    let num_freed = request.root().contexts().clear_scrolls(&ids).await?;
    let ended = ids.iter().map(|id| ContextId::of(id));
    request.app.contexts.forget(ended);
    // As in the dialect: none of them alive is a 404 that still says how many.
    let status = if num_freed > 0 || is_all {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    Ok(Reply::with_status(
        status,
        &json!({"succeeded": true, "num_freed": num_freed}),
    ))
}
