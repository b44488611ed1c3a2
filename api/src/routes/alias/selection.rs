//! Which aliases a list of names, patterns and exclusions selects.

use gleaner_model::mapping::matches_pattern;

use crate::parameters::comma_list;

/// A list such as `logs-*,-logs-old`. A `-` excludes only after a pattern; before one it is part of
/// a name, as in the dialect.
#[derive(Debug)]
pub(in crate::routes) struct Selection {
    items: Vec<Item>,
}

#[derive(Debug)]
enum Item {
    Include(String),
    Exclude(String),
}

impl Selection {
    pub(in crate::routes) fn parse(text: &str) -> Self {
        let mut has_pattern = false;
        let items = comma_list(text).into_iter().map(|name| {
            let excluded = name
                .strip_prefix('-')
                .filter(|rest| has_pattern || rest.contains('*'));
            let item = match excluded {
                Some(rest) => Item::Exclude(rest.to_owned()),
                None if name == "_all" => Item::Include("*".to_owned()),
                None => Item::Include(name.clone()),
            };
            has_pattern |= name.contains('*') || name == "_all";
            item
        });
        Self {
            items: items.collect(),
        }
    }

    /// Whether an alias is selected: the last item that matches decides.
    pub(in crate::routes) fn contains(&self, alias: &str) -> bool {
        let decided = self.items.iter().rev().find_map(|item| match item {
            Item::Include(name) => matches_pattern(name, alias).then_some(true),
            Item::Exclude(name) => matches_pattern(name, alias).then_some(false),
        });
        decided.unwrap_or(false)
    }

    /// Returns the names, ordered, that nothing bears and nothing excludes.
    pub(super) fn missing(&self, is_borne: &dyn Fn(&str) -> bool) -> Vec<String> {
        let mut missing = Vec::new();
        for (at, item) in self.items.iter().enumerate() {
            let Item::Include(name) = item else { continue };
            let is_excluded = self.items[at..].iter().any(
                |later| matches!(later, Item::Exclude(excluded) if matches_pattern(excluded, name)),
            );
            if !name.contains('*') && !is_borne(name) && !is_excluded {
                missing.push(name.clone());
            }
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BORNE: [&str; 5] = ["a1", "a2", "b1", "b2", "t"];

    fn of(text: &str) -> (Vec<&'static str>, Vec<String>) {
        let selection = Selection::parse(text);
        let selected = BORNE
            .into_iter()
            .filter(|name| selection.contains(name))
            .collect();
        (selected, selection.missing(&|name| BORNE.contains(&name)))
    }

    #[test]
    fn exclusions_count_after_a_pattern() {
        assert_eq!(of("b2,a*,-a1"), (vec!["a2", "b2"], vec![]));
        assert_eq!(of("a1,b1,-a*"), (vec!["b1"], vec![]));
        assert_eq!(of("a*,-none,b*,-t"), (vec!["a1", "a2", "b1", "b2"], vec![]));
    }

    #[test]
    fn names_that_nobody_bears_are_missing() {
        assert_eq!(of("-a1,a*,-a2"), (vec!["a1"], vec!["-a1".to_owned()]));
        assert_eq!(
            of("-a1,-none,a*,-t").1,
            vec!["-a1".to_owned(), "-none".to_owned()]
        );
        assert_eq!(of("a1,b2,-a*,-b2"), (vec![], vec![]));
    }
}
