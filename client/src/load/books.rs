//! The books of a load are opened: what was done before, and where each input begins.

use std::sync::Arc;

use anyhow::{Context, Result};

use super::{
    checkpoint::{Checkpoint, Task},
    dead_letter::DeadLetters,
    identity::Identity,
    inputs::{InputFile, real_path},
    ledger::{InputName, Ledger},
    options::LoadOptions,
    reading::{Content, LoadReader, ReadOptions, Source},
    report::Meter,
};
use crate::remote::Remote;

/// Reads the checkpoint, if there is one, and says where each input begins.
pub(super) fn open(
    options: &LoadOptions,
    inputs: Vec<InputFile>,
    remote: &Remote,
) -> Result<(LoadReader, Ledger, String)> {
    let limits = options.flow.limits;
    let task = Task {
        url: remote.address().to_owned(),
        index: options.index.clone(),
        format: options
            .format
            .map_or("auto".to_owned(), |format| format!("{format:?}")),
        id_field: options.id_field.clone(),
        routing_field: options.routing_field.clone(),
        batch_docs: Some(limits.num_records as u64),
        batch_bytes: Some(limits.num_bytes as u64),
    };
    let fresh = || Checkpoint::new(format!("{:016x}", rand::random::<u64>()), task.clone());
    let mut checkpoint = match &options.checkpoint {
        Some(path) => Checkpoint::read(path, &task)?.unwrap_or_else(fresh),
        None => fresh(),
    };
    let total = inputs
        .iter()
        .map(|input| input.num_bytes)
        .sum::<Option<u64>>();
    let mut names = Vec::new();
    let mut sources = Vec::new();
    for file in inputs {
        names.push(InputName {
            shown: file.shown.clone(),
            path: file.path.clone(),
        });
        sources.push(source(
            file,
            options.checkpoint.as_ref().map(|_| &mut checkpoint),
        )?);
    }
    let load = checkpoint.load.clone();
    // Only one with a checkpoint may go on.
    let resumable = options.checkpoint.as_ref().map(|_| load.as_str());
    let letters = options.dead_letter.as_ref().map(|path| {
        let path = real_path(path);
        let known_bytes = checkpoint.letters_in(&path);
        DeadLetters::open(&path, resumable, known_bytes)
    });
    let letters = letters.transpose()?;
    let kept = options.checkpoint.clone().map(|path| (path, checkpoint));
    let read_options = ReadOptions {
        id_field: options.id_field.clone(),
        routing_field: options.routing_field.clone(),
    };
    let reading = LoadReader {
        sources,
        options: read_options,
        meter: Arc::new(Meter::new(total)),
    };
    let mut ledger = Ledger::new(names, kept, letters);
    // A checkpoint that cannot be written is better known before the first document.
    ledger.save()?;
    Ok((reading, ledger, load))
}

fn source(file: InputFile, checkpoint: Option<&mut Checkpoint>) -> Result<Source> {
    let (identity, from) = match (&file.path, checkpoint) {
        (Some(path), Some(checkpoint)) => {
            let identity =
                Identity::of_file(path).with_context(|| format!("cannot open `{}`", file.shown))?;
            let from = checkpoint.resume(path, &identity)?;
            (Some(identity), from)
        }
        _ => (None, Some(0)),
    };
    Ok(Source {
        content: Content::File(file),
        identity,
        from,
    })
}
