//! Bytes for the reader `cookie`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("cookie", bytes));
