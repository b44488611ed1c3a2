//! Stemmers and what goes with them: possessives, overrides, the classic filter.

use std::{cell::RefCell, fmt, hash::BuildHasher};

use hashbrown::{DefaultHashBuilder, HashMap};

use super::{Word, WordFilter};
use crate::stemmer::{Algorithm, Stemmer};

/// A Snowball stemmer. Words marked as keywords stay as they are.
pub(crate) struct Stem {
    algorithm: Algorithm,
    stemmer: Stemmer,
}

impl Stem {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            stemmer: algorithm.stemmer(),
        }
    }
}

impl fmt::Debug for Stem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stem").field(&self.algorithm).finish()
    }
}

impl WordFilter for Stem {
    fn keep(&self, word: &mut Word) -> bool {
        if word.is_keyword {
            return true;
        }
        if word.text().len() > MAX_CACHED_BYTES {
            word.rewrite(|text, out| out.push_str(&self.stemmer.stem(text)));
            return true;
        }
        CACHES.with_borrow_mut(|caches| {
            let cache = caches.entry(self.algorithm).or_insert_with(StemCache::new);
            word.rewrite(|text, out| out.push_str(cache.stem(text, &self.stemmer)));
        });
        true
    }
}

/// Longest word that is remembered, in bytes; longer ones are rare.
const MAX_CACHED_BYTES: usize = 32;
/// Words remembered per thread and algorithm: some 400 KB when full.
const NUM_CACHED: usize = 4_096;

thread_local! {
    /// Stems of frequent words. Stemming costs some 300 ns and several allocations, and a few
    /// thousand words make up most of any text. Only time depends on what is remembered.
    static CACHES: RefCell<HashMap<Algorithm, StemCache>> = RefCell::default();
}

/// Each word has one place, by its hash; the last one there stays.
struct StemCache {
    hasher: DefaultHashBuilder,
    places: Box<[Stemmed]>,
}

#[derive(Clone, Default)]
struct Stemmed {
    word: String,
    stem: String,
}

impl StemCache {
    fn new() -> Self {
        let places = vec![Stemmed::default(); NUM_CACHED].into_boxed_slice();
        Self {
            hasher: DefaultHashBuilder::default(),
            places,
        }
    }

    fn stem(&mut self, word: &str, stemmer: &Stemmer) -> &str {
        // The remainder is below the number of places, whatever the hash's width.
        let at = self.hasher.hash_one(word) % NUM_CACHED as u64;
        let place = &mut self.places[at as usize];
        // An empty place holds the empty word, whose stem is empty.
        if place.word != word {
            word.clone_into(&mut place.word);
            place.stem.clear();
            place.stem.push_str(&stemmer.stem(word));
        }
        &place.stem
    }
}

/// `possessive_english`: drops a trailing `'s`, with any of the three apostrophes.
#[derive(Debug)]
pub(crate) struct PossessiveEnglish;

impl WordFilter for PossessiveEnglish {
    fn keep(&self, word: &mut Word) -> bool {
        let kept = word.text().strip_suffix(['s', 'S']).and_then(|rest| {
            rest.strip_suffix(['\'', '\u{2019}', '\u{FF07}'])
                .map(str::len)
        });
        if let Some(length) = kept {
            word.text_mut().truncate(length);
        }
        true
    }
}

/// `classic`: drops a trailing `'s`, and the dots of an acronym (`I.B.M.`).
#[derive(Debug)]
pub(crate) struct Classic;

impl WordFilter for Classic {
    fn keep(&self, word: &mut Word) -> bool {
        PossessiveEnglish.keep(word);
        let letters = word.text().split_terminator('.');
        let is_acronym = word.text().contains('.')
            && letters.clone().all(|part| part.chars().count() == 1)
            && letters
                .clone()
                .all(|part| part.chars().all(char::is_alphabetic));
        if is_acronym {
            word.text_mut().retain(|c| c != '.');
        }
        true
    }
}

/// `stemmer_override`: fixed stems, which later stemmers leave alone.
#[derive(Debug)]
pub(crate) struct StemmerOverride {
    stems: HashMap<String, String>,
}

impl StemmerOverride {
    /// Parses rules of the form `a, b => stem`.
    ///
    /// # Errors
    /// The first rule of another form.
    pub(crate) fn parse(rules: &[String]) -> Result<Self, String> {
        let mut stems = HashMap::new();
        for rule in rules {
            let (words, stem) = rule.split_once("=>").ok_or_else(|| rule.clone())?;
            let stem = stem.trim();
            if stem.is_empty() || stem.contains("=>") {
                return Err(rule.clone());
            }
            for word in words.split(',').map(str::trim) {
                if word.is_empty() {
                    return Err(rule.clone());
                }
                stems.insert(word.to_owned(), stem.to_owned());
            }
        }
        Ok(Self { stems })
    }
}

impl WordFilter for StemmerOverride {
    fn keep(&self, word: &mut Word) -> bool {
        if let Some(stem) = self.stems.get(word.text())
            && !word.is_keyword
        {
            word.set(stem);
            word.is_keyword = true;
        }
        true
    }
}
