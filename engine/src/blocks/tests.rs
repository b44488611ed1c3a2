//! Lists and positions read here are those tantivy reads.

use gleaner_partial::score::bm25::LengthNorms;
use gleaner_query::resolved::Bm25;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, TERMINATED, Term};

use super::{BLOCK, Cursor, PostingList};
use crate::View;
use crate::aggregate::testing::{Index, Layout, mapping};

/// Words with their document frequencies: around the borders of blocks.
const WORDS: [(&str, usize); 8] = [
    ("one", 1),
    ("few", 127),
    ("full", 128),
    ("more", 129),
    ("two", 256),
    ("many", 1_000),
    ("most", 2_900),
    ("all", 3_000),
];

fn index() -> Index {
    let mapping = mapping(&json!({
        "text": {"type": "text"},
        "labels": {"type": "keyword", "index_options": "freqs"},
    }));
    let mut rng = StdRng::seed_from_u64(3);
    let document = |i: usize| {
        let mut words = Vec::new();
        for (word, frequency) in WORDS {
            // Spread over all documents, the last one included.
            if (i + 1) * frequency / 3_000 > i * frequency / 3_000 {
                let tf = if rng.random_bool(0.01) {
                    300
                } else {
                    rng.random_range(1..9)
                };
                words.extend(std::iter::repeat_n(word, tf));
            }
        }
        let source = json!({"text": words.join(" "), "labels": words});
        (format!("d{i}"), source)
    };
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: false,
    };
    Index::new(&mapping, &(0..3_000).map(document).collect(), layout)
}

#[test]
fn lists_have_tantivys_documents_and_frequencies() {
    let view = index().views().remove(0);
    // With positions in the lists, and without.
    for field in ["text", "labels"] {
        check_lists(&view, field);
    }
}

fn check_lists(view: &View, field: &str) {
    let handle = view.field(field).unwrap();
    let segment = &view.segments()[0];
    let column = segment.text_column(handle.column).unwrap().unwrap();
    let norms = LengthNorms::new(Bm25::DEFAULT, column.lengths().unwrap().average);
    let mut rng = StdRng::seed_from_u64(4);
    for (word, frequency) in WORDS {
        let list = column.list(word).unwrap().unwrap();
        assert_eq!(list.num_documents() as usize, frequency);
        assert_eq!(column.frequency(word).unwrap() as usize, frequency);
        let theirs = || -> SegmentPostings {
            let inverted = segment.reader().inverted_index(handle.column).unwrap();
            let term = Term::from_field_text(handle.column, word);
            let found = inverted.read_postings(&term, IndexRecordOption::WithFreqs);
            found.unwrap().unwrap()
        };

        let (mut postings, mut place) = (theirs(), list.first());
        let mut cursor = Cursor::new(list);
        while place.len > 0 {
            cursor.jump(place);
            let block = cursor.decoded().unwrap();
            assert_eq!(block.documents().len(), place.len as usize);
            let value = |id: u8, tf: u32| f64::from(tf) / norms.get(id);
            for (doc, tf) in block.documents().iter().zip(block.frequencies()) {
                assert_eq!(
                    (*doc, *tf),
                    (postings.doc(), postings.term_freq()),
                    "{word}"
                );
                assert!(*doc <= place.last && (*doc > place.before || place.index == 0));
                let id = column.norm_ids()[*doc as usize];
                let is_bounded = |(best, most)| value(id, *tf) <= value(best, most) * (1.0 + 1e-6);
                assert!(place.best.is_none_or(is_bounded), "{word}");
                postings.advance();
            }
            assert!(place.len < BLOCK as u32 || block.documents().last() == Some(&place.last));
            place = list.next(&place);
        }
        assert_eq!(postings.doc(), TERMINATED);

        for _ in 0..50 {
            let (mut postings, mut cursor, mut target) = (theirs(), Cursor::new(list), 0);
            while target < 3_100 {
                while !cursor.approach(target) {}
                let first = postings.doc();
                let expected = if first < target {
                    postings.seek(target)
                } else {
                    first
                };
                assert_eq!(cursor.find(target).unwrap(), expected, "{word}");
                assert_eq!(cursor.document(), expected);
                if postings.doc() == TERMINATED {
                    break;
                }
                assert_eq!(cursor.frequency().unwrap(), postings.term_freq());
                target = postings.doc();
                let most = rng.random_range(1..700);
                target += rng.random_range(1..=most);
            }
        }

        let mut postings = theirs();
        for found in taken(list, &mut rng) {
            assert_eq!(found, (postings.doc(), postings.term_freq()));
            postings.advance();
        }
        assert_eq!(postings.doc(), TERMINATED);
    }
    assert!(column.list("none").unwrap().is_none());
}

