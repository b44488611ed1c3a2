//! The flags of `gleaner index`.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use gleaner_client::load::{Flow, Limits, LoadOptions};
use gleaner_client::watch::WatchOptions;
use gleaner_datasets::read::Format;

use crate::{
    companion::CompanionArguments,
    config::{ByteSize, Span},
    exit,
    flags::{Given, refuse},
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
    index: String,
    /// Layout of the files; by default inferred from the file name, and ndjson for standard input
    #[arg(long, value_parser = formats(), env = "GLEANER_INDEX_FORMAT")]
    format: Option<Format>,
    /// Field whose value becomes the `_id`; a document without it is refused
    #[arg(long, value_name = "FIELD", env = "GLEANER_INDEX_ID_FIELD")]
    id_field: Option<String>,
    /// Field whose value becomes the routing; a document without it is refused
    #[arg(long, value_name = "FIELD", env = "GLEANER_INDEX_ROUTING_FIELD")]
    routing_field: Option<String>,
    /// Largest request, in bytes
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 5 * 1024 * 1024,
        env = "GLEANER_INDEX_BATCH_BYTES"
    )]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    batch_bytes: u64,
    /// Most documents in a request
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2_000,
        env = "GLEANER_INDEX_BATCH_DOCS"
    )]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    batch_docs: u64,
    /// Requests in flight; 1 keeps the order of operations
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        env = "GLEANER_INDEX_PARALLEL"
    )]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
    /// Seconds that a busy or failing server may accept nothing before the load stops
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 300,
        env = "GLEANER_INDEX_PATIENCE"
    )]
    patience: u64,
    /// File that remembers how far the load has come: the same command goes on from there.
    /// Documents without an id get one made of file and position, so none is doubled. Only one
    /// load at a time has it, by a lock on `FILE.lock` beside it, which stays
    #[arg(long, value_name = "FILE", env = "GLEANER_INDEX_CHECKPOINT")]
    checkpoint: Option<PathBuf>,
    /// File for refused documents, one JSON object a line: input, position, reason, action and
    /// document; what could not be read as a document has neither of the last two. What is in it
    /// stays
    #[arg(long, value_name = "FILE", env = "GLEANER_INDEX_DEAD_LETTER")]
    dead_letter: Option<PathBuf>,
    /// JSON file with the mappings and settings of the index, used when it does not exist yet
    #[arg(long, value_name = "FILE", env = "GLEANER_INDEX_CREATE_MAPPING")]
    create_mapping: Option<PathBuf>,
    /// Ingest pipeline on the server; `none` switches off an index's default one
    #[arg(long, value_name = "NAME", env = "GLEANER_INDEX_PIPELINE")]
    pipeline: Option<String>,
    /// Do not make the documents visible to searches at the end
    #[arg(long, env = "GLEANER_INDEX_NO_REFRESH")]
    no_refresh: bool,
    /// Show no progress
    #[arg(long, short, env = "GLEANER_INDEX_QUIET")]
    quiet: bool,
    #[command(flatten)]
    pub(super) watch: WatchArguments,
    #[command(flatten)]
    pub(super) companion: CompanionArguments,
    /// Files and folders; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// How often a folder is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// Bytes of the largest file that is followed.
const MAX_FILE: ByteSize = ByteSize(1 << 20);

/// Most files that are followed: a few kilobytes of git can name a thousand million paths.
const MAX_FILES: u64 = 1_000_000;

fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(["ndjson", "json", "csv", "tsv", "bulk"])
        .try_map(|name| name.parse::<Format>())
}

