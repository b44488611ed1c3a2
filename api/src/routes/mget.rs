//! `_mget`: several documents by id.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::ClusterState;
use gleaner_proto::read::Document;
use gleaner_query::json::{ObjectReader, scalar_text};
use gleaner_query::names::expand_date_math;
use gleaner_query::search::parse_source_filter;
use gleaner_root::RootError;
use gleaner_root::read::{GetRequest, GetResponse, IgnoringMapping, Reader};
use http::Method;
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::parameters::groups::{ANY_COPY, SOURCE, SOURCE_FILTER};
use crate::render::document::{self, DocumentForm};
use crate::request::{Answer, Request};
use crate::response::{Buffer, Extent, Reply};
use crate::route::{Parameter, Route};
use crate::routes::document::{check_version_type, version_conflict};
use crate::security::Right;

const MGET: &[Parameter] = &[
    Parameter::honoured("routing"),
    Parameter::honoured("realtime"),
    Parameter::honoured("refresh"),
    Parameter::honoured("stored_fields"),
    Parameter::no_effect("preference", ANY_COPY),
    Parameter::no_effect("force_synthetic_source", "`_source` is kept as received"),
];

pub(super) static ENDPOINTS: &[Endpoint] = &[Route {
    name: "mget",
    methods: &[Method::GET, Method::POST],
    paths: &["/_mget", "/{index}/_mget"],
    parameters: &[MGET, SOURCE_FILTER, SOURCE],
    is_refused: false,
}
.answered_by(|request| Box::pin(mget(request)))];

/// Most documents of one request: each is a call to a leaf.
const MAX_DOCUMENTS: usize = 10_000;

/// One document asked for.
struct DocumentRequest {
    get: GetRequest,
    /// Most have that of all: names in a URI are many times 10,000 documents.
    form: Arc<DocumentForm>,
    /// The only version that is wanted, if one is.
    version: Option<u64>,
}

/// What holds for documents that say nothing else.
struct Defaults {
    index: Option<String>,
    routing: Option<String>,
    stored_fields: Option<Vec<String>>,
    /// What is shown by them, and of `_source`.
    form: Arc<DocumentForm>,
    realtime: bool,
    refresh: bool,
}

impl Defaults {
    /// Returns the bytes that documents without names of their own take of these.
    fn num_bytes_of_names(&self) -> usize {
        let names = self.index.iter().chain(&self.routing);
        names.map(String::len).sum()
    }
}

async fn mget(mut request: Request) -> Answer {
    let body = request.required_json().await?;
    let parameters = &request.parameters;
    let stored_fields = parameters.list("stored_fields");
    let form = DocumentForm::new(request.source_filter()?, stored_fields.clone());
    let defaults = Defaults {
        index: request.expression()?,
        routing: parameters.get("routing").map(str::to_owned),
        stored_fields,
        form: Arc::new(form),
        realtime: parameters.flag("realtime")?.unwrap_or(true),
        refresh: parameters.is_set("refresh")?,
    };
    let number = num_documents(&body);
    check_number(number)?;
    // As they are asked for, as they are read, and as they are answered.
    let num_bytes = 3 * number * defaults.num_bytes_of_names();
    let _names = request.making.memory.reserve(num_bytes)?;
    let mut wanted = parse(&body, &defaults)?;
    let now_ms = request.root().cluster().now_ms();
    let mut faults = Vec::with_capacity(wanted.len());
    for one in &mut wanted {
        let expanded = expand_date_math(&one.get.index, now_ms);
        let expanded = expanded.map(|name| one.get.index = name);
        let checked = expanded.map_err(ApiError::from).and_then(|()| {
            let action = Right::of(request.route).on_indices();
            action.map_or(Ok(()), |action| request.check_name(&action, &one.get.index))
        });
        faults.push(checked.err());
    }
    // Those that are refused are not read.
    let allowed = wanted.iter().zip(&faults);
    let allowed = allowed.filter(|(_, fault)| fault.is_none());
    let gets: Vec<GetRequest> = allowed.map(|(wanted, _)| wanted.get.clone()).collect();
    let answers = request.root().reader().multi_get(&gets).await;
    let warnings = stale_warnings(&answers);
    let mut answers = answers.into_iter().map(|answer| {
        let found = answer.map(|found| (found.index, found.document));
        found.map_err(ApiError::from)
    });
    let missing = || ApiError::illegal("the document was not read");
    let answers = faults.into_iter().map(|fault| match fault {
        Some(fault) => Err(fault),
        None => answers.next().unwrap_or_else(|| Err(missing())),
    });
    let answers = answers.collect();
    let mut shown = MultiGetBody {
        wanted,
        answers,
        ignoring: HashMap::new(),
        state: request.root().cluster().state(),
    };
    shown.note_ignoring(request.root().reader());
    shown.let_go();
    let extent = shown.extent();
    let held = request.making.memory.reserve(shown.num_bytes_held())?;
    let write = move |out: &mut Buffer<'_>| {
        let written = shown.write(out);
        drop(held);
        written
    };
    let body = request.making.written(extent, write).await?;
    Ok(Reply::made(body).warning(&warnings))
}

