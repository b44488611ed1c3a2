//! `intervals`: rules inside rules, each counted as a clause.

use serde_json::{Map, Value};

use super::value::{check_chars, fuzziness};
use super::{Parser, one_field};
use crate::dsl::{
    Fuzziness, IntervalFilter, IntervalMatch, IntervalPattern, IntervalPatternKind, IntervalRange,
    IntervalRelation, IntervalRule, IntervalTerms, IntervalsQuery,
};
use crate::dsl::{IntervalOrder, TermEdge};
use crate::error::QueryError;
use crate::json::{ObjectReader, did_you_mean, token_name};

/// The rules, in the order of the reference.
const RULES: [&str; 8] = [
    "match", "prefix", "wildcard", "regexp", "fuzzy", "range", "all_of", "any_of",
];

impl Parser<'_> {
    pub(super) fn intervals(&mut self, body: &Value) -> Result<IntervalsQuery, QueryError> {
        let (field, value) = one_field("intervals", body)?;
        let Value::Object(entries) = value else {
            return Err(not_a_rule(value));
        };
        let mut rule = entries.clone();
        let given: Map<String, Value> = ["boost", "_name"]
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), rule.shift_remove(key)?)))
            .collect();
        let given = Value::Object(given);
        let mut reader = ObjectReader::query("intervals", &given)?;
        let boost = reader.boost()?;
        reader.finish()?;
        Ok(IntervalsQuery {
            field: field.to_owned(),
            rule: self.interval_rule(&Value::Object(rule))?,
            boost,
        })
    }

    /// Reads `{"rule": {…}}` one level below the current one.
    fn interval_rule(&mut self, value: &Value) -> Result<IntervalRule, QueryError> {
        let entries = value.as_object().ok_or_else(|| not_a_rule(value))?;
        let is_unknown = |name: &&String| !RULES.contains(&name.as_str());
        if let Some(name) = entries
            .keys()
            .find(is_unknown)
            .filter(|_| entries.len() > 1)
        {
            let reason = format!("[intervals] query does not support [{name}]");
            return Err(QueryError::parsing(reason));
        }
        let mut entries = entries.iter();
        let (Some((name, body)), None) = (entries.next(), entries.next()) else {
            return Err(QueryError::parsing(format!(
                "[intervals] query malformed, expected one of [{}]",
                RULES.join(", ")
            )));
        };
        self.enter()?;
        let rule = match name.as_str() {
            "match" => self.interval_match(body)?,
            "prefix" => self.interval_pattern(name, "prefix", body)?,
            "wildcard" | "regexp" => self.interval_pattern(name, "pattern", body)?,
            "fuzzy" => self.interval_pattern(name, "term", body)?,
            "range" => self.interval_range(body)?,
            "all_of" => self.interval_all_of(body)?,
            "any_of" => self.interval_any_of(body)?,
            unknown => {
                let shown: String = unknown.chars().take(80).collect();
                let hint = did_you_mean(unknown, RULES);
                return Err(QueryError::parsing(format!(
                    "Unknown interval type [{shown}], expecting one of [{}]{hint}",
                    RULES.join(", ")
                )));
            }
        };
        self.depth -= 1;
        Ok(rule)
    }

    fn interval_match(&mut self, body: &Value) -> Result<IntervalRule, QueryError> {
        let mut reader = ObjectReader::query("match", body)?;
        let query = required(&mut reader, "query")?;
        let rule = IntervalMatch {
            query,
            max_gaps: max_gaps(&mut reader)?,
            order: order(&mut reader)?,
            terms: terms(&mut reader)?,
            filter: self.interval_filter(&mut reader)?,
        };
        reader.finish()?;
        Ok(IntervalRule::Match(rule))
    }

    fn interval_pattern(
        &mut self,
        name: &str,
        key: &'static str,
        body: &Value,
    ) -> Result<IntervalRule, QueryError> {
        let mut reader = ObjectReader::query(name, body)?;
        let text = required(&mut reader, key)?;
        check_chars(&text, self.limits.pattern_chars, name)?;
        let kind = match name {
            "prefix" => IntervalPatternKind::Prefix,
            "wildcard" => IntervalPatternKind::Wildcard,
            "regexp" => IntervalPatternKind::Regexp,
            _ => IntervalPatternKind::Fuzzy {
                fuzziness: fuzziness(&mut reader)?.unwrap_or(Fuzziness::Auto { low: 3, high: 6 }),
                prefix_length: reader.small_count("prefix_length")?.unwrap_or(0),
                transpositions: reader.boolean("transpositions")?.unwrap_or(true),
            },
        };
        let terms = terms(&mut reader)?;
        reader.finish()?;
        Ok(IntervalRule::Pattern(IntervalPattern { text, kind, terms }))
    }

    fn interval_range(&self, body: &Value) -> Result<IntervalRule, QueryError> {
        let mut reader = ObjectReader::query("range", body)?;
        let range = IntervalRange {
            lower: edge(&mut reader, "gte", "gt")?,
            upper: edge(&mut reader, "lte", "lt")?,
            terms: terms(&mut reader)?,
        };
        reader.finish()?;
        for edge in [&range.lower, &range.upper] {
            check_chars(&edge.term, self.limits.pattern_chars, "range")?;
        }
        Ok(IntervalRule::Range(range))
    }

    fn interval_all_of(&mut self, body: &Value) -> Result<IntervalRule, QueryError> {
        let mut reader = ObjectReader::query("all_of", body)?;
        let rule = IntervalRule::AllOf {
            rules: self.interval_rules(&mut reader)?,
            order: order(&mut reader)?,
            max_gaps: max_gaps(&mut reader)?,
            filter: self.interval_filter(&mut reader)?,
        };
        reader.finish()?;
        Ok(rule)
    }

    fn interval_any_of(&mut self, body: &Value) -> Result<IntervalRule, QueryError> {
        let mut reader = ObjectReader::query("any_of", body)?;
        let rule = IntervalRule::AnyOf {
            rules: self.interval_rules(&mut reader)?,
            filter: self.interval_filter(&mut reader)?,
        };
        reader.finish()?;
        Ok(rule)
    }

    fn interval_rules(
        &mut self,
        reader: &mut ObjectReader<'_>,
    ) -> Result<Vec<IntervalRule>, QueryError> {
        let listed = reader.take("intervals").and_then(Value::as_array);
        let listed = listed.ok_or_else(|| {
            QueryError::parsing(format!(
                "[{}] requires an array of rules in [intervals]",
                reader.name()
            ))
        })?;
        listed.iter().map(|rule| self.interval_rule(rule)).collect()
    }

    /// Reads `{"relation": {"rule": {…}}}`.
    fn interval_filter(
        &mut self,
        reader: &mut ObjectReader<'_>,
    ) -> Result<Option<IntervalFilter>, QueryError> {
        let Some(value) = reader.take("filter") else {
            return Ok(None);
        };
        let entries = value
            .as_object()
            .ok_or_else(|| reader.wrong("filter", "an object", value))?;
        let mut entries = entries.iter();
        let (Some((name, rule)), None) = (entries.next(), entries.next()) else {
            return Err(QueryError::parsing(
                "[filter] of an interval must name one relation".to_owned(),
            ));
        };
        let known = IntervalRelation::ALL
            .iter()
            .find(|(known, _)| known == name);
        let Some((_, relation)) = known else {
            let reason = match name.as_str() {
                "script" => "[filter] [script] of an interval is not supported".to_owned(),
                unknown => format!("[filter] of an interval does not know [{unknown}]"),
            };
            return Err(QueryError::parsing(reason));
        };
        Ok(Some(IntervalFilter {
            relation: *relation,
            rule: Box::new(self.interval_rule(rule)?),
        }))
    }
}

