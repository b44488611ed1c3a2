//! Numbers as text: patterns of `java.text.DecimalFormat`.
//!
//! Does: write numbers by the `format` of an aggregation or a field, with the signs of no language (`Locale.ROOT`), read
//! back what was written so, and refuse what Java refuses. Does not: dates ([`crate::date`] does).
//! Called by `partial`, `engine` and `root`; by this crate for the formats of pipelines. Read [`format()`] first.

mod pattern;
mod shape;

use self::pattern::Pattern;
use crate::double::java_text;
use crate::error::QueryError;

/// Refuses what is no pattern.
///
/// # Errors
/// `illegal_argument_exception`, in Java's words.
pub fn check(pattern: &str) -> Result<(), QueryError> {
    match Pattern::read(pattern) {
        Ok(_) => Ok(()),
        Err(reason) => Err(QueryError::illegal(reason)),
    }
}

/// Writes a number by a pattern: `0` a digit, `#` a digit unless it is a leading or trailing zero,
/// `.` the decimal point, `,` groups, `E0` an exponent, `%` times 100, `‰` times 1,000; other text stands as it is, and
/// so does what is in quotes. What is behind `;` has the text around negative numbers.
///
/// Halves are rounded to even, as Java does. `raw`, and what is no pattern, shows the number as it is.
pub fn format(pattern: &str, value: f64) -> String {
    match read(pattern) {
        Some(pattern) => pattern.double(value),
        None => java_text(value),
    }
}

/// Writes a whole number by a pattern, as [`format()`] does; without an exponent every digit as it is.
pub fn format_whole(pattern: &str, value: i128) -> String {
    match read(pattern) {
        Some(pattern) => pattern.whole(value),
        None => value.to_string(),
    }
}

/// Reads a number as a pattern writes it; returns it as JSON and Rust write it, every digit as it is. `None` for what the
/// pattern does not write. It may have been rounded when it was written: that is for the caller to compare.
pub fn unformat(pattern: &str, text: &str) -> Option<String> {
    match read(pattern) {
        Some(pattern) => pattern.number(text),
        None => Some(text.to_owned()),
    }
}

