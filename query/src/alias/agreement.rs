//! What the indices of one alias must agree on: one of them at most takes writes, and all of them hide it or none does.
//!
//! Source: Elasticsearch, `IndexAbstraction.Alias`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gleaner_model::{Alias, ClusterState, IndexMeta, IndexName};

use crate::error::QueryError;

/// The names of the indices of an alias, by what they say of it.
#[derive(Debug, Default)]
struct Sides<'a> {
    /// Those that take the writes of the alias.
    writers: BTreeSet<&'a str>,
    /// Those on which it is hidden.
    hidden: BTreeSet<&'a str>,
    /// All others.
    visible: BTreeSet<&'a str>,
}

impl Sides<'_> {
    fn are_mixed(&self) -> bool {
        !self.hidden.is_empty() && !self.visible.is_empty()
    }

    /// Refuses what the alias comes to be; what it was `before`, it may stay.
    fn check(&self, name: &IndexName, before: &Sides<'_>) -> Result<(), QueryError> {
        if self.writers.len() > 1 && !self.writers.is_subset(&before.writers) {
            return Err(QueryError::illegal(format!(
                "alias [{name}] has more than one write index [{}]",
                listed(&self.writers)
            )));
        }
        if self.are_mixed() && !before.are_mixed() {
            return Err(QueryError::illegal(format!(
                "alias [{name}] has is_hidden set to true on indices [{}] but does not have is_hidden set to true on \
                 indices [{}]; alias must have the same is_hidden setting on all indices",
                listed(&self.hidden),
                listed(&self.visible)
            )));
        }
        Ok(())
    }
}

/// Refuses an alias that comes to have a second write index, or to be hidden on some of its indices and not on the
/// others. One that is so already, from an earlier version, may stay, and be mended step by step.
///
/// # Errors
/// `illegal_argument_exception` naming the alias and the indices.
pub(super) fn check_agreement(
    before: &ClusterState,
    next: &ClusterState,
) -> Result<(), QueryError> {
    let names = changed(before, next);
    if names.is_empty() {
        return Ok(());
    }
    let mut known = sides(before, &names);
    for (name, sides) in sides(next, &names) {
        sides.check(name, &known.remove(name).unwrap_or_default())?;
    }
    Ok(())
}

/// Returns the aliases that an index comes to bear, or to bear otherwise: to take one away sets nobody at odds.
fn changed<'a>(before: &ClusterState, next: &'a ClusterState) -> BTreeSet<&'a IndexName> {
    let mut names = BTreeSet::new();
    for (uuid, index) in &next.indices {
        let known = before.indices.get(uuid);
        if known.is_some_and(|known| Arc::ptr_eq(known, index)) {
            continue;
        }
        for (name, alias) in own(index) {
            let borne = known.and_then(|known| known.aliases.get(name));
            if borne != Some(alias) {
                names.insert(name);
            }
        }
    }
    names
}

/// Returns the sides of the indices of `names`.
fn sides<'a>(
    state: &'a ClusterState,
    names: &BTreeSet<&IndexName>,
) -> BTreeMap<&'a IndexName, Sides<'a>> {
    let mut all: BTreeMap<&IndexName, Sides<'_>> = BTreeMap::new();
    for index in state.indices.values() {
        for (name, alias) in own(index) {
            if !names.contains(name) {
                continue;
            }
            let sides = all.entry(name).or_default();
            let index = index.name.as_str();
            if alias.is_write_index == Some(true) {
                sides.writers.insert(index);
            }
            match alias.is_hidden {
                Some(true) => sides.hidden.insert(index),
                _ => sides.visible.insert(index),
            };
        }
    }
    all
}

/// Returns the aliases of an index. The name of its data stream is none: it follows the template.
fn own(index: &IndexMeta) -> impl Iterator<Item = (&IndexName, &Alias)> {
    let aliases = index.aliases.iter();
    aliases.filter(|(_, alias)| !alias.is_data_stream)
}

fn listed(names: &BTreeSet<&str>) -> String {
    let names: Vec<&str> = names.iter().copied().collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use gleaner_model::IndexUuid;

    use super::*;

    fn alias(is_write_index: bool, is_hidden: bool) -> Alias {
        Alias {
            is_write_index: is_write_index.then_some(true),
            is_hidden: is_hidden.then_some(true),
            ..Alias::default()
        }
    }

    /// Indices `i0`, `i1`, … that bear the alias `all` so.
    fn state(aliases: &[Option<Alias>]) -> ClusterState {
        let mut state = ClusterState::default();
        for (number, alias) in (0_u8..).zip(aliases) {
            let name = IndexName::parse(&format!("i{number}")).unwrap();
            let mut index = IndexMeta::new(IndexUuid([number; 16]), name);
            let named = |alias: &Alias| (IndexName::parse("all").unwrap(), alias.clone());
            index.aliases = alias.iter().map(named).collect();
            state.indices.insert(index.uuid, Arc::new(index));
        }
        state
    }

    fn checked(before: &[Option<Alias>], next: &[Option<Alias>]) -> Result<(), String> {
        let checked = check_agreement(&state(before), &state(next));
        checked.map_err(|error| error.reason)
    }

    #[test]
    fn an_alias_comes_to_have_one_write_index_at_most() {
        let (plain, write) = (Some(alias(false, false)), Some(alias(true, false)));
        let alone = [write.clone()];
        let one = [write.clone(), plain.clone()];
        let two = [write.clone(), write.clone()];
        let refused = Err("alias [all] has more than one write index [i0,i1]".to_owned());
        assert_eq!(checked(&alone, &two), refused, "a new index");
        assert_eq!(checked(&one, &two), refused);
        assert_eq!(checked(&one, &[plain.clone(), write.clone()]), Ok(()));
        let three = [write.clone(), write.clone(), write.clone()];
        assert!(checked(&two, &three).is_err(), "one more");
        // What is so already can be mended, and holds up nothing else.
        let restated = [plain, write.clone(), write];
        assert_eq!(checked(&three, &restated), Ok(()));
        assert_eq!(checked(&three, &[None, None, None]), Ok(()));
        assert_eq!(checked(&two, &two), Ok(()));
    }

    #[test]
    fn an_alias_is_hidden_on_all_its_indices_or_on_none() {
        let (plain, hidden) = (Some(alias(false, false)), Some(alias(false, true)));
        let mixed = [hidden.clone(), plain.clone(), hidden.clone()];
        let refused = "alias [all] has is_hidden set to true on indices [i0,i2] but does not have is_hidden set to \
                       true on indices [i1]; alias must have the same is_hidden setting on all indices";
        let refused = Err(refused.to_owned());
        let alone = [hidden.clone()];
        assert_eq!(checked(&alone, &mixed), refused, "new indices");
        assert_eq!(checked(&[plain.clone(), plain, None], &mixed), refused);
        let all = [hidden.clone(), hidden.clone(), hidden.clone()];
        assert_eq!(checked(&[None, None, None], &all), Ok(()));
        // What is so already can be mended step by step.
        let nearly = [hidden.clone(), Some(alias(true, false)), hidden];
        assert_eq!(checked(&mixed, &nearly), Ok(()));
        assert_eq!(checked(&nearly, &all), Ok(()));
    }

    #[test]
    fn the_name_of_a_data_stream_is_hidden_as_its_template_says() {
        let of_stream = |is_hidden: bool| {
            let alias = Alias {
                is_data_stream: true,
                ..alias(true, is_hidden)
            };
            Some(alias)
        };
        let before = [of_stream(false), None];
        assert_eq!(
            checked(&before, &[of_stream(false), of_stream(true)]),
            Ok(())
        );
    }
}
