//! Term vectors, splits and writes that wait for copies, over several leaves.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gleaner_model::ActiveShards;
use gleaner_query::settings::Resize;
use gleaner_root::RootOptions;
use gleaner_root::ingest::IngestOptions;
use gleaner_root::origin::Origin;
use gleaner_root::read::GetRequest;
use gleaner_root::resize::ResizeRequest;
use gleaner_root::term_vectors::{TermVectors, TermVectorsRequest};
use gleaner_testkit::{Cluster, node};
use serde_json::json;

use crate::{INDEX, answer, documents, filled, index_body, searches};

async fn vectors(cluster: &Cluster, id: &str) -> Result<TermVectors> {
    let request = TermVectorsRequest {
        get: GetRequest {
            index: INDEX.to_owned(),
            id: id.to_owned(),
            realtime: true,
            ..GetRequest::default()
        },
        fields: Some(vec!["t*".to_owned()]),
        field_statistics: true,
        term_statistics: true,
        ..TermVectorsRequest::default()
    };
    Ok(cluster.root.reader().term_vectors(&request).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_terms_are_the_same_on_any_number_of_leaves() -> Result<()> {
    let id = documents()[3].0.clone();
    let one = filled(1, 1, 0).await?;
    let expected = vectors(&one, &id).await?;
    ensure!(expected.fields.len() >= 2, "{expected:?}");
    for (num_leaves, shards, replicas) in [(2, 3, 0), (3, 7, 1)] {
        let cluster = filled(num_leaves, shards, replicas).await?;
        let found = vectors(&cluster, &id).await?;
        assert_eq!(found.statistics, expected.statistics, "{num_leaves} leaves");
        for (path, vector) in &found.fields {
            assert_eq!(vector.terms, expected.fields[path].terms, "{path}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_index_answers_as_its_source() -> Result<()> {
    let cluster = filled(3, 2, 1).await?;
    let admin = cluster.root.admin();
    let block = json!({"index.blocks.write": true});
    let options = gleaner_query::names::ResolveOptions::default();
    admin.put_settings(INDEX, &options, &block, false).await?;
    let request = ResizeRequest {
        how: Resize::Split,
        source: INDEX.to_owned(),
        target: "split".to_owned(),
        body: json!({"settings": {"index.number_of_shards": 6}}),
    };
    let made = cluster.root.resize(request, &Origin::default()).await?;
    assert_eq!(made.settings.number_of_shards, 6);
    assert_eq!(made.copies.len(), 6);
    for search in searches() {
        let expected = answer(&cluster.search(INDEX, &search).await?);
        let found = answer(&cluster.search("split", &search).await?);
        assert_eq!(found, expected, "{search}");
    }
    let names = cluster.root.cluster().state();
    assert_eq!(names.indices.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_waits_for_copies_of_leaves_that_are_there() -> Result<()> {
    let cluster = Cluster::start(2, RootOptions::default()).await?;
    cluster.create(INDEX, &index_body(1, 1)).await?;
    let write = async |id: &str, wanted: ActiveShards| {
        let options = IngestOptions {
            active_shards: Some(wanted),
            timeout: Some(Duration::from_secs(if id == "late" { 1 } else { 60 })),
            ..IngestOptions::default()
        };
        let item = node::item(INDEX, id, &json!({"title": "a"}));
        let mut results = cluster.root.ingester().ingest(vec![item], &options).await;
        let result = results.pop().context("an answer")?;
        Ok::<Result<(), String>, anyhow::Error>(
            result.outcome.map(drop).map_err(|error| error.to_string()),
        )
    };
    for wanted in [
        ActiveShards::ONE,
        ActiveShards::AtLeast(2),
        ActiveShards::All,
    ] {
        let written = write("a", wanted).await?;
        ensure!(written == Ok(()), "{wanted}: {written:?}");
    }
    let state = cluster.root.cluster().state();
    let index = state.index_named(INDEX).context("the index")?;
    let replica = index.copies[0][1].clone();
    let leaf = cluster.leaves.iter().find(|leaf| leaf.id == replica);
    leaf.context("its leaf")?.crash().await;
    // What is acknowledged without it was taken out of the set before.
    let written = write("a", ActiveShards::ONE).await?;
    ensure!(written == Ok(()), "{written:?}");
    let refused = write("late", ActiveShards::All).await?;
    let reason = refused.err().unwrap_or_default();
    ensure!(reason.contains("(have 1, needed 2)"), "{reason}");
    let written = write("a", ActiveShards::ONE).await?;
    ensure!(written == Ok(()), "{written:?}");
    for (id, is_there) in [("a", true), ("late", false)] {
        let request = GetRequest {
            index: INDEX.to_owned(),
            id: id.to_owned(),
            realtime: true,
            ..GetRequest::default()
        };
        let found = cluster.root.reader().get(&request).await?;
        assert_eq!(found.document.is_some(), is_there, "{id}");
    }
    Ok(())
}
