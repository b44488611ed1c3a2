//! The `mapping` character filter: fixed texts for fixed texts, the longest first.

use hashbrown::HashMap;

use super::{CharFilter, FilterOutput, OffsetMap};
use crate::{
    error::AnalysisError,
    settings::{Params, unescape},
};

/// Rules of one filter: each place of a text is compared with all keys of its first character.
const MAX_RULES: usize = 10_000;

/// Replaces the longest key that starts at each place.
#[derive(Debug)]
pub(super) struct Mapping {
    /// By first character; longest key first.
    rules: HashMap<char, Vec<(String, String)>>,
}

impl Mapping {
    pub(super) fn from_params(params: &Params<'_>) -> Result<Self, AnalysisError> {
        let Some(lines) = params.lines("mappings")? else {
            return Err(AnalysisError::IllegalArgument(
                "mapping requires either `mappings` or `mappings_path` to be configured".to_owned(),
            ));
        };
        if lines.len() > MAX_RULES {
            let reason = format!("has {} rules, at most {MAX_RULES} are allowed", lines.len());
            return Err(params.bad("mappings", reason));
        }
        let mut rules: HashMap<char, Vec<(String, String)>> = HashMap::new();
        for line in &lines {
            let (first, rule) = parse_rule(line).ok_or_else(|| {
                AnalysisError::IllegalArgument(format!("Invalid Mapping Rule : [{line}]"))
            })?;
            rules.entry(first).or_default().push(rule);
        }
        for keys in rules.values_mut() {
            keys.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
        }
        Ok(Self { rules })
    }
}

fn parse_rule(line: &str) -> Option<(char, (String, String))> {
    let (key, value) = line.rsplit_once("=>")?;
    let key = unescape(key.trim())?;
    let value = unescape(value.trim())?;
    let first = key.chars().next()?;
    Some((first, (key, value)))
}

impl CharFilter for Mapping {
    fn apply(&self, text: &str) -> (String, OffsetMap) {
        let mut filtered = FilterOutput::new(text);
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            let rest = &text[at..];
            let rule = self
                .rules
                .get(&c)
                .and_then(|keys| keys.iter().find(|(key, _)| rest.starts_with(key.as_str())));
            if let Some((key, value)) = rule {
                filtered.copy_to(at);
                filtered.replace_to(at + key.len(), value);
                let num_more = key.chars().count() - 1;
                for _ in 0..num_more {
                    chars.next();
                }
            }
        }
        filtered.finish()
    }

    fn is_normalizing(&self) -> bool {
        true
    }
}
