//! A small registry made up for the test.

use serde_json::{Value, json};

use super::*;

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
    fs::write(path, text).expect("it can be written");
}

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let at = |path: &str, text: &str| write(home.path(), &format!("registry/src/{path}"), text);
    at("a.io-1/zed-1.0.0/src/lib.rs", "fn f() {}\n");
    at(
        "a.io-1/ant-0.2.0/Cargo.toml",
        "[package]\nname = \"ant\"\nversion = \"0.2.0\"\nlicense = \"MIT\"\n",
    );
    at(
        "a.io-1/ant-0.2.0/README.md",
        "<!-- x -->\n# The Ant\n\nSmall.\n",
    );
    at("a.io-1/ant-0.2.0/LICENSE.md", "# MIT\n");
    at("a.io-1/ant-0.2.0/CHANGELOG.md", "# Changes\n");
    at(
        "a.io-1/ant-0.2.0/src/lib.rs",
        "//! A crate about ants, their paths and their many nests.\n",
    );
    at("a.io-1/ant-0.2.0/src/big.rs", &"// x\n".repeat(200_000));
    at("a.io-1/ant-0.2.0/src/empty.rs", "\n");
    at("b.io-2/ant-0.2.0/README.md", "# Again\n");
    home
}

#[test]
fn crates_are_gathered_in_the_order_of_their_names() {
    let home = home();
    let registry = CargoRegistry::find(home.path())
        .expect("it can be listed")
        .expect("it is there");
    assert_eq!(registry.num_crates(), 2);
    let ids: Vec<String> = registry
        .documents()
        .map(|document| document.expect("readable").id.expect("short enough"))
        .collect();
    assert_eq!(
        ids,
        [
            "ant-0.2.0/CHANGELOG.md",
            "ant-0.2.0/README.md",
            "ant-0.2.0/src/lib.rs",
            "ant-0.2.0/src/lib.rs#L1",
            "zed-1.0.0/src/lib.rs",
        ]
    );
}

#[test]
fn a_document_says_where_it_comes_from() {
    let home = home();
    let registry = CargoRegistry::find(home.path())
        .expect("it can be listed")
        .expect("it is there");
    let sources: Vec<Value> = registry
        .documents()
        .map(|document| serde_json::from_str(&document.expect("readable").source).expect("JSON"))
        .collect();
    assert_eq!(
        sources[1],
        json!({
            "crate": "ant", "version": "0.2.0", "path": "README.md", "line": 1, "kind": "readme",
            "licence": "MIT", "title": "The Ant", "body": "<!-- x -->\n# The Ant\n\nSmall.\n",
        })
    );
    assert_eq!(sources[3]["kind"], "doc");
    assert_eq!(sources[3]["title"], "ant/src/lib.rs");
    assert_eq!(
        (&sources[4]["crate"], &sources[4]["version"]),
        (&json!("zed"), &json!("1.0.0"))
    );
    assert_eq!(sources[4].get("licence"), None);
}

#[test]
fn progress_ends_at_the_size() {
    let home = home();
    let registry = CargoRegistry::find(home.path())
        .expect("it can be listed")
        .expect("it is there");
    let corpus = registry.documents();
    let (size, progress) = (corpus.size(), corpus.progress());
    assert_eq!(corpus.count(), 5);
    assert_eq!(size, Size::Bytes(progress.get()));
}

#[test]
fn a_machine_without_a_registry_has_none() {
    let home = tempfile::tempdir().expect("a folder");
    assert!(
        CargoRegistry::find(home.path())
            .expect("nothing to list")
            .is_none()
    );
}
