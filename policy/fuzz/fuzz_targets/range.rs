#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tagline_policy_fuzz::range(bytes));