fn read(pattern: &str) -> Option<Pattern> {
    let is_raw = matches!(pattern, "" | "raw");
    (!is_raw).then(|| Pattern::read(pattern).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_written_as_java_does() {
        for (pattern, value, expected) in [
            ("0.00", 1.23456, "1.23"),
            ("0.00", 3.0, "3.00"),
            ("0.00", 1.005, "1.00"),
            ("0.00", 9.995, "9.99"),
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
            ("0.", 7.25, "7."),
            ("#,##0.00", 1_234_567.891, "1,234,567.89"),
            ("#,##,##0.0", 1_234_567.0, "1,234,567.0"),
            ("$#,##0", -1234.0, "-$1,234"),
            ("000.0#", 7.25, "007.25"),
            ("0%", 0.25, "25%"),
            ("0‰", 7.0, "7000‰"),
            ("0.0%", 1e307, "∞%"),
            ("$0.00", f64::NEG_INFINITY, "-$∞"),
            ("$0.00", f64::NAN, "NaN"),
            ("abc", 7.25, "abc7"),
            ("", 7.25, "7.25"),
        ] {
            assert_eq!(format(pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn text_in_quotes_is_no_part_of_the_pattern() {
        for (pattern, value, expected) in [
            ("'Value is '##0.0", 200.0, "Value is 200.0"),
            ("'#'0", 7.0, "#7"),
            ("'#'0", -7.0, "-#7"),
            ("0'%'", 7.0, "7%"),
            ("0'o''clock'", 10.0, "10o'clock"),
            ("0 o''clock", 10.0, "10 o'clock"),
            ("0 'E0'", 7.0, "7 E0"),
            ("0';'", 7.0, "7;"),
        ] {
            assert_eq!(format(pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn negative_numbers_may_have_other_text_around_them() {
        let money = "$#,##0.00;($#,##0.00)";
        for (pattern, value, expected) in [
            (money, -1234.5, "($1,234.50)"),
            (money, 1234.5, "$1,234.50"),
            (money, f64::NEG_INFINITY, "($∞)"),
            // Of digits and factors those of the first part count.
            ("0.0;0%", -7.0, "7.0%"),
            ("0;0", -7.0, "-7"),
            ("0;", -7.0, "-7"),
            ("0E0;(0)", -1234.5, "(1E3)"),
        ] {
            assert_eq!(format(pattern, value), expected, "{pattern} {value}");
        }
        assert_eq!(format_whole(money, -25), "($25.00)");
    }

    #[test]
    fn numbers_are_read_back_as_patterns_write_them() {
        let money = "$#,##0.00;($#,##0.00)";
        for (pattern, value) in [
            ("#,##0", 1_234_567.0),
            ("#,##0.##", -1_234.5),
            ("000.0#", 7.25),
            ("0.", 7.0),
            (".##", 0.5),
            ("0.0%", 0.07),
            ("0‰", -7.0),
            ("0.###E0", 0.001_234),
            ("0.##E0%", 12.3),
            ("'E5 '0", 7.0),
            ("abc", 7.0),
            (money, -1234.5),
            (money, 1234.5),
            ("raw", 1e300),
        ] {
            let text = format(pattern, value);
            let number = unformat(pattern, &text).expect("a number");
            assert_eq!(number.parse(), Ok(value), "{pattern} {text}");
        }
        let large = 9_007_199_254_740_993;
        let text = format_whole("#,##0", large);
        assert_eq!(unformat("#,##0", &text), Some(large.to_string()));
        for (pattern, text) in [
            ("$0", "7"),
            ("0", ""),
            ("0", "-"),
            ("0", "x"),
            ("0", "1 2"),
            ("0", "1,2"),
            ("0", "∞"),
            ("0", "NaN"),
            ("0E0", "1Ex"),
            ("0%", "1E99999999999999999999%"),
        ] {
            assert_eq!(unformat(pattern, text), None, "{pattern} {text}");
        }
    }

    #[test]
    fn exponents_are_written_as_java_does() {
        for (pattern, value, expected) in [
            ("0.##E0", 1_234_567.0, "1.23E6"),
            ("0.##E0", 0.000_123_45, "1.23E-4"),
            ("0.##E0", 0.0, "0E0"),
            ("0.##E0", 99_999.5, "1E5"),
            ("0.00E00", 7.0, "7.00E00"),
            ("##0.###E0", 1_234_567.0, "1.23457E6"),
            ("##0.###E0", 0.1, "100E-3"),
            ("##0.###E0", 1e-10, "100E-12"),
            ("00.###E0", -1234.5, "-12.345E2"),
            ("00.###E0", 0.0, "00E0"),
            ("#,###E0", 1_234_567.0, "123.5E4"),
            ("#E0", 7.0, ".7E1"),
            ("#E0", 0.0, "E0"),
            (".###E0", 0.0, ".0E0"),
            ("0E0", -25.0, "-2E1"),
        ] {
            assert_eq!(format(pattern, value), expected, "{pattern} {value}");
        }
        assert_eq!(format_whole("0.##E0", 9_007_199_254_740_993), "9.01E15");
    }

    #[test]
    fn large_and_long_numbers_have_the_digits_that_tell_them_apart() {
        let large = 123_456_789_012_345_680_000.0;
        assert_eq!(format("0", large), "123456789012345680000");
        assert_eq!(
            format("0.00000000000000000000", 0.1),
            "0.10000000000000000000"
        );
        assert_eq!(format("0.##", 1e22), "10000000000000000000000");
    }

    #[test]
    fn what_java_refuses_is_refused_in_its_words() {
        for (pattern, expected) in [
            ("0.0.0", "Multiple decimal separators in"),
            ("0.#0", "Unexpected '0' in"),
            ("0#", "Malformed"),
            ("0,", "Malformed"),
            ("0'", "Malformed"),
            ("0;'", "Malformed"),
            ("0E", "Malformed exponential"),
            ("0E0 0E0", "Multiple exponential symbols in"),
            ("0%%", "Too many percent/per mille characters in"),
            ("abc;0", "Unquoted special character ';' in"),
            ("0;0;0", "Unquoted special character ';' in"),
        ] {
            let refused = check(pattern).expect_err(pattern).reason;
            assert_eq!(refused, format!("{expected} pattern \"{pattern}\""));
            assert_eq!(super::format(pattern, 7.5), "7.5", "{pattern}");
        }
        for pattern in ["", "raw", "0.0", "yyyy-MM-dd", "."] {
            assert_eq!(check(pattern).map_err(|error| error.reason), Ok(()));
        }
    }

    #[test]
    fn patterns_of_very_many_digits_are_bounded() {
        let zeros = "0".repeat(70_000);
        let pattern = format!("{zeros}.{zeros}");
        assert_eq!(super::format(&pattern, 1.0).len(), 309 + 1 + 340);
        assert_eq!(format_whole(&pattern, 1).len(), 309 + 1 + 340);
        let pattern = format!("{pattern}E{zeros}");
        let written = super::format(&pattern, 1.0);
        assert_eq!(written.len(), 309 + 1 + 340 + "E-".len() + 309);
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
            "0.00", "#.##", "#,##0.00", "$#,##0", "000.0#", "0%", "#", "#.0", "0.#E0",
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
