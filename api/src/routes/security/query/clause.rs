//! Queries on API keys: read from a body, then held against each key.
//!
//! Does: `match_all`, `term`, `terms`, `ids`, `prefix`, `wildcard`, `exists`, `range` and `bool` of those. Refuses
//! other types of queries by name. Does not: score, since keys are in the order of their ids or of a sort.

use std::collections::BTreeSet;
use std::ops::{Bound, RangeBounds as _};

use gleaner_query::QueryError;
use gleaner_query::date::{DateFormatter, DateReader, TimeZone};
use gleaner_query::error::ErrorType;
use gleaner_query::json::{ObjectReader, scalar_text};
use serde_json::Value;

use super::Entry;
use super::field::{DATE_FORMAT, Field, FieldValue};
use super::pattern::Pattern;

/// Most clauses and values of one query: each is held against each key.
const MOST_CLAUSES: usize = 1_024;

/// How many clauses a pattern counts as: it takes longer than other clauses.
const CLAUSES_OF_PATTERN: usize = 8;

/// Most characters of a pattern: the time that it takes grows with them.
const MOST_CHARACTERS: usize = 512;

/// A query on keys.
#[derive(Debug)]
pub(super) enum Clause {
    All,
    /// The text of a field is one of these.
    OneOf(Field, BTreeSet<String>),
    /// The value of a field is between two.
    Between(Field, Bound<FieldValue>, Bound<FieldValue>),
    /// One of them matches.
    Any(Vec<Clause>),
    Prefix(Field, String),
    Wildcard(Field, Pattern),
    Exists(Field),
    Bool(BoolClause),
}

/// Clauses put together.
#[derive(Debug)]
pub(super) struct BoolClause {
    /// Those that must match: `must` and `filter`.
    required: Vec<Clause>,
    optional: Vec<Clause>,
    forbidden: Vec<Clause>,
    /// How many of the optional ones must match.
    num_optional: usize,
}

/// Reads the query of a request that came at `now_ms`.
///
/// # Errors
/// Types, fields and options that are not supported, by name; too many clauses.
pub(super) fn parse(query: &Value, now_ms: i64) -> Result<Clause, QueryError> {
    let formatter = DateFormatter::parse_pattern(DATE_FORMAT)?;
    let mut parser = ClauseParser {
        formatter,
        now_ms,
        num_clauses: 0,
    };
    parser.clause(query)
}

/// Reads a query clause by clause.
struct ClauseParser {
    formatter: DateFormatter,
    now_ms: i64,
    /// How many clauses and values were read.
    num_clauses: usize,
}

impl ClauseParser {
    fn clause(&mut self, query: &Value) -> Result<Clause, QueryError> {
        self.count(1)?;
        let entries = query.as_object().ok_or_else(|| {
            QueryError::parsing("[_na] query malformed, must start with start_object")
        })?;
        let mut entries = entries.iter();
        let Some((kind, body)) = entries.next() else {
            let reason = "query malformed, empty clause found";
            return Err(QueryError::illegal(reason));
        };
        if entries.next().is_some() {
            return Err(QueryError::parsing(format!(
                "[{kind}] malformed query, expected [END_OBJECT] but found [FIELD_NAME]"
            )));
        }
        match kind.as_str() {
            "match_all" => match_all(body),
            "ids" => self.ids(body),
            "term" => self.term(body),
            "terms" => self.terms(body),
            "prefix" => prefix(body),
            "wildcard" => self.wildcard(body),
            "exists" => exists(body),
            "range" => self.range(body),
            "bool" => self.bool(body),
            other => Err(QueryError::illegal(format!(
                "Query type [{other}] is not supported for API Key query"
            ))),
        }
    }

    /// Counts clauses and values, and refuses too many.
    fn count(&mut self, num_more: usize) -> Result<(), QueryError> {
        self.num_clauses = self.num_clauses.saturating_add(num_more);
        match self.num_clauses > MOST_CLAUSES {
            true => {
                let reason = format!("a query of API keys has at most [{MOST_CLAUSES}] clauses");
                Err(QueryError::new(ErrorType::TooManyClauses, reason))
            }
            false => Ok(()),
        }
    }

