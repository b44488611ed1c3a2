//! Synonyms, by example; the graphs are those of the dialect's REST tests.

use gleaner_analysis::{AnalyzerRegistry, Meter, Token, TokenKind};
use serde_json::{Value, json};

use crate::{analyze, arcs, places, terms};

fn flat(rules: &Value, text: &str) -> Vec<Token> {
    analyze(
        &json!("whitespace"),
        &json!([{"type": "synonym", "synonyms": rules}]),
        text,
    )
}

fn graph(rules: &Value, text: &str) -> Vec<Token> {
    analyze(
        &json!("whitespace"),
        &json!([{"type": "synonym_graph", "synonyms": rules}]),
        text,
    )
}

#[test]
fn equivalents_stand_beside_the_word() {
    let tokens = flat(&json!(["car,auto"]), "what car magazine");
    assert_eq!(
        places(&tokens),
        [("what", 0), ("car", 1), ("auto", 1), ("magazine", 2)]
    );
    assert_eq!(tokens[2].kind, TokenKind::Synonym);
    assert_eq!((tokens[2].start, tokens[2].end), (5, 8));
}

#[test]
fn explicit_rules_put_one_for_the_other() {
    let rules = json!([
        "# a comment",
        "",
        "i-pod, i pod => ipod",
        "ipod => audio player",
        "x => x, y"
    ]);
    assert_eq!(
        places(&flat(&rules, "my i pod x")),
        [("my", 0), ("ipod", 1), ("x", 2), ("y", 2)]
    );
    assert_eq!(places(&flat(&rules, "ipod")), [("audio", 0), ("player", 1)]);
}

#[test]
fn without_expansion_all_become_the_first() {
    let filter =
        json!([{"type": "synonym", "expand": "false", "synonyms": ["foozball , foosball"]}]);
    assert_eq!(
        terms(&json!("whitespace"), &filter, "foosball foozball"),
        ["foozball", "foozball"]
    );
}

#[test]
fn commas_and_arrows_can_be_escaped() {
    assert_eq!(
        places(&flat(&json!(["a\\,b => c\\=>d"]), "a,b")),
        [("c=>d", 0)]
    );
}

#[test]
fn the_longest_rule_wins() {
    let rules = json!(["sea => s", "sea biscuit => sb", "sea biscuit fan => f"]);
    assert_eq!(
        places(&flat(&rules, "sea biscuit sea")),
        [("sb", 0), ("s", 1)]
    );
}

#[test]
fn flat_synonyms_of_several_words_overlap_what_follows() {
    let tokens = analyze(
        &json!("standard"),
        &json!(["lowercase", {"type": "synonym", "synonyms": ["wtf,what the fudge"]}]),
        "say what the fudge dude",
    );
    assert_eq!(
        arcs(&tokens),
        [
            ("say", 0, 1),
            ("what", 1, 1),
            ("wtf", 1, 3),
            ("the", 2, 1),
            ("fudge", 3, 1),
            ("dude", 4, 1)
        ]
    );
    let tokens = flat(&json!(["wtf,what the fudge"]), "wtf dude");
    assert_eq!(
        places(&tokens),
        [
            ("wtf", 0),
            ("what", 0),
            ("dude", 1),
            ("the", 1),
            ("fudge", 2)
        ]
    );
}

#[test]
fn graphs_give_each_path_its_own_positions() {
    let tokens = graph(&json!(["guinea pig,cavy"]), "my guinea pig snores");
    assert_eq!(
        arcs(&tokens),
        [
            ("my", 0, 1),
            ("cavy", 1, 2),
            ("guinea", 1, 1),
            ("pig", 2, 1),
            ("snores", 3, 1)
        ]
    );
    let rules = json!(["automatic teller machine,atm,cash point"]);
    let tokens = graph(&rules, "this automatic teller machine is down");
    assert_eq!(
        arcs(&tokens),
        [
            ("this", 0, 1),
            ("atm", 1, 4),
            ("cash", 1, 1),
            ("automatic", 1, 2),
            ("point", 2, 3),
            ("teller", 3, 1),
            ("machine", 4, 1),
            ("is", 5, 1),
            ("down", 6, 1)
        ]
    );
    assert_eq!(
        places(&graph(&json!(["wibble, quack"]), "wibble")),
        [("quack", 0), ("wibble", 0)]
    );
}

#[test]
fn rules_pass_the_parts_before_the_filter() {
    let registry = AnalyzerRegistry::from_settings(&json!({
        "analyzer": {"a": {"tokenizer": "whitespace", "char_filter": ["html_strip"], "filter": ["syn"]}},
        "filter": {"syn": {"type": "synonym", "synonyms":
            ["<p>foobar</p> => fred", "dude => <html>havenask</html>", "<font>abides</font> => man!"]}},
    }))
    .unwrap();
    let tokens = registry
        .analyzer("a")
        .unwrap()
        .analyze(
            "foobar is the dude <html>abides</html>",
            &Meter::unlimited(),
        )
        .unwrap();
    let texts: Vec<_> = tokens.iter().map(|token| token.text.as_str()).collect();
    assert_eq!(texts, ["fred", "is", "the", "havenask", "man!"]);
}

#[test]
fn gaps_before_and_behind_stay() {
    let filters =
        json!(["stop", {"type": "synonym_graph", "synonyms": ["ny, new york"]}, "lowercase"]);
    let tokens = analyze(&json!("whitespace"), &filters, "the ny and x");
    assert_eq!(
        arcs(&tokens),
        [("new", 1, 1), ("ny", 1, 2), ("york", 2, 1), ("x", 4, 1)]
    );
}
