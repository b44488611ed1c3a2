//! `_security/_query/api_key`: finds API keys by what they are.
//!
//! Does: hold the keys that `GET _security/api_key` shows to the same sender against a query, sort and page them. Does
//! not: aggregate them, or search their metadata. All keys are in the cluster state, so each is looked at in turn.
//! Read first: [`query`], then [`Clause`]. Source: Elasticsearch reference, *Query API key information*.

mod clause;
mod field;
mod pattern;
mod sort;

use std::cmp::Ordering;

use gleaner_model::security::{ApiKey, Security};
use gleaner_query::QueryError;
use gleaner_query::json::ObjectReader;
use serde_json::{Value, json};

use super::{KeyHolder, check_time, holder, is_of, manages_all, shown};
use crate::error::ApiError;
use crate::request::{Answer, Request};
use crate::response::{Buffer, Extent, KeepOn, Reply};
use clause::Clause;
use field::FieldValue;
use sort::SortKey;

/// Keys of a page where the request does not say how many: as in the dialect.
const DEFAULT_SIZE: usize = 10;

/// Most of `from` and `size` together: as in the dialect.
const MAX_WINDOW: usize = 10_000;

/// Steps for a key at most, to look at it and to show it: clauses with patterns take long.
const STEPS_PER_KEY: usize = 64 << 10;

/// A key under its id.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    id: &'a str,
    key: &'a ApiKey,
}

/// A key that was found, with the values that it is sorted by.
struct Found<'a> {
    entry: Entry<'a>,
    values: Vec<FieldValue>,
}

/// What a body asks for.
struct Wanted {
    clause: Clause,
    sort: Vec<SortKey>,
    /// Values that those of all keys of the page come after.
    after: Option<Vec<FieldValue>>,
    from: usize,
    size: usize,
}

pub(super) async fn query(mut request: Request) -> Answer {
    let body = request.json().await?.unwrap_or_else(|| json!({}));
    let holder = holder(&request)?.clone();
    let cluster = request.root().cluster();
    let (state, now_ms) = (cluster.state(), cluster.now_ms());
    let wanted = Wanted::parse(&body, now_ms)?;
    let security = state.security.clone().unwrap_or_default();
    let extent = Extent {
        work_bytes: security.api_keys.len().saturating_mul(STEPS_PER_KEY),
        body_bytes: 0,
    };
    let write = move |out: &mut Buffer<'_>| {
        let answer = wanted.answer(&security, &holder, out.keep_on());
        out.try_json(answer)
    };
    let body = request.making.written(extent, write).await?;
    Ok(Reply::made(body))
}

impl Wanted {
    /// Reads the body of a request that came at `now_ms`.
    fn parse(body: &Value, now_ms: i64) -> Result<Self, QueryError> {
        let mut reader = ObjectReader::part("query_api_key", body)?;
        reader.unsupported_unless_empty(&["aggs", "aggregations"])?;
        let clause = match reader.take("query") {
            None | Some(Value::Null) => Clause::All,
            Some(query) => clause::parse(query, now_ms)?,
        };
        let sort = match reader.take("sort") {
            None | Some(Value::Null) => Vec::new(),
            Some(sort) => sort::parse(sort)?,
        };
        let after = match reader.take("search_after") {
            None | Some(Value::Null) => None,
            Some(Value::Array(values)) => Some(sort::parse_after(&sort, values, now_ms)?),
            Some(other) => return Err(reader.wrong("search_after", "an array", other)),
        };
        let from = reader.small_count("from")?.unwrap_or_default();
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let size = reader.small_count("size")?;
        let size = size.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        let size = size.unwrap_or(DEFAULT_SIZE);
        reader.finish()?;
        let wanted = Self {
            clause,
            sort,
            after,
            from,
            size,
        };
        wanted.check_window()?;
        Ok(wanted)
    }

