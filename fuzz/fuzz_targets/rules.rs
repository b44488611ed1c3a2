//! Bytes for the reader `rules`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("rules", bytes));
