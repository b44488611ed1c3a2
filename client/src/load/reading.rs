//! Reads inputs one after another on a thread of its own, and fills batches.

use std::sync::Arc;

use anyhow::{Context, Result};
use gleaner_datasets::{
    Corpus, DatasetError, Document, Input, Progress, Size,
    read::{self, Format, bulk},
};

use super::{
    batch::{LoadStopped, Refusal, RefusedSource, SharedBatcher},
    identity::Identity,
    inputs::InputFile,
    record::{Place, Record},
    report::Meter,
};

/// How documents are made of what is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadOptions {
    pub(crate) id_field: Option<String>,
    pub(crate) routing_field: Option<String>,
}

/// One input, and where to begin in it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) content: Content,
    /// Makes ids for documents that have none.
    pub(crate) identity: Option<Identity>,
    /// Documents at the start that are settled; `None` when all of them are.
    pub(crate) from: Option<u64>,
}

/// What documents come from.
#[derive(Debug)]
pub(crate) enum Content {
    File(InputFile),
    Corpus(Corpus),
}

/// The inputs of a load.
#[derive(Debug)]
pub(crate) struct LoadReader {
    pub(crate) sources: Vec<Source>,
    pub(crate) options: ReadOptions,
    pub(crate) meter: Arc<Meter>,
}

/// What a reader gives.
enum Item {
    Document(Document),
    Operation(bulk::Operation),
}

type Items = Box<dyn Iterator<Item = Result<Item, DatasetError>>>;

impl LoadReader {
    /// Reads everything; blocks while batches are not taken. Ends early when nobody takes them.
    ///
    /// # Errors
    /// What cannot be read any further; what was read before it has been handed over.
    pub(crate) fn run(self, batcher: &SharedBatcher) -> Result<()> {
        let _finishing = Finishing(batcher);
        let Self {
            sources,
            options,
            meter,
        } = self;
        for (input, source) in sources.into_iter().enumerate() {
            let read = read_source(input, source, &options, &meter, batcher);
            match read {
                Ok(Ok(())) => {}
                Ok(Err(LoadStopped)) => return Ok(()),
                // Whoever takes batches hears of the error after them.
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Hands over what is left when the reading ends, however it does.
struct Finishing<'a>(&'a SharedBatcher);

impl Drop for Finishing<'_> {
    fn drop(&mut self) {
        // A receiver that has gone knows why.
        drop(self.0.lock().finish());
    }
}

fn read_source(
    input: usize,
    source: Source,
    options: &ReadOptions,
    meter: &Meter,
    batcher: &SharedBatcher,
) -> Result<Result<(), LoadStopped>> {
    let Source {
        content,
        identity,
        from,
    } = source;
    let Some(from) = from else {
        if let Content::File(file) = &content {
            meter.end_input(file.num_bytes.unwrap_or_default());
        }
        return Ok(Ok(()));
    };
    let (items, progress, size) = open(content, options)?;
    let mut position = 0;
    for item in items {
        let place = Place { input, position };
        position += 1;
        meter.set_current(progress.get());
        let next = match item {
            Err(error) if error.is_fatal() => {
                return Err(error).context("the input cannot be read to its end");
            }
            _ if place.position < from => continue,
            Err(error) => Err(Refusal {
                place,
                reason: told(&error),
                what: RefusedSource::Text(error.text().map(str::to_owned)),
            }),
            Ok(item) => record(item, place, identity.as_ref(), options),
        };
        if let Err(stopped) = batcher.lock().push(next) {
            return Ok(Err(stopped));
        }
    }
    batcher.lock().end_input(input, position);
    meter.end_input(match size {
        Size::Bytes(amount) | Size::Documents(amount) => amount,
        Size::Unknown => progress.get(),
    });
    Ok(Ok(()))
}

fn open(content: Content, options: &ReadOptions) -> Result<(Items, Progress, Size)> {
    let file = match content {
        Content::Corpus(corpus) => return Ok(of_corpus(corpus)),
        Content::File(file) => file,
    };
    let input = match &file.path {
        Some(path) => Input::open(path)?,
        None => Input::from_reader("stdin", Size::Unknown, std::io::stdin())
            .context("cannot read standard input")?,
    };
    let read_options = read::Options {
        id_field: options.id_field.clone(),
        ..read::Options::default()
    };
    if file.format == Format::Bulk {
        let (progress, size) = (input.progress(), input.size());
        let operations = bulk::operations(input, &read_options);
        return Ok((
            Box::new(operations.map(|next| next.map(Item::Operation))),
            progress,
            size,
        ));
    }
    Ok(of_corpus(read::documents(input, file.format, read_options)))
}

fn of_corpus(corpus: Corpus) -> (Items, Progress, Size) {
    let (progress, size) = (corpus.progress(), corpus.size());
    (
        Box::new(corpus.map(|next| next.map(Item::Document))),
        progress,
        size,
    )
}

fn record(
    item: Item,
    place: Place,
    identity: Option<&Identity>,
    options: &ReadOptions,
) -> Result<Record, Refusal> {
    match item {
        Item::Operation(operation) => Ok(Record::of_operation(operation, place, identity)),
        Item::Document(document) => {
            Record::of_document(document, place, identity, options.routing_field.as_deref())
        }
    }
}

/// Words a fault with its causes.
fn told(error: &DatasetError) -> String {
    if let DatasetError::Json { text, .. } = error
        && text.trim_start().starts_with('[')
    {
        return format!("{error}; an array of documents is read with --format json");
    }
    match std::error::Error::source(error) {
        // Most messages hold their cause already.
        Some(cause) if !error.to_string().contains(&cause.to_string()) => {
            format!("{error}: {cause}")
        }
        _ => error.to_string(),
    }
}
