//! The `pattern_replace` character filter.

use super::{CharFilter, FilterOutput, OffsetMap};
use crate::{
    error::AnalysisError,
    meter::Meter,
    pattern::{self, Pattern, Replacement},
    settings::Params,
};

/// Puts a replacement in place of each match.
#[derive(Debug)]
pub(super) struct PatternReplace {
    pattern: Pattern,
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
    fn apply(&self, text: &str, meter: &Meter<'_>) -> (String, OffsetMap) {
        let mut filtered = FilterOutput::new(text, meter);
        let mut replaced = String::new();
        for captures in self.pattern.captures_iter(text, meter) {
            let Some(found) = captures.get(0) else {
                continue;
            };
            filtered.copy_to(found.start());
            replaced.clear();
            if filtered.is_spent()
                || !self
                    .replacement
                    .expand(&captures, meter.room(), &mut replaced)
            {
                meter.spend();
                break;
            }
            filtered.replace_to(found.end(), &replaced);
        }
        filtered.finish()
    }

    fn growth(&self) -> u64 {
        self.replacement.growth() + self.pattern.weight()
    }

    fn is_normalizing(&self) -> bool {
        true
    }
}
