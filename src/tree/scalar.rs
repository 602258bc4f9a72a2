//! What a plain YAML scalar means to Kubernetes.
//!
//! Kubernetes reads YAML through sigs.k8s.io/yaml: go-yaml v2 (YAML 1.1 words and octals), then
//! JSON. So `0644` is 420, `yes` and even a lone `y` are true, and `1.0` becomes the integer 1 on
//! its way through JSON.
//!
//! Source: sigs.k8s.io/yaml goyaml.v2/resolve.go `resolve`, yaml.go `convertToJSONableObject`.
//! Differs: integers beyond 64 bits signed become floats; timestamps need no rule, since they are
//! strings there too.

/// A scalar after resolution; text itself stays with the caller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
}

/// Resolves an untagged plain scalar.
pub(crate) fn resolve(text: &str) -> Scalar {
    let Some(&first) = text.as_bytes().first() else {
        return Scalar::Null;
    };
    match first {
        b'0'..=b'9' | b'+' | b'-' | b'.' => number(text),
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => word(text),
        _ => Scalar::Text,
    }
}

fn word(text: &str) -> Scalar {
    match text {
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        _ => Scalar::Text,
    }
}

fn number(text: &str) -> Scalar {
    match text {
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    if text.contains('_') && !text.starts_with('.') {
        return plain_number(&text.replace('_', ""));
    }
    plain_number(text)
}

fn plain_number(text: &str) -> Scalar {
    if let Some(int) = integer(text) {
        return int;
    }
    if !is_float(text) {
        return Scalar::Text;
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => through_json(value),
        _ => Scalar::Text, // out of range: strconv.ParseFloat fails, and the text stays
    }
}

/// A whole float is written by Go's JSON encoder without a point, so it is an integer after it.
#[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^63")]
fn through_json(value: f64) -> Scalar {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0; // 2^63
    if value.fract() == 0.0 && (-LIMIT..LIMIT).contains(&value) {
        return Scalar::Int(value as i64);
    }
    Scalar::Float(value)
}

/// As Go's `strconv.ParseInt(text, 0, 64)`, then `ParseUint`, then a big integer.
fn integer(text: &str) -> Option<Scalar> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = radix(digits);
    let all_digits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    if !all_digits {
        return None;
    }
    let Ok(size) = i128::from_str_radix(digits, radix) else {
        return Some(Scalar::Float(big(digits, radix, negative)));
    };
    let value = if negative { -size } else { size };
    Some(i64::try_from(value).map_or_else(|_| wide(value), Scalar::Int))
}

#[expect(clippy::cast_precision_loss, reason = "beyond 64 bits: JSON readers keep a float too")]
fn wide(value: i128) -> Scalar {
    Scalar::Float(value as f64)
}

fn big(digits: &str, radix: u32, negative: bool) -> f64 {
    let add =
        |sum: f64, c: char| sum * f64::from(radix) + f64::from(c.to_digit(radix).unwrap_or(0));
    let size = digits.chars().fold(0.0, add);
    if negative { -size } else { size }
}