    fn dates(&self) -> DateReader<'_> {
        DateReader {
            formatter: &self.formatter,
            zone: &TimeZone::UTC,
            now_ms: self.now_ms,
        }
    }

    fn ids(&mut self, body: &Value) -> Result<Clause, QueryError> {
        let mut reader = ObjectReader::query("ids", body)?;
        reader.ignore(&["boost", "_name"]);
        let ids = reader.texts("values")?.unwrap_or_default();
        reader.finish()?;
        self.count(ids.len())?;
        Ok(Clause::OneOf(Field::Id, ids.into_iter().collect()))
    }

    fn term(&self, body: &Value) -> Result<Clause, QueryError> {
        let (field, value) = one_field("term", body)?;
        self.equal(field, given("term", value, &["value"])?)
    }

    fn terms(&mut self, body: &Value) -> Result<Clause, QueryError> {
        let (field, values) = one_field("terms", body)?;
        let values = values.as_array().ok_or_else(|| {
            let name = field.name();
            QueryError::parsing(format!("[terms] query requires an array for [{name}]"))
        })?;
        self.count(values.len())?;
        if field.is_text() {
            let texts = values.iter().map(|value| field.read_text(value));
            return Ok(Clause::OneOf(field, texts.collect::<Result<_, _>>()?));
        }
        let clauses = values.iter().map(|value| self.equal(field, value));
        Ok(Clause::Any(clauses.collect::<Result<_, _>>()?))
    }

    /// Returns what matches keys with a value: of dates, every instant that its text names.
    fn equal(&self, field: Field, value: &Value) -> Result<Clause, QueryError> {
        if field.is_text() {
            let text = field.read_text(value)?;
            return Ok(Clause::OneOf(field, BTreeSet::from([text])));
        }
        let from = field.read(value, &self.dates(), false)?;
        let to = field.read(value, &self.dates(), true)?;
        let (from, to) = (Bound::Included(from), Bound::Included(to));
        Ok(Clause::Between(field, from, to))
    }

    fn range(&self, body: &Value) -> Result<Clause, QueryError> {
        let (field, options) = one_field("range", body)?;
        let mut reader = ObjectReader::query("range", options)?;
        let format = reader.text("format")?;
        let format = format.map(|format| DateFormatter::parse_pattern(&format));
        let format = format.transpose()?;
        let zone = reader.text("time_zone")?;
        let zone = zone.map(|zone| TimeZone::parse(&zone)).transpose()?;
        let dates = DateReader {
            formatter: format.as_ref().unwrap_or(&self.formatter),
            zone: zone.as_ref().unwrap_or(&TimeZone::UTC),
            now_ms: self.now_ms,
        };
        reader.ignore(&["boost", "_name"]);
        let mut end = |key: &'static str, round_up: bool| {
            let value = reader.take(key).filter(|value| !value.is_null());
            let value = value.map(|value| field.read(value, &dates, round_up));
            value.transpose()
        };
        let (gte, gt) = (end("gte", false)?, end("gt", true)?);
        let (lte, lt) = (end("lte", true)?, end("lt", false)?);
        reader.finish()?;
        let from = gt.map(Bound::Excluded).or(gte.map(Bound::Included));
        let to = lt.map(Bound::Excluded).or(lte.map(Bound::Included));
        let (from, to) = (
            from.unwrap_or(Bound::Unbounded),
            to.unwrap_or(Bound::Unbounded),
        );
        Ok(Clause::Between(field, from, to))
    }

    fn wildcard(&mut self, body: &Value) -> Result<Clause, QueryError> {
        self.count(CLAUSES_OF_PATTERN - 1)?;
        let (field, text) = pattern("wildcard", body, &["value", "wildcard"])?;
        let num_characters = text.chars().count();
        match num_characters > MOST_CHARACTERS {
            true => Err(QueryError::illegal(format!(
                "[wildcard] has a pattern of [{num_characters}] characters, at most [{MOST_CHARACTERS}] are taken"
            ))),
            false => Ok(Clause::Wildcard(field, Pattern::parse(&text))),
        }
    }

    fn bool(&mut self, body: &Value) -> Result<Clause, QueryError> {
        let mut reader = ObjectReader::query("bool", body)?;
        reader.ignore(&["boost", "_name", "adjust_pure_negative"]);
        let mut required = self.clauses(reader.take("must"))?;
        required.extend(self.clauses(reader.take("filter"))?);
        let optional = self.clauses(reader.take("should"))?;
        let forbidden = self.clauses(reader.take("must_not"))?;
        let least = reader.small_count("minimum_should_match")?;
        reader.finish()?;
        let default = usize::from(required.is_empty() && !optional.is_empty());
        let num_optional = match least {
            Some(least) => usize::try_from(least).unwrap_or(usize::MAX),
            None => default,
        };
        Ok(Clause::Bool(BoolClause {
            required,
            optional,
            forbidden,
            num_optional,
        }))
    }

    /// Reads one clause or a list of them.
    fn clauses(&mut self, clauses: Option<&Value>) -> Result<Vec<Clause>, QueryError> {
        match clauses {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(clauses)) => {
                let clauses = clauses.iter().map(|clause| self.clause(clause));
                clauses.collect()
            }
            Some(clause) => Ok(vec![self.clause(clause)?]),
        }
    }
}

