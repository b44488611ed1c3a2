//! The command line as a whole.

use clap::ArgAction;

use crate::{
    completions::CompletionsArguments, dataset::DatasetArguments, index::IndexArguments,
    man::ManArguments, search::SearchArguments,
};

/// A distributed document-search engine that speaks the REST dialect you already use.
#[derive(Debug, clap::Parser)]
#[command(name = "gleaner", version, propagate_version = true)]
pub(crate) struct Arguments {
    /// Say more on standard error; -vv says even more
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Index(IndexArguments),
    Search(SearchArguments),
    Dataset(DatasetArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
}
