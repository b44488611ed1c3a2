//! A search that was read before its route has it.

use gleaner_query::search::SearchRequest;
use gleaner_root::plan::Target;

/// A search as its route reads it, found to be one that can be asked.
pub(crate) struct ReadSearch {
    pub(crate) search: SearchRequest,
    pub(crate) target: Target,
}