/// Returns what to warn of where copies without their primaries were read: one text, or none.
fn stale_warnings(answers: &[Result<GetResponse, RootError>]) -> Vec<String> {
    let found = answers.iter().flatten();
    let num_stale = found.filter(|found| found.may_be_stale).count();
    let num_documents = answers.len();
    let text = format!(
        "{num_stale} of {num_documents} documents may be old: the primaries of their shards are away"
    );
    (num_stale > 0).then_some(text).into_iter().collect()
}

/// The documents that were asked for, to be rendered one by one.
struct MultiGetBody {
    wanted: Vec<DocumentRequest>,
    /// The name of the index with what was found there.
    answers: Vec<Result<(String, Option<Document>), ApiError>>,
    /// By the name of the index.
    ignoring: HashMap<String, Arc<IgnoringMapping>>,
    state: Arc<ClusterState>,
}

impl MultiGetBody {
    /// Notes which indices have fields that may leave out values.
    fn note_ignoring(&mut self, reader: &Reader) {
        let found = self.answers.iter().flatten();
        let names: HashSet<&String> = found.map(|(index, _)| index).collect();
        for name in names {
            let meta = self.state.index_named(name);
            if let Some(ignoring) = meta.and_then(|meta| reader.ignoring(meta)) {
                self.ignoring.insert(name.clone(), ignoring);
            }
        }
    }

    /// Lets go of each `_source` that nothing is made from.
    fn let_go(&mut self) {
        for (wanted, answer) in self.wanted.iter().zip(&mut self.answers) {
            if let Ok((index, Some(document))) = answer
                && !wanted.form.reads_source()
                && !self.ignoring.contains_key(index)
            {
                document.source = Bytes::new();
            }
        }
    }

    /// Returns how much is rendered, roughly.
    fn extent(&self) -> Extent {
        let head = DOCUMENT_BYTES * self.answers.len();
        let mut extent = Extent::from(head);
        for (wanted, answer) in self.wanted.iter().zip(&self.answers) {
            if let Ok((index, Some(document))) = answer {
                let meta = self.state.index_named(index).map(|meta| &**meta);
                extent.work_bytes += document.source.len();
                extent.body_bytes += wanted.form.num_bytes_shown(document, meta);
            }
        }
        extent
    }

    /// Returns how many bytes the documents take: one that is shown more than once is there once. They are read one after
    /// the other.
    fn num_bytes_held(&self) -> usize {
        let places = self.sources().map(|source| (source.as_ptr(), source.len()));
        let places: HashMap<_, usize> = places.collect();
        let both = self.wanted.iter().zip(&self.answers);
        let read = both.map(|(wanted, answer)| match answer {
            Ok((_, Some(document))) => wanted.form.num_bytes_read(&document.source),
            _ => 0,
        });
        places.values().sum::<usize>() + read.max().unwrap_or(0)
    }

    fn sources(&self) -> impl Iterator<Item = &Bytes> {
        let found = self.answers.iter().flatten();
        found.filter_map(|(_, document)| Some(&document.as_ref()?.source))
    }

