//! What a request names: indices, documents, conditions.

use gleaner_model::{PrimaryTerm, SeqNo, Version};
use gleaner_proto::write::Condition;
use gleaner_query::names::{NewName, ResolveOptions, expand_date_math};
use gleaner_query::search::{SearchRequest, SourceFilter, apply_uri_parameters};
use gleaner_root::ingest::{IngestOptions, RefreshPolicy};
use gleaner_root::plan::Target;

use super::Request;
use crate::error::ApiError;
use crate::security::{AUTO_CREATE, GIVEN};

impl Request {
    /// Returns the index expression of the path with dates put in; `None` is all.
    pub(crate) fn expression(&self) -> Result<Option<String>, ApiError> {
        self.reading().expression()
    }

    /// Returns the one index or alias of the path, with dates put in.
    pub(crate) fn index_name(&self) -> Result<String, ApiError> {
        Ok(expand_date_math(
            self.required_part("index")?,
            self.root().cluster().now_ms(),
        )?)
    }

    /// Returns the name in the path of an index that is to be made.
    pub(crate) fn new_index_name(&self) -> Result<NewName, ApiError> {
        let now_ms = self.root().cluster().now_ms();
        let mut name = NewName::read(self.required_part("index")?, now_ms)?;
        // Where rights were looked at, dates are put in already.
        if let Some(given) = self.part(GIVEN) {
            name.provided = Some(given.to_owned());
        }
        Ok(name)
    }

    /// Returns which indices the request names.
    pub(crate) fn target(&self) -> Result<Target, ApiError> {
        self.target_with(ResolveOptions::default())
    }

    /// Returns which indices the request names, under a route's own defaults.
    pub(crate) fn target_with(&self, defaults: ResolveOptions) -> Result<Target, ApiError> {
        self.reading().target_with(defaults)
    }

    /// Returns what of `_source` the URI asks for; `None` when it says nothing.
    pub(crate) fn source_filter(&self) -> Result<Option<SourceFilter>, ApiError> {
        let is_source =
            |name: &str| name.starts_with("_source") && name != "_source_exclude_vectors";
        let pairs: Vec<_> = self
            .parameters
            .pairs()
            .iter()
            .filter(|(name, _)| is_source(name))
            .cloned()
            .collect();
        if pairs.is_empty() {
            return Ok(None);
        }
        let mut request = SearchRequest::default();
        apply_uri_parameters(&mut request, &pairs, &self.root().cluster().limits())?;
        Ok(Some(request.source))
    }

    /// Returns what holds for the writes of the request.
    pub(crate) fn ingest_options(&self) -> Result<IngestOptions, ApiError> {
        Ok(IngestOptions {
            refresh: refresh_policy(self.parameters.get("refresh"))?,
            timeout: self.parameters.time("timeout")?,
            idempotency_key: None,
            active_shards: self.parameters.active_shards()?,
            new_name: self.dated_name()?,
        })
    }

    /// Returns the name in the path for an index that a write may make, where it has date math that its sender may use on
    /// other days too.
    fn dated_name(&self) -> Result<Option<NewName>, ApiError> {
        let given = self.part(GIVEN).or_else(|| self.part("index"));
        if given.is_none_or(|given| !given.starts_with('<')) {
            return Ok(None);
        }
        let name = self.new_index_name()?;
        let name = name.keep_date_math_if(|any| self.may_name(&AUTO_CREATE, any));
        Ok(name.provided.is_some().then_some(name))
    }

    /// Returns what must hold for the document that the request writes.
    pub(crate) fn condition(&self) -> Result<Condition, ApiError> {
        let parameters = &self.parameters;
        WriteConditions {
            seq_no: parameters.number("if_seq_no")?,
            term: parameters.number("if_primary_term")?,
            version: parameters.number("version")?,
            version_type: parameters.get("version_type"),
        }
        .condition()
    }
}

/// Reads a `refresh` parameter.
pub(crate) fn refresh_policy(text: Option<&str>) -> Result<RefreshPolicy, ApiError> {
    match text {
        None | Some("false") => Ok(RefreshPolicy::None),
        Some("true" | "") => Ok(RefreshPolicy::Immediate),
        Some("wait_for") => Ok(RefreshPolicy::WaitFor),
        Some(other) => Err(ApiError::illegal(format!(
            "Unknown value for refresh: [{other}]."
        ))),
    }
}

