//! `gleaner man`: manual pages, made of the same flags.

use std::{fs, io::Write, io::stdout, path::PathBuf};

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_mangen::Man;

use crate::{arguments::Arguments, exit::Exit};

/// Print the manual page, or write one page per command into a folder.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArguments {
    /// Folder for the pages; printed when absent
    folder: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(arguments: &ManArguments) -> Result<Exit> {
    let command = Arguments::command();
    let Some(folder) = &arguments.folder else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        stdout().write_all(&page)?;
        return Ok(Exit::Success);
    };
    let failed = || format!("cannot write manual pages to `{}`", folder.display());
    fs::create_dir_all(folder).with_context(failed)?;
    clap_mangen::generate_to(command, folder).with_context(failed)?;
    Ok(Exit::Success)
}
