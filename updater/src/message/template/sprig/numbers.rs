//! Numbers. As in sprig, anything that looks like a number is taken, and what does not is 0.

use super::super::function::{Function, Kind, fixed, variadic};
use super::super::run::{Fault, Run};
use super::super::value::Value;
use super::{decimal, int_of, strval, text_of};

const ANY: &[Kind] = &[Kind::Any];
const TWO: &[Kind] = &[Kind::Any, Kind::Any];

pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "atoi" => fixed(&[Kind::Text], |_, values| {
            let text = text_of(&values[0]);
            Ok(Value::Int(text.parse().unwrap_or_default()))
        }),
        "int" => fixed(ANY, |_, values| Ok(Value::Int(to_int64(&values[0])))),
        "int64" => fixed(ANY, |_, values| Ok(Value::Int64(to_int64(&values[0])))),
        "float64" => fixed(ANY, |_, values| Ok(Value::Float(to_float(&values[0])))),
        "toDecimal" => fixed(ANY, |run, values| {
            let text = strval(run, &values[0])?;
            Ok(Value::Int64(i64::from_str_radix(&text, 8).unwrap_or(0)))
        }),
        "add1" => fixed(ANY, |_, values| {
            Ok(Value::Int64(to_int64(&values[0]).wrapping_add(1)))
        }),
        "add" => variadic(&[], Kind::Any, |_, values| {
            let sum = values.iter().map(to_int64).fold(0, i64::wrapping_add);
            Ok(Value::Int64(sum))
        }),
        "mul" => variadic(ANY, Kind::Any, |_, values| {
            let product = values.iter().map(to_int64).fold(1, i64::wrapping_mul);
            Ok(Value::Int64(product))
        }),
        "sub" => fixed(TWO, |_, values| {
            Ok(Value::Int64(
                to_int64(&values[0]).wrapping_sub(to_int64(&values[1])),
            ))
        }),
        "div" => fixed(TWO, |_, values| divided(values, i64::wrapping_div)),
        "mod" => fixed(TWO, |_, values| divided(values, i64::wrapping_rem)),
        "max" | "biggest" => variadic(ANY, Kind::Any, |_, values| {
            let most = values.iter().map(to_int64).max();
            Ok(Value::Int64(most.unwrap_or_default()))
        }),
        "min" => variadic(ANY, Kind::Any, |_, values| {
            let least = values.iter().map(to_int64).min();
            Ok(Value::Int64(least.unwrap_or_default()))
        }),
        "maxf" => variadic(ANY, Kind::Any, |_, values| Ok(folded(values, f64::max))),
        "minf" => variadic(ANY, Kind::Any, |_, values| Ok(folded(values, f64::min))),
        "add1f" => fixed(ANY, |_, values| {
            let one = [values[0].clone(), Value::Int(1)];
            Ok(folded(&one, decimal::sum))
        }),
        "addf" => variadic(&[], Kind::Any, |_, values| Ok(folded(values, decimal::sum))),
        "subf" => variadic(ANY, Kind::Any, |_, values| {
            Ok(folded(values, decimal::difference))
        }),
        "mulf" => variadic(ANY, Kind::Any, |_, values| {
            Ok(folded(values, decimal::product))
        }),
        "divf" => variadic(ANY, Kind::Any, |_, values| {
            if values[1..].iter().any(|value| to_float(value) == 0.0) {
                return Err(Fault::new("decimal division by 0"));
            }
            Ok(folded(values, decimal::quotient))
        }),
        "ceil" => fixed(ANY, |_, values| {
            Ok(Value::Float(to_float(&values[0]).ceil()))
        }),
        "floor" => fixed(ANY, |_, values| {
            Ok(Value::Float(to_float(&values[0]).floor()))
        }),
        "round" => variadic(&[Kind::Any, Kind::Int], Kind::Float, |_, values| {
            Ok(round(values))
        }),
        "until" => fixed(&[Kind::Int], |run, values| {
            let end = int_of(&values[0]);
            let numbers = steps(run, 0, end, end.signum())?;
            run.list("int", numbers.into_iter().map(Value::Int).collect())
        }),
        "untilStep" => fixed(&[Kind::Int, Kind::Int, Kind::Int], |run, values| {
            let [start, end, step] = [0, 1, 2].map(|index| int_of(&values[index]));
            let numbers = steps(run, start, end, step)?;
            run.list("int", numbers.into_iter().map(Value::Int).collect())
        }),
        "seq" => variadic(&[], Kind::Int, sequence),
        _ => return None,
    })
}