/// Conditions of a write as given, by parameters or on a bulk's action line.
#[derive(Debug, Default)]
pub(crate) struct WriteConditions<'a> {
    pub(crate) seq_no: Option<i64>,
    pub(crate) term: Option<i64>,
    pub(crate) version: Option<i64>,
    pub(crate) version_type: Option<&'a str>,
}

impl WriteConditions<'_> {
    /// Returns the condition, or why the parts do not go together.
    pub(crate) fn condition(&self) -> Result<Condition, ApiError> {
        let invalid = |reason: &str| Err(ApiError::validation(&[reason.to_owned()]));
        match (self.seq_no, self.term) {
            (None, None) => {}
            (Some(seq_no), Some(term)) => {
                if self.version.is_some() {
                    return invalid("compare and write operations can not use versioning");
                }
                let seq_no = u64::try_from(seq_no).map_err(|_| {
                    ApiError::illegal(format!(
                        "sequence numbers must be non negative. got [{seq_no}]."
                    ))
                })?;
                let term = u64::try_from(term)
                    .ok()
                    .filter(|term| *term > 0)
                    .ok_or_else(|| {
                        ApiError::illegal(format!(
                            "primary term must be non negative. got [{term}]"
                        ))
                    })?;
                return Ok(Condition::Is {
                    seq_no: SeqNo(seq_no),
                    term: PrimaryTerm(term),
                });
            }
            (Some(_), None) => return invalid("ifSeqNo is set, but primary term is [0]"),
            (None, Some(term)) => {
                return invalid(&format!(
                    "ifSeqNo is unassigned, but primary term is [{term}]"
                ));
            }
        }
        self.versioned()
    }

    fn versioned(&self) -> Result<Condition, ApiError> {
        let invalid = |reason: String| Err(ApiError::validation(&[reason]));
        let version = match self.version {
            None => None,
            Some(version) => match u64::try_from(version) {
                Ok(version) => Some(Version(version)),
                Err(_) => {
                    let kind = self.version_type.unwrap_or("internal").to_uppercase();
                    return invalid(format!(
                        "illegal version value [{version}] for version type [{kind}]"
                    ));
                }
            },
        };
        match (self.version_type, version) {
            (None | Some("internal"), None) => Ok(Condition::None),
            (None | Some("internal"), Some(_)) => invalid(
                "internal versioning can not be used for optimistic concurrency control. Please \
                 use `if_seq_no` and `if_primary_term` instead"
                    .to_owned(),
            ),
            (Some("external" | "external_gt"), Some(version)) => {
                Ok(Condition::ExternalGreater(version))
            }
            (Some("external_gte"), Some(version)) => Ok(Condition::ExternalGreaterOrEqual(version)),
            (Some(kind @ ("external" | "external_gt" | "external_gte")), None) => invalid(format!(
                "illegal version value [-3] for version type [{}]",
                kind.to_uppercase()
            )),
            (Some(other), _) => Err(ApiError::illegal(format!(
                "No version type match [{other}]"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_or_refused() {
        let is = WriteConditions {
            seq_no: Some(3),
            term: Some(1),
            ..WriteConditions::default()
        };
        let read = Condition::Is {
            seq_no: SeqNo(3),
            term: PrimaryTerm(1),
        };
        assert_eq!(is.condition().ok(), Some(read));
        let external = WriteConditions {
            version: Some(5),
            version_type: Some("external"),
            ..WriteConditions::default()
        };
        assert_eq!(
            external.condition().ok(),
            Some(Condition::ExternalGreater(Version(5)))
        );
        for wrong in [
            WriteConditions {
                seq_no: Some(3),
                ..WriteConditions::default()
            },
            WriteConditions {
                term: Some(3),
                ..WriteConditions::default()
            },
            WriteConditions {
                version: Some(3),
                ..WriteConditions::default()
            },
            WriteConditions {
                version: Some(-3),
                version_type: Some("external"),
                ..WriteConditions::default()
            },
            WriteConditions {
                version_type: Some("force"),
                ..WriteConditions::default()
            },
        ] {
            assert!(wrong.condition().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_empty_refresh_is_true() {
        assert_eq!(
            refresh_policy(Some("")).ok(),
            Some(RefreshPolicy::Immediate)
        );
        assert_eq!(
            refresh_policy(Some("wait_for")).ok(),
            Some(RefreshPolicy::WaitFor)
        );
        assert!(refresh_policy(Some("yes")).is_err());
    }
}
