//! From the text of a script to that of an expression which `exmex` compiles.
//!
//! Does: read numbers, names, operators, casts, calls and conditional operators; put brackets around what `exmex` would
//! bind otherwise: calls of two arguments and conditional operators, which become operators of two sides. Reads `if`
//! with a `return` in each branch as a conditional operator. Does not: know what values are, nor other statements.

use std::f64::consts;

use gleaner_partial::EvaluationError;
use gleaner_query::aggregation::BucketScript;

use super::operators::{ELSE, FUNCTIONS, FUNCTIONS_OF_TWO, NAN, NULL, THEN};
use super::refused;

/// Most brackets and conditions that stand within each other.
const MAX_DEPTH: usize = 64;

/// Reads an expression word by word.
pub(super) struct Reader<'a> {
    script: &'a BucketScript,
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(script: &'a BucketScript) -> Self {
        Self {
            script,
            rest: &script.source,
            depth: 0,
        }
    }

    /// Returns the expression; its variables are the places of the script's paths.
    ///
    /// # Errors
    /// [`EvaluationError::Query`] for what is no expression, by name.
    pub(super) fn read(mut self) -> Result<String, EvaluationError> {
        let text = self.statement()?;
        match self.peek() {
            None => Ok(text),
            Some(other) => Err(self.refused(&format!("[{other}]"))),
        }
    }

    /// Reads a block of one statement, an `if` of two branches, or an expression that may stand behind `return`.
    fn statement(&mut self) -> Result<String, EvaluationError> {
        self.descend()?;
        let text = if self.peek() == Some('{') {
            self.expect('{')?;
            let inside = self.statement()?;
            self.expect('}')?;
            inside
        } else if self.keyword("if") {
            self.expect('(')?;
            let condition = self.conditional()?;
            self.expect(')')?;
            let chosen = self.statement()?;
            // The first branch returns, so what follows it is the other one with and without `else`.
            self.keyword("else");
            let other = self.statement()?;
            choice(&condition, &chosen, &other)
        } else {
            self.keyword("return");
            self.conditional()?
        };
        while self.peek() == Some(';') {
            self.expect(';')?;
        }
        self.depth -= 1;
        Ok(text)
    }

    fn descend(&mut self) -> Result<(), EvaluationError> {
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => Err(self.refused("its brackets are too deep")),
            false => Ok(()),
        }
    }

    /// Reads a word of the language, if it comes next, and returns whether it does.
    fn keyword(&mut self, word: &str) -> bool {
        self.peek();
        match self.rest.strip_prefix(word) {
            Some(rest) if !rest.starts_with(is_of_name) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Reads `condition ? chosen : other`, or what has no such operator.
    fn conditional(&mut self) -> Result<String, EvaluationError> {
        self.descend()?;
        let mut text = self.operands()?;
        if self.peek() == Some('?') {
            self.expect('?')?;
            let chosen = self.conditional()?;
            self.expect(':')?;
            let other = self.conditional()?;
            text = choice(&text, &chosen, &other);
        }
        self.depth -= 1;
        Ok(text)
    }

    /// Reads what stands between brackets, commas, the parts of a conditional operator and the ends of statements.
    fn operands(&mut self) -> Result<String, EvaluationError> {
        let mut text = String::new();
        // `exmex` takes operators ahead of their operands too.
        let mut wants_operand = true;
        while let Some(next) = self.peek() {
            let is_operator = "+-*/%<>=!&|".contains(next);
            // `!=` stands between operands, a `!` by itself ahead of one.
            let is_sign =
                matches!(next, '+' | '-') || (next == '!' && !self.rest.starts_with("!="));
            let is_misplaced = match is_operator {
                true => wants_operand && !is_sign,
                false => !wants_operand && !")?:,;}".contains(next),
            };
            if is_misplaced {
                return Err(self.refused(&format!("[{next}]")));
            }
            wants_operand = is_operator;
            let part = match next {
                '0'..='9' | '.' => self.number()?,
                'a'..='z' | 'A'..='Z' | '_' => self.word()?,
                '(' => match self.cast() {
                    Some(operator) => {
                        wants_operand = true;
                        format!(" {operator} ")
                    }
                    None => self.brackets()?,
                },
                ')' | ',' | '?' | ':' | ';' | '}' => break,
                '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' | '!' | '&' | '|' => {
                    format!(" {} ", self.operator()?)
                }
                other => return Err(self.refused(&format!("[{other}]"))),
            };
            text.push_str(&part);
        }
        match text.is_empty() {
            true => Err(self.refused("something is missing")),
            false => Ok(text),
        }
    }

    fn brackets(&mut self) -> Result<String, EvaluationError> {
        self.expect('(')?;
        let inside = self.conditional()?;
        self.expect(')')?;
        Ok(format!("({inside})"))
    }

    /// Reads a cast, if one comes next, and returns the operator that does the same.
    fn cast(&mut self) -> Option<&'a str> {
        let (name, rest) = self.rest.strip_prefix('(')?.split_once(')')?;
        let operator = match name.trim() {
            whole @ ("int" | "long") => whole,
            // Numbers are doubles already.
            "double" | "float" => "+",
            _ => return None,
        };
        self.rest = rest;
        Some(operator)
    }

    /// Returns the next character that is no white space.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches([' ', '\n', '\t', '\r']);
        self.rest.chars().next()
    }

    fn expect(&mut self, wanted: char) -> Result<(), EvaluationError> {
        self.peek();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(self.refused(&format!("[{wanted}] is missing"))),
        }
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Reads a number, always a fraction: divisions are those of fractions.
    fn number(&mut self) -> Result<String, EvaluationError> {
        let begin = self.rest;
        self.take(|c| c.is_ascii_digit() || c == '.');
        if let Some(exponent) = self.rest.strip_prefix(['e', 'E']) {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.starts_with(|c: char| c.is_ascii_digit()) {
                self.rest = digits;
                self.take(|c| c.is_ascii_digit());
            }
        }
        let text = &begin[..begin.len() - self.rest.len()];
        let number: Option<f64> = text.parse().ok();
        let number = number.filter(|number| number.is_finite());
        let number = number.ok_or_else(|| self.refused(&format!("[{text}]")))?;
        // Java's suffixes of types.
        if let Some(rest) = self.rest.strip_prefix(['L', 'l', 'd', 'D', 'f', 'F']) {
            self.rest = rest;
        }
        Ok(literal(number))
    }

    fn operator(&mut self) -> Result<&'a str, EvaluationError> {
        const LONG: [&str; 6] = ["<=", ">=", "==", "!=", "&&", "||"];
        let is_long = LONG.iter().any(|long| self.rest.starts_with(long));
        let (operator, rest) = self.rest.split_at(if is_long { 2 } else { 1 });
        self.rest = rest;
        match operator {
            "=" | "&" | "|" => Err(self.refused(&format!("[{operator}]"))),
            known => Ok(known),
        }
    }

    /// Reads a name: of a number in [params], of a function, or of a constant.
    fn word(&mut self) -> Result<String, EvaluationError> {
        let word = self.take(is_of_name);
        match word {
            "params" => {
                let name = self.parameter();
                let name = name.ok_or_else(|| self.refused("[params] without a name"))?;
                return self.variable(name);
            }
            "Math" | "Double" if self.rest.starts_with('.') => {
                self.rest = &self.rest[1..];
                return self.of_class(word);
            }
            _ => {}
        }
        if self.peek() == Some('(') {
            return self.call(word);
        }
        match word {
            "true" => Ok("(0.0 < 1.0)".to_owned()),
            "false" => Ok("(1.0 < 0.0)".to_owned()),
            NULL => Ok(NULL.to_owned()),
            // Lucene's expressions name numbers without `params`.
            _ => self.variable(word),
        }
    }

    /// Reads what stands behind `Math.` and `Double.`.
    fn of_class(&mut self, class: &str) -> Result<String, EvaluationError> {
        let name = self.take(is_of_name);
        match (class, name) {
            ("Math", "PI") => Ok(literal(consts::PI)),
            ("Math", "E") => Ok(literal(consts::E)),
            ("Double", NAN) => Ok(NAN.to_owned()),
            _ => self.call(name),
        }
    }

    /// Reads the arguments of a function.
    fn call(&mut self, name: &str) -> Result<String, EvaluationError> {
        let is_of_two = FUNCTIONS_OF_TWO.contains(&name);
        if !is_of_two && !FUNCTIONS.contains(&name) {
            return Err(self.refused(&format!("[{name}]")));
        }
        self.expect('(')?;
        let first = self.conditional()?;
        let text = match is_of_two {
            true => {
                self.expect(',')?;
                let second = self.conditional()?;
                format!("(({first}) {name} ({second}))")
            }
            false => format!("{name}({first})"),
        };
        self.expect(')')?;
        Ok(text)
    }

    /// Reads what stands behind `params`: `.name`, `['name']`, `.get('name')`.
    fn parameter(&mut self) -> Option<&'a str> {
        let (open, close) = match self.rest {
            rest if rest.starts_with("['") => ("['", "']"),
            rest if rest.starts_with("[\"") => ("[\"", "\"]"),
            rest if rest.starts_with(".get('") => (".get('", "')"),
            rest => {
                self.rest = rest.strip_prefix('.')?;
                let name = self.take(is_of_name);
                return (!name.is_empty()).then_some(name);
            }
        };
        let (name, rest) = self.rest.strip_prefix(open)?.split_once(close)?;
        self.rest = rest;
        Some(name)
    }

    /// Returns a number of the buckets, or one that is the same in all of them.
    fn variable(&self, name: &str) -> Result<String, EvaluationError> {
        let mut paths = self.script.paths.iter();
        if let Some(at) = paths.position(|(known, _)| known == name) {
            return Ok(format!("{{v{at}}}"));
        }
        let mut params = self.script.params.iter();
        match params.find(|(known, _)| known == name) {
            Some((_, number)) => Ok(literal(*number)),
            None => Err(self.refused(&format!("[{name}] is no buckets_path"))),
        }
    }

    fn refused(&self, why: &str) -> EvaluationError {
        refused(&self.script.source, why)
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn choice(condition: &str, chosen: &str, other: &str) -> String {
    format!("((({condition}) {THEN} ({chosen})) {ELSE} ({other}))")
}

/// Returns a number as `exmex` reads it: with a point, and one below 0 in brackets.
fn literal(number: f64) -> String {
    let text = number.abs().to_string();
    let point = if text.contains('.') { "" } else { ".0" };
    match number.is_sign_negative() {
        true => format!("(-{text}{point})"),
        false => format!("{text}{point}"),
    }
}
