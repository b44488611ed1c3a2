//! `multiplexer`: each token as several chains of filters make it, at one place.

use super::{Filter, ListFilter};
use crate::token::{Token, TokenList};

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
    fn apply(&self, list: TokenList) -> TokenList {
        let mut tokens: Vec<Token> = Vec::with_capacity(list.tokens.len() * 2);
        for token in list.tokens {
            let first = tokens.len();
            if self.preserves_original {
                tokens.push(token.clone());
            }
            for chain in &self.chains {
                for made in run(chain, &token).tokens {
                    if tokens[first..].iter().all(|other| other.text != made.text) {
                        tokens.push(Token {
                            position: token.position,
                            position_length: token.position_length,
                            ..made
                        });
                    }
                }
            }
        }
        TokenList { tokens, ..list }
    }
}

fn run(chain: &[Filter], token: &Token) -> TokenList {
    let alone = TokenList {
        tokens: vec![token.clone()],
        num_positions: token.position + 1,
    };
    chain
        .iter()
        .fold(alone, |list, filter| filter.apply_to_list(list))
}
