//! Analyzers of indices, built once per index and settings.

use std::collections::HashMap;
use std::sync::Arc;

use gleaner_analysis::{AnalyzerRegistry, Limits};
use gleaner_model::{IndexMeta, IndexSettings, IndexUuid};
use parking_lot::Mutex;
use serde_json::Value;

use crate::RootError;
use crate::planner::Planner;

/// Keeps the analyzers of each index until its analysis settings change.
#[derive(Default)]
pub(crate) struct Cache {
    built: Mutex<HashMap<IndexUuid, (Value, Arc<AnalyzerRegistry>)>>,
}

/// Entries above which all are forgotten: rebuilding is cheap, leaking deleted indices is not.
const MAX_ENTRIES: usize = 4_096;

impl Cache {
    /// Returns the analyzers of `index`.
    pub(crate) fn of(&self, index: &IndexMeta) -> Result<Arc<AnalyzerRegistry>, RootError> {
        let settings = &index.settings.analysis;
        if let Some((known, registry)) = self.built.lock().get(&index.uuid)
            && known == settings
        {
            return Ok(Arc::clone(registry));
        }
        // Settings that were taken are not asked again.
        let registry = Arc::new(built(&index.settings, limits(&index.settings))?);
        let mut built = self.built.lock();
        if built.len() >= MAX_ENTRIES {
            built.clear();
        }
        built.insert(index.uuid, (settings.clone(), Arc::clone(&registry)));
        Ok(registry)
    }
}

impl Planner {
    /// Returns the analyzers of `index`, as its documents are written and its queries planned with.
    ///
    /// # Errors
    /// [`RootError::Analysis`] when its settings cannot be used.
    pub fn analyzers_of(&self, index: &IndexMeta) -> Result<Arc<AnalyzerRegistry>, RootError> {
        self.analyzers.of(index)
    }
}

/// Builds the analyzers of settings that an index is to have.
pub(crate) fn build(settings: &IndexSettings) -> Result<AnalyzerRegistry, RootError> {
    built(settings, limits(settings).of_new())
}

fn limits(settings: &IndexSettings) -> Limits {
    Limits {
        max_ngram_diff: settings.max_ngram_diff,
        max_shingle_diff: settings.max_shingle_diff(),
        ..Limits::default()
    }
}

fn built(settings: &IndexSettings, limits: Limits) -> Result<AnalyzerRegistry, RootError> {
    let registry = AnalyzerRegistry::with_limits(&settings.analysis, limits);
    registry.map_err(|error| RootError::Analysis {
        kind: error.error_type(),
        reason: error.to_string(),
    })
}
