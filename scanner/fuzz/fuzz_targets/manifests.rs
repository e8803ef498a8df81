#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = tagline_scanner::images_in_text(Path::new("manifest.yaml"), text);
});
