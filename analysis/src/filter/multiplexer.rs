//! `multiplexer`: each token as several chains of filters make it, at one place.

use hashbrown::HashSet;

use super::{Filter, ListFilter};
use crate::{
    meter::{Made, Meter},
    token::{Token, TokenList},
};

/// Puts what each chain makes of a token in its place, once for each text (Elasticsearch,
/// `MultiplexerTokenFilterFactory`). A chain sees one token at a time: filters that join tokens have nothing to
/// join, and the pieces of those that split stand at one place.
#[derive(Debug)]
pub(crate) struct Multiplexer {
    /// At least one filter each.
    pub(crate) chains: Vec<Vec<Filter>>,
    /// Whether the token itself comes first.
    pub(crate) preserves_original: bool,
}

impl ListFilter for Multiplexer {
    fn apply(&self, list: TokenList, meter: &Meter<'_>) -> TokenList {
        let mut tokens = Made::new(meter);
        for token in list.tokens {
            let mut texts: HashSet<String> = HashSet::new();
            if self.preserves_original {
                texts.insert(token.text.clone());
                tokens.push(token.clone());
            }
            for chain in &self.chains {
                for made in run(chain, &token, meter).tokens {
                    if texts.insert(made.text.clone()) {
                        tokens.push(Token {
                            position: token.position,
                            position_length: token.position_length,
                            ..made
                        });
                    }
                }
            }
        }
        TokenList {
            tokens: tokens.into_tokens(),
            ..list
        }
    }

    fn growth(&self) -> u64 {
        let chains = self.chains.iter().map(|chain| {
            let growths = chain.iter().map(Filter::growth);
            growths.fold(1, u64::saturating_mul)
        });
        chains.fold(1, u64::saturating_add)
    }
}

fn run(chain: &[Filter], token: &Token, meter: &Meter<'_>) -> TokenList {
    let alone = TokenList {
        tokens: vec![token.clone()],
        num_positions: token.position + 1,
    };
    chain
        .iter()
        .fold(alone, |list, filter| filter.apply_to_list(list, meter))
}
