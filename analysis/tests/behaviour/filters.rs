//! Token filters, by example.

use gleaner_analysis::TokenKind;
use serde_json::json;

use crate::{analyze, arcs, filtered, places, terms};

#[test]
fn filters_on_one_word_match_the_documentation() {
    let table = [
        (json!("asciifolding"), "Musée d'Orsay", "Musee d'Orsay"),
        (
            json!("asciifolding"),
            "açaí à la carte ß Ørsted „x“ ① ２ ﬁ ½ 語",
            "acai a la carte ss Orsted \"x\" 1 2 fi ½ 語",
        ),
        (
            json!({"type": "asciifolding", "preserve_original": true}),
            "Musée",
            "Musee|Musée",
        ),
        (
            json!({"type": "asciifolding", "preserve_original": true}),
            "plain",
            "plain",
        ),
        (json!("lowercase"), "Foo ΌΣΟΣ İ!", "foo όσοσ i!"),
        (
            json!({"type": "lowercase", "language": "greek"}),
            "Άνθρωπος",
            "ανθρωποσ",
        ),
        (
            json!({"type": "lowercase", "language": "turkish"}),
            "IİZ",
            "ıiz",
        ),
        (json!("uppercase"), "foobar ß é", "FOOBAR ß É"),
        (json!("trim"), " fox ", "fox"),
        (json!("reverse"), "foobar", "raboof"),
        (json!("apostrophe"), "Istanbul'a veya", "Istanbul"),
        (json!("decimal_digit"), "१-one two-२ ٣", "1-one two-2 3"),
        (json!("cjk_width"), "ｶﾀｶﾅ Ａ１ ｶﾞ", "カタカナ A1 ガ"),
        (json!("elision"), "j'examine", "examine"),
        (
            json!({"type": "elision", "articles": ["l", "m"]}),
            "l'avion",
            "avion",
        ),
        (json!({"type": "truncate", "length": 3}), "foobar", "foo"),
        (
            json!({"type": "pattern_replace", "pattern": "(dog)", "replacement": "watch$1"}),
            "foxes jump lazy dogs",
            "foxes jump lazy watchdogs",
        ),
        (
            json!({"type": "pattern_replace", "pattern": "a", "replacement": "b", "all": false}),
            "aa",
            "ba",
        ),
        (json!("classic"), "I.B.M.'s", "IBM"),
    ];
    for (filter, text, wanted) in table {
        assert_eq!(filtered(&filter, text), wanted, "{filter} {text}");
    }
}

#[test]
fn normalizations_are_those_of_lucene() {
    let table = [
        (
            json!({"type": "lowercase", "language": "irish"}),
            "nAthair",
            "n-athair",
        ),
        (
            json!("indic_normalization"),
            "अाैर त्\u{200d} ত্\u{200d}",
            "और त्\u{200d} ৎ",
        ),
        (json!("hindi_normalization"), "अँगरेज़ी हिन्दी", "अंगरेजि हिंदि"),
        (json!("serbian_normalization"), "њеђ ćčžšđ", "njedj cczsdj"),
    ];
    for (filter, text, wanted) in table {
        assert_eq!(filtered(&filter, text), wanted, "{filter} {text}");
    }
}

#[test]
fn stemmers_are_found_by_name() {
    let table = [
        (json!("porter_stem"), "troubled", "troubl"),
        (json!("porter_stem"), "generously", "gener"),
        (
            json!({"type": "stemmer", "language": "porter", "name": "english"}),
            "generously",
            "gener",
        ),
        (
            json!({"type": "stemmer", "name": "porter"}),
            "generously",
            "gener",
        ),
        (
            json!({"type": "stemmer", "language": "porter"}),
            "generously",
            "gener",
        ),
        (
            json!({"type": "snowball", "language": "Porter"}),
            "generously",
            "gener",
        ),
        (
            json!({"type": "stemmer", "language": "english"}),
            "generously",
            "generous",
        ),
        (json!("stemmer"), "generously", "generous"),
        (
            json!({"type": "snowball", "language": "Lovins"}),
            "nationally",
            "nat",
        ),
        (
            json!({"type": "stemmer", "language": "serbian"}),
            "књигама",
            "knjig",
        ),
        (
            json!({"type": "stemmer", "language": "nepali"}),
            "किताबहरू",
            "किताब",
        ),
        (
            json!({"type": "stemmer", "language": "dutch"}),
            "zoeken",
            "zoek",
        ),
        (
            json!({"type": "stemmer", "language": "possessive_english"}),
            "dog's",
            "dog",
        ),
        (
            json!({"type": "snowball", "language": "German"}),
            "katzen",
            "katz",
        ),
        (json!("dutch_stem"), "ophouden", "ophoud"),
        (json!("french_stem"), "chevaux", "cheval"),
        (json!("german_stem"), "abschließen", "abschliess"),
        (json!("russian_stem"), "журналы", "журнал"),
        (json!("arabic_stem"), "الحسن", "حسن"),
    ];
    for (filter, text, wanted) in table {
        assert_eq!(filtered(&filter, text), wanted, "{filter} {text}");
    }
}

