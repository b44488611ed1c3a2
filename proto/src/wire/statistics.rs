//! Numbers for scoring and expansions of patterns.

use std::collections::{BTreeMap, BTreeSet};

use gleaner_model::FieldPath;
use gleaner_query::resolved::{
    ExpansionCandidate, ExpansionRequest, FieldStatistics, FieldTotals, Statistics,
    StatisticsRequest,
};

use super::field::{byte, one, size};
use super::ids::field_text;
use super::{DecodeError, Wire, v1};

impl Wire for Statistics {
    type Message = v1::Statistics;

    fn to_message(&self) -> v1::Statistics {
        let Self {
            fields,
            terms,
            totals,
        } = self;
        v1::Statistics {
            fields: fields.iter().map(field_message).collect(),
            terms: terms.iter().map(terms_message).collect(),
            totals: totals.iter().map(totals_message).collect(),
        }
    }

    fn from_message(message: v1::Statistics) -> Result<Self, DecodeError> {
        let v1::Statistics {
            fields,
            terms,
            totals,
        } = message;
        let terms = terms.into_iter().map(terms_of_field);
        let totals = totals.into_iter().map(totals_of_field);
        Ok(Self {
            fields: fields.into_iter().map(field_statistics).collect(),
            terms: terms.collect::<Result<_, _>>()?,
            totals: totals.collect::<Result<_, _>>()?,
        })
    }
}

fn field_message((field, numbers): (&FieldPath, &FieldStatistics)) -> v1::statistics::Field {
    let FieldStatistics {
        documents,
        total_length,
    } = *numbers;
    v1::statistics::Field {
        field: field_text(field),
        documents,
        total_length,
    }
}

fn field_statistics(message: v1::statistics::Field) -> (FieldPath, FieldStatistics) {
    let v1::statistics::Field {
        field,
        documents,
        total_length,
    } = message;
    let numbers = FieldStatistics {
        documents,
        total_length,
    };
    (FieldPath::new(field), numbers)
}

type Terms = BTreeMap<String, u64>;

fn terms_message((field, terms): (&FieldPath, &Terms)) -> v1::statistics::Terms {
    v1::statistics::Terms {
        field: field_text(field),
        terms: terms.keys().cloned().collect(),
        documents: terms.values().copied().collect(),
    }
}

fn terms_of_field(message: v1::statistics::Terms) -> Result<(FieldPath, Terms), DecodeError> {
    let v1::statistics::Terms {
        field,
        terms,
        documents,
    } = message;
    let terms = numbered(terms, documents, "Statistics.terms")?;
    Ok((FieldPath::new(field), terms))
}

/// Returns terms with a number each.
fn numbered(
    terms: Vec<String>,
    numbers: Vec<u64>,
    place: &'static str,
) -> Result<Terms, DecodeError> {
    if terms.len() != numbers.len() {
        let reason = format!("{} numbers for {} terms", numbers.len(), terms.len());
        return Err(DecodeError::field(place, reason));
    }
    Ok(terms.into_iter().zip(numbers).collect())
}

fn totals_message((field, totals): (&FieldPath, &FieldTotals)) -> v1::statistics::Totals {
    let FieldTotals {
        postings,
        occurrences,
        terms,
    } = totals;
    v1::statistics::Totals {
        field: field_text(field),
        postings: *postings,
        occurrences: *occurrences,
        terms: terms.keys().cloned().collect(),
        occurrences_of_terms: terms.values().copied().collect(),
    }
}

fn totals_of_field(
    message: v1::statistics::Totals,
) -> Result<(FieldPath, FieldTotals), DecodeError> {
    let v1::statistics::Totals {
        field,
        postings,
        occurrences,
        terms,
        occurrences_of_terms,
    } = message;
    let totals = FieldTotals {
        postings,
        occurrences,
        terms: numbered(terms, occurrences_of_terms, "Statistics.totals")?,
    };
    Ok((FieldPath::new(field), totals))
}

impl Wire for StatisticsRequest {
    type Message = v1::StatisticsRequest;

    fn to_message(&self) -> v1::StatisticsRequest {
        let Self { fields, totals } = self;
        let field = |(field, terms): (&FieldPath, &BTreeSet<String>)| {
            let terms = terms.iter().cloned().collect();
            let field = field_text(field);
            v1::statistics_request::Field { field, terms }
        };
        v1::StatisticsRequest {
            fields: fields.iter().map(field).collect(),
            totals: *totals,
        }
    }

    fn from_message(message: v1::StatisticsRequest) -> Result<Self, DecodeError> {
        let field = |message: v1::statistics_request::Field| {
            let v1::statistics_request::Field { field, terms } = message;
            (FieldPath::new(field), terms.into_iter().collect())
        };
        Ok(Self {
            fields: message.fields.into_iter().map(field).collect(),
            totals: message.totals,
        })
    }
}

impl Wire for ExpansionRequest {
    type Message = v1::ExpansionRequest;

    fn to_message(&self) -> v1::ExpansionRequest {
        let Self {
            field,
            pattern,
            limit,
        } = self;
        v1::ExpansionRequest {
            field: field_text(field),
            pattern: Some(pattern.to_message()),
            limit: *limit as u64,
        }
    }

    fn from_message(message: v1::ExpansionRequest) -> Result<Self, DecodeError> {
        let v1::ExpansionRequest {
            field,
            pattern,
            limit,
        } = message;
        Ok(Self {
            field: FieldPath::new(field),
            pattern: one(pattern, "ExpansionRequest.pattern")?,
            limit: size(limit, "ExpansionRequest.limit")?,
        })
    }
}

impl Wire for ExpansionCandidate {
    type Message = v1::ExpansionCandidate;

    fn to_message(&self) -> v1::ExpansionCandidate {
        let Self {
            distance,
            term,
            documents,
        } = self;
        v1::ExpansionCandidate {
            distance: u32::from(*distance),
            term: term.clone(),
            documents: *documents,
        }
    }

    fn from_message(message: v1::ExpansionCandidate) -> Result<Self, DecodeError> {
        let v1::ExpansionCandidate {
            distance,
            term,
            documents,
        } = message;
        Ok(Self {
            distance: byte(distance, "ExpansionCandidate.distance")?,
            term,
            documents,
        })
    }
}
