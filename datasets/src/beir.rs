//! Collections in the layout of BEIR: `corpus.jsonl`, `queries.jsonl`, `qrels.tsv`, plain or packed.
//!
//! Documents and queries are JSON lines with an `_id`; judgements are a table of query, document and
//! grade under a header. `qrels/test.tsv`, as BEIR itself packs it, is found too.

use std::path::{Path, PathBuf};

use crate::{
    Corpus, DatasetError, Input, Judgements, Query,
    object::Members,
    read::{self, Format, Options, lines_of},
};

/// A folder in the layout of BEIR.
#[derive(Debug, Clone)]
pub struct Beir {
    corpus: PathBuf,
    queries: PathBuf,
    judgements: PathBuf,
}

impl Beir {
    /// Finds the three files in `folder`.
    ///
    /// # Errors
    /// [`DatasetError::Absent`] names the file that is missing.
    pub fn open(folder: &Path) -> Result<Self, DatasetError> {
        let find = |names: &[&str]| {
            let endings = ["", ".gz", ".zst"];
            let tried = names
                .iter()
                .flat_map(|name| endings.map(|end| folder.join(format!("{name}{end}"))));
            tried
                .into_iter()
                .find(|path| path.is_file())
                .ok_or_else(|| DatasetError::Absent {
                    name: folder.display().to_string(),
                    looked: format!("no `{}`", names.join("` or `")),
                })
        };
        Ok(Self {
            corpus: find(&["corpus.jsonl"])?,
            queries: find(&["queries.jsonl"])?,
            judgements: find(&["qrels.tsv", "qrels/test.tsv"])?,
        })
    }

    /// Streams the documents; `_id` is their identifier and no longer in their source.
    ///
    /// # Errors
    /// [`DatasetError::Open`] when the file cannot be opened.
    pub fn documents(&self) -> Result<Corpus, DatasetError> {
        let options = Options {
            id_field: Some("_id".to_owned()),
            ..Options::default()
        };
        Ok(read::documents(
            Input::open(&self.corpus)?,
            Format::Ndjson,
            options,
        ))
    }

    /// Reads the queries, in the order in which they stand.
    ///
    /// # Errors
    /// The first line that is not a query.
    pub fn queries(&self) -> Result<Vec<Query>, DatasetError> {
        let mut queries = Vec::new();
        lines_of(Input::open(&self.queries)?, |text, place| {
            let members = Members::of(text);
            let members =
                members.map_err(|fault| DatasetError::json(place.clone(), fault, text))?;
            let field = |name: &str| {
                let missing = || DatasetError::NoId {
                    place: place.clone(),
                    field: name.to_owned(),
                    text: text.to_owned(),
                };
                members.text(name).ok_or_else(missing)
            };
            queries.push(Query {
                id: field("_id")?,
                text: field("text")?,
            });
            Ok(())
        })?;
        Ok(queries)
    }

    /// Reads the judgements. A grade below 0, as some collections have, counts as 0.
    ///
    /// # Errors
    /// The first row that is not query, document and grade.
    pub fn judgements(&self) -> Result<Judgements, DatasetError> {
        let mut judgements = Judgements::default();
        lines_of(Input::open(&self.judgements)?, |text, place| {
            let cells: Vec<&str> = text.split('\t').collect();
            if let [query, document, grade] = cells[..]
                && let Ok(grade) = grade.trim().parse::<i64>()
            {
                let grade = u32::try_from(grade.max(0)).unwrap_or(u32::MAX);
                judgements.insert(query, document, grade);
            } else if place.line > 1 {
                let seen = format!("saw `{text}`, wanted query, document and grade");
                return Err(DatasetError::Layout { place, seen });
            }
            Ok(())
        })?;
        Ok(judgements)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder_with(judgements: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let write =
            |name: &str, text: &[u8]| fs::write(folder.path().join(name), text).expect("written");
        let corpus = "{\"_id\": \"d1\", \"title\": \"T\", \"text\": \"body\"}\n";
        write(
            "corpus.jsonl.zst",
            &zstd::encode_all(corpus.as_bytes(), 1).expect("to memory"),
        );
        write("queries.jsonl", b"{\"_id\": 7, \"text\": \"what\"}\n");
        write("qrels.tsv", judgements.as_bytes());
        folder
    }

    #[test]
    fn a_folder_is_read_whole() {
        let folder = folder_with("query-id\tcorpus-id\tscore\n7\td1\t2\n7\td2\t-1\n");
        let beir = Beir::open(folder.path()).expect("three files");
        let documents: Vec<_> = beir
            .documents()
            .expect("opens")
            .map(|d| d.expect("valid"))
            .collect();
        assert_eq!(documents[0].id.as_deref(), Some("d1"));
        assert_eq!(documents[0].source, "{\"title\":\"T\",\"text\":\"body\"}");
        assert_eq!(
            beir.queries().expect("valid"),
            [Query {
                id: "7".into(),
                text: "what".into()
            }]
        );
        let judgements = beir.judgements().expect("valid");
        assert_eq!(judgements.of_query("7").expect("judged")["d2"], 0);
        assert_eq!(judgements.queries().collect::<Vec<_>>(), ["7"]);
    }

    #[test]
    fn a_bad_row_and_a_missing_file_are_named() {
        let folder = folder_with("query-id\tcorpus-id\tscore\n7 d1 1\n");
        let beir = Beir::open(folder.path()).expect("three files");
        let error = beir.judgements().expect_err("a bad row").to_string();
        assert!(error.contains("qrels.tsv:2: saw `7 d1 1`"), "{error}");
        fs::remove_file(folder.path().join("qrels.tsv")).expect("it was there");
        let error = Beir::open(folder.path())
            .expect_err("a file is missing")
            .to_string();
        assert!(
            error.ends_with("no `qrels.tsv` or `qrels/test.tsv`"),
            "{error}"
        );
    }
}
