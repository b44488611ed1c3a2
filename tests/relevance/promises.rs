//! What the catalog of collections promises of those that are not built in, held to the files.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use gleaner_datasets::beir::Beir;
use gleaner_datasets::catalog::{self, Sources};
use gleaner_testkit::{run, skipped};

use crate::NO_SCIFACT;

/// Opens a shared collection in the folder `data`, and counts its documents.
fn count(name: &str, data: &Path) -> Result<usize> {
    let sources = Sources {
        data: Some(data.to_path_buf()),
        cargo_home: None,
        seed: 1,
        num_documents: 0,
    };
    let mut count = 0;
    for document in catalog::open(name, &sources)? {
        document?.id.context("a document has an id")?;
        count += 1;
    }
    Ok(count)
}

#[test]
fn the_shared_collections_have_the_documents_that_are_promised() -> Result<()> {
    let promised = [
        ("scifact", "scifact", 5_183),
        ("access-logs", "access_logs.jsonl.zst", 10_499),
    ];
    for (name, file, num_documents) in promised {
        let Some(path) = run::shared_data(file) else {
            let test = "relevance::the_shared_collections_have_the_documents_that_are_promised";
            return skipped(test, &format!("no `{file}` in the shared data"));
        };
        let data = path.parent().context("it is in a folder")?;
        let found = count(name, data)?;
        ensure!(found == num_documents, "{name}: {found} documents");
    }
    Ok(())
}

#[test]
fn scifact_has_the_judgements_that_are_promised() -> Result<()> {
    let Some(folder) = run::shared_data("scifact") else {
        let test = "relevance::scifact_has_the_judgements_that_are_promised";
        return skipped(test, NO_SCIFACT);
    };
    let scifact = Beir::open(&folder)?;
    let (queries, judgements) = (scifact.queries()?, scifact.judgements()?);
    ensure!(queries.len() == 300, "{} queries", queries.len());
    let found = (judgements.num_grades(), judgements.queries().count());
    ensure!(found == (339, 300), "{found:?} grades and queries");
    Ok(())
}
