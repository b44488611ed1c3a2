//! How long searches are taken to be.

use std::sync::Arc;

use gleaner_query::resolved::Pattern;

use super::*;

fn is_brief_among(documents: u64, query: &ShardQuery) -> bool {
    Length::among(documents, query) == Length::Brief
}

fn is_long_among(documents: u64, query: &ShardQuery) -> bool {
    Length::among(documents, query) == Length::Long
}

/// Returns a query for the ten best of a million documents, of which 1,000 have the term `rare`,
/// 20,000 `middling`, 200,000 `fair` and 400,000 `common`.
fn query(clause: Clause) -> ShardQuery {
    let mut statistics = Statistics::default();
    let terms = [
        ("rare", 1_000),
        ("middling", 20_000),
        ("fair", 200_000),
        ("common", 400_000),
    ];
    let terms = terms.map(|(term, documents)| (term.to_owned(), documents));
    statistics.terms.insert(field(), terms.into());
    ShardQuery {
        query: clause,
        statistics: Arc::new(statistics),
        top: 10,
        ..crate::aggregate::testing::query(vec![], vec![])
    }
}

fn field() -> FieldPath {
    FieldPath::new("body")
}

fn term(term: &str) -> Clause {
    let (field, term) = (field(), term.to_owned());
    Clause::Term { field, term }
}

fn any(should: Vec<Clause>, filter: Vec<Clause>) -> Clause {
    Clause::Bool {
        must: vec![],
        should,
        filter,
        must_not: vec![],
        minimum_should_match: 1,
    }
}

#[test]
fn searches_are_brief_by_the_length_of_their_lists() {
    let is_brief = |clause: Clause| is_brief_among(1_000_000, &query(clause));
    assert!(is_brief(term("rare")));
    assert!(!is_brief(term("common")));
    assert!(is_brief(any(vec![term("rare"), term("rare")], vec![])));
    assert!(!is_brief(any(vec![term("rare"), term("common")], vec![])));
    assert!(!is_brief(any(vec![term("rare")], vec![term("unknown")])));
    let all = |must: Vec<Clause>| Clause::Bool {
        must,
        should: vec![],
        filter: vec![],
        must_not: vec![],
        minimum_should_match: 0,
    };
    assert!(is_brief(all(vec![term("rare"), term("common")])));
    assert!(!is_brief(all(vec![term("common"), term("common")])));
    let exists = Clause::Exists {
        fields: vec![field()],
    };
    assert!(!is_brief(all(vec![term("rare"), exists])));
    assert!(!is_brief(all(vec![term("rare"), Clause::MatchAll])));
    assert!(!is_brief(Clause::MatchAll));
    assert!(is_brief(Clause::MatchNone));
}

#[test]
fn what_is_passed_over_does_not_count_where_no_total_is_wanted() {
    let counting = |track_total| ShardQuery {
        track_total,
        ..query(any(vec![term("rare"), term("fair")], vec![]))
    };
    let is_brief = |track_total| is_brief_among(1_000_000, &counting(track_total));
    assert!(is_brief(TrackTotal::No) && is_brief(TrackTotal::UpTo(10_000)));
    assert!(!is_brief(TrackTotal::Exact));
    let filtered = ShardQuery {
        track_total: TrackTotal::No,
        ..query(any(vec![term("fair")], vec![term("rare")]))
    };
    assert!(is_brief_among(1_000_000, &filtered));
    let scores_if_it_matches = Clause::Bool {
        must: vec![],
        should: vec![term("fair")],
        filter: vec![term("rare")],
        must_not: vec![],
        minimum_should_match: 0,
    };
    let optional = ShardQuery {
        query: scores_if_it_matches,
        ..filtered.clone()
    };
    assert!(!is_brief_among(1_000_000, &optional), "it is walked");
    let much_is_filtered = ShardQuery {
        query: any(vec![term("fair")], vec![term("fair")]),
        ..filtered
    };
    assert!(!is_brief_among(1_000_000, &much_is_filtered));
    let phrase = |slop| {
        let positions = vec![
            (0, vec!["fair".to_owned()]),
            (1, vec!["middling".to_owned()]),
        ];
        let field = field();
        let phrase = Clause::Phrase {
            field,
            positions,
            slop,
        };
        ShardQuery {
            track_total: TrackTotal::No,
            ..query(phrase)
        }
    };
    assert!(is_brief_among(1_000_000, &phrase(0)));
    assert!(!is_brief_among(1_000_000, &phrase(1)));
}

#[test]
fn a_long_phrase_is_never_brief() {
    let phrase = |num_words: u32, slop| {
        let positions = (0..num_words).map(|at| (at, vec!["unknown".to_owned()]));
        query(Clause::Phrase {
            field: field(),
            positions: positions.collect(),
            slop,
        })
    };
    assert!(is_brief_among(1_000, &phrase(3, 2)));
    assert!(!is_brief_among(1, &phrase(1_024, 2)));
    assert!(!is_brief_among(1_000, &phrase(33, 1)));
    // One document may say one word a million times.
    assert!(is_brief_among(1_000, &phrase(8, 0)));
    assert!(!is_brief_among(1_000, &phrase(33, 0)));
}

