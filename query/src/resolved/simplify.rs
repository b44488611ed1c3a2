//! Clauses made smaller without changing what they match or how it scores.
//!
//! A simplified [`Clause::Bool`] always has a `must`, a `filter` or a required `should`, so that
//! evaluating it never has to ask what a `bool` without any of them matches (all documents, with
//! score 0). Trees are as deep as the query they come from, which parsing has bounded.

#[cfg(test)]
mod tests;

use super::Clause;

/// Returns a clause that matches the same documents with the same scores, summed in the same order.
#[must_use]
pub fn simplify(clause: Clause) -> Clause {
    let minimum_should_match = clause.minimum_should_match();
    match clause {
        Clause::Bool {
            must,
            should,
            filter,
            must_not,
            ..
        } => Parts {
            must: each(must, simplify),
            should: each(should, simplify),
            filter: each(filter, simplify_filter),
            must_not: each(must_not, simplify_filter),
            minimum_should_match,
        }
        .into_clause(),
        Clause::DisMax {
            clauses,
            tie_breaker,
        } => best_of(each(clauses, simplify), tie_breaker),
        Clause::Constant(inner) => match simplify_filter(*inner) {
            plain @ (Clause::MatchAll | Clause::MatchNone) => plain,
            inner => Clause::Constant(Box::new(inner)),
        },
        Clause::Demote {
            positive,
            negative,
            factor,
        } => demote(simplify(*positive), simplify_filter(*negative), factor),
        Clause::Functions(mut scored) => {
            scored.query = simplify(scored.query);
            scored.filters = each(scored.filters, simplify_filter);
            match scored.query {
                Clause::MatchNone => Clause::MatchNone,
                _ => Clause::Functions(scored),
            }
        }
        Clause::Boost { clause, factor } => match simplify(*clause) {
            Clause::MatchNone => Clause::MatchNone,
            // A factor of exactly 1 changes no bit.
            clause if factor.to_bits() == 1.0_f32.to_bits() => clause,
            clause => Clause::Boost {
                clause: Box::new(clause),
                factor,
            },
        },
        leaf => simplify_leaf(leaf),
    }
}

/// Returns a clause that matches the same documents; what it scores is forgotten.
#[must_use]
pub fn simplify_filter(clause: Clause) -> Clause {
    let minimum_should_match = clause.minimum_should_match();
    match clause {
        Clause::Bool {
            must,
            should,
            filter,
            must_not,
            ..
        } => {
            let required = must.into_iter().chain(filter).collect();
            // Optional clauses only score.
            let optional = if minimum_should_match == 0 {
                Vec::new()
            } else {
                should
            };
            Parts {
                must: Vec::new(),
                should: each(optional, simplify_filter),
                filter: each(required, simplify_filter),
                must_not: each(must_not, simplify_filter),
                minimum_should_match,
            }
            .into_filter()
        }
        Clause::DisMax { clauses, .. } => Parts {
            should: each(clauses, simplify_filter),
            minimum_should_match: 1,
            ..Parts::default()
        }
        .into_filter(),
        Clause::Constant(inner) => simplify_filter(*inner),
        Clause::Demote { positive, .. } => simplify_filter(*positive),
        // With a least score it matches by its score.
        Clause::Functions(scored) if scored.min_score.is_none() => simplify_filter(scored.query),
        scored @ Clause::Functions(_) => simplify(scored),
        Clause::Boost { clause, .. } => simplify_filter(*clause),
        leaf => simplify_leaf(leaf),
    }
}

fn each(clauses: Vec<Clause>, step: fn(Clause) -> Clause) -> Vec<Clause> {
    clauses.into_iter().map(step).collect()
}

/// The parts of a `bool`, each already simplified.
#[derive(Default)]
struct Parts {
    must: Vec<Clause>,
    should: Vec<Clause>,
    filter: Vec<Clause>,
    must_not: Vec<Clause>,
    minimum_should_match: usize,
}

impl Parts {
    fn into_clause(mut self) -> Clause {
        if !self.fold() {
            return Clause::MatchNone;
        }
        if self.should.len() == self.minimum_should_match {
            // `must` is summed before `should`, so the order of the sum stays.
            self.must.append(&mut self.should);
            self.minimum_should_match = 0;
        }
        let is_must_alone = self.filter.is_empty() && self.must_not.is_empty();
        if is_must_alone && self.should.is_empty() && self.must.len() == 1 {
            return self.must.remove(0);
        }
        self.into_bool()
    }

