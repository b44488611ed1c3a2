//! Explanations against the scores of searches.

use gleaner_model::{FieldPath, IndexUuid, ShardKey, ShardNumber};
use gleaner_partial::EvaluationError;
use gleaner_partial::control::{Control, MemoryAccount};
use gleaner_query::answer::Explanation;
use gleaner_query::dsl::{BoostMode, ScoreMode};
use gleaner_query::resolved::{
    Blend, Clause, Function, FunctionScore, Scalar, ShardQuery, StatisticsRequest, WeightedFunction,
};
use serde_json::json;

use super::*;
use crate::aggregate::testing::{self, Documents, Index, Layout, mapping};
use crate::filter_cache::{FilterCache, FilterCacheOptions};
use crate::search::{SearchEnv, Target, search};
use crate::statistics::statistics;

fn view() -> Arc<View> {
    let mapping = mapping(&json!({
        "body": {"type": "text"}, "tag": {"type": "keyword"}, "even": {"type": "boolean"},
        "head": {"type": "text"},
    }));
    let words = ["red", "fox", "runs", "over", "the", "lazy", "dog"];
    let document = |i: usize| {
        let body: Vec<&str> = (0..=i % 9)
            .map(|k| words[(i * k + k) % words.len()])
            .collect();
        let tag = if i.is_multiple_of(3) { "a" } else { "b" };
        let even = i.is_multiple_of(2);
        let source =
            json!({"body": body.join(" "), "tag": tag, "even": even, "head": words[i % 4]});
        (format!("d{i}"), source)
    };
    let documents: Documents = (0..60).map(document).collect();
    let layout = Layout {
        shards: 1,
        segments: 3,
        has_deletes: true,
    };
    Index::new(&mapping, &documents, layout).views().remove(0)
}

fn body(term: &str) -> Clause {
    Clause::Term {
        field: FieldPath::new("body"),
        term: term.to_owned(),
    }
}

fn even() -> Clause {
    Clause::Exact {
        field: FieldPath::new("even"),
        value: Scalar::Bool(true),
    }
}

fn queries() -> Vec<Clause> {
    let tag = Clause::Term {
        field: FieldPath::new("tag"),
        term: "a".to_owned(),
    };
    let phrase = Clause::Phrase {
        field: FieldPath::new("body"),
        positions: vec![(0, vec!["red".to_owned()]), (1, vec!["fox".to_owned()])],
        slop: 2,
    };
    let boosted = Clause::Boost {
        clause: Box::new(body("dog")),
        factor: 2.5,
    };
    vec![
        body("fox"),
        phrase.clone(),
        Clause::DisMax {
            clauses: vec![body("red"), boosted.clone()],
            tie_breaker: 0.3,
        },
        Clause::Bool {
            must: vec![body("red")],
            should: vec![boosted, phrase, tag.clone(), even()],
            filter: vec![],
            must_not: vec![body("lazy")],
            minimum_should_match: 0,
        },
        Clause::Bool {
            must: vec![body("red")],
            should: vec![],
            filter: vec![Clause::Slice { id: 1, max: 2 }],
            must_not: vec![],
            minimum_should_match: 0,
        },
        Clause::Constant(Box::new(tag)),
        even(),
        Clause::Constant(Box::new(even())),
    ]
}

#[test]
fn the_value_of_an_explanation_is_the_score_to_the_bit() {
    let view = view();
    let key = ShardKey {
        index: IndexUuid([1; 16]),
        shard: ShardNumber(0),
    };
    let control = Arc::new(Control::unlimited());
    let env = SearchEnv {
        control: &control,
        filters: &Arc::new(FilterCache::new(FilterCacheOptions::default())),
        memory: &MemoryAccount::root("test", 1 << 30),
        pool: None,
    };
    for clause in queries() {
        let mut wanted = StatisticsRequest::default();
        wanted.collect(&clause);
        let numbers = statistics(&view, &wanted, &control).expect("the index can be read");
        let mut query = testing::query(vec![], vec![]);
        (query.query, query.top, query.statistics) = (clause, 100, Arc::new(numbers));
        let target = Target {
            key,
            view: Arc::clone(&view),
        };
        let answer = search(&[target], &query, &env)
            .remove(0)
            .expect("it is good");
        assert!(!answer.hits.is_empty());
        for hit in answer.hits {
            let explained = at_place(&view, hit.place, &query, &control);
            let explained = explained.expect("the index can be read");
            assert!(explained.matched);
            let score = hit.score.expect("it is scored");
            assert_eq!(explained.explanation.value.to_bits(), score.to_bits());
            assert!(!explained.explanation.description.is_empty());
        }
    }
}

