//! The folders of a local cluster's leaves: which are there, and which should be.

use std::path::Path;

use anyhow::{Result, ensure};

/// Most leaves of a local cluster.
const MAX_LEAVES: u32 = 64;

/// Refuses to start fewer leaves than `data` has folders of: their shards would be missing in silence.
///
/// # Errors
/// Which leaves would be left out, and what to do.
pub(super) fn check_count(data: &Path, num_leaves: u32) -> Result<()> {
    let is_there = |number: &u32| data.join(format!("leaf-{number}")).is_dir();
    let left_out: Vec<u32> = (num_leaves + 1..=MAX_LEAVES).filter(is_there).collect();
    let names: Vec<String> = left_out
        .iter()
        .map(|number| format!("`leaf-{number}`"))
        .collect();
    let wanted = left_out.last().copied().unwrap_or(num_leaves);
    ensure!(
        left_out.is_empty(),
        "`{}` holds the data of {}, which --leaves {num_leaves} would leave out: a part of the documents \
         would be missing. Start it with --leaves {wanted}. Shards do not move between leaves; to have \
         fewer, load the documents into a new cluster",
        data.display(),
        names.join(", ")
    );
    Ok(())
}

/// Returns the leaves that were started on `data` before, as their configurations tell, and whose folders
/// are not there any more.
pub(super) fn missing(data: &Path, num_leaves: u32) -> Vec<String> {
    let names = (1..=num_leaves).map(|number| format!("leaf-{number}"));
    let is_missing =
        |name: &String| data.join(format!("{name}.toml")).exists() && !data.join(name).exists();
    names.filter(is_missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_that_would_be_left_out_and_lost_folders_are_named() {
        let data = tempfile::tempdir().expect("a folder");
        for number in 1..=4 {
            std::fs::create_dir(data.path().join(format!("leaf-{number}"))).expect("made");
            std::fs::write(data.path().join(format!("leaf-{number}.toml")), "").expect("made");
        }
        check_count(data.path(), 4).expect("all of them");
        check_count(data.path(), 5).expect("one more");
        let refused = check_count(data.path(), 2)
            .expect_err("two are left out")
            .to_string();
        assert!(
            refused.contains("`leaf-3`, `leaf-4`") && refused.contains("--leaves 4"),
            "{refused}"
        );
        assert!(missing(data.path(), 6).is_empty());
        std::fs::remove_dir(data.path().join("leaf-3")).expect("removed");
        assert_eq!(missing(data.path(), 4), ["leaf-3"]);
    }
}
