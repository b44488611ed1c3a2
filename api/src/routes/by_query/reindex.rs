//! `_reindex`: the body, and what it asks for.

use gleaner_model::IndexPrivilege;
use gleaner_query::json::{self, ObjectReader, scalar_text};
use gleaner_query::names::{ResolveOptions, expand_date_math};
use gleaner_query::search::{SearchRequest, parse_search_value};
use gleaner_root::by_query::{
    ByQueryRequest, Change, Destination, DocumentSource, NewRouting, Slices, VersionType,
};
use gleaner_root::plan::Target;
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::asked::{self, Common};
use super::remote::{Remote, RemoteSearch};
use crate::error::ApiError;
use crate::request::{Answer, Request};
use crate::security::Action;

/// What is done to the destination, for rights.
const WRITE: Action = Action {
    name: "indices:data/write/bulk",
    privilege: IndexPrivilege::Index,
    ignores_filters: true,
};

pub(super) async fn reindex(mut request: Request) -> Answer {
    let Some(body) = request.json().await? else {
        return Err(ApiError::parse("request body is required"));
    };
    let mut asked = read(&request, &body)?;
    super::look_up(&request, &mut asked).await?;
    super::carry_out(&request, asked).await
}

/// A `source` as given.
#[derive(Debug, Default)]
struct Source {
    /// Index expressions.
    indices: Vec<String>,
    page_size: Option<usize>,
    remote: Option<Value>,
    search: SearchRequest,
    /// The search as given, which another cluster reads by itself.
    given: Map<String, Value>,
}

fn read(request: &Request, body: &Value) -> Result<ByQueryRequest, ApiError> {
    let mut reader = ObjectReader::part("reindex", body)?;
    let limits = request.root().cluster().limits();
    let source = match reader.take("source") {
        Some(source) => read_source(source, &limits)?,
        None => Source::default(),
    };
    let destination = reader.take("dest").map(read_destination).transpose()?;
    let conflicts = reader.text("conflicts")?;
    let max_docs = asked::agreed(reader.integer("size")?, reader.integer("max_docs")?)?;
    reader.ignore(&["script"]);
    reader.finish()?;
    asked::refuse_script(body)?;
    let mut common = Common::of(&request.parameters, conflicts.as_deref(), max_docs)?;
    if let Some(size) = source.page_size {
        common.page_size = size;
    }
    let mut destination = checked(&source, destination, &common)?;
    destination.require_alias = request.parameters.is_set("require_alias")?;
    if source.remote.is_some() {
        return from_remote(request, source, destination, &common);
    }
    let now_ms = request.root().cluster().now_ms();
    let expression = expand_date_math(&source.indices.join(","), now_ms)?;
    destination.index = expand_date_math(&destination.index, now_ms)?;
    request.check_name(&WRITE, &destination.index)?;
    destination.source = source.search.source.clone();
    let description = format!("reindex from [{expression}] to [{}]", destination.index);
    let options = ResolveOptions::default();
    let target = Target {
        expression: request.narrowed(Some(&expression), &options)?,
        options,
        routing: None,
    };
    let change = Change::Reindex(destination);
    let here = DocumentSource::Here(target);
    super::made(&common, change, here, source.search, description)
}

/// Returns what copies documents of a cluster elsewhere.
fn from_remote(
    request: &Request,
    source: Source,
    mut destination: Destination,
    common: &Common,
) -> Result<ByQueryRequest, ApiError> {
    let remote = Remote::read(&source.remote.unwrap_or_default())?;
    if common.slices != Slices::Number(1) {
        return Err(ApiError::validation(&[
            "reindex from remote sources doesn't support slices > 1".to_owned(),
        ]));
    }
    let now_ms = request.root().cluster().now_ms();
    destination.index = expand_date_math(&destination.index, now_ms)?;
    request.check_name(&WRITE, &destination.index)?;
    let indices = source.indices.join(",");
    let from = remote.address();
    let description = format!(
        "reindex from [{from}][{indices}] to [{}]",
        destination.index
    );
    let search = RemoteSearch {
        indices,
        body: source.given,
        page_size: common.page_size,
        keep_alive: common.keep_alive,
    };
    let memory = request.root().accounts().answer_memory();
    let pages = remote.pages(search, &request.app.options.remote_clusters, memory)?;
    let elsewhere = DocumentSource::Elsewhere(from, Mutex::new(Some(Box::new(pages))));
    let search = SearchRequest::default();
    super::made(
        common,
        Change::Reindex(destination),
        elsewhere,
        search,
        description,
    )
}

/// Reads `source`: names, the size of a page, and a search.
fn read_source(value: &Value, limits: &gleaner_query::limits::Limits) -> Result<Source, ApiError> {
    let Value::Object(entries) = value else {
        let found = json::token_name(value);
        let reason = format!("[reindex] source doesn't support values of type: {found}");
        return Err(ApiError::illegal(reason));
    };
    let mut search = entries.clone();
    let indices = match search.shift_remove("index") {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().filter_map(scalar_text).collect(),
        Some(one) => scalar_text(&one).into_iter().collect(),
    };
    let page_size = search.shift_remove("size").map(|size| page_size(&size));
    let remote = search.shift_remove("remote");
    let given = search.clone();
    // That cluster may know queries that this one does not.
    if remote.is_some() {
        search.shift_remove("query");
    }
    Ok(Source {
        indices,
        page_size: page_size.transpose()?,
        remote,
        search: parse_search_value(&Value::Object(search), limits)?,
        given,
    })
}

