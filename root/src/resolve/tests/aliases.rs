//! Fields by their aliases: clauses name the fields themselves, as keys of bitmaps and numbers of words do.

use super::*;

/// An alias, its field, and a query of either.
type Case<'a> = (&'a str, &'a str, &'a dyn Fn(&str) -> Value);

fn resolver_of<T>(expansions: &mut Expansions, ask: impl FnOnce(&mut Resolver<'_>) -> T) -> T {
    let mapping = json!({"properties": {
        "at": {"type": "date"},
        "when": {"type": "alias", "path": "at"},
        "place": {"type": "geo_point"},
        "spot": {"type": "alias", "path": "place"},
        "n": {"type": "integer"},
        "number": {"type": "alias", "path": "n"},
        "labels": {"type": "flattened"},
        "tags": {"type": "alias", "path": "labels"},
        "ranks": {"type": "rank_features"},
        "topics": {"type": "alias", "path": "ranks"},
        "body": {"type": "text"},
        "words": {"type": "alias", "path": "body"},
    }});
    let (index, limits) = (index(1, &mapping), limits());
    let analyzers = AnalyzerRegistry::builtin();
    ask(&mut Resolver::new(
        &index, &analyzers, &limits, NOW_MS, expansions,
    ))
}

fn resolved(query: &Value) -> Clause {
    resolver_of(&mut Expansions::default(), |resolver| {
        let query = parse_query(query, &limits()).expect("a good query");
        resolver.resolve(&query).expect("it resolves")
    })
}

#[test]
fn clauses_are_of_the_field_that_an_alias_stands_for() {
    let one_function = |function: Value| json!({"function_score": {"functions": [function]}});
    let scored_by = |field: &str| one_function(json!({"field_value_factor": {"field": field}}));
    let seeded = |field: &str| one_function(json!({"random_score": {"seed": 1, "field": field}}));
    let dated = |field: &str| one_function(json!({"gauss": {field: {"scale": "1d"}}}));
    let decayed = |field: &str| {
        let decay = json!({"origin": [1.0, 2.0], "scale": "1km"});
        one_function(json!({"exp": {field: decay}}))
    };
    let near = |field: &str| json!({"distance_feature": {"field": field, "origin": "2020-01-01", "pivot": "1d"}});
    let within = |field: &str| json!({"geo_distance": {"distance": "1km", field: [1.0, 2.0]}});
    let least = |field: &str| json!({"terms_set": {"body": {"terms": ["a"], "minimum_should_match_field": field}}});
    let ranked = |field: &str| json!({"rank_feature": {"field": field}});
    let term = |field: &str| json!({"term": {field: "prod"}});
    let starting = |field: &str| json!({"prefix": {field: "pro"}});
    let between = |field: &str| json!({"range": {field: {"gte": "a"}}});
    let existing = |field: &str| json!({"exists": {"field": field}});
    let cases: [Case<'_>; 13] = [
        ("number", "n", &scored_by),
        ("number", "n", &seeded),
        ("number", "n", &least),
        ("when", "at", &dated),
        ("when", "at", &near),
        ("spot", "place", &decayed),
        ("spot", "place", &within),
        ("spot", "place", &near_point),
        ("topics.ski", "ranks.ski", &ranked),
        ("tags.env", "labels.env", &term),
        ("tags.env.x", "labels.env.x", &starting),
        ("tags.env", "labels.env", &between),
        ("tags.env", "labels.env", &existing),
    ];
    for (alias, own, query) in cases {
        let expected = resolved(&query(own));
        assert_ne!(expected, Clause::MatchNone, "{own}");
        assert_eq!(resolved(&query(alias)), expected, "{alias}");
    }
}

fn near_point(field: &str) -> Value {
    json!({"distance_feature": {"field": field, "origin": [1.0, 2.0], "pivot": "1km"}})
}

#[test]
fn words_of_documents_like_others_are_counted_in_the_field_itself() {
    let document = json!({
        "doc": {"body": "Black Tea"}, "fields": ["words"], "per_field_analyzer": {"words": "keyword"},
    });
    let other = json!({"doc": {"body": "Green Tea"}, "fields": ["n"]});
    let mut expansions = Expansions::default();
    resolver_of(&mut expansions, |resolver| {
        let query = json!({"more_like_this": {
            "fields": ["words", "body"], "like": [document, other], "min_term_freq": 1,
        }});
        let query = parse_query(&query, &limits()).expect("a good query");
        resolver.resolve(&query).expect("it resolves")
    });
    let counted: Vec<_> = expansions.uncounted.fields.into_iter().collect();
    let expected = (path("body"), ["Black Tea".to_owned()].into());
    assert_eq!(counted, [expected]);
}
