//! `gleaner dataset`: the collections at hand, as lines of JSON.

use std::{
    fs::File,
    io::{self, BufWriter, Write, stdout},
    path::{Path, PathBuf},
};

use anyhow::{Error, Result};
use gleaner_datasets::{
    Corpus, Document, Generator, Size,
    beir::Beir,
    catalog::{self, Sources},
};

use crate::{
    exit::Exit,
    terminal::{self, Palette, grouped},
};

/// List, describe, export and generate collections of documents.
///
/// Shared collections are read from the folder that GLEANER_DATA names.
#[derive(Debug, clap::Args)]
pub(crate) struct DatasetArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List the collections, and which of them are on this machine
    List(DataFolder),
    /// Tell what a collection holds
    Describe {
        /// Name of the collection
        name: String,
        #[command(flatten)]
        folder: DataFolder,
    },
    /// Write a collection as NDJSON, each line with its `_id`
    ///
    /// Load it with `gleaner index --id-field _id`.
    Export {
        /// Name of the collection, or `beir/FOLDER`: a folder in the layout of BEIR
        name: String,
        #[command(flatten)]
        folder: DataFolder,
        #[command(flatten)]
        output: Output,
        /// At most this many documents
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Generate documents from a seed: the same bytes everywhere
    Generate {
        /// The seed
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many documents
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        count: u64,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, clap::Args)]
struct DataFolder {
    /// Folder of the shared collections
    #[arg(long, value_name = "DIR", env = "GLEANER_DATA")]
    data: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Output {
    /// File to write; standard output by default
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(arguments: DatasetArguments) -> Result<Exit> {
    match arguments.what {
        What::List(folder) => list(&folder.sources())?,
        What::Describe { name, folder } => describe(&name, &folder.sources())?,
        What::Export {
            name,
            folder,
            output,
            limit,
        } => {
            let corpus = open(&name, &folder.sources())?;
            write_documents(corpus.take(limit_of(limit)), &output)?;
        }
        What::Generate {
            seed,
            count,
            output,
        } => {
            write_documents(Generator::new(seed, count).documents(), &output)?;
        }
    }
    Ok(Exit::Success)
}

impl DataFolder {
    fn sources(&self) -> Sources {
        if let Some(folder) = self.data.as_deref().filter(|folder| !folder.is_dir()) {
            let shown = folder.display();
            terminal::say(&format!("`{shown}` (--data, GLEANER_DATA) is no folder"));
        }
        Sources {
            data: catalog::locate(self.data.as_deref()),
            cargo_home: cargo_home(),
            seed: 1,
            num_documents: 10_000,
        }
    }
}

/// Returns where cargo keeps its registry: `CARGO_HOME`, else `~/.cargo`.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(home)
}

fn list(sources: &Sources) -> Result<()> {
    let colours = Palette::of_stdout();
    let mut out = stdout().lock();
    for dataset in catalog::DATASETS {
        let place = match catalog::open(dataset.name, sources) {
            Ok(_) if dataset.is_built_in => "built in",
            Ok(_) => "here",
            Err(_) => "absent",
        };
        let (strong, faint, reset) = (colours.strong, colours.faint, colours.reset);
        let (name, about) = (dataset.name, dataset.about);
        writeln!(
            out,
            "{strong}{name:<12}{reset} {faint}{place:<9}{reset} {about}"
        )?;
    }
    Ok(())
}

fn describe(name: &str, sources: &Sources) -> Result<()> {
    let dataset = catalog::describe(name)?;
    let size = match catalog::open(name, sources) {
        Ok(corpus) => size_of(&corpus),
        Err(error) => format!("{error}"),
    };
    let mut out = stdout().lock();
    writeln!(out, "{}: {}", dataset.name, dataset.about)?;
    writeln!(out, "fields:  {}", dataset.fields.join(", "))?;
    writeln!(out, "licence: {}", dataset.licence)?;
    writeln!(out, "size:    {size}")?;
    Ok(())
}

fn size_of(corpus: &Corpus) -> String {
    match corpus.size() {
        Size::Documents(number) => format!("{} documents", grouped(number)),
        Size::Bytes(number) => format!("{} bytes as they are stored", grouped(number)),
        Size::Unknown => "unknown".to_owned(),
    }
}

fn open(name: &str, sources: &Sources) -> Result<Corpus> {
    let Some(folder) = name.strip_prefix("beir/") else {
        return Ok(catalog::open(name, sources)?);
    };
    let shared = sources
        .data
        .as_ref()
        .map(|data| data.join(folder))
        .filter(|path| path.is_dir());
    Ok(Beir::open(&shared.unwrap_or_else(|| PathBuf::from(folder)))?.documents()?)
}

fn limit_of(limit: Option<u64>) -> usize {
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// Writes one JSON object a line; faults of single documents are told and left out.
fn write_documents(
    documents: impl Iterator<Item = Result<Document, gleaner_datasets::DatasetError>>,
    output: &Output,
) -> Result<()> {
    // Faults of standard output stay as they are: a reader that has had enough is none.
    let failed = |error: io::Error| match &output.output {
        None => Error::new(error),
        Some(path) => Error::new(error).context(format!("cannot write `{}`", path.display())),
    };
    let mut out: Box<dyn Write> = match &output.output {
        None => Box::new(BufWriter::new(stdout().lock())),
        Some(path) => Box::new(BufWriter::new(File::create(path).map_err(failed)?)),
    };
    for document in documents {
        match document {
            Ok(document) => writeln!(out, "{}", with_id(&document)).map_err(failed)?,
            Err(error) if error.is_fatal() => return Err(error.into()),
            Err(error) => terminal::say(&format!("left out: {error}")),
        }
    }
    out.flush().map_err(failed)
}

/// Returns the source in one line, with its `_id` in front.
fn with_id(document: &Document) -> String {
    let source = document.source.replace(['\n', '\r'], " ");
    let Some(id) = &document.id else {
        return source;
    };
    let members = source.trim_start().trim_start_matches('{').trim_start();
    let comma = if members.starts_with('}') { "" } else { "," };
    format!(
        "{{\"_id\":{}{comma}{members}",
        serde_json::Value::from(id.as_str())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_the_id_and_all_fields() {
        let line = |id: Option<&str>, source: &str| {
            with_id(&Document {
                id: id.map(str::to_owned),
                source: source.to_owned(),
            })
        };
        assert_eq!(
            line(Some("a"), "{\n\"x\": 1\n}"),
            "{\"_id\":\"a\",\"x\": 1 }"
        );
        assert_eq!(line(Some("a"), "{ }"), "{\"_id\":\"a\"}");
        assert_eq!(line(None, "{\"x\":1}"), "{\"x\":1}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_with_the_file() {
        let output = Output {
            output: Some(PathBuf::from("/dev/full")),
        };
        let written = write_documents(Generator::new(3, 25).documents(), &output);
        let error = format!("{:#}", written.expect_err("no room"));
        assert!(error.starts_with("cannot write `/dev/full`: "), "{error}");
    }

    #[test]
    fn generated_documents_are_written_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.ndjson");
        let output = Output {
            output: Some(path.clone()),
        };
        write_documents(Generator::new(3, 25).documents(), &output).expect("written");
        let text = std::fs::read_to_string(path).expect("there");
        assert_eq!(text.lines().count(), 25);
        for line in text.lines() {
            let document: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert!(
                document["_id"].is_string() && document["title"].is_string(),
                "{line}"
            );
        }
    }
}