fn radix(digits: &str) -> (u32, &str) {
    let bytes = digits.as_bytes();
    match (bytes.first(), bytes.get(1)) {
        (Some(b'0'), Some(b'x' | b'X')) => (16, &digits[2..]),
        (Some(b'0'), Some(b'o' | b'O')) => (8, &digits[2..]),
        (Some(b'0'), Some(b'b' | b'B')) => (2, &digits[2..]),
        (Some(b'0'), Some(_)) => (8, &digits[1..]),
        _ => (10, digits),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, go-yaml's pattern.
fn is_float(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, rest) = digits(rest);
    let rest = match rest.strip_prefix('.') {
        Some(rest) => {
            let (fraction, rest) = digits(rest);
            if whole + fraction == 0 {
                return false;
            }
            rest
        }
        None if whole == 0 => return false,
        None => rest,
    };
    let Some(rest) = rest.strip_prefix(['e', 'E']) else {
        return rest.is_empty();
    };
    let (power, rest) = digits(rest.strip_prefix(['-', '+']).unwrap_or(rest));
    power > 0 && rest.is_empty()
}

fn digits(text: &str) -> (usize, &str) {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    (count, &text[count..])
}

/// A float as a mapping key: `strconv.FormatFloat(key, 'g', -1, 32)`, with YAML's words.
#[expect(clippy::cast_possible_truncation, reason = "the original narrows to 32 bits, too")]
pub(crate) fn float_key(value: f64) -> String {
    let value = value as f32;
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, power) = scientific.split_once('e').expect("{:e} writes an exponent");
    let power: i32 = power.parse().expect("an exponent is an integer");
    if (-4..6).contains(&power) {
        return format!("{value}");
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", power.abs())
}

/// Whether a text, written plainly, would be read as something else than itself.
///
/// Wider than [`resolve`]: also what other YAML 1.1 readers take for a number or a word (base 60).
pub(crate) fn is_misread(text: &str) -> bool {
    resolve(text) != Scalar::Text
        || text == "="
        || text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
            && text.chars().all(|c| c.is_ascii_digit() || "+-._:".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// sigs.k8s.io/yaml goyaml.v2 decode tests and resolve.go, read by hand.
    #[test]
    fn words_and_numbers_as_go_yaml_v2() {
        let int = Scalar::Int;
        let table: &[(&str, Scalar)] = &[
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("null", Scalar::Null),
            ("nUll", Scalar::Text),
            ("yes", Scalar::Bool(true)),
            ("y", Scalar::Bool(true)),
            ("On", Scalar::Bool(true)),
            ("TRUE", Scalar::Bool(true)),
            ("n", Scalar::Bool(false)),
            ("no", Scalar::Bool(false)),
            ("OFF", Scalar::Bool(false)),
            ("oFF", Scalar::Text),
            ("0644", int(420)),
            ("0o644", int(420)),
            ("0x1F", int(31)),
            ("-0x1f", int(-31)),
            ("0b101", int(5)),
            ("-0b101", int(-5)),
            ("1_000", int(1000)),
            ("0", int(0)),
            ("-0", int(0)),
            ("+5", int(5)),
            ("089", int(89)), // not octal, so a float, so 89 in JSON
            ("1.0", int(1)),
            ("1e3", int(1000)),
            ("1.5", Scalar::Float(1.5)),
            (".5", Scalar::Float(0.5)),
            ("1.", int(1)),
            ("1e-3", Scalar::Float(0.001)),
            (".inf", Scalar::Float(f64::INFINITY)),
            ("-.Inf", Scalar::Float(f64::NEG_INFINITY)),
            ("9223372036854775807", int(i64::MAX)),
            ("9223372036854775808", Scalar::Float(9_223_372_036_854_775_808.0)),
            ("1e400", Scalar::Text),
            ("1:20", Scalar::Text),
            ("190:20:30", Scalar::Text),
            ("2001-12-14", Scalar::Text),
            ("500m", Scalar::Text),
            ("2Gi", Scalar::Text),
            ("10.0.0.1", Scalar::Text),
            ("-", Scalar::Text),
            (".", Scalar::Text),
            (".e3", Scalar::Text),
            ("0x", Scalar::Text),
            ("1_", int(1)),
            ("+", Scalar::Text),
            ("abc", Scalar::Text),
        ];
        for (text, expected) in table {
            assert_eq!(resolve(text), *expected, "{text:?}");
        }
        assert!(matches!(resolve(".nan"), Scalar::Float(f) if f.is_nan()));
        let digits = "9".repeat(60);
        assert!(matches!(resolve(&digits), Scalar::Float(f) if f > 9e59 && f < 1.1e60));
    }

    #[test]
    fn float_keys_as_go_formats_them() {
        let table = [
            (1.5, "1.5"),
            (0.1, "0.1"),
            (1e21, "1e+21"),
            (1e-5, "1e-05"),
            (1_234_567.5, "1.2345675e+06"),
        ];
        for (value, text) in table {
            assert_eq!(float_key(value), text);
        }
        assert_eq!(float_key(f64::INFINITY), ".inf");
    }

    #[test]
    fn misread_covers_base_sixty() {
        for text in ["1:20", "y", "0644", "2001-12-14", "~", "", "-", "1_0"] {
            assert!(is_misread(text), "{text:?}");
        }
        for text in ["500m", "v1", "app", "1:a"] {
            assert!(!is_misread(text), "{text:?}");
        }
    }
}
