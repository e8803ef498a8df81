//! sprig calculates with decimals, not with floats: 0.1 and 0.2 are 0.3, and a third has 16 digits behind the point.
//!
//! `shopspring/decimal` as sprig uses it: a float is the shortest decimal that reads back as it, sums, differences and
//! products are exact, a quotient is rounded to 16 places, half away from zero.

/// Digits behind the point of a quotient (`decimal.DivisionPrecision`).
const PLACES: i32 = 16;

/// `units` times ten to the power of `exponent`.
#[derive(Clone, Copy)]
struct Decimal {
    units: i128,
    exponent: i32,
}

pub(super) fn sum(a: f64, b: f64) -> f64 {
    exactly(a, b, |a, b| {
        let (a, b) = aligned(a, b)?;
        Some(Decimal {
            units: a.units.checked_add(b.units)?,
            ..a
        })
    })
    .unwrap_or(a + b)
}

pub(super) fn difference(a: f64, b: f64) -> f64 {
    sum(a, -b)
}

pub(super) fn product(a: f64, b: f64) -> f64 {
    exactly(a, b, |a, b| {
        Some(Decimal {
            units: a.units.checked_mul(b.units)?,
            exponent: a.exponent + b.exponent,
        })
    })
    .unwrap_or(a * b)
}

/// The caller has seen to it that `b` is not zero.
pub(super) fn quotient(a: f64, b: f64) -> f64 {
    exactly(a, b, |a, b| {
        // a / b = (a.units * 10^power / b.units) * 10^-PLACES
        let power = a.exponent - b.exponent + PLACES;
        let (mut above, mut below) = (a.units, b.units);
        if power >= 0 {
            above = above.checked_mul(power_of_ten(power)?)?;
        } else {
            below = below.checked_mul(power_of_ten(-power)?)?;
        }
        let (whole, rest) = (above.checked_div(below)?, above.checked_rem(below)?);
        let up = rest.unsigned_abs() >= below.unsigned_abs().div_ceil(2);
        let away = if (above < 0) == (below < 0) { 1 } else { -1 };
        Some(Decimal {
            units: whole + if up && rest != 0 { away } else { 0 },
            exponent: -PLACES,
        })
    })
    .unwrap_or_else(|| {
        let quotient = a / b;
        if quotient.abs() < 0.5e-16 {
            0.0
        } else {
            quotient
        }
    })
}

/// Calculates with decimals; none where they are too long for it.
fn exactly(a: f64, b: f64, with: fn(Decimal, Decimal) -> Option<Decimal>) -> Option<f64> {
    let result = with(Decimal::of(a)?, Decimal::of(b)?)?;
    format!("{}e{}", result.units, result.exponent).parse().ok()
}

fn aligned(a: Decimal, b: Decimal) -> Option<(Decimal, Decimal)> {
    let exponent = a.exponent.min(b.exponent);
    let lower = |number: Decimal| {
        let units = number
            .units
            .checked_mul(power_of_ten(number.exponent - exponent)?)?;
        Some(Decimal { units, exponent })
    };
    Some((lower(a)?, lower(b)?))
}

fn power_of_ten(power: i32) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(power).ok()?)
}

impl Decimal {
    fn of(value: f64) -> Option<Self> {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e')?;
        let places = digits.split_once('.').map_or(0, |(_, behind)| behind.len());
        Some(Self {
            units: digits.replace('.', "").parse().ok()?,
            exponent: exponent.parse::<i32>().ok()? - i32::try_from(places).ok()?,
        })
    }
}
