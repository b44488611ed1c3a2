//! Arithmetic expressions over numbers of a bucket: `params.sales / params.visits`.
//!
//! Does: read the part of Painless and of Lucene's expressions that is arithmetic, comparison and logic
//! ([`reader`]), and hand it to `exmex`. Does not: know statements beyond `if` and `return`, loops or calls beyond a
//! list of functions; those are refused.

mod operators;
mod reader;

use exmex::{Express, FlatEx, Val, ValMatcher};
use gleaner_partial::EvaluationError;
use gleaner_query::aggregation::{BucketScript, GapPolicy};
use gleaner_query::answer::Bucket;

use self::operators::{Operators, Value};
use self::reader::Reader;
use super::value;

/// An expression as it is evaluated.
type Compiled = FlatEx<Value, Operators, ValMatcher>;

/// An expression that is ready to be evaluated.
pub(super) struct Expression<'a> {
    script: &'a BucketScript,
    compiled: Compiled,
    /// Which of the script's paths each variable of the compiled expression is.
    variables: Vec<usize>,
}

impl<'a> Expression<'a> {
    /// Reads the expression of a script.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] for what is no such expression, by name.
    pub(super) fn new(script: &'a BucketScript) -> Result<Self, EvaluationError> {
        let source = &script.source;
        let text = Reader::new(script).read()?;
        let compiled =
            Compiled::parse(&text).map_err(|error| refused(source, &error.to_string()))?;
        let place = |name: &String| name.strip_prefix('v').and_then(|at| at.parse().ok());
        let variables: Option<Vec<usize>> = compiled.var_names().iter().map(place).collect();
        Ok(Self {
            script,
            variables: variables.ok_or_else(|| refused(source, "it names what it has not"))?,
            compiled,
        })
    }

    /// Returns the numbers that the expression is of in a bucket: NaN for those that are missing, `None` where a
    /// pipeline made nothing. The latter is `null` under each gap policy, as in Elasticsearch
    /// (`BucketHelpers.resolveBucketValue`).
    ///
    /// # Errors
    /// [`EvaluationError::Query`] where a path leads to no number.
    pub(super) fn numbers(
        &self,
        bucket: &Bucket,
        gaps: GapPolicy,
    ) -> Result<Vec<Option<f64>>, EvaluationError> {
        let numbers = self.script.paths.iter().map(|(_, path)| {
            let is_there = value::is_there(bucket, path);
            let number = is_there.then(|| value::in_bucket(bucket, path, gaps));
            number.transpose()
        });
        numbers.collect()
    }

    /// Returns the expression's number; `None` for `null`.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] where it computes with what is no number.
    pub(super) fn number(&self, numbers: &[Option<f64>]) -> Result<Option<f64>, EvaluationError> {
        match self.value(numbers)? {
            Val::None => Ok(None),
            Val::Float(number) => Ok(Some(number)),
            Val::Bool(is_true) => Ok(Some(f64::from(u8::from(is_true)))),
            other => Err(self.refused(&format!("it gives {other:?}"))),
        }
    }

    /// Returns whether the expression holds; a number of Lucene's does where it is not 0.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] where it is `null`, or one of Painless that is no condition, but a number.
    pub(super) fn holds(&self, numbers: &[Option<f64>]) -> Result<bool, EvaluationError> {
        match self.value(numbers)? {
            Val::Bool(is_true) => Ok(is_true),
            Val::Float(number) if self.script.is_lucene => Ok(number != 0.0),
            Val::Float(number) => Err(self.no_condition(&format!("the number [{number}]"))),
            Val::None => Err(self.no_condition("[null]")),
            other => Err(self.refused(&format!("it gives {other:?}"))),
        }
    }

    fn no_condition(&self, returned: &str) -> EvaluationError {
        EvaluationError::Query(format!(
            "script [{}] of [bucket_selector] must return a boolean, but returns {returned}",
            self.script.source
        ))
    }

    fn refused(&self, why: &str) -> EvaluationError {
        refused(&self.script.source, why)
    }

    fn value(&self, numbers: &[Option<f64>]) -> Result<Value, EvaluationError> {
        let variables = self.variables.iter();
        let values = variables.map(|at| numbers[*at].map_or(Val::None, Val::Float));
        let values: Vec<Value> = values.collect();
        match self.compiled.eval(&values) {
            Ok(Val::Error(error)) | Err(error) => Err(EvaluationError::Query(format!(
                "script [{}] cannot be evaluated: {error}",
                self.script.source
            ))),
            Ok(value) => Ok(value),
        }
    }
}

fn refused(source: &str, why: &str) -> EvaluationError {
    EvaluationError::Query(format!(
        "script [{source}] is not supported: only arithmetic expressions of [params] are ({why})"
    ))
}

#[cfg(test)]
mod tests;
