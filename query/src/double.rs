//! Doubles as text, where text is compared: names of buckets, not JSON numbers.

/// Returns a double as Java's `Double.toString` writes it (Java SE specification): `50.0`, `1.0E7`,
/// `1.25E-5`. Clients of the dialect look buckets up by such names.
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
    fn doubles_are_written_as_java_does() {
        for (value, expected) in [
            (50.0, "50.0"),
            (0.001, "0.001"),
            (1e10, "1.0E10"),
            (1e7, "1.0E7"),
            (9_999_999.5, "9999999.5"),
            (f64::NEG_INFINITY, "-Infinity"),
            (1.25e-5, "1.25E-5"),
            (-2.5, "-2.5"),
            (0.0, "0.0"),
        ] {
            assert_eq!(java_text(value), expected);
        }
    }
}
