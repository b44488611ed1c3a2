//! Small files that a crash leaves as they were or as they are to be.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Returns where new content of `path` is written before it takes its place.
pub fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    beside.into()
}

/// Replaces what `path` holds, on the disk when it returns.
///
/// # Errors
/// What the disk says; the old content is there then.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let options = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .clone();
    replace_with(path, content, &options)
}

/// As [`replace`], with a file that only its owner may read.
///
/// # Errors
/// As [`replace`].
pub fn replace_secret(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    // One that an earlier attempt left may have been made with other rights.
    match fs::remove_file(beside(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let options = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .clone();
    replace_with(path, content, &options)
}

fn replace_with(path: &Path, content: &[u8], options: &fs::OpenOptions) -> io::Result<()> {
    let beside = beside(path);
    let mut file = options.open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
