//! The flags of `gleaner index`, and what they must not be together.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Result, bail, ensure};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use gleaner_datasets::read::Format;

use super::{
    batch::Limits,
    checkpoint,
    inputs::{InputFile, real_path},
    load::Flow,
    watch::WatchArguments,
};
use crate::{
    durable, exit,
    remote::{RemoteArguments, index_name},
};

/// Load documents from files, folders or standard input.
///
/// NDJSON, JSON arrays, CSV, TSV (without quoting: a quote is a character) and bulk-action files,
/// each plain, gzip or zstd. Requests that the server is too busy for are sent again after a wait,
/// and so are single documents that it rejected or failed at; documents that it refuses for what they
/// are go to the dead-letter file. An index that is blocked, closed or gone stops the load: none of its
/// documents is at fault.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::OF_INDEX)]
pub(crate) struct IndexArguments {
    #[command(flatten)]
    pub(super) remote: RemoteArguments,
    /// Name of the index
    #[arg(long, env = "GLEANER_INDEX", value_name = "NAME", value_parser = index_name)]
    pub(super) index: String,
    /// Layout of the files; by default told by their names, and ndjson for standard input
    #[arg(long, value_parser = formats())]
    pub(super) format: Option<Format>,
    /// Field whose value becomes the `_id`; a document without it is refused
    #[arg(long, value_name = "FIELD")]
    pub(super) id_field: Option<String>,
    /// Field whose value becomes the routing; a document without it is refused
    #[arg(long, value_name = "FIELD")]
    pub(super) routing_field: Option<String>,
    /// Largest request, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 5 * 1024 * 1024)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) batch_bytes: u64,
    /// Most documents in a request
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) batch_docs: u64,
    /// Requests in flight; 1 keeps the order of operations
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
    /// Seconds that a busy or failing server may accept nothing before the load stops
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(super) patience: u64,
    /// File that remembers how far the load has come: the same command goes on from there.
    /// Documents without an id get one made of file and position, so none is doubled. Only one
    /// load at a time has it, by a lock on `FILE.lock` beside it, which stays
    #[arg(long, value_name = "FILE")]
    pub(super) checkpoint: Option<PathBuf>,
    /// File for refused documents, one JSON object a line: input, position, reason, action and
    /// document; what could not be read as a document has neither of the last two. What is in it
    /// stays
    #[arg(long, value_name = "FILE")]
    pub(super) dead_letter: Option<PathBuf>,
    /// JSON file with the mappings and settings of the index, used when it does not exist yet
    #[arg(long, value_name = "FILE")]
    pub(super) create_mapping: Option<PathBuf>,
    /// Ingest pipeline on the server; `none` switches off an index's default one
    #[arg(long, value_name = "NAME")]
    pub(super) pipeline: Option<String>,
    /// Do not make the documents visible to searches at the end
    #[arg(long)]
    pub(super) no_refresh: bool,
    /// Show no progress
    #[arg(long, short)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) watch: WatchArguments,
    /// Files and folders; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["ndjson", "json", "csv", "tsv", "bulk"])
        .try_map(|name| name.parse::<Format>())
}

impl IndexArguments {
    /// Returns how much is sent at once.
    pub(super) fn flow(&self) -> Flow {
        let limits = Limits {
            num_records: usize::try_from(self.batch_docs).unwrap_or(usize::MAX),
            num_bytes: usize::try_from(self.batch_bytes).unwrap_or(usize::MAX),
        };
        Flow {
            parallel: usize::from(self.parallel),
            limits,
        }
    }

    /// Returns the files that the load writes, as absolute paths: they are no inputs.
    pub(super) fn own_files(&self) -> Vec<PathBuf> {
        let beside = self.checkpoint.as_deref().map(durable::beside);
        let lock = self.checkpoint.as_deref().map(checkpoint::lock_beside);
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
