//! An invented language: words made of syllables, drawn by a Zipf distribution.

use crate::Random;

/// Words there are, by rank from the most frequent.
const NUM_WORDS: u64 = 40_000;

/// Words that belong to one category and come often there.
const NUM_TOPIC_WORDS: u64 = 400;

/// The rank at which the words of the first category start.
const FIRST_TOPIC_RANK: u64 = 5_000;

/// A syllable is one of these and a vowel, so that every word is read in only one way.
const ONSETS: &[&str] = &[
    "b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z", "br", "dr",
    "kr", "st",
];

const VOWELS: &[&str] = &["a", "e", "i", "o", "u"];

const NUM_SYLLABLES: u64 = (ONSETS.len() * VOWELS.len()) as u64;

/// The words' frequencies: a word of rank r (from 0) comes with a weight of 1 / (r + 1).
#[derive(Debug)]
pub(super) struct Language {
    /// `[NUM_WORDS]`, sums of the weights up to each rank.
    all: Vec<u64>,
    /// `[NUM_TOPIC_WORDS]`, the same for the words of a category.
    topic: Vec<u64>,
}

impl Language {
    pub(super) fn new() -> Self {
        Self {
            all: sums_of_weights(NUM_WORDS),
            topic: sums_of_weights(NUM_TOPIC_WORDS),
        }
    }

    /// Writes a title: words, the first with a capital.
    pub(super) fn title(&self, random: &mut Random, category: usize, num_words: u64) -> String {
        capitalised(&self.words(random, category, num_words).join(" "))
    }

    /// Writes sentences of 4 to 18 words, with commas in between, `num_words` in all.
    pub(super) fn body(&self, random: &mut Random, category: usize, num_words: u64) -> String {
        let mut sentences = Vec::new();
        let mut left = num_words;
        while left > 0 {
            let length = left.min(4 + random.below(15));
            let mut words = self.words(random, category, length);
            if length > 8 {
                words[4].push(',');
            }
            sentences.push(capitalised(&words.join(" ")) + ".");
            left -= length;
        }
        sentences.join(" ")
    }

    /// Draws words: three of four from the language at large, the others from the category's own.
    pub(super) fn words(
        &self,
        random: &mut Random,
        category: usize,
        num_words: u64,
    ) -> Vec<String> {
        let mut word_at_random = |_| {
            if random.chance(3, 4) {
                word(draw(&self.all, random))
            } else {
                let first = FIRST_TOPIC_RANK + category as u64 * NUM_TOPIC_WORDS;
                word(first + draw(&self.topic, random))
            }
        };
        (0..num_words).map(&mut word_at_random).collect()
    }
}

fn sums_of_weights(num_words: u64) -> Vec<u64> {
    let mut sum = 0;
    let weights = (1..=num_words).map(|rank| (1 << 32) / rank);
    weights
        .map(|weight| {
            sum += weight;
            sum
        })
        .collect()
}

/// Draws a rank by the weights that `sums` adds up.
fn draw(sums: &[u64], random: &mut Random) -> u64 {
    let total = sums.last().copied().unwrap_or(1);
    let point = random.below(total);
    sums.partition_point(|sum| *sum <= point) as u64
}

/// Returns the word of a rank: frequent words are short.
///
/// Ranks of the same length are shuffled by a stride without a common factor, so that neighbours do
/// not look alike.
pub(super) fn word(rank: u64) -> String {
    let (mut num_syllables, mut below, mut num_words) = (1, 0, NUM_SYLLABLES);
    while rank >= below + num_words {
        below += num_words;
        num_words *= NUM_SYLLABLES;
        num_syllables += 1;
    }
    let mut code = (rank - below) * 7_919 % num_words;
    let mut text = String::new();
    for _ in 0..num_syllables {
        let syllable = (code % NUM_SYLLABLES) as usize;
        code /= NUM_SYLLABLES;
        text += ONSETS[syllable / VOWELS.len()];
        text += VOWELS[syllable % VOWELS.len()];
    }
    text
}

/// All words start with an ASCII letter.
fn capitalised(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}
