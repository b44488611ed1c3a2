//! Reading of patterns, as `DecimalFormat.applyPattern` of the JDK does it.

use std::iter::Peekable;
use std::str::Chars;

use super::shape::{MAX_DECIMALS, MAX_WHOLE, Shape};

/// A pattern that was read.
pub(super) struct Pattern {
    positive: Affixes,
    negative: Affixes,
    /// What numbers are multiplied by: 1, 100 or 1,000.
    factor: u16,
    shape: Shape,
}

/// The text around a number.
#[derive(Default, PartialEq, Eq)]
struct Affixes {
    prefix: String,
    suffix: String,
}

impl Affixes {
    /// Returns what stands between.
    fn strip<'t>(&self, text: &'t str) -> Option<&'t str> {
        let text = text.strip_prefix(self.prefix.as_str())?;
        text.strip_suffix(self.suffix.as_str())
    }
}

/// What is wrong with a pattern, in the words that the JDK has before `pattern`.
type Fault = &'static str;

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The reason, where it is none.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let refused = |fault: Fault| format!("{fault} pattern \"{text}\"");
        let mut chars = text.chars().peekable();
        let first = Part::read(&mut chars, true).map_err(refused)?;
        let second = match chars.peek() {
            None => None,
            Some(_) => Some(Part::read(&mut chars, false).map_err(refused)?),
        };
        let other = second.map(|part| part.affixes);
        let other = other.filter(|affixes| *affixes != first.affixes);
        let negative = other.unwrap_or_else(|| Affixes {
            prefix: format!("-{}", first.affixes.prefix),
            suffix: first.affixes.suffix.clone(),
        });
        Ok(Self {
            positive: first.affixes,
            negative,
            factor: first.factor.unwrap_or(1),
            shape: first.counts.shape().map_err(refused)?,
        })
    }

    /// Writes a number.
    pub(super) fn double(&self, value: f64) -> String {
        let scaled = value * f64::from(self.factor);
        if scaled.is_nan() {
            return "NaN".to_owned();
        }
        let digits = match scaled.is_infinite() {
            true => "∞".to_owned(),
            false => self.shape.double(scaled.abs()),
        };
        self.write(scaled < 0.0, &digits)
    }

    /// Writes a whole number.
    pub(super) fn whole(&self, value: i128) -> String {
        let scaled = value.unsigned_abs().saturating_mul(self.factor.into());
        self.write(value < 0, &self.shape.whole(scaled))
    }

    /// Reads a number as it is written, as `-1234.5E-2`; `None` for other text.
    pub(super) fn number(&self, text: &str) -> Option<String> {
        // Digits begin with no sign: text around positive numbers is not taken for that around negative ones.
        let negative = self.negative.strip(text);
        match negative.and_then(|digits| self.unscaled(digits)) {
            Some(number) => Some(format!("-{number}")),
            None => self.unscaled(self.positive.strip(text)?),
        }
    }

    /// Reads digits, and divides by the factor.
    fn unscaled(&self, digits: &str) -> Option<String> {
        let (mantissa, exponent) = match digits.split_once('E') {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (digits, 0),
        };
        let mantissa = match self.shape.group {
            0 => mantissa.to_owned(),
            _ => mantissa.replace(',', ""),
        };
        let is_digits = mantissa.chars().all(|c| c.is_ascii_digit() || c == '.');
        if !is_digits || mantissa.parse::<f64>().is_err() {
            return None;
        }
        let by_factor = match self.factor {
            100 => 2,
            1_000 => 3,
            _ => 0,
        };
        match exponent.checked_sub(by_factor)? {
            0 => Some(mantissa),
            exponent => Some(format!("{mantissa}E{exponent}")),
        }
    }

    fn write(&self, is_negative: bool, digits: &str) -> String {
        let affixes = match is_negative {
            true => &self.negative,
            false => &self.positive,
        };
        format!("{}{digits}{}", affixes.prefix, affixes.suffix)
    }
}

/// A pattern, or what is on one side of its `;`.
#[derive(Default)]
struct Part {
    affixes: Affixes,
    factor: Option<u16>,
    counts: Counts,
    /// Whether digits were read: text that follows is a suffix.
    has_digits: bool,
}

