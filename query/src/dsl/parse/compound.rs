//! Clauses made of clauses, and the two without content.

use serde_json::Value;

use super::Parser;
use super::value::{minimum_should_match, tie_breaker};
use crate::dsl::{BoolQuery, Query};
use crate::error::QueryError;
use crate::json::{ObjectReader, token_name};

pub(super) fn match_all(body: &Value) -> Result<Query, QueryError> {
    let mut reader = ObjectReader::part("match_all", body)?;
    let boost = reader.boost()?;
    reader.finish()?;
    Ok(Query::MatchAll { boost })
}

pub(super) fn match_none(body: &Value) -> Result<Query, QueryError> {
    let mut reader = ObjectReader::part("match_none", body)?;
    // Nothing matches, so nothing is scored; still the value must be one.
    reader.boost()?;
    reader.finish()?;
    Ok(Query::MatchNone)
}

impl Parser<'_> {
    pub(super) fn boolean(&mut self, body: &Value) -> Result<Query, QueryError> {
        let mut reader = ObjectReader::part("bool", body)?;
        let query = BoolQuery {
            must: self.queries(&mut reader, &["must"])?,
            filter: self.queries(&mut reader, &["filter"])?,
            should: self.queries(&mut reader, &["should"])?,
            must_not: self.queries(&mut reader, &["must_not", "mustNot"])?,
            minimum_should_match: minimum_should_match(&mut reader)?,
            boost: reader.boost()?,
        };
        if reader.boolean("adjust_pure_negative")? == Some(false) {
            return Err(QueryError::parsing(
                "[bool] [adjust_pure_negative] other than [true] is not supported".to_owned(),
            ));
        }
        reader.finish()?;
        Ok(Query::Bool(query))
    }

    pub(super) fn constant_score(&mut self, body: &Value) -> Result<Query, QueryError> {
        let mut reader = ObjectReader::query("constant_score", body)?;
        let filter = match reader.take("filter") {
            Some(value) => self.query(value)?,
            None => {
                return Err(QueryError::parsing(
                    "[constant_score] requires a 'filter' element".to_owned(),
                ));
            }
        };
        let boost = reader.boost()?;
        reader.finish()?;
        Ok(Query::ConstantScore {
            filter: Box::new(filter),
            boost,
        })
    }

    pub(super) fn dis_max(&mut self, body: &Value) -> Result<Query, QueryError> {
        let mut reader = ObjectReader::query("dis_max", body)?;
        let queries = self.queries(&mut reader, &["queries"])?;
        if queries.is_empty() {
            return Err(QueryError::parsing(
                "[dis_max] requires 'queries' field with at least one clause".to_owned(),
            ));
        }
        let tie_breaker = tie_breaker(&mut reader)?.unwrap_or(0.0);
        let boost = reader.boost()?;
        reader.finish()?;
        Ok(Query::DisMax {
            queries,
            tie_breaker,
            boost,
        })
    }

    pub(super) fn boosting(&mut self, body: &Value) -> Result<Query, QueryError> {
        let mut reader = ObjectReader::query("boosting", body)?;
        let positive = self.required(&mut reader, "positive")?;
        let negative = self.required(&mut reader, "negative")?;
        let negative_boost = reader.factor("negative_boost")?.ok_or_else(|| {
            QueryError::parsing(
                "[boosting] query requires 'negative_boost' to be set to be a positive value"
                    .to_owned(),
            )
        })?;
        let boost = reader.boost()?;
        reader.finish()?;
        Ok(Query::Boosting {
            positive: Box::new(positive),
            negative: Box::new(negative),
            negative_boost,
            boost,
        })
    }

    fn required(
        &mut self,
        reader: &mut ObjectReader<'_>,
        key: &'static str,
    ) -> Result<Query, QueryError> {
        let value = reader.take(key).ok_or_else(|| {
            QueryError::parsing(format!(
                "[{}] query requires '{key}' query to be set",
                reader.name()
            ))
        })?;
        self.query(value)
    }

    /// Reads one query or an array of them; empty when absent or null.
    fn queries(
        &mut self,
        reader: &mut ObjectReader<'_>,
        keys: &[&'static str],
    ) -> Result<Vec<Query>, QueryError> {
        match reader.take_any(keys) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(|item| self.query(item)).collect(),
            Some(single @ Value::Object(_)) => Ok(vec![self.query(single)?]),
            Some(other) => Err(QueryError::parsing(format!(
                "[{}] query malformed, expected a query or an array of queries in [{}] but found \
                 [{}]",
                reader.name(),
                keys[0],
                token_name(other)
            ))),
        }
    }
}
