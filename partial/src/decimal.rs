//! Numbers as text: patterns of `java.text.DecimalFormat`.

use gleaner_query::double::java_text;

/// Writes a number by a pattern: `0` a digit, `#` a digit unless it is a leading or trailing zero,
/// `.` the decimal point, `,` groups, `%` times 100; other text stands as it is.
///
/// Halves are rounded to even, as Java does. Patterns with several parts (`;`) use the first.
pub fn format(pattern: &str, value: f64) -> String {
    let pattern = match Pattern::read(pattern) {
        Ok(pattern) => pattern,
        Err(prefix) => return format!("{prefix}{}", java_text(value)),
    };
    let scaled = if pattern.is_percent {
        value * 100.0
    } else {
        value
    };
    if !scaled.is_finite() {
        return pattern.write(scaled < 0.0, if scaled.is_nan() { "NaN" } else { "∞" });
    }
    pattern.write(scaled < 0.0, &pattern.shape.digits(scaled.abs()))
}

/// Writes a whole number by a pattern, as [`format`] does, every digit as it is.
pub fn format_whole(pattern: &str, value: i128) -> String {
    let pattern = match Pattern::read(pattern) {
        Ok(pattern) => pattern,
        Err(prefix) => return format!("{prefix}{value}"),
    };
    let factor = if pattern.is_percent { 100 } else { 1 };
    let digits = value.unsigned_abs().saturating_mul(factor).to_string();
    pattern.write(value < 0, &pattern.shape.whole(&digits))
}

/// A pattern that has digits.
struct Pattern {
    prefix: String,
    shape: Shape,
    suffix: String,
    is_percent: bool,
}

impl Pattern {
    /// Reads a pattern; one without digits is the text before the number.
    fn read(pattern: &str) -> Result<Self, &str> {
        let pattern = pattern.split(';').next().unwrap_or_default();
        if pattern == "raw" {
            return Err("");
        }
        let is_digit = |c: char| matches!(c, '0' | '#' | ',' | '.');
        let start = pattern.find(is_digit).ok_or(pattern)?;
        let end = pattern[start..]
            .find(|c| !is_digit(c))
            .map_or(pattern.len(), |end| start + end);
        Ok(Self {
            prefix: pattern[..start].replace('\'', ""),
            shape: Shape::read(&pattern[start..end]),
            suffix: pattern[end..].replace('\'', ""),
            is_percent: pattern[end..].contains('%'),
        })
    }

    fn write(&self, is_negative: bool, digits: &str) -> String {
        let sign = if is_negative { "-" } else { "" };
        format!("{sign}{}{digits}{}", self.prefix, self.suffix)
    }
}

/// Most digits before the point that a pattern asks for; `DecimalFormat`'s limit for doubles.
const MAX_WHOLE: usize = 309;
/// Most digits after the point; `DecimalFormat`'s limit for doubles.
const MAX_DECIMALS: usize = 340;

/// The digits of a pattern.
struct Shape {
    min_whole: usize,
    min_decimals: usize,
    max_decimals: usize,
    group: usize,
}

impl Shape {
    fn read(digits: &str) -> Self {
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let zeros = |text: &str| text.bytes().filter(|b| *b == b'0').count();
        let (mut min_whole, mut min_decimals) = (zeros(whole), zeros(decimals));
        // Java reads `##.###` as `#0.###`, and `.###` as `.0##`.
        if digits.contains('.') && digits.contains('#') && !digits.contains('0') {
            let has_whole = whole.contains('#');
            (min_whole, min_decimals) = (usize::from(has_whole), usize::from(!has_whole));
        }
        Self {
            min_whole: min_whole.min(MAX_WHOLE),
            min_decimals: min_decimals.min(MAX_DECIMALS),
            max_decimals: decimals.len().min(MAX_DECIMALS),
            group: whole.rfind(',').map_or(0, |at| whole.len() - at - 1),
        }
    }

