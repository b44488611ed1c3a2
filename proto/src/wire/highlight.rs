//! Highlighting. Its queries travel resolved, beside it; as they were parsed they stay behind.

use gleaner_query::search::{Highlight, HighlightOptions};

use super::field::size;
use super::{DecodeError, Wire, v1};

impl Wire for Highlight {
    type Message = v1::Highlight;

    fn to_message(&self) -> v1::Highlight {
        let Self {
            fields,
            require_field_match,
            query: _,
        } = self;
        v1::Highlight {
            fields: fields.iter().map(field_message).collect(),
            require_field_match: *require_field_match,
        }
    }

    fn from_message(message: v1::Highlight) -> Result<Self, DecodeError> {
        let v1::Highlight {
            fields,
            require_field_match,
        } = message;
        Ok(Self {
            fields: fields.into_iter().map(field).collect::<Result<_, _>>()?,
            require_field_match,
            query: None,
        })
    }
}

fn field_message((field, options): &(String, HighlightOptions)) -> v1::HighlightField {
    let HighlightOptions {
        pre_tags,
        post_tags,
        fragment_size,
        number_of_fragments,
        no_match_size,
        order_by_score,
        encode_html,
        require_field_match,
        max_analyzed_offset,
        matched_fields,
        marks_words,
        query: _,
    } = options;
    v1::HighlightField {
        field: field.clone(),
        pre_tags: pre_tags.clone(),
        post_tags: post_tags.clone(),
        fragment_size: *fragment_size as u64,
        number_of_fragments: *number_of_fragments as u64,
        no_match_size: *no_match_size as u64,
        order_by_score: *order_by_score,
        encode_html: *encode_html,
        require_field_match: *require_field_match,
        max_analyzed_offset: *max_analyzed_offset as u64,
        matched_fields: matched_fields.clone(),
        marks_words: *marks_words,
    }
}

fn field(message: v1::HighlightField) -> Result<(String, HighlightOptions), DecodeError> {
    let v1::HighlightField {
        field,
        pre_tags,
        post_tags,
        fragment_size,
        number_of_fragments,
        no_match_size,
        order_by_score,
        encode_html,
        require_field_match,
        max_analyzed_offset,
        matched_fields,
        marks_words,
    } = message;
    let options = HighlightOptions {
        pre_tags,
        post_tags,
        fragment_size: size(fragment_size, "HighlightField.fragment_size")?,
        number_of_fragments: size(number_of_fragments, "HighlightField.number_of_fragments")?,
        no_match_size: size(no_match_size, "HighlightField.no_match_size")?,
        order_by_score,
        encode_html,
        require_field_match,
        max_analyzed_offset: size(max_analyzed_offset, "HighlightField.max_analyzed_offset")?,
        matched_fields,
        marks_words,
        query: None,
    };
    Ok((field, options))
}
