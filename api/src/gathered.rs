//! Requests about what each root keeps in memory: tasks, and the scrolls and points in time that it opened. All roots are
//! asked, and their answers become one.
//!
//! Does: say which requests these are, and join the answers. Does not: ask; it is for processes ahead of the roots. Read
//! first: [`Gather::of`], then [`Gather::join`].

use std::fmt;

use bytes::Bytes;
use gleaner_query::json::tree_bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::parameters::{Parameters, comma_list};
use crate::paths::{PathMatch, Paths};
use crate::response::Form;
use crate::routes::cat::tasks;
use crate::routes::parameter_tables;

/// Knows which requests all roots are to be asked, by the routes of the dialect.
pub struct GatheredRoutes(Paths<()>);

impl fmt::Debug for GatheredRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatheredRoutes")
    }
}

impl Default for GatheredRoutes {
    fn default() -> Self {
        Self(Paths::new(parameter_tables(), |_| ()))
    }
}

/// A request that all roots are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gather {
    /// Does the answer have room to name roots that gave none?
    names_failures: bool,
    is_pretty: bool,
    /// Why it cannot be gathered.
    refusal: Option<String>,
    /// How a table is shown; `None` where answers are objects.
    table: Option<TableForm>,
}

/// How the rows of all roots are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TableForm {
    /// The query of the request.
    query: String,
    is_json: bool,
}

impl GatheredRoutes {
    /// Returns how the answers to a request are gathered; `None` where one root can answer it.
    pub fn of(&self, head: &Parts, body: &Bytes) -> Option<Gather> {
        if head.method == Method::HEAD {
            return None;
        }
        let PathMatch::Route(route, (), Ok(parts)) = self.0.find(&head.method, &head.uri) else {
            return None;
        };
        let parameters = Parameters::parse(head.uri.query()).ok()?;
        let names_failures = match route.name {
            "cat.tasks" => return gathered_table(head, &parameters),
            "tasks.list" => true,
            "tasks.cancel" if parts.is_empty() => true,
            "delete_all_pits" | "get_all_pits" => false,
            "clear_scroll" => {
                let in_path = parts.iter().map(|(_, ids)| ids.as_str());
                let in_query = parameters.get("scroll_id");
                let is_all = |ids: &str| comma_list(ids).iter().any(|id| id == "_all");
                if !in_path.chain(in_query).any(is_all) && !names_all(body) {
                    return None;
                }
                false
            }
            _ => return None,
        };
        let form = Form::of(&parameters, &head.headers).ok()?;
        let format = parameters.get("format");
        let format = format.filter(|format| !format.eq_ignore_ascii_case("json"));
        let format = format.or(form.is_yaml().then_some("yaml"));
        Some(Gather {
            names_failures,
            is_pretty: parameters.is_set("pretty").unwrap_or(false),
            refusal: format.map(|format| {
                format!(
                    "[format] [{format}] is not taken where all roots are asked; only [json] is"
                )
            }),
            table: None,
        })
    }
}

/// Parameters of tables that say how one is shown: the table of all roots, not the parts of it.
const SHOWN_BY: [&str; 9] = [
    "format",
    "h",
    "s",
    "v",
    "help",
    "ts",
    "pretty",
    "human",
    "filter_path",
];

/// Returns how a table of tasks is gathered; that of its columns any root can answer.
fn gathered_table(head: &Parts, parameters: &Parameters) -> Option<Gather> {
    if parameters.is_set("help").unwrap_or(false) {
        return None;
    }
    let form = Form::of(parameters, &head.headers).ok()?;
    let refusal = match parameters.get("filter_path") {
        _ if form.is_yaml() => Some("[format] [yaml] is not taken where all roots are asked"),
        Some(_) => Some("[filter_path] is not taken where the tables of all roots are joined"),
        None => None,
    };
    Some(Gather {
        names_failures: false,
        is_pretty: parameters.is_set("pretty").unwrap_or(false),
        refusal: refusal.map(str::to_owned),
        table: Some(TableForm {
            query: head.uri.query().unwrap_or_default().to_owned(),
            is_json: form.is_json(),
        }),
    })
}

/// Memory of such a body as a tree, at most: larger ones are not looked into.
const MOST_TREE_BYTES: usize = 16 << 20;

/// Does the body of a request that ends scrolls name all of them?
fn names_all(body: &Bytes) -> bool {
    // Older clients send the bare id.
    if body.trim_ascii() == b"_all" {
        return true;
    }
    let is_read = tree_bytes(body) <= MOST_TREE_BYTES;
    let body: Value = match is_read {
        true => serde_json::from_slice(body).unwrap_or_default(),
        false => Value::Null,
    };
    match &body["scroll_id"] {
        Value::Array(ids) => ids.iter().any(|id| id == "_all"),
        id => id == "_all",
    }
}

