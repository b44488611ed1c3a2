//! Regular expressions as users of the dialect write them (Java's), compiled by the `regex` crate:
//! linear time, a bound on the compiled size, and a plain refusal of what it cannot do.

use regex::{CaptureMatches, Captures, Matches, Regex, RegexBuilder};

use crate::{error::AnalysisError, meter::Meter, settings::Params};

/// Longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1_000;
/// Sizes of compiled programs, in bytes. The last is the largest allowed; the largest honest patterns stay below
/// a tenth of it.
const COMPILED_BYTES: [usize; 5] = [8 << 10, 32 << 10, 128 << 10, 512 << 10, 2 << 20];
/// A program may look at each of its states at each byte of a text: bytes of program that count as much as one
/// byte that is made.
const PROGRAM_BYTES_A_MADE_BYTE: usize = 512;

/// A compiled pattern, and what it costs to run it.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    regex: Regex,
    /// What the meter is charged for each byte of text; 0 for small programs.
    weight: u64,
}

impl Pattern {
    /// Returns the matches in `text`; none when the meter has no room to look for them.
    pub(crate) fn find_iter<'t>(&self, text: &'t str, meter: &Meter<'_>) -> Matches<'_, 't> {
        self.regex.find_iter(self.readable(text, meter))
    }

    /// As [`Self::find_iter`], with the groups of each match.
    pub(crate) fn captures_iter<'t>(
        &self,
        text: &'t str,
        meter: &Meter<'_>,
    ) -> CaptureMatches<'_, 't> {
        self.regex.captures_iter(self.readable(text, meter))
    }

    fn readable<'t>(&self, text: &'t str, meter: &Meter<'_>) -> &'t str {
        if meter.take(self.cost(text)) {
            text
        } else {
            ""
        }
    }

    /// Returns what a meter is charged for each byte of text.
    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }

    /// Returns what a meter is charged to look for it in `text`.
    pub(crate) fn cost(&self, text: &str) -> u64 {
        self.weight.saturating_mul(text.len() as u64)
    }

    /// Returns the compiled pattern, for a caller that charges [`Self::cost`].
    pub(crate) fn regex(&self) -> &Regex {
        &self.regex
    }

    /// Returns the number of its groups, the whole match among them.
    pub(crate) fn captures_len(&self) -> usize {
        self.regex.captures_len()
    }
}

/// Compiles the `pattern` setting with its `flags`.
pub(crate) fn from_params(
    params: &Params<'_>,
    default: Option<&str>,
) -> Result<Pattern, AnalysisError> {
    let given = params.text("pattern")?;
    let flags = params.text("flags")?.unwrap_or_default();
    match given.as_deref().or(default) {
        None => Err(AnalysisError::IllegalArgument(format!(
            "pattern is missing for [{}] {} of type 'pattern_replace'",
            params.name, params.component
        ))),
        Some(pattern) => compile(pattern, &flags).map_err(|reason| params.bad("pattern", reason)),
    }
}

/// Compiles a Java pattern; flags are Java's names joined by `|`.
///
/// # Errors
/// The reason, for a message.
pub(crate) fn compile(pattern: &str, flags: &str) -> Result<Pattern, String> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(format!("is longer than {MAX_PATTERN_BYTES} bytes"));
    }
    let mut is_unicode = false;
    let mut is_literal = false;
    let mut options = (false, false, false, false);
    for flag in flags
        .split('|')
        .map(str::trim)
        .filter(|flag| !flag.is_empty())
    {
        match flag {
            "CASE_INSENSITIVE" => options.0 = true,
            "MULTILINE" => options.1 = true,
            "DOTALL" => options.2 = true,
            "COMMENTS" => options.3 = true,
            "LITERAL" => is_literal = true,
            "UNICODE_CHAR_CLASS" | "UNICODE_CHARACTER_CLASS" => is_unicode = true,
            // Case folding is by Unicode here in any case.
            "UNICODE_CASE" => {}
            _ => return Err(format!("has the unsupported flag [{flag}]")),
        }
    }
    let translated = match (is_literal, is_unicode) {
        (true, _) => regex::escape(pattern),
        (false, true) => pattern.to_owned(),
        (false, false) => with_ascii_classes(pattern),
    };
    let mut builder = RegexBuilder::new(&translated);
    builder
        .case_insensitive(options.0)
        .multi_line(options.1)
        .dot_matches_new_line(options.2)
        .ignore_whitespace(options.3);
    sized(&mut builder)
        .map_err(|error| format!("[{pattern}] is no pattern we can run: {}", reason(&error)))
}

/// Compiles within the least of the sizes that the program fits in.
fn sized(builder: &mut RegexBuilder) -> Result<Pattern, regex::Error> {
    let [smallest, larger @ ..] = COMPILED_BYTES;
    let mut built = builder.size_limit(smallest).build();
    let mut weight = 0;
    for size in larger {
        if !matches!(built, Err(regex::Error::CompiledTooBig(_))) {
            break;
        }
        built = builder.size_limit(size).build();
        weight = (size / PROGRAM_BYTES_A_MADE_BYTE) as u64;
    }
    built.map(|regex| Pattern { regex, weight })
}

