//! Bytes for the reader `analysis`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("analysis", bytes));
