//! A clause on another field.

use super::Query;

impl Query {
    /// Returns the clause asked of `field`; one that is not about a field alone stays as it is.
    #[must_use]
    pub fn on_field(mut self, field: &str) -> Self {
        if let Some(name) = self.field_mut() {
            field.clone_into(name);
        }
        self
    }

    fn field_mut(&mut self) -> Option<&mut String> {
        Some(match self {
            Self::Exists { field, .. } => field,
            Self::Match(query) | Self::MatchBoolPrefix(query) => &mut query.field,
            Self::MatchPhrase(query) => &mut query.field,
            Self::MatchPhrasePrefix(query) => &mut query.phrase.field,
            Self::Term(query) => &mut query.field,
            Self::Terms(query) => &mut query.field,
            Self::Range(query) => &mut query.field,
            Self::Prefix(query) | Self::Wildcard(query) | Self::Regexp(query) => &mut query.field,
            Self::Fuzzy(query) => &mut query.field,
            Self::MatchAll { .. }
            | Self::MatchNone
            | Self::MultiMatch(_)
            | Self::Ids { .. }
            | Self::Bool(_)
            | Self::ConstantScore { .. }
            | Self::DisMax { .. }
            | Self::Boosting { .. }
            | Self::QueryString(_)
            | Self::SimpleQueryString(_)
            | Self::Group(_)
            | Self::OverFields(_) => return None,
        })
    }
}
