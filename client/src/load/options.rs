//! What a load is asked to do, and what its parts must not be together.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use anyhow::{Result, bail, ensure};
use gleaner_datasets::read::Format;
use gleaner_machine::{durable, lock};

use super::{
    inputs::{InputFile, real_path},
    run::Flow,
};

/// What a load is asked to do.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Name of the index.
    pub index: String,
    /// Files and folders; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// Layout of the files; `None` goes by their names, and is NDJSON for standard input.
    pub format: Option<Format>,
    /// Field whose value becomes the `_id`; a document without it is refused.
    pub id_field: Option<String>,
    /// Field whose value becomes the routing; a document without it is refused.
    pub routing_field: Option<String>,
    /// How much is sent at once.
    pub flow: Flow,
    /// How long a busy or failing server may accept nothing before the load stops.
    pub patience: Duration,
    /// File that remembers how far the load has come.
    pub checkpoint: Option<PathBuf>,
    /// File for refused documents.
    pub dead_letter: Option<PathBuf>,
    /// JSON file with the mappings and settings of an index that is not there yet.
    pub create_mapping: Option<PathBuf>,
    /// Ingest pipeline on the server; `none` switches off an index's default one.
    pub pipeline: Option<String>,
    /// Are the documents made visible to searches at the end?
    pub refreshes: bool,
    /// Is no progress shown?
    pub is_quiet: bool,
}

impl LoadOptions {
    /// Returns the files that the load writes, as absolute paths: they are no inputs.
    pub(super) fn own_files(&self) -> Vec<PathBuf> {
        let beside = self.checkpoint.as_deref().map(durable::beside);
        let lock = self.checkpoint.as_deref().map(lock::beside);
        let own = [&self.checkpoint, &beside, &lock, &self.dead_letter];
        own.into_iter()
            .flatten()
            .map(|path| real_path(path))
            .collect()
    }

    /// Refuses combinations that cannot mean anything.
    pub(super) fn check(&self, inputs: &[InputFile]) -> Result<()> {
        let has_bulk = inputs.iter().any(|input| input.format == Format::Bulk);
        ensure!(
            !has_bulk || (self.id_field.is_none() && self.routing_field.is_none()),
            "a bulk file says ids and routing on its action lines: leave out --id-field and \
             --routing-field"
        );
        // What has no size is standard input or another pipe.
        let pipe = inputs.iter().find(|input| input.num_bytes.is_none());
        if let Some(pipe) = pipe.filter(|_| self.checkpoint.is_some()) {
            let shown = &pipe.shown;
            bail!("`{shown}` cannot be read again: a load with --checkpoint needs files");
        }
        let own = self.own_files();
        for file in &own {
            let is_input = inputs.iter().any(|input| input.path.as_ref() == Some(file));
            ensure!(
                !is_input,
                "`{}` is an input, and --checkpoint or --dead-letter would write to it: give them \
                 files of their own",
                file.display()
            );
        }
        let names: BTreeSet<&PathBuf> = own.iter().collect();
        ensure!(
            names.len() == own.len(),
            "--checkpoint and --dead-letter name one file: give each its own"
        );
        Ok(())
    }
}
