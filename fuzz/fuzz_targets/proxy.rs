//! Bytes for the reader `proxy`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("proxy", bytes));
