//! Documents made of a seed: as many as wanted, the same bytes on every machine and for ever.
//!
//! Only whole numbers decide what is written: `exp` and `ln` differ between machines. The golden
//! hash in the tests freezes the output; a change of it is a new generator beside this one.

mod text;

use std::sync::Arc;

use crate::{Corpus, Document, Random};
use text::Language;

/// Names of the facet `category`, most frequent first.
const CATEGORIES: &[&str] = &[
    "astronomy",
    "biology",
    "chemistry",
    "cooking",
    "economics",
    "engineering",
    "film",
    "gardening",
    "geography",
    "geology",
    "history",
    "language",
    "law",
    "literature",
    "mathematics",
    "medicine",
    "music",
    "painting",
    "philosophy",
    "physics",
    "politics",
    "sport",
    "travel",
    "weather",
];

/// Names of the facet `tags`.
const TAGS: &[&str] = &[
    "archived",
    "beginner",
    "classic",
    "disputed",
    "essay",
    "field-notes",
    "interview",
    "new",
    "popular",
    "reference",
    "review",
    "survey",
    "translated",
    "tutorial",
    "unpublished",
    "verified",
];

/// Seconds from 2005-01-01T00:00:00Z to the epoch's 1970-01-01.
const FIRST_SECOND: u64 = 1_104_537_600;

/// The length of the years 2005 to 2024, in seconds.
const NUM_SECONDS: u64 = 7_305 * 86_400;

/// Text with a Zipf distribution of words, very different document lengths, facets, dates, numbers.
///
/// A document depends on the seed and its own position alone, so any part of a collection can be
/// made without the rest. Fields:
///
/// ```text
/// title      text      2 to 9 words
/// body       text      4 to 6,000 words, about log-normal, median 60; one in 40 over 400
/// category   keyword   one of 24, Zipf
/// tags       keyword   0 to 5 of 16
/// author     keyword   `author-000` to `author-499`, skewed
/// published  date      2005 to 2024, UTC, to the second
/// views      integer   0 to 2^24, heavy tail
/// price      number    0.00 to 999.99, two decimals; absent in one of ten
/// rating     number    0.0 to 5.0, one decimal
/// in_stock   boolean
/// ```
#[derive(Debug, Clone)]
pub struct Generator {
    seed: u64,
    num_documents: u64,
    language: Arc<Language>,
}

impl Generator {
    /// Makes the generator of `num_documents` documents; the same seed makes the same collection.
    pub fn new(seed: u64, num_documents: u64) -> Self {
        Self {
            seed,
            num_documents,
            language: Arc::new(Language::new()),
        }
    }

    /// Returns the document at `position`, from 0. Its `_id` is the position in ten digits.
    pub fn document(&self, position: u64) -> Document {
        let mut random = Random::stream(self.seed, position);
        let random = &mut random;
        let category = skewed(random, CATEGORIES.len() as u64) as usize;
        let num_title_words = 2 + random.below(8);
        let title = self.language.title(random, category, num_title_words);
        let num_words = num_body_words(random);
        let body = self.language.body(random, category, num_words);
        let mut source = format!(
            r#"{{"title":"{title}","body":"{body}","category":"{}","tags":[{}]"#,
            CATEGORIES[category],
            tags(random),
        );
        let author = skewed(random, 500);
        let published = timestamp(FIRST_SECOND + random.below(NUM_SECONDS));
        source += &format!(r#","author":"author-{author:03}","published":"{published}""#);
        let num_bits = random.below(25);
        source += &format!(r#","views":{}"#, random.below(1 << num_bits));
        if random.chance(9, 10) {
            source += &format!(
                r#","price":{}.{:02}"#,
                random.below(1000),
                random.below(100)
            );
        }
        let rating = random.below(51);
        source += &format!(r#","rating":{}.{}"#, rating / 10, rating % 10);
        source += &format!(r#","in_stock":{}}}"#, random.chance(2, 3));
        Document {
            id: Some(format!("{position:010}")),
            source,
        }
    }

    /// Returns all documents in order.
    pub fn documents(&self) -> Corpus {
        let generator = self.clone();
        let documents = (0..self.num_documents).map(move |position| generator.document(position));
        Corpus::of_documents("generated", self.num_documents, documents)
    }

    /// Returns query number `position`: 1 to 4 words, from frequent to rare.
    pub fn query(&self, position: u64) -> String {
        // Streams of documents and of queries must not meet: queries count down from the top.
        let mut random = Random::stream(self.seed, u64::MAX - position);
        let category = skewed(&mut random, CATEGORIES.len() as u64) as usize;
        let num_words = 1 + random.below(4);
        self.language
            .words(&mut random, category, num_words)
            .join(" ")
    }
}

/// About log-normal: the sum of 32 coin throws, as half octaves around 60, with jitter between.
fn num_body_words(random: &mut Random) -> u64 {
    let half_octaves = i64::from((random.next_u64() >> 32).count_ones()) - 16;
    let jitter = 1024 + random.below(424);
    // 1448 / 1024 is the square root of 2.
    let odd = if half_octaves.rem_euclid(2) == 1 {
        1448
    } else {
        1024
    };
    let octaves = half_octaves.div_euclid(2);
    let scaled = 51 * jitter * odd;
    let words = if octaves < 0 {
        scaled >> -octaves
    } else {
        scaled << octaves
    };
    (words >> 20).clamp(4, 6_000)
}

/// A number below `bound`, small ones more often: the lesser of two.
fn skewed(random: &mut Random, bound: u64) -> u64 {
    let (one, other) = (random.below(bound), random.below(bound));
    one.min(other)
}

fn tags(random: &mut Random) -> String {
    let num_tags = random.below(6);
    let chosen = random.next_u64();
    // A stride that shares no factor with 16 gives different tags; it and the start are random.
    let (start, stride) = (chosen % 16, (chosen >> 8) % 8 * 2 + 1);
    let names = (0..num_tags).map(|index| TAGS[((start + index * stride) % 16) as usize]);
    names
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(",")
}

/// Writes seconds since 1970 as `YYYY-MM-DDThh:mm:ssZ`.
///
/// Days to a date after Howard Hinnant, "chrono-compatible low-level date algorithms" (2013).
fn timestamp(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z",
        second % 60
    )
}

#[cfg(test)]
mod tests;
