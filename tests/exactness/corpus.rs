//! Documents that make ranking hard, and the history that leads to them.

use gleaner_analysis::AnalyzerRegistry;
use gleaner_datasets::Random;
use gleaner_testkit::oracle::{FieldType, Oracle, Similarity};
use serde_json::{Map, Value, json};

use crate::types;

/// Different words; the frequent ones have small numbers.
const VOCABULARY: f64 = 300.0;
/// Longest body by class; each class has a routing value, so the longest are 100 times the shortest
/// of another shard.
pub(crate) const LONGEST: [u64; 8] = [5, 7, 10, 14, 22, 40, 400, 500];
/// The value of `set`: all documents have it, also those that were there before one says it.
pub(crate) const CONSTANT: &str = "one";

/// A step of the history. `class` decides the routing and never changes for an id.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Put {
        id: String,
        class: usize,
        source: Value,
    },
    Update {
        id: String,
        class: usize,
        part: Value,
    },
    Delete {
        id: String,
        class: usize,
    },
}

/// A history and what it leaves.
pub(crate) struct Corpus {
    pub(crate) history: Vec<Step>,
    pub(crate) oracle: Oracle,
    /// How `title` and `body` are scored.
    similarities: [Similarity; 2],
    classes: Vec<usize>,
}

impl Corpus {
    /// Draws `num_steps` steps: puts, and among them updates, deletes and copies.
    pub(crate) fn generate(random: &mut Random, num_steps: usize) -> Self {
        let mut corpus = Self {
            history: Vec::with_capacity(num_steps),
            oracle: Oracle::new(fields()),
            similarities: [Similarity::default(); 2],
            classes: Vec::new(),
        };
        while corpus.history.len() < num_steps {
            match random.below(10) {
                0 if !corpus.classes.is_empty() => corpus.change(random),
                1 if !corpus.classes.is_empty() => corpus.copy(random),
                _ => {
                    let class = draw_class(random);
                    let source = draw_source(random, class);
                    corpus.add(class, source);
                }
            }
        }
        corpus.similarities = [draw_similarity(random), draw_similarity(random)];
        let [of_titles, default] = corpus.similarities;
        corpus.oracle.score_by("title", of_titles);
        for field in ["body", "once", "often", "flat", "labels"] {
            corpus.oracle.score_by(field, default);
        }
        corpus
    }

    /// Returns the similarities that an index declares: `title` names its own, others none.
    pub(crate) fn similarity_settings(&self) -> Value {
        let declared = |Similarity { k1, b }| json!({"type": "BM25", "k1": k1, "b": b});
        let [title, body] = self.similarities.map(declared);
        json!({"of_titles": title, "default": body})
    }

    fn add(&mut self, class: usize, source: Value) {
        let id = format!("d{}", self.classes.len());
        self.classes.push(class);
        self.put(id, class, source);
    }

    fn put(&mut self, id: String, class: usize, source: Value) {
        self.oracle.put(&id, source.clone());
        self.history.push(Step::Put { id, class, source });
    }

    /// The same content under another id: a tie, often of documents in different shards.
    fn copy(&mut self, random: &mut Random) {
        let original = format!("d{}", random.below(self.classes.len() as u64));
        if let Some(source) = self.oracle.source(&original).cloned() {
            self.add(draw_class(random), source);
        }
    }

    fn change(&mut self, random: &mut Random) {
        let number = random.below(self.classes.len() as u64) as usize;
        let (id, class) = (format!("d{number}"), self.classes[number]);
        match random.below(3) {
            0 => {
                if self.oracle.delete(&id) {
                    self.history.push(Step::Delete { id, class });
                }
            }
            // A deleted document may come back this way.
            1 => self.put(id, class, draw_source(random, class)),
            _ => {
                let Some(mut source) = self.oracle.source(&id).cloned() else {
                    return;
                };
                let part = json!({"title": text(random, 6), "number": draw_number(random)});
                source["title"] = part["title"].clone();
                source["number"] = part["number"].clone();
                self.oracle.put(&id, source);
                self.history.push(Step::Update { id, class, part });
            }
        }
    }
}

