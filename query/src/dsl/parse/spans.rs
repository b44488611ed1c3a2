//! `span_*`: spans inside spans, each counted as a clause.

use serde_json::Value;

use super::{Parser, label, name_and_body, one_field};
use crate::dsl::{Query, SpanQuery, SpanRule};
use crate::error::QueryError;
use crate::json::{ObjectReader, scalar_text};

impl Parser<'_> {
    /// Reads the query of spans called `name`.
    pub(super) fn span(&mut self, name: &str, body: &Value) -> Result<SpanQuery, QueryError> {
        if name == "span_term" {
            return span_term(body);
        }
        let mut reader = ObjectReader::query(name, body)?;
        let rule = match name {
            "span_multi" => self.span_multi(&mut reader)?,
            "span_near" => self.span_near(&mut reader)?,
            "span_or" => SpanRule::Or(self.span_list(&mut reader)?),
            "span_first" => SpanRule::First {
                inner: self.span_inside(&mut reader, "match")?,
                end: required_end(&mut reader)?,
            },
            "span_not" => self.span_not(&mut reader)?,
            "span_containing" => SpanRule::Containing {
                big: self.span_inside(&mut reader, "big")?,
                little: self.span_inside(&mut reader, "little")?,
            },
            _ => SpanRule::Within {
                big: self.span_inside(&mut reader, "big")?,
                little: self.span_inside(&mut reader, "little")?,
            },
        };
        let boost = reader.boost()?;
        reader.finish()?;
        Ok(SpanQuery { rule, boost })
    }

    fn span_near(&mut self, reader: &mut ObjectReader<'_>) -> Result<SpanRule, QueryError> {
        let slop = reader.integer("slop")?.unwrap_or(0);
        let in_order = reader.boolean("in_order")?.unwrap_or(true);
        let mut clauses: Vec<SpanRule> = Vec::new();
        for value in listed(reader)? {
            let Some((field, width)) = span_gap(value)? else {
                clauses.push(self.span_clause(value, "span_near", "clauses")?);
                continue;
            };
            if !in_order {
                return Err(QueryError::illegal(
                    "Gaps can only be added to ordered near queries",
                ));
            }
            self.enter()?;
            self.depth -= 1;
            let before = clauses.pop().ok_or_else(|| {
                QueryError::parsing("[span_near] [clauses] can't begin with [span_gap]")
            })?;
            clauses.push(spaced(before, field, width)?);
        }
        Ok(SpanRule::Near {
            clauses,
            slop: u32::try_from(slop.max(0)).unwrap_or(u32::MAX),
            in_order,
        })
    }

    fn span_not(&mut self, reader: &mut ObjectReader<'_>) -> Result<SpanRule, QueryError> {
        let dist = reader.small_count("dist")?;
        let pre = reader.small_count("pre")?;
        let post = reader.small_count("post")?;
        if dist.is_some() && (pre.is_some() || post.is_some()) {
            return Err(QueryError::illegal(
                "span_not can either use [dist] or [pre] & [post] (or none)".to_owned(),
            ));
        }
        Ok(SpanRule::Not {
            include: self.span_inside(reader, "include")?,
            exclude: self.span_inside(reader, "exclude")?,
            pre: dist.or(pre).unwrap_or(0),
            post: dist.or(post).unwrap_or(0),
        })
    }

    fn span_multi(&mut self, reader: &mut ObjectReader<'_>) -> Result<SpanRule, QueryError> {
        let value = reader.take("match").ok_or_else(|| {
            QueryError::parsing("[span_multi] must have [match] multi term query clause".to_owned())
        })?;
        match self.query(value)? {
            multi
            @ (Query::Prefix(_) | Query::Wildcard(_) | Query::Regexp(_) | Query::Fuzzy(_)) => {
                Ok(SpanRule::Multi(Box::new(multi)))
            }
            _ => Err(QueryError::parsing(
                "[span_multi] [match] must be one of [prefix, wildcard, regexp, fuzzy]".to_owned(),
            )),
        }
    }

    fn span_list(&mut self, reader: &mut ObjectReader<'_>) -> Result<Vec<SpanRule>, QueryError> {
        let name = reader.name();
        let clauses = listed(reader)?.iter();
        clauses
            .map(|clause| self.span_clause(clause, name, "clauses"))
            .collect()
    }

    fn span_inside(
        &mut self,
        reader: &mut ObjectReader<'_>,
        key: &'static str,
    ) -> Result<Box<SpanRule>, QueryError> {
        let name = reader.name();
        let value = reader.take(key).ok_or_else(|| {
            QueryError::parsing(format!("[{name}] must have [{key}] span query clause"))
        })?;
        self.span_clause(value, name, key).map(Box::new)
    }

    /// Reads a query of spans inside the `key` of another; its score is part of that one's.
    fn span_clause(
        &mut self,
        value: &Value,
        around: &str,
        key: &str,
    ) -> Result<SpanRule, QueryError> {
        let (name, body) = name_and_body(value)?;
        if !is_span(name) {
            return Err(QueryError::parsing(format!(
                "[{around}] [{key}] must be of type span query, but was [{name}]"
            )));
        }
        self.enter()?;
        let label = label::taken(name, body)?;
        let SpanQuery { rule, boost } = match &label {
            None => self.span(name, body)?,
            Some((_, bare)) => self.span(name, bare)?,
        };
        self.depth -= 1;
        if boost != 1.0 {
            return Err(QueryError::parsing(format!(
                "{around} [{key}] as a nested span clause can't have non-default boost value [{boost:?}]"
            )));
        }
        Ok(match label {
            None => rule,
            Some((name, _)) => SpanRule::Named {
                name,
                inner: Box::new(rule),
            },
        })
    }
}

