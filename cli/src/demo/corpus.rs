//! What the demo indexes: the crates of this machine, or generated text where there are none.

use std::path::Path;

use anyhow::Result;
use gleaner_datasets::{Corpus, Document, Generator, registry::CargoRegistry};
use serde_json::{Value, json};

use super::searches::{self, Search};
use gleaner_client::load::hash;

use crate::terminal::grouped;

/// Bytes of text per document, as a registry of 16,422 files and 89,783 documents had it. Where it is
/// less, fewer than the limit are taken; where it is more, the last crates are left out.
const BYTES_PER_DOCUMENT: u64 = 2_500;

/// The seed of generated text.
const SEED: u64 = 1;

/// Documents that are generated where no limit is given.
const NUM_GENERATED: u64 = 20_000;

/// Documents, the index they need and what to ask them.
pub(super) struct DemoCorpus {
    pub(super) documents: Corpus,
    /// Body of the request that makes the index.
    pub(super) index: Value,
    /// One sentence: what this is.
    pub(super) about: String,
    pub(super) searches: Vec<Search>,
}

impl DemoCorpus {
    /// Finds the registry below `cargo_home`; takes at most `limit` documents, 0 is all.
    ///
    /// # Errors
    /// A registry that is there and cannot be listed.
    pub(super) fn find(cargo_home: Option<&Path>, limit: u64) -> Result<Self> {
        let registry = cargo_home.map(CargoRegistry::find).transpose()?.flatten();
        Ok(match registry {
            Some(registry) => Self::of_registry(&registry, limit),
            None => Self::generated(cargo_home, limit),
        })
    }

    fn of_registry(registry: &CargoRegistry, limit: u64) -> Self {
        let num_crates = grouped(registry.num_crates() as u64);
        let (documents, how_many) = if limit == 0 {
            (registry.documents(), "all".to_owned())
        } else {
            (sample(registry, limit), format!("up to {}", grouped(limit)))
        };
        Self {
            documents,
            index: crates_index(),
            about: format!(
                "Markdown, documentation and sources of {num_crates} crates from this machine's \
                 cargo registry ({how_many} documents; --limit 0 takes all)"
            ),
            searches: searches::of_crates(),
        }
    }

    fn generated(cargo_home: Option<&Path>, limit: u64) -> Self {
        let looked = cargo_home.map_or("no cargo home".to_owned(), |home| {
            format!("nothing below {}", home.join("registry/src").display())
        });
        let num_documents = if limit == 0 { NUM_GENERATED } else { limit };
        let generator = Generator::new(SEED, num_documents);
        Self {
            documents: generator.documents(),
            index: generated_index(),
            about: format!(
                "{} generated documents, seed {SEED}: there is no cargo registry here ({looked})",
                grouped(num_documents)
            ),
            searches: searches::of_generated(&generator),
        }
    }
}

/// Takes `limit` documents from all over the registry, the same ones each time.
fn sample(registry: &CargoRegistry, limit: u64) -> Corpus {
    let stride = (registry.num_bytes() / BYTES_PER_DOCUMENT)
        .div_ceil(limit)
        .max(1);
    let documents = registry.documents().filter_map(|document| match document {
        Ok(document) => Some(document),
        Err(error) => {
            tracing::warn!(%error, "a file of the registry is left out");
            None
        }
    });
    let chosen = documents.filter(move |document| is_chosen(document, stride));
    let limit_here = usize::try_from(limit).unwrap_or(usize::MAX);
    Corpus::of_documents("crates", limit, chosen.take(limit_here))
}

/// Is this one of `stride` documents? Decided by its id, so that the registry's order is no matter.
fn is_chosen(document: &Document, stride: u64) -> bool {
    let id = document.id.as_deref().unwrap_or(&document.source);
    let hash = hash(id.as_bytes());
    u64::from_str_radix(&hash[..15], 16).is_ok_and(|number| number.is_multiple_of(stride))
}

fn crates_index() -> Value {
    json!({
        "settings": {"number_of_shards": 4, "refresh_interval": "5s"},
        "mappings": {"dynamic": "strict", "properties": {
            "crate": {"type": "keyword"},
            "version": {"type": "keyword"},
            "path": {"type": "keyword"},
            "line": {"type": "integer"},
            "kind": {"type": "keyword"},
            "licence": {"type": "keyword"},
            "title": {"type": "text", "analyzer": "english"},
            "body": {"type": "text", "analyzer": "english"},
        }},
    })
}

fn generated_index() -> Value {
    json!({
        "settings": {"number_of_shards": 4, "refresh_interval": "5s"},
        "mappings": {"dynamic": "strict", "properties": {
            "title": {"type": "text"},
            "body": {"type": "text"},
            "category": {"type": "keyword"},
            "tags": {"type": "keyword"},
            "author": {"type": "keyword"},
            "published": {"type": "date"},
            "views": {"type": "long"},
            "price": {"type": "double"},
            "rating": {"type": "float"},
            "in_stock": {"type": "boolean"},
        }},
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn without_a_registry_text_is_generated_and_the_place_is_named() {
        let home = tempfile::tempdir().expect("a folder");
        let demo = DemoCorpus::find(Some(home.path()), 30).expect("generated");
        assert!(
            demo.about.contains(&home.path().display().to_string()),
            "{}",
            demo.about
        );
        assert_eq!(demo.documents.filter_map(Result::ok).count(), 30);
        assert_eq!(demo.searches.len(), 3);
    }

    #[test]
    fn a_registry_is_sampled_up_to_the_limit() {
        let home = tempfile::tempdir().expect("a folder");
        for number in 0..20 {
            let folder = home
                .path()
                .join(format!("registry/src/here/c{number}-1.0.0"));
            fs::create_dir_all(&folder).expect("made");
            fs::write(folder.join("README.md"), format!("# C{number}\ntext")).expect("written");
        }
        let count = |limit| {
            let demo = DemoCorpus::find(Some(home.path()), limit).expect("a registry");
            assert!(demo.about.contains("20 crates"), "{}", demo.about);
            demo.documents.filter_map(Result::ok).count()
        };
        assert_eq!((count(0), count(7)), (20, 7));
    }
}
