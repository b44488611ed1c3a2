//! `_analyze`: text → tokens, shown.

mod shown;

pub(super) use shown::Offsets;

use std::sync::Arc;
use std::time::Duration;

use gleaner_analysis::{
    AdHoc, AnalysisError, Analyzer, AnalyzerRegistry, CustomAnalysis, Meter, TooMuch, Values,
};
use gleaner_model::{FieldKind, IndexMeta};
use gleaner_query::json::{ObjectReader, scalar_text};
use gleaner_query::names;
use gleaner_root::RootError;
use http::{Method, StatusCode};
use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::SOURCE;
use crate::request::{Answer, Request};
use crate::response::Reply;
use crate::route::Route;

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "indices.analyze",
    methods: &[Method::GET, Method::POST],
    paths: &["/_analyze", "/{index}/_analyze"],
    parameters: &[SOURCE],
    is_refused: false,
}
.answered_by(|request| Box::pin(analyze(request)))];

/// Most tokens of one answer (`index.analyze.max_token_count`).
const MAX_TOKENS: usize = 10_000;

/// What is to be analysed, and how.
#[derive(Default)]
struct AnalyzeRequest {
    analyzer: Option<String>,
    normalizer: Option<String>,
    tokenizer: Option<Value>,
    filters: Option<Vec<Value>>,
    char_filters: Option<Vec<Value>>,
    field: Option<String>,
    texts: Vec<String>,
    is_explained: bool,
    attributes: Vec<String>,
}

impl AnalyzeRequest {
    fn parse(body: &Value) -> Result<Self, ApiError> {
        let mut reader = ObjectReader::part("analyze", body)?;
        let texts = match reader.take("text") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items.iter().filter_map(scalar_text).collect(),
            Some(other) => scalar_text(other).into_iter().collect(),
        };
        let mut list = |key| reader.take(key).map(as_list);
        let asked = Self {
            filters: list("filter"),
            char_filters: list("char_filter"),
            tokenizer: reader.take("tokenizer").cloned(),
            analyzer: reader.text("analyzer")?,
            normalizer: reader.text("normalizer")?,
            field: reader.text("field")?,
            is_explained: reader.boolean("explain")?.unwrap_or(false),
            attributes: reader.texts("attributes")?.unwrap_or_default(),
            texts,
        };
        if let Some((key, _)) = reader.rest().next() {
            let reason = format!(
                "Unknown parameter [{key}] in request body or parameter is of the wrong type"
            );
            return Err(ApiError::illegal(reason));
        }
        if asked.texts.is_empty() {
            return Err(ApiError::validation(&["text is missing".to_owned()]));
        }
        Ok(asked)
    }

    fn is_custom(&self) -> bool {
        self.tokenizer.is_some() || self.filters.is_some() || self.char_filters.is_some()
    }
}

fn as_list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        other => vec![other.clone()],
    }
}

async fn analyze(mut request: Request) -> Answer {
    let reply = analyze_texts(&mut request).await?;
    // No leaf works for it.
    Ok(request.telling_cost(reply, Duration::ZERO))
}

async fn analyze_texts(request: &mut Request) -> Answer {
    let body = request.required_json().await?;
    let asked = AnalyzeRequest::parse(&body)?;
    let index = index(request)?;
    let registry = match &index {
        Some(index) => request.root().planner().analyzers_of(index)?,
        None => Arc::new(AnalyzerRegistry::builtin()),
    };
    let num_bytes = asked.texts.iter().map(String::len).sum();
    if let Some(name) = normalizer_name(&asked, index.as_deref())? {
        let normalizer = registry.normalizer(&name).ok_or_else(|| {
            ApiError::illegal(format!("failed to find normalizer under [{name}]"))
        })?;
        let shown = worked(request, num_bytes, move |meter| {
            let texts = asked.texts.iter();
            let terms: Result<Vec<String>, TooMuch> = texts
                .map(|text| normalizer.normalize(text, meter))
                .collect();
            Ok(shown::normalized(&asked.texts, &terms.map_err(too_much)?))
        });
        return Ok(Reply::json(&shown.await?));
    }
    let most = max_tokens(index.as_deref());
    let made = worked(request, num_bytes, move |meter| {
        let AdHoc { analyzer, ignored } = choose(&asked, &registry, index.as_deref())?;
        Ok((tokens(&asked, &analyzer, most, meter)?, ignored))
    });
    let (tokens, ignored) = made.await?;
    Ok(Reply::json(&tokens).warning(&ignored))
}

