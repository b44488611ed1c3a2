//! The forgiving syntax, step by step as Lucene's `SimpleQueryParser`: an operator that makes no
//! sense where it stands is ignored.

use super::SimpleFlags;
use super::build::Builder;
use super::group::{Conjunction, Group, Member, Modifier, Syntax};
use crate::dsl::{MultiMatchType, Operator, Query, QueryStringQuery, too_deep, too_many_clauses};
use crate::error::QueryError;
use crate::limits::Limits;

/// Reads the text of `query` into a tree.
pub(super) fn parse(query: &QueryStringQuery, limits: &Limits) -> Result<Query, QueryError> {
    if query.query.trim() == "*" {
        return Ok(Query::MatchAll { boost: 1.0 });
    }
    let chars: Vec<char> = query.query.chars().collect();
    let flags = SimpleFlags::from_bits(query.flags);
    let closing = closing_parentheses(&chars, flags);
    // Over fields scores add up.
    let inner = QueryStringQuery {
        tie_breaker: Some(1.0),
        ..query.clone()
    };
    let mut parser = Parser {
        chars: &chars,
        closing: &closing,
        flags,
        default: query.default_operator,
        builder: Builder::new(&inner, limits),
        limits,
        num_clauses: 0,
    };
    let tree = parser.group(0, chars.len(), 1)?;
    Ok(tree.map_or(Query::MatchNone, |tree| tree.query))
}

/// Finds for each opening parenthesis the one that closes it, in one pass.
fn closing_parentheses(chars: &[char], flags: SimpleFlags) -> Vec<Option<usize>> {
    let mut closing = vec![None; chars.len()];
    let mut open = Vec::new();
    let mut is_escaped = false;
    for (at, c) in chars.iter().enumerate() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if flags.contains(SimpleFlags::ESCAPE) => is_escaped = true,
            '(' => open.push(at),
            ')' => {
                if let Some(start) = open.pop() {
                    closing[start] = Some(at);
                }
            }
            _ => {}
        }
    }
    closing
}

struct Parser<'a> {
    chars: &'a [char],
    closing: &'a [Option<usize>],
    flags: SimpleFlags,
    default: Operator,
    builder: Builder<'a>,
    limits: &'a Limits,
    num_clauses: usize,
}

/// A part of the tree with the levels it has: alternating operators nest without parentheses.
struct Tree {
    query: Query,
    levels: usize,
}

/// Where a group stands while it is read.
struct State {
    at: usize,
    end: usize,
    /// Level of the group, from 1.
    depth: usize,
    members: Vec<Member>,
    /// Levels of the tree that the members make.
    levels: usize,
    previous: Option<Operator>,
    current: Option<Operator>,
    num_not: usize,
}

impl<'a> Parser<'a> {
    fn group(
        &mut self,
        start: usize,
        end: usize,
        depth: usize,
    ) -> Result<Option<Tree>, QueryError> {
        if depth > self.limits.query_depth {
            return Err(too_deep(self.limits));
        }
        let mut state = State {
            at: start,
            end,
            depth,
            members: Vec::new(),
            levels: 0,
            previous: None,
            current: None,
            num_not: 0,
        };
        while state.at < state.end {
            match self.chars[state.at] {
                '(' if self.reads(SimpleFlags::PRECEDENCE) => self.parenthesis(&mut state)?,
                ')' if self.reads(SimpleFlags::PRECEDENCE) => state.at += 1,
                '"' if self.reads(SimpleFlags::PHRASE) => self.phrase(&mut state)?,
                '+' if self.reads(SimpleFlags::AND) => state.operator(Operator::And),
                '|' if self.reads(SimpleFlags::OR) => state.operator(Operator::Or),
                '-' if self.reads(SimpleFlags::NOT) => {
                    // Two of them cancel each other out.
                    state.num_not += 1;
                    state.at += 1;
                    continue;
                }
                ' ' | '\t' | '\n' | '\r' if self.reads(SimpleFlags::WHITESPACE) => state.at += 1,
                _ => self.word(&mut state)?,
            }
            // Not even a space may stand between `-` and what it negates.
            state.num_not = 0;
        }
        let levels = state.levels;
        let group = Group {
            members: state.members,
            ..Group::new(Syntax::Simple, self.default)
        };
        Ok(group.into_query().map(|query| Tree { query, levels }))
    }

    fn reads(&self, operator: SimpleFlags) -> bool {
        self.flags.contains(operator)
    }

    fn parenthesis(&mut self, state: &mut State) -> Result<(), QueryError> {
        let start = state.at + 1;
        state.at = start;
        let Some(end) = self.closing[start - 1].filter(|end| *end < state.end) else {
            return Ok(());
        };
        if end == start {
            state.current = None;
        } else {
            let inner = self.group(start, end, state.depth + 1)?;
            self.add(state, inner)?;
        }
        state.at = end + 1;
        Ok(())
    }