/// Returns the last line of the error: the ones before draw the pattern again.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned()
}

/// Writes `\w`, `\d`, `\s` and their negations out as ASCII classes, which they are in Java.
/// A class may stand inside another, so the same text serves inside brackets.
fn with_ascii_classes(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('w') => out.push_str("[0-9A-Za-z_]"),
            Some('W') => out.push_str("[^0-9A-Za-z_]"),
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('s') => out.push_str(r"[\t\n\x0B\f\r\x20]"),
            Some('S') => out.push_str(r"[^\t\n\x0B\f\r\x20]"),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

/// A replacement with group references, in Java's form: `$1`, `${name}`, `\$`.
#[derive(Debug)]
pub(crate) struct Replacement {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Literal(String),
    Group(usize),
}

impl Replacement {
    /// Parses a replacement for `pattern`.
    ///
    /// # Errors
    /// The reason, for a message: a group that the pattern does not have, a lone `$`.
    pub(crate) fn parse(text: &str, pattern: &Pattern) -> Result<Self, String> {
        let pattern = pattern.regex();
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '\\' => {
                    let mut chars = rest.chars();
                    literal.extend(chars.next());
                    rest = chars.as_str();
                }
                '$' => {
                    let (group, length) = group_reference(rest, pattern)
                        .ok_or_else(|| format!("[{text}] has an illegal group reference"))?;
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                    parts.push(Part::Group(group));
                    rest = &rest[length..];
                }
                other => literal.push(other),
            }
        }
        parts.push(Part::Literal(literal));
        Ok(Self { parts })
    }

    /// Appends the replacement of one match; returns false when `out` would have more than `room` bytes.
    pub(crate) fn expand(&self, captures: &Captures<'_>, room: usize, out: &mut String) -> bool {
        for part in &self.parts {
            let text = match part {
                Part::Literal(text) => text.as_str(),
                Part::Group(group) => captures.get(*group).map_or("", |found| found.as_str()),
            };
            if text.len() > room.saturating_sub(out.len()) {
                return false;
            }
            out.push_str(text);
        }
        true
    }

    /// Returns how many bytes it makes of one at most: each group again, and all that is written out.
    pub(crate) fn growth(&self) -> u64 {
        let parts = self.parts.iter().map(|part| match part {
            Part::Literal(text) => text.len() as u64,
            Part::Group(_) => 1,
        });
        parts.sum::<u64>().max(1)
    }
}

/// Returns the group that the text after a `$` names, and how many bytes name it. As in Java,
/// further digits belong to the number only while such a group exists.
fn group_reference(rest: &str, pattern: &Regex) -> Option<(usize, usize)> {
    if let Some(name) = rest.strip_prefix('{') {
        let end = name.find('}')?;
        let group = pattern
            .capture_names()
            .position(|own| own == Some(&name[..end]))?;
        return Some((group, end + 2));
    }
    let mut found = None;
    let mut number = 0_usize;
    for (at, digit) in rest
        .bytes()
        .enumerate()
        .take_while(|(_, byte)| byte.is_ascii_digit())
    {
        number = number
            .saturating_mul(10)
            .saturating_add(usize::from(digit - b'0'));
        if number >= pattern.captures_len() {
            break;
        }
        found = Some((number, at + 1));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_classes_are_ascii_unless_asked() {
        assert!(compile(r"^\W$", "").unwrap().regex().is_match("é"));
        assert!(
            !compile(r"^\W$", "UNICODE_CHARACTER_CLASS")
                .unwrap()
                .regex()
                .is_match("é")
        );
        assert!(compile(r"^[\W_]+$", "").unwrap().regex().is_match("_é-"));
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_the_reason() {
        for pattern in ["(?=a)", "(a)\\1", "(", "a{1000}{1000}", "[z-a]"] {
            assert!(compile(pattern, "").is_err(), "{pattern}");
        }
        assert!(compile("a", "CANON_EQ").unwrap_err().contains("CANON_EQ"));
        assert!(compile(&"a".repeat(1_001), "").is_err());
    }

    #[test]
    fn replacements_refer_to_groups_as_in_java() {
        let pattern = compile(r"(?P<one>\d+)-(x)", "").unwrap();
        let expand = |text: &str| {
            let mut out = String::new();
            let replacement = Replacement::parse(text, &pattern).unwrap();
            let captures = pattern.regex().captures("12-x").unwrap();
            assert!(replacement.expand(&captures, 100, &mut out));
            out
        };
        assert_eq!(expand("$1_$2"), "12_x");
        assert_eq!(expand("$20${one}\\$"), "x012$");
        assert!(Replacement::parse("$3", &pattern).is_err());
        assert!(Replacement::parse("$", &pattern).is_err());
    }

    #[test]
    fn a_large_program_is_charged_for_each_byte_that_it_reads() {
        let small = compile("a+b", "").unwrap();
        assert_eq!(small.cost("a long text"), 0);
        let large = compile("(x|y|[a-q]){0,900}z", "").unwrap();
        assert!(large.cost("a") > 0);
        let meter = Meter::for_request();
        let text = "x".repeat(1 << 20);
        assert_eq!(large.find_iter(&text, &meter).count(), 0);
        assert!(meter.check().is_err());
    }
}
