//! Synonym rules in Solr's format: `a, b c => d` (replace) and `a, b c, d` (equivalents).

use std::hash::{Hash, Hasher};

use hashbrown::{Equivalent, HashMap};
use indexmap::IndexSet;

use crate::{meter::TooMuch, token::Token};

/// Terms on one line. Equivalents are all pairs, so a line costs the square of its length.
pub(crate) const MAX_SYNONYMS_PER_RULE: usize = 256;

/// Pairs of a term and its synonym that all rules of a filter make: some 100 MB.
const MAX_PAIRS: usize = 1_000_000;

/// What a rule does to its left side.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// Each synonym, as its words; in the order of the rules.
    pub(crate) outputs: IndexSet<Vec<String>>,
    /// The words themselves stay beside their synonyms.
    pub(crate) keeps_original: bool,
    /// What its synonyms take as tokens.
    pub(crate) made_bytes: u64,
}

/// All rules, by what they match.
#[derive(Debug, Default)]
pub(crate) struct SynonymMap {
    /// By the first word.
    rules: HashMap<String, Continuations>,
    /// Pairs of a term and its synonym.
    num_pairs: usize,
}

/// Rules whose left sides begin with one word.
#[derive(Debug, Default)]
struct Continuations {
    by_rest: HashMap<Rest, Entry>,
    /// How many words follow the first; each number once, the largest first.
    lengths: Vec<usize>,
}

/// The words of a left side behind its first.
#[derive(Debug, PartialEq, Eq)]
struct Rest(Vec<String>);

impl Hash for Rest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|word| word.hash(state));
    }
}

/// Words of a text that are compared with those of a [`Rest`].
struct Following<'a>(&'a [Token]);

impl Hash for Following<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|token| token.text.hash(state));
    }
}

impl Equivalent<Rest> for Following<'_> {
    fn equivalent(&self, rest: &Rest) -> bool {
        let texts = self.0.iter().map(|token| &token.text);
        texts.eq(&rest.0)
    }
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuleError {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) reason: String,
}

/// Reads rules into a map.
pub(crate) struct RuleReader<'a> {
    /// Makes tokens of a term, with the parts of the analyzer before the synonym filter.
    pub(crate) tokens: &'a dyn Fn(&str) -> Result<Vec<Token>, TooMuch>,
    /// Equivalents become each other; otherwise all become the first.
    pub(crate) expands: bool,
    /// Skip rules that cannot be used.
    pub(crate) is_lenient: bool,
}