    fn into_filter(mut self) -> Clause {
        if !self.fold() {
            return Clause::MatchNone;
        }
        if self.should.len() == self.minimum_should_match {
            self.filter.append(&mut self.should);
            self.minimum_should_match = 0;
            self.flatten_filter();
        }
        if self.should.is_empty() && self.must_not.is_empty() && self.filter.len() <= 1 {
            return self.filter.pop().unwrap_or(Clause::MatchAll);
        }
        if self.is_any_of() {
            self.flatten_should();
        }
        self.into_bool()
    }

    /// Drops what cannot matter; `false` when nothing can match.
    fn fold(&mut self) -> bool {
        self.flatten_filter();
        self.flatten_must_not();
        let none = |clauses: &[Clause]| clauses.contains(&Clause::MatchNone);
        self.should.retain(|clause| *clause != Clause::MatchNone);
        !none(&self.must)
            && !none(&self.filter)
            && !self.must_not.contains(&Clause::MatchAll)
            && self.minimum_should_match <= self.should.len()
    }

    /// Lifts the parts of conjunctions inside `filter`; drops what matches everything.
    fn flatten_filter(&mut self) {
        for clause in std::mem::take(&mut self.filter) {
            match clause {
                Clause::MatchAll => {}
                Clause::Bool {
                    must,
                    should,
                    filter,
                    must_not,
                    ..
                } if must.is_empty() && should.is_empty() => {
                    self.filter
                        .extend(filter.into_iter().filter(|c| *c != Clause::MatchAll));
                    self.must_not.extend(must_not);
                }
                clause => self.filter.push(clause),
            }
        }
    }

    /// Lifts the parts of disjunctions inside `must_not`; drops what matches nothing.
    fn flatten_must_not(&mut self) {
        for clause in std::mem::take(&mut self.must_not) {
            match any_of(clause) {
                Ok(alternatives) => self.must_not.extend(alternatives),
                Err(Clause::MatchNone) => {}
                Err(clause) => self.must_not.push(clause),
            }
        }
    }

    fn is_any_of(&self) -> bool {
        self.minimum_should_match == 1 && self.filter.is_empty() && self.must_not.is_empty()
    }

    /// Lifts the parts of disjunctions inside a disjunction.
    fn flatten_should(&mut self) {
        for clause in std::mem::take(&mut self.should) {
            match any_of(clause) {
                Ok(alternatives) => self.should.extend(alternatives),
                Err(clause) => self.should.push(clause),
            }
        }
    }

    fn into_bool(mut self) -> Clause {
        if self.must.is_empty() && self.filter.is_empty() && self.minimum_should_match == 0 {
            self.filter.push(Clause::MatchAll);
        }
        Clause::Bool {
            must: self.must,
            should: self.should,
            filter: self.filter,
            must_not: self.must_not,
            // It is at most the number of clauses, which parsing has bounded.
            minimum_should_match: u32::try_from(self.minimum_should_match).unwrap_or(u32::MAX),
        }
    }
}

/// Takes a plain disjunction apart; gives anything else back.
fn any_of(clause: Clause) -> Result<Vec<Clause>, Clause> {
    match clause {
        Clause::Bool {
            must,
            should,
            filter,
            must_not,
            minimum_should_match: 1,
        } if must.is_empty() && filter.is_empty() && must_not.is_empty() => Ok(should),
        other => Err(other),
    }
}

fn best_of(mut clauses: Vec<Clause>, tie_breaker: f32) -> Clause {
    clauses.retain(|clause| *clause != Clause::MatchNone);
    match clauses.pop() {
        None => Clause::MatchNone,
        Some(only) if clauses.is_empty() => only,
        Some(last) => {
            clauses.push(last);
            Clause::DisMax {
                clauses,
                tie_breaker,
            }
        }
    }
}

fn demote(positive: Clause, negative: Clause, factor: f32) -> Clause {
    if positive == Clause::MatchNone || negative == Clause::MatchNone {
        return positive;
    }
    Clause::Demote {
        positive: Box::new(positive),
        negative: Box::new(negative),
        factor,
    }
}

fn simplify_leaf(leaf: Clause) -> Clause {
    match leaf {
        Clause::Synonyms { field, mut terms } if terms.len() <= 1 => match terms.pop() {
            Some(term) => Clause::Term { field, term },
            None => Clause::MatchNone,
        },
        Clause::Phrase {
            field,
            mut positions,
            slop,
        } => match positions.as_mut_slice() {
            [] => Clause::MatchNone,
            [(_, terms)] if terms.len() == 1 => Clause::Term {
                field,
                term: std::mem::take(&mut terms[0]),
            },
            _ => Clause::Phrase {
                field,
                positions,
                slop,
            },
        },
        leaf if leaf.is_empty_list() => Clause::MatchNone,
        leaf => leaf,
    }
}
