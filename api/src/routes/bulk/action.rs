//! Action lines: `{"index": {"_index": "books", "_id": "1"}}`.

use gleaner_model::ChosenTemplates;
use gleaner_proto::write::Condition;
use gleaner_query::Limits;
use gleaner_query::json::{self, scalar_text, token_name};
use gleaner_query::search::{SourceFilter, parse_source_filter};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::request::target::WriteConditions;

/// What an action line asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Action {
    pub(super) kind: ActionKind,
    pub(super) index: Option<String>,
    pub(super) id: Option<String>,
    pub(super) routing: Option<String>,
    pub(super) require_alias: Option<bool>,
    pub(super) require_data_stream: Option<bool>,
    pub(super) retry_on_conflict: u32,
    pub(super) source: Option<SourceFilter>,
    pub(super) condition: Condition,
    /// Templates for fields that the document brings.
    pub(super) templates: ChosenTemplates,
}

/// The four actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ActionKind {
    Index,
    Create,
    Update,
    Delete,
}

impl ActionKind {
    /// Whether a document stands on the next line.
    pub(super) fn has_body(self) -> bool {
        self != Self::Delete
    }
}

/// Reads the action on line `number` of the body, counted from 1.
///
/// # Errors
/// 400 naming the line and what is wrong on it.
pub(super) fn parse(text: &[u8], number: usize, limits: &Limits) -> Result<Action, ApiError> {
    match parse_usual(text) {
        Some(action) => Ok(action),
        None => parse_any(text, number, limits),
    }
}

/// Returns the action of a line as it is read; `None` where it is refused. For who tries the reader with any bytes.
///
/// # Panics
/// When the usual line is read in another way than any other.
pub fn action_shown(line: &[u8]) -> Option<String> {
    let any = parse_any(line, 1, &Limits::default());
    if let Some(usual) = parse_usual(line) {
        let any = any.as_ref().ok();
        assert_eq!(any, Some(&usual), "by the long way it is another");
    }
    any.ok().map(|action| format!("{action:?}"))
}

/// The usual line: one action, and texts that say where. It is read without building a tree.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Usual {
    Index(Place),
    Create(Place),
    Update(Place),
    Delete(Place),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    #[serde(rename = "_index")]
    index: Option<String>,
    #[serde(rename = "_id")]
    id: Option<String>,
    routing: Option<String>,
}

/// Returns the action of a usual line; `None` for any other, good or bad.
fn parse_usual(text: &[u8]) -> Option<Action> {
    // serde would take an array for the parameters too.
    if text.contains(&b'[') {
        return None;
    }
    let (kind, place) = match serde_json::from_slice(text).ok()? {
        Usual::Index(place) => (ActionKind::Index, place),
        Usual::Create(place) => (ActionKind::Create, place),
        Usual::Update(place) => (ActionKind::Update, place),
        Usual::Delete(place) => (ActionKind::Delete, place),
    };
    Some(Action {
        index: place.index,
        id: place.id,
        routing: place.routing,
        ..Action::of(kind)
    })
}

/// Memory of an action line as a tree: more than names take.
const MOST_TREE_BYTES: usize = 1 << 20;

fn parse_any(text: &[u8], number: usize, limits: &Limits) -> Result<Action, ApiError> {
    let malformed = |what: &str| {
        ApiError::illegal(format!("Malformed action/metadata line [{number}], {what}"))
    };
    if json::tree_bytes(text) > MOST_TREE_BYTES {
        return Err(malformed("it is too large: is it a document?"));
    }
    let line = json::read(text, limits)?;
    let Value::Object(entries) = &line else {
        let found = token_name(&line);
        return Err(malformed(&format!(
            "expected START_OBJECT but found [{found}]"
        )));
    };
    let mut entries = entries.iter();
    let Some((name, parameters)) = entries.next() else {
        return Err(malformed("expected FIELD_NAME but found [END_OBJECT]"));
    };
    let kind = match name.as_str() {
        "index" => ActionKind::Index,
        "create" => ActionKind::Create,
        "update" => ActionKind::Update,
        "delete" => ActionKind::Delete,
        other => {
            return Err(malformed(&format!(
                "expected field [create], [delete], [index] or [update] but found [{other}]"
            )));
        }
    };
    if entries.next().is_some() {
        return Err(malformed("expected END_OBJECT but found [FIELD_NAME]"));
    }
    let Value::Object(parameters) = parameters else {
        let found = token_name(parameters);
        return Err(malformed(&format!(
            "expected START_OBJECT but found [{found}]"
        )));
    };
    ActionReader {
        number,
        action: Action::of(kind),
        wanted: WriteConditions::default(),
    }
    .read(parameters)
}

