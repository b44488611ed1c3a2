//! How much a request may ask for, checked while it is read.
//!
//! The numbers are Elasticsearch's defaults where it has one. Settings of the cluster change those of depth,
//! clauses, expansions and query strings ([`crate::settings::cluster`]); an index can lower those of `terms`
//! queries and regular expressions, as the fields say.

use crate::error::QueryError;

/// Bounds on a request body. All are inclusive maxima.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Levels of objects and arrays in a body, 1 to 127 (where the JSON reader itself stops);
    /// default 64.
    pub json_depth: usize,
    /// Levels of queries inside queries, the groups of a query string and the sub-aggregations of
    /// an aggregation, at most [`Limits::MAX_QUERY_DEPTH`]; default 30
    /// (`indices.query.bool.max_nested_depth`).
    pub query_depth: usize,
    /// Clauses of one query, over its whole tree; default 1,024
    /// (`indices.query.bool.max_clause_count`).
    pub clauses: usize,
    /// Terms that one scored pattern (a fuzzy term, a phrase's last prefix) stands for, whatever its
    /// `max_expansions` asks, 1 to 65,536; default 65,536 (`indices.query.max_expansions`).
    pub expansions: usize,
    /// Values of one `terms` or `ids` query; default 65,536 (`index.max_terms_count`).
    pub terms: usize,
    /// Bytes of the text of `query_string` and `simple_query_string`; default 32,000
    /// (OpenSearch's `search.query.max_query_string_length`).
    pub query_string_bytes: usize,
    /// Characters of a regular expression; default 1,000 (`index.max_regex_length`).
    pub regexp_chars: usize,
    /// Characters of a wildcard pattern, prefix or fuzzy term; default 1,000.
    pub pattern_chars: usize,
    /// Aggregations of one request, over the whole tree; default 1,024.
    pub aggregations: usize,
}

impl Limits {
    /// The longest text that an answer repeats with each bucket or hit, in bytes: names, keys and formats of
    /// aggregations, formats of fields and sort keys, tags of highlights.
    pub const MAX_LABEL_BYTES: usize = 1_024;
    /// The largest `meta` of an aggregation, in bytes.
    pub const MAX_META_BYTES: usize = 16 << 10;

    /// Refuses a text that answers repeat too often for its length; `what` names it.
    pub(crate) fn check_label(what: &str, text: &str) -> Result<(), QueryError> {
        check_length(what, text.len(), Self::MAX_LABEL_BYTES)
    }

    /// Refuses a `terms` or `ids` query of more values than [`Self::terms`].
    pub(crate) fn check_terms(&self, num_values: usize) -> Result<(), QueryError> {
        if num_values <= self.terms {
            return Ok(());
        }
        Err(QueryError::illegal(format!(
            "The number of terms [{num_values}] used in the Terms Query request has exceeded the \
             allowed maximum of [{}]. This maximum can be set by changing the \
             [index.max_terms_count] index level setting.",
            self.terms
        )))
    }

    /// The deepest nesting of queries that can be allowed: what reads, resolves and evaluates them has
    /// room on its stack for it, and messages between nodes carry it.
    pub const MAX_QUERY_DEPTH: usize = 50;
    /// The most clauses of a query that can be allowed.
    pub const MAX_CLAUSES: usize = 65_536;
    /// The most expansions of a pattern that can be allowed: shards give no more.
    pub const MAX_EXPANSIONS: usize = 65_536;
    /// The longest query string that can be allowed, in bytes.
    pub const MAX_QUERY_STRING_BYTES: usize = 1 << 20;
}

/// Refuses what is longer than `most` bytes.
pub(crate) fn check_length(what: &str, num_bytes: usize, most: usize) -> Result<(), QueryError> {
    if num_bytes <= most {
        return Ok(());
    }
    Err(QueryError::illegal(format!(
        "{what} takes [{num_bytes}] bytes, at most [{most}] are allowed: each bucket or hit repeats it"
    )))
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            json_depth: 64,
            query_depth: 30,
            clauses: 1_024,
            expansions: Self::MAX_EXPANSIONS,
            terms: 65_536,
            query_string_bytes: 32_000,
            regexp_chars: 1_000,
            pattern_chars: 1_000,
            aggregations: 1_024,
        }
    }
}
