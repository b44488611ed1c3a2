//! What queries of all kinds may have: a factor on their score, a field that they are about.

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
            Self::Named { query, .. } => return query.boost_mut(),
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
            Self::Geo(query) => &mut query.boost,
            Self::FunctionScore(query) => &mut query.boost,
            Self::DistanceFeature(query) => &mut query.boost,
            Self::RankFeature(query) => &mut query.boost,
            Self::Group(group) => &mut group.boost,
            Self::OverFields(query) => &mut query.boost,
            Self::QueryString(query) | Self::SimpleQueryString(query) => &mut query.boost,
        })
    }

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
            Self::Named { query, .. } => return query.field_mut(),
            Self::Match(query) | Self::MatchBoolPrefix(query) => &mut query.field,
            Self::MatchPhrase(query) => &mut query.field,
            Self::MatchPhrasePrefix(query) => &mut query.phrase.field,
            Self::Term(query) => &mut query.field,
            Self::Terms(query) => &mut query.field,
            Self::Range(query) => &mut query.field,
            Self::Prefix(query) | Self::Wildcard(query) | Self::Regexp(query) => &mut query.field,
            Self::Fuzzy(query) => &mut query.field,
            Self::Geo(query) => &mut query.field,
            Self::DistanceFeature(query) => &mut query.field,
            Self::RankFeature(query) => &mut query.field,
            Self::MatchAll { .. }
            | Self::MatchNone
            | Self::MultiMatch(_)
            | Self::Ids { .. }
            | Self::Bool(_)
            | Self::ConstantScore { .. }
            | Self::DisMax { .. }
            | Self::Boosting { .. }
            | Self::FunctionScore(_)
            | Self::QueryString(_)
            | Self::SimpleQueryString(_)
            | Self::Group(_)
            | Self::OverFields(_) => return None,
        })
    }
}