impl Part {
    /// Reads up to the end, or up to a `;` behind the first part. Digits of the second part count for nothing.
    fn read(chars: &mut Peekable<Chars<'_>>, is_first: bool) -> Result<Self, Fault> {
        let mut part = Self::default();
        let (mut is_quoted, mut is_in_digits) = (false, false);
        while let Some(c) = chars.next() {
            let was_in_digits = std::mem::take(&mut is_in_digits);
            match c {
                '\'' if chars.next_if_eq(&'\'').is_some() => part.push('\''),
                '\'' => is_quoted = !is_quoted,
                _ if is_quoted => part.push(c),
                '#' | '0' | ',' | '.' => {
                    (is_in_digits, part.has_digits) = (true, true);
                    if is_first {
                        part.counts.add(c)?;
                    }
                }
                'E' if was_in_digits && is_first => part.counts.add_exponent(chars)?,
                'E' if was_in_digits => is_in_digits = true,
                ';' if is_first && part.has_digits => break,
                ';' => return Err("Unquoted special character ';' in"),
                '%' | '‰' => part.multiply(c)?,
                _ => part.push(c),
            }
        }
        match is_quoted {
            true => Err("Malformed"),
            false => Ok(part),
        }
    }

    fn push(&mut self, c: char) {
        match self.has_digits {
            true => self.affixes.suffix.push(c),
            false => self.affixes.prefix.push(c),
        }
    }

    fn multiply(&mut self, sign: char) -> Result<(), Fault> {
        let factor = if sign == '%' { 100 } else { 1_000 };
        if self.factor.replace(factor).is_some() {
            return Err("Too many percent/per mille characters in");
        }
        self.push(sign);
        Ok(())
    }
}

/// How many digits of which kind there are, from left to right: `#` before a zero, zeros, `#` behind a zero.
#[derive(Default)]
struct Counts {
    left: usize,
    zeros: usize,
    right: usize,
    /// Digits before the point and behind the last `,`.
    group: Option<usize>,
    /// Digits before the point.
    point: Option<usize>,
    /// Zeros behind `E`.
    exponent: Option<usize>,
}

impl Counts {
    fn add(&mut self, c: char) -> Result<(), Fault> {
        match c {
            ',' => {
                self.group = Some(0);
                return Ok(());
            }
            '.' => {
                let before = self.total();
                return match self.point.replace(before) {
                    None => Ok(()),
                    Some(_) => Err("Multiple decimal separators in"),
                };
            }
            '0' if self.right > 0 => return Err("Unexpected '0' in"),
            '0' => self.zeros += 1,
            _ if self.zeros > 0 => self.right += 1,
            _ => self.left += 1,
        }
        if let (Some(group), None) = (&mut self.group, self.point) {
            *group += 1;
        }
        Ok(())
    }

    /// Reads what is behind `E`.
    fn add_exponent(&mut self, chars: &mut Peekable<Chars<'_>>) -> Result<(), Fault> {
        if self.exponent.is_some() {
            return Err("Multiple exponential symbols in");
        }
        let mut num_zeros = 0;
        while chars.next_if_eq(&'0').is_some() {
            num_zeros += 1;
        }
        if self.left + self.zeros == 0 || num_zeros == 0 {
            return Err("Malformed exponential");
        }
        self.exponent = Some(num_zeros);
        Ok(())
    }

    fn total(&self) -> usize {
        self.left + self.zeros + self.right
    }

    fn shape(mut self) -> Result<Shape, Fault> {
        if let (0, 1.., Some(point)) = (self.zeros, self.left, self.point) {
            // Java reads `##.###` as `#0.###`, and `.###` as `.0##`.
            let num_whole = point.max(1);
            self.right = self.left - num_whole;
            self.left = num_whole - 1;
            self.zeros = 1;
        }
        let before_right = self.left + self.zeros;
        let is_misplaced = match self.point {
            None => self.right > 0,
            Some(point) => !(self.left..=before_right).contains(&point),
        };
        if is_misplaced || self.group == Some(0) {
            return Err("Malformed");
        }
        let total = self.total();
        let point = self.point.unwrap_or(total);
        Ok(Shape {
            min_whole: (point - self.left).min(MAX_WHOLE),
            max_whole: point.min(MAX_WHOLE),
            min_decimals: before_right.saturating_sub(point).min(MAX_DECIMALS),
            max_decimals: (total - point).min(MAX_DECIMALS),
            group: self.group.unwrap_or(0),
            shows_point: self.point.is_some_and(|at| at == 0 || at == total),
            exponent: self.exponent.map(|num_zeros| num_zeros.min(MAX_WHOLE)),
        })
    }
}
