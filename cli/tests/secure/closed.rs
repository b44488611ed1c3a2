//! What lies in the folder of a secure server or cluster is its owner's alone, and its clients need keys.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use gleaner_testkit::{etcd, skipped};
use serde_json::Value;

use crate::running::{Running, curl, gleaner};
use crate::word;

/// Returns a command as it is run by a user whose files all may read and write.
fn careless(words: &[&str]) -> Command {
    let known = gleaner();
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 000; exec \"$0\" \"$@\""])
        .arg(known.get_program())
        .args(words);
    for (name, value) in known.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn rights(path: &Path) -> Result<u32> {
    Ok(fs::symlink_metadata(path)?.permissions().mode() & 0o777)
}

/// Returns how many files and folders there are in a folder, itself among them; fails where others can reach one.
fn closed(folder: &Path) -> Result<usize> {
    let (mut left, mut num_seen): (Vec<PathBuf>, _) = (vec![folder.to_owned()], 0);
    while let Some(path) = left.pop() {
        let found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            // A server goes on meanwhile.
            Err(_) if !path.exists() => continue,
            Err(error) => return Err(error.into()),
        };
        let wanted = if found.is_dir() { 0o700 } else { 0o600 };
        let rights = found.permissions().mode() & 0o777;
        ensure!(
            rights & 0o077 == 0 && rights & !wanted == 0,
            "{} has the rights {rights:o}, wanted {wanted:o}",
            path.display()
        );
        num_seen += 1;
        if found.is_dir() {
            for entry in fs::read_dir(&path)? {
                left.push(entry?.path());
            }
        }
    }
    Ok(num_seen)
}

/// Writes a document with a key; returns what was answered.
fn write(ca: &Path, url: &str, key: &str) -> String {
    let as_admin = format!("Authorization: ApiKey {}", key.trim());
    let document = ["-H", &as_admin, "-X", "PUT", "-d", "{\"text\": \"tea\"}"];
    let url = format!("{url}/notes/_doc/1?refresh=true");
    curl(ca, &[&document[..], &[&url]].concat()).1
}

#[test]
fn the_folder_of_a_secure_server_is_its_owners_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let words = [
        "serve",
        "--secure",
        "--listen",
        "127.0.0.1:0",
        "--data",
        word(&data),
    ];
    let log = folder.path().join("access.jsonl");
    let logged = [&words[..], &["--access-log", word(&log)]].concat();
    let server = Running::of(&mut careless(&logged));
    let url = format!("https://{}", server.address());
    server.until("the first API key was made");
    let key = fs::read_to_string(data.join("admin.key"))?;
    let ca = data.join("tls/ca.pem");
    let written = write(&ca, &url, &key);
    ensure!(written.contains("\"created\""), "{written}");
    ensure!(closed(&data)? > 10, "there is more in a data folder");
    assert_eq!(rights(&log)?, 0o600, "what clients ask");
    assert_eq!(server.stop(), 0);
    closed(&data)?;
    Ok(())
}

#[test]
fn a_folder_that_is_open_is_closed_before_a_secret_is_in_it_and_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    fs::create_dir(&data)?;
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755))?;
    // Left by an attempt before, for all to read.
    fs::write(data.join("cluster.json.new"), "")?;
    fs::set_permissions(
        data.join("cluster.json.new"),
        fs::Permissions::from_mode(0o666),
    )?;
    let link = folder.path().join("link");
    symlink(&data, &link)?;
    let words = [
        "serve",
        "--secure",
        "--listen",
        "127.0.0.1:0",
        "--data",
        word(&link),
    ];
    let server = Running::of(&mut careless(&words));
    server.until("was open to other users of this machine");
    assert_eq!(rights(&data)?, 0o700);
    server.until("the first API key was made");
    closed(&data)?;
    assert_eq!(server.stop(), 0);
    let plain = folder.path().join("plain");
    fs::create_dir(&plain)?;
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o755))?;
    let server = Running::start(&["serve", "--listen", "127.0.0.1:0", "--data", word(&plain)]);
    server.address();
    assert_eq!(rights(&plain)?, 0o755, "that is for its owner to say");
    assert_eq!(server.stop(), 0);
    Ok(())
}

#[test]
fn a_secure_cluster_asks_for_keys_and_its_folder_is_its_owners_alone() -> Result<()> {
    if !etcd::is_installed() {
        let test = "secure::a_secure_cluster_asks_for_keys_and_its_folder_is_its_owners_alone";
        return skipped(test, etcd::NO_ETCD);
    }
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("D");
    let words = [
        "cluster",
        "up",
        "--secure",
        "--access-logs",
        "--leaves",
        "1",
        "--roots",
        "1",
        "--fronts",
        "1",
        "--listen",
        "127.0.0.1:0",
        "--data",
        word(&data),
    ];
    let cluster = Running::of(&mut careless(&words));
    cluster.until("Its processes and shards");
    let map: Value = serde_json::from_str(&fs::read_to_string(data.join("processes.json"))?)?;
    let ca = data.join("ca.pem");
    let key = fs::read_to_string(data.join("root-1/admin.key"))?;
    let url = map["url"].as_str().context("a URL")?;
    let (_, refused) = curl(&ca, &[&format!("{url}/_cat/indices")]);
    ensure!(refused.contains(" 401"), "{refused}");
    let written = write(&ca, url, &key);
    ensure!(written.contains("\"created\""), "{written}");
    ensure!(
        closed(&data)? > 50,
        "there is more in the folder of a cluster"
    );
    assert_eq!(cluster.stop(), 0);
    closed(&data)?;
    // Its etcd asks for certificates.
    let plain = gleaner()
        .args([
            "cluster",
            "up",
            "--listen",
            "127.0.0.1:0",
            "--data",
            word(&data),
        ])
        .output()?;
    let said = String::from_utf8_lossy(&plain.stderr).into_owned();
    ensure!(
        !plain.status.success() && said.contains("`--secure`"),
        "{said}"
    );
    Ok(())
}
