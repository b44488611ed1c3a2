//! Names close to a misspelt one.

/// Longest name compared, in characters: the cost is quadratic.
const MAX_CHARS: usize = 64;

/// Returns ` did you mean [x]?` (or `any of [x, y]?`) when a candidate is close to `name`, else
/// nothing. Close is Elasticsearch's rule: more than half of the longer name's characters agree.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let mut close: Vec<(f32, &str)> = candidates
        .into_iter()
        .map(|candidate| (similarity(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.5)
        .collect();
    close.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let names: Vec<&str> = close.into_iter().map(|(_, name)| name).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!(" did you mean [{one}]?"),
        several => format!(" did you mean any of [{}]?", several.join(", ")),
    }
}

/// 1 − edits / length of the longer name.
fn similarity(a: &str, b: &str) -> f32 {
    let a: Vec<char> = a.chars().take(MAX_CHARS + 1).collect();
    let b: Vec<char> = b.chars().take(MAX_CHARS + 1).collect();
    let longer = a.len().max(b.len());
    if longer == 0 || longer > MAX_CHARS {
        return 0.0;
    }
    1.0 - edits(&a, &b) as f32 / longer as f32
}

/// Levenshtein distance, one row at a time.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names_are_offered_best_first() {
        let known = ["bool", "match", "match_all"];
        assert_eq!(did_you_mean("boool", known), " did you mean [bool]?");
        assert_eq!(did_you_mean("invalid_query", known), "");
        assert_eq!(
            did_you_mean("matchall", known),
            " did you mean any of [match_all, match]?"
        );
    }
}
