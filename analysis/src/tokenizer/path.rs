//! `path_hierarchy`: a path and all its parents, at one position.

use super::Tokenizer;
use crate::{error::AnalysisError, meter::Meter, settings::Params, token::TokenRef};

/// Parts of a path that [`Tokenizer::growth`] takes for the most: a path becomes as many tokens as it has parts, each as
/// long as what it names.
const DEPTH: u64 = 2_000;

/// `/a/b/c` becomes `/a`, `/a/b`, `/a/b/c`; reversed, `a/b/c` becomes `a/b/c`, `b/c`, `c`.
#[derive(Debug)]
pub(crate) struct PathHierarchy {
    delimiter: char,
    replacement: char,
    /// Leading parts (trailing ones when reversed) to leave out.
    skip: usize,
    is_reverse: bool,
}

impl PathHierarchy {
    pub(crate) fn from_params(params: &Params<'_>) -> Result<Self, AnalysisError> {
        params.positive("buffer_size", 1_024)?;
        let delimiter = one_char(params, "delimiter")?.unwrap_or('/');
        Ok(Self {
            delimiter,
            replacement: one_char(params, "replacement")?.unwrap_or(delimiter),
            skip: params.count("skip", 0)?,
            is_reverse: params.flag("reverse", false)?,
        })
    }

    /// Returns the byte ranges of the tokens.
    fn ranges(&self, text: &str) -> Vec<(usize, usize)> {
        let delimiters: Vec<usize> = text
            .match_indices(self.delimiter)
            .map(|(at, _)| at)
            .collect();
        if self.is_reverse {
            return self.reverse_ranges(text, &delimiters);
        }
        // A leading delimiter opens the first part, so it ends no token.
        let mut ends: Vec<usize> = delimiters.into_iter().filter(|&at| at > 0).collect();
        if !text.is_empty() && ends.last() != Some(&text.len()) {
            ends.push(text.len());
        }
        if self.skip >= ends.len() {
            return Vec::new();
        }
        let start = if self.skip == 0 {
            0
        } else {
            ends[self.skip - 1]
        };
        ends[self.skip..].iter().map(|&end| (start, end)).collect()
    }

    fn reverse_ranges(&self, text: &str, delimiters: &[usize]) -> Vec<(usize, usize)> {
        let after = |at: usize| at + self.delimiter.len_utf8();
        let mut starts = vec![0];
        starts.extend(
            delimiters
                .iter()
                .map(|&at| after(at))
                .filter(|&at| at < text.len()),
        );
        if text.is_empty() || self.skip >= starts.len() {
            return Vec::new();
        }
        let end = if self.skip == 0 {
            text.len()
        } else {
            starts[starts.len() - self.skip]
        };
        starts[..starts.len() - self.skip]
            .iter()
            .map(|&start| (start, end))
            .collect()
    }
}

fn one_char(params: &Params<'_>, key: &str) -> Result<Option<char>, AnalysisError> {
    let Some(text) = params.text(key)? else {
        return Ok(None);
    };
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(Some(c)),
        _ => Err(params.bad(key, format!("must be one character, but was [{text}]"))),
    }
}

impl Tokenizer for PathHierarchy {
    fn tokenize(&self, text: &str, meter: &Meter<'_>, sink: &mut dyn FnMut(TokenRef<'_>)) -> u32 {
        let ranges = self.ranges(text);
        let mut replaced = String::new();
        for &(start, end) in &ranges {
            if meter.is_spent() {
                break;
            }
            let token = TokenRef::slice(text, (start, end), 0);
            if self.replacement == self.delimiter {
                sink(token);
                continue;
            }
            replaced.clear();
            let replace = |c| {
                if c == self.delimiter {
                    self.replacement
                } else {
                    c
                }
            };
            replaced.extend(token.text.chars().map(replace));
            sink(TokenRef {
                text: &replaced,
                ..token
            });
        }
        u32::from(!ranges.is_empty())
    }

    fn growth(&self) -> u64 {
        DEPTH
    }
}
