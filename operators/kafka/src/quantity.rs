//! Quantities of Kubernetes (`10Gi`, `0.5`, `1e3`), only as far as it takes to compare two of them.
//!
//! The API server writes them in its own way: `1024Mi` comes back as `1Gi`.

/// A quantity in thousandths; smaller parts are dropped. `None` if it is not one, or not a sensible one.
pub fn parse(text: &str) -> Option<i128> {
    let end = text.find(|letter: char| !(letter.is_ascii_digit() || letter == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let (factor, divisor) = scale(suffix)?;
    let places = u32::try_from(fraction.len()).ok()?;
    digits.checked_mul(1000)?.checked_mul(factor)?.checked_div(divisor.checked_mul(10i128.checked_pow(places)?)?)
}

/// What a suffix multiplies with, and divides by.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    const SMALL: [&str; 4] = ["", "m", "u", "n"];
    let power = |base: i128, exponent: usize| base.checked_pow(u32::try_from(exponent).ok()?);
    if let Some(index) = BINARY.iter().position(|&name| name == suffix) {
        return Some((power(1024, index + 1)?, 1));
    }
    if let Some(index) = DECIMAL.iter().position(|&name| name == suffix) {
        return Some((power(1000, index)?, 1));
    }
    if let Some(index) = SMALL.iter().position(|&name| name == suffix) {
        return Some((1, power(1000, index)?));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let factor = 10i128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 { (1, factor) } else { (factor, 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two ways to write one quantity are equal.
    #[test]
    fn equal() {
        for (one, other) in [
            ("1Gi", "1024Mi"),
            ("1.5Gi", "1536Mi"),
            ("1G", "1000M"),
            ("1e3", "1k"),
            ("0.5", "500m"),
            ("1000000u", "1"),
            ("1E", "1e18"),
            ("5E-1", "500m"),
            ("7", "7.000"),
        ] {
            assert_eq!(parse(one).unwrap(), parse(other).unwrap(), "{one} {other}");
        }
    }

    /// Binary and decimal units differ.
    #[test]
    fn different() {
        assert!(parse("1Gi").unwrap() > parse("1G").unwrap());
    }

    /// What is not a quantity is none, and nothing overflows.
    #[test]
    fn none() {
        for text in ["", ".", "Gi", "1 Gi", "1gi", "-1", "1.2.3", "1e", "1e99", "9".repeat(40).as_str(), "ten"] {
            assert_eq!(None, parse(text), "{text}");
        }
    }
}