impl Action {
    fn of(kind: ActionKind) -> Self {
        Self {
            kind,
            index: None,
            id: None,
            routing: None,
            require_alias: None,
            require_data_stream: None,
            retry_on_conflict: 0,
            source: None,
            condition: Condition::None,
            templates: ChosenTemplates::default(),
        }
    }
}

struct ActionReader<'a> {
    number: usize,
    action: Action,
    wanted: WriteConditions<'a>,
}

impl<'a> ActionReader<'a> {
    fn read(mut self, parameters: &'a Map<String, Value>) -> Result<Action, ApiError> {
        for (name, value) in parameters {
            self.parameter(name, value)?;
        }
        self.action.condition = self.wanted.condition()?;
        Ok(self.action)
    }

    fn parameter(&mut self, name: &str, value: &'a Value) -> Result<(), ApiError> {
        let text = || match value {
            Value::Null => Ok(None),
            _ => scalar_text(value)
                .map(Some)
                .ok_or_else(|| self.not_simple(name, value)),
        };
        let (text, action) = match (name, value) {
            ("_source", _) => {
                self.action.source = Some(parse_source_filter(value)?);
                return Ok(());
            }
            ("dynamic_templates", Value::Object(names)) => return self.templates(names),
            _ => (text()?, &mut self.action),
        };
        match name {
            "_index" => action.index = text,
            "_id" => action.id = text,
            "routing" | "_routing" => action.routing = text,
            "require_alias" => action.require_alias = text.map(|text| text == "true"),
            "require_data_stream" => {
                action.require_data_stream = text.map(|text| text == "true");
            }
            "retry_on_conflict" | "_retry_on_conflict" => {
                action.retry_on_conflict = number(name, text)?.unwrap_or(0);
            }
            "if_seq_no" => self.wanted.seq_no = number(name, text)?,
            "if_primary_term" => self.wanted.term = number(name, text)?,
            "version" | "_version" => self.wanted.version = number(name, text)?,
            "version_type" | "_version_type" => self.wanted.version_type = value.as_str(),
            "op_type" => self.op_type(text.as_deref().unwrap_or("index"))?,
            "pipeline" if text.as_deref().is_none_or(|text| text == "_none") => {}
            "pipeline" => return Err(ApiError::unsupported("ingest pipeline")),
            // The one type there is, from older clients.
            "_type" if text.as_deref().is_none_or(|text| text == "_doc") => {}
            "dynamic_templates" if value.is_null() => {}
            _ => {
                let line = self.number;
                return Err(ApiError::illegal(format!(
                    "Action/metadata line [{line}] contains an unknown parameter [{name}]"
                )));
            }
        }
        Ok(())
    }

    /// Reads the names of templates by field.
    fn templates(&mut self, names: &Map<String, Value>) -> Result<(), ApiError> {
        let chosen = names.iter().map(|(path, name)| match scalar_text(name) {
            Some(text) => Ok((path.clone(), text)),
            None => Err(self.not_simple(&format!("dynamic_templates.{path}"), name)),
        });
        let chosen: ChosenTemplates = chosen.collect::<Result<_, _>>()?;
        let kind = match self.action.kind {
            ActionKind::Update => "Update",
            ActionKind::Delete => "Delete",
            ActionKind::Index | ActionKind::Create => {
                self.action.templates = chosen;
                return Ok(());
            }
        };
        match chosen.is_empty() {
            true => Ok(()),
            false => Err(ApiError::illegal(format!(
                "{kind} request in line [{}] does not accept dynamic_templates",
                self.number
            ))),
        }
    }

    fn op_type(&mut self, text: &str) -> Result<(), ApiError> {
        match (self.action.kind, text.to_ascii_lowercase().as_str()) {
            (ActionKind::Index | ActionKind::Create, "create") => {
                self.action.kind = ActionKind::Create;
                Ok(())
            }
            (_, "index") => Ok(()),
            _ => Err(ApiError::illegal(format!(
                "opType must be 'create' or 'index', found: [{text}]"
            ))),
        }
    }

    fn not_simple(&self, name: &str, value: &Value) -> ApiError {
        ApiError::illegal(format!(
            "Malformed action/metadata line [{}], expected a simple value for field [{name}] but \
             found [{}]",
            self.number,
            token_name(value)
        ))
    }
}

fn number<T: std::str::FromStr>(name: &str, text: Option<String>) -> Result<Option<T>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        ApiError::illegal(format!(
            "Failed to parse number [{text}] of parameter [{name}]"
        ))
    })
}

