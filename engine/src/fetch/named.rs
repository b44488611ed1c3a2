//! Which named queries a hit matches (`matched_queries`).

use std::sync::Arc;

use gleaner_partial::control::Control;
use gleaner_partial::score::model::Model;
use gleaner_query::resolved::{NamedClause, Similarities, Statistics};
use tantivy::query::Weight;

use crate::error::EngineError;
use crate::filter_cache::FilterCache;
use crate::lower::{self, Scope};
use crate::view::{View, split_place};

/// Named clauses, ready to be asked about documents of a view.
pub(super) struct Plan<'a> {
    view: &'a Arc<View>,
    clauses: Vec<(&'a str, Box<dyn Weight>)>,
    control: Arc<Control>,
}

impl<'a> Plan<'a> {
    /// Makes clauses ready. They match without scores.
    pub(super) fn new(
        view: &'a Arc<View>,
        named: &'a [NamedClause],
        control: &Control,
    ) -> Result<Self, EngineError> {
        let control = Arc::new(control.apart());
        let scope = Scope {
            view,
            model: &Arc::new(Model::new(
                Arc::new(Statistics::default()),
                &Similarities::default(),
            )),
            control: &control,
            // A few documents are no reason to keep bitmaps.
            filters: &FilterCache::none(),
        };
        let weight = |named: &'a NamedClause| {
            let weight = lower::unscored(&scope, &named.clause)?;
            Ok((named.name.as_str(), weight))
        };
        Ok(Self {
            clauses: named
                .iter()
                .map(weight)
                .collect::<Result<_, EngineError>>()?,
            control,
            view,
        })
    }

    /// Returns the names of those that match the document at `place`, each once, in their order.
    pub(super) fn read(&self, place: u64) -> Result<Vec<String>, EngineError> {
        let (ord, doc) = split_place(place);
        let mut matched: Vec<String> = Vec::new();
        let Some(segment) = self.view.segments().get(ord as usize) else {
            return Ok(matched);
        };
        for (name, weight) in &self.clauses {
            if matched.iter().any(|known| known == name) {
                continue;
            }
            let mut docs = weight.scorer(segment.reader(), 1.0)?;
            if docs.doc() < doc {
                docs.seek(doc);
            }
            let is_match = docs.doc() == doc;
            self.control.check_whole()?;
            if is_match {
                matched.push((*name).to_owned());
            }
        }
        Ok(matched)
    }
}
