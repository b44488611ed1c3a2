//! How much work the wildcards of one request may be, whatever there is to compare them with.

use crate::error::QueryError;

/// Names that the wildcards of a request may be compared with, all of them together: some 15 ms of a core. A few
/// wildcards reach it in no cluster.
const MAX_COMPARISONS: usize = 1 << 19;

/// Counts comparisons of names with wildcards.
#[derive(Debug, Default)]
pub(super) struct Effort {
    num_comparisons: usize,
}

impl Effort {
    /// Counts `num_names` more.
    ///
    /// # Errors
    /// `illegal_argument_exception` when there are more than one request may ask for.
    pub(super) fn spend(&mut self, num_names: usize) -> Result<(), QueryError> {
        self.num_comparisons = self.num_comparisons.saturating_add(num_names);
        match self.num_comparisons <= MAX_COMPARISONS {
            true => Ok(()),
            false => Err(QueryError::illegal(format!(
                "the wildcards of the request stand for too much: they would be compared with more than \
                 [{MAX_COMPARISONS}] names of indices and aliases; name fewer wildcards"
            ))),
        }
    }
}
