//! How much a request may ask for, checked while it is read.
//!
//! The numbers are Elasticsearch's defaults where it has one. They are fixed for a process; an index can lower those of
//! `terms` queries and regular expressions, as the fields say.

/// Bounds on a request body. All are inclusive maxima.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Levels of objects and arrays in a body, 1 to 127 (where the JSON reader itself stops);
    /// default 64.
    pub json_depth: usize,
    /// Levels of queries inside queries, the groups of a query string and the sub-aggregations of
    /// an aggregation; default 30 (`indices.query.bool.max_nested_depth`).
    pub query_depth: usize,
    /// Clauses of one query, over its whole tree; default 1,024
    /// (`indices.query.bool.max_clause_count`).
    pub clauses: usize,
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

impl Default for Limits {
    fn default() -> Self {
        Self {
            json_depth: 64,
            query_depth: 30,
            clauses: 1_024,
            terms: 65_536,
            query_string_bytes: 32_000,
            regexp_chars: 1_000,
            pattern_chars: 1_000,
            aggregations: 1_024,
        }
    }
}