#[test]
fn filters_that_drop_words_match_the_documentation() {
    let table = [
        (
            json!("stop"),
            "a quick fox jumps over the lazy dog",
            "quick fox jumps over lazy dog",
        ),
        (
            json!({"type": "stop", "stopwords": ["_french_", "fox"]}),
            "le fox the",
            "the",
        ),
        (
            json!({"type": "stop", "stopwords": ["and", "is"], "ignore_case": true}),
            "And IS x",
            "x",
        ),
        (json!({"type": "stop", "stopwords": "_none_"}), "the", "the"),
        (
            json!({"type": "keep", "keep_words": ["foo", "bar"]}),
            "foo bar baz",
            "foo bar",
        ),
        (
            json!({"type": "length", "min": 6}),
            "foo bar foobar",
            "foobar",
        ),
        (
            json!({"type": "length", "max": "4"}),
            "the quick brown",
            "the",
        ),
        (json!("unique"), "the quick fox the fox", "the quick fox"),
        (
            json!({"type": "limit", "max_token_count": 2}),
            "a b c",
            "a b",
        ),
    ];
    for (filter, text, wanted) in table {
        let found = terms(&json!("whitespace"), &json!([filter]), text).join(" ");
        assert_eq!(found, wanted, "{filter}");
    }
    let numbers = json!([{"type": "keep_types", "types": ["<NUM>"]}]);
    assert_eq!(
        terms(&json!("standard"), &numbers, "1 quick fox 2 lazy"),
        ["1", "2"]
    );
    let words = json!([{"type": "keep_types", "types": ["<NUM>"], "mode": "exclude"}]);
    assert_eq!(
        terms(&json!("standard"), &words, "1 quick fox 2"),
        ["quick", "fox"]
    );
}

#[test]
fn marked_words_are_not_stemmed() {
    let marked = json!([{"type": "keyword_marker", "keywords": "troubled"}, "porter_stem"]);
    assert_eq!(
        terms(&json!("standard"), &marked, "troubled jumped"),
        ["troubled", "jump"]
    );
    let pattern = json!([{"type": "keyword_marker", "keywords_pattern": "trou.*"}, "porter_stem"]);
    let tokens = analyze(&json!("standard"), &pattern, "troubled jumped");
    assert_eq!(places(&tokens), [("troubled", 0), ("jump", 1)]);
    assert_eq!((tokens[0].is_keyword, tokens[1].is_keyword), (true, false));
    let rules =
        json!({"type": "stemmer_override", "rules": ["zoeken => override", "foo, bar => baz"]});
    let stemmer = json!({"type": "stemmer", "language": "dutch"});
    let overridden = json!([rules, stemmer]);
    assert_eq!(
        terms(&json!("whitespace"), &overridden, "zoeken foo bar"),
        ["override", "baz", "baz"]
    );
}

#[test]
fn grams_stay_at_their_token() {
    let grams = json!([{"type": "ngram", "min_gram": 3, "max_gram": 3}]);
    assert_eq!(
        terms(&json!("keyword"), &grams, "foobar"),
        ["foo", "oob", "oba", "bar"]
    );
    let tokens = analyze(&json!("whitespace"), &json!(["ngram"]), "ab c");
    assert_eq!(places(&tokens), [("a", 0), ("ab", 0), ("b", 0), ("c", 1)]);
    assert_eq!((tokens[1].start, tokens[2].end), (0, 2));
    let edge = json!([{"type": "edge_ngram", "min_gram": 3, "max_gram": 6}]);
    assert_eq!(
        terms(&json!("keyword"), &edge, "foobar"),
        ["foo", "foob", "fooba", "foobar"]
    );
    let back = json!([{"type": "edge_ngram", "min_gram": 1, "max_gram": 2, "side": "back",
        "preserve_original": true}]);
    assert_eq!(terms(&json!("keyword"), &back, "fox"), ["x", "ox", "fox"]);
}

