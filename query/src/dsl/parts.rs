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
            Self::TermsLookup(query) => &mut query.boost,
            Self::TermsSet(query) => &mut query.boost,
            Self::Intervals(query) => &mut query.boost,
            Self::Span(query) => &mut query.boost,
            Self::CombinedFields(query) => &mut query.boost,
            Self::MoreLikeThis(query) => &mut query.boost,
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
            Self::TermsLookup(query) => &mut query.field,
            Self::TermsSet(query) => &mut query.field,
            Self::Intervals(query) => &mut query.field,
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
            | Self::Span(_)
            | Self::CombinedFields(_)
            | Self::MoreLikeThis(_)
            | Self::QueryString(_)
            | Self::SimpleQueryString(_)
            | Self::Group(_)
            | Self::OverFields(_) => return None,
        })
    }

    /// Returns the queries inside, one level down.
    pub fn children(&self) -> Vec<&Self> {
        match self {
            Self::Bool(query) => {
                let must = query.must.iter().chain(&query.filter);
                must.chain(&query.should).chain(&query.must_not).collect()
            }
            Self::ConstantScore { filter: query, .. } | Self::Named { query, .. } => vec![query],
            Self::DisMax { queries, .. } => queries.iter().collect(),
            Self::Boosting {
                positive, negative, ..
            } => vec![positive, negative],
            Self::FunctionScore(scored) => {
                let functions = scored.functions.iter();
                let filters = functions.filter_map(|function| function.filter.as_ref());
                std::iter::once(&*scored.query).chain(filters).collect()
            }
            // What a text or a value asks holds no query of a body.
            _ => Vec::new(),
        }
    }

    /// Returns the same to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut Self> {
        match self {
            Self::Bool(query) => {
                let must = query.must.iter_mut().chain(&mut query.filter);
                must.chain(&mut query.should)
                    .chain(&mut query.must_not)
                    .collect()
            }
            Self::ConstantScore { filter: query, .. } | Self::Named { query, .. } => vec![query],
            Self::DisMax { queries, .. } => queries.iter_mut().collect(),
            Self::Boosting {
                positive, negative, ..
            } => vec![positive, negative],
            Self::FunctionScore(scored) => {
                let functions = scored.functions.iter_mut();
                let filters = functions.filter_map(|function| function.filter.as_mut());
                std::iter::once(&mut *scored.query).chain(filters).collect()
            }
            // What a text or a value asks holds no query of a body.
            _ => Vec::new(),
        }
    }
}
