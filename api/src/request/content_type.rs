//! Which types of bodies are read: JSON and lines of JSON, under the names clients give them.

use http::{HeaderMap, StatusCode, header};

use crate::error::ApiError;

/// Returns the `Content-Type` header.
pub(super) fn of(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| refused("not text"))?;
    Ok(Some(text.trim()).filter(|text| !text.is_empty()))
}

/// Refuses a body without a type.
pub(super) fn check_present(headers: &HeaderMap) -> Result<(), ApiError> {
    match of(headers)? {
        Some(_) => Ok(()),
        None => Err(missing()),
    }
}

/// Types that are read, with or without parameters.
const KNOWN: [&str; 6] = [
    "application/json",
    "application/x-ndjson",
    "application/*",
    "application/vnd.elasticsearch+json",
    "application/vnd.elasticsearch+x-ndjson",
    "application/vnd.opensearch+json",
];

/// Refuses what is not JSON or lines of JSON in UTF-8.
pub(super) fn check(text: &str) -> Result<(), ApiError> {
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let is_known = KNOWN
        .iter()
        .any(|known| essence.eq_ignore_ascii_case(known));
    if !is_known {
        return Err(refused(text));
    }
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim_matches('"').to_ascii_lowercase();
        let is_fine = match name.to_ascii_lowercase().as_str() {
            "charset" => value == "utf-8",
            "compatible-with" => matches!(value.as_str(), "7" | "8" | "9"),
            _ => true,
        };
        if !is_fine {
            return Err(refused(text));
        }
    }
    Ok(())
}

/// Returns the refusal of a body that does not say what it is.
fn missing() -> ApiError {
    not_acceptable("Content-Type header is missing".to_owned())
}

fn refused(text: &str) -> ApiError {
    not_acceptable(format!("Content-Type header [{text}] is not supported"))
}

fn not_acceptable(reason: String) -> ApiError {
    ApiError::new(
        StatusCode::NOT_ACCEPTABLE,
        "media_type_header_exception",
        reason,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_under_all_its_names_is_read() {
        for text in [
            "application/json",
            "application/json; charset=UTF-8",
            "application/x-ndjson",
            "application/vnd.elasticsearch+json; compatible-with=8",
            "application/vnd.elasticsearch+json;compatible-with=9",
            "application/vnd.elasticsearch+x-ndjson; compatible-with=7",
        ] {
            assert!(check(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_body_without_a_type_is_told_so() {
        for headers in [
            HeaderMap::new(),
            HeaderMap::from_iter([(header::CONTENT_TYPE, http::HeaderValue::from_static(" "))]),
        ] {
            let error = check_present(&headers).expect_err("refused");
            assert_eq!(error.status, StatusCode::NOT_ACCEPTABLE);
            assert_eq!(error.reason(), "Content-Type header is missing");
        }
    }

    #[test]
    fn other_types_are_406() {
        for text in [
            "application/smile",
            "application/cbor",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/json; charset=latin1",
            "application/vnd.elasticsearch+json; compatible-with=6",
        ] {
            let error = check(text).expect_err(text);
            assert_eq!(error.status, StatusCode::NOT_ACCEPTABLE, "{text}");
        }
    }
}