fn not_a_rule(value: &Value) -> QueryError {
    QueryError::parsing(format!(
        "[intervals] query malformed, expected a rule but found [{}]",
        token_name(value)
    ))
}

fn required(reader: &mut ObjectReader<'_>, key: &'static str) -> Result<String, QueryError> {
    let name = reader.name();
    reader
        .text(key)?
        .ok_or_else(|| QueryError::parsing(format!("[{name}] of an interval requires [{key}]")))
}

/// Reads an end of a range, which is given by one of two keys.
fn edge(
    reader: &mut ObjectReader<'_>,
    included: &'static str,
    excluded: &'static str,
) -> Result<TermEdge, QueryError> {
    match (reader.text(included)?, reader.text(excluded)?) {
        (Some(term), None) => Ok(TermEdge {
            term,
            is_included: true,
        }),
        (None, Some(term)) => Ok(TermEdge {
            term,
            is_included: false,
        }),
        _ => Err(QueryError::parsing(format!(
            "Either [{included}] or [{excluded}], one of them must be provided"
        ))),
    }
}

fn terms(reader: &mut ObjectReader<'_>) -> Result<IntervalTerms, QueryError> {
    Ok(IntervalTerms {
        analyzer: reader.text("analyzer")?,
        use_field: reader.text("use_field")?,
    })
}

