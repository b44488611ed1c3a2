//! `gleaner completions`: what a shell needs to complete our flags.

use std::io::stdout;

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::{arguments::Arguments, exit::Exit};

/// Print completions for a shell.
///
/// For bash: `gleaner completions bash > ~/.local/share/bash-completion/completions/gleaner`
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

/// Runs the command.
pub(crate) fn run(arguments: &CompletionsArguments) -> Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "gleaner",
        &mut text,
    );
    std::io::Write::write_all(&mut stdout(), &text)?;
    Ok(Exit::Success)
}
