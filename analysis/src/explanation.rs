//! What each part of an analyzer did, for `_analyze?explain=true`.

use crate::{
    analyzer::{Analyzer, Chain},
    char_filter,
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
    pub fn explain(&self, values: &[&str], most: usize) -> Option<Explanation> {
        if !self.is_custom() {
            let gap = self.position_increment_gap();
            let tokens = self.analyze_values_within(values, gap, most)?;
            return Some(Explanation::Analyzer(StageTokens {
                name: self.name().to_owned(),
                tokens,
            }));
        }
        let chain = self.chain();
        let gap = self.position_increment_gap();
        let char_filters = (1..=chain.char_filters.len())
            .map(|num| texts_after(chain, num, values))
            .collect();
        let tokenizer = StageTokens {
            name: chain.tokenizer.name.clone(),
            tokens: tokens_after(chain, 0, values, gap, most)?,
        };
        let filters = (1..=chain.filters.len())
            .map(|num| {
                Some(StageTokens {
                    name: chain.filters[num - 1].name.clone(),
                    tokens: tokens_after(chain, num, values, gap, most)?,
                })
            })
            .collect::<Option<_>>()?;
        Some(Explanation::Custom {
            char_filters,
            tokenizer,
            filters,
        })
    }
}

fn texts_after(chain: &Chain, num: usize, values: &[&str]) -> StageText {
    let filters = &chain.char_filters[..num];
    StageText {
        name: filters[num - 1].name.clone(),
        filtered_text: values
            .iter()
            .map(|value| char_filter::apply_all(filters.iter().map(|f| &*f.part), value).text)
            .collect(),
    }
}

/// Returns the tokens after the first `num` filters. Each part is run anew: explaining is rare.
fn tokens_after(
    chain: &Chain,
    num: usize,
    values: &[&str],
    gap: u32,
    most: usize,
) -> Option<Vec<Token>> {
    let partial = Analyzer::built_in(
        "",
        Chain {
            char_filters: chain.char_filters.clone(),
            tokenizer: chain.tokenizer.clone(),
            filters: chain.filters[..num].to_vec(),
        },
    );
    partial.analyze_values_within(values, gap, most)
}
