//! Character filters: text to text before the tokenizer, remembering where each byte came from.

use std::{fmt, sync::Arc};

use crate::{error::AnalysisError, meter::Meter, settings::Params};

mod entities;
mod html;
mod mapping;
mod offsets;
mod pattern_replace;

pub(crate) use offsets::{FilterOutput, FilteredText, OffsetMap};

/// Rewrites text.
pub(crate) trait CharFilter: fmt::Debug + Send + Sync {
    /// Returns the new text and the way back to the old offsets; an incomplete one when the meter is spent.
    fn apply(&self, text: &str, meter: &Meter<'_>) -> (String, OffsetMap);

    /// Returns how many bytes it makes of one at most.
    fn growth(&self) -> u64 {
        1
    }

    /// True when normalizers and `normalize` may use it.
    fn is_normalizing(&self) -> bool;
}

/// Applies the filters in order.
pub(crate) fn apply_all<'f>(
    filters: impl Iterator<Item = &'f dyn CharFilter>,
    text: &str,
    meter: &Meter<'_>,
) -> FilteredText {
    let mut filtered = FilteredText::unchanged(text);
    for filter in filters {
        let (text, offsets) = filter.apply(&filtered.text, meter);
        filtered.text = text;
        filtered.offsets.push(offsets);
    }
    filtered
}

/// Returns the character filter of a type, or `None` when there is no such type in the dialect.
///
/// # Errors
/// A setting is refused.
pub(crate) fn build(
    kind: &str,
    params: &Params<'_>,
) -> Result<Option<Arc<dyn CharFilter>>, AnalysisError> {
    Ok(Some(match kind {
        "html_strip" => Arc::new(html::HtmlStrip::new(params.list("escaped_tags")?)),
        "mapping" => Arc::new(mapping::Mapping::from_params(params)?),
        "pattern_replace" => Arc::new(pattern_replace::PatternReplace::from_params(params)?),
        "icu_normalizer" | "kuromoji_iteration_mark" => return Err(params.unsupported(kind)),
        _ => return Ok(None),
    }))
}
