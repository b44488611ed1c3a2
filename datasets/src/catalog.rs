//! The collections by name: what they hold, where they come from, and how to open them.

use std::path::{Path, PathBuf};

use crate::{
    Corpus, DatasetError, Generator, Input,
    beir::Beir,
    collection,
    read::{self, Format, Options},
    registry::CargoRegistry,
};

/// What is known of a collection without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dataset {
    /// The name on the command line.
    pub name: &'static str,
    /// One line: what it holds and what it is good for.
    pub about: &'static str,
    /// The fields of a document.
    pub fields: &'static [&'static str],
    /// The licence of the text.
    pub licence: &'static str,
    /// Must it be found on this machine, or is it always there?
    pub is_built_in: bool,
}

/// Every collection there is.
pub const DATASETS: &[Dataset] = &[
    Dataset {
        name: "collection",
        about: "60 short articles with 15 judged queries, to check ranking",
        fields: &["title", "topic", "text"],
        licence: "Apache-2.0",
        is_built_in: true,
    },
    Dataset {
        name: "generated",
        about: "any number of documents from a seed: Zipf words, very different lengths, facets",
        fields: &[
            "title",
            "body",
            "category",
            "tags",
            "author",
            "published",
            "views",
            "price",
            "rating",
            "in_stock",
        ],
        licence: "Apache-2.0",
        is_built_in: true,
    },
    Dataset {
        name: "crates",
        about: "Markdown, documentation comments and sources of the crates on this machine",
        fields: &[
            "crate", "version", "path", "line", "kind", "licence", "title", "body",
        ],
        licence: "that of each crate, in the field `licence`",
        is_built_in: false,
    },
    Dataset {
        name: "scifact",
        about: "BEIR SciFact: 5,183 abstracts, 300 judged claims",
        fields: &["title", "text"],
        licence: "abstracts ODC-By 1.0, claims CC BY 4.0",
        is_built_in: false,
    },
    Dataset {
        name: "wikipedia",
        about: "103,315 articles of the English Wikipedia",
        fields: &["id", "title", "body", "category", "url"],
        licence: "CC BY-SA, attribution by `url`",
        is_built_in: false,
    },
    Dataset {
        name: "cve",
        about: "167,093 descriptions of vulnerabilities, with facets and dates",
        fields: &[
            "id",
            "title",
            "body",
            "category",
            "timestamp",
            "products",
            "refs",
            "year",
        ],
        licence: "MITRE CVE terms of use",
        is_built_in: false,
    },
    Dataset {
        name: "access-logs",
        about: "10,499 lines of a web server's log, small and structured",
        fields: &["id", "title", "body"],
        licence: "Apache-2.0",
        is_built_in: false,
    },
];

/// Where collections are looked for, and how generated ones are made.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The folder of shared collections, as [`locate`] finds it.
    pub data: Option<PathBuf>,
    /// Cargo's home, whose registry is the collection `crates`.
    pub cargo_home: Option<PathBuf>,
    /// The seed of `generated`.
    pub seed: u64,
    /// How many documents `generated` has.
    pub num_documents: u64,
}

/// Returns the collection called `name`.
///
/// # Errors
/// [`DatasetError::Unknown`] when there is none of that name.
pub fn describe(name: &str) -> Result<&'static Dataset, DatasetError> {
    let known = || {
        DATASETS
            .iter()
            .map(|dataset| dataset.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    DATASETS
        .iter()
        .find(|dataset| dataset.name == name)
        .ok_or_else(|| DatasetError::Unknown {
            what: "dataset",
            name: name.to_owned(),
            known: known(),
        })
}

/// Opens the collection called `name`.
///
/// # Errors
/// [`DatasetError::Unknown`] for another name, [`DatasetError::Absent`] when it is not on this
/// machine, [`DatasetError::Open`] when it is and cannot be read.
pub fn open(name: &str, sources: &Sources) -> Result<Corpus, DatasetError> {
    match describe(name)?.name {
        "collection" => Ok(collection::documents()),
        "generated" => Ok(Generator::new(sources.seed, sources.num_documents).documents()),
        "crates" => crates(sources),
        "scifact" => Beir::open(&folder(name, sources)?.join("scifact"))?.documents(),
        packed => {
            let file = format!("{}.jsonl.zst", packed.replace('-', "_"));
            let options = Options {
                id_field: Some("id".to_owned()),
                ..Options::default()
            };
            let input = Input::open(&folder(name, sources)?.join(file))?;
            Ok(read::documents(input, Format::Ndjson, options))
        }
    }
}

/// Finds the folder of shared collections: `explicit` when it is given, else `../shared/data` beside
/// the workspace this was built in. `None` when there is no such folder.
pub fn locate(explicit: Option<&Path>) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = explicit.map_or_else(beside, Path::to_path_buf);
    folder.canonicalize().ok().filter(|folder| folder.is_dir())
}

fn crates(sources: &Sources) -> Result<Corpus, DatasetError> {
    let absent = |looked: String| DatasetError::Absent {
        name: "crates".to_owned(),
        looked,
    };
    let home = sources.cargo_home.as_ref();
    let home = home.ok_or_else(|| absent("no cargo home is known".to_owned()))?;
    let registry = CargoRegistry::find(home)?;
    let registry = registry.ok_or_else(|| absent(format!("no crates under {}", home.display())))?;
    Ok(registry.documents())
}

fn folder(name: &str, sources: &Sources) -> Result<PathBuf, DatasetError> {
    sources.data.clone().ok_or_else(|| DatasetError::Absent {
        name: name.to_owned(),
        looked: "no folder of shared collections; say where it is with GLEANER_DATA".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;

    fn sources() -> Sources {
        Sources {
            data: locate(None),
            cargo_home: None,
            seed: 1,
            num_documents: 10,
        }
    }

    #[test]
    fn built_in_collections_open_everywhere() {
        for dataset in DATASETS.iter().filter(|dataset| dataset.is_built_in) {
            let corpus = open(dataset.name, &sources()).expect("it needs nothing");
            assert!(matches!(corpus.size(), Size::Documents(_)));
            for document in corpus {
                let source: serde_json::Value =
                    serde_json::from_str(&document.expect("no faults").source).expect("JSON");
                let fields = source.as_object().expect("an object").keys();
                let unknown: Vec<_> = fields
                    .filter(|field| !dataset.fields.contains(&field.as_str()))
                    .collect();
                assert!(unknown.is_empty(), "{}: {unknown:?}", dataset.name);
            }
        }
    }

    #[test]
    fn an_unknown_name_and_an_absent_collection_are_told_apart() {
        let nowhere = Sources {
            data: None,
            ..sources()
        };
        assert!(matches!(
            open("imdb", &nowhere),
            Err(DatasetError::Unknown { .. })
        ));
        assert!(matches!(
            open("cve", &nowhere),
            Err(DatasetError::Absent { .. })
        ));
        assert!(matches!(
            open("crates", &nowhere),
            Err(DatasetError::Absent { .. })
        ));
        assert_eq!(locate(Some(Path::new("/no/such/folder"))), None);
    }
}