    fn write(&self, out: &mut Buffer<'_>) -> io::Result<()> {
        out.push_str(r#"{"docs":["#)?;
        for (at, (wanted, answer)) in self.wanted.iter().zip(&self.answers).enumerate() {
            if at > 0 {
                out.push_str(",")?;
            }
            self.write_one(wanted, answer, out)?;
        }
        out.push_str("]}")
    }

    fn write_one(
        &self,
        wanted: &DocumentRequest,
        answer: &Result<(String, Option<Document>), ApiError>,
        out: &mut Buffer<'_>,
    ) -> io::Result<()> {
        match answer {
            Ok((_, Some(found))) if wanted.version.is_some_and(|it| it != found.version.0) => {
                let conflict = version_conflict(found, wanted.version.unwrap_or_default());
                out.json(&refused(&wanted.get, &conflict))
            }
            Ok((index, Some(found))) => {
                let meta = self.state.index_named(index).map(|meta| &**meta);
                let shown = document::found(index, found, &wanted.form, meta, out.keep_on());
                let ignoring = self.ignoring.get(index).map(|ignoring| &**ignoring);
                out.try_json(shown.map(|shown| shown.with_ignored(ignoring, &found.source)))
            }
            Ok((index, None)) => out.json(&document::missing(index, &wanted.get.id)),
            Err(error) => out.json(&refused(&wanted.get, error)),
        }
    }
}

/// Bytes of a document beside its source, rendered.
const DOCUMENT_BYTES: usize = 128;

fn refused(get: &GetRequest, error: &ApiError) -> Value {
    json!({"_index": get.index, "_id": get.id, "error": error.to_error_object()})
}

fn parse(body: &Value, defaults: &Defaults) -> Result<Vec<DocumentRequest>, ApiError> {
    let mut reader = ObjectReader::part("mget", body)?;
    let docs = reader.take("docs");
    let ids = reader.take("ids");
    if let Some((key, _)) = reader.rest().next() {
        return Err(ApiError::parse(format!(
            "unknown key [{key}] for a START_ARRAY, expected [docs] or [ids]"
        )));
    }
    let mut wanted = Vec::new();
    for doc in list("docs", docs)? {
        wanted.push(parse_doc(doc, defaults)?);
    }
    for id in list("ids", ids)? {
        let id = scalar_text(id).ok_or_else(|| ApiError::illegal("ids must be texts"))?;
        wanted.push(finished(defaults.index.clone(), Some(id), defaults));
    }
    check(&wanted)?;
    Ok(wanted)
}

fn list<'a>(key: &str, value: Option<&'a Value>) -> Result<&'a [Value], ApiError> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(ApiError::parse(format!("[{key}] must be an array"))),
    }
}

fn finished(index: Option<String>, id: Option<String>, defaults: &Defaults) -> DocumentRequest {
    DocumentRequest {
        get: GetRequest {
            index: index.unwrap_or_default(),
            id: id.unwrap_or_default(),
            routing: defaults.routing.clone(),
            realtime: defaults.realtime,
            refresh: defaults.refresh,
        },
        form: Arc::clone(&defaults.form),
        version: None,
    }
}

fn parse_doc(doc: &Value, defaults: &Defaults) -> Result<DocumentRequest, ApiError> {
    let mut reader = ObjectReader::part("docs", doc)?;
    let mut text = |key| {
        reader
            .take(key)
            .filter(|value| !value.is_null())
            .and_then(scalar_text)
    };
    let index = text("_index")
        .or_else(|| text("index"))
        .or_else(|| defaults.index.clone());
    let id = text("_id").or_else(|| text("id"));
    let routing = text("routing");
    let (version, version_type) = (text("version"), text("version_type"));
    check_version_type(version_type.as_deref())?;
    // Older clients name the one type there is.
    reader.ignore(&["_type"]);
    let source = reader
        .take("_source")
        .map(parse_source_filter)
        .transpose()?;
    let stored_fields = reader.texts("stored_fields")?;
    reader.finish()?;
    let mut wanted = finished(index, id, defaults);
    wanted.get.routing = routing.or(wanted.get.routing);
    wanted.version = version.map(|text| of_text(&text)).transpose()?.flatten();
    if source.is_some() || stored_fields.is_some() {
        let stored_fields = stored_fields.or_else(|| defaults.stored_fields.clone());
        wanted.form = Arc::new(DocumentForm::new(source, stored_fields));
    }
    Ok(wanted)
}

/// Reads a version; `-3` is any, as clients write it that name none.
fn of_text(text: &str) -> Result<Option<u64>, ApiError> {
    if text == "-3" {
        return Ok(None);
    }
    let wrong = || ApiError::illegal(format!("[version] must be a number, got [{text}]"));
    text.parse().map(Some).map_err(|_| wrong())
}

/// Returns how many documents a body names.
fn num_documents(body: &Value) -> usize {
    let lists = ["docs", "ids"].into_iter().filter_map(|key| body.get(key));
    lists.filter_map(Value::as_array).map(Vec::len).sum()
}

