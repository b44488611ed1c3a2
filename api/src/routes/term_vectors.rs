//! `_termvectors` and `_mtermvectors`: the terms of documents.

mod asked;

use futures::stream::{self, StreamExt as _};
use gleaner_query::names::expand_date_math;
use gleaner_query::resolved::{FieldStatistics, FieldTotals};
use gleaner_root::term_vectors::{FieldVector, TermPlace, TermVectors};
use http::Method;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use self::asked::{Asked, Shown};
use super::analyze::Offsets;
use super::document::{check_version_type, version_conflict};
use crate::error::ApiError;
use crate::parameters::groups::{ANY_COPY, SOURCE};
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
    let mut asked = Asked::of_parameters(&request.parameters)?;
    asked.request.get.index = request.index_name()?;
    asked.request.get.id = request.part("id").unwrap_or_default().to_owned();
    if let Some(body) = &body {
        asked.read(body)?;
    }
    asked.check()?;
    Ok(Reply::json(&vectors(&request, &asked).await?))
}

async fn many(mut request: Request) -> Answer {
    let body = request.json().await?;
    let mut defaults = Asked::of_parameters(&request.parameters)?;
    if let Some(index) = request.expression()? {
        defaults.request.get.index = index;
    }
    let ids = request.parameters.list("ids");
    let wanted = asked::documents(&defaults, body.as_ref(), ids)?;
    if wanted.len() > MAX_DOCUMENTS {
        return Err(ApiError::illegal(format!(
            "too many documents: [{}], at most [{MAX_DOCUMENTS}]",
            wanted.len()
        )));
    }
    let request = &request;
    let shown: Vec<Value> = stream::iter(wanted)
        .map(|asked| async move {
            let found = checked(request, asked).await;
            found.unwrap_or_else(|(asked, error)| failed(&asked, &error))
        })
        .buffered(AT_A_TIME)
        .collect()
        .await;
    Ok(Reply::json(&json!({"docs": shown})))
}

/// Returns the terms of one document among several, or why there are none.
async fn checked(request: &Request, mut asked: Asked) -> Result<Value, (Asked, ApiError)> {
    let now_ms = request.root().cluster().now_ms();
    let found = async {
        let index = &mut asked.request.get.index;
        *index = expand_date_math(index, now_ms)?;
        if let Some(action) = Right::of(request.route).on_indices() {
            request.check_name(&action, index)?;
        }
        vectors(request, &asked).await
    };
    match found.await {
        Ok(shown) => Ok(shown),
        Err(error) => Err((asked, error)),
    }
}

fn failed(asked: &Asked, error: &ApiError) -> Value {
    let get = &asked.request.get;
    json!({"_index": get.index, "_id": get.id, "error": error.to_error_object()})
}

async fn vectors(request: &Request, asked: &Asked) -> Result<Value, ApiError> {
    let began = Instant::now();
    let found = request.root().reader().term_vectors(&asked.request).await?;
    check_version(asked, &found)?;
    let is_artificial = asked.request.artificial.is_some();
    let is_found = is_artificial || found.document.is_some();
    let mut shown = json!({"_index": found.index});
    if !is_artificial {
        let version = found
            .document
            .as_ref()
            .map_or(0, |document| document.version.0);
        shown["_id"] = asked.request.get.id.as_str().into();
        shown["_version"] = version.into();
    }
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
            (path_text.to_owned(), field(vector, &numbers, asked))
        });
        shown["term_vectors"] = Value::Object(fields.collect());
    }
    Ok(shown)
}

/// Refuses a document of another version than the one asked for.
fn check_version(asked: &Asked, found: &TermVectors) -> Result<(), ApiError> {
    check_version_type(asked.version_type.as_deref())?;
    let (Some(wanted), Some(document)) = (asked.version, &found.document) else {
        return Ok(());
    };
    match document.version.0 == wanted {
        true => Ok(()),
        false => Err(version_conflict(document, wanted)),
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

fn field(vector: &FieldVector, numbers: &Numbers<'_>, asked: &Asked) -> Value {
    let texts: Vec<&str> = vector.texts.iter().map(String::as_str).collect();
    let offsets = Offsets::new(&texts);
    let mut shown = Map::new();
    if asked.request.field_statistics {
        let statistics = json!({
            "sum_doc_freq": or_unknown(numbers.totals.map(|totals| totals.postings)),
            "doc_count": or_unknown(numbers.field.map(|field| field.documents)),
            "sum_ttf": or_unknown(numbers.totals.map(|totals| totals.occurrences)),
        });
        shown.insert("field_statistics".to_owned(), statistics);
    }
    let terms = vector.terms.iter().map(|(term, places)| {
        let mut object = Map::new();
        if asked.request.term_statistics {
            let documents = numbers.documents.and_then(|counts| counts.get(term));
            let occurrences = numbers.totals.and_then(|totals| totals.terms.get(term));
            object.insert("doc_freq".to_owned(), or_unknown(documents.copied()));
            object.insert("ttf".to_owned(), or_unknown(occurrences.copied()));
        }
        object.insert("term_freq".to_owned(), places.len().into());
        if asked.shown.positions || asked.shown.offsets {
            let tokens = places
                .iter()
                .map(|place| token(*place, &offsets, asked.shown));
            object.insert("tokens".to_owned(), tokens.collect());
        }
        (term.clone(), Value::Object(object))
    });
    shown.insert("terms".to_owned(), Value::Object(terms.collect()));
    Value::Object(shown)
}

fn token(place: TermPlace, offsets: &Offsets, shown: Shown) -> Value {
    let mut object = Map::new();
    if shown.positions {
        object.insert("position".to_owned(), place.position.into());
    }
    if shown.offsets {
        object.insert("start_offset".to_owned(), offsets.units(place.start).into());
        object.insert("end_offset".to_owned(), offsets.units(place.end).into());
    }
    Value::Object(object)
}
