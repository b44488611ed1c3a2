//! Built-in analyzers, by example.

use gleaner_analysis::{AnalyzerRegistry, Meter, TokenKind, Values};
use serde_json::json;

use crate::places;

const FOXES: &str = "The 2 QUICK Brown-Foxes jumped over the lazy dog's bone.";

fn terms(analyzer: &str, text: &str) -> Vec<String> {
    let analyzer = AnalyzerRegistry::builtin()
        .analyzer(analyzer)
        .expect("it is built in");
    analyzer
        .analyze(text, &Meter::unlimited())
        .expect("no bound")
        .into_iter()
        .map(|token| token.text)
        .collect()
}

fn words(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

#[test]
fn general_analyzers_match_the_documentation() {
    let table = [
        (
            "standard",
            "the 2 quick brown foxes jumped over the lazy dog's bone",
        ),
        (
            "simple",
            "the quick brown foxes jumped over the lazy dog s bone",
        ),
        (
            "whitespace",
            "The 2 QUICK Brown-Foxes jumped over the lazy dog's bone.",
        ),
        ("stop", "quick brown foxes jumped over lazy dog s bone"),
        (
            "pattern",
            "the 2 quick brown foxes jumped over the lazy dog s bone",
        ),
        ("english", "2 quick brown fox jump over lazi dog bone"),
    ];
    for (analyzer, wanted) in table {
        assert_eq!(terms(analyzer, FOXES), words(wanted), "{analyzer}");
    }
    assert_eq!(terms("keyword", FOXES), [FOXES]);
    let sentence = "Yes yes, Gödel said this sentence is consistent and.";
    assert_eq!(
        terms("fingerprint", sentence),
        ["and consistent godel is said sentence this yes"]
    );
}

#[test]
fn language_analyzers_stop_and_stem() {
    let table = [
        ("arabic", "الحسن", "حسن"),
        ("danish", "og hundene", "hund"),
        ("dutch", "de boeken", "boek"),
        ("finnish", "ja talossa", "talo"),
        ("french", "l'avion et les chevaux", "avion cheval"),
        ("german", "die Häuser abschließen", "haus abschliess"),
        ("greek", "και οι Άνθρωποι", "ανθρωπ"),
        ("hungarian", "a házak", "ház"),
        ("italian", "dell'Italia i gatti", "ital gatt"),
        ("norwegian", "og hundene", "hund"),
        ("portuguese", "as casas", "cas"),
        ("romanian", "și copiilor", "cop"),
        ("russian", "и журналы", "журнал"),
        ("spanish", "las casas", "cas"),
        ("swedish", "och hundarna", "hund"),
        ("turkish", "ve Türkiye'deki KITAP", "türki kıtap"),
        ("armenian", "և քաղաքներում", "քաղ"),
        ("basque", "eta mendietan", "mendi"),
        ("catalan", "L'Institut i les cases", "inst case"),
        ("estonian", "ja Raamatutele", "raama"),
        ("hindi", "और लड़कियों की हिन्दी किताबें १२", "लडक हिंद किताब 12"),
        ("indonesian", "yang Pembangunan", "bangun"),
        (
            "irish",
            "agus d'fhear nAthair n-athair h-athair",
            "fear athair athair athair",
        ),
        ("lithuanian", "ir Miškuose", "mišk"),
        ("serbian", "и Књигама i najlepši", "knjig najleps"),
        ("snowball", "The generously dog's", "generous dog"),
    ];
    for (analyzer, text, wanted) in table {
        assert_eq!(terms(analyzer, text), words(wanted), "{analyzer}");
    }
    assert_eq!(terms("tamil", "ஒரு வீடுகள்").len(), 1);
    assert_eq!(terms("cjk", "多くの the"), ["多く", "くの"]);
}

#[test]
fn offsets_positions_and_kinds_match_the_documentation() {
    let tokens = AnalyzerRegistry::builtin()
        .analyzer("standard")
        .unwrap()
        .analyze(FOXES, &Meter::unlimited())
        .unwrap();
    let bone = tokens.last().unwrap();
    assert_eq!((bone.start, bone.end, bone.position), (51, 55, 10));
    assert_eq!(tokens[1].kind, TokenKind::Num);
    assert_eq!(tokens[9].kind.as_str(), "<ALPHANUM>");
}

#[test]
fn stop_words_leave_gaps() {
    let tokens = AnalyzerRegistry::builtin()
        .analyzer("stop")
        .unwrap()
        .analyze("a fox and the dog", &Meter::unlimited())
        .unwrap();
    assert_eq!(places(&tokens), [("fox", 1), ("dog", 4)]);
}

#[test]
fn values_lie_a_gap_apart() {
    let analyzer = AnalyzerRegistry::builtin().analyzer("english").unwrap();
    // The trailing stop word counts.
    let values = Values {
        texts: &["fox the", "dog", "", "cat"],
        gap: 100,
    };
    let tokens = analyzer.analyze_values_within(&values, 10, &Meter::unlimited());
    let tokens = tokens.unwrap().unwrap();
    assert_eq!(places(&tokens), [("fox", 0), ("dog", 102), ("cat", 303)]);
    let offsets: Vec<_> = tokens
        .iter()
        .map(|token| (token.start, token.end))
        .collect();
    assert_eq!(offsets, [(0, 3), (8, 11), (13, 16)]);
}

#[test]
fn types_can_be_configured() {
    let registry = AnalyzerRegistry::from_settings(&json!({"analyzer": {
        "short": {"type": "standard", "max_token_length": 5, "stopwords": "_english_"},
        "mail": {"type": "pattern", "pattern": "\\W|_", "lowercase": "true"},
        "german_words": {"type": "german", "stem_exclusion": ["häuser"], "stopwords": []},
        "stops": {"type": "stop", "stopwords": ["the", "over"]},
        "porter": {"type": "snowball", "language": "Porter"},
        "snow": {"type": "snowball", "language": "German"},
        "marked": {"type": "hindi", "stem_exclusion": ["लड़कियों"]},
    }}))
    .unwrap();
    let terms = |name: &str, text: &str| -> Vec<String> {
        registry
            .analyzer(name)
            .unwrap()
            .analyze(text, &Meter::unlimited())
            .expect("no bound")
            .into_iter()
            .map(|token| token.text)
            .collect()
    };
    assert_eq!(
        terms("short", "The 2 jumped dog's"),
        ["2", "jumpe", "d", "dog's"]
    );
    assert_eq!(
        terms("mail", "John_Smith@foo-bar.com"),
        ["john", "smith", "foo", "bar", "com"]
    );
    assert_eq!(
        terms("german_words", "die Häuser Katzen"),
        ["die", "häuser", "katz"]
    );
    assert_eq!(terms("stops", "Over the fox"), ["fox"]);
    assert_eq!(
        terms("porter", "The dog's generously"),
        ["the", "dog", "gener"]
    );
    assert_eq!(terms("snow", "die Häuser"), ["haus"]);
    assert_eq!(terms("marked", "लड़कियों"), ["लडकियों"]);
}

#[test]
fn normalize_works_on_characters_only() {
    let normalize = |name: &str, text: &str| {
        AnalyzerRegistry::builtin()
            .analyzer(name)
            .unwrap()
            .normalize(text, &Meter::unlimited())
            .unwrap()
    };
    assert_eq!(normalize("english", "The FOXES Jump*"), "the foxes jump*");
    assert_eq!(normalize("simple", "Fo*"), "fo*");
    assert_eq!(normalize("keyword", "Fo*"), "Fo*");
}
