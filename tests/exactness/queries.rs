//! Random queries of the dialect, of every kind that the oracle knows.

use gleaner_datasets::Random;
use gleaner_testkit::oracle::{Clause, Combine, Operator, Oracle};

use crate::corpus::word;

/// Draws a query. Plain `match` comes most often, as it does in life.
pub(crate) fn draw(random: &mut Random, oracle: &Oracle) -> Clause {
    match random.below(15) {
        0..=3 => matching(random),
        4 => phrase(random, oracle),
        5 => multi_match(random),
        6 => boosted(random, term),
        7 => dis_max(random, oracle),
        8 => constant(random, oracle),
        9 if random.chance(1, 3) => Clause::All,
        14 => boosted(random, terms_set),
        _ => compound(random, oracle, 2),
    }
}

fn pick<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    choices[random.below(choices.len() as u64) as usize]
}

fn words(random: &mut Random, at_most: u64) -> String {
    let number = 1 + random.below(at_most);
    let words: Vec<String> = (0..number).map(|_| word(random)).collect();
    words.join(" ")
}

/// A field of text with places.
fn text_field(random: &mut Random) -> &'static str {
    pick(random, &["body", "body", "body", "title", "title", "flat"])
}

/// A field of text, of which places need not be known.
fn word_field(random: &mut Random) -> &'static str {
    match random.chance(3, 4) {
        true => text_field(random),
        false => pick(random, &["once", "often"]),
    }
}

/// A field of words or of values that are counted.
fn term_field(random: &mut Random) -> &'static str {
    match random.chance(1, 4) {
        true => "labels",
        false => word_field(random),
    }
}

fn boosted(random: &mut Random, draw: fn(&mut Random) -> Clause) -> Clause {
    let clause = draw(random);
    if random.chance(3, 4) {
        return clause;
    }
    let factor = pick(random, &[0.0, 0.1, 0.7, 2.0, 7.5]);
    Clause::Boost {
        clause: Box::new(clause),
        factor,
    }
}

fn term(random: &mut Random) -> Clause {
    if random.chance(1, 2) {
        return Clause::term("tag", &format!("t{}", random.below(6)));
    }
    // Some are not stemmed and then match nothing in `body`: that must agree too.
    Clause::term(term_field(random), &word(random))
}

fn terms_set(random: &mut Random) -> Clause {
    let (field, number) = (term_field(random), 1 + random.below(4));
    let (field, terms) = match random.chance(1, 3) {
        // Of whole values one at most.
        true => ("tag", vec!["t1".to_owned(), "t2".to_owned()]),
        false => (field, (0..number).map(|_| word(random)).collect()),
    };
    Clause::TermsSet {
        field: field.to_owned(),
        terms,
        // Also more than there are.
        minimum: random.below(number + 2) as usize,
    }
}

fn matching(random: &mut Random) -> Clause {
    let field = word_field(random).to_owned();
    let operator = pick(random, &[Operator::Or, Operator::Or, Operator::And]);
    let may_ask = operator == Operator::Or && random.chance(1, 5);
    let minimum = may_ask.then(|| 1 + random.below(3) as usize);
    let text = words(random, 4);
    let plain = Clause::Match {
        field,
        text,
        operator,
        minimum,
    };
    if random.chance(1, 5) {
        let factor = pick(random, &[0.1, 3.0]);
        return Clause::Boost {
            clause: Box::new(plain),
            factor,
        };
    }
    plain
}

/// Words that stand together in some document, or do not.
fn phrase(random: &mut Random, oracle: &Oracle) -> Clause {
    let num_documents = oracle.ids().count() as u64;
    let id = oracle.ids().nth(random.below(num_documents) as usize);
    let source = id.and_then(|id| oracle.source(id));
    let field = text_field(random);
    let text = source.and_then(|source| source[field].as_str());
    let all: Vec<&str> = text.unwrap_or_default().split_whitespace().collect();
    if all.len() < 2 || random.chance(1, 8) {
        return Clause::phrase(field, &words(random, 3));
    }
    let length = 2 + random.below(3.min(all.len() as u64 - 1)) as usize;
    let length = length.min(all.len());
    let start = random.below((all.len() - length + 1) as u64) as usize;
    Clause::phrase(field, &all[start..start + length].join(" "))
}

fn multi_match(random: &mut Random) -> Clause {
    let factor = pick(random, &[1.0, 2.0, 0.3]);
    let combine = pick(
        random,
        &[Combine::BestFields, Combine::MostFields, Combine::Phrase],
    );
    let other = match combine {
        Combine::Phrase => text_field(random),
        _ => word_field(random),
    };
    // A field counts once.
    let other = if other == "title" { "body" } else { other };
    Clause::MultiMatch {
        fields: vec![("title".to_owned(), factor), (other.to_owned(), 1.0)],
        text: words(random, 3),
        combine,
    }
}

fn dis_max(random: &mut Random, oracle: &Oracle) -> Clause {
    let number = 2 + random.below(2);
    let clauses = (0..number).map(|_| scored(random, oracle)).collect();
    Clause::DisMax {
        clauses,
        tie_breaker: pick(random, &[0.0, 0.3, 1.0]),
    }
}

fn constant(random: &mut Random, oracle: &Oracle) -> Clause {
    let plain = Clause::Constant(Box::new(filter(random, oracle)));
    if random.chance(1, 2) {
        return plain;
    }
    Clause::Boost {
        clause: Box::new(plain),
        factor: 1.5,
    }
}

fn scored(random: &mut Random, oracle: &Oracle) -> Clause {
    match random.below(5) {
        0 => boosted(random, term),
        1 => phrase(random, oracle),
        _ => matching(random),
    }
}

fn filter(random: &mut Random, oracle: &Oracle) -> Clause {
    match random.below(5) {
        0 => {
            let from = random.below(90) as i64 - 60;
            let below = from + 1 + random.below(60) as i64;
            Clause::Range {
                field: "number".to_owned(),
                from,
                below,
            }
        }
        1 => phrase(random, oracle),
        2 => matching(random),
        _ => Clause::term("tag", &format!("t{}", random.below(5))),
    }
}

/// Musts, shoulds, filters, exclusions, `minimum_should_match`, and such clauses inside each other.
fn compound(random: &mut Random, oracle: &Oracle, depth: usize) -> Clause {
    let scored_list = |random: &mut Random, at_most: u64| -> Vec<Clause> {
        let number = random.below(at_most + 1);
        let one = |random: &mut Random| match depth > 1 && random.chance(1, 6) {
            true => compound(random, oracle, depth - 1),
            false => scored(random, oracle),
        };
        (0..number).map(|_| one(random)).collect()
    };
    let mut must = scored_list(random, 2);
    let should = scored_list(random, 3);
    if must.is_empty() && should.is_empty() {
        must.push(scored(random, oracle));
    }
    let filters = |random: &mut Random| -> Vec<Clause> {
        let number = random.below(2);
        let one = |random: &mut Random| match depth > 1 && random.chance(1, 4) {
            true => compound(random, oracle, depth - 1),
            false => filter(random, oracle),
        };
        (0..number).map(|_| one(random)).collect()
    };
    let (filter, must_not) = (filters(random), filters(random));
    // Also more than there are.
    let asks = random.chance(1, 3);
    let minimum = asks.then(|| random.below(should.len() as u64 + 2) as usize);
    Clause::Bool {
        must,
        should,
        filter,
        must_not,
        minimum,
    }
}