    fn check_window(&self) -> Result<(), QueryError> {
        let window = self.from.saturating_add(self.size);
        if window > MAX_WINDOW {
            return Err(QueryError::illegal(format!(
                "Result window is too large, from + size must be less than or equal to: [{MAX_WINDOW}] but was [{window}]"
            )));
        }
        match self.after.is_some() && self.from > 0 {
            true => Err(QueryError::illegal(
                "`from` parameter must be set to 0 when `search_after` is used",
            )),
            false => Ok(()),
        }
    }

    /// Returns the answer to the owner of a key.
    ///
    /// # Errors
    /// 503 where there was no time for it.
    fn answer(
        &self,
        security: &Security,
        holder: &KeyHolder,
        keep_on: KeepOn<'_>,
    ) -> Result<Value, ApiError> {
        let sees_all = manages_all(holder);
        let mut found = Vec::new();
        for (id, key) in &security.api_keys {
            check_time(keep_on)?;
            let entry = Entry { id, key };
            if (sees_all || is_of(holder, id, key)) && self.clause.matches(entry) {
                found.push(self.found(entry));
            }
        }
        let total = found.len();
        // Keys that tie are in the order of their ids.
        found.sort_by(|a, b| sort::compare(&self.sort, &a.values, &b.values));
        if let Some(after) = &self.after {
            let order = |found: &Found<'_>| sort::compare(&self.sort, &found.values, after);
            found.retain(|found| order(found) == Ordering::Greater);
        }
        let page = found.iter().skip(self.from).take(self.size);
        let keys = page.map(|found| check_time(keep_on).map(|()| self.show(found)));
        let keys = keys.collect::<Result<Vec<Value>, ApiError>>()?;
        Ok(json!({"total": total, "count": keys.len(), "api_keys": keys}))
    }

    /// Returns a key with the values that it is sorted by.
    fn found<'a>(&self, entry: Entry<'a>) -> Found<'a> {
        let values = self.sort.iter().map(|key| key.value(entry));
        Found {
            entry,
            values: values.collect(),
        }
    }

    /// Returns a key as `GET _security/api_key` shows it, with the values that it is sorted by.
    fn show(&self, found: &Found<'_>) -> Value {
        let mut key = shown(found.entry.id, found.entry.key);
        if !self.sort.is_empty() {
            let values = self.sort.iter().zip(&found.values);
            let values = values.map(|(key, value)| key.show(value));
            key["_sort"] = values.collect();
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &Value) -> String {
        let refused = Wanted::parse(body, 0).err().expect("refused");
        refused.reason
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for (body, expected) in [
            (
                json!({"aggs": {"a": {"terms": {"field": "name"}}}}),
                "[aggs]",
            ),
            (
                json!({"query": {"match": {"name": "a"}}}),
                "Query type [match]",
            ),
            (
                json!({"query": {"term": {"metadata.team": "a"}}}),
                "[metadata.team]",
            ),
            (
                json!({"query": {"prefix": {"creation": "1"}}}),
                "[creation]",
            ),
            (json!({"query": {}}), "empty clause"),
            (json!({"sort": ["realm"]}), "[realm]"),
            (json!({"sort": [{"name": {"mode": "min"}}]}), "[mode]"),
            (json!({"search_after": [1]}), "at least one field"),
            (
                json!({"sort": "name", "search_after": ["a", "b"]}),
                "has 2 value(s) but sort has 1",
            ),
            (
                json!({"sort": "name", "search_after": ["a"], "from": 1}),
                "set to 0",
            ),
            (json!({"size": 10_001}), "window is too large"),
            (json!({"from": -1}), "[from]"),
            (json!({"pit": {}}), "unknown field [pit]"),
        ] {
            let reason = refused(&body);
            assert!(reason.contains(expected), "{body}: {reason}");
        }
    }

    #[test]
    fn what_is_left_out_has_the_defaults_of_the_dialect() {
        let wanted = Wanted::parse(&json!({}), 0).expect("a query");
        assert_eq!((wanted.from, wanted.size), (0, DEFAULT_SIZE));
        assert!(wanted.sort.is_empty() && wanted.after.is_none());
    }
}