    fn phrase(&mut self, state: &mut State) -> Result<(), QueryError> {
        let start = state.at + 1;
        state.at = start;
        let Some((text, end)) = self.quoted(start, state.end) else {
            return Ok(());
        };
        state.at = end + 1;
        if end == start {
            state.current = None;
            return Ok(());
        }
        let is_near =
            state.at < state.end && self.chars[state.at] == '~' && self.reads(SimpleFlags::NEAR);
        let slop = match is_near {
            true if state.at + 1 < state.end => self.distance(state),
            // At the very end `~` says nothing.
            _ => {
                state.at += usize::from(is_near);
                0
            }
        };
        let mut query = self.builder.phrase(None, &text, Some(slop as f32));
        if let Some(Query::MultiMatch(query)) = &mut query {
            query.tie_breaker = None;
        }
        self.add_leaf(state, query)
    }

    /// Returns the text up to the closing quote and that quote's place.
    fn quoted(&self, start: usize, end: usize) -> Option<(String, usize)> {
        let mut text = String::new();
        let mut is_escaped = false;
        for at in start..end {
            match self.chars[at] {
                '\\' if !is_escaped && self.reads(SimpleFlags::ESCAPE) => {
                    is_escaped = true;
                    continue;
                }
                '"' if !is_escaped => return Some((text, at)),
                c => text.push(c),
            }
            is_escaped = false;
        }
        None
    }

    fn word(&mut self, state: &mut State) -> Result<(), QueryError> {
        let mut text = String::new();
        let (mut is_escaped, mut is_prefix, mut is_fuzzy) = (false, false, false);
        while state.at < state.end {
            let c = self.chars[state.at];
            if !is_escaped {
                if c == '\\' && self.reads(SimpleFlags::ESCAPE) {
                    is_escaped = true;
                    is_prefix = false;
                    state.at += 1;
                    continue;
                }
                if self.ends_word(c) {
                    break;
                }
                if !text.is_empty() && c == '~' && self.reads(SimpleFlags::FUZZY) {
                    is_fuzzy = true;
                    break;
                }
                is_prefix = !text.is_empty() && c == '*' && self.reads(SimpleFlags::PREFIX);
            }
            is_escaped = false;
            text.push(c);
            state.at += 1;
        }
        if text.is_empty() {
            return Ok(());
        }
        let query = if is_fuzzy {
            self.fuzzy_word(state, &text)?
        } else if is_prefix {
            text.pop();
            self.builder.prefix(None, &text)?
        } else {
            self.plain(&text)
        };
        self.add_leaf(state, Some(query))
    }

    fn plain(&self, text: &str) -> Query {
        self.builder
            .matching(None, text, MultiMatchType::MostFields)
    }

    fn fuzzy_word(&self, state: &mut State, text: &str) -> Result<Query, QueryError> {
        match self.distance(state).min(2) {
            0 => Ok(self.plain(text)),
            edits => self.builder.fuzzy(None, text, Some(edits as f32)),
        }
    }

    fn ends_word(&self, c: char) -> bool {
        match c {
            '"' => self.reads(SimpleFlags::PHRASE),
            '|' => self.reads(SimpleFlags::OR),
            '+' => self.reads(SimpleFlags::AND),
            '(' | ')' => self.reads(SimpleFlags::PRECEDENCE),
            ' ' | '\t' | '\n' | '\r' => self.reads(SimpleFlags::WHITESPACE),
            _ => false,
        }
    }

    /// Reads `~N`; no number is 2, what is no number is 0.
    fn distance(&self, state: &mut State) -> u32 {
        state.at += 1;
        let start = state.at;
        while state.at < state.end && !self.ends_word(self.chars[state.at]) {
            state.at += 1;
        }
        let digits: String = self.chars[start..state.at].iter().collect();
        if digits.is_empty() {
            return 2;
        }
        digits.parse().unwrap_or(0)
    }

    fn add_leaf(&mut self, state: &mut State, query: Option<Query>) -> Result<(), QueryError> {
        self.num_clauses += 1;
        if self.num_clauses > self.limits.clauses {
            return Err(too_many_clauses(self.limits));
        }
        self.add(state, query.map(|query| Tree { query, levels: 1 }))
    }

    /// Hangs `branch` into the tree (`SimpleQueryParser.buildQueryTree`).
    fn add(&self, state: &mut State, branch: Option<Tree>) -> Result<(), QueryError> {
        let said = state.current.take();
        let Some(branch) = branch else {
            return Ok(());
        };
        let is_negated = state.num_not % 2 == 1;
        let levels = branch.levels + usize::from(is_negated);
        if state.members.is_empty() {
            state.levels = levels;
        } else {
            let operator = said.unwrap_or(self.default);
            let top = state.levels + usize::from(state.previous != Some(operator));
            state.levels = top.max(levels + 1);
            state.previous = Some(operator);
            if state.levels > self.limits.query_depth {
                return Err(too_deep(self.limits));
            }
        }
        state.members.push(Member {
            conjunction: match said {
                None => Conjunction::None,
                Some(Operator::And) => Conjunction::And,
                Some(Operator::Or) => Conjunction::Or,
            },
            modifier: match is_negated {
                true => Modifier::Not,
                false => Modifier::None,
            },
            query: Some(branch.query),
            is_run: false,
        });
        Ok(())
    }
}

impl State {
    fn operator(&mut self, operator: Operator) {
        if self.current.is_none() && !self.members.is_empty() {
            self.current = Some(operator);
        }
        self.at += 1;
    }
}
