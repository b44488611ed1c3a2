//! The languages that have a stemmer and a list of stop words.

use crate::stemmer::Source;

/// A language of the Snowball stemmers, with an analyzer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    Arabic,
    Armenian,
    Basque,
    Catalan,
    Danish,
    Dutch,
    English,
    Estonian,
    Finnish,
    French,
    German,
    Greek,
    Hindi,
    Hungarian,
    Indonesian,
    Irish,
    Italian,
    Lithuanian,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Serbian,
    Spanish,
    Swedish,
    Tamil,
    Turkish,
}

/// Name, stemmer and stop words of each language, in the order of [`Language`].
const LANGUAGES: [(Language, &str, Source, &str); 27] = {
    use Language as L;
    macro_rules! row {
        ($source:ident, $library:ident, $language:ident, $name:literal) => {
            (
                L::$language,
                $name,
                Source::$source($library::Algorithm::$language),
                include_str!(concat!("../stop_words/", $name, ".txt")),
            )
        };
    }
    [
        row!(RustStemmers, rust_stemmers, Arabic, "arabic"),
        row!(Frostem, frostem, Armenian, "armenian"),
        row!(Frostem, frostem, Basque, "basque"),
        row!(Frostem, frostem, Catalan, "catalan"),
        row!(RustStemmers, rust_stemmers, Danish, "danish"),
        row!(RustStemmers, rust_stemmers, Dutch, "dutch"),
        row!(RustStemmers, rust_stemmers, English, "english"),
        row!(Frostem, frostem, Estonian, "estonian"),
        row!(RustStemmers, rust_stemmers, Finnish, "finnish"),
        row!(RustStemmers, rust_stemmers, French, "french"),
        row!(RustStemmers, rust_stemmers, German, "german"),
        row!(RustStemmers, rust_stemmers, Greek, "greek"),
        row!(Frostem, frostem, Hindi, "hindi"),
        row!(RustStemmers, rust_stemmers, Hungarian, "hungarian"),
        row!(Frostem, frostem, Indonesian, "indonesian"),
        row!(Frostem, frostem, Irish, "irish"),
        row!(RustStemmers, rust_stemmers, Italian, "italian"),
        row!(Frostem, frostem, Lithuanian, "lithuanian"),
        row!(RustStemmers, rust_stemmers, Norwegian, "norwegian"),
        row!(RustStemmers, rust_stemmers, Portuguese, "portuguese"),
        row!(RustStemmers, rust_stemmers, Romanian, "romanian"),
        row!(RustStemmers, rust_stemmers, Russian, "russian"),
        row!(Frostem, frostem, Serbian, "serbian"),
        row!(RustStemmers, rust_stemmers, Spanish, "spanish"),
        row!(RustStemmers, rust_stemmers, Swedish, "swedish"),
        row!(RustStemmers, rust_stemmers, Tamil, "tamil"),
        row!(RustStemmers, rust_stemmers, Turkish, "turkish"),
    ]
};

impl Language {
    /// Returns all languages.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        LANGUAGES.iter().map(|row| row.0)
    }

    /// Returns the language of a name in lower case.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        LANGUAGES.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// Returns the name in lower case, which is also the analyzer's name.
    pub(crate) fn name(self) -> &'static str {
        LANGUAGES[self as usize].1
    }

    pub(crate) fn stemmer(self) -> Source {
        LANGUAGES[self as usize].2
    }

    /// Returns the default stop words of the language's analyzer.
    pub(crate) fn stop_words(self) -> impl Iterator<Item = &'static str> {
        LANGUAGES[self as usize]
            .3
            .lines()
            .filter(|line| !line.starts_with('#'))
    }

    /// Returns the articles whose elision (`l'avion`) the language's analyzer undoes.
    pub(crate) fn elided_articles(self) -> &'static [&'static str] {
        match self {
            Self::Catalan => &["d", "l", "m", "n", "s", "t"],
            Self::Irish => &["d", "m", "b"],
            Self::French => &[
                "l", "m", "t", "qu", "n", "s", "j", "d", "c", "jusqu", "quoiqu", "lorsqu", "puisqu",
            ],
            Self::Italian => &[
                "c", "l", "all", "dall", "dell", "nell", "sull", "coll", "pell", "gl", "agl",
                "dagl", "degl", "negl", "sugl", "un", "m", "t", "s", "v", "d",
            ],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (at, language) in Language::all().enumerate() {
            assert_eq!(language as usize, at);
            assert_eq!(Language::from_name(language.name()), Some(language));
            assert!(language.stop_words().count() >= 30, "{language:?}");
        }
        assert_eq!(Language::English.stop_words().count(), 33);
    }
}
