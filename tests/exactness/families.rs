//! Families of searches of which every member must come up, and find something.
//!
//! Does: name the members of each family, draw their searches, and keep which have found something. Does not: search,
//! or compare answers. Called by: `alike` and `network`. Read first: [`Family`].

use std::ops::Range;

use anyhow::{Result, ensure};
use gleaner_datasets::Random;
use gleaner_testkit::run;
use serde_json::{Value, json};

use crate::alike::{Search, pick, words};
use crate::told::Answer;
use crate::{aggregations, buckets, figures, look_ups, pipelines, placed, scored, types, wide};

/// Searches of one kind, which differ by one name: a mode, a function, a type of field.
pub(crate) struct Family {
    /// The kind.
    pub(crate) name: &'static str,
    /// What its members differ by, one at least.
    pub(crate) members: &'static [&'static str],
    /// Where an answer shows that the kind has done something.
    pub(crate) evidence: Evidence,
    /// Draws the parts of a body that make it a search of that member.
    pub(crate) draw: fn(&mut Random, &str) -> Value,
}

/// What an answer must hold to count.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Evidence {
    /// A hit.
    Hits,
    /// A hit within a hit.
    InnerHits,
    /// A hit that tells which named queries it matches, with their scores or without.
    MatchedQueries {
        /// Whether scores are asked for, and must be there.
        have_scores: bool,
    },
    /// A result of an aggregation called [`PROBE`](crate::told::PROBE) which is not empty.
    Probe,
}

/// Of so many draws one is of a family once each member has found something: reduced, and in full.
const ONE_AGAIN_OF: (usize, usize) = (12, 3);

/// All families.
const FAMILIES: [&[Family]; 10] = [
    pipelines::FAMILIES,
    figures::FAMILIES,
    scored::FAMILIES,
    placed::FAMILIES,
    look_ups::FAMILIES,
    types::FAMILIES,
    wide::QUERIES,
    wide::FAMILIES,
    aggregations::FAMILIES,
    buckets::FAMILIES,
];

/// A text for which documents are found, whatever else is in it: the most frequent word and some others.
pub(crate) fn frequent(random: &mut Random) -> String {
    format!("wob0k {}", words(random, 2))
}

/// Draws the parts of a body that make it a search of any member of `families`, each as likely as the next.
pub(crate) fn draw_parts(random: &mut Random, families: &[Family]) -> Value {
    let members = families.iter().flat_map(|family| {
        let names = family.members.iter();
        names.map(move |name| (family, *name))
    });
    let members: Vec<(&Family, &str)> = members.collect();
    let (family, member) = pick(random, &members);
    (family.draw)(random, member)
}

fn search(random: &mut Random, family: &Family, member: &str) -> Search {
    let is_everything = !matches!(family.evidence, Evidence::Probe) || random.chance(1, 2);
    let query = match is_everything {
        true => json!({"match_all": {}}),
        false => json!({"match": {"body": frequent(random)}}),
    };
    let mut body = json!({
        "query": query,
        "size": pick(random, &[2, 10]),
        "track_total_hits": true,
    });
    let parts = (family.draw)(random, member);
    for (key, part) in parts.as_object().into_iter().flatten() {
        body[key.as_str()] = part.clone();
    }
    match family.evidence {
        Evidence::MatchedQueries { have_scores: true } => Search::of(body).with_scores_of_names(),
        _ => Search::of(body),
    }
}

/// A member of a family, and what came of it.
struct Member {
    family: &'static Family,
    name: &'static str,
    num_drawn: u32,
    has_found: bool,
}

/// Which members have come up, and which of them have found something.
pub(crate) struct Coverage {
    members: Vec<Member>,
}

impl Coverage {
    /// Returns that of nothing drawn yet.
    pub(crate) fn new() -> Self {
        let families = FAMILIES.into_iter().flatten();
        let members = families.flat_map(|family| {
            let names = family.members.iter().copied();
            names.map(move |name| Member {
                family,
                name,
                num_drawn: 0,
                has_found: false,
            })
        });
        Self {
            members: members.collect(),
        }
    }

    /// Returns the place of the member to draw next; `None` where it is the turn of a search of no family. Members that
    /// have found nothing come first, those drawn least before others.
    pub(crate) fn next(&self, random: &mut Random) -> Option<usize> {
        let waiting = self.places().filter(|at| !self.members[*at].has_found);
        match waiting.min_by_key(|at| self.members[*at].num_drawn) {
            Some(waiting) => random.chance(2, 3).then_some(waiting),
            None => {
                let any = random.below(self.members.len() as u64) as usize;
                let one_of = run::sized(ONE_AGAIN_OF.0, ONE_AGAIN_OF.1);
                random.chance(1, one_of as u64).then_some(any)
            }
        }
    }

    /// Returns the places of all members, family by family.
    pub(crate) fn places(&self) -> Range<usize> {
        0..self.members.len()
    }

    /// Returns whether the member at a place has found something.
    pub(crate) fn has_found(&self, at: usize) -> bool {
        self.members[at].has_found
    }

    /// Draws a search of the member at a place.
    pub(crate) fn draw(&mut self, at: usize, random: &mut Random) -> Search {
        let member = &mut self.members[at];
        member.num_drawn += 1;
        search(random, member.family, member.name)
    }

    /// Notes the answer to a search of the member at a place.
    pub(crate) fn note(&mut self, at: usize, answer: &Answer) {
        let member = &mut self.members[at];
        member.has_found |= match member.family.evidence {
            Evidence::Hits => !answer.hits.is_empty(),
            Evidence::InnerHits => answer.has_inner_hits(),
            Evidence::MatchedQueries { have_scores } => answer.has_matched_queries(have_scores),
            Evidence::Probe => answer.has_probe,
        };
    }

    /// Refuses members that never found anything.
    ///
    /// # Errors
    /// Which they are, and how often each was drawn.
    pub(crate) fn check(&self) -> Result<()> {
        let lacking = self.members.iter().filter(|member| !member.has_found);
        let lacking = lacking.map(|member| {
            let Member {
                family,
                name,
                num_drawn,
                ..
            } = member;
            format!("{} {name} (drawn {num_drawn} times)", family.name)
        });
        let lacking: Vec<String> = lacking.collect();
        ensure!(
            lacking.is_empty(),
            "seed {}: these found nothing: {lacking:#?}",
            run::seed()
        );
        Ok(())
    }
}