/// Returns the query of `clause`, with its numbers.
fn query_of(view: &View, clause: Clause) -> ShardQuery {
    let mut wanted = StatisticsRequest::default();
    wanted.collect(&clause);
    let numbers = statistics(view, &wanted, &Control::unlimited());
    let mut query = testing::query(vec![], vec![]);
    (query.query, query.statistics) = (clause, Arc::new(numbers.expect("the index can be read")));
    query
}

/// Returns boost · idf · 2.2 · tf of the details of a weight.
fn product(explanation: &Explanation) -> f64 {
    let [boost, idf, tf] = explanation.details.as_slice() else {
        panic!("{explanation:?}");
    };
    f64::from(boost.value) * f64::from(idf.value) * 2.2 * f64::from(tf.value)
}

#[test]
fn details_of_several_fields_make_up_the_value() {
    let view = view();
    let head = Clause::Term {
        field: FieldPath::new("head"),
        term: "red".to_owned(),
    };
    let across = |blend| Clause::Boost {
        clause: Box::new(Clause::Across {
            clauses: vec![body("red"), head.clone()],
            weights: vec![1.0, 3.0],
            blend,
        }),
        factor: 0.5,
    };
    let explained = |blend| {
        let query = query_of(&view, across(blend));
        let id = DocumentId::parse("d8").expect("a good id");
        let control = Control::unlimited();
        let explained = of_document(&view, &id, &query, &control).expect("the index can be read");
        explained.expect("it exists").explanation.details.remove(0)
    };
    let is_near = |found: f64, wanted: f32| (found - f64::from(wanted)).abs() < 1e-5;

    let one = explained(Blend::OneField);
    assert!(is_near(product(&one), one.value), "{one:?}");

    let best = explained(Blend::Best(0.3));
    let fields: Vec<f64> = best.details.iter().map(product).collect();
    for (field, found) in best.details.iter().zip(&fields) {
        assert!(is_near(*found, field.value), "{field:?}");
    }
    let [body, head] = fields[..] else {
        panic!("{best:?}");
    };
    let value = body.max(head) + 0.3 * body.min(head);
    assert!(is_near(value, best.value), "{best:?}");
}

#[test]
fn a_phrase_is_explained_by_the_terms_that_documents_hold() {
    let view = view();
    let alternatives = ["wolf", "fox"].map(str::to_owned).to_vec();
    let clause = Clause::Phrase {
        field: FieldPath::new("body"),
        positions: vec![(0, vec!["red".to_owned()]), (1, alternatives)],
        slop: 0,
    };
    let mut wanted = StatisticsRequest::default();
    wanted.collect(&clause);
    let numbers = statistics(&view, &wanted, &Control::unlimited());
    let mut query = testing::query(vec![], vec![]);
    (query.query, query.statistics) = (clause, Arc::new(numbers.expect("the index can be read")));
    let id = DocumentId::parse("d7").expect("a good id");
    let control = Control::unlimited();
    let explained = of_document(&view, &id, &query, &control).expect("the index can be read");
    let explanation = explained.expect("it exists").explanation;
    let parts = explanation.details.iter();
    let parts: Vec<&str> = parts
        .filter_map(|part| part.description.split([',', ' ']).next())
        .collect();
    assert_eq!(parts, ["boost", "idf", "idf", "tf"]);
    let value = |at: usize| f64::from(explanation.details[at].value);
    let product = value(0) * (value(1) + value(2)) * 2.2 * value(3);
    assert!(
        (product - f64::from(explanation.value)).abs() < 1e-5,
        "{product}"
    );
}

#[test]
fn a_boolean_is_explained_as_a_term_without_lengths() {
    let view = view();
    let mut wanted = StatisticsRequest::default();
    wanted.collect(&even());
    let numbers = statistics(&view, &wanted, &Control::unlimited());
    let mut query = testing::query(vec![], vec![]);
    (query.query, query.statistics) = (even(), Arc::new(numbers.expect("the index can be read")));
    let id = DocumentId::parse("d4").expect("a good id");
    let explained =
        of_document(&view, &id, &query, &Control::unlimited()).expect("the index can be read");
    let explanation = explained.expect("it exists").explanation;
    assert_eq!(
        explanation.description,
        "weight(even:true), boost * idf of:"
    );
    let [boost, idf] = explanation.details.as_slice() else {
        panic!("{explanation:?}");
    };
    let numbers: Vec<f32> = idf.details.iter().map(|part| part.value).collect();
    assert_eq!(numbers, [30.0, 60.0]);
    assert_eq!(boost.value.to_bits(), 1.0_f32.to_bits());
    let expected = 2.0_f64.ln() as f32;
    assert_eq!(explanation.value.to_bits(), expected.to_bits());
}