/// Analyzes on a thread of its own, as long as the client waits: a long text takes its time, and so do settings with many
/// rules. All that it may make of `num_bytes` is reserved before.
async fn worked<T: Send + 'static>(
    request: &Request,
    num_bytes: usize,
    work: impl FnOnce(&Meter<'_>) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let most = Meter::for_request().limit_for(num_bytes as u64);
    let memory = request.root().accounts().answer_memory();
    let _held = memory.reserve(usize::try_from(most).unwrap_or(usize::MAX))?;
    let searcher = request.root().searcher();
    let done = searcher.work(move |is_awaited| {
        let is_awaited = || is_awaited();
        let made = work(&Meter::for_request().while_awaited(&is_awaited));
        match made {
            // A meter that nobody waits for is spent, too: then it was not too much.
            Err(_) if !is_awaited() => Err(RootError::Late.into()),
            made => made,
        }
    });
    done.await?
}

fn too_much(fault: TooMuch) -> ApiError {
    ApiError::illegal(fault.to_string())
}

/// Analyzes the texts, with no more than `most` tokens in memory.
fn tokens(
    asked: &AnalyzeRequest,
    analyzer: &Analyzer,
    most: usize,
    meter: &Meter<'_>,
) -> Result<Value, ApiError> {
    let texts: Vec<&str> = asked.texts.iter().map(String::as_str).collect();
    let offsets = shown::Offsets::new(&texts);
    if asked.is_explained {
        let explanation = analyzer.explain(&texts, most, meter).map_err(too_much)?;
        let explanation = explanation.ok_or_else(|| too_many(most))?;
        return Ok(shown::explained(&explanation, &offsets, &asked.attributes));
    }
    let values = Values {
        texts: &texts,
        gap: analyzer.position_increment_gap(),
    };
    let tokens = analyzer.analyze_values_within(&values, most, meter);
    let tokens = tokens.map_err(too_much)?.ok_or_else(|| too_many(most))?;
    Ok(shown::tokens(&tokens, &offsets))
}

/// Returns the most tokens that the index allows.
fn max_tokens(index: Option<&IndexMeta>) -> usize {
    let declared = index.map(|index| &index.settings.declared);
    let allowed = declared.and_then(|declared| declared.get("index.analyze.max_token_count"));
    let allowed = allowed.and_then(Value::as_str);
    let allowed = allowed.and_then(|text| text.parse().ok());
    allowed.unwrap_or(MAX_TOKENS)
}

fn too_many(allowed: usize) -> ApiError {
    let reason = format!(
        "The number of tokens produced by calling _analyze has exceeded the allowed maximum of \
         [{allowed}]. This limit can be set by changing the [index.analyze.max_token_count] index \
         level setting."
    );
    ApiError::new(StatusCode::BAD_REQUEST, "illegal_state_exception", reason)
}

/// Returns the one index the path names.
fn index(request: &Request) -> Result<Option<Arc<IndexMeta>>, ApiError> {
    let Some(name) = request.expression()? else {
        return Ok(None);
    };
    let found = names::resolve_single(&name, &request.root().cluster().state())?;
    let found = found.ok_or_else(|| ApiError::index_not_found(&name))?;
    Ok(Some(found.meta))
}

/// Returns the normalizer to use: as asked, or that of the keyword field asked for.
fn normalizer_name(
    asked: &AnalyzeRequest,
    index: Option<&IndexMeta>,
) -> Result<Option<String>, ApiError> {
    if let Some(name) = &asked.normalizer {
        if asked.analyzer.is_some() || asked.tokenizer.is_some() {
            let reason = "tokenizer/analyze should be null if normalizer is specified";
            return Err(ApiError::validation(&[reason.to_owned()]));
        }
        return Ok(Some(name.clone()));
    }
    let field = asked
        .field
        .as_deref()
        .and_then(|field| index?.mapping.field(field));
    match field.map(|field| &field.kind) {
        Some(FieldKind::Keyword { normalizer, .. }) => Ok(normalizer.clone()),
        _ => Ok(None),
    }
}

fn choose(
    asked: &AnalyzeRequest,
    registry: &AnalyzerRegistry,
    index: Option<&IndexMeta>,
) -> Result<AdHoc, ApiError> {
    if asked.analyzer.is_none() && asked.is_custom() {
        let parts = CustomAnalysis {
            tokenizer: asked.tokenizer.as_ref(),
            filters: asked.filters.as_deref().unwrap_or_default(),
            char_filters: asked.char_filters.as_deref().unwrap_or_default(),
        };
        return registry.custom(parts).map_err(|error| refused(&error));
    }
    Ok(AdHoc {
        analyzer: named(asked, registry, index)?,
        ignored: Vec::new(),
    })
}

