//! What each part of an analyzer did, for `_analyze?explain=true`.

use crate::{
    analyzer::{Analyzer, Chain, Values},
    char_filter,
    meter::{Meter, TooMuch},
    token::Token,
};

/// The output of one character filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageText {
    /// The filter's name.
    pub name: String,
    /// One text for each value.
    pub filtered_text: Vec<String>,
}

/// The output of a tokenizer, a token filter or a whole analyzer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageTokens {
    /// The part's name.
    pub name: String,
    /// The tokens of all values, with position and offset gaps between values.
    pub tokens: Vec<Token>,
}

/// An analysis, part by part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explanation {
    /// A built-in analyzer is shown as a whole.
    Analyzer(StageTokens),
    /// A custom analyzer is shown in its parts.
    Custom {
        /// In order of application.
        char_filters: Vec<StageText>,
        /// The only tokenizer.
        tokenizer: StageTokens,
        /// In order of application; the last one's tokens are the result.
        filters: Vec<StageTokens>,
    },
}

impl Analyzer {
    /// Analyzes the values of one field and keeps what each part made of them; `None` when that is more than
    /// `most` tokens for one of the parts.
    ///
    /// # Errors
    /// [`TooMuch`]: the parts make more than the meter allows.
    pub fn explain(
        &self,
        texts: &[&str],
        most: usize,
        meter: &Meter<'_>,
    ) -> Result<Option<Explanation>, TooMuch> {
        let values = Values {
            texts,
            gap: self.position_increment_gap(),
        };
        if !self.is_custom() {
            let tokens = self.analyze_values_within(&values, most, meter)?;
            let name = self.name().to_owned();
            return Ok(tokens.map(|tokens| Explanation::Analyzer(StageTokens { name, tokens })));
        }
        let chain = self.chain();
        let char_filters = (1..=chain.char_filters.len())
            .map(|num| texts_after(chain, num, texts, meter))
            .collect::<Result<_, _>>()?;
        let mut stages = Vec::new();
        for num in 0..=chain.filters.len() {
            let part = match num {
                0 => &chain.tokenizer.name,
                _ => &chain.filters[num - 1].name,
            };
            let partial = up_to(chain, num);
            let Some(tokens) = partial.analyze_values_within(&values, most, meter)? else {
                return Ok(None);
            };
            stages.push(StageTokens {
                name: part.clone(),
                tokens,
            });
        }
        let filters = stages.split_off(1);
        Ok(stages.pop().map(|tokenizer| Explanation::Custom {
            char_filters,
            tokenizer,
            filters,
        }))
    }
}

fn texts_after(
    chain: &Chain,
    num: usize,
    values: &[&str],
    meter: &Meter<'_>,
) -> Result<StageText, TooMuch> {
    let filters = &chain.char_filters[..num];
    let mut filtered_text = Vec::with_capacity(values.len());
    for value in values {
        let filtered = char_filter::apply_all(filters.iter().map(|f| &*f.part), value, meter);
        meter.check()?;
        filtered_text.push(filtered.text);
    }
    Ok(StageText {
        name: filters[num - 1].name.clone(),
        filtered_text,
    })
}

/// Returns the analyzer that ends after the first `num` filters. Each part is run anew: explaining is rare.
fn up_to(chain: &Chain, num: usize) -> Analyzer {
    Analyzer::built_in(
        "",
        Chain {
            char_filters: chain.char_filters.clone(),
            tokenizer: chain.tokenizer.clone(),
            filters: chain.filters[..num].to_vec(),
        },
    )
}