fn check_number(number: usize) -> Result<(), ApiError> {
    if number <= MAX_DOCUMENTS {
        return Ok(());
    }
    let reason = format!("too many documents: [{number}], at most [{MAX_DOCUMENTS}]");
    Err(ApiError::validation(&[reason]))
}

fn check(wanted: &[DocumentRequest]) -> Result<(), ApiError> {
    if wanted.is_empty() {
        return Err(ApiError::validation(&["no documents to get".to_owned()]));
    }
    let mut faults = Vec::new();
    for (at, wanted) in wanted.iter().enumerate() {
        if wanted.get.index.is_empty() {
            faults.push(format!("index is missing for doc {at}"));
        }
        if wanted.get.id.is_empty() {
            faults.push(format!("id is missing for doc {at}"));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(ApiError::validation(&faults))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{sent, speaking};

    use super::*;

    fn defaults(index: Option<&str>) -> Defaults {
        Defaults {
            index: index.map(str::to_owned),
            routing: None,
            stored_fields: None,
            form: Arc::default(),
            realtime: true,
            refresh: false,
        }
    }

    #[test]
    fn documents_and_ids_are_read() {
        let body = json!({"docs": [{"_id": 1, "_index": "b", "routing": 5}, {"_id": "2"}]});
        let wanted = parse(&body, &defaults(Some("a"))).expect("well formed");
        let seen: Vec<_> = wanted.iter().map(|w| (&*w.get.index, &*w.get.id)).collect();
        assert_eq!(seen, [("b", "1"), ("a", "2")]);
        assert_eq!(wanted[0].get.routing.as_deref(), Some("5"));
        assert_eq!(
            parse(&json!({"ids": ["3"]}), &defaults(Some("a")))
                .expect("ids")
                .len(),
            1
        );
    }

    #[test]
    fn what_holds_for_all_documents_is_there_once() {
        let ids: Vec<usize> = (0..MAX_DOCUMENTS + 1).collect();
        let body = json!({ "ids": ids[1..] });
        let wanted = parse(&body, &defaults(Some("a"))).expect("ids");
        let first = &wanted[0].form;
        assert!(wanted.iter().all(|one| Arc::ptr_eq(&one.form, first)));
        assert!(check_number(num_documents(&body)).is_ok());
        assert!(check_number(num_documents(&json!({ "ids": ids }))).is_err());
    }

    #[test]
    fn what_is_missing_is_told_all_at_once() {
        let body = json!({"docs": [{"_id": "1"}, {"_index": "a"}]});
        let error = parse(&body, &defaults(None)).err().expect("incomplete");
        assert_eq!(
            error.reason(),
            "Validation Failed: 1: index is missing for doc 0; 2: id is missing for doc 1;"
        );
        let error = parse(&json!({}), &defaults(None)).err().expect("empty");
        assert!(error.reason().contains("no documents to get"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn names_of_indices_may_have_dates() {
        let docs = ["<books-{now/d}>", "<books-{now>"];
        let docs = docs.map(|index| json!({"_index": index, "_id": "1"}));
        let docs = json!({ "docs": docs });
        let (_, answer) = sent(&speaking(), ("POST", "/_mget"), &docs).await;
        let error = |at: usize| &answer["docs"][at]["error"];
        assert_eq!(
            error(0)["reason"],
            "no such index [books-1970.01.01]",
            "{answer}"
        );
        assert_eq!(error(1)["type"], "illegal_argument_exception", "{answer}");
    }
    #[test]
    fn a_document_may_be_wanted_in_one_version_only() {
        let wanted = |version: Value| {
            let doc = json!({"_index": "a", "_id": "1", "version": version});
            let parsed = parse(&json!({ "docs": [doc] }), &defaults(None));
            parsed.map(|wanted| wanted[0].version)
        };
        assert_eq!(wanted(json!(2)).ok(), Some(Some(2)));
        assert_eq!(wanted(json!("7")).ok(), Some(Some(7)));
        assert_eq!(wanted(json!(-3)).ok(), Some(None));
        assert!(wanted(json!("new")).is_err());
        let typed = json!({"_index": "a", "_id": "1", "version_type": "odd"});
        assert!(parse(&json!({ "docs": [typed] }), &defaults(None)).is_err());
    }
}
