//! What a request for terms asks for, by its parameters and by its body, which overrides them.

use std::ops::RangeInclusive;

use gleaner_query::json::ObjectReader;
use gleaner_root::read::GetRequest;
use gleaner_root::term_vectors::{TermFilter, TermVectorsRequest};
use serde_json::Value;

use crate::error::ApiError;
use crate::parameters::Parameters;

/// Most documents of one request: the terms of each may be many.
const MAX_DOCUMENTS: usize = 1_000;

/// What of each place of a term is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenForm {
    pub(super) positions: bool,
    pub(super) offsets: bool,
}

/// The terms of one document, and what of them is shown.
#[derive(Debug, Clone)]
pub(super) struct DocumentRequest {
    pub(super) request: TermVectorsRequest,
    pub(super) tokens: TokenForm,
    pub(super) version: Option<u64>,
    pub(super) version_type: Option<String>,
}

impl DocumentRequest {
    /// Reads what the URI says.
    pub(super) fn of_parameters(parameters: &Parameters) -> Result<Self, ApiError> {
        let flag = |name: &str, default: bool| -> Result<bool, ApiError> {
            Ok(parameters.flag(name)?.unwrap_or(default))
        };
        Ok(Self {
            request: TermVectorsRequest {
                get: GetRequest {
                    routing: parameters.get("routing").map(str::to_owned),
                    realtime: flag("realtime", true)?,
                    ..GetRequest::default()
                },
                fields: parameters.list("fields"),
                field_statistics: flag("field_statistics", true)?,
                term_statistics: flag("term_statistics", false)?,
                ..TermVectorsRequest::default()
            },
            tokens: TokenForm {
                positions: flag("positions", true)?,
                offsets: flag("offsets", true)?,
            },
            version: parameters.number("version")?,
            version_type: parameters.get("version_type").map(str::to_owned),
        })
    }

    /// Reads an object, which overrides what was read before.
    pub(super) fn read(&mut self, body: &Value) -> Result<(), ApiError> {
        let mut reader = ObjectReader::part("termvectors", body)?;
        let request = &mut self.request;
        if let Some(index) = reader.text("_index")? {
            request.get.index = index;
        }
        if let Some(id) = reader.text("_id")? {
            request.get.id = id;
        }
        if let Some(routing) = reader.text("routing")?.or(reader.text("_routing")?) {
            request.get.routing = Some(routing);
        }
        if let Some(fields) = reader.texts("fields")? {
            request.fields = Some(fields);
        }
        let flags = [
            ("field_statistics", &mut request.field_statistics),
            ("term_statistics", &mut request.term_statistics),
            ("positions", &mut self.tokens.positions),
            ("offsets", &mut self.tokens.offsets),
        ];
        for (name, place) in flags {
            *place = reader.boolean(name)?.unwrap_or(*place);
        }
        reader.boolean("payloads")?;
        if let Some(version) = reader.integer("version")? {
            self.version = expected_version(version)?;
        }
        if let Some(version_type) = reader.text("version_type")? {
            self.version_type = Some(version_type);
        }
        if let Some(document) = reader.take("doc") {
            if !document.is_object() {
                return Err(ApiError::parse("[doc] must be an object"));
            }
            request.artificial = Some(document.clone());
        }
        if let Some(analyzers) = reader.take("per_field_analyzer") {
            let no_object = || ApiError::parse("[per_field_analyzer] must be an object");
            for (field, analyzer) in analyzers.as_object().ok_or_else(no_object)? {
                let Some(analyzer) = analyzer.as_str() else {
                    let reason = format!("[per_field_analyzer] of [{field}] must be a name");
                    return Err(ApiError::parse(reason));
                };
                request.analyzers.insert(field.clone(), analyzer.to_owned());
            }
        }
        if let Some(filter) = reader.take("filter") {
            request.filter = Some(term_filter(filter)?);
        }
        reader.finish()?;
        Ok(())
    }

    /// Refuses what names no document.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        let mut reasons = Vec::new();
        if self.request.get.index.is_empty() {
            reasons.push("index is missing".to_owned());
        }
        if self.request.get.id.is_empty() && self.request.artificial.is_none() {
            reasons.push("id is missing".to_owned());
        }
        match reasons.is_empty() {
            true => Ok(()),
            false => Err(ApiError::validation(&reasons)),
        }
    }
}

/// Reads which terms are kept.
fn term_filter(value: &Value) -> Result<TermFilter, ApiError> {
    let mut reader = ObjectReader::part("filter", value)?;
    let mut number = |name: &'static str| -> Result<Option<u64>, ApiError> {
        let wrong = |_| ApiError::illegal(format!("[{name}] must be 0 or more"));
        let given = reader.integer(name)?;
        given
            .map(|given| u64::try_from(given).map_err(wrong))
            .transpose()
    };
    let mut between = |least, most| -> Result<RangeInclusive<u64>, ApiError> {
        let least = number(least)?.unwrap_or(0);
        Ok(least..=number(most)?.unwrap_or(u64::MAX))
    };
    let mut filter = TermFilter {
        term_freq: between("min_term_freq", "max_term_freq")?,
        doc_freq: between("min_doc_freq", "max_doc_freq")?,
        word_length: between("min_word_length", "max_word_length")?,
        ..TermFilter::default()
    };
    if *filter.word_length.end() == 0 {
        // 0 is no bound.
        filter.word_length = *filter.word_length.start()..=u64::MAX;
    }
    if let Some(most) = number("max_num_terms")? {
        filter.max_num_terms = usize::try_from(most).unwrap_or(usize::MAX);
    }
    reader.finish()?;
    Ok(filter)
}

