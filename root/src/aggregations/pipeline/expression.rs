//! Arithmetic expressions over numbers of a bucket: `params.sales / params.visits`.
//!
//! Does: read the part of Painless and of Lucene's expressions that is arithmetic, comparison and logic, and
//! hand it to `exmex`. Does not: know statements, loops or calls beyond a list of functions; those are refused.

mod operators;

use exmex::{Express, FlatEx, Val, ValMatcher};
use gleaner_partial::EvaluationError;
use gleaner_query::aggregation::{BucketPath, GapPolicy};
use gleaner_query::answer::Bucket;

use self::operators::{Operators, Value};
use super::value;

/// Functions that an expression may call.
const FUNCTIONS: [&str; 16] = [
    "abs", "acos", "asin", "atan", "cbrt", "ceil", "cos", "exp", "floor", "ln", "log", "log10",
    "round", "sin", "sqrt", "tan",
];

/// Most brackets that stand within each other.
const MAX_DEPTH: usize = 64;

/// An expression as it is evaluated.
type Compiled = FlatEx<Value, Operators, ValMatcher>;

/// An expression that is ready to be evaluated.
pub(super) struct Expression<'a> {
    source: &'a str,
    paths: &'a [(String, BucketPath)],
    compiled: Compiled,
    /// Which of `paths` each variable of the compiled expression is.
    variables: Vec<usize>,
}

impl<'a> Expression<'a> {
    /// Reads `source`, whose variables are named in `paths`.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] for what is no such expression, by name.
    pub(super) fn new(
        source: &'a str,
        paths: &'a [(String, BucketPath)],
    ) -> Result<Self, EvaluationError> {
        let text = Reader {
            source,
            paths,
            rest: source.trim(),
        }
        .read()?;
        let compiled =
            Compiled::parse(&text).map_err(|error| refused(source, &error.to_string()))?;
        let place = |name: &String| name.strip_prefix('v').and_then(|at| at.parse().ok());
        let variables: Option<Vec<usize>> = compiled.var_names().iter().map(place).collect();
        Ok(Self {
            source,
            paths,
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
        let paths = self.paths.iter();
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
            other => Err(refused(self.source, &format!("it gives {other:?}"))),
        }
    }

    /// Returns whether the expression holds.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] where it is no condition, but a number.
    pub(super) fn holds(&self, numbers: &[f64]) -> Result<bool, EvaluationError> {
        match self.value(numbers)? {
            Val::Bool(is_true) => Ok(is_true),
            Val::Float(number) => Err(EvaluationError::Query(format!(
                "script [{}] of [bucket_selector] must return a boolean, but returns the number [{number}]",
                self.source
            ))),
            other => Err(refused(self.source, &format!("it gives {other:?}"))),
        }
    }

    fn value(&self, numbers: &[f64]) -> Result<Value, EvaluationError> {
        let variables = self.variables.iter();
        let values = variables.map(|at| Val::Float(numbers[*at]));
        let values: Vec<Value> = values.collect();
        match self.compiled.eval(&values) {
            Ok(Val::Error(error)) | Err(error) => Err(refused(self.source, &error.to_string())),
            Ok(value) => Ok(value),
        }
    }
}

fn refused(source: &str, why: &str) -> EvaluationError {
    EvaluationError::Query(format!(
        "script [{source}] is not supported: only arithmetic expressions of [params] are ({why})"
    ))
}

/// Reads an expression word by word, into the form that is compiled.
struct Reader<'a> {
    source: &'a str,
    paths: &'a [(String, BucketPath)],
    rest: &'a str,
}