#[cfg(test)]
mod tests {
    use gleaner_model::{PrimaryTerm, SeqNo, Version};

    use super::*;

    fn read(text: &str) -> Result<Action, ApiError> {
        parse(text.as_bytes(), 3, &Limits::default())
    }

    #[test]
    fn parameters_of_an_action_are_read() {
        let action = read(
            r#"{"index":{"_index":"a","_id":7,"routing":"r","version":2,"version_type":"external"}}"#,
        )
        .expect("well formed");
        assert_eq!(action.kind, ActionKind::Index);
        assert_eq!(action.id.as_deref(), Some("7"));
        assert_eq!(action.condition, Condition::ExternalGreater(Version(2)));
        let action = read(r#"{"update":{"_id":"1","if_seq_no":3,"if_primary_term":1}}"#);
        let wanted = Condition::Is {
            seq_no: SeqNo(3),
            term: PrimaryTerm(1),
        };
        assert_eq!(action.expect("well formed").condition, wanted);
        let action = read(r#"{"index":{"op_type":"Create"}}"#).expect("well formed");
        assert_eq!(action.kind, ActionKind::Create);
        assert_eq!(action.require_data_stream, None);
        for wanted in [true, false] {
            let line = format!("{{\"create\":{{\"require_data_stream\":{wanted}}}}}");
            let action = read(&line).expect("well formed");
            assert_eq!(action.require_data_stream, Some(wanted));
        }
    }

    #[test]
    fn a_usual_line_is_read_as_any_line_is() {
        for text in [
            r#"{"index":{"_index":"a","_id":"1","routing":"r"}}"#,
            r#" { "create" : { "_id" : "\u00e9\n" } } "#,
            r#"{"delete":{"_index":null,"_id":"x"}}"#,
            r#"{"update":{}}"#,
        ] {
            let usual = parse_usual(text.as_bytes()).expect(text);
            let any = parse_any(text.as_bytes(), 1, &Limits::default());
            assert_eq!(usual, any.expect(text));
        }
        for text in [
            r#"{"index":["a","1"]}"#,
            r#"{"index":{"_id":1}}"#,
            r#"{"index":{"_id":"1","_id":"2"}}"#,
            r#"{"index":{},"delete":{}}"#,
            r#""index""#,
        ] {
            assert_eq!(parse_usual(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn templates_are_chosen_for_fields_by_name() {
        for (templates, expected) in [
            ("{}", vec![]),
            ("null", vec![]),
            (r#"{"b.c":"t","a":7}"#, vec![("a", "7"), ("b.c", "t")]),
        ] {
            let line = format!("{{\"create\":{{\"dynamic_templates\":{templates}}}}}");
            let action = read(&line).expect("well formed");
            let chosen: Vec<(&str, &str)> = action.templates.by_field().collect();
            assert_eq!(chosen, expected, "{line}");
        }
        let delete = read(r#"{"delete":{"_id":"1","dynamic_templates":{}}}"#);
        assert!(delete.is_ok_and(|action| action.templates.is_empty()));
    }

    #[test]
    fn malformed_lines_are_named_by_number() {
        for (text, part) in [
            ("{}", "line [3], expected FIELD_NAME but found [END_OBJECT]"),
            (
                "[]",
                "line [3], expected START_OBJECT but found [START_ARRAY]",
            ),
            (r#"{"put":{}}"#, "but found [put]"),
            (
                r#"{"index":1}"#,
                "expected START_OBJECT but found [VALUE_NUMBER]",
            ),
            (r#"{"index":{},"x":1}"#, "expected END_OBJECT"),
            (
                r#"{"index":{"_id":{}}}"#,
                "expected a simple value for field [_id]",
            ),
            (r#"{"index":{"_idx":"1"}}"#, "unknown parameter [_idx]"),
            (r#"{"index":{"pipeline":"p"}}"#, "ingest pipeline"),
            (
                r#"{"update":{"dynamic_templates":{"a":"t"}}}"#,
                "Update request in line [3] does not accept dynamic_templates",
            ),
            (
                r#"{"index":{"dynamic_templates":"t"}}"#,
                "unknown parameter [dynamic_templates]",
            ),
            (
                r#"{"index":{"dynamic_templates":["t"]}}"#,
                "expected a simple value for field [dynamic_templates]",
            ),
            (
                r#"{"index":{"dynamic_templates":{"a":null}}}"#,
                "expected a simple value for field [dynamic_templates.a] but found [VALUE_NULL]",
            ),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.reason().contains(part), "{text}: {}", error.reason());
        }
        assert!(read("{\"index\"").is_err());
    }
}
