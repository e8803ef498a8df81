//! Go's `strconv.ParseFloat`, after the rows of its own tests that concern grammar and rounding.

use proptest::prelude::*;
use tagline_policy::parse_number;

#[test]
fn what_go_reads() {
    for (text, value) in [
        ("0", 0.0),
        ("1", 1.0),
        ("+1", 1.0),
        ("-1", -1.0),
        ("007", 7.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e23", 1e23),
        ("1E23", 1e23),
        ("1e+3", 1e3),
        ("1e-3", 1e-3),
        ("123456700", 1.234_567e8),
        ("99999999999999974834176", 9.999_999_999_999_997e22),
        ("100000000000000016777215", 1.000_000_000_000_000_1e23),
        ("1e-350", 0.0),
        ("4.9e-324", 5e-324),
        ("1.7976931348623157e308", f64::MAX),
        ("20240101120000123", 20_240_101_120_000_124.0),
        ("1_23.50_0_0e+1_2", 1.235e14),
        ("1_000", 1000.0),
        ("0x1p0", 1.0),
        ("0X1P0", 1.0),
        ("0x1p-1", 0.5),
        ("0x1ep-1", 15.0),
        ("-0x1ep-1", -15.0),
        ("0x1.8p1", 3.0),
        ("0x.8p1", 1.0),
        ("0x1.fffffffffffffp1023", f64::MAX),
        ("0x1p-1074", 5e-324),
        ("0x1p-1075", 0.0),
        ("0x1.8p-1075", 5e-324),
        ("0x0.0000000000001p-1022", 5e-324),
        ("0x1.00000000000008p0", 1.0),
        ("0x1.000000000000081p0", 1.000_000_000_000_000_2),
        ("0x1.00000000000018p0", 1.000_000_000_000_000_4),
        ("0x_1_2.3_4_5p+1_2", 74565.0),
        ("0x1p-99999999999", 0.0),
        ("0x0p99999999999", 0.0),
        ("0x0.fffffffffffff8p-1022", 2.225_073_858_507_201_4e-308),
    ] {
        assert_eq!(parse_number(text), Some(value), "{text}");
    }
    let sticky = format!("0x1.00000000000008{}1p0", "0".repeat(1000));
    assert_eq!(parse_number(&sticky), Some(1.000_000_000_000_000_2));
    for text in ["inf", "Inf", "+INF", "infinity", "+InFiNiTy"] {
        assert_eq!(parse_number(text), Some(f64::INFINITY), "{text}");
    }
    assert_eq!(parse_number("-inf"), Some(f64::NEG_INFINITY));
    for text in ["nan", "NaN", "NAN"] {
        assert!(parse_number(text).is_some_and(f64::is_nan), "{text}");
    }
}

#[test]
fn what_go_refuses() {
    for text in [
        "",
        " 1",
        "1 ",
        "1x",
        "1.1.",
        "1..2",
        ".",
        "-",
        "+",
        "--1",
        ".e-1",
        "1e",
        "1e+",
        "1e-",
        "1e.1",
        "infi",
        "infinit",
        "+nan",
        "-nan",
        "nanx",
        "0x",
        "0x1",
        "0x1.8",
        "0xp1",
        "0x.p1",
        "0x1p",
        "0x1e2",
        "1p3",
        "0b1",
        "0o7",
        "1e400",
        "-1e309",
        "0x1p1024",
        "0x1.fffffffffffff8p1023",
        "_1",
        "1_",
        "1__0",
        "1_.5",
        "1._5",
        "1e_5",
        "1e5_",
        "1_e5",
        "_0x1p1",
        "0x1_p1",
        "0x__1p1",
        "0_x1p1",
        "١",
        "½",
        "0x1p\u{661}",
    ] {
        assert_eq!(parse_number(text), None, "{text:?}");
    }
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC{0,40}") {
        let _ = parse_number(&text);
    }

    #[test]
    fn never_panics_near_numbers(text in "[+-]?(0[xX])?[0-9a-fA-F_.]{0,25}([epEP][+-]?[0-9_]{0,6})?") {
        let _ = parse_number(&text);
    }

    #[test]
    fn decimals_are_those_of_rust(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
        prop_assert_eq!(parse_number(&format!("{value}")), Some(value));
        prop_assert_eq!(parse_number(&format!("{value:e}")), Some(value));
    }

    #[test]
    fn hexadecimals_are_exact(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        let exponent = i64::try_from(bits >> 52 & 0x7ff).unwrap();
        let fraction = bits & ((1 << 52) - 1);
        let (lead, power) = if exponent == 0 { (0, -1022) } else { (1, exponent - 1023) };
        let sign = if value.is_sign_negative() { "-" } else { "" };
        let text = format!("{sign}0x{lead}.{fraction:013x}p{power}");
        prop_assert_eq!(parse_number(&text).map(f64::to_bits), Some(bits));
    }
}
