//! Numbers that break things.

use gleaner_datasets::Random;

/// Numbers as JSON text: at the edges of types, beyond them, or hardly numbers at all.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-1",
    "1e400",
    "-1e400",
    "1e-400",
    "1e308",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "2147483648",
    "4294967296",
    "0.1e1",
    "1E999999999",
    "123456789012345678901234567890123456789012345678901234567890",
    "3.4028236e38",
    "\"NaN\"",
    "\"-Infinity\"",
    "NaN",
];

/// Draws one.
pub(crate) fn draw(random: &mut Random) -> &'static str {
    NUMBERS[random.below(NUMBERS.len() as u64) as usize]
}
