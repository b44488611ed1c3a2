//! `_termvectors` and `_mtermvectors`: the terms of documents.

mod request;

use futures::stream::{self, StreamExt as _};
use gleaner_query::names::expand_date_math;
use gleaner_query::resolved::{FieldStatistics, FieldTotals};
use gleaner_root::term_vectors::{FieldVector, TermPlace, TermVectors};
use http::Method;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use self::request::{DocumentRequest, TokenForm};
use super::analyze::Offsets;
use super::document::{check_version_type, version_conflict};
use crate::error::ApiError;
use crate::parameters::groups::{ANY_COPY, SOURCE};
use crate::render::shards::Staleness;
use crate::request::Request;
use crate::response::Reply;
use crate::route::{Answer, Parameter, Route};
use crate::security::Right;

/// Most documents of one request: the terms of each may be many.
const MAX_DOCUMENTS: usize = 1_000;

/// Documents of one request that are worked on at a time.
const AT_A_TIME: usize = 4;

const VECTORS: &[Parameter] = &[
    Parameter::honoured("fields"),
    Parameter::honoured("offsets"),
    Parameter::honoured("positions"),
    Parameter::no_effect("payloads", "payloads are not kept"),
    Parameter::honoured("term_statistics"),
    Parameter::honoured("field_statistics"),
    Parameter::honoured("realtime"),
    Parameter::honoured("routing"),
    Parameter::honoured("version"),
    Parameter::honoured("version_type"),
    Parameter::no_effect("preference", ANY_COPY),
];
const MANY: &[Parameter] = &[Parameter::honoured("ids")];

pub(super) static ROUTES: &[Route] = &[
    Route {
        name: "termvectors",
        methods: &[Method::GET, Method::POST],
        paths: &["/{index}/_termvectors", "/{index}/_termvectors/{id}"],
        parameters: &[VECTORS, SOURCE],
        handler: |request| Box::pin(one(request)),
        is_refused: false,
    },
    Route {
        name: "mtermvectors",
        methods: &[Method::GET, Method::POST],
        paths: &["/_mtermvectors", "/{index}/_mtermvectors"],
        parameters: &[VECTORS, MANY, SOURCE],
        handler: |request| Box::pin(many(request)),
        is_refused: false,
    },
];

async fn one(mut request: Request) -> Answer {
    let body = request.json().await?;
    let mut wanted = DocumentRequest::of_parameters(&request.parameters)?;
    wanted.request.get.index = request.index_name()?;
    wanted.request.get.id = request.part("id").unwrap_or_default().to_owned();
    if let Some(body) = &body {
        wanted.read(body)?;
    }
    wanted.check()?;
    let (shown, staleness) = checked(&request, &mut wanted).await?;
    Ok(Reply::json(&shown).warning(&staleness.warnings()))
}

async fn many(mut request: Request) -> Answer {
    let body = request.json().await?;
    let mut defaults = DocumentRequest::of_parameters(&request.parameters)?;
    if let Some(index) = request.expression()? {
        defaults.request.get.index = index;
    }
    let ids = request.parameters.list("ids");
    let wanted = request::documents(&defaults, body.as_ref(), ids)?;
    if wanted.len() > MAX_DOCUMENTS {
        return Err(ApiError::illegal(format!(
            "too many documents: [{}], at most [{MAX_DOCUMENTS}]",
            wanted.len()
        )));
    }
    let request = &request;
    let found: Vec<(Value, Staleness)> = stream::iter(wanted)
        .map(|mut wanted| async move {
            let found = checked(request, &mut wanted).await;
            found.unwrap_or_else(|error| (failed(&wanted, &error), Staleness::default()))
        })
        .buffered(AT_A_TIME)
        .collect()
        .await;
    let mut staleness = Staleness::default();
    let shown = found.into_iter().map(|(shown, of_document)| {
        staleness.add(of_document);
        shown
    });
    let shown: Vec<Value> = shown.collect();
    Ok(Reply::json(&json!({"docs": shown})).warning(&staleness.warnings()))
}

/// Returns the terms of a document, where the sender may read its index: a body names another one than the path.
async fn checked(
    request: &Request,
    wanted: &mut DocumentRequest,
) -> Result<(Value, Staleness), ApiError> {
    let index = &mut wanted.request.get.index;
    *index = expand_date_math(index, request.root().cluster().now_ms())?;
    if let Some(action) = Right::of(request.route).on_indices() {
        request.check_name(&action, index)?;
    }
    vectors(request, wanted).await
}

fn failed(wanted: &DocumentRequest, error: &ApiError) -> Value {
    let get = &wanted.request.get;
    json!({"_index": get.index, "_id": get.id, "error": error.to_error_object()})
}

