//! What a request's aggregations say about values, under the mapping of one index.
//!
//! Does: check fields and read values by their types ([`formats`], [`bounds`], [`keys`]), describe the
//! results of no documents ([`described`]). Does not: read columns (`engine::aggregate` does).

pub mod bounds;
pub mod date_bounds;
pub mod described;
pub mod formats;
pub mod key_filter;
pub mod keys;
pub mod partition;
pub mod rounding;
