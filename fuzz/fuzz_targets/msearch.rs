//! Bytes for the reader `msearch`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("msearch", bytes));