/// `cast.ToInt64`: whatever does not look like a number is 0.
pub(super) fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Int(value) | Value::Int64(value) => *value,
        // What does not fit is the least number, as on Go's usual machines.
        Value::Float(value) if !(-9.2e18..9.2e18).contains(value) => i64::MIN,
        #[expect(clippy::cast_possible_truncation, reason = "Go truncates as well")]
        Value::Float(value) => *value as i64,
        Value::Bool(value) => i64::from(*value),
        Value::Text(text) => text_to_int64(text),
        _ => 0,
    }
}

/// `strconv.ParseInt` with base 0, after `cast` has dropped zeros behind the decimal point.
fn text_to_int64(text: &str) -> i64 {
    let text = match text.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        _ => text,
    };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.starts_with(['+', '-']) {
        return 0;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).unwrap_or(0)
}

/// `cast.ToFloat64`.
fn to_float(value: &Value) -> f64 {
    match value {
        Value::Float(value) => *value,
        Value::Text(text) => text.parse().unwrap_or(0.0),
        #[expect(clippy::cast_precision_loss, reason = "Go rounds alike")]
        other => to_int64(other) as f64,
    }
}

fn folded(values: &[Value], join: fn(f64, f64) -> f64) -> Value {
    let mut numbers = values.iter().map(to_float);
    let first = numbers.next().unwrap_or(0.0);
    Value::Float(numbers.fold(first, join))
}

fn divided(values: &[Value], operation: fn(i64, i64) -> i64) -> Result<Value, Fault> {
    let by = to_int64(&values[1]);
    if by == 0 {
        return Err(Fault::new("runtime error: integer divide by zero"));
    }
    Ok(Value::Int64(operation(to_int64(&values[0]), by)))
}

fn round(values: &[Value]) -> Value {
    let value = to_float(&values[0]);
    let up_from = values.get(2).map_or(0.5, to_float);
    let places = i32::try_from(int_of(&values[1])).unwrap_or(0);
    let power = 10_f64.powi(places);
    let digits = power * value;
    let rounded = if digits.fract() >= up_from {
        digits.ceil()
    } else {
        digits.floor()
    };
    Value::Float(rounded / power)
}

/// `start`, `start + step`, … up to `end`, which is left out.
fn steps(run: &mut Run, start: i64, end: i64, step: i64) -> Result<Vec<i64>, Fault> {
    let wrong_way = if end < start { step >= 0 } else { step <= 0 };
    if wrong_way {
        return Ok(Vec::new());
    }
    let count = end.abs_diff(start).div_ceil(step.unsigned_abs());
    run.spend_text(usize::try_from(count).unwrap_or(usize::MAX))?;
    let mut numbers = Vec::new();
    let mut next = Some(start);
    while let Some(number) = next
        && (if step > 0 { number < end } else { number > end })
    {
        numbers.push(number);
        next = number.checked_add(step);
    }
    Ok(numbers)
}

fn sequence(run: &mut Run, values: &[Value]) -> Result<Value, Fault> {
    let numbers: Vec<i64> = values.iter().map(int_of).collect();
    let direction = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let numbers = match numbers[..] {
        [end] => {
            let step = direction(1, end);
            steps(run, 1, end.saturating_add(step), step)?
        }
        [start, end] => {
            let step = direction(start, end);
            steps(run, start, end.saturating_add(step), step)?
        }
        [start, step, end] => {
            let towards = direction(start, end);
            if towards < 0 && step > 0 {
                Vec::new()
            } else {
                steps(run, start, end.saturating_add(towards), step)?
            }
        }
        _ => Vec::new(),
    };
    let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    run.text(texts.join(" "))
}
