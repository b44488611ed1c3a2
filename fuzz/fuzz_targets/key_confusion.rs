//! Bytes for the reader `key_confusion`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gleaner_tests::fuzz::read("key_confusion", bytes));
