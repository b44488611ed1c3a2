//! Races on the cluster state.

use gleaner_model::{NodeId, NodeMeta, Role};
use gleaner_query::limits::Limits;
use gleaner_query::settings::parse_create_index;
use serde_json::json;

use super::*;
use crate::testing::{Fixture, index};

fn new(body: &Value) -> NewIndex {
    parse_create_index(body, &Limits::default()).expect("a good body")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_create_one_name_one_wins() {
    let fixture = Fixture::new([]);
    let tries = (0..16).map(|_| {
        fixture
            .root
            .admin()
            .create_index("books", NewIndex::default())
    });
    let outcomes = futures::future::join_all(tries).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let lost =
        |outcome: &Result<_, RootError>| matches!(outcome, Err(RootError::IndexExists { .. }));
    assert_eq!(outcomes.iter().filter(|outcome| lost(outcome)).count(), 15);
    assert_eq!(fixture.root.cluster().state().indices.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_alias_of_a_new_index_is_named_as_an_index() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    for alias in ["index-1", "books"] {
        let books = new(&json!({"aliases": {alias: {}}}));
        let refused = fixture.root.admin().create_index("books", books).await;
        let Err(RootError::Query(error)) = refused else {
            panic!("{alias}: {refused:?}");
        };
        assert_eq!(error.kind.name(), "invalid_alias_name_exception");
        assert!(error.reason.contains(alias), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_index_agrees_with_the_others_on_its_aliases() {
    let fixture = Fixture::new([]);
    let create = async |name: &str, alias: Value| {
        let index = new(&json!({"aliases": {"books": alias}}));
        let created = fixture.root.admin().create_index(name, index).await;
        created.map(drop).map_err(|error| error.to_string())
    };
    let write = json!({"is_write_index": true});
    create("books-1", write.clone()).await.expect("made");
    let refused = "alias [books] has more than one write index [books-1,books-2]";
    assert_eq!(create("books-2", write).await, Err(refused.to_owned()));
    let refused = "alias [books] has is_hidden set to true on indices [books-2] but does not have is_hidden set to true on \
                   indices [books-1]; alias must have the same is_hidden setting on all indices";
    let hidden = json!({"is_hidden": true});
    assert_eq!(create("books-2", hidden).await, Err(refused.to_owned()));
    create("books-2", json!({})).await.expect("made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_used_again_is_another_index() {
    let fixture = Fixture::new([]);
    let first = fixture
        .root
        .admin()
        .create_index("books", NewIndex::default())
        .await
        .expect("made");
    fixture
        .root
        .admin()
        .delete_indices("books", &ResolveOptions::default())
        .await
        .expect("deleted");
    assert_eq!(fixture.root.cluster().state().deleted, [first.uuid]);
    let second = fixture
        .root
        .admin()
        .create_index("books", NewIndex::default())
        .await
        .expect("made");
    assert_ne!(first.uuid, second.uuid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_similarity_is_there_for_the_fields_that_name_it() {
    let fixture = Fixture::new([]);
    let body = |similarity: &str| {
        let field = json!({"type": "text", "similarity": similarity});
        new(&json!({
            "settings": {"similarity": {"mine": {"type": "BM25", "k1": 2.0}}},
            "mappings": {"properties": {"body": field}},
        }))
    };
    let refusal = |outcome: Result<_, RootError>| match outcome {
        Err(RootError::Query(error)) => format!("{}: {}", error.kind.name(), error.reason),
        other => panic!("{other:?}"),
    };
    let unknown = "mapper_parsing_exception: Unknown Similarity type";
    let refused = fixture
        .root
        .admin()
        .create_index("books", body("other"))
        .await;
    let told = format!("{unknown} [other] for field [body]");
    assert_eq!(refusal(refused.map(|_| ())), told);
    let created = fixture
        .root
        .admin()
        .create_index("books", body("mine"))
        .await;
    created.expect("it is there");
    let options = ResolveOptions {
        allow_closed: true,
        ..ResolveOptions::default()
    };
    let closed = fixture
        .root
        .admin()
        .set_closed("books", &options, true)
        .await;
    closed.expect("closed");
    let put = |body: Value| {
        let (root, options) = (&fixture.root, &options);
        async move {
            root.admin()
                .put_settings("books", options, &body, false)
                .await
        }
    };
    put(json!({"similarity.mine.k1": 0.5})).await.expect("set");
    let gone = put(json!({"similarity.mine.k1": null, "similarity.mine.type": null})).await;
    let told = format!("{unknown} [mine] for field [body]");
    assert_eq!(refusal(gone), told);
    let state = fixture.root.cluster().state();
    let index = state.index_named("books").expect("there");
    assert_eq!(index.settings.declared["index.similarity.mine.k1"], "0.5");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_mappings_are_merged_and_none_is_lost() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    let options = ResolveOptions::default();
    let bodies: Vec<Value> = (0..10)
        .map(|n| json!({"properties": {format!("f{n}"): {"type": "keyword"}}}))
        .collect();
    let puts = bodies.iter().map(|body| {
        fixture
            .root
            .admin()
            .put_mapping("index-1", &options, body, false)
    });
    for outcome in futures::future::join_all(puts).await {
        outcome.expect("merged");
    }
    let state = fixture.root.cluster().state();
    let index = state.index_named("index-1").expect("there");
    assert_eq!(
        (index.mapping.fields.len(), index.mapping.version.0),
        (10, 11)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_beyond_the_limit_are_refused() {
    let fixture = Fixture::new([]);
    let large = new(&json!({"settings": {"number_of_shards": 999}}));
    fixture
        .root
        .admin()
        .create_index("large", large)
        .await
        .expect("made");
    let refused = fixture
        .root
        .admin()
        .create_index("more", NewIndex::default())
        .await;
    let reason = refused.expect_err("too many").to_string();
    assert!(
        reason.contains("[999]/[1000] maximum normal shards open"),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_change_nothing_change_nothing() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    let options = ResolveOptions::default();
    let body = json!({"index": {"refresh_interval": "5s"}});
    fixture
        .root
        .admin()
        .put_settings("index-1", &options, &body, false)
        .await
        .expect("set");
    let version = fixture.root.cluster().state().version;
    fixture
        .root
        .admin()
        .put_settings("index-1", &options, &body, false)
        .await
        .expect("set");
    assert_eq!(fixture.root.cluster().state().version, version);
}

/// Makes leaves of these names members.
async fn join(fixture: &Fixture, names: &[&str]) {
    let meta = |name: &str| NodeMeta {
        role: Role::Leaf,
        address: format!("{name}:9300"),
        http_address: None,
        weight: 1.0,
        zone: None,
    };
    let joined = fixture.root.admin().change(|state| {
        let mut next = state.clone();
        let names = names.iter().copied();
        let members = names.map(|name| (NodeId(name.into()), meta(name)));
        next.nodes.extend(members);
        Ok(Some(next))
    });
    joined.await.expect("joined");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_number_of_replicas_places_those_that_are_missing() {
    let fixture = Fixture::new([]);
    join(&fixture, &["a"]).await;
    let body = json!({"settings": {"number_of_shards": 2, "number_of_replicas": 1}});
    let made = fixture.root.admin().create_index("books", new(&body)).await;
    let before = made.expect("made").copies.clone();
    assert!(before.iter().all(|copies| copies.len() == 1));
    join(&fixture, &["b"]).await;
    let options = ResolveOptions::default();
    let set = async |body: Value| {
        let set = fixture
            .root
            .admin()
            .put_settings("books", &options, &body, false);
        set.await.expect("set");
        let state = fixture.root.cluster().state();
        let index = state.index_named("books").expect("there");
        (state.version, index.copies.clone())
    };
    let (_, unasked) = set(json!({"index.refresh_interval": "5s"})).await;
    assert_eq!(unasked, before);
    let (version, filled) = set(json!({"index": {"number_of_replicas": 1}})).await;
    for (before, after) in before.iter().zip(&filled) {
        assert_eq!((&after[..1], after.len()), (&before[..], 2));
    }
    assert_eq!(
        set(json!({"number_of_replicas": 1})).await,
        (version, filled)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_placed_on_the_leaves_and_again_for_more_replicas() {
    let fixture = Fixture::new([]);
    join(&fixture, &["a", "b", "c"]).await;
    let body = json!({"settings": {"number_of_shards": 4, "number_of_replicas": 1}});
    let made = fixture.root.admin().create_index("books", new(&body)).await;
    let before = made.expect("made").copies.clone();
    assert_eq!(before.len(), 4);
    assert!(before.iter().all(|copies| copies.len() == 2));
    let body = json!({"index": {"number_of_replicas": 2}});
    let options = ResolveOptions::default();
    let set = fixture
        .root
        .admin()
        .put_settings("books", &options, &body, false);
    set.await.expect("set");
    let state = fixture.root.cluster().state();
    let after = &state.index_named("books").expect("there").copies;
    for (before, after) in before.iter().zip(after) {
        assert_eq!((&after[..2], after.len()), (&before[..], 3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_normalizer_is_no_analyzer_and_an_analyzer_no_normalizer() {
    let fixture = Fixture::new([]);
    let options = ResolveOptions::default();
    let settings = json!({"analysis": {"normalizer": {"n": {"filter": ["lowercase"]}}}});
    let books = new(&json!({"settings": settings}));
    let made = fixture.root.admin().create_index("books", books).await;
    made.expect("made");
    for (field, reason) in [
        (
            json!({"type": "text", "analyzer": "n"}),
            "analyzer [n] has not been configured in mappings: [t]",
        ),
        (
            json!({"type": "text", "analyzer": "standard", "search_analyzer": "n"}),
            "analyzer [n] has not been configured in mappings: [t]",
        ),
        (
            json!({"type": "keyword", "normalizer": "standard"}),
            "normalizer [standard] not found for field [t]",
        ),
    ] {
        let body = json!({"properties": {"t": field}});
        let put = fixture
            .root
            .admin()
            .put_mapping("books", &options, &body, false);
        let refused = put.await.expect_err("no such name");
        assert_eq!(refused.to_string(), reason);
        let other = new(&json!({"settings": settings, "mappings": body}));
        let refused = fixture.root.admin().create_index("other", other).await;
        assert_eq!(refused.expect_err("no such name").to_string(), reason);
    }
    let body = json!({"properties": {"k": {"type": "keyword", "normalizer": "n"}}});
    let put = fixture
        .root
        .admin()
        .put_mapping("books", &options, &body, false);
    put.await.expect("it is a normalizer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_names_no_analyzer_of_the_index_is_refused() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    let options = ResolveOptions::default();
    let template = |analyzer: &str| {
        let mapping = json!({"type": "text", "analyzer": analyzer});
        json!({"dynamic_templates": [{"t": {"match": "body*", "mapping": mapping}}]})
    };
    for (analyzer, is_taken) in [("my_missing", false), ("english", true), ("{name}", true)] {
        let body = template(analyzer);
        let put = fixture
            .root
            .admin()
            .put_mapping("index-1", &options, &body, false);
        assert_eq!(put.await.is_ok(), is_taken, "{analyzer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_between_values_are_bounded() {
    let fixture = Fixture::new([]);
    for (gap, reason) in [
        (json!(-1), "must be a number from 0, but was [-1]"),
        (json!(10_001), "must be at most [10000], but was [10001]"),
    ] {
        let analyzer = json!({"type": "standard", "position_increment_gap": gap});
        let body = json!({"settings": {"analysis": {"analyzer": {"far": analyzer}}}});
        let refused = fixture.root.admin().create_index("books", new(&body)).await;
        assert_eq!(
            refused.expect_err("no such gap").to_string(),
            format!("analyzer [far]: setting [position_increment_gap] {reason}")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_settings_are_preserved_in_whatever_shape_they_are_given() {
    let fixture = Fixture::new([index(1, &json!({}))]);
    let options = ResolveOptions::default();
    let put = async |body: Value, preserves: bool| {
        let put = fixture
            .root
            .admin()
            .put_settings("index-1", &options, &body, preserves);
        put.await.expect("set");
        let state = fixture.root.cluster().state();
        let settings = &state.index_named("index-1").expect("there").settings;
        settings.declared["index.refresh_interval"].clone()
    };
    assert_eq!(put(json!({"refresh_interval": "5s"}), false).await, "5s");
    for body in [
        json!({"refresh_interval": "9s"}),
        json!({"index.refresh_interval": "9s"}),
        json!({"index": {"refresh_interval": "9s"}}),
        json!({"settings": {"index": {"refresh_interval": "9s"}}}),
    ] {
        assert_eq!(put(body.clone(), true).await, "5s", "{body}");
    }
    let body = json!({"index": {"max_result_window": 7, "refresh_interval": "9s"}});
    assert_eq!(put(body, true).await, "5s");
    let state = fixture.root.cluster().state();
    let settings = &state.index_named("index-1").expect("there").settings;
    assert_eq!(settings.max_result_window, 7);
}