#[test]
fn what_builds_an_automaton_is_never_brief() {
    let field = field();
    let pattern = |pattern| Clause::Pattern {
        field: field.clone(),
        pattern,
    };
    let prefix = pattern(Pattern::Prefix {
        prefix: "er".to_owned(),
        ignore_case: false,
    });
    assert!(is_brief_among(1_000, &query(prefix)));
    let regexp = pattern(Pattern::Regexp {
        expression: "er.*".to_owned(),
        ignore_case: false,
    });
    let wildcard = pattern(Pattern::Wildcard {
        pattern: "*er*".to_owned(),
        ignore_case: false,
    });
    for clause in [
        regexp.clone(),
        wildcard,
        any(vec![term("rare")], vec![regexp.clone()]),
    ] {
        assert!(!is_brief_among(1, &query(clause)));
    }
    let filtered_after = ShardQuery {
        post_filter: Some(regexp),
        ..query(term("rare"))
    };
    assert!(!is_brief_among(1, &filtered_after));
    let counting = |terms: serde_json::Value| ShardQuery {
        aggregations: Arc::new(crate::aggregate::testing::parse(&serde_json::json!({
            "all": {"global": {}, "aggs": {"keys": {"terms": terms}}}
        }))),
        ..query(Clause::MatchAll)
    };
    let field = "k";
    let by_name = serde_json::json!({"field": field, "include": ["a"]});
    assert!(is_brief_among(1, &counting(by_name)));
    let by_pattern = serde_json::json!({"field": field, "exclude": "er.*"});
    assert!(!is_brief_among(1, &counting(by_pattern)));
}

#[test]
fn what_looks_at_every_match_is_brief_among_few_documents_only() {
    let many_hits = ShardQuery {
        top: 10_000,
        ..query(term("rare"))
    };
    assert!(!is_brief_among(1_000_000, &many_hits));
    assert!(is_brief_among(1_000, &many_hits));
}

#[test]
fn what_looks_many_terms_up_or_aggregates_often_is_not_brief() {
    let words = |num: usize| {
        let words = (0..num).map(|n| term(&format!("w{n}")));
        query(any(words.collect(), vec![]))
    };
    let of = |num_words, num_segments| Length::of_look_ups(num_segments, &words(num_words));
    assert_eq!(of(4, 50), Length::Brief);
    assert_eq!(of(30, 10), Length::Short);
    assert_eq!(of(1_000, 10), Length::Long);
    let listed = Clause::Ids {
        ids: vec![gleaner_model::DocumentId::parse("1").unwrap(); 65_536],
    };
    assert_eq!(Length::of_look_ups(1, &query(listed)), Length::Long);
    let aggregated = |num: usize| {
        let one = serde_json::json!({"max": {"field": "n"}});
        let all = (0..num).map(|n| (format!("a{n}"), one.clone()));
        let all = serde_json::Value::Object(all.collect());
        ShardQuery {
            aggregations: Arc::new(crate::aggregate::testing::parse(&all)),
            ..query(Clause::MatchAll)
        }
    };
    assert!(is_brief_among(2_000, &aggregated(2)));
    assert!(!is_brief_among(2_000, &aggregated(100)));
    assert!(is_long_among(2_000, &aggregated(100)));
}

#[test]
fn what_looks_at_much_or_does_much_with_each_match_is_long() {
    let is_long = |query: &ShardQuery| is_long_among(1_000_000, query);
    let counted = |track_total| ShardQuery {
        track_total,
        ..query(term("common"))
    };
    assert!(!is_long(&counted(TrackTotal::No)), "most is passed over");
    assert!(is_long(&counted(TrackTotal::Exact)));
    let aggregations = serde_json::json!({"most": {"max": {"field": "n"}}});
    let aggregated = |clause| ShardQuery {
        aggregations: Arc::new(crate::aggregate::testing::parse(&aggregations)),
        ..query(clause)
    };
    assert!(is_long(&aggregated(term("fair"))));
    assert!(!is_long(&aggregated(term("rare"))), "few match");
    assert!(
        !is_long_among(10_000, &aggregated(Clause::MatchAll)),
        "there are few"
    );
}

#[test]
fn what_is_found_along_an_order_is_neither_brief_nor_long() {
    let by = |target: SortTarget| SortKey {
        target,
        descending: true,
        ..SortKey::by_score()
    };
    let newest = |clause: Clause| ShardQuery {
        sort: vec![by(SortTarget::Field("at".to_owned()))],
        ..query(clause)
    };
    let length = |query: &ShardQuery| Length::among(8_000_000, query);
    assert_eq!(length(&newest(Clause::MatchAll)), Length::Short);
    assert_eq!(length(&newest(term("common"))), Length::Short);
    assert_eq!(length(&query(Clause::MatchAll)), Length::Short);
    let scored = ShardQuery {
        track_scores: true,
        ..newest(Clause::MatchAll)
    };
    assert_eq!(length(&scored), Length::Long);
    let deep = ShardQuery {
        top: 100_000,
        ..newest(Clause::MatchAll)
    };
    assert_eq!(length(&deep), Length::Long);
    let by_score = ShardQuery {
        sort: vec![by(SortTarget::Score), by(SortTarget::Doc)],
        ..query(Clause::MatchAll)
    };
    assert_eq!(length(&by_score), Length::Long);
}
