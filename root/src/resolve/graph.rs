//! A text whose synonyms have several words, as a graph of words: where its paths part, where they
//! meet again, and what each path says. It makes no clauses; `synonyms` does.
//!
//! Source: Lucene, `GraphTokenStreamFiniteStrings`; the limits are `IndexSearcher.maxClauseCount` and
//! ours.

use std::collections::{HashMap, HashSet};

use gleaner_analysis::{Token, TokenKind};
use gleaner_model::FieldPath;
use gleaner_query::QueryError;
use gleaner_query::error::ErrorType;

use super::text::Position;

/// Paths that are written out of one text at most, over all places where they part.
const MAX_PATHS: u64 = 1_024;
/// Words of those paths at most, each counted as often as it is written.
const MAX_WORDS: u64 = 65_536;

/// Words between nodes; every path leads from node 0 to the last.
pub(super) struct TokenGraph {
    /// By the node they start from.
    words: Vec<Word>,
}

/// A stretch of the text between two nodes that all paths meet in.
pub(super) enum Stretch {
    /// Words that stand for each other, at least one.
    Terms(Vec<String>),
    /// Paths that stand for each other, at least two, each with its words by position.
    Paths(Vec<Vec<Position>>),
}

struct Word {
    from: u32,
    to: u32,
    /// Positions without a word before it (stop words).
    gap: u32,
    text: String,
}

impl TokenGraph {
    /// Returns the graph; `None` where every token takes one position, where no path leads through,
    /// and for shingles and bigrams beside single words, which overlap instead of parting and meeting
    /// (Elasticsearch, `DisableGraphAttribute`).
    pub(super) fn of(tokens: &[Token]) -> Option<Self> {
        let mut wide = tokens.iter().filter(|token| token.position_length > 1);
        let is_gram = |token: &Token| matches!(token.kind, TokenKind::Shingle | TokenKind::Double);
        let first = wide.next()?;
        if is_gram(first) || wide.any(is_gram) {
            return None;
        }
        let words = live(words(tokens));
        (!words.is_empty()).then_some(Self { words })
    }

    /// Returns the stretches in the order of the text.
    ///
    /// # Errors
    /// [`QueryError`] when there are more paths than the limit, naming `field`.
    pub(super) fn stretches(&self, field: &FieldPath) -> Result<Vec<Stretch>, QueryError> {
        let mut stretches = Vec::new();
        let mut written = Size::default();
        let mut rest = self.words.as_slice();
        while !rest.is_empty() {
            let (stretch, after) = rest.split_at(num_to_next_meeting(rest));
            rest = after;
            let ends = |word: &Word| (word.from, word.to);
            if stretch.iter().all(|word| ends(word) == ends(&stretch[0])) {
                let terms = stretch.iter().map(|word| word.text.clone());
                stretches.push(Stretch::Terms(terms.collect()));
            } else {
                stretches.push(Stretch::Paths(paths(field, stretch, &mut written)?));
            }
        }
        Ok(stretches)
    }

    /// Returns the paths through the whole text, each with its words by position.
    ///
    /// # Errors
    /// As [`TokenGraph::stretches`].
    pub(super) fn paths(&self, field: &FieldPath) -> Result<Vec<Vec<Position>>, QueryError> {
        paths(field, &self.words, &mut Size::default())
    }
}

/// Reads tokens as words between nodes. A word after a gap starts from the node before the gap, as
/// nothing else fills it.
fn words(tokens: &[Token]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::with_capacity(tokens.len());
    let mut seen = HashSet::new();
    let mut next = 0;
    let mut from = 0;
    for token in tokens {
        if token.position >= next {
            from = next;
            next = token.position.saturating_add(1);
        }
        let to = token.position.saturating_add(token.position_length.max(1));
        if seen.insert((from, to, token.text.as_str())) {
            let gap = token.position.saturating_sub(from);
            let text = token.text.clone();
            words.push(Word {
                from,
                to,
                gap,
                text,
            });
        }
    }
    words
}