    /// Writes a number that is not negative.
    fn digits(&self, value: f64) -> String {
        // Rust rounds the exact binary value, ties to even: what DecimalFormat's HALF_EVEN does.
        let text = format!("{value:.*}", self.max_decimals);
        let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
        self.arranged(whole, decimals)
    }

    /// Writes a whole number that is given by its digits.
    fn whole(&self, digits: &str) -> String {
        self.arranged(digits, &"0".repeat(self.max_decimals))
    }

    /// Arranges the digits before and after the point; of the latter there are `max_decimals`.
    fn arranged(&self, whole: &str, decimals: &str) -> String {
        let whole = if whole == "0" && self.min_whole == 0 && self.max_decimals > 0 {
            ""
        } else {
            whole
        };
        let mut out = self.grouped(&format!("{whole:0>width$}", width = self.min_whole));
        let trimmed = decimals.trim_end_matches('0').len().max(self.min_decimals);
        if trimmed > 0 {
            out.push('.');
            out.push_str(&decimals[..trimmed]);
        }
        // A number has a digit, whatever the pattern.
        if out.is_empty() {
            out.push('0');
        }
        out
    }

    fn grouped(&self, digits: &str) -> String {
        if self.group == 0 {
            return digits.to_owned();
        }
        let mut out = String::with_capacity(digits.len() * 2);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(self.group) {
                out.push(',');
            }
            out.push(digit);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_written_as_java_does() {
        for (pattern, value, expected) in [
            ("0.00", 1.23456, "1.23"),
            ("0.00", 3.0, "3.00"),
            ("#.##", 3.0, "3"),
            ("#.##", 0.5, "0.5"),
            ("#,###.##", 0.5, "0.5"),
            (".##", 0.5, ".5"),
            (".##", 3.0, "3.0"),
            ("#.00", 0.5, ".50"),
            ("#.##", 0.0, "0"),
            ("#.##", 0.001, "0"),
            ("0", 2.5, "2"),
            ("0", 3.5, "4"),
            ("#,##0.00", 1_234_567.891, "1,234,567.89"),
            ("$#,##0", -1234.0, "-$1,234"),
            ("000.0#", 7.25, "007.25"),
            ("0%", 0.25, "25%"),
            ("0.0%", 1e307, "∞%"),
            ("$0.00", f64::NEG_INFINITY, "-$∞"),
            ("0.00", f64::NAN, "NaN"),
            ("'Value is '##0.0", 200.0, "Value is 200.0"),
        ] {
            assert_eq!(format(pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn patterns_of_very_many_digits_are_bounded() {
        let zeros = "0".repeat(70_000);
        let pattern = format!("{zeros}.{zeros}");
        assert_eq!(super::format(&pattern, 1.0).len(), 309 + 1 + 340);
        assert_eq!(format_whole(&pattern, 1).len(), 309 + 1 + 340);
    }

    #[test]
    fn whole_numbers_keep_every_digit() {
        for (pattern, value, expected) in [
            ("#", 9_007_199_254_740_993, "9007199254740993"),
            ("#", i128::from(u64::MAX), "18446744073709551615"),
            ("#,##0", i128::from(i64::MIN), "-9,223,372,036,854,775,808"),
            ("0.0#", 7, "7.0"),
            ("0.00", 0, "0.00"),
            ("000", -5, "-005"),
            ("0%", 9_007_199_254_740_993, "900719925474099300%"),
            ("raw", 9_007_199_254_740_993, "9007199254740993"),
        ] {
            assert_eq!(format_whole(pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn whole_numbers_are_written_as_doubles_are() {
        for pattern in [
            "0.00", "#.##", "#,##0.00", "$#,##0", "000.0#", "0%", "#", "#.0",
        ] {
            for value in [0_i32, 7, -1234, 1_234_567] {
                assert_eq!(
                    format_whole(pattern, i128::from(value)),
                    format(pattern, f64::from(value)),
                    "{pattern} {value}"
                );
            }
        }
    }
}
