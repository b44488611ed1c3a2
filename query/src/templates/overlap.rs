//! Templates whose patterns stand for the same names.

use gleaner_model::Templates;
use gleaner_model::template::{IndexTemplate, LegacyTemplate};

use crate::error::QueryError;

/// The name of a template and its patterns.
pub type Patterns<'a> = (&'a str, &'a [String]);

/// Returns the other index templates, by name, whose patterns have names in common with those of `template`, which
/// is to be called `name`.
pub fn overlapping<'a>(
    templates: &'a Templates,
    name: &str,
    template: &IndexTemplate,
) -> Vec<Patterns<'a>> {
    let others = templates.index.iter().filter(|(other, _)| *other != name);
    let others = others.map(|(name, other)| (name.as_str(), other.index_patterns.as_slice()));
    others
        .filter(|(_, patterns)| have_names_in_common(patterns, &template.index_patterns))
        .collect()
}

/// Returns the legacy templates, by name, whose patterns have names in common with those of `template`: it goes
/// before them.
pub fn overlapping_legacy<'a>(
    templates: &'a Templates,
    template: &IndexTemplate,
) -> Vec<Patterns<'a>> {
    let others = templates.legacy.iter();
    let others = others.map(|(name, other)| (name.as_str(), other.index_patterns.as_slice()));
    others
        .filter(|(_, patterns)| have_names_in_common(patterns, &template.index_patterns))
        .collect()
}

/// Returns what is wrong with a legacy template called `name` some of whose names are those of index templates: for
/// these it is ignored. `None` where there are no such names.
pub fn ignored_legacy(
    templates: &Templates,
    name: &str,
    template: &LegacyTemplate,
) -> Option<String> {
    let index = templates.index.iter();
    let index = index.map(|(name, other)| (name.as_str(), other.index_patterns.as_slice()));
    let over: Vec<Patterns<'_>> = index
        .filter(|(_, patterns)| have_names_in_common(patterns, &template.index_patterns))
        .collect();
    if over.is_empty() {
        return None;
    }
    let (names, shown) = listed(&over);
    Some(format!(
        "legacy template [{name}] has index patterns [{}] matching patterns from existing composable templates \
         [{names}] with patterns ({shown})",
        template.index_patterns.join(", "),
    ))
}

/// Refuses a legacy template called `name` that index templates would hide. One that is for all names is taken, and one
/// whose patterns stay as they were.
///
/// # Errors
/// `illegal_argument_exception` naming both.
pub fn check_legacy(
    templates: &Templates,
    name: &str,
    template: &LegacyTemplate,
) -> Result<(), QueryError> {
    let patterns = &template.index_patterns;
    let before = templates.legacy.get(name);
    let is_same = before.is_some_and(|before| before.index_patterns == *patterns);
    if is_same || patterns.iter().any(|pattern| pattern == "*") {
        return Ok(());
    }
    match ignored_legacy(templates, name, template) {
        None => Ok(()),
        Some(reason) => Err(QueryError::illegal(format!(
            "{reason}, use composable templates (/_index_template) instead"
        ))),
    }
}

/// Returns the names of templates, and their patterns by name.
fn listed(templates: &[Patterns<'_>]) -> (String, String) {
    let names: Vec<&str> = templates.iter().map(|(name, _)| *name).collect();
    let shown: Vec<String> = templates
        .iter()
        .map(|(name, patterns)| format!("{name} => [{}]", patterns.join(", ")))
        .collect();
    (names.join(","), shown.join(","))
}

/// Refuses a template called `name` where another one of its priority is for the same names: which of them counts
/// could not be told.
///
/// # Errors
/// `illegal_argument_exception` naming both.
pub fn check_priority(
    templates: &Templates,
    name: &str,
    template: &IndexTemplate,
) -> Result<(), QueryError> {
    let priority = template.priority.unwrap_or(0);
    let overlapping = overlapping(templates, name, template);
    let has_same = |other: &str| templates.index[other].priority.unwrap_or(0) == priority;
    let rivals: Vec<Patterns<'_>> = overlapping
        .into_iter()
        .filter(|(other, _)| has_same(other))
        .collect();
    if rivals.is_empty() {
        return Ok(());
    }
    let (names, shown) = listed(&rivals);
    Err(QueryError::illegal(format!(
        "index template [{name}] has index patterns [{}] matching patterns from existing templates [{names}] with \
         patterns ({shown}) that have the same priority [{priority}], multiple index templates may not match during \
         index creation, please use a different priority",
        template.index_patterns.join(", "),
    )))
}

fn have_names_in_common(some: &[String], others: &[String]) -> bool {
    let mut pairs = some
        .iter()
        .flat_map(|one| others.iter().map(move |other| (one, other)));
    pairs.any(|(one, other)| intersect(one.as_bytes(), other.as_bytes()))
}

/// Returns whether some text matches both patterns, in which `*` stands for any run of characters: by walking both,
/// place by place.
fn intersect(one: &[u8], other: &[u8]) -> bool {
    // `reached[at]` says whether the patterns can have come to this place of `one` and `at` of `other`.
    let mut reached = vec![false; other.len() + 1];
    reached[0] = true;
    for place in 0..=one.len() {
        let mut next = vec![false; other.len() + 1];
        for at in 0..=other.len() {
            if !reached[at] {
                continue;
            }
            let (mine, theirs) = (one.get(place), other.get(at));
            if theirs == Some(&b'*') {
                // It stands for nothing more.
                reached[at + 1] = true;
                next[at] |= mine.is_some();
            }
            match (mine, theirs) {
                (None, None) => return true,
                (Some(b'*'), theirs) => {
                    next[at] = true;
                    if theirs.is_some() {
                        reached[at + 1] = true;
                    }
                }
                (Some(mine), Some(theirs)) if mine == theirs => next[at + 1] = true,
                _ => {}
            }
        }
        reached = next;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_intersect_where_one_text_matches_both() {
        for (one, other, expected) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a*", "ab", true),
            ("a*", "*b", true),
            ("a*c", "ab*", true),
            ("a*c", "b*c", false),
            ("*", "logs-*", true),
            ("logs-*", "metrics-*", false),
            ("*a*", "b", false),
            ("*a*", "bab", true),
            ("a*b*c", "a*d*c", true),
            ("te*", "t1*", false),
            ("", "*", true),
            ("", "a", false),
            ("**", "x", true),
        ] {
            let (left, right) = (one.as_bytes(), other.as_bytes());
            assert_eq!(intersect(left, right), expected, "{one} {other}");
            assert_eq!(intersect(right, left), expected, "{other} {one}");
        }
    }
}
