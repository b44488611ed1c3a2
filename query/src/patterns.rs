//! Many patterns of paths, matched at once and byte by byte.
//!
//! Does: turn patterns into one automaton whose states are bits ([`Patterns`]), and step it along a path
//! ([`State`]). A step costs one operation per 64 bytes of pattern whatever the patterns are, so no
//! choice of stars makes it slow; a path that goes on where another ended is not matched anew.
//! Does not: know where paths come from; bound the patterns, which is the caller's matter.
//! Called by `source` for `_source` filters and by `api` for `filter_path`. Source of the method:
//! R. Baeza-Yates and G. Gonnet, "A new approach to text searching" (1992), with stars as loops.

/// Stands before each name of a path of levels; in no UTF-8 text.
const LEVEL: u8 = 0xff;
/// Stands behind each of them; in no UTF-8 text either. Without it, `b` before `**` would begin names too.
const END: u8 = 0xfe;

const WORD_BITS: usize = 64;

/// Patterns as one automaton.
#[derive(Debug, Clone)]
pub struct Patterns {
    /// Positions that nothing has been read at.
    start: State,
    /// Positions at which a pattern has matched.
    accepts: State,
    /// Positions that any byte leaves as they are.
    loops: State,
    /// Those and the ones that any byte within a level does.
    loops_inside: State,
    /// Positions that each byte moves on, by [`Patterns::numbers`]; the first set is empty.
    moves: Vec<State>,
    numbers: Box<[u16; 256]>,
}

/// How far patterns have matched: a bit for each position in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State(Box<[u64]>);

/// A piece of a pattern.
#[derive(Debug, Clone, Copy)]
enum Piece {
    Byte(u8),
    /// Any run of bytes.
    Any,
    /// Any run of bytes of one level.
    AnyInside,
}

impl Patterns {
    /// Returns what matches paths whose names are joined by dots; `*` is any run of characters, dots
    /// included.
    pub fn of_paths<T: AsRef<str>>(patterns: &[T]) -> Self {
        let pieces = |pattern: &T| {
            let bytes = pattern.as_ref().bytes();
            bytes
                .map(|byte| match byte {
                    b'*' => Piece::Any,
                    other => Piece::Byte(other),
                })
                .collect()
        };
        Self::of(&patterns.iter().map(pieces).collect::<Vec<_>>())
    }

    /// Returns what matches paths level by level: `*` is any run of characters in a name, a level `**` any
    /// number of levels, at the end one at least.
    pub fn of_levels(patterns: &[Vec<String>]) -> Self {
        Self::of(
            &patterns
                .iter()
                .map(|levels| of_levels(levels))
                .collect::<Vec<_>>(),
        )
    }

    fn of(patterns: &[Vec<Piece>]) -> Self {
        let num_positions: usize = patterns.iter().map(|pieces| pieces.len() + 1).sum();
        let empty = State(vec![0; num_positions.div_ceil(WORD_BITS)].into());
        let mut made = Self {
            start: empty.clone(),
            accepts: empty.clone(),
            loops: empty.clone(),
            loops_inside: empty.clone(),
            moves: vec![empty],
            numbers: Box::new([0; 256]),
        };
        let mut at = 0;
        for pieces in patterns {
            made.start.set(at);
            for piece in pieces {
                match piece {
                    Piece::Byte(byte) => {
                        made.moves_of(*byte).set(at);
                        at += 1;
                    }
                    Piece::Any => {
                        made.loops.set(at);
                        made.loops_inside.set(at);
                    }
                    Piece::AnyInside => made.loops_inside.set(at),
                }
            }
            made.accepts.set(at);
            at += 1;
        }
        made
    }

    fn moves_of(&mut self, byte: u8) -> &mut State {
        let number = &mut self.numbers[usize::from(byte)];
        if *number == 0 {
            *number = self.moves.len() as u16;
            self.moves.push(self.moves[0].clone());
        }
        &mut self.moves[usize::from(*number)]
    }

    /// Returns the state before a path.
    pub fn start(&self) -> State {
        self.start.clone()
    }

    /// Goes on by the next name of a path of levels.
    pub fn enter(&self, state: &mut State, name: &str) {
        self.step(state, LEVEL);
        name.bytes().for_each(|byte| self.step(state, byte));
        self.step(state, END);
    }

    /// Goes on by `text`, part of a path with dots; returns whether a pattern names the path by then, or
    /// one that it is in.
    pub fn walk(&self, state: &mut State, text: &str) -> bool {
        let mut is_matched = false;
        for byte in text.bytes() {
            is_matched |= byte == b'.' && self.is_matched(state);
            self.step(state, byte);
        }
        is_matched || self.is_matched(state)
    }

    /// Returns whether a pattern names the path.
    pub fn is_matched(&self, state: &State) -> bool {
        let both = state.0.iter().zip(&*self.accepts.0);
        both.fold(0, |all, (at, accepted)| all | (at & accepted)) != 0
    }

