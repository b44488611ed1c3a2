//! What patterns stand for is asked once, and used for as long as shards confirm it.

use gleaner_query::resolved::{Clause, ExpansionCandidate};

use super::*;

fn fuzzy() -> Value {
    json!({"query": {MATCH: {"title": {"query": "fox", "fuzziness": 1}}}})
}

fn stand_for(fixture: &Fixture, terms: &[&str]) {
    let candidate = |term: &&str| ExpansionCandidate {
        distance: 1,
        term: (*term).to_owned(),
        documents: 1,
    };
    *fixture.leaf.candidates.lock() = terms.iter().map(candidate).collect();
}

/// Returns the terms that index 1 was last asked for.
fn asked_for(fixture: &Fixture) -> Vec<String> {
    fn collect(clause: &Clause, terms: &mut Vec<String>) {
        match clause {
            Clause::Term { term, .. } => terms.push(term.clone()),
            Clause::Blended { terms: all, .. } => {
                terms.extend(all.iter().map(|(term, _)| term.clone()));
            }
            Clause::Boost { clause, .. } => collect(clause, terms),
            other => panic!("a pattern stands for no {other:?}"),
        }
    }
    let asked = fixture.leaf.asked.lock();
    let mut terms = Vec::new();
    collect(&asked[&shard(1, 0).index].query.query, &mut terms);
    terms
}

fn num_expands(fixture: &Fixture) -> usize {
    fixture.leaf.num_expands.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn a_repeated_search_asks_once_what_its_patterns_stand_for() {
    let fixture = fixture();
    stand_for(&fixture, &["fix", "box"]);
    let first = search(&fixture, fuzzy()).await.expect("answered");
    assert_eq!(num_expands(&fixture), 2, "one call per index");
    let mut body = fuzzy();
    body["profile"] = json!(true);
    let again = search(&fixture, body).await.expect("answered");
    assert_eq!((num_expands(&fixture), ids(&again)), (2, ids(&first)));
    assert_eq!(asked_for(&fixture), ["box", "fix"]);
    let profile = again.profile.expect("asked for");
    let phases: Vec<_> = profile.attempts.iter().map(|call| call.phase).collect();
    assert_eq!(phases, ["query", "query", "fetch", "fetch"], "one trip");
    // Another pattern is another question.
    let other = json!({"query": {MATCH: {"title": {"query": "dog", "fuzziness": 1}}}});
    search(&fixture, other).await.expect("answered");
    assert_eq!(num_expands(&fixture), 4);
}

#[tokio::test(start_paused = true)]
async fn what_patterns_stood_for_is_asked_again_when_a_shard_shows_more() {
    let fixture = fixture();
    stand_for(&fixture, &["fix"]);
    search(&fixture, fuzzy()).await.expect("answered");
    fixture.leaf.views.lock().insert(shard(1, 1), 2);
    stand_for(&fixture, &["fix", "fax"]);
    let mut body = fuzzy();
    body["profile"] = json!(true);
    let response = search(&fixture, body).await.expect("answered");
    assert_eq!(response.profile.expect("asked for").num_restarts, 1);
    assert_eq!((num_expands(&fixture), response.timed_out), (4, false));
    assert_eq!(asked_for(&fixture), ["fax", "fix"]);
}

#[tokio::test(start_paused = true)]
async fn a_pattern_that_stood_for_nothing_is_confirmed_too() {
    let fixture = fixture();
    let nothing = search(&fixture, fuzzy()).await.expect("answered");
    assert_eq!(nothing.shards.skipped, 3, "one is always asked");
    fixture.leaf.views.lock().insert(shard(1, 1), 2);
    stand_for(&fixture, &["fix"]);
    // That of the shard that was asked holds; the others have to say so.
    search(&fixture, fuzzy()).await.expect("answered");
    assert_eq!(asked_for(&fixture), ["fix"]);
}

#[tokio::test(start_paused = true)]
async fn a_pattern_that_stood_for_nothing_is_confirmed_by_terms_too() {
    let fixture = fixture();
    let mut body = fuzzy();
    body["scatter"] = json!("terms");
    search(&fixture, body.clone()).await.expect("answered");
    search(&fixture, body.clone()).await.expect("answered");
    assert_eq!(num_expands(&fixture), 2, "it is remembered");
    fixture.leaf.views.lock().insert(shard(1, 1), 2);
    body["profile"] = json!(true);
    let response = search(&fixture, body).await.expect("answered");
    assert_eq!(response.profile.expect("asked for").num_restarts, 1);
    assert_eq!((num_expands(&fixture), response.timed_out), (4, false));
}

#[tokio::test(start_paused = true)]
async fn an_answer_resolved_for_an_older_moment_for_want_of_time_says_so() {
    let fixture = fixture();
    stand_for(&fixture, &["fix"]);
    search(&fixture, fuzzy()).await.expect("answered");
    fixture.leaf.views.lock().insert(shard(1, 0), 2);
    *fixture.leaf.delay.lock() = Duration::from_millis(92);
    let mut body = fuzzy();
    (body["timeout"], body["size"]) = (json!("100ms"), json!(0));
    let response = search(&fixture, body).await.expect("answered");
    assert!(response.timed_out);
    let coverage = response.coverage;
    assert_eq!((coverage.shards_seen, coverage.shards_cut), (3, 1));
}
