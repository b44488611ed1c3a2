//! Which file system a folder is on, by `/proc/self/mountinfo`, of which `man 5 proc` has the fields.

use std::fs;
use std::path::Path;

use gleaner_model::node_stats::Mount;

/// Returns the file system that holds `folder`, a whole path without links; `None` where the system does not tell.
pub(crate) fn holding(folder: &Path) -> Option<Mount> {
    let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
    find(&table, folder)
}

/// Finds the deepest one around `folder`. Where two are mounted at one place, the later hides the other.
fn find(table: &str, folder: &Path) -> Option<Mount> {
    let mounts = table.lines().filter_map(read);
    let around = mounts.filter(|mount| folder.starts_with(&mount.point));
    around.max_by_key(|mount| Path::new(&mount.point).components().count())
}

/// Reads a line; between its two parts stands a dash.
fn read(line: &str) -> Option<Mount> {
    let (place, held) = line.split_once(" - ")?;
    let mut held = held.split(' ');
    Some(Mount {
        point: unescaped(place.split(' ').nth(4)?),
        file_system: held.next()?.to_owned(),
        device: unescaped(held.next()?),
    })
}

/// Puts in the characters that stand as a backslash and three octal digits: those that would end a part or a line.
fn unescaped(text: &str) -> String {
    let mut pieces = text.split('\\');
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.split_at_checked(3);
        let escaped = digits.and_then(|(digits, rest)| {
            let code = u8::from_str_radix(digits, 8).ok()?;
            Some((char::from(code), rest))
        });
        let (character, rest) = escaped.unwrap_or(('\\', piece));
        whole.push(character);
        whole.push_str(rest);
    }
    whole
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
        ] {
            let expected = Mount {
                point: point.to_owned(),
                device: device.to_owned(),
                file_system: file_system.to_owned(),
            };
            assert_eq!(find(TABLE, Path::new(folder)), Some(expected), "{folder}");
        }
        assert_eq!(find(TABLE, Path::new("relative")), None);
        assert_eq!(find("", Path::new("/data")), None);
    }

    #[test]
    fn what_is_no_escape_stays_as_it_is() {
        assert_eq!(unescaped("a\\134b\\011c"), "a\\b\tc");
        for text in ["a\\b", "a\\", "\\999", "\\é1é", "\\777"] {
            assert_eq!(unescaped(text), text);
        }
    }
}
