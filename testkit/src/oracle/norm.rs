//! Lengths as one byte keeps them.
//!
//! Lucene's `SmallFloat.intToByte4` (tantivy's table is the same): lengths below 24 are exact; what
//! is above 24 keeps its four leading bits. A byte numbers the values that remain.

/// Lengths below this one are exact: 255 − the largest four-bit float of a 31-bit number (231).
const NUM_EXACT: u32 = 24;

/// Returns the length that stands for `length` after a norm has kept it.
pub(super) fn quantised(length: u32) -> u32 {
    let Some(above) = length.checked_sub(NUM_EXACT) else {
        return length;
    };
    let num_bits = u32::BITS - above.leading_zeros();
    let dropped = num_bits.saturating_sub(4);
    NUM_EXACT + (above >> dropped << dropped)
}

#[cfg(test)]
mod tests {
    use super::quantised;

    #[test]
    fn there_are_256_values_and_the_first_are_those_published() {
        let mut values: Vec<u32> = (0..100_000).map(quantised).collect();
        values.dedup();
        assert_eq!(values[..40], (0..40).collect::<Vec<u32>>());
        assert_eq!(
            values[40..56],
            [
                40, 42, 44, 46, 48, 50, 52, 54, 56, 60, 64, 68, 72, 76, 80, 84
            ]
        );
        // 24 exact, 8 of up to three bits, and 8 for each of the 28 longer numbers of bits.
        let floats = (0..28).flat_map(|shift| (8..16).map(move |leading| (leading << shift) + 24));
        let all: Vec<u32> = (0..32).chain(floats).collect();
        assert_eq!(all.len(), 256);
        assert!(all.iter().all(|value| quantised(*value) == *value));
        assert!(all.is_sorted());
    }

    #[test]
    fn a_value_stands_for_itself() {
        for length in 0..100_000 {
            let value = quantised(length);
            assert!(value <= length);
            assert_eq!(quantised(value), value);
        }
    }
}