impl Gather {
    /// Returns why the request cannot be gathered, as an answer.
    pub fn refusal(&self) -> Option<Response<Bytes>> {
        let reason = self.refusal.as_ref()?;
        Some(refused(&ApiError::illegal(reason.clone())))
    }

    /// Returns the path and query that roots are asked instead of the request's: of a table all columns.
    pub fn asked(&self, uri: &Uri) -> Option<PathAndQuery> {
        let table = self.table.as_ref()?;
        let is_kept = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            !name.is_empty() && !SHOWN_BY.contains(&name)
        };
        let kept = table.query.split('&').filter(is_kept);
        let pairs: Vec<&str> = kept.chain(["format=json", "h=*"]).collect();
        let asked = format!("{}?{}", uri.path(), pairs.join("&"));
        PathAndQuery::from_maybe_shared(asked).ok()
    }

    /// Makes one answer of those of all roots, each with the name of its root. An answer that is an error stands for all.
    /// A root that gave none is named in `node_failures`; where the answer has no room for that it is a 503.
    pub fn join(&self, answers: Vec<RootAnswer>) -> Response<Bytes> {
        let mut joined: Option<(Response<()>, Value)> = None;
        let mut failures = Vec::new();
        for RootAnswer { root, answer } in answers {
            let (head, read) = match answer {
                Ok(answer) if !answer.status().is_success() => return answer,
                Ok(answer) => {
                    let (head, body) = answer.into_parts();
                    let read: Result<Value, _> = serde_json::from_slice(&body);
                    (head, read.map_err(|error| error.to_string()))
                }
                Err(reason) => {
                    failures.push((root, reason));
                    continue;
                }
            };
            match (read, &mut joined) {
                (Ok(body), None) => joined = Some((Response::from_parts(head, ()), body)),
                (Ok(body), Some((_, joined))) => add(joined, body),
                (Err(reason), _) => failures.push((root, reason)),
            }
        }
        match (joined, &self.table) {
            (Some((head, body)), Some(form)) if failures.is_empty() => {
                self.tabulated(head, &body, form)
            }
            (joined, _) => self.objects(joined, &failures),
        }
    }

    /// Shows the rows of all roots as one table.
    fn tabulated(&self, head: Response<()>, rows: &Value, form: &TableForm) -> Response<Bytes> {
        let table = tasks::joined(rows);
        let shown =
            Parameters::parse(Some(&form.query)).and_then(|parameters| match form.is_json {
                true => Ok(self.written(head, &table.to_json(&parameters)?)),
                false => {
                    let mut answer = with_body(head, table.to_text(&parameters)?);
                    let text = HeaderValue::from_static("text/plain; charset=UTF-8");
                    answer.headers_mut().insert(header::CONTENT_TYPE, text);
                    Ok(answer)
                }
            });
        shown.unwrap_or_else(|error| refused(&error))
    }

    fn objects(
        &self,
        joined: Option<(Response<()>, Value)>,
        failures: &[(String, String)],
    ) -> Response<Bytes> {
        match joined {
            Some((head, body)) if failures.is_empty() => self.written(head, &body),
            Some((head, mut body)) if self.names_failures => {
                let failures = failures.iter().map(failed_node);
                body["node_failures"] = failures.collect();
                self.written(head, &body)
            }
            _ => {
                let failed = |(root, reason): &(String, String)| format!("[{root}]: {reason}");
                let failed: Vec<String> = failures.iter().map(failed).collect();
                let reason = format!(
                    "all roots are to answer this request, and some did not: {}",
                    failed.join("; ")
                );
                let status = StatusCode::SERVICE_UNAVAILABLE;
                refused(&ApiError::new(status, "failed_node_exception", reason))
            }
        }
    }

    fn written(&self, head: Response<()>, body: &Value) -> Response<Bytes> {
        let text = match self.is_pretty {
            true => format!("{body:#}\n"),
            false => body.to_string(),
        };
        with_body(head, text)
    }
}

/// Gives the head of a root's answer another body.
fn with_body(head: Response<()>, body: String) -> Response<Bytes> {
    let mut answer = head.map(|()| Bytes::from(body));
    answer.headers_mut().remove(header::CONTENT_LENGTH);
    answer
}

/// What a root answered.
#[derive(Debug)]
pub struct RootAnswer {
    /// Its name.
    pub root: String,
    /// The whole answer, or why there is none.
    pub answer: Result<Response<Bytes>, String>,
}

