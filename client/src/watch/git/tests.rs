//! Repositories made to run something, to show what is not theirs, or to fill the memory.

use std::process::Command as Program;

use super::*;

/// Runs git as whoever made the repository did, and returns what it says.
fn git(folder: &Path, words: &[&str]) -> String {
    let output = Program::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
        .args(["-c", "init.defaultBranch=main"])
        .args(words)
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {words:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Makes a repository with one commit of one file, and returns its folder.
fn repository(within: &Path, name: &str, content: &str) -> PathBuf {
    let folder = within.join(name);
    fs::create_dir(&folder).expect("a folder");
    git(&folder, &["init", "--quiet"]);
    fs::write(folder.join("a.txt"), content).expect("written");
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "--quiet", "-m", "first"]);
    folder.canonicalize().expect("a folder")
}

fn over(root: &Path) -> Git {
    Git::new(root.to_owned(), None, false)
}

/// Lists and reads the files of `main`.
async fn contents(git: &Git) -> Result<BTreeMap<String, Vec<u8>>> {
    let commit = git.commit_of("main").await?.context("a commit")?;
    let files = git.list(&commit, Bound(1_000)).await?;
    let mut contents = BTreeMap::new();
    let files: Vec<&Entry> = files.iter().collect();
    git.read(&files, &mut contents).await?;
    Ok(contents)
}

#[tokio::test]
async fn nothing_that_a_repository_names_is_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (root, marker) = (
        repository(folder.path(), "planted", "tea\n"),
        folder.path().join("was-run"),
    );
    let run = format!("touch {};", marker.display());
    for (name, value) in [
        ("extensions.partialClone", "evil"),
        ("remote.evil.promisor", "true"),
        ("remote.evil.url", "/"),
        ("remote.evil.uploadpack", &run),
        ("core.sshCommand", &run),
        ("core.gitProxy", &run),
        ("core.fsmonitor", &run),
        ("core.pager", &run),
        ("pager.ls-tree", &run),
        ("pager.for-each-ref", &run),
        ("core.alternateRefsCommand", &run),
        ("credential.helper", &run),
        ("diff.external", &run),
        ("filter.evil.smudge", &run),
        ("filter.evil.clean", &run),
        ("diff.evil.textconv", &run),
        ("protocol.allow", "always"),
        ("core.hooksPath", folder.path().to_str().expect("text")),
    ] {
        let path = root.join(".git/config");
        git(
            &root,
            &[
                "config",
                "--file",
                path.to_str().expect("text"),
                name,
                value,
            ],
        );
    }
    fs::write(
        root.join(".git/info/attributes"),
        "* filter=evil diff=evil\n",
    )
    .expect("written");
    let whole = contents(&over(&root)).await.expect("all is there");
    assert_eq!(whole["a.txt"], b"tea\n");
    // With an object that it lacks, git would fetch it by the program that is named.
    let blob = String::from_utf8(
        Program::new("git")
            .args(["hash-object", "--stdin"])
            .stdin(fs::File::open(root.join("a.txt")).expect("a file"))
            .output()
            .expect("git runs")
            .stdout,
    );
    let blob = blob.expect("text");
    let (first, rest) = blob.trim().split_at(2);
    fs::remove_file(root.join(".git/objects").join(first).join(rest)).expect("it is loose");
    let lacking = contents(&over(&root))
        .await
        .expect_err("nothing is fetched");
    assert!(!marker.exists(), "{lacking:#}");
    for kind in ["ssh://h/x", "git://127.0.0.1:1/x", "ext::sh -c touch% x"] {
        let path = root.join(".git/config");
        git(
            &root,
            &[
                "config",
                "--file",
                path.to_str().expect("text"),
                "remote.evil.url",
                kind,
            ],
        );
        contents(&over(&root))
            .await
            .expect_err("nothing is fetched");
        assert!(!marker.exists(), "{kind}");
    }
}

#[tokio::test]
async fn an_object_is_shown_as_it_is_and_not_as_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = repository(folder.path(), "replaced", "tea\n");
    let blob = git(&root, &["rev-parse", "main:a.txt"]);
    fs::write(root.join("b.txt"), "coffee\n").expect("written");
    let other = git(&root, &["hash-object", "-w", "b.txt"]);
    git(&root, &["replace", "--force", &blob, &other]);
    let shown = contents(&over(&root)).await.expect("all is there");
    assert_eq!(shown["a.txt"], b"tea\n");
}

#[tokio::test]
async fn objects_of_another_repository_are_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = repository(folder.path(), "secret", "secret\n");
    let refused = async |root: &Path, why: &str| {
        let error = contents(&over(root)).await.expect_err("it is refused");
        assert!(format!("{error:#}").contains(why), "{error:#}");
    };
    git(
        folder.path(),
        &["clone", "--quiet", "--shared", "secret", "borrowing"],
    );
    let borrowing = folder
        .path()
        .join("borrowing")
        .canonicalize()
        .expect("there");
    refused(&borrowing, "takes objects from elsewhere").await;
    for linked in ["objects", "objects/pack"] {
        let root = repository(folder.path(), &linked.replace('/', "-"), "tea\n");
        let place = root.join(".git").join(linked);
        fs::rename(&place, folder.path().join("moved")).expect("moved");
        let target = secret.join(".git").join(linked);
        std::os::unix::fs::symlink(target, place).expect("linked");
        let why = if linked == "objects" {
            "outside of it"
        } else {
            "is a link"
        };
        refused(&root, why).await;
        fs::remove_dir_all(folder.path().join("moved")).expect("removed");
    }
    let pointing = folder.path().join("pointing");
    fs::create_dir(&pointing).expect("a folder");
    let file = format!("gitdir: {}\n", secret.join(".git").display());
    fs::write(pointing.join(".git"), file).expect("written");
    let pointing = pointing.canonicalize().expect("there");
    refused(&pointing, "outside of it").await;
}

#[tokio::test]
async fn a_few_trees_that_name_ever_so_many_paths_are_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = repository(folder.path(), "bomb", "tea\n");
    let blob = git(&root, &["rev-parse", "main:a.txt"]);
    let mut tree = tree_of(&root, &format!("100644 blob {blob}"));
    for _ in 0..8 {
        tree = tree_of(&root, &format!("040000 tree {tree}"));
    }
    let commit = git(&root, &["commit-tree", "-m", "bomb", &tree]);
    git(&root, &["update-ref", "refs/heads/main", &commit]);
    let error = contents(&over(&root)).await.expect_err("10⁹ paths");
    assert!(
        error.to_string().contains("more than 1,000 files"),
        "{error:#}"
    );
}

/// Makes a tree of ten entries, all of them `entry`.
fn tree_of(root: &Path, entry: &str) -> String {
    use std::io::Write as _;
    let mut making = Program::new("git")
        .arg("-C")
        .arg(root)
        .arg("mktree")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git runs");
    let lines: String = (0..10).map(|at| format!("{entry}\tx{at}\n")).collect();
    let mut stdin = making.stdin.take().expect("a pipe");
    stdin.write_all(lines.as_bytes()).expect("it reads");
    drop(stdin);
    let made = making.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&made.stdout).trim().to_owned()
}
