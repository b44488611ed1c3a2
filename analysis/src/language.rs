//! The languages that have a stemmer and a list of stop words.

use rust_stemmers::Algorithm;

/// A language of the Snowball stemmers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    Arabic,
    Danish,
    Dutch,
    English,
    Finnish,
    French,
    German,
    Greek,
    Hungarian,
    Italian,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Tamil,
    Turkish,
}

/// Name, stemmer and stop words of each language, in the order of [`Language`].
const LANGUAGES: [(Language, &str, Algorithm, &str); 18] = {
    use Language as L;
    macro_rules! row {
        ($language:ident, $name:literal) => {
            (
                L::$language,
                $name,
                Algorithm::$language,
                include_str!(concat!("../stop_words/", $name, ".txt")),
            )
        };
    }
    [
        row!(Arabic, "arabic"),
        row!(Danish, "danish"),
        row!(Dutch, "dutch"),
        row!(English, "english"),
        row!(Finnish, "finnish"),
        row!(French, "french"),
        row!(German, "german"),
        row!(Greek, "greek"),
        row!(Hungarian, "hungarian"),
        row!(Italian, "italian"),
        row!(Norwegian, "norwegian"),
        row!(Portuguese, "portuguese"),
        row!(Romanian, "romanian"),
        row!(Russian, "russian"),
        row!(Spanish, "spanish"),
        row!(Swedish, "swedish"),
        row!(Tamil, "tamil"),
        row!(Turkish, "turkish"),
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

    pub(crate) fn algorithm(self) -> Algorithm {
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