#[test]
fn scores_by_functions_are_explained_as_products_of_what_they_give() {
    let view = view();
    let by = |weight| WeightedFunction {
        weight,
        function: Function::One,
    };
    let scored = |boost_mode| {
        Clause::Functions(Box::new(FunctionScore {
            query: Clause::Constant(Box::new(even())),
            filters: vec![Clause::MatchAll, even()],
            functions: vec![by(2.0), by(5.0)],
            score_mode: ScoreMode::Sum,
            boost_mode,
            max_boost: f32::MAX,
            min_score: None,
        }))
    };
    let explained = |boost_mode| {
        let query = query_of(&view, scored(boost_mode));
        let id = DocumentId::parse("d4").expect("a good id");
        let explained = of_document(&view, &id, &query, &Control::unlimited());
        let explained = explained.expect("the index can be read");
        explained.expect("it exists").explanation
    };
    let product = explained(BoostMode::Multiply);
    assert_eq!(product.description, "function score, product of:");
    let factor = &product.details[1];
    assert_eq!((&*factor.description, factor.details.len()), ("min of:", 2));
    let together = &factor.details[0];
    assert_eq!(together.description, "function score, score mode [sum]");
    let values: Vec<f32> = together.details.iter().map(|part| part.value).collect();
    assert_eq!((values, together.value), (vec![2.0, 5.0], 7.0));
    let filtered = &together.details[1];
    assert_eq!(filtered.details[0].description, "match filter: even:true");
    let weighted = &filtered.details[1];
    assert_eq!(weighted.description, "product of:");
    let parts: Vec<f32> = weighted.details.iter().map(|part| part.value).collect();
    assert_eq!(parts, [1.0, 5.0]);
    let replaced = explained(BoostMode::Replace);
    assert_eq!((&*replaced.description, replaced.value), ("min of:", 7.0));
    assert_eq!(replaced.details, factor.details);
}

#[test]
fn documents_that_do_not_match_or_do_not_exist_are_told_apart() {
    let view = view();
    let query = gleaner_query::resolved::ShardQuery {
        query: Clause::MatchNone,
        ..testing::query(vec![], vec![])
    };
    let of = |id: &str| {
        let id = DocumentId::parse(id).expect("a good id");
        of_document(&view, &id, &query, &Control::unlimited()).expect("the index can be read")
    };
    let explained = of("d1").expect("it exists");
    assert!(!explained.matched);
    assert_eq!(explained.explanation.value.to_bits(), 0.0_f32.to_bits());
    assert_eq!(of("gone-d1"), None);
}

#[test]
fn an_explanation_ends_within_a_document_when_its_time_is_over() {
    let mapping = mapping(&json!({"body": {"type": "text"}}));
    let body = ["a"; 200].join(" ");
    let documents = vec![("d".to_owned(), json!({ "body": body }))];
    let layout = Layout {
        shards: 1,
        segments: 1,
        has_deletes: false,
    };
    let view = Index::new(&mapping, &documents, layout).views().remove(0);
    let clause = Clause::Phrase {
        field: FieldPath::new("body"),
        positions: (0..40).map(|at| (at, vec!["a".to_owned()])).collect(),
        slop: 3,
    };
    let mut wanted = StatisticsRequest::default();
    wanted.collect(&clause);
    let numbers = statistics(&view, &wanted, &Control::unlimited());
    let mut query = testing::query(vec![], vec![]);
    (query.query, query.statistics) = (clause, Arc::new(numbers.expect("the index can be read")));
    let id = DocumentId::parse("d").expect("a good id");
    let explain = |control: &Control| of_document(&view, &id, &query, control);
    let whole = explain(&Control::unlimited()).expect("there is time");
    assert!(whole.expect("it exists").matched);
    for most_checks in [0, 1, 30] {
        let late = explain(&Control::until_check(most_checks));
        assert!(matches!(
            late,
            Err(EngineError::Evaluation(EvaluationError::DeadlineExceeded))
        ));
    }
    let cancelled = Control::unlimited();
    cancelled.cancel();
    assert!(matches!(
        explain(&cancelled),
        Err(EngineError::Evaluation(EvaluationError::Cancelled))
    ));
}

#[test]
fn an_explanation_that_ends_while_values_are_gathered_says_why() {
    let view = view();
    let mut query = testing::query(vec![], vec![]);
    // So many that they are gathered into a bitmap.
    let values = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let values = values.map(|value| Scalar::Text(value.to_owned()));
    query.query = Clause::AnyOf {
        field: FieldPath::new("tag"),
        values: Vec::from(values),
    };
    let id = DocumentId::parse("d4").expect("a good id");
    let explain = |control: &Control| of_document(&view, &id, &query, control);
    let whole = explain(&Control::unlimited()).expect("there is time");
    assert!(whole.expect("it exists").matched);
    let late = explain(&Control::until_check(0));
    assert!(matches!(
        late,
        Err(EngineError::Evaluation(EvaluationError::DeadlineExceeded))
    ));
    let cancelled = Control::unlimited();
    cancelled.cancel();
    assert!(matches!(
        explain(&cancelled),
        Err(EngineError::Evaluation(EvaluationError::Cancelled))
    ));
}
