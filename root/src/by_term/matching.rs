//! Bitmaps of a shard's posting lists combined: AND, OR, NOT.

use std::borrow::Cow;

use gleaner_partial::EvaluationError;
use gleaner_query::resolved::Clause;
use roaring::RoaringTreemap;

use super::scoring::Evaluation;
use super::wanted::term_of;

/// Documents of one shard, borrowed where they are a list as it came.
pub(super) type Documents<'a> = Cow<'a, RoaringTreemap>;

impl<'a> Evaluation<'a> {
    /// Returns the documents that match `clause`.
    pub(super) fn matching(&self, clause: &Clause) -> Result<Documents<'a>, EvaluationError> {
        self.control.check()?;
        if let Some(term) = term_of(clause) {
            return Ok(Cow::Borrowed(&self.list(term)?.list.documents));
        }
        match clause {
            Clause::Boost { clause, .. } => self.matching(clause),
            Clause::Bool {
                must,
                should,
                filter,
                must_not,
                ..
            } => {
                let required = must.iter().chain(filter);
                let required = required.map(|clause| self.matching(clause));
                let mut found = intersection(required.collect::<Result<_, _>>()?);
                let minimum = clause.minimum_should_match();
                if minimum > 0 {
                    let optional = should.iter().map(|clause| self.matching(clause));
                    let optional: Vec<_> = optional.collect::<Result<_, _>>()?;
                    let enough = self.at_least(minimum, optional)?;
                    found = Some(match found {
                        Some(found) => and(found, &enough),
                        None => enough,
                    });
                }
                let mut found = found.unwrap_or_default();
                for clause in must_not {
                    let excluded = self.matching(clause)?;
                    *found.to_mut() -= &*excluded;
                }
                Ok(found)
            }
            // Refused before anything was asked, or matching nothing.
            _ => Ok(Cow::default()),
        }
    }

    /// Returns the documents that are in `minimum`, ≥ 1, of `sets`.
    ///
    /// A union where one is enough, an intersection where all are needed; between them, the documents
    /// that are in 1, 2, …, `minimum` of the sets so far are carried along.
    fn at_least(
        &self,
        minimum: usize,
        sets: Vec<Documents<'a>>,
    ) -> Result<Documents<'a>, EvaluationError> {
        if minimum > sets.len() {
            return Ok(Cow::default());
        }
        if minimum == sets.len() {
            return Ok(intersection(sets).unwrap_or_default());
        }
        let mut enough: Vec<RoaringTreemap> = vec![RoaringTreemap::new(); minimum];
        for set in sets {
            self.control.check()?;
            for at in (1..minimum).rev() {
                let more = &enough[at - 1] & &*set;
                enough[at] |= more;
            }
            enough[0] |= &*set;
        }
        Ok(enough.pop().map_or_else(Cow::default, Cow::Owned))
    }
}

/// Returns what is in all of `sets`, the smallest first; `None` where there are none.
fn intersection(mut sets: Vec<Documents<'_>>) -> Option<Documents<'_>> {
    sets.sort_by_cached_key(|set| set.len());
    sets.into_iter().reduce(|one, other| and(one, &other))
}

fn and<'a>(mut one: Documents<'a>, other: &RoaringTreemap) -> Documents<'a> {
    match &mut one {
        Cow::Owned(documents) => *documents &= other,
        Cow::Borrowed(documents) => return Cow::Owned(*documents & other),
    }
    one
}
