//! Bytes for the reader `bulk`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("bulk", bytes));
