//! Documents and queries that are drawn.

use std::ops::Bound;
use std::sync::Arc;

use gleaner_model::FieldPath;
use gleaner_partial::control::Control;
use gleaner_query::dsl::{BoostMode, ScoreMode};
use gleaner_query::resolved::{
    Clause, Function, FunctionScore, Origin, Scalar, ShardQuery, Statistics, StatisticsRequest,
    WeightedFunction,
};
use gleaner_query::search::{Missing, SortKey, SortMode, SortTarget, TrackTotal};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::aggregate::testing::{Index, Layout, mapping};
use crate::search::Target;
use crate::statistics::statistics;

/// Lays documents out with few and many equal values, with several and with none.
pub(super) fn targets(num_documents: usize, layout: Layout) -> Vec<Target> {
    let mapping = mapping(&json!({
        "text": {"type": "text"}, "kind": {"type": "keyword"}, "tags": {"type": "keyword"},
        "few": {"type": "integer"}, "many": {"type": "long"}, "wide": {"type": "double"},
        "narrow": {"type": "float"}, "several": {"type": "long"}, "flag": {"type": "boolean"},
        "at": {"type": "date"}, "sharp": {"type": "date_nanos"}, "rising": {"type": "date"},
    }));
    let mut rng = StdRng::seed_from_u64(num_documents as u64);
    let has_all = num_documents < 20_000;
    let documents = (0..num_documents).map(|i| {
        let words = ["common", "middling", "rare"];
        let odds = [0.6, 0.2, 0.01];
        let words = words.iter().zip(odds).filter(|(_, odds)| rng.random_bool(*odds));
        let words: Vec<&str> = words.map(|(word, _)| *word).collect();
        let text = words.join(" ");
        let few = rng.random_range(-4..4);
        let many = rng.random_range(0..1_000_000);
        let tags: Vec<String> = (0..rng.random_range(0..3)).map(|_| format!("t{}", rng.random_range(0..40))).collect();
        let several: Vec<i64> = (0..rng.random_range(0..4)).map(|_| rng.random_range(-1_000..1_000)).collect();
        let source = json!({
            "text": text, "kind": format!("k{}", i % 3), "tags": tags,
            "few": rng.random_bool(0.9).then_some(few),
            "many": (has_all || rng.random_bool(0.95)).then_some(many), "wide": rng.random::<f64>() * 1e9,
            "narrow": f64::from(rng.random_range(0..50_u8)) / 7.0, "several": several,
            "flag": rng.random_bool(0.3), "at": 1_577_836_800_000_i64 + rng.random_range(0..90_000_i64) * 1_000,
            "sharp": format!("2024-01-01T00:00:0{}.{:09}Z", i % 10, rng.random_range(0..1_000_000_000)),
            "rising": i / 3,
        });
        (format!("d{i}"), source)
    });
    Index::new(&mapping, &documents.collect(), layout).targets()
}

pub(super) fn term(field: &str, term: &str) -> Clause {
    Clause::Term {
        field: FieldPath::new(field),
        term: term.to_owned(),
    }
}

pub(super) fn between(field: &str, lower: i64, upper: i64) -> Clause {
    Clause::Range {
        field: FieldPath::new(field),
        lower: Bound::Included(Scalar::I64(lower)),
        upper: Bound::Excluded(Scalar::I64(upper)),
    }
}

pub(super) fn all_of(must: Vec<Clause>, filter: Vec<Clause>, must_not: Vec<Clause>) -> Clause {
    Clause::Bool {
        must,
        should: vec![],
        filter,
        must_not,
        minimum_should_match: 0,
    }
}

fn draw_clause(rng: &mut StdRng) -> Clause {
    let kind = term("kind", &format!("k{}", rng.random_range(0..4)));
    let tag = term("tags", &format!("t{}", rng.random_range(0..40)));
    let words = ["common", "middling", "rare", "none"];
    let word = term("text", words[rng.random_range(0..4)]);
    let lower = rng.random_range(0..1_000_000);
    let range = between(
        "many",
        lower,
        lower + [10, 9_000, 400_000][rng.random_range(0..3)],
    );
    // Every document has a date, whatever the layout.
    let from = rng.random_range(0..90_000_i64);
    let instant = |second: i64| Scalar::Date(1_577_836_800_000 + second * 1_000);
    let days = Clause::Range {
        field: FieldPath::new("at"),
        lower: Bound::Excluded(instant(from)),
        upper: match rng.random_range(0..3) {
            0 => Bound::Unbounded,
            1 => Bound::Included(instant(from + 40_000)),
            _ => Bound::Excluded(instant(from + 3_000)),
        },
    };
    let exists = Clause::Exists {
        fields: vec![FieldPath::new(
            ["few", "many", "several", "tags"][rng.random_range(0..4)],
        )],
    };
    match rng.random_range(0..18) {
        0 | 1 => Clause::MatchAll,
        2 => kind,
        3 => Clause::Constant(Box::new(word)),
        4 => range,
        16 => near(rng, kind),
        17 => near(rng, exists),
        12 => days,
        13 => all_of(vec![word], vec![days], vec![]),
        5 => exists,
        6 => all_of(vec![], vec![kind, range], vec![]),
        7 => all_of(vec![], vec![exists], vec![tag]),
        8 => Clause::Boost {
            clause: Box::new(kind),
            factor: 2.5,
        },
        9 => Clause::Slice {
            id: rng.random_range(0..3),
            max: 3,
        },
        10 => tag,
        11 => Clause::Bool {
            must: vec![],
            should: words[..3].iter().map(|word| term("text", word)).collect(),
            filter: vec![],
            must_not: vec![],
            minimum_should_match: 1,
        },
        _ => word,
    }
}

