//! Recursive descent over the tokens; depth is checked before the first step.

use super::build::Builder;
use super::group::{Conjunction, Group, Member, Modifier, Syntax};
use super::lexer::{Token, tokens, unescape};
use super::syntax_error;
use crate::dsl::{Query, QueryStringQuery, too_deep, too_many_clauses};
use crate::error::QueryError;
use crate::limits::Limits;

/// Reads the text of `query` into a tree.
pub(super) fn parse(query: &QueryStringQuery, limits: &Limits) -> Result<Query, QueryError> {
    let tokens = tokens(&query.query).map_err(|why| syntax_error(&query.query, &why))?;
    check_depth(&tokens, limits)?;
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        num_clauses: 0,
        text: query,
        builder: Builder::new(query, limits),
        limits,
    };
    let parsed = parser.group(None)?;
    if parser.at < tokens.len() {
        return Err(parser.unexpected());
    }
    Ok(parsed.unwrap_or(Query::MatchNone))
}

/// Counts parentheses in one pass, so that the parser never recurses beyond the limit.
fn check_depth(tokens: &[Token], limits: &Limits) -> Result<(), QueryError> {
    let mut depth = 0_usize;
    for token in tokens {
        match token {
            Token::Open => depth += 1,
            Token::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limits.query_depth {
            return Err(too_deep(limits));
        }
    }
    Ok(())
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    num_clauses: usize,
    text: &'a QueryStringQuery,
    builder: Builder<'a>,
    limits: &'a Limits,
}

/// What may follow a word: a factor and an edit distance, in any order.
#[derive(Default)]
struct Suffix {
    boost: Option<f32>,
    fuzzy: Option<Option<f32>>,
}

impl<'a> Parser<'a> {
    fn peek(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(self.at + ahead)
    }

    fn unexpected(&self) -> QueryError {
        let why = match self.peek(0) {
            None => "unexpected end of the text".to_owned(),
            Some(token) => format!("unexpected {}", describe(token)),
        };
        syntax_error(&self.text.query, &why)
    }

    fn count(&mut self) -> Result<(), QueryError> {
        self.num_clauses += 1;
        if self.num_clauses > self.limits.clauses {
            return Err(too_many_clauses(self.limits));
        }
        Ok(())
    }

    /// Reads clauses up to the end or a closing parenthesis; at least one.
    fn group(&mut self, field: Option<&str>) -> Result<Option<Query>, QueryError> {
        let mut group = Group::new(Syntax::Classic, self.text.default_operator);
        let mut is_first = true;
        while is_first || !matches!(self.peek(0), None | Some(Token::Close)) {
            let member = match self.words() {
                Some(words) => self.run(field, &words)?,
                None => {
                    let conjunction = match is_first {
                        true => Conjunction::None,
                        false => self.conjunction(),
                    };
                    self.member(field, conjunction)?
                }
            };
            group.members.push(member);
            is_first = false;
        }
        Ok(group.into_query())
    }

    fn run(&mut self, field: Option<&str>, words: &str) -> Result<Member, QueryError> {
        self.count()?;
        Ok(Member {
            conjunction: Conjunction::None,
            modifier: Modifier::None,
            query: self.builder.text(field, words),
            is_run: true,
        })
    }

    fn member(
        &mut self,
        field: Option<&str>,
        conjunction: Conjunction,
    ) -> Result<Member, QueryError> {
        Ok(Member {
            conjunction,
            modifier: self.modifier(),
            query: self.clause(field)?,
            is_run: false,
        })
    }

    /// Takes two or more words in a row, which are analysed as one text.
    fn words(&mut self) -> Option<String> {
        let mut words = Vec::new();
        while let Some(Token::Term(word)) = self.peek(words.len()) {
            // The last word belongs to what follows it: `a b:c`, `a b~`, `a b AND c`.
            let is_bound = matches!(
                self.peek(words.len() + 1),
                Some(Token::Colon | Token::Star | Token::Fuzzy(_) | Token::Boost(_))
                    | Some(Token::And | Token::Or)
            );
            if is_bound {
                break;
            }
            words.push(unescape(word));
        }
        if words.len() < 2 {
            return None;
        }
        self.at += words.len();
        Some(words.join(" "))
    }

    fn conjunction(&mut self) -> Conjunction {
        let found = match self.peek(0) {
            Some(Token::And) => Conjunction::And,
            Some(Token::Or) => Conjunction::Or,
            _ => return Conjunction::None,
        };
        self.at += 1;
        found
    }

    fn modifier(&mut self) -> Modifier {
        let found = match self.peek(0) {
            Some(Token::Plus) => Modifier::Required,
            Some(Token::Minus | Token::Not) => Modifier::Not,
            _ => return Modifier::None,
        };
        self.at += 1;
        found
    }

    /// Reads `[field:] (term | group)`.
    fn clause(&mut self, field: Option<&str>) -> Result<Option<Query>, QueryError> {
        self.count()?;
        let named = self.field_name();
        let field = named.as_deref().or(field);
        if self.peek(0) != Some(&Token::Open) {
            return self.term(field);
        }
        self.at += 1;
        let query = self.group(field)?;
        if self.peek(0) != Some(&Token::Close) {
            return Err(self.unexpected());
        }
        self.at += 1;
        let factor = match self.peek(0) {
            Some(Token::Boost(factor)) => *factor,
            _ => return Ok(query),
        };
        self.at += 1;
        Ok(query.map(|query| query.boosted(factor)))
    }

    /// Takes `field:`.
    fn field_name(&mut self) -> Option<String> {
        let name = match (self.peek(0), self.peek(1)) {
            (Some(Token::Term(name)), Some(Token::Colon)) => unescape(name),
            // `book.*:` is beyond Lucene's grammar without an escape, and harmless.
            (Some(Token::Prefix(name)), Some(Token::Colon)) => format!("{}*", unescape(name)),
            (Some(Token::Star), Some(Token::Colon)) => "*".to_owned(),
            _ => return None,
        };
        self.at += 2;
        Some(name)
    }

    fn term(&mut self, field: Option<&str>) -> Result<Option<Query>, QueryError> {
        let Some(token) = self.peek(0) else {
            return Err(self.unexpected());
        };
        if !is_term(token) {
            return Err(self.unexpected());
        }
        self.at += 1;
        let suffix = self.suffix();
        let query = match token {
            Token::Term(image) => match suffix.fuzzy {
                Some(distance) => Some(self.builder.fuzzy(field, &unescape(image), distance)?),
                None => self.builder.text(field, &unescape(image)),
            },
            Token::BareOperator(c) => self.builder.text(field, &c.to_string()),
            Token::Quoted(image) => {
                let slop = suffix.fuzzy.flatten();
                self.builder.phrase(field, &unescape(image), slop)
            }
            Token::Star => Some(self.builder.wildcard(field, "*")?),
            Token::Prefix(image) => Some(self.builder.prefix(field, &unescape(image))?),
            Token::Wildcard(image) => Some(self.builder.wildcard(field, image)?),
            Token::Regexp(image) => Some(self.builder.regexp(field, image)?),
            Token::Range(range) => Some(self.builder.range(field, range)),
            // `is_term` lets nothing else through.
            _ => return Err(self.unexpected()),
        };
        Ok(query.map(|query| query.boosted(suffix.boost.unwrap_or(1.0))))
    }

    fn suffix(&mut self) -> Suffix {
        let mut suffix = Suffix::default();
        loop {
            match self.peek(0) {
                Some(Token::Boost(factor)) if suffix.boost.is_none() => {
                    suffix.boost = Some(*factor);
                }
                Some(Token::Fuzzy(distance)) if suffix.fuzzy.is_none() => {
                    suffix.fuzzy = Some(*distance);
                }
                _ => return suffix,
            }
            self.at += 1;
        }
    }
}

fn is_term(token: &Token) -> bool {
    matches!(
        token,
        Token::Term(_)
            | Token::BareOperator(_)
            | Token::Quoted(_)
            | Token::Star
            | Token::Prefix(_)
            | Token::Wildcard(_)
            | Token::Regexp(_)
            | Token::Range(_)
    )
}

fn describe(token: &Token) -> String {
    match token {
        Token::And => "[AND]".to_owned(),
        Token::Or => "[OR]".to_owned(),
        Token::Not => "[NOT]".to_owned(),
        Token::Plus => "[+]".to_owned(),
        Token::Minus => "[-]".to_owned(),
        Token::BareOperator(c) => format!("[{c}]"),
        Token::Open => "[(]".to_owned(),
        Token::Close => "[)]".to_owned(),
        Token::Colon => "[:]".to_owned(),
        Token::Star => "[*]".to_owned(),
        Token::Boost(_) => "[^]".to_owned(),
        Token::Fuzzy(_) => "[~]".to_owned(),
        Token::Quoted(_) => "quoted text".to_owned(),
        Token::Term(text) => format!("[{text}]"),
        Token::Prefix(text) => format!("[{text}*]"),
        Token::Wildcard(text) => format!("[{text}]"),
        Token::Regexp(_) => "regular expression".to_owned(),
        Token::Range(_) => "range".to_owned(),
    }
}