    /// Returns whether a pattern may name a path of levels that goes on from here.
    pub fn may_match_below(&self, state: &State) -> bool {
        let mut below = state.clone();
        self.step(&mut below, LEVEL);
        below.is_alive()
    }

    /// Returns how many operations a byte costs.
    pub fn num_words(&self) -> usize {
        self.start.0.len()
    }

    fn step(&self, state: &mut State, byte: u8) {
        let moves = &self.moves[usize::from(self.numbers[usize::from(byte)])].0;
        let loops = match byte {
            LEVEL | END => &self.loops.0,
            _ => &self.loops_inside.0,
        };
        let mut carry = 0;
        for ((at, moves), loops) in state.0.iter_mut().zip(&**moves).zip(&**loops) {
            let moved = *at & moves;
            *at = (moved << 1) | carry | (*at & loops);
            carry = moved >> (WORD_BITS - 1);
        }
    }
}

impl State {
    /// Returns whether something may still match.
    pub fn is_alive(&self) -> bool {
        self.0.iter().any(|word| *word != 0)
    }

    fn set(&mut self, position: usize) {
        self.0[position / WORD_BITS] |= 1 << (position % WORD_BITS);
    }
}

fn of_levels(levels: &[String]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (at, level) in levels.iter().enumerate() {
        if level == "**" {
            if at + 1 == levels.len() {
                pieces.push(Piece::Byte(LEVEL));
            }
            pieces.push(Piece::Any);
            continue;
        }
        pieces.push(Piece::Byte(LEVEL));
        pieces.extend(level.bytes().map(|byte| match byte {
            b'*' => Piece::AnyInside,
            other => Piece::Byte(other),
        }));
        pieces.push(Piece::Byte(END));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use gleaner_model::mapping::matches_pattern;
    use proptest::prelude::*;

    use super::*;

    /// Whether `pattern` names the path of `names`, level by level, as it is defined.
    fn names_levels(pattern: &[&str], names: &[&str]) -> bool {
        match (pattern, names) {
            ([], []) => true,
            (["**"], names) => !names.is_empty(),
            (["**", rest @ ..], names) => {
                (0..=names.len()).any(|skipped| names_levels(rest, &names[skipped..]))
            }
            ([level, rest @ ..], [name, names @ ..]) => {
                matches_pattern(level, name) && names_levels(rest, names)
            }
            _ => false,
        }
    }

    fn is_at_or_below(pattern: &str, path: &str) -> bool {
        let ends = path.match_indices('.').map(|(end, _)| end);
        ends.chain([path.len()])
            .any(|end| matches_pattern(pattern, &path[..end]))
    }

    proptest! {
        #[test]
        fn paths_match_as_pattern_by_pattern(
            patterns in proptest::collection::vec("[ab.*]{0,12}", 0..24),
            path in "[ab.]{0,14}",
        ) {
            let all = Patterns::of_paths(&patterns);
            let found = all.walk(&mut all.start(), &path);
            let expected = patterns.iter().any(|pattern| is_at_or_below(pattern, &path));
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn levels_match_as_pattern_by_pattern(
            patterns in proptest::collection::vec(
                proptest::collection::vec("(\\*\\*|[ab*]{1,4})", 1..5), 0..24),
            path in proptest::collection::vec("[ab]{0,3}", 1..6),
        ) {
            let all = Patterns::of_levels(&patterns);
            let mut state = all.start();
            for name in &path {
                all.enter(&mut state, name);
            }
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let is_named = |pattern: &Vec<String>| {
                let pattern: Vec<&str> = pattern.iter().map(String::as_str).collect();
                names_levels(&pattern, &path)
            };
            prop_assert_eq!(all.is_matched(&state), patterns.iter().any(is_named));
        }
    }

    #[test]
    fn a_name_before_stars_is_a_whole_one() {
        let all = Patterns::of_levels(&[vec!["b".to_owned(), "**".to_owned(), "c".to_owned()]]);
        for (path, expected) in [(["b", "c"], true), (["ba", "c"], false)] {
            let mut state = all.start();
            path.iter().for_each(|name| all.enter(&mut state, name));
            assert_eq!(all.is_matched(&state), expected, "{path:?}");
        }
    }

    #[test]
    fn states_do_not_grow_with_the_stars() {
        let stars: Vec<String> = std::iter::repeat_n("**".to_owned(), 100).collect();
        let all = Patterns::of_levels(&[stars]);
        let mut state = all.start();
        assert!(all.may_match_below(&state));
        for _ in 0..1_000 {
            all.enter(&mut state, "name");
        }
        assert!(all.is_matched(&state));
        assert_eq!(state.0.len(), all.num_words());
    }

    #[test]
    fn what_lies_below_is_known_before_it_is_seen() {
        let all = Patterns::of_levels(&[vec!["hits".to_owned(), "total".to_owned()]]);
        let below = |name: &str| {
            let mut state = all.start();
            all.enter(&mut state, name);
            (all.is_matched(&state), all.may_match_below(&state))
        };
        assert_eq!(below("hits"), (false, true));
        assert_eq!(below("hit"), (false, false));
        assert_eq!(below("took"), (false, false));
    }
}