/// Leaves out words on no path from the first node to the last.
fn live(mut words: Vec<Word>) -> Vec<Word> {
    let last = words.iter().map(|word| word.to).max();
    let mut reached = HashSet::from([0]);
    words.retain(|word| {
        let is_reached = reached.contains(&word.from);
        if is_reached {
            reached.insert(word.to);
        }
        is_reached
    });
    let mut leading: HashSet<u32> = last.into_iter().collect();
    words.reverse();
    words.retain(|word| {
        let is_leading = leading.contains(&word.to);
        if is_leading {
            leading.insert(word.from);
        }
        is_leading
    });
    words.reverse();
    words
}

/// Returns how many of `words` lie before the first node that none of them leads over.
fn num_to_next_meeting(words: &[Word]) -> usize {
    let mut meeting = words.first().map_or(0, |word| word.to);
    for (at, word) in words.iter().enumerate() {
        if word.from >= meeting {
            return at;
        }
        meeting = meeting.max(word.to);
    }
    words.len()
}

/// How much paths take when they are written out.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    num_paths: u64,
    num_words: u64,
}

impl Size {
    fn plus(self, other: Self) -> Self {
        Self {
            num_paths: self.num_paths.saturating_add(other.num_paths),
            num_words: self.num_words.saturating_add(other.num_words),
        }
    }

    /// The same paths with a word before each.
    fn with_word(self) -> Self {
        Self {
            num_words: self.num_words.saturating_add(self.num_paths),
            ..self
        }
    }
}

/// Writes the paths through `words` out, after counting them: there may be 2ⁿ.
fn paths(
    field: &FieldPath,
    words: &[Word],
    written: &mut Size,
) -> Result<Vec<Vec<Position>>, QueryError> {
    let from = words.first().map_or(0, |word| word.from);
    let sizes = sizes(words);
    let size = sizes.get(&from).copied().unwrap_or_default();
    *written = written.plus(size);
    if written.num_paths > MAX_PATHS || written.num_words > MAX_WORDS {
        let reason = format!(
            "the text for field [{field}] has so many synonyms of several words that it stands for \
             more than [{MAX_PATHS}] phrases, or for phrases of more than [{MAX_WORDS}] words; ask \
             with a shorter text"
        );
        return Err(QueryError::new(ErrorType::TooManyClauses, reason));
    }
    Ok((0..size.num_paths)
        .map(|nth| nth_path(words, &sizes, nth))
        .collect())
}

/// Returns how much the paths from each node to the last take.
fn sizes(words: &[Word]) -> HashMap<u32, Size> {
    let mut sizes: HashMap<u32, Size> = HashMap::new();
    let here = Size {
        num_paths: 1,
        num_words: 0,
    };
    sizes.extend(words.iter().map(|word| word.to).max().map(|to| (to, here)));
    for word in words.iter().rev() {
        let rest = sizes.get(&word.to).copied().unwrap_or_default();
        let from = sizes.entry(word.from).or_default();
        *from = from.plus(rest.with_word());
    }
    sizes
}

