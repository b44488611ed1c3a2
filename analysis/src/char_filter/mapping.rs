//! The `mapping` character filter: fixed texts for fixed texts, the longest first.

use aho_corasick::{AhoCorasick, MatchKind};

use super::{CharFilter, FilterOutput, OffsetMap};
use crate::{
    error::AnalysisError,
    meter::Meter,
    settings::{Params, unescape},
};

/// Rules of one filter.
const MAX_RULES: usize = 10_000;

/// Replaces the longest key that starts at each place.
#[derive(Debug)]
pub(super) struct Mapping {
    keys: AhoCorasick,
    /// By number of the key.
    values: Vec<String>,
    growth: u64,
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
        let mut keys = Vec::with_capacity(lines.len());
        let mut values = Vec::with_capacity(lines.len());
        for line in &lines {
            let (key, value) = parse_rule(line).ok_or_else(|| {
                AnalysisError::IllegalArgument(format!("Invalid Mapping Rule : [{line}]"))
            })?;
            keys.push(key);
            values.push(value);
        }
        let growth = keys.iter().zip(&values);
        let growth = growth.map(|(key, value)| value.len().div_ceil(key.len()));
        let growth = growth.max().unwrap_or(1).max(1) as u64;
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&keys)
            .map_err(|error| params.bad("mappings", format!("cannot be used: {error}")))?;
        Ok(Self {
            keys: automaton,
            values,
            growth,
        })
    }
}

/// Returns a key of at least one character, and what it becomes.
fn parse_rule(line: &str) -> Option<(String, String)> {
    let (key, value) = line.rsplit_once("=>")?;
    let key = unescape(key.trim())?;
    let value = unescape(value.trim())?;
    (!key.is_empty()).then_some((key, value))
}

impl CharFilter for Mapping {
    fn apply(&self, text: &str, meter: &Meter<'_>) -> (String, OffsetMap) {
        let mut filtered = FilterOutput::new(text, meter);
        for found in self.keys.find_iter(text) {
            if filtered.is_spent() {
                break;
            }
            filtered.copy_to(found.start());
            filtered.replace_to(found.end(), &self.values[found.pattern().as_usize()]);
        }
        filtered.finish()
    }

    fn growth(&self) -> u64 {
        self.growth
    }

    fn is_normalizing(&self) -> bool {
        true
    }
}