/// Takes all of a list, in parts.
fn taken(list: PostingList<'_>, rng: &mut StdRng) -> Vec<(u32, u32)> {
    let (mut cursor, mut end, mut taken) = (Cursor::new(list), 0, Vec::new());
    while end < 3_100 {
        end += rng.random_range(1..400);
        cursor.find(cursor.place().before).unwrap();
        while let Some((documents, frequencies)) = cursor.take_below(end).unwrap() {
            assert!(documents.iter().all(|doc| *doc < end));
            taken.extend(documents.iter().copied().zip(frequencies.iter().copied()));
        }
    }
    taken
}

#[test]
fn documents_are_taken_without_frequencies_as_with_them() {
    let view = index().views().remove(0);
    let handle = view.field("text").unwrap();
    let column = view.segments()[0].text_column(handle.column);
    let column = column.unwrap().unwrap();
    let mut rng = StdRng::seed_from_u64(6);
    for (word, frequency) in WORDS {
        let list = column.list(word).unwrap().unwrap();
        let (mut cursor, mut other) = (Cursor::new(list), Cursor::new(list));
        let (mut end, mut num_taken) = (0, 0);
        while end < 3_100 {
            end += rng.random_range(1..400);
            while let Some((expected, _)) = other.take_below(end).unwrap() {
                let found = cursor.take_documents_below(end).unwrap();
                assert_eq!(found, Some(expected), "{word}");
                num_taken += expected.len();
            }
            assert_eq!(cursor.take_documents_below(end).unwrap(), None, "{word}");
            assert!(cursor.next_document().unwrap() >= end, "{word}");
        }
        assert_eq!(num_taken, frequency);
    }
}

#[test]
fn positions_are_tantivys() {
    let view = index().views().remove(0);
    let handle = view.field("text").unwrap();
    let segment = &view.segments()[0];
    let column = segment.text_column(handle.column).unwrap().unwrap();
    let inverted = segment.reader().inverted_index(handle.column).unwrap();
    let mut rng = StdRng::seed_from_u64(5);
    // A document in so many is asked about: whole blocks of positions are left out.
    for (word, step) in WORDS
        .iter()
        .flat_map(|(word, _)| [(word, 1), (word, 3), (word, 90)])
    {
        let term = Term::from_field_text(handle.column, word);
        let theirs = inverted.read_postings(&term, IndexRecordOption::WithFreqsAndPositions);
        let mut theirs = theirs.unwrap().unwrap();
        let mut cursor = Cursor::new(column.list(word).unwrap().unwrap());
        let mut positions = column.positions(word).unwrap().unwrap();
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        while theirs.doc() != TERMINATED {
            if rng.random_range(0..step) == 0 {
                while !cursor.approach(theirs.doc()) {}
                assert_eq!(cursor.find(theirs.doc()).unwrap(), theirs.doc());
                positions.read(&mut cursor, &mut found).unwrap();
                theirs.positions(&mut expected);
                assert_eq!(found, expected, "{word}");
            }
            theirs.advance();
        }
    }
    assert!(column.positions("none").unwrap().is_none());
}