async fn vectors(
    request: &Request,
    wanted: &DocumentRequest,
) -> Result<(Value, Staleness), ApiError> {
    let began = Instant::now();
    let found = request
        .root()
        .reader()
        .term_vectors(&wanted.request)
        .await?;
    check_version(wanted, &found)?;
    let is_artificial = wanted.request.artificial.is_some();
    let is_found = is_artificial || found.document.is_some();
    let mut shown = json!({"_index": found.index});
    if !is_artificial {
        shown["_id"] = wanted.request.get.id.as_str().into();
    }
    let read = found.document.as_ref();
    shown["_version"] = read.map_or(0, |document| document.version.0).into();
    shown["found"] = is_found.into();
    shown["took"] = (began.elapsed().as_millis() as u64).into();
    if is_found {
        let fields = found.fields.iter();
        let fields = fields.map(|(path, vector)| {
            let path_text = path.as_str();
            let numbers = Numbers {
                field: found.statistics.fields.get(path),
                documents: found.statistics.terms.get(path),
                totals: found.statistics.totals.get(path),
            };
            (path_text.to_owned(), field(vector, &numbers, wanted))
        });
        shown["term_vectors"] = Value::Object(fields.collect());
    }
    Ok((shown, Staleness::of_reads(found.reads)))
}

/// Refuses a document of another version than the one asked for.
fn check_version(wanted: &DocumentRequest, found: &TermVectors) -> Result<(), ApiError> {
    check_version_type(wanted.version_type.as_deref())?;
    let (Some(version), Some(document)) = (wanted.version, &found.document) else {
        return Ok(());
    };
    match document.version.0 == version {
        true => Ok(()),
        false => Err(version_conflict(document, version)),
    }
}

/// What was counted of a field over all shards.
struct Numbers<'a> {
    field: Option<&'a FieldStatistics>,
    /// By term.
    documents: Option<&'a std::collections::BTreeMap<String, u64>>,
    totals: Option<&'a FieldTotals>,
}

/// What a number is that a leaf did not tell, as in the dialect.
fn or_unknown(number: Option<u64>) -> Value {
    number.map_or_else(|| Value::from(-1), Value::from)
}

fn field(vector: &FieldVector, numbers: &Numbers<'_>, wanted: &DocumentRequest) -> Value {
    let texts: Vec<&str> = vector.texts.iter().map(String::as_str).collect();
    let offsets = Offsets::new(&texts);
    let mut shown = Map::new();
    if wanted.request.field_statistics {
        let statistics = json!({
            "sum_doc_freq": or_unknown(numbers.totals.map(|totals| totals.postings)),
            "doc_count": or_unknown(numbers.field.map(|field| field.documents)),
            "sum_ttf": or_unknown(numbers.totals.map(|totals| totals.occurrences)),
        });
        shown.insert("field_statistics".to_owned(), statistics);
    }
    let terms = vector.terms.iter().map(|(term, places)| {
        let mut object = Map::new();
        if wanted.request.term_statistics {
            let documents = numbers.documents.and_then(|counts| counts.get(term));
            let occurrences = numbers.totals.and_then(|totals| totals.terms.get(term));
            object.insert("doc_freq".to_owned(), or_unknown(documents.copied()));
            object.insert("ttf".to_owned(), or_unknown(occurrences.copied()));
        }
        object.insert("term_freq".to_owned(), places.len().into());
        if wanted.tokens.positions || wanted.tokens.offsets {
            let tokens = places
                .iter()
                .map(|place| token(*place, &offsets, wanted.tokens));
            object.insert("tokens".to_owned(), tokens.collect());
        }
        if let Some(score) = vector.scores.get(term) {
            object.insert("score".to_owned(), float(*score));
        }
        (term.clone(), Value::Object(object))
    });
    shown.insert("terms".to_owned(), Value::Object(terms.collect()));
    Value::Object(shown)
}

/// Returns a number with the fewest digits that distinguish it from other floats.
fn float(number: f32) -> Value {
    let short = number.to_string().parse::<f64>();
    Value::from(short.unwrap_or(f64::from(number)))
}

fn token(place: TermPlace, offsets: &Offsets, form: TokenForm) -> Value {
    let mut object = Map::new();
    if form.positions {
        object.insert("position".to_owned(), place.position.into());
    }
    if form.offsets {
        object.insert("start_offset".to_owned(), offsets.units(place.start).into());
        object.insert("end_offset".to_owned(), offsets.units(place.end).into());
    }
    Value::Object(object)
}