/// Returns the version that a document is to have; `-3` is any, as clients write it that expect none.
fn expected_version(version: i64) -> Result<Option<u64>, ApiError> {
    if version == -3 {
        return Ok(None);
    }
    let wrong = |_| ApiError::illegal(format!("illegal version value [{version}]"));
    u64::try_from(version).map(Some).map_err(wrong)
}

/// Several documents, as a body names them: `docs`, or `ids` with `parameters` that hold for all of them. Each is read
/// again when its turn comes, as what holds for all of them may be large.
pub(super) struct Documents<'a> {
    defaults: DocumentRequest,
    ids: Vec<String>,
    docs: &'a [Value],
}

impl<'a> Documents<'a> {
    /// Reads a body; all of its documents are checked.
    pub(super) fn read(
        defaults: &DocumentRequest,
        body: Option<&'a Value>,
        ids: Option<Vec<String>>,
    ) -> Result<Self, ApiError> {
        let mut defaults = defaults.clone();
        let mut ids = ids.unwrap_or_default();
        let mut docs: &[Value] = &[];
        if let Some(body) = body {
            let mut reader = ObjectReader::part("mtermvectors", body)?;
            if let Some(more) = reader.texts("ids")? {
                ids.extend(more);
            }
            if let Some(parameters) = reader.take("parameters") {
                defaults.read(parameters)?;
            }
            if let Some(given) = reader.take("docs") {
                let not_a_list = || ApiError::parse("[docs] must be a list");
                docs = given.as_array().ok_or_else(not_a_list)?;
            }
            reader.finish()?;
        }
        let documents = Self {
            defaults,
            ids,
            docs,
        };
        let number = documents.len();
        if number == 0 {
            let reason = "multi term vectors: no documents requested";
            return Err(ApiError::validation(&[reason.to_owned()]));
        }
        if number > MAX_DOCUMENTS {
            return Err(ApiError::illegal(format!(
                "too many documents: [{number}], at most [{MAX_DOCUMENTS}]"
            )));
        }
        (0..number).try_for_each(|at| documents.get(at)?.check())?;
        Ok(documents)
    }

    /// Returns how many they are.
    pub(super) fn len(&self) -> usize {
        self.ids.len() + self.docs.len()
    }

    /// Returns the document at `at`; those of `ids` stand first.
    pub(super) fn get(&self, at: usize) -> Result<DocumentRequest, ApiError> {
        let mut document = self.defaults.clone();
        match self.ids.get(at) {
            Some(id) => document.request.get.id.clone_from(id),
            None => document.read(&self.docs[at - self.ids.len()])?,
        }
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn defaults() -> DocumentRequest {
        let parameters = Parameters::parse(Some("fields=a,b&offsets=false&routing=r"));
        let mut document =
            DocumentRequest::of_parameters(&parameters.expect("well formed")).expect("read");
        document.request.get.index = "books".to_owned();
        document
    }

    #[test]
    fn a_document_stands_over_what_holds_for_all() {
        let body = json!({
            "ids": ["1"],
            "parameters": {"term_statistics": true},
            "docs": [{"_id": "2", "_index": "other", "fields": "c", "offsets": true}],
        });
        let documents = Documents::read(&defaults(), Some(&body), None).expect("read");
        assert_eq!(documents.len(), 2);
        let read = |at| documents.get(at).expect("it was checked");
        let (first, second) = (read(0), read(1));
        assert_eq!(
            (&*first.request.get.index, &*first.request.get.id),
            ("books", "1")
        );
        assert_eq!(
            (&*second.request.get.index, &*second.request.get.id),
            ("other", "2")
        );
        assert!(first.request.term_statistics && second.request.term_statistics);
        assert!(!first.tokens.offsets && second.tokens.offsets);
        assert_eq!(second.request.fields, Some(vec!["c".to_owned()]));
        assert_eq!(second.request.get.routing.as_deref(), Some("r"));
    }

    #[test]
    fn a_document_may_be_expected_in_one_version() {
        for (version, expected) in [(json!(2), Some(2)), (json!(-3), None)] {
            let body = json!({"docs": [{"_id": "1", "version": version}]});
            let read = Documents::read(&defaults(), Some(&body), None).expect("read");
            assert_eq!(read.get(0).expect("checked").version, expected);
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for body in [
            json!({}),
            json!({"docs": [{}]}),
            json!({"docs": {}}),
            json!({"docs": [{"_id": "1", "unheard_of": 1}]}),
            json!({"docs": [{"_id": "1", "filter": {"max_num_terms": -3}}]}),
            json!({"docs": [{"_id": "1", "filter": {"max_terms": 3}}]}),
            json!({"docs": [{"doc": "text"}]}),
            json!({"docs": [{"_id": "1", "version": -1}]}),
            json!({"docs": [{"_id": "1", "per_field_analyzer": ["english"]}]}),
        ] {
            assert!(
                Documents::read(&defaults(), Some(&body), None).is_err(),
                "{body}"
            );
        }
    }

    #[test]
    fn what_holds_for_all_is_not_kept_for_each() {
        let ids: Vec<String> = (0..=MAX_DOCUMENTS).map(|n| n.to_string()).collect();
        let (few, many) = (json!({"ids": ids[1..]}), json!({"ids": ids}));
        let few = Documents::read(&defaults(), Some(&few), None).expect("read");
        assert_eq!(few.len(), MAX_DOCUMENTS);
        let refused = Documents::read(&defaults(), Some(&many), None);
        assert!(refused.is_err_and(|error| error.reason().contains("too many documents")));
    }
}
