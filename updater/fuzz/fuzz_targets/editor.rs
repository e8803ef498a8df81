//! Any bytes as a file of any format: edited and then stable, or refused.
//!
//! A file without a marker is not even parsed, and no fuzzer guesses one: three control bytes stand for markers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tagline_policy::{ImageReference, Tag};
use tagline_updater::edit::{EditOptions, Formats, edit};
use tagline_updater::{Choices, PolicyName};

/// The input with its markers written out.
fn with_markers(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len() * 2);
    for byte in bytes {
        match byte {
            1 => text.extend_from_slice(b" # {\"$imagepolicy\": \"ns:app\"}"),
            2 => text.extend_from_slice(b" # {\"$imagepolicy\": \"ns:app:tag\"}"),
            3 => text.extend_from_slice(b"\"$imagepolicy\": \"ns:app:name\""),
            byte => text.push(*byte),
        }
    }
    text
}

fuzz_target!(|bytes: &[u8]| {
    let bytes = &with_markers(bytes);
    let Ok(tag) = Tag::new("1.20") else { return };
    let image = ImageReference {
        name: "ghcr.io/org/app".to_owned(),
        tag,
        digest: None,
    };
    let choices = Choices::from_iter([(PolicyName::new("ns", "app"), image)]);
    let options = EditOptions {
        formats: Formats::all(),
        ..EditOptions::default()
    };
    for path in ["a.yaml", "a.json", "a.tf", "Dockerfile", ".env", "a.tpl"] {
        if let Ok(done) = edit(path, bytes, &choices, &options)
            && let Some(new) = done.text
        {
            let again = edit(path, &new, &choices, &options);
            assert!(again.is_ok_and(|again| again.text.is_none()), "{path}");
        }
    }
});
