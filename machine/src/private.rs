//! Folders and files that nobody else on the machine can read.
//!
//! Does: have all that this process makes from now on be its owner's alone, make such folders, and take the rights of
//! others off one that was there before. Does not: know which folders hold secrets. Called by commands that keep data.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::Mode;

/// Rights of all but the owner.
const OF_OTHERS: u32 = 0o077;

/// Files and folders that this process makes from now on, and those of processes that it starts, are their owner's
/// alone (600, 700), from their first moment. It is called before there are threads.
pub fn begin() {
    rustix::process::umask(Mode::from_raw_mode(OF_OTHERS));
}

/// Makes a folder, and those that lead to it, where they are not there: their owner's alone.
///
/// # Errors
/// What the disk says.
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Takes the rights of all but its owner off a folder; returns those that it had, where others had some.
///
/// # Errors
/// What the disk says, as for a folder of somebody else.
pub fn close_folder(path: &Path) -> io::Result<Option<u32>> {
    let rights = fs::metadata(path)?.permissions().mode() & 0o777;
    if rights & OF_OTHERS == 0 {
        return Ok(None);
    }
    fs::set_permissions(path, Permissions::from_mode(rights & !OF_OTHERS))?;
    Ok(Some(rights))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_is_made_for_its_owner_and_one_that_is_open_is_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/er");
        create_folder(&path).expect("made");
        assert_eq!(rights(&path), 0o700);
        assert_eq!(rights(&folder.path().join("deep")), 0o700);
        assert_eq!(close_folder(&path).expect("looked at"), None);
        for open in [0o755, 0o750, 0o777, 0o701] {
            fs::set_permissions(&path, Permissions::from_mode(open)).expect("it is ours");
            create_folder(&path).expect("it is there");
            assert_eq!(rights(&path), open, "one that is there is left");
            assert_eq!(close_folder(&path).expect("closed"), Some(open));
            assert_eq!(rights(&path), 0o700);
        }
        assert!(close_folder(&folder.path().join("absent")).is_err());
    }
}
