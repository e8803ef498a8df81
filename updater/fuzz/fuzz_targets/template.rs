//! Any text as a template: run within its limits, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tagline_updater::message::template::{Limits, Template, Value};

fuzz_target!(|source: &str| {
    if let Ok(template) = Template::parse("t", source) {
        let limits = Limits {
            text: 100_000,
            work: 1_000_000,
            ..Limits::default()
        };
        let data = Value::string_map([("a", "b"), ("c", "d")]);
        if let Ok(text) = template.render_within(&data, limits) {
            assert!(text.len() <= 100_000);
        }
    }
});
