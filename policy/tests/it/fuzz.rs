//! The bodies of the fuzz targets over random bytes, so that every test run exercises them.

use proptest::prelude::*;

#[path = "../../fuzz/bodies.rs"]
#[expect(unreachable_pub, reason = "the fuzz crate exports them")]
mod bodies;

/// Bytes: anything at all, or made of what the readers look for.
fn bytes(alphabet: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let likely = proptest::collection::vec(0..alphabet.len(), 0..48).prop_map(|picks| {
        picks
            .into_iter()
            .map(|at| alphabet.as_bytes()[at])
            .collect()
    });
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..64),
        4 => likely,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn range(bytes in bytes("0123xX*v.-+<>=!~^|, \0ab")) {
        bodies::range(&bytes);
    }

    #[test]
    fn version(bytes in bytes("0123v.-+ab\0")) {
        bodies::version(&bytes);
    }

    #[test]
    fn expand(bytes in bytes("${}ab01_ \0c")) {
        bodies::expand(&bytes);
    }

    #[test]
    fn number(bytes in bytes("0123456789abcdefxXpPeE+-._inf")) {
        bodies::number(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn filter(bytes in bytes("ab01()[]{}?*+|^$.\\-,:<>=!PpQEiLdwsx\0")) {
        bodies::filter(&bytes);
    }
}
