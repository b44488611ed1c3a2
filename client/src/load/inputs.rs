//! The files that were named, folders walked, each with its layout.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use gleaner_datasets::read::Format;
use walkdir::{DirEntry, WalkDir};

/// The name that stands for standard input.
const STDIN: &str = "-";

/// Something to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InputFile {
    /// As messages call it.
    pub(crate) shown: String,
    /// Absolute path; `None` is standard input.
    pub(crate) path: Option<PathBuf>,
    pub(crate) format: Format,
    /// Its size; `None` for what has none.
    pub(crate) num_bytes: Option<u64>,
}

impl InputFile {
    /// Returns what it is called in each run of a load: its path.
    pub(crate) fn name(&self) -> String {
        let path = self.path.as_deref();
        path.map_or_else(|| self.shown.clone(), |path| path.display().to_string())
    }
}

/// Finds what `names` stand for, in their order; a folder's files are sorted by name.
///
/// In a folder, only files whose name tells a layout are taken, unless `format` says it for all;
/// hidden ones never are, nor are the files `own` that the load writes, given by [`real_path`]. A file
/// of two names in one folder is taken once.
///
/// # Errors
/// What is not there, has no known layout, or is named twice.
pub(crate) fn find(
    names: &[PathBuf],
    format: Option<Format>,
    own: &[PathBuf],
) -> Result<Vec<InputFile>> {
    let mut inputs = Vec::new();
    for name in names {
        if name.as_os_str() == STDIN {
            let format = format.unwrap_or(Format::Ndjson);
            let shown = "stdin".to_owned();
            inputs.push(InputFile {
                shown,
                path: None,
                format,
                num_bytes: None,
            });
        } else if name.is_dir() {
            inputs.extend(walk(name, format, own)?);
        } else {
            let format = format.or_else(|| Format::of_path(name)).with_context(|| {
                format!(
                    "`{}`: cannot infer the format from the file name; {}",
                    name.display(),
                    use_format()
                )
            })?;
            inputs.push(input(name, format)?);
        }
    }
    let mut paths = BTreeSet::new();
    for input in &inputs {
        ensure!(
            paths.insert(&input.path),
            "`{}` is named twice",
            input.shown
        );
    }
    drop(paths);
    Ok(inputs)
}

/// Says how a format is named, and which there are.
fn use_format() -> String {
    let names: Vec<&str> = Format::names().collect();
    let (last, others) = names.split_last().expect("there are formats");
    format!("use --format {} or {last}", others.join(", "))
}

fn walk(folder: &Path, format: Option<Format>, own: &[PathBuf]) -> Result<Vec<InputFile>> {
    let mut inputs = Vec::new();
    let mut taken: BTreeSet<PathBuf> = own.iter().cloned().collect();
    let is_shown = |entry: &DirEntry| {
        entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
    };
    for entry in WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(is_shown)
    {
        let entry = entry.with_context(|| format!("cannot walk `{}`", folder.display()))?;
        let Some(format) = format.or_else(|| Format::of_path(entry.path())) else {
            continue;
        };
        if entry.path().is_file() {
            let found = input(entry.path(), format)?;
            if found.path.clone().is_some_and(|path| taken.insert(path)) {
                inputs.push(found);
            }
        } else if entry.path_is_symlink() && !entry.path().exists() {
            let link = entry.path().display();
            tracing::warn!(%link, "a link that leads nowhere is left out");
        }
    }
    if inputs.is_empty() {
        bail!(
            "no file name in `{}` tells its format; {}",
            folder.display(),
            use_format()
        );
    }
    Ok(inputs)
}

/// Returns where `path` leads, as an absolute path, whether or not there is a file yet.
pub(super) fn real_path(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new(".")).canonicalize();
        match (parent, path.file_name()) {
            (Ok(parent), Some(name)) => parent.join(name),
            _ => path.to_path_buf(),
        }
    })
}

