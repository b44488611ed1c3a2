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

/// Replaces what `path` holds, on the disk when it returns. Who might read and write it may do so after that, too.
///
/// # Errors
/// What the disk says; the old content is there then.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let rights = match fs::metadata(path) {
        Ok(there) => Some(there.permissions()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    remove_beside(path)?;
    let file = File::create_new(beside(path))?;
    if let Some(rights) = rights {
        // Before it has any content.
        file.set_permissions(rights)?;
    }
    put(file, path, content)
}

/// As [`replace`], with a file that only its owner may read.
///
/// # Errors
/// As [`replace`].
pub fn replace_secret(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    remove_beside(path)?;
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600);
    put(options.open(beside(path))?, path, content)
}

/// Removes the file at `path`, from the disk when it returns; without a file there is nothing to do.
///
/// # Errors
/// What the disk says.
pub fn remove(path: &Path) -> io::Result<()> {
    remove_where_there(path)?;
    sync_folder_of(path)
}

/// Removes what an earlier attempt left, which may have been made with other rights.
fn remove_beside(path: &Path) -> io::Result<()> {
    remove_where_there(&beside(path))
}

fn remove_where_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Fills the file beside `path`, and puts it in its place.
fn put(mut file: File, path: &Path, content: &[u8]) -> io::Result<()> {
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(beside(path), path)?;
    sync_folder_of(path)
}

/// Has the disk know which files are in the folder of `path`.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn rights(path: &Path) -> u32 {
        let there = fs::metadata(path).expect("there");
        there.permissions().mode() & 0o777
    }

    fn give(path: &Path, rights: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(rights)).expect("it is ours");
    }

    #[test]
    fn content_is_replaced_whole_and_nothing_stays_beside() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.json");
        for content in ["long at first", "short", ""] {
            // As an attempt that a crash ended left it.
            fs::write(beside(&path), "of another attempt, and longer").expect("written");
            replace(&path, content.as_bytes()).expect("replaced");
            assert_eq!(fs::read_to_string(&path).expect("there"), content);
            assert!(!beside(&path).exists());
        }
    }

    #[test]
    fn a_file_keeps_its_rights_when_its_content_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.json");
        replace(&path, b"one").expect("replaced");
        for expected in [0o600, 0o640, 0o444] {
            give(&path, expected);
            replace(&path, b"another").expect("replaced");
            assert_eq!(rights(&path), expected);
        }
    }

    #[test]
    fn a_secret_is_its_owners_alone_whatever_was_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        for there in [&path, &beside(&path)] {
            fs::write(there, "open").expect("written");
            give(there, 0o644);
        }
        replace_secret(&path, b"secret").expect("replaced");
        assert_eq!(fs::read_to_string(&path).expect("there"), "secret");
        assert_eq!(rights(&path), 0o600);
    }

    #[test]
    fn a_file_is_removed_and_none_there_is_fine() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.json");
        replace(&path, b"one").expect("replaced");
        for _ in 0..2 {
            remove(&path).expect("removed");
            assert!(!path.exists());
        }
        fs::create_dir(&path).expect("made");
        assert!(remove(&path).is_err());
        assert!(path.exists(), "it is no file");
        assert!(remove(&folder.path().join("absent/x")).is_err());
    }

    #[test]
    fn what_cannot_be_replaced_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.json");
        assert!(replace(&folder.path().join("absent/x"), b"new").is_err());
        fs::write(&path, "old").expect("written");
        // What is to be written beside it cannot be.
        fs::create_dir(beside(&path)).expect("made");
        assert!(replace(&path, b"new").is_err());
        assert!(replace_secret(&path, b"new").is_err());
        assert_eq!(fs::read_to_string(&path).expect("there"), "old");
    }
}
