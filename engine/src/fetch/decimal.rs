//! Numbers as text: patterns of `java.text.DecimalFormat`, and Java's own form of a double.

/// Writes a number by a pattern: `0` a digit, `#` a digit unless it is a leading or trailing zero,
/// `.` the decimal point, `,` groups, `%` times 100; other text stands as it is.
///
/// Halves are rounded to even, as Java does. Patterns with several parts (`;`) use the first.
pub fn format(pattern: &str, value: f64) -> String {
    let pattern = pattern.split(';').next().unwrap_or_default();
    if pattern == "raw" {
        return java_text(value);
    }
    let is_digit = |c: char| matches!(c, '0' | '#' | ',' | '.');
    let Some(start) = pattern.find(is_digit) else {
        return format!("{pattern}{}", java_text(value));
    };
    let end = pattern[start..]
        .find(|c| !is_digit(c))
        .map_or(pattern.len(), |end| start + end);
    let shape = Shape::read(&pattern[start..end]);
    let scaled = if pattern[end..].contains('%') {
        value * 100.0
    } else {
        value
    };
    let sign = if scaled < 0.0 { "-" } else { "" };
    let (prefix, suffix) = (
        pattern[..start].replace('\'', ""),
        pattern[end..].replace('\'', ""),
    );
    format!("{sign}{prefix}{}{suffix}", shape.write(scaled.abs()))
}

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
        Self {
            min_whole: zeros(whole),
            min_decimals: zeros(decimals),
            max_decimals: decimals.len(),
            group: whole.rfind(',').map_or(0, |at| whole.len() - at - 1),
        }
    }

    fn write(&self, value: f64) -> String {
        // Rust rounds the exact binary value, ties to even: what DecimalFormat's HALF_EVEN does.
        let text = format!("{value:.*}", self.max_decimals);
        let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
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

/// Writes a double as Java's `Double.toString`: `50.0`, `1.0E10`.
pub fn java_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 {
            "Infinity".to_owned()
        } else {
            "-Infinity".to_owned()
        };
    }
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
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
            ("#.##", 0.5, ".5"),
            ("0", 2.5, "2"),
            ("0", 3.5, "4"),
            ("#,##0.00", 1_234_567.891, "1,234,567.89"),
            ("$#,##0", -1234.0, "-$1,234"),
            ("000.0#", 7.25, "007.25"),
            ("0%", 0.25, "25%"),
            ("'Value is '##0.0", 200.0, "Value is 200.0"),
        ] {
            assert_eq!(format(pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn doubles_are_written_as_java_does() {
        for (value, expected) in [
            (50.0, "50.0"),
            (0.001, "0.001"),
            (1e10, "1.0E10"),
            (1.25e-5, "1.25E-5"),
            (-2.5, "-2.5"),
            (0.0, "0.0"),
        ] {
            assert_eq!(java_text(value), expected);
        }
    }
}
