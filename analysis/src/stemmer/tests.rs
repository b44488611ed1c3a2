//! Stems of real words, and that no word is too strange.
//!
//! The stems are those of Snowball's own `libstemmer`, of version 3.1.

use proptest::prelude::*;

use super::*;

/// Algorithm, words and their stems.
const STEMS: [(&str, &str, &str); 15] = [
    (
        "armenian",
        "քաղաքներում երեխաների աշխատանքներ հանրապետություն մարդկանց ժողովրդական",
        "քաղ երեխ աշխ հանրապետությ մարդկ ժողովրդ",
    ),
    (
        "basque",
        "mendietan zaldunak liburuak aberastasunak herrietako gizonarekin",
        "mendi zal liburu aberas herri gizo",
    ),
    (
        "catalan",
        "cases gats treballadors nacionalment ràpidament cantàvem llibertat",
        "case gat treball nacional rapid cant llibert",
    ),
    (
        "estonian",
        "raamatutele raamatutestki kokkuvõtteid hüppaksime abikaasadele programmidesse",
        "raama raama kokkuvõte hüpa abikaasa programmi",
    ),
    (
        "hindi",
        "लड़कियों किताबें घरों आदमियों देशों पुस्तकें",
        "लड़क किताब घर आदम देश पुस्तक",
    ),
    (
        "indonesian",
        "pembangunan berlari bukunya diadakan kekuatan makanan perjalanan",
        "bangun lari buku ada kuat makan jalan",
    ),
    (
        "irish",
        "bhfear gcapall mbliana h-athair dtithe",
        "fear capall bliana athair tithe",
    ),
    (
        "lithuanian",
        "knygos namuose miškuose vaikams gražiausias valstybės",
        "knyg nam mišk vaik graž valstyb",
    ),
    (
        "serbian",
        "књига књигама градовима knjigama учитељица најлепши пријатељима",
        "knjig knjig gradov knjig učiteljic najlepš prijatelj",
    ),
    ("nepali", "किताबहरू घरहरूमा केटाहरूले", "किताब घर केटा"),
    ("yiddish", "ביכער קינדער שולן מענטשן", "ביכ קינד שול מענטש"),
    (
        "porter",
        "generously running caresses ponies relational conditional happy",
        "gener run caress poni relat condit happi",
    ),
    (
        "porter2",
        "generously running caresses ponies relational conditional happy",
        "generous run caress poni relat condit happi",
    ),
    (
        "lovins",
        "nationally sitting rubbing matrices believable",
        "nat sit rub matric belief",
    ),
    ("german2", "häuser", "haus"),
];

#[test]
fn stems_are_those_of_snowball() {
    for (name, words, wanted) in STEMS {
        let stemmer = Algorithm::from_name(name).expect(name).stemmer();
        let stems: Vec<_> = words.split(' ').map(|word| stemmer.stem(word)).collect();
        assert_eq!(stems.join(" "), wanted, "{name}");
    }
}

#[test]
fn names_of_other_stemmers_are_known_and_not_had() {
    for name in UNSUPPORTED {
        assert!(
            is_unsupported(name) && Algorithm::from_name(name).is_none(),
            "{name}"
        );
    }
    assert!(is_unsupported("lightfrench"));
    assert!(!is_unsupported("klingon") && !is_unsupported("french"));
}

#[test]
fn a_word_longer_than_any_term_is_left_alone() {
    let word = "dž".repeat(400_000);
    for algorithm in [Algorithm::Porter, Algorithm::Language(Language::Serbian)] {
        assert_eq!(algorithm.stemmer().stem(&word), word);
    }
}

/// Words out of the letters and endings that stemmers look for, and any others.
fn words() -> impl Strategy<Value = String> {
    let letters = [
        "[a-z'’-]{0,12}",
        "[à-öø-ſ]{0,8}",
        "[\u{430}-\u{45F}]{0,8}",
        "[\u{561}-\u{587}]{0,8}",
        "[\u{5B0}-\u{5F4}]{0,8}",
        "[\u{620}-\u{652}]{0,8}",
        "[\u{900}-\u{97F}]{0,8}",
        "[\u{B80}-\u{BFF}]{0,8}",
        "[\u{3B1}-\u{3C9}]{0,8}",
        "[\u{300}-\u{36F}]{0,2}",
        "\\PC{0,4}",
    ];
    let endings = proptest::sample::select(vec![
        "",
        "ing",
        "ies",
        "ement",
        "lji",
        "džu",
        "eten",
        "tza",
        "ment",
        "kan",
        "nya",
        "uose",
        "gi",
        "ियों",
        "ում",
        "ען",
        "ों",
        "ами",
        "ων",
        "um",
        "s",
    ]);
    let part = proptest::strategy::Union::new(letters);
    (part.clone(), part, endings).prop_map(|(a, b, c)| a + &b + c)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_word_is_too_strange(word in prop_oneof![any::<String>(), words()]) {
        for algorithm in Algorithm::all() {
            let stem = algorithm.stemmer().stem(&word).into_owned();
            prop_assert!(stem.len() <= word.len() + 8, "{:?}: {} {}", algorithm, word, stem);
        }
    }
}
