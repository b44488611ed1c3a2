//! A factor on any query.

use super::Query;

impl Query {
    /// Returns the query with its score multiplied by `factor`, finite and ≥ 0.
    ///
    /// A product beyond a 32-bit float stays at its largest finite value.
    #[must_use]
    pub fn boosted(mut self, factor: f32) -> Self {
        if let Some(boost) = self.boost_mut() {
            *boost = (*boost * factor).min(f32::MAX);
        }
        self
    }

    fn boost_mut(&mut self) -> Option<&mut f32> {
        Some(match self {
            Self::MatchNone => return None,
            Self::MatchAll { boost }
            | Self::Exists { boost, .. }
            | Self::Ids { boost, .. }
            | Self::ConstantScore { boost, .. }
            | Self::DisMax { boost, .. }
            | Self::Boosting { boost, .. } => boost,
            Self::Match(query) | Self::MatchBoolPrefix(query) => &mut query.boost,
            Self::MatchPhrase(query) => &mut query.boost,
            Self::MatchPhrasePrefix(query) => &mut query.phrase.boost,
            Self::MultiMatch(query) => &mut query.boost,
            Self::Term(query) => &mut query.boost,
            Self::Terms(query) => &mut query.boost,
            Self::Range(query) => &mut query.boost,
            Self::Prefix(query) | Self::Wildcard(query) | Self::Regexp(query) => &mut query.boost,
            Self::Fuzzy(query) => &mut query.boost,
            Self::Bool(query) => &mut query.boost,
            Self::Group(group) => &mut group.boost,
            Self::OverFields(query) => &mut query.boost,
            Self::QueryString(query) | Self::SimpleQueryString(query) => &mut query.boost,
        })
    }
}
