//! Natural order: runs of digits compare as numbers, everything else as bytes.
//!
//! `rc2 < rc11`, `11.0.16_8 < 11.0.16_10`, `2024.1.9 < 2024.1.10`. A release comes after its
//! pre-releases only where the text says so; for that there is the semver policy.

use std::cmp::Ordering;

/// Compares two texts in natural order. Texts that differ only in leading zeros are told apart by
/// their bytes, so that the order is total.
#[must_use]
pub fn compare_natural(a: &str, b: &str) -> Ordering {
    let (left, right) = (a.as_bytes(), b.as_bytes());
    let (mut at, mut other) = (0, 0);
    while let (Some(x), Some(y)) = (left.get(at), right.get(other)) {
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let number = digits(left, &mut at);
            let other_number = digits(right, &mut other);
            let order = (number.len(), number).cmp(&(other_number.len(), other_number));
            if order.is_ne() {
                return order;
            }
        } else if x == y {
            at += 1;
            other += 1;
        } else {
            return x.cmp(y);
        }
    }
    (left.len() - at)
        .cmp(&(right.len() - other))
        .then_with(|| a.cmp(b))
}

/// The digits at `at` without leading zeros; moves `at` behind them.
fn digits<'a>(bytes: &'a [u8], at: &mut usize) -> &'a [u8] {
    let start = *at;
    while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
        *at += 1;
    }
    let run = &bytes[start..*at];
    let zeros = run.iter().take_while(|b| **b == b'0').count();
    &run[zeros..]
}
