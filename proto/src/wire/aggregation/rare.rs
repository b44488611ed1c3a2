//! Buckets of rare and of significant values, and of the best documents.

use gleaner_query::aggregation::{
    Diversity, RareTermsAggregation, SamplerAggregation, Significance, SignificantTermsAggregation,
    TextTerms, Words,
};
use gleaner_query::dsl::Query;

use super::super::field::{known, maybe, maybe_message, one, size};
use super::super::v1::significant_terms_aggregation::Significance as Message;
use super::super::{DecodeError, Wire, v1};

impl Wire for RareTermsAggregation {
    type Message = v1::RareTermsAggregation;

    fn to_message(&self) -> v1::RareTermsAggregation {
        let Self {
            source,
            max_doc_count,
            include,
            exclude,
        } = self;
        v1::RareTermsAggregation {
            source: Some(source.to_message()),
            max_doc_count: *max_doc_count,
            include: maybe_message(include.as_ref()),
            exclude: maybe_message(exclude.as_ref()),
        }
    }

    fn from_message(message: v1::RareTermsAggregation) -> Result<Self, DecodeError> {
        let v1::RareTermsAggregation {
            source,
            max_doc_count,
            include,
            exclude,
        } = message;
        Ok(Self {
            source: one(source, "RareTerms.source")?,
            max_doc_count,
            include: maybe(include)?,
            exclude: maybe(exclude)?,
        })
    }
}

impl Wire for SignificantTermsAggregation {
    type Message = v1::SignificantTermsAggregation;

    fn to_message(&self) -> v1::SignificantTermsAggregation {
        let Self {
            source,
            size,
            min_doc_count,
            include,
            exclude,
            background,
            significance,
            text,
        } = self;
        v1::SignificantTermsAggregation {
            source: Some(source.to_message()),
            size: *size as u64,
            min_doc_count: *min_doc_count,
            include: maybe_message(include.as_ref()),
            exclude: maybe_message(exclude.as_ref()),
            has_background: background.is_some(),
            significance: Some(significance_message(*significance)),
            text: maybe_message(text.as_ref()),
        }
    }

    fn from_message(message: v1::SignificantTermsAggregation) -> Result<Self, DecodeError> {
        let v1::SignificantTermsAggregation {
            source,
            size: wanted,
            min_doc_count,
            include,
            exclude,
            has_background,
            significance,
            text,
        } = message;
        Ok(Self {
            source: one(source, "SignificantTerms.source")?,
            size: size(wanted, "SignificantTerms.size")?,
            min_doc_count,
            include: maybe(include)?,
            exclude: maybe(exclude)?,
            background: has_background.then_some(Query::MatchNone),
            significance: significance_of(known(significance, "SignificantTerms.significance")?),
            text: maybe(text)?,
        })
    }
}

impl Wire for TextTerms {
    type Message = v1::TextTerms;

    fn to_message(&self) -> v1::TextTerms {
        let Self {
            source_fields,
            compared,
        } = self;
        v1::TextTerms {
            source_fields: source_fields.clone(),
            compared: maybe_message(compared.as_ref()),
        }
    }

    fn from_message(message: v1::TextTerms) -> Result<Self, DecodeError> {
        let v1::TextTerms {
            source_fields,
            compared,
        } = message;
        Ok(Self {
            source_fields,
            compared: maybe(compared)?,
        })
    }
}

impl Wire for Words {
    type Message = v1::Words;

    fn to_message(&self) -> v1::Words {
        let Self { field, terms } = self;
        v1::Words {
            field: field.clone(),
            terms: terms.clone(),
        }
    }

    fn from_message(message: v1::Words) -> Result<Self, DecodeError> {
        let v1::Words { field, terms } = message;
        Ok(Self { field, terms })
    }
}

impl Wire for SamplerAggregation {
    type Message = v1::SamplerAggregation;

    fn to_message(&self) -> v1::SamplerAggregation {
        let Self { size, diversity } = self;
        v1::SamplerAggregation {
            size: *size as u64,
            diversity: maybe_message(diversity.as_ref()),
        }
    }

    fn from_message(message: v1::SamplerAggregation) -> Result<Self, DecodeError> {
        let v1::SamplerAggregation {
            size: wanted,
            diversity,
        } = message;
        Ok(Self {
            size: size(wanted, "Sampler.size")?,
            diversity: maybe(diversity)?,
        })
    }
}

impl Wire for Diversity {
    type Message = v1::Diversity;

    fn to_message(&self) -> v1::Diversity {
        let Self {
            source,
            max_docs_per_value,
        } = self;
        v1::Diversity {
            source: Some(source.to_message()),
            max_docs_per_value: *max_docs_per_value as u64,
        }
    }

    fn from_message(message: v1::Diversity) -> Result<Self, DecodeError> {
        let v1::Diversity {
            source,
            max_docs_per_value,
        } = message;
        Ok(Self {
            source: one(source, "Diversity.source")?,
            max_docs_per_value: size(max_docs_per_value, "Diversity.max_docs_per_value")?,
        })
    }
}

fn significance_message(significance: Significance) -> Message {
    let flags = |include_negatives, background_is_superset| v1::SignificanceFlags {
        include_negatives,
        background_is_superset,
    };
    match significance {
        Significance::Jlh => Message::Jlh(v1::Unit {}),
        Significance::ChiSquare {
            include_negatives,
            background_is_superset,
        } => Message::ChiSquare(flags(include_negatives, background_is_superset)),
        Significance::MutualInformation {
            include_negatives,
            background_is_superset,
        } => Message::MutualInformation(flags(include_negatives, background_is_superset)),
        Significance::Gnd {
            background_is_superset,
        } => Message::Gnd(flags(false, background_is_superset)),
        Significance::Percentage => Message::Percentage(v1::Unit {}),
    }
}

fn significance_of(message: Message) -> Significance {
    match message {
        Message::Jlh(v1::Unit {}) => Significance::Jlh,
        Message::ChiSquare(flags) => Significance::ChiSquare {
            include_negatives: flags.include_negatives,
            background_is_superset: flags.background_is_superset,
        },
        Message::MutualInformation(flags) => Significance::MutualInformation {
            include_negatives: flags.include_negatives,
            background_is_superset: flags.background_is_superset,
        },
        Message::Gnd(flags) => Significance::Gnd {
            background_is_superset: flags.background_is_superset,
        },
        Message::Percentage(v1::Unit {}) => Significance::Percentage,
    }
}
