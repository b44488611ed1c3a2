//! Loads the documents of a corpus, which has no files to go on in.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use gleaner_datasets::Corpus;

use super::{
    delivery::{Delivery, Reasons},
    ledger::{InputName, Ledger},
    reading::{Content, LoadReader, ReadOptions, Source},
    report::{Meter, Reporter},
    run::{self, Books, End, Flow},
};
use crate::remote::Remote;

/// A corpus, and where it is loaded.
#[derive(Debug)]
pub struct CorpusLoad {
    /// The documents.
    pub corpus: Corpus,
    /// The index, which must be there.
    pub index: String,
    /// How much is sent at once.
    pub flow: Flow,
    /// How long a busy server may accept nothing before the load stops.
    pub patience: Duration,
    /// Is no progress shown?
    pub is_quiet: bool,
}

/// What a load of a corpus came to.
#[derive(Debug)]
pub struct LoadedCorpus {
    /// Documents that the server refused.
    pub num_refused: u64,
    /// Some of them, in words.
    pub examples: Vec<String>,
    /// How long it took, the refresh included.
    pub elapsed: Duration,
}

impl CorpusLoad {
    /// Loads the documents and makes them visible to searches; `None` when `interrupt` completed before.
    ///
    /// # Errors
    /// What stopped the load.
    pub async fn run(
        self,
        remote: &Remote,
        interrupt: impl Future<Output = ()>,
    ) -> Result<Option<LoadedCorpus>> {
        let reporter = Reporter::new(self.is_quiet);
        let input = InputName {
            shown: self.index.clone(),
            path: None,
        };
        let mut ledger = Ledger::new(vec![input], None, None);
        let delivery = Delivery {
            remote: remote.clone(),
            index: self.index.clone(),
            pipeline: None,
            load: format!("{:016x}", rand::random::<u64>()),
            inputs: Vec::new(),
            num_resent: 0,
            patience: self.patience,
            told: Reasons::default(),
        };
        let books = Books {
            ledger: &mut ledger,
            reporter: &reporter,
        };
        let end = run::run(reader(self.corpus), delivery, self.flow, books, interrupt).await?;
        if end == End::Interrupted {
            return Ok(None);
        }
        remote.refresh_index(&self.index).await?;
        Ok(Some(LoadedCorpus {
            elapsed: reporter.finish(),
            num_refused: ledger.refused(),
            examples: ledger.examples().to_vec(),
        }))
    }
}

fn reader(corpus: Corpus) -> LoadReader {
    let meter = Arc::new(Meter::of(corpus.size()));
    let source = Source {
        content: Content::Corpus(corpus),
        identity: None,
        from: Some(0),
    };
    LoadReader {
        sources: vec![source],
        options: ReadOptions::default(),
        meter,
    }
}
