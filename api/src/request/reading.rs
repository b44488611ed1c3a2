//! What a request is read with beside its body: its URI, and the cluster at that time.

use std::sync::Arc;

use gleaner_model::ClusterState;
use gleaner_query::Limits;
use gleaner_query::names::{ResolveOptions, expand_date_math};
use gleaner_root::plan::Target;

use crate::error::ApiError;
use crate::parameters::Parameters;

/// Name of the part that stands for the index in a path without one: the indices that the sender may reach.
pub(crate) const ALLOWED: &str = "allowed indices";

/// A request's URI, and the cluster at the time when it is read. A process that follows the cluster state
/// reads requests so without a root.
pub(crate) struct Reading<'a> {
    pub(crate) parameters: &'a Parameters,
    /// Parts of the path by name, unescaped.
    pub(crate) parts: &'a [(&'static str, String)],
    pub(crate) state: Arc<ClusterState>,
    pub(crate) limits: Limits,
    /// Milliseconds since the epoch.
    pub(crate) now_ms: i64,
}

impl Reading<'_> {
    /// Returns the index expression of the path with dates put in; `None` is all. Where the path has none it is what the
    /// sender may reach.
    pub(crate) fn expression(&self) -> Result<Option<String>, ApiError> {
        let part = self.part("index").or_else(|| self.part(ALLOWED));
        let expanded = part.map(|text| expand_date_math(text, self.now_ms));
        Ok(expanded.transpose()?)
    }

    /// Does the path name indices itself?
    pub(crate) fn names_indices(&self) -> bool {
        self.part("index").is_some()
    }

    fn part(&self, wanted: &str) -> Option<&str> {
        let mut parts = self.parts.iter();
        let part = parts.find(|(name, _)| *name == wanted);
        part.map(|(_, text)| text.as_str())
    }

    /// Returns which indices the request names, under a route's own defaults.
    pub(crate) fn target_with(&self, defaults: ResolveOptions) -> Result<Target, ApiError> {
        Ok(Target {
            expression: self.expression()?,
            options: self.parameters.resolve_options(defaults)?,
            routing: self.parameters.get("routing").map(str::to_owned),
        })
    }
}
