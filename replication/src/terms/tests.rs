//! The table says where terms begin and end, and any two logs find where they part.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

/// A log that begins at 0, by its terms.
fn table(terms: &[u64]) -> TermTable {
    let mut table = TermTable::default();
    extend(&mut table, terms);
    table
}

fn extend(table: &mut TermTable, terms: &[u64]) {
    for term in terms {
        let next = table.end().next();
        table.append(PrimaryTerm(*term), next).expect("in order");
    }
}

fn end(term: u64, end: u64) -> TermEnd {
    TermEnd {
        term: PrimaryTerm(term),
        end: SeqNo(end),
    }
}

#[test]
fn terms_begin_and_end_where_their_records_are() {
    let table = table(&[1, 1, 3, 3, 3, 4]);
    let ends = [
        (0, end(0, 0)),
        (1, end(1, 2)),
        (2, end(1, 2)),
        (3, end(3, 5)),
        (9, end(4, 6)),
    ];
    for (term, expected) in ends {
        assert_eq!(table.end_of(PrimaryTerm(term)), Some(expected), "{term}");
    }
    assert_eq!(table.at(SeqNo(4)), Some(PrimaryTerm(3)));
    assert_eq!(table.at(SeqNo(6)), None);
    assert_eq!(table.last_term(), PrimaryTerm(4));
}

#[test]
fn records_that_do_not_follow_are_refused() {
    let mut table = table(&[2, 2]);
    for (term, next) in [(1, 3), (2, 2), (2, 1), (0, 3)] {
        let refused = table.append(PrimaryTerm(term), SeqNo(next));
        assert!(refused.is_err(), "{term} {next}");
    }
    assert_eq!(table.end(), SeqNo(2));
}

#[test]
fn a_cut_log_has_no_terms_beyond_its_end() {
    let mut table = table(&[1, 1, 2, 3]);
    table.truncate(SeqNo(2));
    assert_eq!((table.end(), table.last_term()), (SeqNo(2), PrimaryTerm(1)));
    table.truncate(SeqNo(9));
    assert_eq!(table.end(), SeqNo(2));
    extend(&mut table, &[4]);
    assert_eq!(table.at(SeqNo(2)), Some(PrimaryTerm(4)));
    table.truncate(SeqNo(0));
    assert_eq!(table, TermTable::default());
}

#[test]
fn a_trimmed_log_remembers_the_term_before_its_first_record() {
    let mut table = table(&[1, 1, 2, 2, 3]);
    table.trim(SeqNo(3));
    assert_eq!(table.at(SeqNo(1)), None);
    assert_eq!(table.at(SeqNo(2)), Some(PrimaryTerm(2)));
    assert_eq!(
        table.end_of(PrimaryTerm(1)),
        None,
        "it ended before the first record"
    );
    assert_eq!(table.end_of(PrimaryTerm(2)), Some(end(2, 4)));
    table.trim(SeqNo(9));
    assert_eq!(
        (table.first(), table.last_term()),
        (SeqNo(5), PrimaryTerm(3))
    );
    let mut from_files = TermTable::begin_at(SeqNo(5), PrimaryTerm(3));
    assert_eq!(table, from_files);
    from_files.truncate(SeqNo(1));
    assert_eq!(from_files.end(), SeqNo(5), "not below its first record");
}

#[test]
fn a_follower_whose_log_is_the_beginning_matches() {
    let primary = table(&[1, 1, 2, 4]);
    for (end, term) in [(0, 0), (1, 1), (2, 1), (3, 2), (4, 4)] {
        let compared = primary.compare(SeqNo(end), PrimaryTerm(term));
        assert_eq!(compared, Comparison::Match, "{end}");
    }
    let longer = primary.compare(SeqNo(3), PrimaryTerm(1));
    assert_eq!(longer, Comparison::Diverged(end(1, 2)));
    let other = primary.compare(SeqNo(4), PrimaryTerm(3));
    assert_eq!(other, Comparison::Diverged(end(2, 3)));
}

#[test]
fn a_primary_whose_log_is_trimmed_cannot_go_on_from_before() {
    let mut primary = table(&[1, 1, 2, 2, 3]);
    primary.trim(SeqNo(3));
    assert_eq!(primary.compare(SeqNo(3), PrimaryTerm(2)), Comparison::Match);
    assert_eq!(
        primary.compare(SeqNo(2), PrimaryTerm(2)),
        Comparison::Trimmed
    );
    assert_eq!(
        primary.compare(SeqNo(2), PrimaryTerm(1)),
        Comparison::Trimmed
    );
    assert_eq!(
        primary.compare(SeqNo(0), PrimaryTerm(0)),
        Comparison::Trimmed
    );
}

/// Two logs that share a beginning. Afterwards no term of one is in the other, but for the last shared
/// one, in which at most one goes on: a term has one primary.
fn two_logs(random: &mut SmallRng) -> (TermTable, TermTable, u64) {
    let mut terms = Vec::new();
    let mut term = 1;
    for _ in 0..random.random_range(0..6) {
        term += random.random_range(0..2);
        terms.push(term);
    }
    let mut logs = [table(&terms), table(&terms)];
    let goes_on = random.random_range(0..3);
    for (place, log) in logs.iter_mut().enumerate() {
        // Even terms are those of one log, odd ones those of the other.
        let mut own = 2 * term + 2 + place as u64;
        let mut further = Vec::new();
        if goes_on == place && !terms.is_empty() {
            further.extend(vec![term; random.random_range(1..3)]);
        }
        for _ in 0..random.random_range(0..5) {
            own += 2 * random.random_range(0..2);
            further.push(own);
        }
        extend(log, &further);
    }
    let [primary, follower] = logs;
    (primary, follower, terms.len() as u64)
}

#[test]
fn any_two_logs_find_where_they_part_in_as_many_rounds_as_there_are_terms() {
    let mut random = SmallRng::seed_from_u64(7);
    for _ in 0..20_000 {
        let (primary, mut follower, shared) = two_logs(&mut random);
        let whole = follower.clone();
        for round in 0.. {
            assert!(round <= whole.starts.len(), "{primary:?} {whole:?}");
            match primary.compare(follower.end(), follower.last_term()) {
                Comparison::Match => break,
                Comparison::Trimmed => panic!("nothing is trimmed: {primary:?} {whole:?}"),
                Comparison::Diverged(at) => {
                    let from = follower.cut(at).expect("nothing is trimmed");
                    assert!(
                        from.0 >= shared,
                        "what is shared stays: {primary:?} {whole:?}"
                    );
                    follower.truncate(from);
                }
            }
        }
        let is_beginning =
            (0..follower.end().0).all(|at| primary.at(SeqNo(at)) == follower.at(SeqNo(at)));
        assert!(is_beginning, "{primary:?} {whole:?}");
        assert!(
            follower.end().0 == shared || follower == whole,
            "nothing is cut in vain"
        );
    }
}