/// Returns whether a query of this name is one of spans.
pub(super) fn is_span(name: &str) -> bool {
    matches!(
        name,
        "span_term"
            | "span_multi"
            | "span_near"
            | "span_or"
            | "span_first"
            | "span_not"
            | "span_containing"
            | "span_within"
    )
}

/// Returns the `clauses` of a query, at least one.
fn listed<'v>(reader: &mut ObjectReader<'v>) -> Result<&'v [Value], QueryError> {
    let listed = reader.take("clauses").and_then(Value::as_array);
    let listed = listed.filter(|clauses| !clauses.is_empty());
    let none = || {
        let name = reader.name();
        QueryError::parsing(format!(
            "[{name}] must include at least one clause in [clauses]"
        ))
    };
    listed.map(Vec::as_slice).ok_or_else(none)
}

/// Returns the field and the width of a gap; `None` for any other clause.
fn span_gap(value: &Value) -> Result<Option<(&str, u32)>, QueryError> {
    let (name, body) = name_and_body(value)?;
    if name != "span_gap" {
        return Ok(None);
    }
    let (field, width) = one_field(name, body)?;
    let width = width.as_u64().and_then(|width| u32::try_from(width).ok());
    let width = width.ok_or_else(|| {
        QueryError::parsing(format!(
            "[span_gap] the width of [{field}] must be a whole number, 0 or more"
        ))
    })?;
    Ok(Some((field, width)))
}

/// Puts a gap behind a clause; two of them are one.
fn spaced(clause: SpanRule, field: &str, width: u32) -> Result<SpanRule, QueryError> {
    match clause {
        SpanRule::Spaced { field: other, .. } if other != field => {
            Err(QueryError::illegal(format!(
                "[span_near] Clauses must have same field, but they have [{other}] and [{field}]"
            )))
        }
        SpanRule::Spaced {
            inner,
            field,
            width: first,
        } => Ok(SpanRule::Spaced {
            inner,
            field,
            width: first.saturating_add(width),
        }),
        inner => Ok(SpanRule::Spaced {
            inner: Box::new(inner),
            field: field.to_owned(),
            width,
        }),
    }
}

fn span_term(body: &Value) -> Result<SpanQuery, QueryError> {
    let (field, value) = one_field("span_term", body)?;
    let (value, boost) = match value {
        Value::Object(_) => {
            let mut reader = ObjectReader::query("span_term", value)?;
            let value = super::value::scalar(&mut reader, &["value", "term"])?;
            let boost = reader.boost()?;
            reader.finish()?;
            (value, boost)
        }
        short => (short, 1.0),
    };
    if scalar_text(value).is_none() {
        return Err(QueryError::illegal("value cannot be null".to_owned()));
    }
    Ok(SpanQuery {
        rule: SpanRule::Term {
            field: field.to_owned(),
            value: value.clone(),
        },
        boost,
    })
}

