//! Documents that make ranking hard.

use std::collections::BTreeMap;

use gleaner_model::FieldPath;
use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Different words of all texts.
pub(crate) const VOCABULARY: u32 = 400;
/// Words of long texts only, numbered after the others.
pub(crate) const PLANTED: u32 = 12;
/// Classes of length; the longest is some 100 times the shortest.
pub(crate) const CLASSES: usize = 8;

/// One document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    pub(crate) id: String,
    pub(crate) class: usize,
    /// Words by number; empty: the document does not have the field.
    pub(crate) title: Vec<u32>,
    pub(crate) body: Vec<u32>,
    /// As often as each is given; empty: the document does not have the field.
    pub(crate) labels: Vec<u32>,
    pub(crate) tag: u32,
    pub(crate) number: i64,
}

impl Document {
    /// The value of `flag`; `None`: the document does not have the field.
    pub(crate) fn flag(&self) -> Option<bool> {
        match self.number.rem_euclid(9) {
            0 | 1 => None,
            rest => Some(rest < 4),
        }
    }
}

/// A step of the history that leads to the live documents.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Put(Document),
    Delete(String, usize),
}

/// History and outcome.
pub(crate) struct Corpus {
    pub(crate) history: Vec<Step>,
    pub(crate) live: BTreeMap<String, Document>,
}

pub(crate) fn body() -> FieldPath {
    FieldPath::new("body")
}

pub(crate) fn title() -> FieldPath {
    FieldPath::new("title")
}

pub(crate) fn labels() -> FieldPath {
    FieldPath::new("labels")
}

pub(crate) fn tag() -> FieldPath {
    FieldPath::new("tag")
}

pub(crate) fn flag() -> FieldPath {
    FieldPath::new("flag")
}

pub(crate) fn word(number: u32) -> String {
    format!("w{number}")
}

/// Draws a word; small numbers are frequent (about Zipf's law).
pub(crate) fn draw_word(rng: &mut StdRng) -> u32 {
    let uniform: f64 = rng.random();
    ((f64::from(VOCABULARY).powf(uniform) - 1.0) as u32).min(VOCABULARY - 1)
}

impl Corpus {
    /// Makes `num_documents` documents, then updates, deletes and duplicates some.
    pub(crate) fn generate(seed: u64, num_documents: usize) -> Self {
        Self::with_repeats(seed, num_documents, 0.0)
    }

    /// As [`Self::generate`]; a share of `repeats` documents is one word over and over (tf = length).
    /// They exceed tantivy's bound per term, and win so many queries that they hide other faults.
    pub(crate) fn with_repeats(seed: u64, num_documents: usize, repeats: f64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut corpus = Self {
            history: Vec::new(),
            live: BTreeMap::new(),
        };
        for number in 0..num_documents {
            let mut document = draw(&mut rng, number, repeats);
            if rng.random_bool(0.1)
                && let Some(other) = corpus.live.values().nth(number / 2)
            {
                // Ties: the same content under another id.
                document = Document {
                    id: document.id,
                    ..other.clone()
                };
            }
            corpus.put(document);
            if rng.random_bool(0.1) {
                corpus.change(&mut rng, number, repeats);
            }
        }
        corpus
    }

    fn change(&mut self, rng: &mut StdRng, number: usize, repeats: f64) {
        let victim = format!("d{}", rng.random_range(0..=number));
        let Some(class) = self.live.get(&victim).map(|document| document.class) else {
            return;
        };
        if rng.random_bool(0.5) {
            self.live.remove(&victim);
            self.history.push(Step::Delete(victim, class));
        } else {
            // The class decides the shard: an update stays where it is.
            let document = Document {
                id: victim,
                class,
                ..draw(rng, number, repeats)
            };
            self.put(document);
        }
    }

    fn put(&mut self, document: Document) {
        self.history.push(Step::Put(document.clone()));
        self.live.insert(document.id.clone(), document);
    }
}

fn draw(rng: &mut StdRng, number: usize, repeats: f64) -> Document {
    // Many short documents and some long ones: the mean of all is far from the mean of a shard.
    let is_long = rng.random_bool(0.2);
    let class = match is_long {
        false => rng.random_range(0..6),
        true => 6 + usize::from(rng.random_bool(0.85)),
    };
    let longest: usize = [3, 6, 9, 14, 22, 40, 60, 250][class];
    let length: usize = rng.random_range(longest * 3 / 4..=longest);
    let body = match (rng.random_bool(repeats), class) {
        (true, _) => vec![draw_word(rng); length],
        (false, 6..) => planted_text(rng, length, class),
        (false, _) => bursty_text(rng, length),
    };
    let title = match rng.random_bool(0.3) {
        true => Vec::new(),
        false => (0..rng.random_range(1..8))
            .map(|_| draw_word(rng))
            .collect(),
    };
    let num_labels = match number % 7 {
        0 => 0,
        _ => body.len().min(12),
    };
    Document {
        id: format!("d{number}"),
        class,
        title,
        labels: body[..num_labels].to_vec(),
        body,
        tag: rng.random_range(0..5),
        number: rng.random_range(-50..50),
    }
}

/// Words come again in the text they stand in, as in real ones, so that tf varies.
fn bursty_text(rng: &mut StdRng, length: usize) -> Vec<u32> {
    let mut text: Vec<u32> = Vec::with_capacity(length);
    for _ in 0..length {
        let next = match text.is_empty() || rng.random_bool(0.7) {
            true => draw_word(rng),
            false => text[rng.random_range(0..text.len())],
        };
        text.push(next);
    }
    text
}

/// Words of long texts only. Under the mean length of their shard the longest texts, which have
/// nearly all of them and often, are the best of a block; under the mean of all documents the few
/// shorter ones are, and tantivy's block maxima do not show it.
fn planted_text(rng: &mut StdRng, length: usize, class: usize) -> Vec<u32> {
    let (share, frequencies) = if class == CLASSES - 1 {
        (0.8, 5..=7)
    } else {
        (0.15, 3..=4)
    };
    let mut text = Vec::with_capacity(length);
    for planted in 0..PLANTED {
        if rng.random_bool(share) {
            let frequency = rng.random_range(frequencies.clone());
            text.extend(std::iter::repeat_n(VOCABULARY + planted, frequency));
        }
    }
    while text.len() < length {
        text.push(draw_word(rng));
    }
    text.truncate(length);
    text
}
