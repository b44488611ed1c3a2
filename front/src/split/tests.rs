//! What a split keeps in its file while the disk takes nothing.

use std::fs;

use gleaner_machine::durable;
use serde_json::json;
use tokio::time::timeout;

use super::canary::{Stop, Symptom};
use super::*;

fn rules() -> Rules {
    let index = json!({"from": "wiki", "to": "wiki-2"});
    let rule = json!({"name": "new", "index": index, "share": "10%", "canary": true});
    serde_json::from_value(json!({"rules": [rule]})).expect("rules")
}

/// A canary that was left.
fn left() -> Option<Arc<Mutex<Canary>>> {
    let stop = Stop {
        test: Symptom::Failed,
        log_likelihood_ratio: 6.25,
        threshold: 5.5,
        main_rate: 0.01,
        other_rate: 0.3,
        main_requests: 900,
        other_requests: 100,
    };
    Some(Arc::new(Mutex::new(Canary::stopped(stop))))
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_written_is_written_once_the_disk_takes_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rules.json.stopped");
    let options = SplitOptions {
        rules: rules(),
        stops: Some(path.clone()),
        ..SplitOptions::default()
    };
    let split = Arc::new(Split::new(&options, |_, _| true).expect("a new file"));
    // The new content cannot be written beside the file.
    fs::create_dir(durable::beside(&path)).expect("made");
    let keeping = tokio::spawn(Arc::clone(&split).keep_stops());
    split
        .put_in_force(&rules(), |_| left())
        .expect("good rules");
    assert!(split.write_stops().is_err());
    // The clock goes on once the task waits again: it has failed by then.
    sleep(Duration::from_millis(1)).await;
    assert!(!path.exists());

    fs::remove_dir(durable::beside(&path)).expect("removed");
    let written = async {
        while !path.exists() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    let written = timeout(RETRY_AFTER * 3, written).await;
    written.expect("it is written without another change");
    keeping.abort();
}

#[test]
fn a_front_without_a_canary_starts_beside_the_one_that_has_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = |rules: Rules| SplitOptions {
        rules,
        stops: Some(folder.path().join("rules.json.stopped")),
        ..SplitOptions::default()
    };
    let path = folder.path().join("rules.json.stopped");
    let first = Split::new(&options(rules()), |_, _| true).expect("a new file");
    first
        .put_in_force(&rules(), |_| left())
        .expect("good rules");
    first.write_stops().expect("written");
    let written = fs::read(&path).expect("it is there");

    let refused = Split::new(&options(rules()), |_, _| true).err();
    let is_held =
        |refused: &BadSplit| matches!(refused, BadSplit::Stops(StopFileError::Held { .. }));
    assert!(refused.as_ref().is_some_and(is_held), "{refused:?}");

    let second = Split::new(&options(Rules::default()), |_, _| true).expect("nothing to keep");
    second.write_stops().expect("nothing to write");
    // With the lock free, too, the file stays.
    drop(first);
    second.write_stops().expect("nothing to write");
    assert_eq!(fs::read(&path).expect("it is there"), written);
}
