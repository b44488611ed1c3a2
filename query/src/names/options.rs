//! What an expression may leave out: the parameters `ignore_unavailable`, `allow_no_indices`,
//! `expand_wildcards`.

use gleaner_model::Alias;

use crate::error::QueryError;

/// How names that are missing, closed or hidden are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolveOptions {
    /// Whether a name that is missing or closed, or a closed index that a wildcard reaches, is left out
    /// (default false: an error).
    pub ignore_unavailable: bool,
    /// Whether finding nothing at all is fine (default true).
    pub allow_no_indices: bool,
    /// What wildcards reach (default open indices).
    pub expand_wildcards: ExpandWildcards,
    /// Whether a closed index may be named (default false).
    pub allow_closed: bool,
    /// Whether only indices may be named, no aliases (default false).
    pub ignore_aliases: bool,
    /// Whether data streams may be named also where aliases may not (default false).
    pub includes_streams: bool,
}

impl Default for ResolveOptions {
    fn default() -> Self {
        Self {
            ignore_unavailable: false,
            allow_no_indices: true,
            expand_wildcards: ExpandWildcards::default(),
            allow_closed: false,
            ignore_aliases: false,
            includes_streams: false,
        }
    }
}

impl ResolveOptions {
    /// Returns whether an alias may be named, or a data stream, which is kept as one.
    pub(super) fn allow_alias(&self, alias: &Alias) -> bool {
        !self.ignore_aliases || (self.includes_streams && alias.is_data_stream)
    }
}

/// What wildcards reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpandWildcards {
    /// Open indices.
    pub open: bool,
    /// Closed indices.
    pub closed: bool,
    /// Hidden indices and aliases too.
    pub hidden: bool,
}

impl Default for ExpandWildcards {
    fn default() -> Self {
        Self {
            open: true,
            closed: false,
            hidden: false,
        }
    }
}

impl ExpandWildcards {
    /// Everything, whatever its state.
    pub const ALL: Self = Self {
        open: true,
        closed: true,
        hidden: true,
    };

    /// Reads a comma-separated list of `open`, `closed`, `hidden`, `none`, `all`.
    ///
    /// # Errors
    /// `illegal_argument_exception` for any other word.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let mut expand = Self {
            open: false,
            closed: false,
            hidden: false,
        };
        for word in text.split(',').map(str::trim) {
            match word {
                "open" => expand.open = true,
                "closed" => expand.closed = true,
                "hidden" => expand.hidden = true,
                "all" => expand = Self::ALL,
                "none" => {
                    expand.open = false;
                    expand.closed = false;
                    expand.hidden = false;
                }
                _ => {
                    return Err(QueryError::illegal(format!(
                        "No valid expand wildcard value [{word}]"
                    )));
                }
            }
        }
        Ok(expand)
    }
}