/// Reads `max_gaps`, where what is negative is no limit.
fn max_gaps(reader: &mut ObjectReader<'_>) -> Result<Option<u32>, QueryError> {
    let given = reader.integer("max_gaps")?;
    Ok(given.and_then(|gaps| u32::try_from(gaps).ok()))
}

/// Reads `mode`, or `ordered`, which it took the place of.
fn order(reader: &mut ObjectReader<'_>) -> Result<IntervalOrder, QueryError> {
    let is_ordered = reader.boolean("ordered")?;
    let Some(mode) = reader.text("mode")? else {
        return Ok(match is_ordered {
            Some(true) => IntervalOrder::Ordered,
            Some(false) | None => IntervalOrder::Unordered,
        });
    };
    if is_ordered.is_some() {
        let reason = format!("[{}] takes one of [ordered] and [mode]", reader.name());
        return Err(QueryError::parsing(reason));
    }
    match mode.to_ascii_lowercase().as_str() {
        "ordered" => Ok(IntervalOrder::Ordered),
        "unordered" => Ok(IntervalOrder::Unordered),
        "unordered_no_overlap" => Ok(IntervalOrder::Separate),
        _ => Err(QueryError::parsing(format!(
            "[{}] [mode] must be one of [ordered, unordered, unordered_no_overlap], but was [{mode}]",
            reader.name()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Limits;
    use crate::dsl::{Query, parse_query};

    fn parsed(rule: &Value) -> Result<IntervalsQuery, String> {
        let body = json!({"intervals": {"text": rule}});
        match parse_query(&body, &Limits::default()) {
            Ok(Query::Intervals(query)) => Ok(query),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.reason),
        }
    }

    #[test]
    fn rules_are_read_with_their_options() {
        let query = parsed(&json!({
            "boost": 2,
            "all_of": {
                "ordered": true,
                "max_gaps": 3,
                "intervals": [
                    {"match": {"query": "a b", "mode": "unordered_no_overlap", "use_field": "t"}},
                    {"any_of": {"intervals": [{"prefix": {"prefix": "p"}}, {"wildcard": {"pattern": "w*"}}, {"regexp": {"pattern": "r+"}}]}},
                    {"fuzzy": {"term": "f", "fuzziness": 1}},
                ],
                "filter": {"not_containing": {"match": {"query": "x"}}},
            }
        }));
        let query = query.expect("read");
        assert_eq!(query.boost, 2.0);
        let IntervalRule::AllOf {
            rules,
            order: IntervalOrder::Ordered,
            max_gaps: Some(3),
            filter: Some(filter),
        } = query.rule
        else {
            panic!("{:?}", query.rule);
        };
        assert_eq!(rules.len(), 3);
        assert_eq!(filter.relation, IntervalRelation::NotContaining);
        let IntervalRule::Match(first) = &rules[0] else {
            panic!("{:?}", rules[0]);
        };
        assert_eq!(first.order, IntervalOrder::Separate);
        assert_eq!(first.max_gaps, None);
        assert_eq!(first.terms.use_field.as_deref(), Some("t"));
    }

    #[test]
    fn what_is_no_rule_is_refused_by_name() {
        for (rule, reason) in [
            (
                json!({"match": {}}),
                "[match] of an interval requires [query]",
            ),
            (
                json!({"macth": {"query": "x"}}),
                "Unknown interval type [macth]",
            ),
            (
                json!({"regexp": {"term": "x"}}),
                "[regexp] of an interval requires [pattern]",
            ),
            (
                json!({"range": {"gte": "x"}}),
                "Either [lte] or [lt], one of them must be provided",
            ),
            (
                json!({"range": {"gte": "a", "gt": "b", "lt": "x"}}),
                "Either [gte] or [gt], one of them must be provided",
            ),
            (
                json!({"range": {"gte": "a", "lt": "x", "format": "y"}}),
                "[range] query does not support [format]",
            ),
            (json!({}), "[intervals] query malformed, expected one of"),
            (
                json!({"match": {"query": "x", "filter": {"script": {"source": "1"}}}}),
                "[filter] [script] of an interval is not supported",
            ),
            (
                json!({"match": {"query": "x", "mode": "ordered", "ordered": true}}),
                "[match] takes one of [ordered] and [mode]",
            ),
            (json!({"all_of": {}}), "[all_of] requires an array of rules"),
            (
                json!({"match": {"query": "x", "slop": 1}}),
                "[match] query does not support [slop]",
            ),
        ] {
            let refused = parsed(&rule).expect_err("refused");
            assert!(refused.starts_with(reason), "{rule}: {refused}");
        }
    }
}
