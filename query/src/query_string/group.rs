//! Clauses of a text that are joined once it is known which of them say anything.
//!
//! Lucene's parsers analyse a word before they join it: one that analyses to nothing is no clause, and
//! `AND` after it changes the clause before. Text is analysed at the root, so a group keeps what stood
//! between its members until [`Group::join`] is told what became of them.

use serde::Serialize;

use crate::dsl::{MinimumShouldMatch, Operator, Query};

/// What stands between a member and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Conjunction {
    /// White space, or nothing.
    None,
    /// `AND`, `&&`; `+` of the forgiving syntax.
    And,
    /// `OR`, `||`; `|` of the forgiving syntax.
    Or,
}

/// What stands before a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Modifier {
    /// Nothing.
    None,
    /// `+`.
    Required,
    /// `-`, `NOT`, `!`.
    Not,
}

/// Whose rules join the members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Syntax {
    /// The classic parser's: each clause is required, optional or prohibited; `AND` and `OR` change
    /// the clause before them, too.
    Classic,
    /// `SimpleQueryParser`'s: operators bind from the left, what is negated is a clause of its own.
    Simple,
}

/// One clause of a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Member {
    /// What stands before it, after the one before.
    pub conjunction: Conjunction,
    /// What stands right before it.
    pub modifier: Modifier,
    /// What it asks; `None` is a clause without text (`""`).
    pub query: Option<Query>,
    /// Whether it is a run of words, each term of which is a clause of the group.
    pub is_run: bool,
}

/// Members of a text, or of its parentheses, in the text's order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The members.
    pub members: Vec<Member>,
    /// Whose rules join them.
    pub syntax: Syntax,
    /// How members are joined where nothing else is said.
    pub default_operator: Operator,
    /// How many of the optional clauses must match; `None` is the default of `bool`.
    pub minimum_should_match: Option<MinimumShouldMatch>,
    /// Factor on the score.
    pub boost: f32,
}

/// Whether a clause must, may or must not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occur {
    Must,
    Should,
    MustNot,
}

/// The clauses of a `bool`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoolClauses<T> {
    /// Must match.
    pub must: Vec<T>,
    /// May match.
    pub should: Vec<T>,
    /// Must not match.
    pub must_not: Vec<T>,
}

impl<T> BoolClauses<T> {
    fn of(clauses: Vec<(Occur, T)>) -> Self {
        let mut joined = Self {
            must: Vec::new(),
            should: Vec::new(),
            must_not: Vec::new(),
        };
        for (occur, clause) in clauses {
            joined.push(occur, clause);
        }
        joined
    }

    fn push(&mut self, occur: Occur, clause: T) {
        match occur {
            Occur::Must => self.must.push(clause),
            Occur::Should => self.should.push(clause),
            Occur::MustNot => self.must_not.push(clause),
        }
    }
}

/// What a group becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape<T> {
    /// The only clause that says anything.
    Single(T),
    /// Clauses of a `bool`.
    BoolClauses(BoolClauses<T>),
}

/// How clauses are made while a group is joined.
#[derive(Debug)]
pub struct Build<T> {
    /// Returns what matches everything.
    pub all: fn() -> T,
    /// Returns clauses as one.
    pub joined: fn(BoolClauses<T>) -> T,
}

impl<T> Build<T> {
    /// Returns everything without `clause`.
    fn without(&self, clause: T) -> BoolClauses<T> {
        BoolClauses::of(vec![
            (Occur::Should, (self.all)()),
            (Occur::MustNot, clause),
        ])
    }

    fn single(&self, shape: Shape<T>) -> T {
        match shape {
            Shape::Single(clause) => clause,
            Shape::BoolClauses(joined) => (self.joined)(joined),
        }
    }
}

impl Group {
    /// Returns a group without members.
    pub(super) fn new(syntax: Syntax, default_operator: Operator) -> Self {
        Self {
            members: Vec::new(),
            syntax,
            default_operator,
            minimum_should_match: None,
            boost: 1.0,
        }
    }

