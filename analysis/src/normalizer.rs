//! Normalizers: one string to one string, for keyword fields.

use std::sync::Arc;

use crate::{
    analyzer::NamedBlock,
    char_filter::{self, CharFilter},
    filter::{Filter, Word},
    meter::{Meter, TooMuch},
};

/// A chain without a tokenizer. Cheap to clone; shared by threads.
#[derive(Debug, Clone)]
pub struct Normalizer {
    name: Arc<str>,
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    char_filters: Vec<NamedBlock<Arc<dyn CharFilter>>>,
    filters: Vec<NamedBlock<Filter>>,
}

impl Normalizer {
    pub(crate) fn new(
        name: &str,
        char_filters: Vec<NamedBlock<Arc<dyn CharFilter>>>,
        filters: Vec<NamedBlock<Filter>>,
    ) -> Self {
        Self {
            name: name.into(),
            parts: Arc::new(Parts {
                char_filters,
                filters,
            }),
        }
    }

    /// Returns the name it is registered under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the normalized value. Normalizing twice is the same as once for `lowercase`; chains
    /// with patterns or mappings need not have that property.
    ///
    /// # Errors
    /// [`TooMuch`]: its parts make more than the meter allows.
    pub fn normalize(&self, text: &str, meter: &Meter<'_>) -> Result<String, TooMuch> {
        meter.read(text);
        let chars = self.parts.char_filters.iter().map(|f| &*f.part);
        let mut word = Word::new(meter);
        word.set(&char_filter::apply_all(chars, text, meter).text);
        for filter in &self.parts.filters {
            filter.part.normalize(&mut word);
        }
        word.settle(meter);
        meter.check()?;
        Ok(word.into_text())
    }
}
