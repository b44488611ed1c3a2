//! Calls and answers about single hits: their content, their explanation.

use std::sync::Arc;
use std::time::Duration;

use gleaner_model::DocumentId;
use gleaner_query::answer::{FetchedHit, FetchedHits, MatchedQuery};
use gleaner_query::resolved::{Clause, NamedClause};
use serde_json::Value;

use super::field::{all, maybe, maybe_message, messages, micros, millis, one};
use super::{DecodeError, Wire, v1};
use crate::read::Document;
use crate::search::{
    ExplainAnswer, ExplainCall, ExplainedDocument, FetchCall, FetchFrom, FetchHits, FetchWhat,
    HighlightWhat,
};

impl Wire for FetchCall {
    type Message = v1::FetchCall;

    fn to_message(&self) -> v1::FetchCall {
        let Self {
            shards,
            what,
            remaining,
        } = self;
        v1::FetchCall {
            shards: messages(shards),
            what: Some(what.to_message()),
            remaining_ms: millis(*remaining),
        }
    }

    fn from_message(message: v1::FetchCall) -> Result<Self, DecodeError> {
        let v1::FetchCall {
            shards,
            what,
            remaining_ms,
        } = message;
        Ok(Self {
            shards: all(shards)?,
            what: Arc::new(one(what, "FetchCall.what")?),
            remaining: Duration::from_millis(remaining_ms),
        })
    }
}

impl Wire for FetchFrom {
    type Message = v1::FetchFrom;

    fn to_message(&self) -> v1::FetchFrom {
        let Self { shard, hits } = self;
        let (places, numbers) = match hits {
            FetchHits::Places(places) => (places.clone(), Vec::new()),
            FetchHits::Numbers(numbers) => (Vec::new(), numbers.clone()),
        };
        v1::FetchFrom {
            shard: Some(shard.to_message()),
            places,
            numbers,
        }
    }

    fn from_message(message: v1::FetchFrom) -> Result<Self, DecodeError> {
        let v1::FetchFrom {
            shard,
            places,
            numbers,
        } = message;
        let hits = match places.is_empty() {
            true => FetchHits::Numbers(numbers),
            false => FetchHits::Places(places),
        };
        Ok(Self {
            shard: one(shard, "FetchFrom.shard")?,
            hits,
        })
    }
}

impl Wire for FetchWhat {
    type Message = v1::FetchWhat;

    fn to_message(&self) -> v1::FetchWhat {
        let Self {
            docvalue_fields,
            fields,
            highlight,
            explain,
            named,
            named_by,
            is_without_source,
        } = self;
        v1::FetchWhat {
            docvalue_fields: messages(docvalue_fields),
            fields: messages(fields),
            highlight: maybe_message(highlight.as_ref()),
            explain: explain.as_ref().map(|query| query.to_message()),
            named: messages(named),
            named_by: named_by.as_ref().map(|query| query.to_message()),
            is_without_source: *is_without_source,
        }
    }

    fn from_message(message: v1::FetchWhat) -> Result<Self, DecodeError> {
        let v1::FetchWhat {
            docvalue_fields,
            fields,
            highlight,
            explain,
            named,
            named_by,
            is_without_source,
        } = message;
        Ok(Self {
            docvalue_fields: all(docvalue_fields)?,
            fields: all(fields)?,
            highlight: maybe(highlight)?,
            explain: maybe(explain)?.map(Arc::new),
            named: all(named)?,
            named_by: maybe(named_by)?.map(Arc::new),
            is_without_source,
        })
    }
}

impl Wire for NamedClause {
    type Message = v1::NamedClause;

    fn to_message(&self) -> v1::NamedClause {
        let Self { name, clause } = self;
        v1::NamedClause {
            name: name.clone(),
            clause: Some(clause.to_message()),
        }
    }

    fn from_message(message: v1::NamedClause) -> Result<Self, DecodeError> {
        let v1::NamedClause { name, clause } = message;
        Ok(Self {
            name,
            clause: one(clause, "NamedClause.clause")?,
        })
    }
}

impl Wire for HighlightWhat {
    type Message = v1::HighlightWhat;

    fn to_message(&self) -> v1::HighlightWhat {
        let Self {
            highlight,
            query,
            field_queries,
        } = self;
        let field_query =
            |query: &Option<Clause>| maybe_message(query.as_ref()).unwrap_or_default();
        v1::HighlightWhat {
            highlight: Some(highlight.to_message()),
            query: Some(query.to_message()),
            field_queries: field_queries.iter().map(field_query).collect(),
        }
    }

    fn from_message(message: v1::HighlightWhat) -> Result<Self, DecodeError> {
        let v1::HighlightWhat {
            highlight,
            query,
            field_queries,
        } = message;
        let field_query = |query: v1::Clause| maybe((!query.nodes.is_empty()).then_some(query));
        let field_queries = field_queries.into_iter().map(field_query);
        Ok(Self {
            highlight: one(highlight, "HighlightWhat.highlight")?,
            query: one(query, "HighlightWhat.query")?,
            field_queries: field_queries.collect::<Result<_, _>>()?,
        })
    }
}

impl Wire for FetchedHit {
    type Message = v1::FetchedHit;