    /// Returns the only member when it stands without a sign, else the group; `None` without text.
    pub(super) fn into_query(mut self) -> Option<Query> {
        if self.members.iter().all(|member| member.query.is_none()) {
            return None;
        }
        if let [only] = self.members.as_mut_slice()
            && only.modifier == Modifier::None
        {
            return only.query.take();
        }
        Some(Query::Group(self))
    }

    /// Joins what the members became: nothing where one says nothing, several clauses for a run of
    /// words. `None` when none of them says anything.
    pub fn join<T>(&self, said: Vec<Vec<T>>, build: &Build<T>) -> Option<Shape<T>> {
        match self.syntax {
            Syntax::Classic => self.join_classic(said),
            Syntax::Simple => self.join_simple(said, build),
        }
    }

    /// `QueryParserBase.addClause` for each member.
    fn join_classic<T>(&self, said: Vec<Vec<T>>) -> Option<Shape<T>> {
        let is_plain = self.members.first().is_some_and(|first| {
            first.modifier == Modifier::None && said.first().is_some_and(|terms| !terms.is_empty())
        });
        let mut clauses: Vec<(Occur, T)> = Vec::new();
        for (member, terms) in self.members.iter().zip(said) {
            let before = self.occur_before(member.conjunction);
            if let (Some(occur), Some(last)) = (before, clauses.last_mut())
                && last.0 != Occur::MustNot
            {
                last.0 = occur;
            }
            let occur = self.occur(member);
            clauses.extend(terms.into_iter().map(|term| (occur, term)));
        }
        if is_plain && clauses.len() == 1 {
            return clauses.pop().map(|(_, clause)| Shape::Single(clause));
        }
        match clauses.is_empty() {
            true => None,
            false => Some(Shape::BoolClauses(BoolClauses::of(clauses))),
        }
    }

    /// What a conjunction makes of the clause before it, which is not prohibited.
    fn occur_before(&self, conjunction: Conjunction) -> Option<Occur> {
        match (conjunction, self.default_operator) {
            (Conjunction::And, _) => Some(Occur::Must),
            // Without this `a OR b` under AND would require `a`.
            (Conjunction::Or, Operator::And) => Some(Occur::Should),
            _ => None,
        }
    }

    fn occur(&self, member: &Member) -> Occur {
        match (member.modifier, self.default_operator) {
            (Modifier::Not, _) => Occur::MustNot,
            (Modifier::Required, Operator::Or) => Occur::Must,
            (Modifier::None, Operator::Or) if member.conjunction == Conjunction::And => Occur::Must,
            (_, Operator::And) if member.conjunction != Conjunction::Or => Occur::Must,
            _ => Occur::Should,
        }
    }

    /// `SimpleQueryParser.buildQueryTree` for each member.
    fn join_simple<T>(&self, said: Vec<Vec<T>>, build: &Build<T>) -> Option<Shape<T>> {
        let mut top: Option<Shape<T>> = None;
        let mut previous = None;
        for (member, mut terms) in self.members.iter().zip(said) {
            let Some(clause) = terms.pop() else { continue };
            let branch = match member.modifier {
                Modifier::Not => Shape::BoolClauses(build.without(clause)),
                Modifier::None | Modifier::Required => Shape::Single(clause),
            };
            let Some(before) = top.take() else {
                top = Some(branch);
                continue;
            };
            let occur = match member.conjunction {
                Conjunction::And => Occur::Must,
                Conjunction::Or => Occur::Should,
                Conjunction::None if self.default_operator == Operator::And => Occur::Must,
                Conjunction::None => Occur::Should,
            };
            let mut joined = match before {
                Shape::BoolClauses(joined) if previous == Some(occur) => joined,
                // Another operator than before: what stands so far is its first clause.
                other => BoolClauses::of(vec![(occur, build.single(other))]),
            };
            joined.push(occur, build.single(branch));
            top = Some(Shape::BoolClauses(joined));
            previous = Some(occur);
        }
        top
    }
}

#[cfg(test)]
mod tests;