/// Draws the mapping of an index: it has the fields from the start, or documents bring them, or half of them.
pub(crate) fn draw_mapping(random: &mut Random) -> Value {
    let fields = [
        ("title", json!({"type": "text", "similarity": "of_titles"})),
        ("body", json!({"type": "text", "analyzer": "english"})),
        ("tag", json!({"type": "keyword"})),
        ("number", json!({"type": "integer"})),
    ];
    let brought = [0, 2, 2, 4][random.below(4) as usize];
    let (mut declared, mut templates) = (Map::new(), Vec::new());
    // Those that are declared are not always the same.
    let first = random.below(4) as usize;
    for (at, (name, field)) in fields.into_iter().enumerate() {
        if (at + first) % 4 < brought {
            templates.push(json!({name: {"match": name, "mapping": field}}));
        } else {
            declared.insert(name.to_owned(), field);
        }
    }
    for (name, field) in [
        ("body_again", json!({"type": "text", "fielddata": true})),
        ("typed", json!({"type": "search_as_you_type"})),
        ("line", json!({"type": "wildcard"})),
        ("wanted", json!({"type": "integer", "store": true})),
        ("weight", json!({"type": "rank_feature"})),
        ("topics", json!({"type": "rank_features"})),
        ("at", json!({"type": "date"})),
        ("place", json!({"type": "geo_point"})),
        ("address", json!({"type": "ip"})),
        ("span", json!({"type": "integer_range"})),
        ("attrs", json!({"type": "flattened"})),
        (
            "parts",
            json!({"type": "nested", "include_in_root": true, "properties": {
                "name": {"type": "keyword"},
                "text": {"type": "text"},
            }}),
        ),
        ("once", json!({"type": "text", "index_options": "docs"})),
        ("often", json!({"type": "text", "index_options": "freqs"})),
        ("flat", json!({"type": "text", "norms": false})),
        (
            "labels",
            json!({"type": "keyword", "index_options": "freqs"}),
        ),
        ("set", json!({"type": "constant_keyword"})),
        ("home", json!({"type": "geo_point", "null_value": [15, 50]})),
        (
            "cost",
            json!({"type": "rank_feature", "positive_score_impact": false}),
        ),
    ] {
        declared.insert(name.to_owned(), field);
    }
    for (name, field) in types::fields() {
        declared.insert(name.to_owned(), field);
    }
    let dynamic = if brought == 0 { "strict" } else { "true" };
    json!({"dynamic": dynamic, "dynamic_templates": templates, "properties": declared})
}

