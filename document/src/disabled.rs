//! Documents under a mapping that does not look into them (`enabled: false` of the mapping): they are kept in `_source`
//! only.
//!
//! Called by: [`super::DocumentParser`], before such a document is taken.

use serde_json::value::RawValue;

use super::DocumentError;
use super::depth::{MAX_LEVELS, is_too_deep};

/// Refuses what no mapping takes. Names and values may be anything.
///
/// # Errors
/// [`DocumentError::Json`] for what is no JSON object, and for one of too many levels: other requests read all of
/// `_source`.
pub(super) fn check(source: &[u8]) -> Result<(), DocumentError> {
    let refused = |reason: String| Err(DocumentError::Json { reason });
    match serde_json::from_slice::<&RawValue>(source) {
        Err(error) => refused(error.to_string()),
        Ok(value) if !value.get().starts_with('{') => refused("expected a JSON object".to_owned()),
        Ok(_) if is_too_deep(source) => {
            refused(format!("the document has more than [{MAX_LEVELS}] levels"))
        }
        Ok(_) => Ok(()),
    }
}
