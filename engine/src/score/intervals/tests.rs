//! Intervals against their definition: all ways to choose, then those that hold no other.

use proptest::prelude::*;

use super::*;

impl Steps for () {
    fn step(&mut self, _: usize) -> Result<(), Stop> {
        Ok(())
    }

    fn hold(&mut self, _: usize) -> Result<(), Stop> {
        Ok(())
    }

    fn give_back(&mut self, _: usize) {}
}

fn terms(term: &str) -> IntervalSource {
    IntervalSource::Terms {
        field: FieldPath::new("t"),
        terms: vec![term.to_owned()],
    }
}

fn all_of(sources: Vec<IntervalSource>, order: IntervalOrder) -> IntervalSource {
    IntervalSource::AllOf {
        sources,
        order,
        max_gaps: None,
    }
}

/// Returns start and end of each interval of a text of one letter a word.
fn found(source: &IntervalSource, text: &str) -> Vec<(i64, i64)> {
    let algebra = Algebra::new(source);
    let places: Vec<Vec<i64>> = algebra
        .words()
        .iter()
        .map(|words| {
            let letters = text.chars().enumerate();
            letters
                .filter(|(_, letter)| words.terms.contains(&letter.to_string()))
                .map(|(at, _)| at as i64)
                .collect()
        })
        .collect();
    let found = algebra.intervals(&places, &mut ()).expect("no clock");
    found.iter().map(|found| (found.start, found.end)).collect()
}

/// All runs of positions that a source stands for, whether minimal or not; `None` where that is not defined by choices
/// alone.
fn naive(source: &IntervalSource, text: &str) -> Vec<(i64, i64)> {
    let all = match source {
        IntervalSource::Terms { terms, .. } => {
            let letters = text.chars().enumerate();
            letters
                .filter(|(_, letter)| terms.contains(&letter.to_string()))
                .map(|(at, _)| (at as i64, at as i64))
                .collect()
        }
        IntervalSource::AnyOf(sources) => sources
            .iter()
            .flat_map(|source| naive(source, text))
            .collect(),
        IntervalSource::AllOf { sources, order, .. } => {
            let mut chosen: Vec<Vec<(i64, i64)>> = vec![Vec::new()];
            for source in sources {
                let list = naive(source, text);
                chosen = chosen
                    .into_iter()
                    .flat_map(|before| {
                        list.iter().map(move |next| {
                            let mut all = before.clone();
                            all.push(*next);
                            all
                        })
                    })
                    .collect();
            }
            chosen.retain(|choice| is_allowed(choice, *order));
            let around = |choice: &Vec<(i64, i64)>| {
                let start = choice.iter().map(|part| part.0).min();
                let end = choice.iter().map(|part| part.1).max();
                (start.expect("not empty"), end.expect("not empty"))
            };
            chosen.iter().map(around).collect()
        }
        other => panic!("{other:?}"),
    };
    without_holders(all)
}

fn is_allowed(choice: &[(i64, i64)], order: IntervalOrder) -> bool {
    let mut pairs = choice.windows(2);
    match order {
        IntervalOrder::Adjacent => pairs.all(|pair| pair[1].0 == pair[0].1 + 1),
        IntervalOrder::Ordered => pairs.all(|pair| pair[1].0 > pair[0].1),
        IntervalOrder::Unordered => true,
        IntervalOrder::Separate => {
            let mut sorted = choice.to_vec();
            sorted.sort_unstable();
            sorted.windows(2).all(|pair| pair[1].0 > pair[0].1)
        }
    }
}

fn without_holders(mut all: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    all.sort_unstable();
    all.dedup();
    let is_minimal = |one: &&(i64, i64)| {
        !all.iter()
            .any(|other| other != *one && other.0 >= one.0 && other.1 <= one.1)
    };
    all.iter().filter(is_minimal).copied().collect()
}

fn source() -> impl Strategy<Value = IntervalSource> {
    let leaf = "[abc]".prop_map(|letter| terms(&letter));
    leaf.prop_recursive(2, 6, 3, |inner| {
        let some = || proptest::collection::vec(inner.clone(), 1..3);
        let order = prop_oneof![Just(IntervalOrder::Ordered), Just(IntervalOrder::Unordered),];
        prop_oneof![
            some().prop_map(IntervalSource::AnyOf),
            (some(), order).prop_map(|(sources, order)| all_of(sources, order)),
        ]
    })
}

