//! `filters` of `_field_caps`: kinds of fields that are left out.

use crate::error::ApiError;

/// A kind of field that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Metadata,
    /// An object, which has fields below it.
    Parent,
    MultiField,
    /// A nested object, or a field in one.
    Nested,
    /// Any other.
    Value,
}

/// Which kinds are told of.
#[derive(Debug, Default)]
pub(super) struct Filters {
    left_out: Vec<Kind>,
    is_metadata_alone: bool,
}

impl Filters {
    /// Reads a list such as `-parent,-metadata`.
    ///
    /// # Errors
    /// 400 naming a word that is no filter.
    pub(super) fn parse(words: &[String]) -> Result<Self, ApiError> {
        let mut filters = Self::default();
        for word in words {
            match word.as_str() {
                // A plus that is not escaped is a space in a URI.
                "+metadata" | "metadata" => filters.is_metadata_alone = true,
                "-metadata" => filters.left_out.push(Kind::Metadata),
                "-parent" => filters.left_out.push(Kind::Parent),
                "-multifield" => filters.left_out.push(Kind::MultiField),
                "-nested" => filters.left_out.push(Kind::Nested),
                other => {
                    let reason = format!("Unknown field caps filter [{other}]");
                    return Err(ApiError::illegal(reason));
                }
            }
        }
        Ok(filters)
    }

    /// Returns whether fields of a kind are told of.
    pub(super) fn keep(&self, kind: Kind) -> bool {
        let is_asked = !self.is_metadata_alone || kind == Kind::Metadata;
        is_asked && !self.left_out.contains(&kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(words: &[&str]) -> Result<Vec<Kind>, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let filters = Filters::parse(&words).map_err(|error| error.reason().to_owned())?;
        let kinds = [
            Kind::Metadata,
            Kind::Parent,
            Kind::MultiField,
            Kind::Nested,
            Kind::Value,
        ];
        Ok(kinds
            .into_iter()
            .filter(|kind| filters.keep(*kind))
            .collect())
    }

    #[test]
    fn kinds_are_left_out_by_name() {
        use Kind::{Metadata, MultiField, Nested, Parent, Value};
        let all = vec![Metadata, Parent, MultiField, Nested, Value];
        assert_eq!(kept(&[]), Ok(all));
        assert_eq!(
            kept(&["-parent", "-nested"]),
            Ok(vec![Metadata, MultiField, Value])
        );
        assert_eq!(
            kept(&["-metadata", "-multifield"]),
            Ok(vec![Parent, Nested, Value])
        );
        assert_eq!(kept(&["+metadata"]), Ok(vec![Metadata]));
        let unknown = Err("Unknown field caps filter [-fields]".to_owned());
        assert_eq!(kept(&["-fields"]), unknown);
    }
}
