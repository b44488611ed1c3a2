//! Queries that the oracle can answer, and how the dialect writes them.

use serde_json::{Map, Value, json};

/// Which words of a text must match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// At least one.
    Or,
    /// All.
    And,
}

/// How the fields of a `multi_match` count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// The best field.
    BestFields,
    /// All fields, added.
    MostFields,
    /// The best field, each as a phrase.
    Phrase,
}

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub enum Clause {
    /// `match_all`.
    All,
    /// `term`.
    Term {
        /// Field.
        field: String,
        /// The term, not analysed.
        value: String,
    },
    /// `match`.
    Match {
        /// Field.
        field: String,
        /// Analysed like the field.
        text: String,
        /// Which words must match.
        operator: Operator,
        /// `minimum_should_match`; only with [`Operator::Or`].
        minimum: Option<usize>,
    },
    /// `terms_set` that wants as many terms of every document.
    TermsSet {
        /// Field.
        field: String,
        /// The terms, not analysed.
        terms: Vec<String>,
        /// `minimum_should_match`; 0 is 1.
        minimum: usize,
    },
    /// `match_phrase` without slop.
    Phrase {
        /// Field.
        field: String,
        /// Analysed like the field.
        text: String,
    },
    /// `multi_match`.
    MultiMatch {
        /// Field and its factor.
        fields: Vec<(String, f32)>,
        /// Analysed like each field.
        text: String,
        /// How the fields count.
        combine: Combine,
    },
    /// `bool`.
    Bool {
        /// Must match and score.
        must: Vec<Clause>,
        /// May match and score.
        should: Vec<Clause>,
        /// Must match.
        filter: Vec<Clause>,
        /// Must not match.
        must_not: Vec<Clause>,
        /// `minimum_should_match`, when said.
        minimum: Option<usize>,
    },
    /// `dis_max`.
    DisMax {
        /// The best counts.
        clauses: Vec<Clause>,
        /// Share of the others.
        tie_breaker: f32,
    },
    /// `constant_score`.
    Constant(Box<Clause>),
    /// `range` of an integer field: from `from`, below `below`.
    Range {
        /// Field.
        field: String,
        /// First value inside.
        from: i64,
        /// First value outside.
        below: i64,
    },
    /// A clause with a `boost`; not of another boost.
    Boost {
        /// The clause.
        clause: Box<Clause>,
        /// What its score is multiplied by.
        factor: f32,
    },
}

impl Clause {
    /// Returns `term`.
    pub fn term(field: &str, value: &str) -> Self {
        let (field, value) = (field.to_owned(), value.to_owned());
        Self::Term { field, value }
    }

    /// Returns `match`.
    pub fn matching(field: &str, text: &str, operator: Operator) -> Self {
        Self::Match {
            field: field.to_owned(),
            text: text.to_owned(),
            operator,
            minimum: None,
        }
    }

    /// Returns `match_phrase`.
    pub fn phrase(field: &str, text: &str) -> Self {
        let (field, text) = (field.to_owned(), text.to_owned());
        Self::Phrase { field, text }
    }

    /// Returns the query as the dialect writes it.
    pub fn to_json(&self) -> Value {
        self.with_boost(None)
    }

    fn with_boost(&self, boost: Option<f32>) -> Value {
        match self {
            Self::Boost { clause, factor } => clause.with_boost(Some(*factor)),
            Self::Term { field, value } => of_field("term", field, json!({"value": value}), boost),
            Self::Match { field, .. } => of_field("match", field, self.match_body(), boost),
            Self::Phrase { field, text } => {
                of_field("match_phrase", field, json!({"query": text}), boost)
            }
            Self::TermsSet {
                field,
                terms,
                minimum,
            } => {
                let body = json!({"terms": terms, "minimum_should_match": minimum});
                of_field("terms_set", field, body, boost)
            }
            Self::Range { field, from, below } => {
                of_field("range", field, json!({"gte": from, "lt": below}), boost)
            }
            Self::All => of("match_all", json!({}), boost),
            Self::MultiMatch { .. } => of("multi_match", self.multi_match_body(), boost),
            Self::Bool { .. } => of("bool", self.bool_body(), boost),
            Self::DisMax {
                clauses,
                tie_breaker,
            } => {
                let body = json!({"queries": all(clauses), "tie_breaker": tie_breaker});
                of("dis_max", body, boost)
            }
            Self::Constant(filter) => {
                of("constant_score", json!({"filter": filter.to_json()}), boost)
            }
        }
    }

    fn match_body(&self) -> Value {
        let Self::Match {
            text,
            operator,
            minimum,
            ..
        } = self
        else {
            return Value::Null;
        };
        let mut body = json!({"query": text});
        if *operator == Operator::And {
            body["operator"] = json!("and");
        }
        if let Some(minimum) = minimum {
            body["minimum_should_match"] = json!(minimum);
        }
        body
    }

    fn multi_match_body(&self) -> Value {
        let Self::MultiMatch {
            fields,
            text,
            combine,
        } = self
        else {
            return Value::Null;
        };
        let fields: Vec<String> = fields
            .iter()
            .map(|(f, boost)| format!("{f}^{boost}"))
            .collect();
        let kind = match combine {
            Combine::BestFields => "best_fields",
            Combine::MostFields => "most_fields",
            Combine::Phrase => "phrase",
        };
        json!({"query": text, "fields": fields, "type": kind})
    }

    fn bool_body(&self) -> Value {
        let Self::Bool {
            must,
            should,
            filter,
            must_not,
            minimum,
        } = self
        else {
            return Value::Null;
        };
        let mut body = Map::new();
        let lists = [
            ("must", must),
            ("should", should),
            ("filter", filter),
            ("must_not", must_not),
        ];
        for (name, clauses) in lists.into_iter().filter(|(_, clauses)| !clauses.is_empty()) {
            body.insert(name.to_owned(), all(clauses));
        }
        if let Some(minimum) = minimum {
            body.insert("minimum_should_match".to_owned(), json!(minimum));
        }
        Value::Object(body)
    }
}

fn all(clauses: &[Clause]) -> Value {
    clauses.iter().map(Clause::to_json).collect()
}

fn of(kind: &str, mut body: Value, boost: Option<f32>) -> Value {
    if let Some(boost) = boost {
        body["boost"] = json!(boost);
    }
    json!({kind: body})
}

fn of_field(kind: &str, field: &str, mut body: Value, boost: Option<f32>) -> Value {
    if let Some(boost) = boost {
        body["boost"] = json!(boost);
    }
    json!({kind: {field: body}})
}
