//! Joining clauses as Lucene's classic parser does: each clause is required, optional or
//! prohibited; `AND` and `OR` change the clause before them, too.

use crate::dsl::{BoolQuery, Operator, Query};

/// What stands between a clause and the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conjunction {
    None,
    And,
    Or,
}

/// What stands before a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Modifier {
    None,
    Required,
    Not,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occur {
    Must,
    Should,
    MustNot,
}

/// The clauses of one group.
#[derive(Debug)]
pub(super) struct Clauses {
    default: Operator,
    clauses: Vec<(Occur, Query)>,
}

impl Clauses {
    /// Returns a group whose clauses are joined by `default` where nothing else is said.
    pub(super) fn new(default: Operator) -> Self {
        Self {
            default,
            clauses: Vec::new(),
        }
    }

    /// Adds a clause (`QueryParserBase.addClause`); `None` is a clause without text.
    pub(super) fn add(
        &mut self,
        conjunction: Conjunction,
        modifier: Modifier,
        query: Option<Query>,
    ) {
        let before = match (conjunction, self.default) {
            (Conjunction::And, _) => Some(Occur::Must),
            // Without this `a OR b` under AND would require `a`.
            (Conjunction::Or, Operator::And) => Some(Occur::Should),
            _ => None,
        };
        if let (Some(occur), Some(last)) = (before, self.clauses.last_mut())
            && last.0 != Occur::MustNot
        {
            last.0 = occur;
        }
        let Some(query) = query else { return };
        let occur = match (modifier, self.default) {
            (Modifier::Not, _) => Occur::MustNot,
            (Modifier::Required, Operator::Or) => Occur::Must,
            (Modifier::None, Operator::Or) if conjunction == Conjunction::And => Occur::Must,
            (_, Operator::And) if conjunction != Conjunction::Or => Occur::Must,
            _ => Occur::Should,
        };
        self.clauses.push((occur, query));
    }

    /// Returns the only clause when it stands without a sign, else a `bool`.
    pub(super) fn into_query(mut self, is_plain: bool) -> Option<Query> {
        if self.clauses.len() <= 1 && is_plain {
            return self.clauses.pop().map(|(_, query)| query);
        }
        let mut query = BoolQuery {
            boost: 1.0,
            ..BoolQuery::default()
        };
        if self.clauses.is_empty() {
            return None;
        }
        for (occur, clause) in self.clauses {
            match occur {
                Occur::Must => query.must.push(clause),
                Occur::Should => query.should.push(clause),
                Occur::MustNot => query.must_not.push(clause),
            }
        }
        Some(Query::Bool(query))
    }
}