fn input(path: &Path, format: Format) -> Result<InputFile> {
    let shown = path.display().to_string();
    let failed = || format!("cannot open `{shown}`");
    let metadata = path.metadata().with_context(failed)?;
    let num_bytes = metadata.is_file().then_some(metadata.len());
    let absolute = if metadata.is_file() {
        path.canonicalize()
    } else {
        // A pipe that a shell names, `/dev/fd/63`, leads to no path.
        std::path::absolute(path)
    };
    let absolute = absolute.with_context(failed)?;
    Ok(InputFile {
        shown,
        path: Some(absolute),
        format,
        num_bytes,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("deep");
        fs::create_dir(&deep).expect("made");
        for name in [
            "b.csv",
            "a.ndjson.gz",
            "notes.txt",
            ".hidden.json",
            "deep/c.json",
        ] {
            fs::write(folder.path().join(name), "x").expect("written");
        }
        folder
    }

    #[test]
    fn folders_are_walked_in_order_and_take_what_tells_its_layout() {
        let folder = folder();
        let found = find(&[folder.path().to_path_buf()], None, &[]).expect("found");
        let told: Vec<_> = found
            .iter()
            .map(|input| {
                (
                    input.shown.rsplit('/').next().expect("a name"),
                    input.format,
                )
            })
            .collect();
        let expected = [
            ("a.ndjson.gz", Format::Ndjson),
            ("b.csv", Format::Csv),
            ("c.json", Format::Json),
        ];
        assert_eq!(told, expected);
        assert_eq!(found[0].num_bytes, Some(1));
        let all = find(&[folder.path().to_path_buf()], Some(Format::Bulk), &[]).expect("found");
        assert_eq!(
            all.len(),
            4,
            "an explicit layout takes all but hidden files"
        );
    }

    #[test]
    fn unknown_layouts_absent_files_and_doubles_are_refused() {
        let folder = folder();
        let told = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| folder.path().join(name)).collect();
            find(&names, None, &[]).expect_err("refused").to_string()
        };
        let unknown = told(&["notes.txt"]);
        let wanted = "cannot infer the format from the file name; use --format ndjson, json, csv, tsv or bulk";
        assert!(unknown.ends_with(wanted), "{unknown}");
        assert!(told(&["gone.csv"]).contains("cannot open"));
        assert!(told(&["b.csv", "deep/../b.csv"]).contains("named twice"));
    }

    #[test]
    fn what_a_load_writes_is_no_input_of_it() {
        let folder = folder();
        let own = real_path(&folder.path().join("deep/../deep/c.json"));
        let absent = real_path(&folder.path().join("absent.json"));
        let found = find(&[folder.path().to_path_buf()], None, &[own.clone(), absent]);
        let found = found.expect("found");
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|input| input.path.as_ref() != Some(&own)));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_of_two_names_is_taken_once_and_a_link_to_nowhere_not_at_all() {
        use std::os::unix::fs::symlink;

        let folder = folder();
        symlink("b.csv", folder.path().join("c.csv")).expect("linked");
        symlink("gone.csv", folder.path().join("d.csv")).expect("linked");
        let found = find(&[folder.path().to_path_buf()], None, &[]).expect("found");
        assert_eq!(found.len(), 3);
        let link = real_path(&folder.path().join("c.csv"));
        assert_eq!(link, real_path(&folder.path().join("b.csv")));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_that_a_shell_names_is_an_input() {
        use std::os::fd::AsRawFd;

        let (reader, _writer) = std::io::pipe().expect("a pipe");
        let name = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        let found = find(std::slice::from_ref(&name), Some(Format::Csv), &[]).expect("found");
        assert_eq!(
            (found[0].path.as_ref(), found[0].num_bytes),
            (Some(&name), None)
        );
    }

    #[test]
    fn standard_input_is_ndjson_unless_it_is_said() {
        let found = find(&[PathBuf::from("-")], None, &[]).expect("found");
        assert_eq!(
            (found[0].format, found[0].path.clone()),
            (Format::Ndjson, None)
        );
    }
}
