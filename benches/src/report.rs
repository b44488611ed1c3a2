//! The page that compares us with the baseline, measured in one run.
//!
//! Read [`write_page`] first: it measures section by section and writes what it found.

pub mod copying;
pub mod loading;
pub(crate) mod machine;
pub mod memory;
pub mod searching;
pub mod serving;
pub mod single;
mod table;
pub mod writing;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::corpus::{Corpus, SEED, Size};
pub use table::Table;

/// Names of the parts of a report, in their order.
pub const PARTS: [&str; 7] = [
    "queries", "writes", "serving", "loading", "memory", "single", "copying",
];

/// What is measured, and how thoroughly.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of shared collections; `None` uses generated documents.
    pub data: Option<PathBuf>,
    /// Documents.
    pub size: Size,
    /// Queries of each class.
    pub per_class: usize,
    /// Rounds over all queries, after one to warm up.
    pub rounds: usize,
    /// The server's binary; `None` leaves the sections over HTTP out.
    pub server: Option<PathBuf>,
    /// Parts to measure, by name; empty is all of [`PARTS`].
    pub only: Vec<String>,
    /// How the report was started.
    pub command: String,
}

/// A part of the page.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// Its heading.
    pub title: &'static str,
    /// What was compared and how.
    pub method: String,
    /// What was found.
    pub tables: Vec<Table>,
    /// What else must be known to read the tables.
    pub remarks: Vec<String>,
}

/// As Markdown, with an empty line before it.
impl std::fmt::Display for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "\n## {}\n\n{}", self.title, self.method)?;
        for table in &self.tables {
            write!(f, "\n{table}")?;
        }
        if !self.remarks.is_empty() {
            writeln!(f)?;
        }
        for remark in &self.remarks {
            writeln!(f, "- {remark}")?;
        }
        Ok(())
    }
}

/// Measures everything and writes the page to `path`.
///
/// # Errors
/// When something cannot be measured or written; nothing is written then.
pub fn write_page(path: &Path, options: &Options) -> Result<()> {
    let corpus = Corpus::load(options.data.as_deref(), options.size)?;
    let mut sections = Vec::new();
    for part in PARTS {
        if options.only.is_empty() || options.only.iter().any(|wanted| wanted == part) {
            sections.extend(measure(part, &corpus, options).context(part)?);
        }
    }
    let page = format!(
        "# {}\n\n{}",
        title(path),
        render(&corpus, options, &sections)
    );
    std::fs::write(path, page).with_context(|| path.display().to_string())
}

/// Returns the title of the page at `path`, with the number that its name begins with.
fn title(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    match name.split_once('-') {
        Some((number, _)) if number.parse::<u32>().is_ok() => {
            format!("{number}: one machine, against bare tantivy")
        }
        _ => "One machine, against bare tantivy".to_owned(),
    }
}

/// Measures one of [`PARTS`]; nothing when it needs a server and none was given.
fn measure(part: &str, corpus: &Corpus, options: &Options) -> Result<Vec<Section>> {
    let section = match (part, &options.server) {
        ("queries", _) => return searching::measure(corpus, options),
        ("writes", _) => writing::measure(corpus)?,
        ("serving", Some(server)) => serving::measure(corpus, options, server)?,
        ("loading", Some(server)) => loading::measure(corpus, server)?,
        ("memory", Some(server)) => memory::measure(corpus, server)?,
        ("single", Some(server)) => single::measure(corpus, server)?,
        ("copying", Some(server)) => copying::measure(corpus, server)?,
        _ => {
            tell(&format!("{part}: left out, no server was given"));
            return Ok(Vec::new());
        }
    };
    Ok(vec![section])
}

/// Tells how far a run has come, on stderr.
pub(crate) fn tell(message: &str) {
    use std::io::Write;
    // Progress that cannot be shown is no reason to stop.
    drop(writeln!(std::io::stderr(), "report: {message}"));
}

fn render(corpus: &Corpus, options: &Options, sections: &[Section]) -> String {
    let mut page = format!(
        "Written by `{}`; all figures are of that one run, so they may be compared with each other \
         and with nothing else. Ratios are ours / bare unless a heading says otherwise.\n\n{}\n\
         Documents: {}, {:.0} MB of JSON, shuffled with seed {SEED}; fields `title` and `body` \
         (text), `category` and `kind` (keyword), `published` (date). Queries: {} of each class, on \
         `body`.\n\n\
         **The baseline** is tantivy 0.27, the library our engine stands on, built with the same \
         profile and used as its own examples do, on one segment. It is *inexact* beyond one segment of one \
         shard: it ranks each segment by its own statistics or prunes by bounds that global \
         statistics break. It has no shards, no refresh, no versions, no total that stays the same \
         when the layout changes. What a ratio above 1 buys is that.\n",
        options.command,
        machine::facts(),
        corpus.origin,
        corpus.num_bytes() as f64 / 1e6,
        options.per_class,
    );
    for section in sections {
        page += &section.to_string();
    }
    page
}
