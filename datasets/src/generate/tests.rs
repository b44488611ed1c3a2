//! The generator is frozen, and its collections have the shape that its head promises.

use std::collections::HashSet;

use serde_json::Value;

use super::*;

/// FNV-1a, 64 bits, over the ids and sources.
fn hash_of(seed: u64, num_documents: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for document in Generator::new(seed, num_documents).documents() {
        let Document { id, source } = document.expect("generated documents have no faults");
        for byte in id.expect("they have ids").bytes().chain(source.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

fn bodies_in_words(num_documents: u64) -> Vec<usize> {
    let generator = Generator::new(3, num_documents);
    let length = |document: Document| {
        let source: Value = serde_json::from_str(&document.source).expect("valid JSON");
        source["body"].as_str().expect("a body").split(' ').count()
    };
    let mut lengths: Vec<usize> = generator
        .documents()
        .map(|document| length(document.expect("no faults")))
        .collect();
    lengths.sort_unstable();
    lengths
}

#[test]
fn the_output_never_changes() {
    assert_eq!(hash_of(42, 2_000), 13_749_894_410_908_963_890);
    assert_eq!(hash_of(0, 500), 5_317_742_451_832_723_027);
}

#[test]
fn a_document_is_the_same_alone_and_among_others() {
    let generator = Generator::new(9, 100);
    let all: Vec<Document> = generator
        .documents()
        .map(|d| d.expect("no faults"))
        .collect();
    assert_eq!(all.len(), 100);
    assert_eq!(all[70], Generator::new(9, 71).document(70));
    assert_ne!(all[70].source, Generator::new(10, 100).document(70).source);
}

#[test]
fn lengths_differ_more_than_a_hundredfold() {
    let lengths = bodies_in_words(5_000);
    let (low, median, high) = (lengths[50], lengths[2_500], lengths[4_950]);
    assert!((45..80).contains(&median), "median {median}");
    assert!(high > 50 * low, "1st percentile {low}, 99th {high}");
    assert!(
        lengths[4_999] > 100 * lengths[0],
        "{} to {}",
        lengths[0],
        lengths[4_999]
    );
}

#[test]
fn every_word_is_one_of_its_own() {
    let words: HashSet<String> = (0..40_000).map(text::word).collect();
    assert_eq!(words.len(), 40_000);
}

#[test]
fn fields_have_the_types_that_are_promised() {
    for position in 0..500 {
        let document = Generator::new(1, 500).document(position);
        let source: Value = serde_json::from_str(&document.source).expect("valid JSON");
        assert!(CATEGORIES.contains(&source["category"].as_str().expect("a category")));
        let tags = source["tags"].as_array().expect("tags");
        assert_eq!(
            tags.iter().collect::<HashSet<_>>().len(),
            tags.len(),
            "{tags:?}"
        );
        let published = source["published"].as_str().expect("a date");
        assert!(
            ("2005-01-01T00:00:00Z".."2025").contains(&published),
            "{published}"
        );
        assert!(source["views"].as_u64().is_some() && source["rating"].as_f64().is_some());
    }
}

#[test]
fn timestamps_know_leap_years() {
    assert_eq!(timestamp(FIRST_SECOND), "2005-01-01T00:00:00Z");
    assert_eq!(timestamp(1_709_251_199), "2024-02-29T23:59:59Z");
    assert_eq!(
        timestamp(FIRST_SECOND + NUM_SECONDS - 1),
        "2024-12-31T23:59:59Z"
    );
}

#[test]
fn queries_ask_for_words_that_are_there() {
    let generator = Generator::new(5, 200);
    let text: String = (0..200)
        .map(|p| generator.document(p).source.to_lowercase())
        .collect();
    let found = (0..50).filter(|position| {
        generator
            .query(*position)
            .split(' ')
            .any(|word| text.contains(word))
    });
    assert!(found.count() > 45);
    assert_eq!(generator.query(3), generator.query(3));
}