fn required_end(reader: &mut ObjectReader<'_>) -> Result<u32, QueryError> {
    reader
        .small_count("end")?
        .ok_or_else(|| QueryError::parsing("[span_first] must have [end] set for it".to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Limits;
    use crate::dsl::parse_query;

    fn parsed(query: &Value) -> Result<SpanRule, String> {
        match parse_query(query, &Limits::default()) {
            Ok(Query::Span(query)) => Ok(query.rule),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.reason),
        }
    }

    #[test]
    fn spans_are_read_inside_spans() {
        let near = parsed(&json!({"span_near": {
            "clauses": [
                {"span_term": {"t": "a"}},
                {"span_multi": {"match": {"prefix": {"t": "b"}}}},
                {"span_or": {"clauses": [{"span_term": {"t": {"value": "c"}}}]}},
            ],
            "slop": 2, "in_order": false,
        }}));
        let SpanRule::Near {
            clauses,
            slop: 2,
            in_order: false,
        } = near.expect("read")
        else {
            panic!("no near");
        };
        assert_eq!(clauses.len(), 3);
        let not = parsed(&json!({"span_not": {
            "include": {"span_term": {"t": "a"}}, "exclude": {"span_term": {"t": "b"}}, "dist": 3,
        }}));
        assert!(matches!(
            not,
            Ok(SpanRule::Not {
                pre: 3,
                post: 3,
                ..
            })
        ));
    }

    #[test]
    fn spans_inside_spans_have_names() {
        let near = json!({"span_near": {"clauses": [{"span_term": {"t": "b"}}], "_name": "outer"}});
        let either = parsed(&json!({"span_or": {"clauses": [
            {"span_term": {"t": {"value": "a", "_name": "inner"}}}, near,
        ]}}));
        let SpanRule::Or(clauses) = either.expect("read") else {
            panic!("no alternatives");
        };
        let name_of = |rule: &SpanRule| match rule {
            SpanRule::Named { name, .. } => name.clone(),
            other => panic!("{other:?}"),
        };
        let names: Vec<String> = clauses.iter().map(name_of).collect();
        assert_eq!(names, ["inner", "outer"]);
    }

    #[test]
    fn gaps_belong_to_the_clause_before_them() {
        let gap = |width: u32| json!({"span_gap": {"t": width}});
        let clauses = json!([{"span_term": {"t": "a"}}, gap(2), gap(1), {"span_term": {"t": "b"}}]);
        let near = parsed(&json!({"span_near": {"clauses": clauses}}));
        let SpanRule::Near { clauses, .. } = near.expect("read") else {
            panic!("no near");
        };
        let is_one_gap = matches!(
            &clauses[..],
            [SpanRule::Spaced { width: 3, .. }, SpanRule::Term { .. }]
        );
        assert!(is_one_gap, "{clauses:?}");
    }

    #[test]
    fn what_is_no_span_is_refused_by_name() {
        let gap = json!({"span_gap": {"t": 1}});
        let a = json!({"span_term": {"t": "a"}});
        let term = json!({"span_term": {"t": {"value": "a", "boost": 2}}});
        for (query, reason) in [
            (
                json!({"span_near": {"clauses": []}}),
                "[span_near] must include at least one clause",
            ),
            (
                json!({"span_near": {"clauses": [gap, a]}}),
                "[span_near] [clauses] can't begin with [span_gap]",
            ),
            (
                json!({"span_near": {"clauses": [a, gap], "in_order": false}}),
                "Gaps can only be added to ordered near queries",
            ),
            (
                json!({"span_near": {"clauses": [a, {"span_gap": {"t": -1}}]}}),
                "[span_gap] the width of [t] must be a whole number",
            ),
            (
                json!({"span_near": {"clauses": [a, gap, {"span_gap": {"u": 1}}]}}),
                "[span_near] Clauses must have same field, but they have [t] and [u]",
            ),
            (
                json!({"span_or": {"clauses": [a, gap]}}),
                "[span_or] [clauses] must be of type span query, but was [span_gap]",
            ),
            (gap.clone(), "[span_gap] query is not supported"),
            (
                json!({"span_or": {"clauses": [{"match_all": {}}]}}),
                "[span_or] [clauses] must be of type span query, but was [match_all]",
            ),
            (
                json!({"span_or": {"clauses": [term]}}),
                "span_or [clauses] as a nested span clause can't have non-default boost value [2.0]",
            ),
            (
                json!({"span_first": {"end": 1}}),
                "[span_first] must have [match] span query clause",
            ),
            (
                json!({"span_multi": {"match": {"term": {"t": "a"}}}}),
                "[span_multi] [match] must be one of",
            ),
        ] {
            let refused = parsed(&query).expect_err("refused");
            assert!(refused.starts_with(reason), "{query}: {refused}");
        }
    }
}
