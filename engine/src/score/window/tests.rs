//! Tables of phrases and texts, the rules in their plainest form, and how a window stops.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The width of a candidate, and the words it is made of, by number.
type Candidate = (i64, Vec<i64>);

/// Splits a phrase at blanks into positions and those at `|` into alternatives.
fn positions(phrase: &str) -> Vec<(u32, Vec<String>)> {
    let alternatives = |word: &str| word.split('|').map(str::to_owned).collect();
    (0..)
        .zip(phrase.split(' ').map(alternatives))
        .filter(|(_, terms): &(u32, Vec<String>)| terms != &["_"])
        .collect()
}

/// Returns the positions of each list of terms of a phrase in a text of words.
fn stands(phrase: &[(u32, Vec<String>)], text: &str) -> Vec<Vec<i64>> {
    let mut lists = Vec::new();
    for ((_, terms), slot) in phrase.iter().zip(slots(phrase)) {
        if slot.list == lists.len() {
            let words = (0_i64..).zip(text.split(' '));
            let own = words.filter(|(_, word)| terms.iter().any(|term| term == word));
            lists.push(own.map(|(number, _)| number).collect());
        }
    }
    lists
}

/// Returns the widths of the candidates in a text of words, with the words' numbers; in the
/// phrase `_` is a gap.
fn candidates(phrase: &str, text: &str) -> Vec<Candidate> {
    let control = Control::unlimited();
    candidates_under(&control, &positions(phrase), text).expect("nothing stops it")
}

fn candidates_under(
    control: &Control,
    phrase: &[(u32, Vec<String>)],
    text: &str,
) -> Result<Vec<Candidate>, Stop> {
    let (slots, lists) = (slots(phrase), stands(phrase, text));
    let (mut room, mut pace) = (Room::default(), Pace::new(control));
    let (mut found, mut noted) = (Vec::new(), Vec::new());
    let Some(mut window) = Window::open(&slots, &lists, &mut room, &mut pace)? else {
        return Ok(found);
    };
    while let Some(width) = window.next_candidate(&mut pace, |at| noted = at.to_vec())? {
        let numbers = slots.iter().zip(&noted);
        let numbers = numbers.map(|(slot, &at)| lists[slot.list][at]);
        found.push((width, numbers.collect()));
    }
    Ok(found)
}

/// Counts a phrase as scoring does.
fn count(phrase: &str, text: &str, slop: i64) -> f64 {
    let candidates = candidates(phrase, text).into_iter();
    let matches = candidates.filter(|(width, _)| *width <= slop);
    matches.map(|(width, _)| 1.0 / (1.0 + width as f64)).sum()
}

fn groups(phrase: &str) -> Vec<Option<usize>> {
    let slots = slots(&positions(phrase)).into_iter();
    slots.map(|slot| slot.group).collect()
}

#[test]
fn slots_that_share_terms_are_one_group_also_through_others() {
    assert_eq!(groups("a b c"), [None, None, None]);
    assert_eq!(groups("a b a"), [Some(0), None, Some(0)]);
    assert_eq!(groups("x a b a|b"), [None, Some(1), Some(1), Some(1)]);
    assert_eq!(groups("a b a b"), [Some(0), Some(1), Some(0), Some(1)]);
}

#[test]
fn a_candidate_names_the_tokens_it_is_made_of() {
    assert_eq!(
        candidates("a b c", "a c b c"),
        [(2, vec![0, 2, 1]), (1, vec![0, 2, 3])]
    );
    assert_eq!(
        candidates("a b", "a a b"),
        [(0, vec![1, 2])],
        "the narrowest of those that end at one token"
    );
    assert_eq!(
        candidates("a a", "a b a a"),
        [(1, vec![0, 2]), (0, vec![2, 3])],
        "a slot that gives way is where it was"
    );
}

