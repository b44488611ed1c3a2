//! The machine's cargo registry as a collection: real documents without a download.
//!
//! Gathers the Markdown, the documentation comments and the source files of every crate under
//! `<cargo home>/registry/src`. The order is that of file names, so the same registry gives the same
//! documents; an `_id` is `crate-version/path`, with `#L<line>` behind it for a comment, so a second
//! load writes the same documents again.

mod comments;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use walkdir::WalkDir;

use crate::{Corpus, DatasetError, Document, Progress, Size};

/// Files above this are left out: they are tables that a program wrote, not text.
const MAX_FILE_BYTES: u64 = 512 * 1024;

/// The longest identifier the dialect takes, in bytes.
const MAX_ID_BYTES: usize = 512;

/// What a document was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A README.
    Readme,
    /// A change log or release notes.
    Changelog,
    /// Any other Markdown.
    Guide,
    /// A block of documentation comments.
    Doc,
    /// A whole source file.
    Source,
}

/// The crates unpacked on this machine.
#[derive(Debug, Clone)]
pub struct CargoRegistry {
    /// Folders, sorted by crate and version; one each, even when two registries have it.
    crates: Vec<PathBuf>,
    num_bytes: u64,
}

impl CargoRegistry {
    /// Looks for crates under `cargo_home` (`~/.cargo` for most); `None` when there are none.
    ///
    /// # Errors
    /// [`DatasetError::Open`] when a folder is there and cannot be listed.
    pub fn find(cargo_home: &Path) -> Result<Option<Self>, DatasetError> {
        let sources = cargo_home.join("registry/src");
        let mut by_name = BTreeMap::new();
        for registry in folders(&sources)? {
            for folder in folders(&registry)? {
                by_name
                    .entry(folder.file_name().map(ToOwned::to_owned))
                    .or_insert(folder);
            }
        }
        let crates: Vec<PathBuf> = by_name.into_values().collect();
        let num_bytes = crates
            .iter()
            .flat_map(|folder| files(folder))
            .map(|file| file.num_bytes)
            .sum();
        Ok((!crates.is_empty()).then_some(Self { crates, num_bytes }))
    }

    /// Returns how many crates there are, each version counted.
    pub fn num_crates(&self) -> usize {
        self.crates.len()
    }

    /// Returns how many bytes of text will be read: the size of [`documents`](Self::documents).
    pub fn num_bytes(&self) -> u64 {
        self.num_bytes
    }

    /// Streams all documents; one crate's list of files and one file are in memory at a time.
    ///
    /// A file that cannot be read is an error in the stream, and the next one follows.
    pub fn documents(&self) -> Corpus {
        let progress = Progress::default();
        let counter = progress.clone();
        let documents = self.crates.clone().into_iter().flat_map(|folder| {
            let about = About::of(&folder);
            files(&folder)
                .into_iter()
                .map(move |file| (about.clone(), file))
        });
        let documents = documents.flat_map(move |(about, file)| {
            counter.add(file.num_bytes);
            read_file(&about, &file)
        });
        Corpus::new(
            "crates".to_owned(),
            Size::Bytes(self.num_bytes),
            progress,
            documents,
        )
    }
}

/// What a crate says about itself.
#[derive(Debug, Clone)]
struct About {
    /// Name and version, as the folder is called.
    folder: String,
    name: String,
    version: String,
    licence: Option<String>,
}

impl About {
    /// Reads `Cargo.toml`; where it cannot be read, the folder's name has to do.
    fn of(path: &Path) -> Self {
        let folder = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap_or_default();
        let manifest: toml::Table = toml::from_str(&manifest).unwrap_or_default();
        let field = |name: &str| Some(manifest.get("package")?.get(name)?.as_str()?.to_owned());
        let (name, version) = folder.split_once('-').unwrap_or((&folder, ""));
        Self {
            name: field("name").unwrap_or_else(|| name.to_owned()),
            version: field("version").unwrap_or_else(|| version.to_owned()),
            licence: field("license"),
            folder,
        }
    }
}

