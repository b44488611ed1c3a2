//! Factors on the scores of indices (`indices_boost`): names → indices, as a search resolves its own.

use std::collections::{HashMap, HashSet};

use gleaner_model::{ClusterState, IndexUuid};

use super::{ResolveOptions, Selection, expand_date_math};
use crate::error::QueryError;

/// The factors of a search, by index.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IndexBoosts(HashMap<IndexUuid, f32>);

impl IndexBoosts {
    /// Resolves `entries`, each a name, alias, wildcard or name with date math, with its factor. The first that reaches an
    /// index counts for it (Elasticsearch, `TransportSearchAction.resolveIndexBoosts`). `now_ms` is the request's time.
    ///
    /// # Errors
    /// As [`expand_date_math`] and [`super::resolve`], for any entry, and for the wildcards of all of them together.
    pub fn resolve(
        entries: &[(String, f32)],
        state: &ClusterState,
        options: &ResolveOptions,
        now_ms: i64,
    ) -> Result<Self, QueryError> {
        let mut boosts = HashMap::new();
        if entries.is_empty() {
            return Ok(Self(boosts));
        }
        let dated = |(name, _): &(String, f32)| expand_date_math(name, now_ms);
        let names: Vec<String> = entries.iter().map(dated).collect::<Result<_, _>>()?;
        let mut selection = Selection::new(state, options);
        selection.expect_items(names.len() - 1);
        selection.check_effort(names.iter().map(String::as_str))?;
        let mut seen = HashSet::new();
        for (name, (_, factor)) in names.iter().zip(entries) {
            if seen.insert(name) {
                for found in selection.select(name)?.into_values() {
                    boosts.entry(found.meta.uuid).or_insert(*factor);
                }
            }
        }
        Ok(Self(boosts))
    }

    /// Returns the factor of an index; 1 where no entry reaches it.
    pub fn of(&self, index: &IndexUuid) -> f32 {
        self.0.get(index).copied().unwrap_or(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::cluster;
    use super::*;

    /// 2026-01-01T00:00:00Z.
    const NOW_MS: i64 = 1_767_225_600_000;

    fn boosts(entries: &[(&str, f32)]) -> Result<Vec<f32>, QueryError> {
        let entries: Vec<(String, f32)> = entries
            .iter()
            .map(|(name, factor)| ((*name).to_owned(), *factor))
            .collect();
        let state = cluster();
        let options = ResolveOptions::default();
        let boosts = IndexBoosts::resolve(&entries, &state, &options, NOW_MS)?;
        let of = |name: &str| {
            let index = state.index_named(name).expect("it is there");
            boosts.of(&index.uuid)
        };
        Ok(["logs-1", "logs-2", "other"].map(of).to_vec())
    }

    #[test]
    fn entries_reach_indices_as_expressions_do() {
        for (entries, expected) in [
            (&[][..], [1.0, 1.0, 1.0]),
            (&[("logs-1", 2.0)], [2.0, 1.0, 1.0]),
            (&[("logs", 2.0)], [2.0, 2.0, 1.0]),
            // An alias of one of them.
            (&[("le*", 2.0)], [1.0, 2.0, 1.0]),
            (&[("_all", 2.0)], [2.0, 2.0, 2.0]),
            (&[("<logs-{now{d}}>", 2.0)], [2.0, 1.0, 1.0]),
            (&[("lee", 2.0), ("logs", 3.0), ("*", 4.0)], [3.0, 2.0, 4.0]),
        ] {
            assert_eq!(boosts(entries), Ok(expected.to_vec()), "{entries:?}");
        }
        assert!(boosts(&[("gone", 2.0)]).is_err());
        assert!(boosts(&[("<logs-{now", 2.0)]).is_err());
    }
}
