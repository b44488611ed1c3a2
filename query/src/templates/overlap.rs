//! Templates whose patterns stand for the same names.

use gleaner_model::Templates;
use gleaner_model::template::IndexTemplate;

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
    let names: Vec<&str> = rivals.iter().map(|(name, _)| *name).collect();
    let shown: Vec<String> = rivals
        .iter()
        .map(|(name, patterns)| format!("{name} => [{}]", patterns.join(", ")))
        .collect();
    Err(QueryError::illegal(format!(
        "index template [{name}] has index patterns [{}] matching patterns from existing templates [{}] with \
         patterns ({}) that have the same priority [{priority}], multiple index templates may not match during \
         index creation, please use a different priority",
        template.index_patterns.join(", "),
        names.join(","),
        shown.join(","),
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