fn fields() -> [(&'static str, FieldType); 8] {
    let registry = AnalyzerRegistry::builtin();
    let analyzer = |name| registry.analyzer(name).expect("it is built in");
    [
        ("title", FieldType::Text(analyzer("standard"))),
        ("body", FieldType::Text(analyzer("english"))),
        ("tag", FieldType::Keyword),
        ("number", FieldType::Integer),
        ("once", FieldType::TextOnce(analyzer("standard"))),
        // Without positions: scored as any other, but without phrases.
        ("often", FieldType::Text(analyzer("standard"))),
        ("flat", FieldType::TextWithoutNorms(analyzer("standard"))),
        ("labels", FieldType::KeywordCounted),
    ]
}

/// Draws how a text field is scored: one in three times as Lucene does.
fn draw_similarity(random: &mut Random) -> Similarity {
    if random.chance(1, 3) {
        return Similarity::default();
    }
    let k1 = [0.0, 0.5, 1.2, 2.0, 2.0, 40.0][random.below(6) as usize];
    let b = [0.0, 0.1, 0.3, 0.75, 1.0][random.below(5) as usize];
    Similarity { k1, b }
}

fn draw_class(random: &mut Random) -> usize {
    // Few long documents: the mean of all is far from the mean of each shard.
    if random.chance(12, 100) {
        6 + random.below(2) as usize
    } else {
        random.below(6) as usize
    }
}

fn draw_number(random: &mut Random) -> i64 {
    random.below(100) as i64 - 50
}

fn draw_source(random: &mut Random, class: usize) -> Value {
    let longest = LONGEST[class];
    let length = longest.div_ceil(4) + random.below(longest - longest.div_ceil(4) + 1);
    let mut source = json!({
        "body": text(random, length),
        "tag": format!("t{}", random.below(5)),
        "number": draw_number(random),
    });
    if random.chance(7, 10) {
        let length = random.below(8);
        source["title"] = json!(text(random, length));
        source["often"] = source["title"].clone();
    }
    source["once"] = source["body"].clone();
    source["flat"] = source["body"].clone();
    add_labels(&mut source);
    add_wide(random, &mut source);
    add_late(random, &mut source);
    types::add(random, &mut source);
    source
}

/// Adds the first words of most bodies as values, which come again where words do.
fn add_labels(source: &mut Value) {
    let body = source["body"].as_str().unwrap_or_default();
    let labels: Value = body.split_whitespace().take(8).collect();
    if source["number"]
        .as_i64()
        .is_some_and(|number| number % 5 != 0)
    {
        source["labels"] = labels;
    }
}

/// Adds fields of further types, which the oracle does not look at.
fn add_wide(random: &mut Random, source: &mut Value) {
    source["body_again"] = source["body"].clone();
    source["typed"] = json!(text(random, 6));
    source["line"] = json!(text(random, 3));
    source["wanted"] = json!(1 + random.below(3));
    source["weight"] = json!(1 + random.below(20));
    if random.chance(1, 2) {
        let topic = ["sport", "news"][random.below(2) as usize];
        source["topics"] = json!({topic: 1 + random.below(9), "all": 0.5});
    }
    if random.chance(9, 10) {
        let (month, day) = (1 + random.below(6), 1 + random.below(28));
        source["at"] = json!(format!("2026-{month:02}-{day:02}"));
    }
    if random.chance(9, 10) {
        source["place"] = draw_place(random);
    }
    source["address"] = json!(format!("10.0.0.{}", random.below(40)));
    let from = random.below(50);
    source["span"] = json!({"gte": from, "lte": from + random.below(20)});
    let color = ["red", "blue", "green"][random.below(3) as usize];
    let size = ["big", "small", "7"][random.below(3) as usize];
    source["attrs"] = json!({"color": color, "size": size});
    let num_parts = random.below(4);
    let parts = (0..num_parts).map(|_| {
        let length = 1 + random.below(5);
        json!({"name": format!("p{}", random.below(4)), "text": text(random, length)})
    });
    source["parts"] = parts.collect();
}

/// Adds values that stand for others or need not be said, and several where mostly is one.
fn add_late(random: &mut Random, source: &mut Value) {
    if random.chance(1, 3) {
        source["set"] = json!(CONSTANT);
    }
    match random.below(5) {
        0 => source["home"] = Value::Null,
        1 => source["home"] = json!([null, draw_place(random)]),
        2 | 3 => source["home"] = draw_place(random),
        _ => {}
    }
    source["cost"] = json!(1 + random.below(30));
    if random.chance(1, 5) {
        let from = random.below(5);
        source["span"] = json!([source["span"], {"gte": from, "lte": from + 2}]);
    }
}

fn draw_place(random: &mut Random) -> Value {
    let lat = 40.0 + random.below(2_000) as f64 / 100.0;
    let lon = 5.0 + random.below(2_000) as f64 / 100.0;
    json!({"lat": lat, "lon": lon})
}

/// Returns a text of `length` words. Words come again where they stand, as in real text.
fn text(random: &mut Random, length: u64) -> String {
    let mut words: Vec<String> = Vec::new();
    for _ in 0..length {
        let word = match words.len() as u64 {
            0 => word(random),
            _ if random.chance(6, 10) => word(random),
            known => words[random.below(known) as usize].clone(),
        };
        words.push(word);
    }
    words.join(" ")
}

/// Draws a word, about by Zipf's law; every tenth is a stop word of the `english` analyzer.
pub(crate) fn word(random: &mut Random) -> String {
    if random.chance(1, 10) {
        return ["the", "of", "and"][random.below(3) as usize].to_owned();
    }
    let uniform = random.below(1 << 40) as f64 / (1_u64 << 40) as f64;
    // Suffixes that the stemmer takes away make several words one term of `body`.
    let number = VOCABULARY.powf(uniform) as u64 - 1;
    let ending = ["", "", "", "s", "ed"][random.below(5) as usize];
    format!("wob{number}k{ending}")
}