proptest! {
    #[test]
    fn intervals_are_those_of_the_definition(source in source(), text in "[abcd]{0,9}") {
        prop_assert_eq!(found(&source, &text), naive(&source, &text));
    }

    #[test]
    fn words_in_a_row_and_apart_are_those_of_the_definition(
        letters in proptest::collection::vec("[ab]", 1..4),
        text in "[abc]{0,9}",
        is_adjacent in any::<bool>(),
    ) {
        let order = match is_adjacent {
            true => IntervalOrder::Adjacent,
            false => IntervalOrder::Separate,
        };
        // Three or more that must not overlap are joined two by two.
        let most = if is_adjacent { 4 } else { 2 };
        let sources = letters.iter().take(most).map(|letter| terms(letter));
        let source = all_of(sources.collect(), order);
        prop_assert_eq!(found(&source, &text), naive(&source, &text));
    }

    #[test]
    fn relations_are_those_of_the_definition(
        one in source(), other in source(), text in "[abcd]{0,9}", at in 0..IntervalRelation::ALL.len(),
    ) {
        let (_, relation) = IntervalRelation::ALL[at];
        let filter = IntervalSource::Filter {
            source: Box::new(one.clone()),
            relation,
            by: Box::new(other.clone()),
        };
        let others = found(&other, &text);
        let stands = |one: &(i64, i64), other: &(i64, i64)| match relation {
            IntervalRelation::After => other.1 < one.0,
            IntervalRelation::Before => one.1 < other.0,
            IntervalRelation::ContainedBy | IntervalRelation::NotContainedBy => {
                other.0 <= one.0 && one.1 <= other.1
            }
            IntervalRelation::Containing | IntervalRelation::NotContaining => {
                one.0 <= other.0 && other.1 <= one.1
            }
            IntervalRelation::Overlapping | IntervalRelation::NotOverlapping => {
                one.0 <= other.1 && other.0 <= one.1
            }
        };
        let mut expected = found(&one, &text);
        expected.retain(|one| others.iter().any(|other| stands(one, other)) == relation.needs_other());
        prop_assert_eq!(found(&filter, &text), expected);
    }
}

#[test]
fn gaps_are_what_none_of_the_parts_has() {
    let near = IntervalSource::AllOf {
        sources: vec![terms("a"), terms("b")],
        order: IntervalOrder::Unordered,
        max_gaps: Some(1),
    };
    assert_eq!(found(&near, "axxbxa"), [(3, 5)]);
    let twice = IntervalSource::Repeat {
        source: Box::new(terms("a")),
        times: 2,
    };
    assert_eq!(found(&twice, "axaa"), [(0, 2), (2, 3)]);
    let first = IntervalSource::First {
        source: Box::new(terms("a")),
        end: 2,
    };
    assert_eq!(found(&first, "xaa"), [(1, 1)]);
}

fn near(sources: Vec<IntervalSource>, order: IntervalOrder, most: u32) -> IntervalSource {
    IntervalSource::AllOf {
        sources,
        order,
        max_gaps: Some(most),
    }
}

fn twice(source: IntervalSource) -> IntervalSource {
    IntervalSource::Repeat {
        source: Box::new(source),
        times: 2,
    }
}