/// A file that will be read.
#[derive(Debug)]
struct TextFile {
    path: PathBuf,
    /// Below the crate's folder, with `/`.
    below: String,
    kind: Kind,
    num_bytes: u64,
}

/// The `_source` of a document.
#[derive(Serialize)]
struct Text<'a> {
    #[serde(rename = "crate")]
    name: &'a str,
    version: &'a str,
    path: &'a str,
    line: usize,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    licence: Option<&'a str>,
    title: &'a str,
    body: &'a str,
}

/// Returns the folders in `path`, sorted; none when there is no such folder.
fn folders(path: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let failed = |source| DatasetError::Open {
        path: path.to_path_buf(),
        source,
    };
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

/// Lists the text files of a crate, sorted by name. What cannot be listed is not there for us.
fn files(folder: &Path) -> Vec<TextFile> {
    let entries = WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok);
    let text_file = |entry: walkdir::DirEntry| {
        let kind = kind_of(&entry.file_name().to_string_lossy())?;
        let num_bytes = entry.metadata().ok()?.len();
        let is_text = entry.file_type().is_file() && num_bytes <= MAX_FILE_BYTES;
        let below = entry
            .path()
            .strip_prefix(folder)
            .ok()?
            .to_string_lossy()
            .replace('\\', "/");
        is_text.then(|| TextFile {
            path: entry.into_path(),
            below,
            kind,
            num_bytes,
        })
    };
    entries.filter_map(text_file).collect()
}

fn kind_of(file_name: &str) -> Option<Kind> {
    let name = file_name.to_ascii_lowercase();
    let (stem, ending) = name.rsplit_once('.')?;
    match (ending, stem) {
        ("rs", _) => Some(Kind::Source),
        // The same texts in every crate.
        ("md", _) if stem.starts_with("license") || stem.starts_with("copying") => None,
        ("md", _) if stem.starts_with("readme") => Some(Kind::Readme),
        ("md", "changelog" | "changes" | "history" | "releases" | "news") => Some(Kind::Changelog),
        ("md", _) => Some(Kind::Guide),
        _ => None,
    }
}

fn read_file(about: &About, file: &TextFile) -> Vec<Result<Document, DatasetError>> {
    let bytes = match fs::read(&file.path) {
        Ok(bytes) => bytes,
        Err(source) => {
            return vec![Err(DatasetError::Open {
                path: file.path.clone(),
                source,
            })];
        }
    };
    // Few sources are not UTF-8, and their letters matter less than their words.
    let text = String::from_utf8_lossy(&bytes);
    if text.trim().is_empty() {
        return Vec::new();
    }
    let title = match file.kind {
        Kind::Source => format!("{}/{}", about.name, file.below),
        _ => heading(&text).unwrap_or(&file.below).to_owned(),
    };
    let mut documents = vec![Ok(document(about, file, (file.kind, 1), &title, &text))];
    if file.kind == Kind::Source {
        for block in comments::blocks(&text) {
            let place = (Kind::Doc, block.line);
            let title = block.item.unwrap_or(&title);
            documents.push(Ok(document(about, file, place, title, &block.body)));
        }
    }
    documents
}

fn document(
    about: &About,
    file: &TextFile,
    (kind, line): (Kind, usize),
    title: &str,
    body: &str,
) -> Document {
    let mark = if kind == Kind::Doc {
        format!("#L{line}")
    } else {
        String::new()
    };
    let id = format!("{}/{}{mark}", about.folder, file.below);
    let text = Text {
        name: &about.name,
        version: &about.version,
        path: &file.below,
        line,
        kind,
        licence: about.licence.as_deref(),
        title,
        body,
    };
    let source = serde_json::to_string(&text).expect("strings and numbers are JSON");
    Document {
        id: (id.len() <= MAX_ID_BYTES).then_some(id),
        source,
    }
}

/// Returns the first Markdown heading.
fn heading(text: &str) -> Option<&str> {
    let heading = text.lines().find_map(|line| line.strip_prefix('#'))?;
    Some(heading.trim_matches([' ', '#'])).filter(|heading| !heading.is_empty())
}

#[cfg(test)]
mod tests;
