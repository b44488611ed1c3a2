//! The `pattern_replace` character filter.

use regex::Regex;

use super::{CharFilter, FilterOutput, OffsetMap};
use crate::{
    error::AnalysisError,
    pattern::{self, Replacement},
    settings::Params,
};

/// Puts a replacement in place of each match.
#[derive(Debug)]
pub(super) struct PatternReplace {
    pattern: Regex,
    replacement: Replacement,
}

impl PatternReplace {
    pub(super) fn from_params(params: &Params<'_>) -> Result<Self, AnalysisError> {
        let pattern = pattern::from_params(params, None)?;
        let text = params.text("replacement")?.unwrap_or_default();
        let replacement = Replacement::parse(&text, &pattern)
            .map_err(|reason| params.bad("replacement", reason))?;
        Ok(Self {
            pattern,
            replacement,
        })
    }
}

impl CharFilter for PatternReplace {
    fn apply(&self, text: &str) -> (String, OffsetMap) {
        let mut filtered = FilterOutput::new(text);
        let mut replaced = String::new();
        for captures in self.pattern.captures_iter(text) {
            let Some(found) = captures.get(0) else {
                continue;
            };
            filtered.copy_to(found.start());
            replaced.clear();
            self.replacement.expand(&captures, &mut replaced);
            filtered.replace_to(found.end(), &replaced);
        }
        filtered.finish()
    }

    fn is_normalizing(&self) -> bool {
        true
    }
}
