#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tagline_scanner::foreign_bytes::limits(bytes));