#[test]
fn wider_matches_count_less() {
    assert_eq!(count("a b", "x a b", 1), 1.0);
    assert_eq!(count("a b", "x a x b", 1), 0.5);
    assert_eq!(count("a b", "x a x x b", 1), 0.0);
    assert_eq!(count("a _ b", "a x b", 1), 1.0);
    // Swapped neighbours take two moves.
    assert_eq!(count("a b", "x b a", 2), 1.0 / 3.0);
}

#[test]
fn a_repeated_term_needs_two_tokens() {
    assert_eq!(count("a a", "x x a", 3), 0.0);
    assert_eq!(count("a a", "x a x a", 3), 0.5);
    assert_eq!(count("a|b a|c", "x a", 3), 0.0);
}

#[test]
fn of_two_slots_on_one_token_the_lesser_goes_on() {
    assert_eq!(count("v v", "a v b c d v v e", 1), 1.0);
    assert_eq!(count("v v", "a v b c d v v e", 4), 1.25);
    let phrase = "new york new york";
    assert_eq!(count(phrase, "new york times new york new york", 1), 1.5);
    assert_eq!(count(phrase, "york x new york new york", 1), 1.0);
}

#[test]
fn alternatives_that_are_shared_take_a_token_each() {
    assert_eq!(count("a|b b c", "b a b c", 1), 1.0);
    assert_eq!(
        count("a|b b|c a", "b a c b a a", 3),
        1.0 / 3.0 + 0.5 + 1.0 / 3.0
    );
}

#[test]
fn slots_of_the_same_terms_share_a_list() {
    let lists = |phrase: &str| -> Vec<usize> {
        let slots = slots(&positions(phrase));
        slots.into_iter().map(|slot| slot.list).collect()
    };
    assert_eq!(lists("a b a c b"), [0, 1, 0, 2, 1]);
    assert_eq!(lists("a|b a b a|b"), [0, 1, 2, 0]);
}

/// The rules without a thought of what they cost: any two slots that meet are parted, wherever they are.
struct Rules {
    slots: Vec<Slot>,
    /// Per slot: positions of its terms that are left to it, backwards.
    left: Vec<Vec<i64>>,
    end: i64,
}

impl Rules {
    fn position(&self, slot: usize) -> i64 {
        self.left[slot].last().copied().unwrap_or(i64::MAX)
    }

    fn place(&self, slot: usize) -> i64 {
        self.position(slot) - i64::from(self.slots[slot].offset)
    }

    fn order(&self, slot: usize) -> (i64, u32) {
        (self.place(slot), self.slots[slot].offset)
    }

    /// Moves a slot on; false at the end.
    fn advance(&mut self, slot: usize) -> bool {
        self.left[slot].pop();
        if self.left[slot].is_empty() {
            return false;
        }
        self.end = self.end.max(self.place(slot));
        true
    }

    /// Moves on the lesser of each two slots that meet, the last pair first; false at the end.
    fn part(&mut self) -> bool {
        let num_slots = self.slots.len();
        let pairs = |other: usize| (0..other).map(move |one| (one, other));
        loop {
            let meet = |(one, other): &(usize, usize)| {
                let group = self.slots[*one].group;
                group.is_some()
                    && group == self.slots[*other].group
                    && self.position(*one) == self.position(*other)
            };
            let Some((one, other)) = (0..num_slots).rev().flat_map(pairs).find(meet) else {
                return true;
            };
            let lesser = if self.order(one) < self.order(other) {
                one
            } else {
                other
            };
            if !self.advance(lesser) {
                return false;
            }
        }
    }

    fn words(&self) -> Vec<i64> {
        let slots = 0..self.slots.len();
        slots.map(|slot| self.position(slot)).collect()
    }