#[test]
fn shingles_join_neighbours() {
    let tokens = analyze(&json!("whitespace"), &json!(["shingle"]), "quick brown fox");
    assert_eq!(
        arcs(&tokens),
        [
            ("quick", 0, 1),
            ("quick brown", 0, 2),
            ("brown", 1, 1),
            ("brown fox", 1, 2),
            ("fox", 2, 1)
        ]
    );
    assert_eq!(tokens[1].kind, TokenKind::Shingle);
    assert_eq!((tokens[1].start, tokens[1].end), (0, 11));
    let only = json!([{"type": "shingle", "min_shingle_size": 2, "max_shingle_size": 3, "output_unigrams": false}]);
    assert_eq!(
        terms(&json!("whitespace"), &only, "quick brown fox jumps"),
        [
            "quick brown",
            "quick brown fox",
            "brown fox",
            "brown fox jumps",
            "fox jumps"
        ]
    );
}

#[test]
fn shingles_fill_the_place_of_stop_words() {
    let only = json!(["stop", {"type": "shingle", "output_unigrams": false, "filler_token": "+"}]);
    assert_eq!(
        terms(&json!("whitespace"), &only, "fox jumps a lazy dog"),
        ["fox jumps", "jumps +", "+ lazy", "lazy dog"]
    );
    let short = json!([{"type": "shingle", "output_unigrams": false, "output_unigrams_if_no_shingles": true}]);
    assert_eq!(terms(&json!("whitespace"), &short, "fox"), ["fox"]);
    // A long gap costs no more than the shingles that reach into it.
    let gap = format!("fox {} dog", "the ".repeat(1_000));
    assert_eq!(terms(&json!("whitespace"), &only, &gap), ["fox +", "+ dog"]);
}

#[test]
fn ideographs_become_pairs() {
    let terms = |filter, text| terms(&json!("standard"), &json!([filter]), text);
    assert_eq!(
        terms(json!("cjk_bigram"), "多くの学生が試験に落ちた").join(" "),
        "多く くの の学 学生 生が が試 試験 験に に落 落ち ちた"
    );
    assert_eq!(
        terms(json!("cjk_bigram"), "東 京都 ab 한국"),
        ["東", "京都", "ab", "한국"]
    );
    let tokens = analyze(&json!("standard"), &json!(["cjk_bigram"]), "東京都x 東");
    assert_eq!(
        places(&tokens),
        [("東京", 0), ("京都", 1), ("x", 2), ("東", 3)]
    );
    assert_eq!((tokens[1].start, tokens[1].end), (3, 9));
    let beside = json!({"type": "cjk_bigram", "output_unigrams": true});
    assert_eq!(terms(beside, "東京都"), ["東", "東京", "京", "京都", "都"]);
    let ignored = json!({"type": "cjk_bigram", "ignored_scripts": ["hiragana"]});
    assert_eq!(terms(ignored, "多くの学生"), ["多", "く", "の", "学生"]);
}

#[test]
fn doubles_and_fingerprints() {
    let unique = json!([{"type": "unique", "only_on_same_position": true}]);
    assert_eq!(terms(&json!("whitespace"), &unique, "a a"), ["a", "a"]);
    let text = "OpenSearch OpenSearch is powerful powerful and scalable";
    let tokens = analyze(&json!("standard"), &json!(["lowercase", "unique"]), text);
    assert_eq!(
        places(&tokens),
        [
            ("opensearch", 0),
            ("is", 1),
            ("powerful", 2),
            ("and", 3),
            ("scalable", 4)
        ],
        "no gaps where doubles were"
    );
    let stop = json!([{"type": "stop", "stopwords": ["is"]}, "unique"]);
    let tokens = analyze(&json!("whitespace"), &stop, "a is b b is c");
    assert_eq!(places(&tokens), [("a", 0), ("b", 2), ("c", 4)]);
    let stems = json!(["ngram", "remove_duplicates"]);
    assert_eq!(
        terms(&json!("whitespace"), &stems, "aa a"),
        ["a", "aa", "a"]
    );
    let print = json!([{"type": "fingerprint", "separator": "_"}]);
    assert_eq!(
        terms(&json!("whitespace"), &print, "A1 B2 A1 D4 C3"),
        ["A1_B2_C3_D4"]
    );
    let short = json!([{"type": "fingerprint", "max_output_size": 3}]);
    assert!(terms(&json!("whitespace"), &short, "a b c").is_empty());
}