/// The flags of `--watch`.
// `IndexArguments::check` says which go together.
#[derive(Debug, clap::Args)]
pub(crate) struct WatchArguments {
    /// Follow a folder, or a git repository (bare or not): each text file is a document with its path, name, extension,
    /// size and content; changed files are written again and deleted ones disappear, until the command is stopped. It is
    /// a companion then: --probe-listen, --shutdown-grace, --log and --log-format are for it alone
    #[arg(long, env = "GLEANER_INDEX_WATCH")]
    pub(super) watch: bool,
    /// Branch, tag or other reference of the repository; a folder's files are taken as they lie without it
    #[arg(long = "ref", value_name = "REF", env = "GLEANER_INDEX_REF")]
    reference: Option<String>,
    /// Name under which the documents are told from those of other folders in the index [default: the path]
    #[arg(long, value_name = "NAME", env = "GLEANER_INDEX_SOURCE")]
    source: Option<String>,
    /// How often the folder is looked at [default: 1s]
    #[arg(long, value_name = "TIME", env = "GLEANER_INDEX_PERIOD")]
    period: Option<Span>,
    /// Largest file; larger ones are passed over [default: 1mb]
    #[arg(long, value_name = "BYTES", env = "GLEANER_INDEX_MAX_FILE")]
    max_file: Option<ByteSize>,
    /// Most files; a folder or commit with more is not followed [default: 1000000]
    #[arg(long, value_name = "N", env = "GLEANER_INDEX_MAX_FILES")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    max_files: Option<u64>,
    /// Follow a git repository that another user owns too; nothing of it is run
    #[arg(long, env = "GLEANER_INDEX_ANY_OWNER")]
    any_owner: bool,
    /// End after the first look, once the index holds what the folder holds
    #[arg(long, env = "GLEANER_INDEX_ONCE")]
    once: bool,
}

impl IndexArguments {
    /// Does the index follow a folder, as a companion of what writes there?
    pub(crate) fn is_companion(&self) -> bool {
        self.watch.watch
    }

    /// Checks that the flags go together.
    ///
    /// # Errors
    /// A flag of loads with `--watch`, or one of `--watch` without it.
    pub(super) fn check(&self) -> Result<()> {
        if self.is_companion() {
            let flags_of_loads = [
                Given::new("--format", self.format.is_some()),
                Given::new("--id-field", self.id_field.is_some()),
                Given::new("--routing-field", self.routing_field.is_some()),
                Given::new("--checkpoint", self.checkpoint.is_some()),
                Given::new("--dead-letter", self.dead_letter.is_some()),
                Given::new("--no-refresh", self.no_refresh),
            ];
            return refuse(&flags_of_loads, "with `--watch`");
        }
        let watch = &self.watch;
        let flags_of_watch = [
            Given::new("--ref", watch.reference.is_some()),
            Given::new("--source", watch.source.is_some()),
            Given::new("--period", watch.period.is_some()),
            Given::new("--max-file", watch.max_file.is_some()),
            Given::new("--max-files", watch.max_files.is_some()),
            Given::new("--any-owner", watch.any_owner),
            Given::new("--once", watch.once),
        ];
        refuse(&flags_of_watch, "without `--watch`")
    }

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

    /// Returns what the load is asked to do.
    pub(super) fn load(self) -> LoadOptions {
        LoadOptions {
            flow: self.flow(),
            index: self.index,
            files: self.files,
            format: self.format,
            id_field: self.id_field,
            routing_field: self.routing_field,
            patience: Duration::from_secs(self.patience),
            checkpoint: self.checkpoint,
            dead_letter: self.dead_letter,
            create_mapping: self.create_mapping,
            pipeline: self.pipeline,
            refreshes: !self.no_refresh,
            is_quiet: self.quiet,
        }
    }

    /// Returns what is followed into the index.
    ///
    /// # Errors
    /// More than one folder.
    pub(super) fn watch(&self) -> Result<WatchOptions> {
        let [folder] = self.files.as_slice() else {
            bail!("--watch follows one folder or repository");
        };
        let watch = &self.watch;
        Ok(WatchOptions {
            index: self.index.clone(),
            folder: folder.clone(),
            create_mapping: self.create_mapping.clone(),
            limits: self.flow().limits,
            reference: watch.reference.clone(),
            source: watch.source.clone(),
            period: watch.period.map_or(PERIOD, |period| period.0),
            max_file_bytes: watch.max_file.unwrap_or(MAX_FILE).0,
            max_files: watch.max_files.unwrap_or(MAX_FILES),
            any_owner: watch.any_owner,
            git_path: std::env::var_os("PATH"),
            once: watch.once,
            grace: self.companion.shutdown_grace.0,
        })
    }
}
