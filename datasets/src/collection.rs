//! A small judged collection, written for this project and built into it.
//!
//! 60 short articles on twelve topics, 15 queries, grades from 1 (touches it) to 3 (answers it). The
//! articles share words across topics on purpose (*shell*, *current*, *scale*, *key*), so that a
//! ranking that only counts words does worse than one that weighs them. Plain BM25 over title and text
//! reaches an nDCG@10 of about 0.90: there is room above and below.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Corpus, Judgements, Place, Query, object};

/// One JSON object a line: `_id`, `title`, `topic`, `text`.
const DOCUMENTS: &str = include_str!("../collection/documents.ndjson");

/// One JSON object a line: `id`, `text`, `grades` by document.
const QUERIES: &str = include_str!("../collection/queries.ndjson");

/// Why reading the files cannot fail.
const WHOLE: &str = "the files are part of the crate, a test reads them whole";

/// A query and its grades by document, as they stand in the file.
#[derive(Deserialize)]
struct JudgedQuery {
    id: String,
    text: String,
    grades: BTreeMap<String, u32>,
}

/// Returns the documents; their identifiers are `d01` to `d60`.
pub fn documents() -> Corpus {
    let documents = DOCUMENTS.lines().map(|line| {
        let place = || Place {
            input: "collection".into(),
            line: 0,
            column: 1,
        };
        object::document(line, Some("_id"), place).expect(WHOLE)
    });
    Corpus::of_documents("collection", DOCUMENTS.lines().count() as u64, documents)
}

/// Returns the queries, `q01` to `q15`.
pub fn queries() -> Vec<Query> {
    judged()
        .map(|judged| Query {
            id: judged.id,
            text: judged.text,
        })
        .collect()
}

/// Returns the grades of all queries.
pub fn judgements() -> Judgements {
    let mut judgements = Judgements::default();
    for judged in judged() {
        for (document, grade) in judged.grades {
            judgements.insert(&judged.id, &document, grade);
        }
    }
    judgements
}

fn judged() -> impl Iterator<Item = JudgedQuery> {
    QUERIES
        .lines()
        .map(|line| serde_json::from_str(line).expect(WHOLE))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_files_are_whole() {
        let ids: Vec<String> = documents()
            .map(|document| document.expect("valid").id.expect("an id"))
            .collect();
        let expected: Vec<String> = (1..=60).map(|number| format!("d{number:02}")).collect();
        assert_eq!(ids, expected);
        let ids: BTreeSet<&String> = expected.iter().collect();
        assert_eq!(queries().len(), 15);
        let judgements = judgements();
        for query in queries() {
            let grades = judgements.of_query(&query.id).expect("it is judged");
            assert!(
                grades.values().any(|grade| *grade == 3),
                "{} has an answer",
                query.id
            );
            for (document, grade) in grades {
                assert!(ids.contains(document), "{} grades {document}", query.id);
                assert!((1..=3).contains(grade), "{} {document} {grade}", query.id);
            }
        }
    }
}
