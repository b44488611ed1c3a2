//! The terms that tell most of a document (`_termvectors` with `filter`), by the numbers of all shards.

use anyhow::{Context, Result, ensure};
use gleaner_datasets::Random;
use gleaner_root::read::GetRequest;
use gleaner_root::term_vectors::{TermFilter, TermVectorsRequest};
use gleaner_testkit::{Node, run};
use serde_json::json;

use crate::alike::{pick, words};
use crate::layout::LAYOUTS;

/// Documents whose terms are asked for in every layout: reduced, and in full.
const NUM_DOCUMENTS: (usize, usize) = (10, 100);

/// Compares the terms of documents that are in no index, to the bits of their scores.
pub(crate) async fn compare(node: &Node, random: &mut Random) -> Result<()> {
    for _ in 0..run::sized(NUM_DOCUMENTS.0, NUM_DOCUMENTS.1) {
        let request = draw(random);
        let (first, others) = LAYOUTS.split_first().context("there are layouts")?;
        let expected = told(node, first.name, &request).await?;
        for layout in others {
            let found = told(node, layout.name, &request).await?;
            ensure!(
                found == expected,
                "seed {}, {}: {request:?}\n{found}\n{}: {expected}",
                run::seed(),
                layout.name,
                first.name
            );
        }
    }
    Ok(())
}

/// Returns the terms and the numbers that they were chosen by, as they are shown for debugging.
async fn told(node: &Node, index: &str, request: &TermVectorsRequest) -> Result<String> {
    let request = TermVectorsRequest {
        get: GetRequest {
            index: index.to_owned(),
            ..GetRequest::default()
        },
        ..request.clone()
    };
    let found = node.root.reader().term_vectors(&request).await;
    let found = found.with_context(|| format!("{request:?}"))?;
    Ok(format!("{:?} {:?}", found.fields, found.statistics))
}

fn draw(random: &mut Random) -> TermVectorsRequest {
    let document = json!({
        "title": words(random, 4),
        "body": words(random, 30),
        "once": words(random, 20),
        "flat": words(random, 5),
        "labels": words(random, 5).split(' ').collect::<Vec<_>>(),
    });
    TermVectorsRequest {
        artificial: Some(document),
        field_statistics: random.chance(1, 2),
        term_statistics: random.chance(1, 2),
        filter: Some(TermFilter {
            max_num_terms: pick(random, &[1, 3, 25]),
            term_freq: pick(random, &[0, 2])..=u64::MAX,
            doc_freq: pick(random, &[0..=u64::MAX, 2..=60]),
            ..TermFilter::default()
        }),
        ..TermVectorsRequest::default()
    }
}