fn match_all(body: &Value) -> Result<Clause, QueryError> {
    let mut reader = ObjectReader::query("match_all", body)?;
    reader.ignore(&["boost", "_name"]);
    reader.finish()?;
    Ok(Clause::All)
}

fn prefix(body: &Value) -> Result<Clause, QueryError> {
    let (field, text) = pattern("prefix", body, &["value"])?;
    Ok(Clause::Prefix(field, text))
}

fn exists(body: &Value) -> Result<Clause, QueryError> {
    let mut reader = ObjectReader::query("exists", body)?;
    reader.ignore(&["boost", "_name"]);
    let field = reader.text("field")?.unwrap_or_default();
    reader.finish()?;
    Ok(Clause::Exists(Field::parse(&field)?))
}

/// Returns the field and the text of a query that texts alone are asked with.
fn pattern(
    kind: &'static str,
    body: &Value,
    names: &[&'static str],
) -> Result<(Field, String), QueryError> {
    let (field, value) = one_field(kind, body)?;
    if !field.is_text() {
        let (name, type_name) = (field.name(), field.type_name());
        return Err(QueryError::illegal(format!(
            "Can only use {kind} queries on keyword, text and wildcard fields - not on [{name}] which is of type [{type_name}]"
        )));
    }
    let value = given(kind, value, names)?;
    let text = scalar_text(value);
    let text = text.ok_or_else(|| QueryError::parsing(format!("[{kind}] needs a text")))?;
    Ok((field, text))
}

/// Returns the one field of a query, and what stands under it.
fn one_field<'a>(kind: &'static str, body: &'a Value) -> Result<(Field, &'a Value), QueryError> {
    let mut reader = ObjectReader::query(kind, body)?;
    reader.ignore(&["boost", "_name"]);
    let mut fields = reader.rest();
    let Some((name, value)) = fields.next() else {
        let reason = format!("[{kind}] query needs a field");
        return Err(QueryError::parsing(reason));
    };
    match fields.next() {
        None => Ok((Field::parse(name)?, value)),
        Some((other, _)) => Err(QueryError::parsing(format!(
            "[{kind}] query doesn't support multiple fields, found [{name}] and [{other}]"
        ))),
    }
}

/// Returns the value of a query: by itself, or in an object under one of `names`.
fn given<'a>(
    kind: &'static str,
    value: &'a Value,
    names: &[&'static str],
) -> Result<&'a Value, QueryError> {
    if !value.is_object() {
        return Ok(value);
    }
    let mut reader = ObjectReader::query(kind, value)?;
    if reader.boolean("case_insensitive")? == Some(true) {
        reader.unsupported(&["case_insensitive"])?;
    }
    reader.ignore(&["boost", "_name", "rewrite"]);
    let given = reader.take_any(names);
    let given = given.ok_or_else(|| {
        let name = names.join("] or [");
        QueryError::parsing(format!("[{kind}] query needs [{name}]"))
    })?;
    reader.finish()?;
    Ok(given)
}

impl Clause {
    /// Does a key match?
    pub(super) fn matches(&self, entry: Entry<'_>) -> bool {
        match self {
            Self::All => true,
            Self::OneOf(field, texts) => {
                let text = field.text(entry);
                text.is_some_and(|text| texts.contains(text))
            }
            Self::Between(field, from, to) => {
                let range = (from.as_ref(), to.as_ref());
                let value = field.value(entry);
                value.is_some_and(|value| range.contains(&value))
            }
            Self::Any(clauses) => clauses.iter().any(|clause| clause.matches(entry)),
            Self::Prefix(field, prefix) => {
                let text = field.text(entry);
                text.is_some_and(|text| text.starts_with(prefix.as_str()))
            }
            Self::Wildcard(field, pattern) => {
                let text = field.text(entry);
                text.is_some_and(|text| pattern.matches(text))
            }
            Self::Exists(field) => field.value(entry).is_some(),
            Self::Bool(clauses) => clauses.matches(entry),
        }
    }
}

