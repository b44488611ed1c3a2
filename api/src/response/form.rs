//! The form of an answer: which parts of it are sent, and how they are printed.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header};

use super::buffer::{Buffer, KeepOn};
use super::filter_path::FilterPath;
use super::making::AnswerMaker;
use super::tree::{Tree, Unwritten, rewrite};
use super::yaml;
use crate::error::ApiError;
use crate::parameters::Parameters;

/// The content type of JSON.
pub(super) const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

/// The form an answer is to have.
#[derive(Debug, Default, Clone)]
pub(crate) struct Form {
    filter: Option<Arc<FilterPath>>,
    is_pretty: bool,
    is_yaml: bool,
    is_json: bool,
}

impl Form {
    /// Reads the form from the URI and the `Accept` header.
    ///
    /// # Errors
    /// 400 for `format=cbor` and other forms that are not written.
    pub(crate) fn of(parameters: &Parameters, headers: &HeaderMap) -> Result<Self, ApiError> {
        let accept = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok());
        let accepted = accept
            .unwrap_or_default()
            .split([',', ';'])
            .next()
            .unwrap_or_default();
        let wanted = parameters.get("format").unwrap_or(match accepted.trim() {
            "application/yaml" => "yaml",
            "application/json" | "application/vnd.elasticsearch+json" => "json",
            "application/cbor" | "application/smile" => "cbor",
            _ => "",
        });
        let (is_yaml, is_json) = match &*wanted.to_ascii_lowercase() {
            "yaml" => (true, true),
            "json" => (false, true),
            "cbor" | "smile" => {
                let reason =
                    format!("responses as [{wanted}] are not supported, [json] and [yaml] are");
                return Err(ApiError::illegal(reason));
            }
            // `text` and the unknown: as the route has it.
            _ => (false, false),
        };
        let filter = parameters
            .get("filter_path")
            .map(FilterPath::parse)
            .transpose()?
            .filter(|f| !f.is_empty())
            .map(Arc::new);
        Ok(Self {
            filter,
            is_pretty: parameters.is_set("pretty")?,
            is_yaml,
            is_json,
        })
    }

    /// Whether the JSON goes out without white space, filtered or not.
    pub(crate) fn is_compact(&self) -> bool {
        !self.is_pretty && !self.is_yaml
    }

    /// Returns the type that JSON is sent as.
    pub(crate) fn media_type(&self) -> &'static str {
        if self.is_yaml { YAML } else { JSON }
    }

    /// Whether a table is to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Whether the answer is to be YAML.
    pub(crate) fn is_yaml(&self) -> bool {
        self.is_yaml
    }

    /// Returns the same form for an answer that is sent whole.
    pub(super) fn whole(&self) -> Self {
        Self {
            filter: None,
            ..self.clone()
        }
    }

    /// Returns what is sent of the answer; `None` is all of it.
    pub(crate) fn filter(&self) -> Option<&FilterPath> {
        self.filter.as_deref()
    }
}

/// A body with its content type.
pub(super) type Payload = (&'static str, Bytes);

/// Returns compact JSON in its form; as it is where there is no room or no time for that.
pub(super) async fn shaped_or_compact(bytes: Bytes, form: &Form, making: &AnswerMaker) -> Payload {
    let shaped = shaped(bytes.clone(), form, making).await;
    shaped.unwrap_or((JSON, bytes))
}

/// Filters and prints compact JSON as asked; numbers and texts stay as they are written. What cannot be read
/// is sent as it is.
///
/// # Errors
/// 429 when there is no memory for it, 503 when there is no time.
pub(super) async fn shaped(
    bytes: Bytes,
    form: &Form,
    making: &AnswerMaker,
) -> Result<Payload, ApiError> {
    let mut bytes = bytes;
    if let Some(filter) = &form.filter {
        let num_steps = bytes.len() * (1 + filter.num_words());
        let filter = Arc::clone(filter);
        let write = move |text: &str, out: &mut Buffer<'_>| filter.write_left(text, out);
        bytes = rewritten(bytes, num_steps, making, write).await?;
    }
    if form.is_yaml {
        let yaml = as_yaml(bytes.clone(), making).await?;
        return Ok(yaml.map_or((JSON, bytes), |yaml| (YAML, yaml)));
    }
    if form.is_pretty {
        let write = |text: &str, out: &mut Buffer<'_>| {
            rewrite(text, Some(0), out)?;
            Ok(out.push_str("\n")?)
        };
        let num_steps = bytes.len();
        bytes = rewritten(bytes, num_steps, making, write).await?;
    }
    Ok((JSON, bytes))
}

/// Returns what `write` makes of `bytes` in some `num_steps`, or those where it cannot read them.
async fn rewritten<F>(
    bytes: Bytes,
    num_steps: usize,
    making: &AnswerMaker,
    write: F,
) -> Result<Bytes, ApiError>
where
    F: FnOnce(&str, &mut Buffer<'_>) -> Result<(), Unwritten> + Send + 'static,
{
    let memory = making.memory.clone();
    let job = move |keep_on: KeepOn<'_>| {
        let mut out = Buffer::new(&memory, keep_on);
        let written = match std::str::from_utf8(&bytes) {
            Ok(text) => write(text, &mut out),
            Err(_) => Err(Unwritten::Unreadable),
        };
        match written {
            Ok(()) => out.finish(Ok(())),
            Err(Unwritten::Unreadable) => Ok(bytes),
            Err(Unwritten::Full(error)) => out.finish(Err(error)),
        }
    };
    making.work(num_steps, job).await?
}

/// Prints compact JSON as YAML; `None` where that cannot be.
async fn as_yaml(bytes: Bytes, making: &AnswerMaker) -> Result<Option<Bytes>, ApiError> {
    let memory = making.memory.clone();
    let num_bytes = bytes.len();
    let job = move |keep_on: KeepOn<'_>| {
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return Ok(None);
        };
        // Its lines are longer than compact JSON, which the room for the tree has room for.
        let _held = memory.reserve(Tree::num_bytes(text))?;
        let printed = Tree::read(text).and_then(|tree| yaml::to_yaml(&tree));
        let mut out = Buffer::new(&memory, keep_on);
        let Some(printed) = printed else {
            return Ok(None);
        };
        let written = out.push_str(&printed);
        out.finish(written).map(Some)
    };
    making.work(num_bytes, job).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_form_is_taken_in_any_case() {
        let form = |query| {
            let parameters = Parameters::parse(Some(query)).expect("well formed");
            Form::of(&parameters, &HeaderMap::new())
        };
        for (query, is_json, is_yaml) in [
            ("format=JSON", true, false),
            ("format=Yaml", true, true),
            ("format=TXT", false, false),
        ] {
            let form = form(query).expect("a form");
            assert_eq!(
                (form.is_json(), form.is_yaml()),
                (is_json, is_yaml),
                "{query}"
            );
        }
        assert!(form("format=CBOR").is_err());
    }
}
