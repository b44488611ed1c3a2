//! Documents that make ranking hard, and the history that leads to them.

use gleaner_analysis::AnalyzerRegistry;
use gleaner_datasets::Random;
use gleaner_testkit::oracle::{FieldType, Oracle};
use serde_json::{Value, json};

/// Different words; the frequent ones have small numbers.
const VOCABULARY: f64 = 300.0;
/// Longest body by class; each class has a routing value, so the longest are 100 times the shortest
/// of another shard.
pub(crate) const LONGEST: [u64; 8] = [5, 7, 10, 14, 22, 40, 400, 500];

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
    classes: Vec<usize>,
}

impl Corpus {
    /// Draws `num_steps` steps: puts, and among them updates, deletes and copies.
    pub(crate) fn generate(random: &mut Random, num_steps: usize) -> Self {
        let mut corpus = Self {
            history: Vec::with_capacity(num_steps),
            oracle: Oracle::new(fields()),
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
        corpus
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

/// The mapping of every index.
pub(crate) fn mapping() -> Value {
    json!({"dynamic": "strict", "properties": {
        "title": {"type": "text"},
        "body": {"type": "text", "analyzer": "english"},
        "tag": {"type": "keyword"},
        "number": {"type": "integer"},
    }})
}

fn fields() -> [(&'static str, FieldType); 4] {
    let registry = AnalyzerRegistry::builtin();
    let text = |name| FieldType::Text(registry.analyzer(name).expect("it is built in"));
    [
        ("title", text("standard")),
        ("body", text("english")),
        ("tag", FieldType::Keyword),
        ("number", FieldType::Integer),
    ]
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
    }
    source
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
