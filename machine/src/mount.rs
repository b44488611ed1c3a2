//! Which file system a folder is on, by `/proc/self/mountinfo`, of which `man 5 proc` has the fields.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use gleaner_model::node_stats::Mount;

/// Returns the file system that holds `folder`, a whole path without links; `None` where the system does not tell.
pub(crate) fn holding(folder: &Path) -> Option<Mount> {
    let table = fs::read("/proc/self/mountinfo").ok()?;
    find(&table, folder)
}

/// A line of the table. Names are bytes: the kernel takes any but NUL.
struct Line {
    point: PathBuf,
    file_system: OsString,
    device: OsString,
}

/// Finds the deepest one around `folder`. Where two are mounted at one place, the later hides the other.
fn find(table: &[u8], folder: &Path) -> Option<Mount> {
    let lines = table.split(|byte| *byte == b'\n').filter_map(read);
    let around = lines.filter(|line| folder.starts_with(&line.point));
    let deepest = around.max_by_key(|line| line.point.components().count())?;
    let shown = |name: &OsStr| name.to_string_lossy().into_owned();
    Some(Mount {
        point: shown(deepest.point.as_os_str()),
        device: shown(&deepest.device),
        file_system: shown(&deepest.file_system),
    })
}

/// Reads a line; between its two parts stands a dash.
fn read(line: &[u8]) -> Option<Line> {
    let mut parts = line.split(|byte| *byte == b' ');
    let point = unescaped(parts.nth(4)?).into();
    parts.find(|part| *part == b"-")?;
    Some(Line {
        point,
        file_system: unescaped(parts.next()?),
        device: unescaped(parts.next()?),
    })
}

/// Puts in the bytes that are written as a backslash and three octal digits: those that would end a part or a line.
fn unescaped(part: &[u8]) -> OsString {
    let mut whole = Vec::with_capacity(part.len());
    let mut rest = part;
    while let [first, after @ ..] = rest {
        let escape = match *first {
            b'\\' => octal(after),
            _ => None,
        };
        let (byte, left) = escape.unwrap_or((*first, after));
        whole.push(byte);
        rest = left;
    }
    OsString::from_vec(whole)
}

/// Returns the byte that three octal digits stand for, and what follows them.
fn octal(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<3>()?;
    let mut code = 0_u8;
    for digit in digits {
        let value = digit.checked_sub(b'0').filter(|value| *value < 8)?;
        code = code.checked_mul(8)?.checked_add(value)?;
    }
    Some((code, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/root rw,errors=continue
23 22 0:21 / /proc rw,nosuid - proc proc rw
40 22 0:35 / /data rw - tmpfs tmpfs rw
41 22 8:1 /sub /data rw,noatime master:1 shared:7 - xfs /dev/sda1 rw
42 22 8:2 / /my\\040data rw - ext3 //nas/all\\040mine rw
43 22 8:3 / /données\\040d'été rw - ext4 /dev/sdb1 rw
44 22 8:4 / /caf\\303\\251 rw - ext4 /dev/sdb2 rw
no line of a table
";

    #[test]
    fn the_deepest_mount_around_a_folder_holds_it() {
        for (folder, point, device, file_system) in [
            ("/", "/", "/dev/root", "ext4"),
            ("/database/a", "/", "/dev/root", "ext4"),
            ("/data", "/data", "/dev/sda1", "xfs"),
            ("/data/a/b", "/data", "/dev/sda1", "xfs"),
            ("/my data/a", "/my data", "//nas/all mine", "ext3"),
            ("/données d'été/a", "/données d'été", "/dev/sdb1", "ext4"),
            ("/café", "/café", "/dev/sdb2", "ext4"),
        ] {
            let expected = Mount {
                point: point.to_owned(),
                device: device.to_owned(),
                file_system: file_system.to_owned(),
            };
            let found = find(TABLE.as_bytes(), Path::new(folder));
            assert_eq!(found, Some(expected), "{folder}");
        }
        assert_eq!(find(TABLE.as_bytes(), Path::new("relative")), None);
        assert_eq!(find(b"", Path::new("/data")), None);
    }

    #[test]
    fn what_is_no_escape_stays_as_it_is() {
        assert_eq!(unescaped(b"a\\134b\\011c"), "a\\b\tc");
        for text in ["a\\b", "a\\", "\\999", "\\é1é", "\\777", "\\+12"] {
            assert_eq!(unescaped(text.as_bytes()), text);
        }
    }

    #[test]
    fn a_name_that_is_no_text_is_found_and_does_not_hide_the_others() {
        let no_text = b"45 22 8:5 / /\xff\\040a rw - ext4 /dev/sdc1 rw\n";
        let table = [&no_text[..], TABLE.as_bytes()].concat();
        let mount = |folder: &[u8]| {
            let folder = PathBuf::from(OsString::from_vec(folder.to_vec()));
            find(&table, &folder).map(|mount| mount.point)
        };
        assert_eq!(mount(b"/\xff a/b").as_deref(), Some("/\u{fffd} a"));
        assert_eq!(mount(b"/data/a").as_deref(), Some("/data"));
    }
}