/// Returns documents scored by how near their date is to an instant.
pub(super) fn near(rng: &mut StdRng, clause: Clause) -> Clause {
    let second = rng.random_range(-1_000..91_000_i64);
    let function = Function::Proximity {
        field: FieldPath::new("at"),
        origin: Origin::Number((1_577_836_800_000 + second * 1_000) as f64),
        pivot: [1.0, 60_000.0, 3e7, 1e12][rng.random_range(0..4)],
    };
    Clause::Functions(Box::new(FunctionScore {
        query: Clause::Boost {
            clause: Box::new(clause),
            // The least makes scores that 32 bits hardly hold.
            factor: [0.0, 1.0, 2.5, 1e-38][rng.random_range(0..4)],
        },
        filters: vec![Clause::MatchAll],
        functions: vec![WeightedFunction {
            weight: 1.0,
            function,
        }],
        score_mode: ScoreMode::Multiply,
        boost_mode: BoostMode::Multiply,
        max_boost: f32::MAX,
        min_score: None,
    }))
}

fn draw_key(rng: &mut StdRng) -> SortKey {
    let fields = [
        "kind", "tags", "few", "few", "many", "many", "wide", "narrow", "several", "several",
        "flag", "at", "at", "sharp", "rising", "absent",
    ];
    let field = fields[rng.random_range(0..fields.len())];
    let target = match rng.random_range(0..10) {
        0 => SortTarget::Doc,
        1 => SortTarget::ShardDoc,
        _ => SortTarget::Field(field.to_owned()),
    };
    let is_text = ["kind", "tags"].contains(&field);
    let modes = [
        SortMode::Min,
        SortMode::Max,
        SortMode::Sum,
        SortMode::Avg,
        SortMode::Median,
    ];
    SortKey {
        target,
        descending: rng.random_bool(0.5),
        missing: match rng.random_range(0..6) {
            0 => Missing::First,
            1 if field == "few" => Missing::Value(json!(2)),
            _ => Missing::Last,
        },
        mode: (!is_text && rng.random_bool(0.2)).then(|| modes[rng.random_range(0..5)]),
        unmapped_type: Some("long".to_owned()),
        format: None,
        numeric_type: (field == "at" && rng.random_bool(0.3)).then(|| "date_nanos".to_owned()),
    }
}

pub(super) fn draw_query(targets: &[Target], rng: &mut StdRng) -> ShardQuery {
    let query = draw_clause(rng);
    let mut request = StatisticsRequest::default();
    request.collect(&query);
    let mut numbers = Statistics::default();
    for target in targets {
        numbers.merge(&statistics(&target.view, &request, &Control::unlimited()).unwrap());
    }
    let num_keys = [0, 1, 1, 1, 2][rng.random_range(0..5)];
    let mut sort: Vec<SortKey> = (0..num_keys).map(|_| draw_key(rng)).collect();
    if rng.random_bool(0.2) {
        sort.insert(0, SortKey::by_score());
    }
    let has_range = format!("{query:?}").contains("Range");
    if let Some(first) = sort
        .iter_mut()
        .find(|key| has_range && key.target != SortTarget::Score)
    {
        // The order of a range's field begins and ends with the range.
        first.target = SortTarget::Field("many".to_owned());
        (first.missing, first.numeric_type) = (Missing::Last, None);
    }
    ShardQuery {
        sort,
        collapse: (num_keys > 0 && rng.random_bool(0.2)).then(|| {
            let fields = ["kind", "few", "many"];
            FieldPath::new(fields[rng.random_range(0..3)])
        }),
        post_filter: rng.random_bool(0.1).then(|| term("kind", "k2")),
        track_total: [TrackTotal::No, TrackTotal::UpTo(300), TrackTotal::Exact]
            [rng.random_range(0..3)],
        ..ShardQuery::best(
            query,
            Arc::new(numbers),
            [1, 3, 10, 40][rng.random_range(0..4)],
        )
    }
}