fn nth_path(words: &[Word], sizes: &HashMap<u32, Size>, mut nth: u64) -> Vec<Position> {
    let mut path = Vec::new();
    let mut rest = words;
    let mut next = 0;
    while let Some(node) = rest.first().map(|word| word.from) {
        let mut taken = None;
        for word in rest.iter().take_while(|word| word.from == node) {
            let num_paths = sizes.get(&word.to).map_or(0, |size| size.num_paths);
            if nth < num_paths {
                taken = Some(word);
                break;
            }
            nth -= num_paths;
        }
        let Some(word) = taken else { break };
        next += word.gap;
        path.push((next, vec![word.text.clone()]));
        next += 1;
        rest = &rest[rest.partition_point(|other| other.from < word.to)..];
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token as `_analyze` shows it: text, position, positionLength.
    fn token((text, position, position_length): (&str, u32, u32)) -> Token {
        Token {
            text: text.to_owned(),
            position,
            position_length,
            start: 0,
            end: 0,
            kind: TokenKind::Word,
            is_keyword: false,
        }
    }

    fn graph(tokens: &[(&str, u32, u32)]) -> Option<TokenGraph> {
        let tokens: Vec<Token> = tokens.iter().copied().map(token).collect();
        TokenGraph::of(&tokens)
    }

    fn said(paths: &[Vec<Position>]) -> Vec<String> {
        let word = |(position, terms): &Position| format!("{}@{position}", terms.join("|"));
        let path = |path: &Vec<Position>| path.iter().map(word).collect::<Vec<_>>().join(" ");
        paths.iter().map(path).collect()
    }

    fn shown(tokens: &[(&str, u32, u32)]) -> Vec<String> {
        let stretches = graph(tokens).map(|graph| graph.stretches(&FieldPath::new("f")));
        let stretches = stretches.expect("a graph").expect("few paths");
        let show = |stretch: &Stretch| match stretch {
            Stretch::Terms(terms) => terms.join("|"),
            Stretch::Paths(paths) => format!("({})", said(paths).join(", ")),
        };
        stretches.iter().map(show).collect()
    }

    #[test]
    fn texts_without_synonyms_of_several_words_are_no_graph() {
        assert!(graph(&[]).is_none());
        assert!(graph(&[("made", 0, 1), ("in", 1, 1), ("usa", 3, 1), ("us", 3, 1)]).is_none());
        let mut shingle = token(("made in", 0, 2));
        shingle.kind = TokenKind::Shingle;
        assert!(TokenGraph::of(&[token(("made", 0, 1)), shingle]).is_none());
    }

    #[test]
    fn paths_part_and_meet_again() {
        let tokens = [
            ("made", 0, 1),
            ("built", 0, 1),
            ("new", 1, 1),
            ("ny", 1, 2),
            ("york", 2, 1),
            ("now", 3, 1),
        ];
        assert_eq!(
            shown(&tokens),
            ["made|built", "(new@0 york@1, ny@0)", "now"]
        );
        let paths = graph(&tokens).map(|graph| graph.paths(&FieldPath::new("f")));
        let paths = paths.expect("a graph").expect("few paths");
        assert_eq!(said(&paths).len(), 4);
        assert_eq!(said(&paths)[1], "made@0 ny@1 now@2");
    }

    #[test]
    fn removed_words_leave_gaps_on_their_paths_alone() {
        let usa = [
            ("usa", 0, 4),
            ("united", 0, 1),
            ("states", 1, 1),
            ("america", 3, 1),
            ("now", 5, 1),
        ];
        assert_eq!(shown(&usa), ["(usa@0, united@0 states@1 america@3)", "now"]);
        let paths = graph(&usa).map(|graph| graph.paths(&FieldPath::new("f")));
        let paths = paths.expect("a graph").expect("few paths");
        assert_eq!(said(&paths)[0], "usa@0 now@2");
    }

    #[test]
    fn words_that_lead_nowhere_are_left_out() {
        assert_eq!(shown(&[("usa", 0, 4), ("united", 0, 1)]), ["usa"]);
        assert!(graph(&[("a", 0, 2), ("b", 1, 3)]).is_none());
    }

    #[test]
    fn too_many_paths_are_counted_and_refused() {
        let spots = |num_spots: u32| -> Vec<Token> {
            let spot = |at: u32| {
                [
                    ("usa", 2 * at, 2),
                    ("united", 2 * at, 1),
                    ("states", 2 * at + 1, 1),
                ]
            };
            (0..num_spots).flat_map(spot).map(token).collect()
        };
        let field = FieldPath::new("f");
        let paths = |num_spots| TokenGraph::of(&spots(num_spots)).map(|graph| graph.paths(&field));
        assert_eq!(
            paths(10).expect("a graph").map(|paths| paths.len()).ok(),
            Some(1_024)
        );
        for num_spots in [11, 10_000] {
            let error = paths(num_spots).expect("a graph").expect_err("refused");
            assert!(error.to_string().contains("[f]"), "{error}");
        }
        let many = TokenGraph::of(&spots(513)).expect("a graph");
        assert!(many.stretches(&field).is_err());
    }
}