impl Reader<'_> {
    fn read(mut self) -> Result<String, EvaluationError> {
        let source = self.source;
        self.rest = self.rest.trim_end_matches(';').trim_end();
        if let Some(rest) = self.rest.strip_prefix("return ") {
            self.rest = rest;
        }
        let (mut text, mut depth) = (String::new(), 0_usize);
        while let Some(next) = self.rest.chars().next() {
            match next {
                ' ' | '\n' | '\t' | '\r' => self.skip(next),
                '0'..='9' | '.' => text.push_str(&self.number()?),
                'a'..='z' | 'A'..='Z' | '_' => text.push_str(&self.word()?),
                '(' => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(refused(source, "its brackets are too deep"));
                    }
                    text.push('(');
                    self.skip(next);
                }
                ')' => {
                    depth = depth.saturating_sub(1);
                    text.push(')');
                    self.skip(next);
                }
                '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' | '!' | '&' | '|' => {
                    text.push_str(&format!(" {} ", self.operator()?));
                }
                other => return Err(refused(source, &format!("[{other}]"))),
            }
        }
        Ok(text)
    }

    fn skip(&mut self, next: char) {
        self.rest = &self.rest[next.len_utf8()..];
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Reads a number, always a fraction: divisions are those of fractions.
    fn number(&mut self) -> Result<String, EvaluationError> {
        let source = self.source;
        let digits = self.take(|c| c.is_ascii_digit() || c == '.');
        let number: Option<f64> = digits.parse().ok();
        let number = number.ok_or_else(|| refused(source, &format!("[{digits}]")))?;
        // Java's suffixes of types.
        if let Some(rest) = self.rest.strip_prefix(['L', 'l', 'd', 'D', 'f', 'F']) {
            self.rest = rest;
        }
        let text = number.to_string();
        Ok(match text.contains('.') {
            true => text,
            false => format!("{text}.0"),
        })
    }

    fn operator(&mut self) -> Result<String, EvaluationError> {
        let source = self.source;
        const LONG: [&str; 6] = ["<=", ">=", "==", "!=", "&&", "||"];
        if let Some(long) = LONG.iter().find(|long| self.rest.starts_with(**long)) {
            self.rest = &self.rest[long.len()..];
            return Ok((*long).to_owned());
        }
        let short = &self.rest[..1];
        self.rest = &self.rest[1..];
        match short {
            "+" | "-" | "*" | "/" | "%" | "<" | ">" | "!" => Ok(short.to_owned()),
            other => Err(refused(source, &format!("[{other}]"))),
        }
    }

    /// Reads a name: of a number in [params], or of a function.
    fn word(&mut self) -> Result<String, EvaluationError> {
        let source = self.source;
        let word = self
            .take(|c| c.is_ascii_alphanumeric() || c == '_')
            .to_owned();
        if word == "params" {
            let name = self.parameter();
            let name = name.ok_or_else(|| refused(source, "[params] without a name"))?;
            return self.variable(&name);
        }
        if word == "Math" && self.rest.starts_with('.') {
            self.rest = &self.rest[1..];
            return self.word();
        }
        let is_call = self.rest.trim_start().starts_with('(');
        match (is_call, FUNCTIONS.contains(&word.as_str())) {
            (true, true) => Ok(word),
            (true, false) => Err(refused(source, &format!("[{word}]"))),
            // Lucene's expressions name numbers without `params`.
            (false, _) => self.variable(&word),
        }
    }

    /// Reads what stands behind `params`: `.name`, `['name']`, `.get('name')`.
    fn parameter(&mut self) -> Option<String> {
        let (open, close) = match self.rest {
            rest if rest.starts_with("['") => ("['", "']"),
            rest if rest.starts_with("[\"") => ("[\"", "\"]"),
            rest if rest.starts_with(".get('") => (".get('", "')"),
            rest => {
                self.rest = rest.strip_prefix('.')?;
                let name = self.take(|c| c.is_ascii_alphanumeric() || c == '_');
                return (!name.is_empty()).then(|| name.to_owned());
            }
        };
        let (name, rest) = self.rest.strip_prefix(open)?.split_once(close)?;
        self.rest = rest;
        Some(name.to_owned())
    }

    fn variable(&self, name: &str) -> Result<String, EvaluationError> {
        let at = self.paths.iter().position(|(known, _)| known == name);
        let at = at.ok_or_else(|| refused(self.source, &format!("[{name}] is no buckets_path")))?;
        Ok(format!("{{v{at}}}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> Vec<(String, BucketPath)> {
        let path = |name: &str| {
            let path = BucketPath {
                text: name.to_owned(),
                steps: Vec::new(),
                property: None,
            };
            (name.to_owned(), path)
        };
        vec![path("sales"), path("visits")]
    }

    fn number(source: &str) -> Result<f64, EvaluationError> {
        Expression::new(source, &paths())?.number(&[3.0, 2.0])
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
        ] {
            assert_eq!(number(source).expect(source), wanted, "{source}");
        }
    }

    #[test]
    fn conditions_hold_or_do_not() {
        let holds = |source: &str| {
            let paths = paths();
            let expression = Expression::new(source, &paths).expect("a condition");
            expression.holds(&[3.0, 2.0]).expect("it is one")
        };
        assert!(holds("params.sales > 2"));
        assert!(holds("params.sales >= 3 && params.visits != 3"));
        assert!(!holds("params.sales == 4 || params.visits < 2"));
    }

    #[test]
    fn operators_bind_as_those_of_java() {
        let mut paths = paths();
        paths[0].0 = "a".to_owned();
        paths[1].0 = "n".to_owned();
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
            let expression = Expression::new(source, &paths).expect(source);
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
        let paths = paths();
        for (source, number) in [("params.sales", "[1]"), ("params.sales - 1", "[0]")] {
            let expression = Expression::new(source, &paths).expect(source);
            let error = expression.holds(&[1.0, 2.0]).expect_err(source).to_string();
            assert!(error.contains("must return a boolean"), "{error}");
            assert!(error.contains(number), "{error}");
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
            ("1 ? 2 : 3", "?"),
            ("'a'", "'"),
            ("", "script []"),
            (&"(".repeat(100), "deep"),
        ] {
            let error = number(source).expect_err(source).to_string();
            assert!(error.contains(named), "{source}: {error}");
        }
    }
}
