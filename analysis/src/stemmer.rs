//! The stemmers there are: which library has each, and the names of the dialect.
//!
//! `rust-stemmers` has the first 18 languages and keeps them: their stems stand in indices, and Snowball has
//! changed those of eleven since. `frostem` follows Snowball and has the rest; its version is pinned, as
//! another may stem otherwise. Read [`Algorithm`] first. Filters are made of them in `filter/build/stemmers.rs`.

use std::borrow::Cow;

use crate::language::Language;

/// An algorithm of Snowball.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Algorithm {
    /// That of a language, of which there is an analyzer too. English is Porter2.
    Language(Language),
    /// Lovins' of English, of 1968.
    Lovins,
    Nepali,
    /// Porter's first of English, of 1980.
    Porter,
    Yiddish,
}

/// Where a library has an algorithm.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    RustStemmers(rust_stemmers::Algorithm),
    Frostem(frostem::Algorithm),
}

/// Finds stems with one algorithm.
pub(crate) enum Stemmer {
    RustStemmers(rust_stemmers::Stemmer),
    Frostem(frostem::Stemmer),
}

/// Longest word that `frostem` stems, in bytes: the longest term that an index takes. Its time grows with the
/// square of the length, 20 ms here.
const MAX_STEMMED_BYTES: usize = 32_766;

impl Algorithm {
    /// Returns all algorithms.
    #[cfg(test)]
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let others = [Self::Lovins, Self::Nepali, Self::Porter, Self::Yiddish];
        Language::all().map(Self::Language).chain(others)
    }

    /// Returns the algorithm of a name in lower case.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "lovins" => Some(Self::Lovins),
            "nepali" => Some(Self::Nepali),
            "porter" => Some(Self::Porter),
            "yiddish" => Some(Self::Yiddish),
            "porter2" => Some(Self::Language(Language::English)),
            "german2" => Some(Self::Language(Language::German)),
            _ => Language::from_name(name).map(Self::Language),
        }
    }

    /// Returns a stemmer, which is cheap to make.
    pub(crate) fn stemmer(self) -> Stemmer {
        let source = match self {
            Self::Language(language) => language.stemmer(),
            Self::Lovins => Source::Frostem(frostem::Algorithm::Lovins),
            Self::Nepali => Source::Frostem(frostem::Algorithm::Nepali),
            Self::Porter => Source::Frostem(frostem::Algorithm::Porter),
            Self::Yiddish => Source::Frostem(frostem::Algorithm::Yiddish),
        };
        match source {
            Source::RustStemmers(algorithm) => {
                Stemmer::RustStemmers(rust_stemmers::Stemmer::create(algorithm))
            }
            Source::Frostem(algorithm) => Stemmer::Frostem(frostem::Stemmer::new(algorithm)),
        }
    }
}

impl Stemmer {
    /// Returns the stem of a word in lower case.
    pub(crate) fn stem<'w>(&self, word: &'w str) -> Cow<'w, str> {
        match self {
            Self::RustStemmers(stemmer) => stemmer.stem(word),
            Self::Frostem(_) if word.len() > MAX_STEMMED_BYTES => Cow::Borrowed(word),
            Self::Frostem(stemmer) => stemmer.stem(word),
        }
    }
}

/// Returns whether Elasticsearch has a stemmer of this name, in lower case, that is not Snowball's.
pub(crate) fn is_unsupported(name: &str) -> bool {
    // `light_french` is also written `lightFrench`.
    let name = name.replace('_', "");
    UNSUPPORTED
        .iter()
        .any(|known| known.replace('_', "") == name)
}

/// Names of Elasticsearch's `StemmerTokenFilterFactory` that stand for stemmers Gleaner does not have.
const UNSUPPORTED: [&str; 34] = [
    "bengali",
    "brazilian",
    "bulgarian",
    "czech",
    "dutch_kp",
    "galician",
    "kp",
    "kstem",
    "latvian",
    "light_english",
    "light_finish",
    "light_finnish",
    "light_french",
    "light_german",
    "light_hungarian",
    "light_indonesian",
    "light_italian",
    "light_norwegian",
    "light_nynorsk",
    "light_portuguese",
    "light_russian",
    "light_spanish",
    "light_swedish",
    "minimal_english",
    "minimal_french",
    "minimal_galician",
    "minimal_german",
    "minimal_norwegian",
    "minimal_nynorsk",
    "minimal_portuguese",
    "persian",
    "portuguese_rslp",
    "sorani",
    "spanish_plural",
];

#[cfg(test)]
mod tests;
