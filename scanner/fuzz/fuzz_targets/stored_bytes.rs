#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tagline_scanner::read_any_stored_bytes(bytes));
