//! One JSON object a line. A bad line is one error; the next line is read as if nothing had been.

use std::iter;

use super::{Options, lines::Lines};
use crate::{DatasetError, Document, Input, object};

pub(super) fn documents(
    input: Input,
    options: Options,
) -> impl Iterator<Item = Result<Document, DatasetError>> + Send {
    let mut lines = Lines::new(input, options.max_document_bytes);
    iter::from_fn(move || next(&mut lines, options.id_field.as_deref()))
}

fn next(lines: &mut Lines, id_field: Option<&str>) -> Option<Result<Document, DatasetError>> {
    let text = match lines.next_filled()? {
        Ok(text) => text.to_owned(),
        Err(error) => return Some(Err(error)),
    };
    Some(object::document(&text, id_field, || lines.place()))
}