    fn to_message(&self) -> v1::FetchedHit {
        let Self {
            id,
            routing,
            seq_no,
            term,
            version,
            source,
            ignored,
            ignored_values,
            matched_queries,
            fields,
            highlight,
            explanation,
        } = self;
        let document = v1::Document {
            id: id.as_str().to_owned(),
            routing: routing.clone(),
            seq_no: seq_no.0,
            term: term.0,
            version: version.0,
            source: source.clone(),
        };
        let highlight = highlight
            .iter()
            .map(|(field, fragments)| v1::FieldFragments {
                field: field.clone(),
                fragments: fragments.clone(),
            });
        v1::FetchedHit {
            document: Some(document),
            fields: field_messages(fields),
            highlight: highlight.collect(),
            explanation: maybe_message(explanation.as_ref()),
            ignored: ignored.clone(),
            ignored_values: field_messages(ignored_values),
            matched_queries: matched_queries.iter().map(|m| m.name.clone()).collect(),
            matched_scores: matched_queries.iter().filter_map(|m| m.score).collect(),
        }
    }

    fn from_message(message: v1::FetchedHit) -> Result<Self, DecodeError> {
        let v1::FetchedHit {
            document,
            fields,
            highlight,
            explanation,
            ignored,
            ignored_values,
            matched_queries,
            matched_scores,
        } = message;
        let Document {
            id,
            routing,
            seq_no,
            term,
            version,
            source,
        } = one(document, "FetchedHit.document")?;
        let highlight = highlight
            .into_iter()
            .map(|v1::FieldFragments { field, fragments }| (field, fragments));
        let matched = matched_queries.into_iter().enumerate();
        let matched = matched.map(|(at, name)| MatchedQuery {
            name,
            score: matched_scores.get(at).copied(),
        });
        Ok(Self {
            id,
            routing,
            seq_no,
            term,
            version,
            source,
            ignored,
            ignored_values: values_of_fields(ignored_values)?.into_iter().collect(),
            matched_queries: matched.collect(),
            fields: values_of_fields(fields)?.into_iter().collect(),
            highlight: highlight.collect(),
            explanation: maybe(explanation)?,
        })
    }
}

/// Returns the messages of fields with their values.
fn field_messages<'a>(
    fields: impl IntoIterator<Item = (&'a String, &'a Vec<Value>)>,
) -> Vec<v1::FieldValues> {
    let fields = fields.into_iter();
    let fields = fields.map(|(field, values)| v1::FieldValues {
        field: field.clone(),
        values: messages(values),
    });
    fields.collect()
}

/// Returns fields with their values, in the order of the messages.
fn values_of_fields(
    messages: Vec<v1::FieldValues>,
) -> Result<Vec<(String, Vec<Value>)>, DecodeError> {
    let mut fields = Vec::with_capacity(messages.len());
    for v1::FieldValues { field, values } in messages {
        fields.push((field, all(values)?));
    }
    Ok(fields)
}

impl Wire for FetchedHits {
    type Message = v1::FetchedHits;

    fn to_message(&self) -> v1::FetchedHits {
        let Self { hits, cpu } = self;
        v1::FetchedHits {
            hits: messages(hits),
            cpu_us: micros(*cpu),
        }
    }

    fn from_message(message: v1::FetchedHits) -> Result<Self, DecodeError> {
        let v1::FetchedHits { hits, cpu_us } = message;
        Ok(Self {
            hits: all(hits)?,
            cpu: Duration::from_micros(cpu_us),
        })
    }
}

impl Wire for ExplainCall {
    type Message = v1::ExplainCall;

    fn to_message(&self) -> v1::ExplainCall {
        let Self {
            shard,
            id,
            query,
            remaining,
        } = self;
        v1::ExplainCall {
            shard: Some(shard.to_message()),
            id: id.as_str().to_owned(),
            query: Some(query.to_message()),
            remaining_ms: millis(*remaining),
        }
    }

    fn from_message(message: v1::ExplainCall) -> Result<Self, DecodeError> {
        let v1::ExplainCall {
            shard,
            id,
            query,
            remaining_ms,
        } = message;
        Ok(Self {
            shard: one(shard, "ExplainCall.shard")?,
            id: DocumentId::parse(&id)?,
            query: Arc::new(one(query, "ExplainCall.query")?),
            remaining: Duration::from_millis(remaining_ms),
        })
    }
}

impl Wire for ExplainedDocument {
    type Message = v1::ExplainedDocument;

    fn to_message(&self) -> v1::ExplainedDocument {
        let Self {
            matched,
            explanation,
            document,
        } = self;
        v1::ExplainedDocument {
            matched: *matched,
            explanation: Some(explanation.to_message()),
            document: Some(document.to_message()),
        }
    }

    fn from_message(message: v1::ExplainedDocument) -> Result<Self, DecodeError> {
        let v1::ExplainedDocument {
            matched,
            explanation,
            document,
        } = message;
        Ok(Self {
            matched,
            explanation: one(explanation, "ExplainedDocument.explanation")?,
            document: one(document, "ExplainedDocument.document")?,
        })
    }
}

impl Wire for ExplainAnswer {
    type Message = v1::MaybeExplained;

    fn to_message(&self) -> v1::MaybeExplained {
        let Self {
            found,
            may_be_stale,
        } = self;
        v1::MaybeExplained {
            document: maybe_message(found.as_ref()),
            may_be_stale: *may_be_stale,
        }
    }

    fn from_message(message: v1::MaybeExplained) -> Result<Self, DecodeError> {
        let v1::MaybeExplained {
            document,
            may_be_stale,
        } = message;
        Ok(Self {
            found: maybe(document)?,
            may_be_stale,
        })
    }
}