#[test]
fn what_lies_between_equal_words_is_a_gap_of_the_whole() {
    let text = "axxxbxxxa";
    let words = || vec![twice(terms("a")), terms("b")];
    let apart = || vec![terms("a"), terms("b"), terms("a")];
    let within = |sources: Vec<IntervalSource>, most: u32| {
        let inner = near(sources, IntervalOrder::Unordered, most);
        near(vec![inner], IntervalOrder::Unordered, most)
    };
    for (most, expected) in [(0, vec![]), (5, vec![]), (6, vec![(0, 8)])] {
        for source in [
            near(words(), IntervalOrder::Unordered, most),
            near(apart(), IntervalOrder::Separate, most),
            near(apart(), IntervalOrder::Ordered, most),
            within(words(), most),
        ] {
            assert_eq!(found(&source, text), expected, "{most} {source}");
        }
    }
    // Of two equal phrases too, and where another word stands around them.
    let phrase = || all_of(vec![terms("a"), terms("b")], IntervalOrder::Adjacent);
    for (most, expected) in [(1, vec![]), (2, vec![(0, 6)])] {
        let phrases = vec![twice(phrase()), terms("c")];
        let source = near(phrases, IntervalOrder::Unordered, most);
        assert_eq!(found(&source, "abxxabc"), expected, "{most}");
    }
    let source = near(
        vec![twice(terms("a")), terms("b")],
        IntervalOrder::Unordered,
        0,
    );
    assert_eq!(found(&source, "xabax"), [(1, 3)]);
    assert_eq!(found(&source, "xaabx"), [(1, 3)]);
}

proptest! {
    #[test]
    fn gaps_of_equal_words_are_the_positions_of_no_chosen_word(
        letters in proptest::collection::vec("[ab]", 2..5), text in "[abc]{0,10}", most in 0_u32..6,
    ) {
        let mut counted = std::collections::BTreeMap::new();
        for letter in &letters {
            *counted.entry(letter.as_str()).or_insert(0_u32) += 1;
        }
        let sources = counted.iter().map(|(letter, times)| match times {
            1 => terms(letter),
            times => IntervalSource::Repeat { source: Box::new(terms(letter)), times: *times },
        });
        let sources: Vec<IntervalSource> = sources.collect();
        let all = found(&all_of(sources.clone(), IntervalOrder::Unordered), &text);
        let num_words = letters.len() as i64;
        // A single repeated word keeps its own gaps; `combined` filters those too.
        let expected = all.into_iter().filter(|(start, end)| end - start + 1 - num_words <= i64::from(most));
        let near = near(sources, IntervalOrder::Unordered, most);
        prop_assert_eq!(found(&near, &text), expected.collect::<Vec<_>>());
    }
}

/// Counts what is held.
#[derive(Default)]
struct Counted {
    held: usize,
    most: usize,
}

impl Steps for Counted {
    fn step(&mut self, _: usize) -> Result<(), Stop> {
        Ok(())
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Stop> {
        self.held += bytes;
        self.most = self.most.max(self.held);
        match self.held > 100 << 20 {
            true => Err(Stop::Deadline),
            false => Ok(()),
        }
    }

    fn give_back(&mut self, bytes: usize) {
        self.held -= bytes;
    }
}

#[test]
fn a_word_that_is_asked_for_many_times_is_held_once() {
    let one_list = 10_000 * size_of::<Interval>();
    let places: Vec<Vec<i64>> = vec![(0..10_000).collect()];
    for order in [
        IntervalOrder::Ordered,
        IntervalOrder::Adjacent,
        IntervalOrder::Unordered,
    ] {
        let algebra = Algebra::new(&all_of(vec![terms("a"); 100], order));
        let mut counted = Counted::default();
        let found = algebra
            .intervals(&places, &mut counted)
            .expect("there is room");
        assert!(!found.is_empty(), "{order:?}");
        assert!(counted.most <= 2 * one_list, "{order:?}: {}", counted.most);
        let rest = found.capacity() * size_of::<Interval>();
        assert_eq!(counted.held, rest, "{order:?}: what is left is the answer");
    }
}

#[test]
fn lists_that_are_made_are_held_before_they_are() {
    let wide = |n: u32| IntervalSource::Extend {
        source: Box::new(terms("a")),
        before: n,
        after: 0,
    };
    let sources: Vec<IntervalSource> = (0..1_000).map(wide).collect();
    let algebra = Algebra::new(&all_of(sources, IntervalOrder::Unordered));
    let places: Vec<Vec<i64>> = vec![(0..100_000).collect()];
    let mut counted = Counted::default();
    let refused = algebra.intervals(&places, &mut counted);
    assert_eq!(refused, Err(Stop::Deadline));
    assert!(counted.most < 200 << 20, "{}", counted.most);
}
