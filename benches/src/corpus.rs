//! Documents to index: Wikipedia articles and CVE notes, or generated ones where those are absent.

use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use gleaner_datasets::catalog::{self, Sources};
use gleaner_datasets::{Generator, Random};
use serde::{Deserialize, Serialize};

/// Seed of every choice the benches make.
pub const SEED: u64 = 2026;

/// How many documents of each collection are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Wikipedia articles, at most 103,315.
    pub articles: usize,
    /// CVE notes, at most 167,093.
    pub notes: usize,
}

impl Size {
    /// For criterion and `report --quick`: some 40 MB of text.
    pub const QUICK: Self = Self {
        articles: 20_000,
        notes: 10_000,
    };
    /// For reports: some 260 MB.
    pub const FULL: Self = Self {
        articles: 103_000,
        notes: 167_000,
    };

    /// Returns how many documents there are in all.
    pub fn total(self) -> usize {
        self.articles + self.notes
    }
}

/// One document as both sides index it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Article {
    /// Unique.
    pub id: String,
    /// Some words.
    pub title: String,
    /// Text, 1 to some 30,000 words.
    pub body: String,
    /// CWE of a note, folder of an article: some 1,000 values.
    pub category: String,
    /// `wikipedia`, `cve` or `generated`.
    #[serde(default)]
    pub kind: String,
    /// RFC 3339 in UTC; drawn from 2005 to 2024 for articles, which have none.
    #[serde(default, alias = "timestamp")]
    pub published: String,
}

/// Documents in a fixed random order.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// The documents.
    pub articles: Vec<Article>,
    /// Each document as JSON, in the same order.
    pub sources: Vec<Bytes>,
    /// One line on where they come from.
    pub origin: String,
}

impl Corpus {
    /// Reads `size` documents from `data`, or generates them when it is `None`.
    ///
    /// # Errors
    /// When a collection cannot be read.
    pub fn load(data: Option<&Path>, size: Size) -> Result<Self> {
        let mut articles = Vec::with_capacity(size.total());
        let origin = if data.is_some() {
            articles.extend(read("wikipedia", data, size.articles)?);
            articles.extend(read("cve", data, size.notes)?);
            format!(
                "{} Wikipedia articles and {} CVE notes",
                size.articles, size.notes
            )
        } else {
            articles.extend(generated(size.total()));
            format!(
                "{} generated documents (no shared data here), seed {SEED}",
                size.total()
            )
        };
        shuffle(&mut articles);
        let sources = articles
            .iter()
            .map(|article| serde_json::to_vec(article).map(Bytes::from));
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            articles,
            sources,
            origin,
        })
    }

    /// Returns the first `limit` of the documents.
    #[must_use]
    pub fn first(&self, limit: usize) -> Self {
        let limit = limit.min(self.articles.len());
        Self {
            articles: self.articles[..limit].to_vec(),
            sources: self.sources[..limit].to_vec(),
            origin: format!("{limit} of {}", self.origin),
        }
    }

    /// Returns the bytes of all documents as JSON.
    pub fn num_bytes(&self) -> usize {
        self.sources.iter().map(Bytes::len).sum()
    }
}

fn read(name: &str, data: Option<&Path>, limit: usize) -> Result<Vec<Article>> {
    let sources = Sources {
        data: data.map(Path::to_path_buf),
        cargo_home: None,
        seed: SEED,
        num_documents: 0,
    };
    let mut random = Random::stream(SEED, 1);
    let corpus = catalog::open(name, &sources)?;
    let mut articles = Vec::with_capacity(limit);
    for document in corpus.take(limit) {
        let mut article: Article =
            serde_json::from_str(&document?.source).context(name.to_owned())?;
        name.clone_into(&mut article.kind);
        if article.published.is_empty() {
            article.published = drawn_date(&mut random);
        }
        articles.push(article);
    }
    Ok(articles)
}

fn generated(limit: usize) -> impl Iterator<Item = Article> {
    #[derive(Deserialize)]
    struct Generated {
        title: String,
        body: String,
        category: String,
        published: String,
    }
    let generator = Generator::new(SEED, limit as u64);
    (0..limit as u64).map(move |position| {
        let document = generator.document(position);
        let Generated {
            title,
            body,
            category,
            published,
        } = serde_json::from_str(&document.source).expect("the generator writes these fields");
        let id = document.id.expect("the generator numbers its documents");
        Article {
            id,
            title,
            body,
            category,
            kind: "generated".to_owned(),
            published,
        }
    })
}

fn drawn_date(random: &mut Random) -> String {
    let (year, month, day) = (
        2005 + random.below(20),
        1 + random.below(12),
        1 + random.below(28),
    );
    format!("{year:04}-{month:02}-{day:02}T00:00:00Z")
}

/// Fisher and Yates' shuffle, so that shards and segments hold of each collection alike.
fn shuffle(articles: &mut [Article]) {
    let mut random = Random::stream(SEED, 2);
    for last in (1..articles.len()).rev() {
        articles.swap(last, random.below(last as u64 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_size_gives_the_same_documents() {
        let size = Size {
            articles: 20,
            notes: 10,
        };
        let load = || Corpus::load(None, size).expect("nothing is read");
        let (one, other) = (load(), load());
        assert_eq!(one.articles, other.articles);
        assert_eq!(one.sources.len(), 30);
        assert!(
            one.articles
                .iter()
                .any(|article| article.id != "0000000000")
        );
    }
}