/// Adds what one more root answered: objects have the members of both, lists the items of both; numbers are added up, and
/// a flag is set where it is in both.
fn add(joined: &mut Value, more: Value) {
    match (joined, more) {
        (Value::Object(joined), Value::Object(more)) => add_members(joined, more),
        (Value::Array(joined), Value::Array(more)) => joined.extend(more),
        (Value::Bool(joined), Value::Bool(more)) => *joined &= more,
        (joined @ Value::Number(_), more) => {
            if let (Some(a), Some(b)) = (joined.as_u64(), more.as_u64()) {
                *joined = Value::from(a + b);
            }
        }
        // Texts say the same.
        _ => {}
    }
}

fn add_members(joined: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        match joined.get_mut(&name) {
            Some(there) => add(there, value),
            None => drop(joined.insert(name, value)),
        }
    }
}

fn failed_node((root, reason): &(String, String)) -> Value {
    json!({
        "type": "failed_node_exception",
        "reason": format!("Failed node [{root}]"),
        "node_id": root,
        "caused_by": {"type": "connect_transport_exception", "reason": reason},
    })
}

fn refused(error: &ApiError) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from(error.to_body().to_string()));
    *answer.status_mut() = error.status;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(method: &str, uri: &str, body: &'static str) -> Option<Gather> {
        let request = http::Request::builder().method(method).uri(uri);
        let (head, ()) = request.body(()).expect("a request").into_parts();
        GatheredRoutes::default().of(&head, &Bytes::from_static(body.as_bytes()))
    }

    fn answered(root: &str, body: &Value) -> RootAnswer {
        RootAnswer {
            root: root.to_owned(),
            answer: Ok(Response::new(body.to_string().into())),
        }
    }

    fn unreachable(root: &str) -> RootAnswer {
        RootAnswer {
            root: root.to_owned(),
            answer: Err("it is gone".to_owned()),
        }
    }

    fn body(answer: &Response<Bytes>) -> Value {
        serde_json::from_slice(answer.body()).expect("JSON")
    }

    #[test]
    fn what_is_in_the_memory_of_each_root_is_gathered() {
        for (method, uri, body, is_gathered) in [
            ("GET", "/_tasks?detailed", "", true),
            ("POST", "/_tasks/_cancel?actions=*search", "", true),
            ("POST", "/_tasks/root-1:7/_cancel", "", false),
            ("GET", "/_tasks/root-1:7", "", false),
            ("DELETE", "/_search/scroll/_all", "", true),
            (
                "DELETE",
                "/_search/scroll",
                r#"{"scroll_id":["_all"]}"#,
                true,
            ),
            ("DELETE", "/_search/scroll", r#"{"scroll_id":"_all"}"#, true),
            ("DELETE", "/_search/scroll", " _all\n", true),
            ("DELETE", "/_search/scroll?scroll_id=_all", "", true),
            ("DELETE", "/_search/scroll/abc,_all", "", true),
            ("DELETE", "/_search/scroll", r#"{"scroll_id":"abc"}"#, false),
            ("DELETE", "/_search/scroll/abc", "", false),
            ("DELETE", "/_search/point_in_time/_all", "", true),
            ("GET", "/_search/point_in_time/_all", "", true),
            ("GET", "/_cat/tasks?v", "", true),
            ("GET", "/_cat/tasks?help", "", false),
            ("HEAD", "/_tasks", "", false),
            ("GET", "/wiki/_search", "", false),
        ] {
            let gathered = gather(method, uri, body);
            assert_eq!(gathered.is_some(), is_gathered, "{method} {uri} {body}");
        }
    }

    #[test]
    fn answers_are_joined_and_a_root_that_gave_none_is_named() {
        let tasks = gather("GET", "/_tasks", "").expect("gathered");
        let of = |root: &str| answered(root, &json!({"nodes": {root: {"tasks": {}}}}));
        let all = tasks.join(vec![of("a"), of("b")]);
        let nodes = json!({"nodes": {"a": {"tasks": {}}, "b": {"tasks": {}}}});
        assert_eq!((all.status(), body(&all)), (StatusCode::OK, nodes));
        let some = body(&tasks.join(vec![unreachable("a"), of("b")]));
        assert_eq!(some["node_failures"][0]["node_id"], "a");
        assert_eq!(some["nodes"], json!({"b": {"tasks": {}}}));
        let none = tasks.join(vec![unreachable("a"), unreachable("b")]);
        assert_eq!(none.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn what_is_freed_is_added_up_and_never_said_of_a_root_that_gave_no_answer() {
        let scrolls = gather("DELETE", "/_search/scroll/_all?pretty", "").expect("gathered");
        let of = |n: u64| answered("a", &json!({"succeeded": true, "num_freed": n}));
        let all = scrolls.join(vec![of(2), of(3)]);
        assert_eq!(
            &**all.body(),
            b"{\n  \"succeeded\": true,\n  \"num_freed\": 5\n}\n"
        );
        let some = scrolls.join(vec![of(2), unreachable("b")]);
        assert_eq!(some.status(), StatusCode::SERVICE_UNAVAILABLE);
        let reason = body(&some)["error"]["reason"].to_string();
        assert!(reason.contains("[b]: it is gone"), "{reason}");
    }

    #[test]
    fn rows_of_all_roots_are_one_table() {
        let uri = "/_cat/tasks?v&h=action,task_id&s=ti:desc&actions=*search";
        let tasks = gather("GET", uri, "").expect("gathered");
        let asked = tasks.asked(&uri.parse().expect("a URI")).expect("another");
        assert_eq!(asked, "/_cat/tasks?actions=*search&format=json&h=*");
        let of = |root: &str| {
            answered(
                root,
                &json!([{"action": "search", "task_id": format!("{root}:1")}]),
            )
        };
        let all = tasks.join(vec![of("a"), of("b")]);
        let text = std::str::from_utf8(all.body()).expect("a text");
        assert_eq!(text, "action task_id\nsearch b:1\nsearch a:1\n");
        let some = tasks.join(vec![unreachable("a"), of("b")]);
        assert_eq!(some.status(), StatusCode::SERVICE_UNAVAILABLE);
        let json = gather("GET", "/_cat/tasks?format=json&h=task_id", "").expect("gathered");
        let all = body(&json.join(vec![of("a"), of("b")]));
        assert_eq!(all, json!([{"task_id": "a:1"}, {"task_id": "b:1"}]));
        let part = gather("GET", "/_cat/tasks?filter_path=x", "").expect("gathered");
        assert!(part.refusal().is_some());
    }

    #[test]
    fn the_head_of_what_is_joined_is_that_of_a_root() {
        for (uri, kind) in [
            ("/_cat/tasks?h=task_id", "text/plain; charset=UTF-8"),
            ("/_cat/tasks?h=task_id&format=json", "application/json"),
        ] {
            let tasks = gather("GET", uri, "").expect("gathered");
            let mut answers = vec![answered("a", &json!([{"task_id": "a:1"}]))];
            let head = answers[0].answer.as_mut().map(Response::headers_mut);
            let head = head.expect("an answer");
            for (name, value) in [
                ("x-elastic-product", "Elasticsearch"),
                ("content-length", "19"),
                ("content-type", "application/json"),
            ] {
                head.insert(name, HeaderValue::from_static(value));
            }
            let all = tasks.join(answers);
            let field = |name| all.headers().get(name).map(HeaderValue::as_bytes);
            assert_eq!(field("x-elastic-product"), Some(&b"Elasticsearch"[..]));
            assert_eq!(field("content-length"), None, "it was that of the part");
            assert_eq!(field("content-type"), Some(kind.as_bytes()));
        }
    }

    #[test]
    fn a_form_that_cannot_be_joined_is_refused_however_it_is_asked_for() {
        for (uri, accept, is_refused) in [
            ("/_cat/tasks", "application/yaml", true),
            ("/_cat/tasks?format=text", "application/yaml", false),
            ("/_cat/tasks", "application/json", false),
            ("/_cat/tasks?format=yaml", "*/*", true),
            ("/_tasks", "application/yaml", true),
            ("/_tasks?format=json", "application/yaml", false),
        ] {
            let request = http::Request::get(uri).header(header::ACCEPT, accept);
            let (head, ()) = request.body(()).expect("a request").into_parts();
            let gather = GatheredRoutes::default().of(&head, &Bytes::new());
            let refusal = gather.expect("gathered").refusal();
            assert_eq!(refusal.is_some(), is_refused, "{uri} {accept}");
        }
    }

    #[test]
    fn an_error_of_one_root_is_the_answer() {
        let tasks = gather("GET", "/_tasks", "").expect("gathered");
        let mut refusal = answered("a", &json!({"error": "no"}));
        if let Ok(answer) = &mut refusal.answer {
            *answer.status_mut() = StatusCode::BAD_REQUEST;
        }
        let answer = tasks.join(vec![answered("b", &json!({"nodes": {}})), refusal]);
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let yaml = gather("GET", "/_tasks?format=yaml", "").expect("gathered");
        let refused = yaml.refusal().expect("refused");
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    }
}
