//! Amounts: exact from text to text, never through a float.

use iso_currency::Currency;
use rust_decimal::Decimal;

use crate::connector::language::error::EvaluateError;
use crate::connector::language::filter::Arguments;
use crate::protocol::tree::Tree;

/// Digits of an amount, more than any currency's economy needs.
const DIGITS_MAX: usize = 38;

/// Turns an integer of minor units into decimal text by the exponent ISO 4217 gives the currency.
pub fn minor_units(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let code = arguments.required(0, "currency")?;
    let exponent = known(code).and_then(Currency::exponent).ok_or_else(|| {
        arguments.refuse(
            "an ISO 4217 currency with minor units",
            &Tree::Text(code.into()),
        )
    })?;
    let text = scalar(value).map(str::trim).unwrap_or_default();
    let (sign, digits) = signed(text);
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(arguments.refuse("an integer of minor units", value));
    }
    let places = usize::from(exponent);
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded
        .split_at_checked(padded.len() - places)
        .unwrap_or((&padded, ""));
    let whole = without_zeros(whole);
    let amount = if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    };
    Ok(Tree::Text(amount.into()))
}

/// Checks that a value is a plain decimal number and keeps its digits; separators of thousands are refused, because
/// `1,234` is a thousand to some and one to others.
pub fn decimal(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let refuse = || arguments.refuse("a decimal number such as `-1234.50`", value);
    let text = scalar(value).map(str::trim).ok_or_else(refuse)?;
    if matches!(value, Tree::Number(_)) && text.contains(['e', 'E']) {
        let exact = Decimal::from_scientific(text).map_err(|_| refuse())?;
        return Ok(Tree::Text(exact.to_string().into()));
    }
    let (sign, digits) = signed(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if digits.len() > DIGITS_MAX || !is_digits(whole) || !fraction.is_none_or(is_digits) {
        return Err(refuse());
    }
    let whole = without_zeros(whole);
    let amount = match fraction {
        Some(fraction) => format!("{sign}{whole}.{fraction}"),
        None => format!("{sign}{whole}"),
    };
    Ok(Tree::Text(amount.into()))
}

/// The ISO 4217 code of a currency, in capitals.
pub fn currency(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    scalar(value)
        .and_then(known)
        .map(|currency| Tree::Text(currency.code().into()))
        .ok_or_else(|| arguments.refuse("an ISO 4217 currency code", value))
}

/// Whether ISO 4217 has such a currency.
pub fn is_currency(code: &str) -> bool {
    known(code).is_some()
}

fn known(code: &str) -> Option<Currency> {
    Currency::from_code(&code.trim().to_ascii_uppercase())
}

fn scalar(value: &Tree) -> Option<&str> {
    match value {
        Tree::Text(text) | Tree::Number(text) => Some(text),
        Tree::Null | Tree::Bool(_) | Tree::List(_) | Tree::Map(_) => None,
    }
}

fn signed(text: &str) -> (&'static str, &str) {
    match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    }
}

fn without_zeros(whole: &str) -> &str {
    match whole.trim_start_matches('0') {
        "" => "0",
        trimmed => trimmed,
    }
}