impl BoolClause {
    fn matches(&self, entry: Entry<'_>) -> bool {
        let is_match = |clause: &&Clause| clause.matches(entry);
        self.required.iter().all(|clause| clause.matches(entry))
            && !self.forbidden.iter().any(|clause| clause.matches(entry))
            && self.optional.iter().filter(is_match).count() >= self.num_optional
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gleaner_model::Rights;
    use gleaner_model::security::{ApiKey, KeyHash, KeyLimits};
    use serde_json::json;

    use super::*;

    fn key() -> Arc<ApiKey> {
        Arc::new(ApiKey {
            name: "team-web".to_owned(),
            hash: KeyHash::default(),
            creator: Some("boss".to_owned()),
            // 2021-08-18T01:29:14.811Z
            created_ms: 1_629_250_154_811,
            expires_ms: None,
            invalidated_ms: None,
            rights: Rights::default(),
            limits: KeyLimits::default(),
            role_descriptors: Value::Null,
            metadata: Value::Null,
        })
    }

    #[test]
    fn a_query_matches_by_what_a_key_is() {
        let key = key();
        let entry = Entry {
            id: "k1",
            key: &key,
        };
        let term = |name: &str, value: &str| json!({"term": {name: value}});
        for (query, expected) in [
            (json!({"match_all": {}}), true),
            (term("name", "team-web"), true),
            (json!({"term": {"username": {"value": "boss"}}}), true),
            (term("id", "k2"), false),
            (term("invalidated", "false"), true),
            (term("creation", "2021-08-18"), true),
            (term("creation", "2021-08-19"), false),
            (json!({"term": {"creation": 1_629_250_154_811_i64}}), true),
            (json!({"terms": {"id": ["k1", "k2"]}}), true),
            (json!({"terms": {"id": []}}), false),
            (json!({"terms": {"username": ["kim", "boss"]}}), true),
            (json!({"terms": {"invalidated": [true]}}), false),
            (json!({"ids": {"values": ["k1"]}}), true),
            (json!({"prefix": {"name": "team-"}}), true),
            (json!({"prefix": {"name": {"value": "tea-"}}}), false),
            (json!({"wildcard": {"name": {"value": "*w?b"}}}), true),
            (json!({"exists": {"field": "expiration"}}), false),
            (json!({"exists": {"field": "creation"}}), true),
            (json!({"range": {"creation": {"gte": "2021"}}}), true),
            (json!({"range": {"creation": {"gt": "2021-08-18"}}}), false),
            (json!({"range": {"creation": {"lt": "now-1d"}}}), true),
            (json!({"range": {"expiration": {"gte": 0}}}), false),
            (json!({"range": {"name": {"gte": "t", "lt": "u"}}}), true),
            (json!({"bool": {}}), true),
            (json!({"bool": {"must_not": term("id", "k1")}}), false),
            (json!({"bool": {"should": [term("id", "k2")]}}), false),
            (
                json!({"bool": {"filter": [term("id", "k1")], "should": [term("id", "k2")]}}),
                true,
            ),
            (
                json!({"bool": {"should": [term("id", "k1"), term("name", "x")], "minimum_should_match": 2}}),
                false,
            ),
        ] {
            // 2021-08-20T00:00:00Z
            let clause = parse(&query, 1_629_417_600_000).expect("a query");
            assert_eq!(clause.matches(entry), expected, "{query}");
        }
    }

    #[test]
    fn too_many_clauses_are_refused() {
        let ids: Vec<String> = (0..MOST_CLAUSES).map(|id| id.to_string()).collect();
        let refused = parse(&json!({"ids": {"values": ids}}), 0).expect_err("too many");
        assert_eq!(refused.kind, ErrorType::TooManyClauses);
        // With the clause that holds them.
        let most = (MOST_CLAUSES - 1) / CLAUSES_OF_PATTERN;
        let patterns = |num: usize| vec![json!({"wildcard": {"name": "*a*"}}); num];
        let query = |num: usize| json!({"bool": {"should": patterns(num)}});
        assert!(parse(&query(most), 0).is_ok());
        let refused = parse(&query(most + 1), 0).expect_err("too many");
        assert_eq!(refused.kind, ErrorType::TooManyClauses);
    }

    #[test]
    fn long_patterns_are_refused() {
        let query = |num: usize| json!({"wildcard": {"name": "ä".repeat(num)}});
        assert!(parse(&query(MOST_CHARACTERS), 0).is_ok());
        let refused = parse(&query(MOST_CHARACTERS + 1), 0).expect_err("too long");
        assert_eq!(refused.kind, ErrorType::IllegalArgument);
        assert!(refused.reason.contains("[513]"), "{}", refused.reason);
    }
}
