//! Sizes and times for people.

const SIZES: [(&str, u64); 5] = [
    ("pb", 1 << 50),
    ("tb", 1 << 40),
    ("gb", 1 << 30),
    ("mb", 1 << 20),
    ("kb", 1 << 10),
];

/// Returns a size with the largest unit that fits: `1.4kb`.
pub(crate) fn size_text(bytes: u64) -> String {
    match SIZES.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}{name}", tenths(bytes as f64 / *unit as f64)),
        None => format!("{bytes}b"),
    }
}

/// Returns a size in the unit asked for, as a bare whole number; `None` for an unknown unit.
pub(crate) fn size_in(bytes: u64, unit: &str) -> Option<String> {
    let name = match unit {
        "b" => return Some(bytes.to_string()),
        "k" | "m" | "g" | "t" | "p" => format!("{unit}b"),
        other => other.to_owned(),
    };
    let (_, size) = SIZES.iter().find(|(known, _)| *known == name)?;
    Some((bytes / size).to_string())
}

/// Returns milliseconds with a unit: `1.2s`.
pub(crate) fn time_text(millis: u64) -> String {
    const TIMES: [(&str, u64); 4] = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ];
    match TIMES.iter().find(|(_, unit)| millis >= *unit) {
        Some((name, unit)) => format!("{}{name}", tenths(millis as f64 / *unit as f64)),
        None => format!("{millis}ms"),
    }
}

/// One decimal, none where it is zero; cut off, not rounded.
fn tenths(number: f64) -> String {
    let cut = (number * 10.0).floor() / 10.0;
    if cut.fract() == 0.0 {
        format!("{cut:.0}")
    } else {
        format!("{cut:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_carry_the_largest_unit() {
        assert_eq!(size_text(0), "0b");
        assert_eq!(size_text(1_500), "1.4kb");
        assert_eq!(size_text(2 << 20), "2mb");
        assert_eq!(size_in(3 << 20, "kb").as_deref(), Some("3072"));
        assert_eq!(size_in(1, "parsec"), None);
        assert_eq!(time_text(1_250), "1.2s");
        assert_eq!(time_text(7), "7ms");
    }
}
