//! `flatten_graph`: a graph of tokens as an index can hold it.
//!
//! A position is as far from the beginning as the longest way to it: ways side by side share positions, and shorter ones
//! reach over several.

use hashbrown::HashMap;

use super::ListFilter;
use crate::meter::Meter;
use crate::token::{Token, TokenList};

#[derive(Debug)]
pub(crate) struct FlattenGraph;

impl ListFilter for FlattenGraph {
    fn apply(&self, list: TokenList, _: &Meter<'_>) -> TokenList {
        let ends = |token: &Token| token.position + token.position_length.max(1);
        let mut by_end: HashMap<u32, Vec<u32>> = HashMap::new();
        for token in &list.tokens {
            by_end.entry(ends(token)).or_default().push(token.position);
        }
        let last = list.tokens.iter().map(ends).max().unwrap_or(0);
        let last = last.max(list.num_positions);
        let mut depths: Vec<u32> = vec![0];
        for position in 1..=last {
            let ways = by_end.get(&position).into_iter().flatten();
            let longest = ways.map(|from| depths[*from as usize] + 1).max();
            // What no token leads to is a gap, of the length that it had.
            let depth = longest.unwrap_or(depths[position as usize - 1] + 1);
            depths.push(depth);
        }
        let depth = |position: u32| depths[position as usize];
        let flat = list.tokens.iter().map(|token| {
            let position = depth(token.position);
            Token {
                position,
                position_length: depth(ends(token)) - position,
                ..token.clone()
            }
        });
        let mut tokens: Vec<Token> = flat.collect();
        tokens.sort_by_key(|token| token.position);
        TokenList {
            tokens,
            num_positions: depth(list.num_positions),
        }
    }
}
