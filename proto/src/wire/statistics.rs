//! Numbers for scoring and expansions of patterns.

use std::collections::{BTreeMap, BTreeSet};

use gleaner_model::FieldPath;
use gleaner_query::resolved::{
    ExpansionCandidate, ExpansionRequest, FieldStatistics, Statistics, StatisticsRequest,
};

use super::field::{byte, one, size};
use super::ids::field_text;
use super::{DecodeError, Wire, v1};

impl Wire for Statistics {
    type Message = v1::Statistics;

    fn to_message(&self) -> v1::Statistics {
        let Self { fields, terms } = self;
        v1::Statistics {
            fields: fields.iter().map(field_message).collect(),
            terms: terms.iter().map(terms_message).collect(),
        }
    }

    fn from_message(message: v1::Statistics) -> Result<Self, DecodeError> {
        let v1::Statistics { fields, terms } = message;
        let terms = terms.into_iter().map(terms_of_field);
        Ok(Self {
            fields: fields.into_iter().map(field_statistics).collect(),
            terms: terms.collect::<Result<_, _>>()?,
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
    if terms.len() != documents.len() {
        let reason = format!("{} numbers for {} terms", documents.len(), terms.len());
        return Err(DecodeError::field("Statistics.terms", reason));
    }
    Ok((
        FieldPath::new(field),
        terms.into_iter().zip(documents).collect(),
    ))
}

impl Wire for StatisticsRequest {
    type Message = v1::StatisticsRequest;

    fn to_message(&self) -> v1::StatisticsRequest {
        let Self { fields } = self;
        let field = |(field, terms): (&FieldPath, &BTreeSet<String>)| {
            let terms = terms.iter().cloned().collect();
            let field = field_text(field);
            v1::statistics_request::Field { field, terms }
        };
        v1::StatisticsRequest {
            fields: fields.iter().map(field).collect(),
        }
    }

    fn from_message(message: v1::StatisticsRequest) -> Result<Self, DecodeError> {
        let field = |message: v1::statistics_request::Field| {
            let v1::statistics_request::Field { field, terms } = message;
            (FieldPath::new(field), terms.into_iter().collect())
        };
        Ok(Self {
            fields: message.fields.into_iter().map(field).collect(),
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