/// Returns the analyzer that the request names, or that of the field it names.
fn named(
    asked: &AnalyzeRequest,
    registry: &AnalyzerRegistry,
    index: Option<&IndexMeta>,
) -> Result<Analyzer, ApiError> {
    if let Some(name) = &asked.analyzer {
        return registry
            .require_analyzer(name)
            .map_err(|error| refused(&error));
    }
    let Some(field) = &asked.field else {
        return Ok(registry.default_analyzer());
    };
    let Some(index) = index else {
        let reason = "No analysis can be done by field without an index";
        return Err(ApiError::illegal(reason));
    };
    match index.mapping.field(field).map(|field| &field.kind) {
        Some(FieldKind::Text { analyzer, .. }) => registry
            .require_analyzer(analyzer)
            .map_err(|error| refused(&error)),
        Some(FieldKind::Keyword { .. }) => registry
            .require_analyzer("keyword")
            .map_err(|error| refused(&error)),
        Some(other) => Err(ApiError::illegal(format!(
            "Can't process field [{field}], Analysis requests are only supported on tokenized \
             fields, not [{}]",
            other.type_name()
        ))),
        None => Ok(registry.default_analyzer()),
    }
}

fn refused(error: &AnalysisError) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        error.error_type(),
        error.to_string(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tower::ServiceExt as _;

    use crate::testing::{create, sent, speaking};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn as_many_ignored_settings_are_named_as_clients_read_headers() {
        let mut filter = json!({"type": "lowercase"});
        for n in 0..100 {
            filter[format!("setting-{n}")] = json!(true);
        }
        let body = json!({"tokenizer": "standard", "filter": [filter], "text": "a"});
        let request = http::Request::post("/_analyze")
            .header("content-type", "application/json")
            .body(axum::body::Body::from(body.to_string()));
        let Ok(answer) = speaking().oneshot(request.expect("a request")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let warnings: Vec<_> = answer.headers().get_all("warning").iter().collect();
        assert_eq!(warnings.len(), 17);
        let last = warnings[16].to_str().expect("ASCII");
        assert!(last.ends_with("\"and 84 more\""), "{last}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_front_hears_what_it_cost_and_nobody_else() {
        let body = json!({"analyzer": "standard", "text": "a ".repeat(5_000)});
        for (name, hears) in [("x-gleaner-remaining-ms", true), ("x-other", false)] {
            let request = http::Request::post("/_analyze")
                .header("content-type", "application/json")
                .header(name, "5000")
                .body(axum::body::Body::from(body.to_string()));
            let Ok(answer) = speaking().oneshot(request.expect("a request")).await;
            assert_eq!(answer.status(), StatusCode::OK);
            let cost = answer.headers().get("x-gleaner-cost-us");
            let micros = cost.map(|cost| cost.to_str().expect("ASCII").parse::<u64>());
            let took = micros.is_some_and(|micros| micros.expect("a number") > 0);
            assert_eq!(took, hears, "{name}: {cost:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_index_says_how_many_tokens_there_may_be() {
        let dialect = speaking();
        let settings = json!({"settings": {"index.analyze.max_token_count": 3}});
        create(&dialect, "books", &settings).await;
        for (path, text, expected) in [
            ("/books/_analyze", "this should succeed", StatusCode::OK),
            (
                "/books/_analyze",
                "this is one more",
                StatusCode::BAD_REQUEST,
            ),
            ("/_analyze", "this is one more", StatusCode::OK),
            // More tokens than are kept.
            ("/_analyze", &"a ".repeat(100_000), StatusCode::BAD_REQUEST),
        ] {
            for explain in [false, true] {
                let body = json!({"analyzer": "standard", "text": text, "explain": explain});
                let (status, answer) = sent(&dialect, ("POST", path), &body).await;
                assert_eq!(status, expected, "{path} {text}: {answer}");
            }
        }
    }
    #[tokio::test(flavor = "multi_thread")]
    async fn long_texts_are_refused_where_all_their_tokens_would_be_held() {
        let dialect = speaking();
        let (gram, text) = (1_024, "a".repeat(4 << 20));
        let tokenizer = json!({"type": "ngram", "min_gram": gram, "max_gram": gram});
        for filter in [json!([]), json!([{"type": "shingle"}])] {
            let body = json!({"tokenizer": tokenizer, "filter": filter, "text": text});
            let (status, answer) = sent(&dialect, ("POST", "/_analyze"), &body).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
            let reason = answer["error"]["reason"].as_str().unwrap_or_default();
            // A filter that sees all tokens together has room for so many bytes, not for so many tokens.
            let expected = match filter == json!([]) {
                true => "[10000]",
                false => "makes more than",
            };
            assert!(reason.contains(expected), "{answer}");
        }
        // One token.
        for filter in [json!([]), json!([{"type": "shingle"}])] {
            let body = json!({"tokenizer": "keyword", "filter": filter, "text": text});
            let (status, _) = sent(&dialect, ("POST", "/_analyze"), &body).await;
            assert_eq!(status, StatusCode::OK, "{filter}");
        }
    }
}
