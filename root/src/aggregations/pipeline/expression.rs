//! Arithmetic expressions over numbers of a bucket: `params.sales / params.visits`.
//!
//! Does: read the part of Painless and of Lucene's expressions that is arithmetic, comparison and logic
//! ([`reader`]), and hand it to `exmex`. Does not: know statements, loops or calls beyond a list of functions; those
//! are refused.

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

    /// Returns the numbers that the expression is of in a bucket; NaN for those that are missing.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] where a path leads to no number.
    pub(super) fn numbers(
        &self,
        bucket: &Bucket,
        gaps: GapPolicy,
    ) -> Result<Vec<f64>, EvaluationError> {
        let paths = self.script.paths.iter();
        paths
            .map(|(_, path)| value::in_bucket(bucket, path, gaps))
            .collect()
    }

    /// Returns the expression's number.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] where it gives none.
    pub(super) fn number(&self, numbers: &[f64]) -> Result<f64, EvaluationError> {
        match self.value(numbers)? {
            Val::Float(number) => Ok(number),
            Val::Bool(is_true) => Ok(f64::from(u8::from(is_true))),
            other => Err(self.refused(&format!("it gives {other:?}"))),
        }
    }

    /// Returns whether the expression holds; a number of Lucene's does where it is not 0.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] where one of Painless is no condition, but a number.
    pub(super) fn holds(&self, numbers: &[f64]) -> Result<bool, EvaluationError> {
        match self.value(numbers)? {
            Val::Bool(is_true) => Ok(is_true),
            Val::Float(number) if self.script.is_lucene => Ok(number != 0.0),
            Val::Float(number) => Err(EvaluationError::Query(format!(
                "script [{}] of [bucket_selector] must return a boolean, but returns the number [{number}]",
                self.script.source
            ))),
            other => Err(self.refused(&format!("it gives {other:?}"))),
        }
    }

    fn refused(&self, why: &str) -> EvaluationError {
        refused(&self.script.source, why)
    }

    fn value(&self, numbers: &[f64]) -> Result<Value, EvaluationError> {
        let variables = self.variables.iter();
        let values = variables.map(|at| Val::Float(numbers[*at]));
        let values: Vec<Value> = values.collect();
        match self.compiled.eval(&values) {
            Ok(Val::Error(error)) | Err(error) => Err(self.refused(&error.to_string())),
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
mod tests {
    use gleaner_query::aggregation::BucketPath;

    use super::*;

    fn script(source: &str) -> BucketScript {
        let path = |name: &str| {
            let path = BucketPath {
                text: name.to_owned(),
                steps: Vec::new(),
                property: None,
            };
            (name.to_owned(), path)
        };
        BucketScript {
            paths: vec![path("sales"), path("visits")],
            source: source.to_owned(),
            params: vec![("least".to_owned(), -2.5), ("visits".to_owned(), 9.0)],
            is_lucene: false,
        }
    }

    fn number(source: &str) -> Result<f64, EvaluationError> {
        Expression::new(&script(source))?.number(&[3.0, 2.0])
    }

    #[test]
    fn arithmetic_is_that_of_fractions() {
        for (source, wanted) in [
            ("params.sales / params.visits", 1.5),
            ("params['sales'] * 100", 300.0),
            ("sales / visits * 100", 150.0),
            ("5 / 2 + -params.sales", -0.5),
            ("return Math.sqrt(params.visits * 8);", 4.0),
            ("(params.sales - 1) * (2)", 4.0),
            ("params.sales - 2 + 3", 4.0),
            ("2 - params.sales - 4", -5.0),
            ("100 / 10 / 5 * params.visits", 4.0),
            ("7 % 4 * 2 + params.sales % params.visits", 7.0),
            ("-params.sales * 2 - -(params.visits + 1)", -3.0),
            ("-Math.abs(1 - params.sales * 2) + Math.log10(100)", -3.0),
            ("1e3 + 2.5E-1 - 1e+2d", 900.25),
            ("Math.pow(params.sales, params.visits) * 2", 18.0),
            ("-Math.max(params.sales, Math.min(7, pow(2, 2)))", -4.0),
            ("Math.floor(2.7) + Math.ceil(2.1) + Math.round(-2.5)", 3.0),
            ("Math.exp(0) + Math.log(Math.E) + Math.sqrt(4)", 4.0),
            // Of the two that have the name, that of the bucket.
            ("params.least * params.visits - least", -2.5),
            ("params.sales > 2 && true ? 1 : 0", 1.0),
            ("(params.sales < 2 ? 10 : 20) + 1", 21.0),
            ("sales > 5 ? 1 : sales > 2 ? visits > 5 ? 2 : 3 : 4", 3.0),
            ("sales > 5 ? sales > 2 ? 1 : 2 : 4", 4.0),
        ] {
            assert_eq!(number(source).expect(source), wanted, "{source}");
        }
    }

    #[test]
    fn conditions_hold_or_do_not() {
        let holds = |source: &str| {
            let script = script(source);
            let expression = Expression::new(&script).expect("a condition");
            expression.holds(&[3.0, 2.0]).expect("it is one")
        };
        assert!(holds("params.sales > 2"));
        assert!(holds("params.sales >= 3 && params.visits != 3"));
        assert!(!holds("params.sales == 4 || params.visits < 2"));
    }

    #[test]
    fn operators_bind_as_those_of_java() {
        let buckets = [("hat", 30.0, 2.0), ("shirt", 70.0, 2.0), ("bag", 55.5, 1.0)];
        for (source, wanted) in [
            ("params.a > 20 && params.a < 65", vec!["hat", "bag"]),
            ("params.n == 2 && params.a > 40", vec!["shirt"]),
            ("params.a > 20 && params.a != 70", vec!["hat", "bag"]),
            ("params.a >= 60.5 || params.a == 30.0", vec!["hat", "shirt"]),
            // `&&` comes before `||`, on either side of it.
            ("a == 30 || n == 2 && a > 90", vec!["hat"]),
            ("n == 1 && a > 90 || a == 30", vec!["hat"]),
            ("(a == 30 || n == 2) && a > 40", vec!["shirt"]),
            // `==` comes after `<`, and before `&&`.
            ("a > 40 == n < 2", vec!["hat", "bag"]),
            ("n == 2 == a < 40 && a > 1 + 20 * 2", vec!["bag"]),
            ("!(a > 40) || !!(n == 1)", vec!["hat", "bag"]),
            (
                "!(a > 40 && n == 2) && a - 5 * 2 > 20 - 5",
                vec!["hat", "bag"],
            ),
            (
                "Math.abs(a - 60) < 5 || -n < -1 && a % 7 == 0",
                vec!["shirt", "bag"],
            ),
        ] {
            let mut script = script(source);
            script.paths[0].0 = "a".to_owned();
            script.paths[1].0 = "n".to_owned();
            let expression = Expression::new(&script).expect(source);
            let kept = buckets.iter().filter(|(_, a, n)| {
                let holds = expression.holds(&[*a, *n]);
                holds.expect(source)
            });
            let kept: Vec<&str> = kept.map(|(name, _, _)| *name).collect();
            assert_eq!(kept, wanted, "{source}");
        }
    }

    #[test]
    fn a_number_is_no_condition() {
        for (source, number) in [("params.sales", "[1]"), ("params.sales - 1", "[0]")] {
            let mut script = script(source);
            let expression = Expression::new(&script).expect(source);
            let error = expression.holds(&[1.0, 2.0]).expect_err(source).to_string();
            assert!(error.contains("must return a boolean"), "{error}");
            assert!(error.contains(number), "{error}");
            script.is_lucene = true;
            let expression = Expression::new(&script).expect(source);
            let holds = expression.holds(&[1.0, 2.0]).expect(source);
            assert_eq!(holds, number == "[1]", "{source}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_by_name() {
        for (source, named) in [
            ("params.other", "other"),
            ("def x = 1; x", "def"),
            ("System.exit(1)", "System"),
            ("fact(3)", "fact"),
            ("5 & 2", "&"),
            ("5 = 2", "="),
            ("1 + (2 > 1)", "a condition stands"),
            ("1 && 2 > 1", "a number stands"),
            ("!1", "a number stands"),
            ("(2 > 1) == 1", "compared with a condition"),
            ("1 ? 2 : 3", "a number stands"),
            ("* params.sales params.visits", "[*]"),
            ("(params.sales)(* params.visits)", "[(]"),
            ("params.sales params.visits", "[p]"),
            ("2 > 1 ? 2", "[:] is missing"),
            ("2 > 1 ? : 3", "something is missing"),
            ("(2 > 1", "[)] is missing"),
            ("2)", "[)]"),
            ("pow(2)", "[,] is missing"),
            ("abs(2, 3)", "[)] is missing"),
            ("1e999", "1e999"),
            ("Math.random()", "random"),
            ("'a'", "'"),
            ("", "script []"),
            (&"(".repeat(100), "deep"),
        ] {
            let error = number(source).expect_err(source).to_string();
            assert!(error.contains(named), "{source}: {error}");
        }
    }
}
