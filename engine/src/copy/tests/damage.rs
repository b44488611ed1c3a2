//! Files that are not as they were written: never opened, never merged, told by name.

use std::path::PathBuf;

use gleaner_log::files::Files;

use super::*;
use crate::directory::{Unpaced, Verification};

fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// Returns the names of the files of a kind that the commit names.
fn names(copy: &Copy, kind: &str) -> Vec<String> {
    let commit = copy.files.bytes(&path("meta.json")).expect("a commit");
    let commit = String::from_utf8_lossy(&commit).into_owned();
    let listed = copy.files.list(Path::new(FOLDER)).expect("a folder");
    let listed = listed.into_iter().map(|entry| entry.name);
    let is_kind = |name: &String| name.ends_with(kind) && commit.contains(name.as_str());
    listed.filter(is_kind).collect()
}

fn flip(copy: &Copy, name: &str, at: usize) {
    let mut bytes = copy.files.bytes(&path(name)).expect("it is there");
    bytes[at] ^= 1;
    copy.files.replace(&path(name), bytes).expect("it is there");
}

fn two_segments() -> Copy {
    let mut copy = Copy::new(text_mapping());
    for (id, title) in [("a", "one two"), ("b", "two three")] {
        copy.put(id, 1, &json!({"title": title}));
        copy.index().commit().expect("it commits");
    }
    copy.refresh();
    copy
}

/// Makes the commit one of an earlier version, which had no list.
fn forget_sums(copy: &Copy) {
    let sealed = copy.files.bytes(&path("meta.json")).expect("a commit");
    let lines: Vec<&[u8]> = sealed.splitn(3, |byte| *byte == b'\n').collect();
    let earlier = [b"{", lines[2]].concat();
    copy.files
        .replace(&path("meta.json"), earlier)
        .expect("it is there");
}

#[test]
fn an_earlier_versions_files_are_checked_by_their_footers_and_listed_by_the_next_commit() {
    let mut copy = two_segments();
    assert!(copy.index().is_listed());
    forget_sums(&copy);
    copy.open().expect("it is sound");
    assert!(!copy.index().is_listed());
    let before = copy.visible();
    copy.index().commit().expect("it commits");
    assert!(copy.index().is_listed());
    copy.open().expect("it is listed");
    assert_eq!(copy.visible(), before);
    forget_sums(&copy);
    for kind in ["store", "idx", "fieldnorm"] {
        let listed = copy.files.list(Path::new(FOLDER)).expect("a folder");
        let mut names = listed.into_iter().map(|entry| entry.name);
        let name = names
            .find(|name| name.ends_with(kind))
            .expect("one of each");
        flip(&copy, &name, 0);
        let error = copy.open().expect_err("it is damaged").to_string();
        assert!(error.contains(&name), "{error}");
        flip(&copy, &name, 0);
    }
    copy.open().expect("it is sound again");
}

#[test]
fn a_merge_does_not_make_damaged_files_into_sound_ones() {
    let copy = two_segments();
    let before = copy.visible();
    let name = names(&copy, ".fieldnorm")[0].clone();
    flip(&copy, &name, 0);
    let refused = copy.index().force_merge(1).expect_err("it is damaged");
    assert!(copy.index().take_suspicion(), "{refused}");
    assert_eq!(names(&copy, ".store").len(), 2);
    assert_eq!(copy.visible(), before);
    let verified = copy.index().verify(Verification::Content, &mut Unpaced);
    let error = verified.expect_err("it is damaged").to_string();
    assert!(error.contains(&name), "{error}");
}

#[test]
fn what_is_not_durable_yet_is_checked_too_and_what_merges_delete_is_not_missed() {
    let mut copy = two_segments();
    let verify = |copy: &Copy| copy.index().verify(Verification::Content, &mut Unpaced);
    copy.put("c", 1, &json!({"title": "four"}));
    copy.refresh();
    verify(&copy).expect("all is as written");
    copy.index().force_merge(1).expect("it merges");
    verify(&copy).expect("all is as written");
    copy.index().commit().expect("it commits");
    verify(&copy).expect("all is as written");
    let name = names(&copy, ".fast")[0].clone();
    copy.files.remove_file(&path(&name)).expect("it is there");
    let error = verify(&copy).expect_err("one is missing").to_string();
    assert!(error.contains(&format!("`{name}` is missing")), "{error}");
}
