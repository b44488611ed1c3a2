//! Date math in names: `<logs-{now/d{yyyy.MM.dd|+01:00}}>`.

use crate::date::{DateFormatter, TimeZone, parse_date_math};
use crate::error::QueryError;

/// Format of a date in a name that gives none.
const DEFAULT_FORMAT: &str = "uuuu.MM.dd";

/// Stands in place of dates: no format writes it, and only `*` matches it.
const NO_DATE: &str = "\u{10ffff}";

/// Name of an index that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewName {
    /// The name, with dates put in.
    pub name: String,
    /// As it was given, where it has date math.
    pub provided: Option<String>,
}

impl NewName {
    /// Puts dates into a name as it was given; `now_ms` is the request's time.
    ///
    /// # Errors
    /// As [`expand_date_math`].
    pub fn read(given: &str, now_ms: i64) -> Result<Self, QueryError> {
        let name = expand_date_math(given, now_ms)?;
        let provided = (name != given).then(|| given.to_owned());
        Ok(Self { name, provided })
    }

    /// Keeps the date math only where `may_give` allows the name with a text in place of each date that no date is: a rollover
    /// gives the name on other days, and asks nobody.
    #[must_use]
    pub fn keep_date_math_if(self, may_give: impl FnOnce(&str) -> bool) -> Self {
        let math = |given: &String| {
            let inner = given.strip_prefix('<')?.strip_suffix('>')?;
            expand(inner, |_| Ok(NO_DATE.to_owned())).ok()
        };
        let undated = self.provided.as_ref().and_then(math);
        let provided = self
            .provided
            .filter(|_| undated.is_some_and(|name| may_give(&name)));
        Self { provided, ..self }
    }
}

/// A name without date math.
impl From<&str> for NewName {
    fn from(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            provided: None,
        }
    }
}

/// Puts dates into every `<…>` of a comma-separated expression; `now_ms` is the request's time.
///
/// # Errors
/// `illegal_argument_exception` for braces that do not match or math that cannot be read.
pub fn expand_date_math(expression: &str, now_ms: i64) -> Result<String, QueryError> {
    if !expression.contains('<') {
        return Ok(expression.to_owned());
    }
    let items: Vec<String> = expression
        .split(',')
        .map(|item| {
            let (sign, name) = match item.strip_prefix('-') {
                Some(name) => ("-", name),
                None => ("", item),
            };
            match name.strip_prefix('<').and_then(|n| n.strip_suffix('>')) {
                Some(inner) => {
                    let dated = |placeholder: &str| evaluate(inner, placeholder, now_ms);
                    Ok(format!("{sign}{}", expand(inner, dated)?))
                }
                None => Ok(item.to_owned()),
            }
        })
        .collect::<Result<_, QueryError>>()?;
    Ok(items.join(","))
}

/// Puts what `put` returns in place of every `{…}`.
fn expand(
    name: &str,
    put: impl Fn(&str) -> Result<String, QueryError>,
) -> Result<String, QueryError> {
    let mut expanded = String::new();
    let mut rest = name;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        match letter {
            '\\' => {
                let escaped = rest.chars().next();
                let escaped = escaped.ok_or_else(|| invalid(name, "nothing follows the \\"))?;
                expanded.push(escaped);
                rest = &rest[escaped.len_utf8()..];
            }
            '{' => {
                let end = closing(rest)
                    .ok_or_else(|| invalid(name, "date math placeholder is open ended"))?;
                expanded.push_str(&put(&rest[..end])?);
                rest = &rest[end + 1..];
            }
            '}' => {
                let reason = "invalid character at position: `}` does not close anything";
                return Err(invalid(name, reason));
            }
            _ => expanded.push(letter),
        }
    }
    Ok(expanded)
}

/// Returns where the brace that is already open closes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Evaluates `now/d` or `now/d{format|zone}`.
fn evaluate(name: &str, placeholder: &str, now_ms: i64) -> Result<String, QueryError> {
    let (math, format) = match placeholder.split_once('{') {
        None => (placeholder, None),
        Some((math, format)) => {
            let format = format.strip_suffix('}').filter(|format| !format.is_empty());
            let missing = || invalid(name, "missing date format");
            (math, Some(format.ok_or_else(missing)?))
        }
    };
    let (format, zone) = match format.map(|format| format.split_once('|').unwrap_or((format, "Z")))
    {
        None => (DEFAULT_FORMAT, TimeZone::UTC),
        Some((format, zone)) => (format, TimeZone::parse(zone)?),
    };
    let dates = DateFormatter::parse_pattern("strict_date_optional_time||epoch_millis")?;
    let ms = parse_date_math(math, now_ms, &dates, false, &zone)?;
    Ok(DateFormatter::parse_pattern(format)?.format_in(ms, &zone))
}

fn invalid(name: &str, reason: &str) -> QueryError {
    QueryError::illegal(format!(
        "invalid dynamic name expression [{name}]. {reason}"
    ))
}
