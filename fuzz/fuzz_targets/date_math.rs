//! Bytes for the reader `date_math`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("date_math", bytes));
