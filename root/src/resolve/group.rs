//! Texts of query strings: members are resolved, then joined if they say anything.

use gleaner_query::QueryError;
use gleaner_query::dsl::{MinimumShouldMatch, MultiMatchType, Query};
use gleaner_query::query_string::{BoolClauses, Build, Group, Member, Shape};
use gleaner_query::resolved::Clause;

use super::fields::search_fields;
use super::{Resolver, boosted, is_unsaid, required, unsaid};

impl Resolver<'_> {
    /// Returns the clause of a whole text, whose tree carries the query's own factor.
    pub(super) fn parsed(&mut self, tree: &Query) -> Result<Clause, QueryError> {
        let clause = self.resolve(tree)?;
        Ok(match is_unsaid(&clause) {
            true => Clause::MatchNone,
            false => clause,
        })
    }

    pub(super) fn group(&mut self, group: &Group) -> Result<Clause, QueryError> {
        let mut said = Vec::with_capacity(group.members.len());
        for member in &group.members {
            said.push(self.member(member)?);
        }
        let build: Build<Clause> = Build {
            all: || Clause::MatchAll,
            joined: |joined| bool_of(joined, None),
        };
        let clause = match group.join(said, &build) {
            None => unsaid(),
            Some(Shape::Single(clause)) => clause,
            Some(Shape::BoolClauses(joined)) => {
                bool_of(joined, group.minimum_should_match.as_ref())
            }
        };
        Ok(boosted(clause, group.boost))
    }

    /// Returns the clauses of a member; none where its text says nothing.
    fn member(&mut self, member: &Member) -> Result<Vec<Clause>, QueryError> {
        let Some(query) = &member.query else {
            return Ok(Vec::new());
        };
        if member.is_run
            && let Some(clauses) = self.run(query)?
        {
            return Ok(clauses);
        }
        let clause = self.resolve(query)?;
        Ok(match is_unsaid(&clause) {
            true => Vec::new(),
            false => vec![clause],
        })
    }

    /// Returns a clause for each term of a run of words (`QueryParserBase.addMultiTermClauses`);
    /// `None` where the run is one clause: over several fields, or one that is weighed or not text.
    fn run(&mut self, query: &Query) -> Result<Option<Vec<Clause>>, QueryError> {
        match query {
            Query::Match(query) if query.boost == 1.0 => {
                self.match_clauses(&query.field, &query.query, &query.options)
            }
            Query::MultiMatch(query)
                if matches!(
                    query.kind,
                    MultiMatchType::BestFields | MultiMatchType::MostFields
                ) =>
            {
                match search_fields(self.index, &query.fields).as_slice() {
                    [only] if only.boost == 1.0 => {
                        self.match_clauses(only.path.as_str(), &query.query, &query.options)
                    }
                    _ => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }
}

fn bool_of(joined: BoolClauses<Clause>, minimum: Option<&MinimumShouldMatch>) -> Clause {
    let optional = joined.should.len() as u32;
    let minimum_should_match = match minimum {
        Some(minimum) => required(minimum, optional),
        None if joined.must.is_empty() => u32::from(optional > 0),
        None => 0,
    };
    Clause::Bool {
        must: joined.must,
        should: joined.should,
        filter: Vec::new(),
        must_not: joined.must_not,
        minimum_should_match,
    }
}
