//! `synonym` and `synonym_graph`: other words for the same thing.
//!
//! Both use the same rules ([`rules`]). The graph filter gives paths of several words positions of
//! their own, which phrase queries need; the flat filter lays them over the positions of the words
//! that follow, which is what can be indexed.

mod flat;
mod graph;
mod rules;

pub(crate) use rules::{RuleReader, SynonymMap};

use super::ListFilter;
use crate::meter::Meter;
use crate::token::TokenList;

/// Adds synonyms, or puts them in place of the words.
#[derive(Debug)]
pub(crate) struct Synonyms {
    pub(crate) map: SynonymMap,
    pub(crate) is_graph: bool,
}

impl ListFilter for Synonyms {
    fn apply(&self, list: TokenList, meter: &Meter<'_>) -> TokenList {
        if self.is_graph {
            graph::apply(&self.map, &list, meter)
        } else {
            flat::apply(&self.map, &list, meter)
        }
    }

    fn growth(&self) -> u64 {
        self.map.growth()
    }
}
