//! Bytes for the reader `forwarded`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("forwarded", bytes));