fn page_size(value: &Value) -> Result<usize, ApiError> {
    let text = scalar_text(value).unwrap_or_else(|| value.to_string());
    text.parse().map_err(|_| {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "number_format_exception",
            format!("For input string: \"{text}\""),
        )
    })
}

fn read_destination(value: &Value) -> Result<Destination, ApiError> {
    let mut reader = ObjectReader::part("dest", value)?;
    let index = reader.text("index")?.unwrap_or_default();
    let creates = match reader.text("op_type")?.as_deref() {
        None | Some("index") => false,
        Some("create") => true,
        Some(other) => {
            let reason = format!("opType must be 'create' or 'index', found: [{other}]");
            return Err(ApiError::illegal(reason));
        }
    };
    let version_type = match reader.text("version_type")?.as_deref() {
        None | Some("internal") => VersionType::Internal,
        Some("external" | "external_gt") => VersionType::External,
        Some("external_gte") => VersionType::ExternalGte,
        Some(other) => {
            let reason = format!("No version type match [{other}]");
            return Err(ApiError::illegal(reason));
        }
    };
    let routing = read_routing(reader.text("routing")?.as_deref())?;
    let pipeline = reader.text("pipeline")?;
    reader.finish()?;
    if pipeline.is_some_and(|pipeline| pipeline != "_none") {
        return Err(ApiError::unsupported("an ingest pipeline"));
    }
    Ok(Destination {
        index,
        require_alias: false,
        creates,
        version_type,
        routing,
        source: Default::default(),
    })
}

fn read_routing(text: Option<&str>) -> Result<NewRouting, ApiError> {
    match text {
        None | Some("keep") => Ok(NewRouting::Keep),
        Some("discard") => Ok(NewRouting::Discard),
        Some(text) => match text.strip_prefix('=') {
            Some(routing) => Ok(NewRouting::Is(routing.to_owned())),
            None => Err(ApiError::validation(&[
                "routing must be unset, [keep], [discard] or [=<some new value>]".to_owned(),
            ])),
        },
    }
}

/// Returns the destination, where all parts go together.
fn checked(
    source: &Source,
    destination: Option<Destination>,
    common: &Common,
) -> Result<Destination, ApiError> {
    let mut reasons = Vec::new();
    if source.indices.iter().all(String::is_empty) {
        reasons.push("use _all if you really want to copy from all existing indexes".to_owned());
    }
    if !source.search.source.enabled {
        reasons.push("_source:false is not supported in this context".to_owned());
    }
    let destination = destination.filter(|destination| !destination.index.is_empty());
    if destination.is_none() {
        reasons.push("index must be specified".to_owned());
    }
    if let Some(destination) = &destination
        && destination.creates
        && destination.version_type != VersionType::Internal
    {
        let reason = "create operations only support internal versioning. use index instead";
        reasons.push(reason.to_owned());
    }
    asked::check_search(&source.search, common, reasons)?;
    destination.ok_or_else(|| ApiError::validation(&["index must be specified".to_owned()]))
}

#[cfg(test)]
mod tests {
    use gleaner_query::limits::Limits;
    use serde_json::json;

    use super::*;

    fn source(value: &Value) -> Result<Source, String> {
        read_source(value, &Limits::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_source_is_names_a_size_and_a_search() {
        let read = source(&json!({
            "index": ["a", "b*"], "size": "7", "query": {"match_all": {}}, "_source": ["t"],
        }));
        let read = read.expect("read");
        assert_eq!(read.indices, ["a", "b*"]);
        assert_eq!(read.page_size, Some(7));
        assert_eq!(read.search.source.includes, ["t"]);
        assert!(read.search.query.is_some() && read.search.size.is_none());
    }

    #[test]
    fn what_is_wrong_with_a_source_is_named() {
        for (value, expected) in [
            (
                json!({"junk": {}}),
                "Unknown key for a START_OBJECT in [junk].",
            ),
            (
                json!({"size": "cat"}),
                "number_format_exception: For input string: \"cat\"",
            ),
            (
                json!("books"),
                "source doesn't support values of type: VALUE_STRING",
            ),
        ] {
            let refused = source(&value).expect_err("refused");
            assert!(refused.contains(expected), "{refused}");
        }
    }

    #[test]
    fn a_destination_says_how_documents_are_put_there() {
        let read = |value| read_destination(&value).map_err(|error| error.reason().to_owned());
        let all = json!({"index": "b", "op_type": "create", "routing": "=r", "pipeline": "_none"});
        let destination = read(all).expect("read");
        assert!(destination.creates);
        assert_eq!(destination.routing, NewRouting::Is("r".to_owned()));
        let gte = read(json!({"index": "b", "version_type": "external_gte"})).expect("read");
        assert_eq!(gte.version_type, VersionType::ExternalGte);
        for (value, expected) in [
            (json!({"version": 10}), "[dest] unknown field [version]"),
            (json!({"op_type": "update"}), "opType must be"),
            (
                json!({"version_type": "force"}),
                "No version type match [force]",
            ),
            (json!({"routing": "x"}), "routing must be unset"),
            (
                json!({"pipeline": "p"}),
                "[an ingest pipeline] is not supported",
            ),
        ] {
            let refused = read(value).expect_err("refused");
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