impl RuleReader<'_> {
    /// Parses one rule per line; empty lines and those that begin with `#` are skipped.
    ///
    /// # Errors
    /// The first rule that cannot be used, unless lenient.
    pub(crate) fn read(&self, lines: &[String]) -> Result<SynonymMap, RuleError> {
        let mut map = SynonymMap::default();
        for (at, line) in lines.iter().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let read = self.rule(line, &mut map);
            let is_beyond = map.num_pairs > MAX_PAIRS;
            let read = match is_beyond {
                true => Err(format!(
                    "the rules up to here make more than {MAX_PAIRS} pairs"
                )),
                false => read,
            };
            match read {
                Err(reason) if is_beyond || !self.is_lenient => {
                    return Err(RuleError {
                        line: at + 1,
                        reason,
                    });
                }
                _ => {}
            }
        }
        for rules in map.rules.values_mut() {
            rules.lengths.sort_unstable_by(|a, b| b.cmp(a));
        }
        Ok(map)
    }

    fn rule(&self, line: &str, map: &mut SynonymMap) -> Result<(), String> {
        let sides = split_unescaped(line, "=>");
        match sides.as_slice() {
            [terms] => self.equivalents(terms, map),
            [left, right] => {
                let outputs = self.terms(right)?;
                for input in self.terms(left)? {
                    for output in &outputs {
                        map.add(&input, output, false);
                    }
                }
                Ok(())
            }
            _ => Err("more than one explicit mapping specified on the same line".to_owned()),
        }
    }

    fn equivalents(&self, terms: &str, map: &mut SynonymMap) -> Result<(), String> {
        let terms = self.terms(terms)?;
        if !self.expands {
            for input in &terms {
                map.add(input, &terms[0], false);
            }
            return Ok(());
        }
        for (at, input) in terms.iter().enumerate() {
            for (other, output) in terms.iter().enumerate() {
                if at != other {
                    map.add(input, output, true);
                }
            }
        }
        Ok(())
    }

    /// Returns the words of each term of one side; at least one term.
    fn terms(&self, side: &str) -> Result<Vec<Vec<String>>, String> {
        let mut terms = Vec::new();
        for term in split_unescaped(side, ",") {
            match self.words(unescape(term.trim()).as_str()) {
                Ok(words) => terms.push(words),
                Err(_) if self.is_lenient => {}
                Err(reason) => return Err(reason),
            }
        }
        match terms.len() {
            0 => Err("no usable term".to_owned()),
            number if number > MAX_SYNONYMS_PER_RULE => Err(format!(
                "{number} terms; at most {MAX_SYNONYMS_PER_RULE} may stand on a line"
            )),
            _ => Ok(terms),
        }
    }

    fn words(&self, term: &str) -> Result<Vec<String>, String> {
        let tokens = (self.tokens)(term).map_err(|error| error.to_string())?;
        if tokens.is_empty() {
            return Err(format!(
                "term: {term} was completely eliminated by analyzer"
            ));
        }
        for (at, token) in tokens.iter().enumerate() {
            if token.text.is_empty() {
                return Err(format!("term: {term} analyzed to a zero-length token"));
            }
            let increment = match at {
                0 => i64::from(token.position) + 1,
                _ => i64::from(token.position) - i64::from(tokens[at - 1].position),
            };
            if increment != 1 {
                return Err(format!(
                    "term: {term} analyzed to a token ({}) with position increment != 1 (got: {increment})",
                    token.text
                ));
            }
            if token.position_length != 1 {
                return Err(format!(
                    "term: {term} analyzed to a token ({}) with position length != 1 (got: {})",
                    token.text, token.position_length
                ));
            }
        }
        Ok(tokens.into_iter().map(|token| token.text).collect())
    }
}

impl SynonymMap {
    fn add(&mut self, input: &[String], output: &[String], keeps_original: bool) {
        let Some((first, rest)) = input.split_first() else {
            return;
        };
        let rules = self.rules.entry_ref(first.as_str()).or_default();
        if !rules.lengths.contains(&rest.len()) {
            rules.lengths.push(rest.len());
        }
        let entry = rules.by_rest.entry(Rest(rest.to_vec())).or_default();
        entry.keeps_original |= keeps_original;
        if self.num_pairs <= MAX_PAIRS && entry.outputs.insert(output.to_vec()) {
            self.num_pairs += 1;
            let words = output.iter().map(|word| size_of::<Token>() + word.len());
            entry.made_bytes += words.sum::<usize>() as u64;
        }
    }

    /// Returns the longest rule that matches at the front, and how many tokens it takes.
    pub(crate) fn longest_match(&self, tokens: &[Token]) -> Option<(usize, &Entry)> {
        let (first, following) = tokens.split_first()?;
        let rules = self.rules.get(first.text.as_str())?;
        rules.lengths.iter().find_map(|length| {
            let following = Following(following.get(..*length)?);
            let entry = rules.by_rest.get(&following)?;
            Some((length + 1, entry))
        })
    }

    /// Returns the most bytes that the synonyms of one term have, and the term itself.
    pub(crate) fn growth(&self) -> u64 {
        let entries = self.rules.values().flat_map(|rules| rules.by_rest.values());
        let bytes = entries.map(|entry| {
            let words = entry.outputs.iter().flatten();
            words.map(|word| word.len() as u64).sum::<u64>() + 1
        });
        bytes.max().unwrap_or(1)
    }
}

/// Splits at a separator that no backslash precedes.
fn split_unescaped<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with(separator) {
            parts.push(&text[start..at]);
            at += separator.len();
            start = at;
        } else if let Some(escaped) = rest.strip_prefix('\\') {
            at += 1 + escaped.chars().next().map_or(0, char::len_utf8);
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    parts.push(&text[start..]);
    parts
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            out.extend(chars.next());
        } else {
            out.push(c);
        }
    }
    out
}