    fn candidates(phrase: &[(u32, Vec<String>)], text: &str) -> Vec<Candidate> {
        let (slots, lists) = (slots(phrase), stands(phrase, text));
        let left = slots.iter().map(|slot| lists[slot.list].iter().rev());
        let left: Vec<Vec<i64>> = left.map(|left| left.copied().collect()).collect();
        let mut rules = Self {
            slots,
            left,
            end: i64::MIN,
        };
        let all = 0..rules.slots.len();
        let mut found = Vec::new();
        if rules.left.iter().any(Vec::is_empty) || !rules.part() {
            return found;
        }
        rules.end = all.clone().map(|slot| rules.place(slot)).max().unwrap();
        loop {
            let lowest = all.clone().min_by_key(|&slot| rules.order(slot)).unwrap();
            let others = all.clone().filter(|&slot| slot != lowest);
            let next = others.map(|slot| rules.place(slot)).min();
            let next = next.unwrap_or(i64::MAX);
            let mut best = (rules.end - rules.place(lowest), rules.words());
            loop {
                if !rules.advance(lowest) || !rules.part() {
                    found.push(best);
                    return found;
                }
                if rules.place(lowest) > next {
                    break;
                }
                let width = rules.end - rules.place(lowest);
                if width < best.0 {
                    best = (width, rules.words());
                }
            }
            found.push(best);
        }
    }
}

/// Phrases of one to six positions, with gaps and alternatives.
fn any_phrase() -> impl Strategy<Value = Vec<(u32, Vec<String>)>> {
    let terms = prop::collection::btree_set("[a-d]", 1..3);
    let position = (0_u32..3, terms);
    prop::collection::vec(position, 1..7).prop_map(|positions| {
        let mut next = 0;
        let place = |(gap, terms): (u32, BTreeSet<String>)| {
            let offset = next + gap;
            next = offset + 1;
            let terms: Vec<String> = terms.into_iter().collect();
            (offset, terms)
        };
        positions.into_iter().map(place).collect::<Vec<_>>()
    })
}

proptest! {
    #[test]
    fn candidates_are_those_of_the_rules(
        phrase in any_phrase(),
        words in prop::collection::vec("[a-e]", 1..30),
    ) {
        let text = words.join(" ");
        prop_assert_eq!(
            candidates_under(&Control::unlimited(), &phrase, &text),
            Ok(Rules::candidates(&phrase, &text))
        );
    }
}

/// Returns a phrase that says one word over and over, and a text that says it five times as often.
fn monotonous() -> (Vec<(u32, Vec<String>)>, String) {
    let phrase = (0..40).map(|at| (at, vec!["a".to_owned()])).collect();
    (phrase, ["a"; 200].join(" "))
}

#[test]
fn a_long_phrase_in_one_text_is_looked_after_while_it_is_compared() {
    let (phrase, text) = monotonous();
    let control = Control::until_check(u64::MAX);
    let found = candidates_under(&control, &phrase, &text);
    assert_eq!(found.map(|found| found.len()), Ok(161));
    // 6,400 moves of which each is compared with 40 slots, and some more.
    let checks = control.num_checks();
    assert!((62..80).contains(&checks), "{checks}");
}

#[test]
fn it_ends_at_the_look_that_finds_it_late() {
    let (phrase, text) = monotonous();
    for most_checks in [0, 1, 30] {
        let control = Control::until_check(most_checks);
        let found = candidates_under(&control, &phrase, &text);
        assert_eq!(found, Err(Stop::Deadline));
        assert_eq!(control.num_checks(), most_checks + 1);
    }
}

#[test]
fn the_first_tokens_cost_no_more_than_a_look_at_each_pair_of_slots() {
    let phrase = (0..1_024).map(|at| (at, vec!["a".to_owned()]));
    let phrase: Vec<(u32, Vec<String>)> = phrase.collect();
    let control = Control::until_check(u64::MAX);
    let (slots, lists) = (slots(&phrase), stands(&phrase, &["a"; 1_024].join(" ")));
    let (mut room, mut pace) = (Room::default(), Pace::new(&control));
    let window = Window::open(&slots, &lists, &mut room, &mut pace);
    assert!(matches!(window, Ok(Some(_))));
    let checks = control.num_checks();
    assert!((100..=128).contains(&checks), "{checks}");
}
