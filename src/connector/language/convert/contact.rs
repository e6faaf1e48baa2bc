//! Addresses and phone numbers as keys that compare equal when they reach the same mailbox or line.

use phonenumber::{Mode, country};
use unicode_normalization::UnicodeNormalization as _;

use crate::connector::language::error::EvaluateError;
use crate::connector::language::filter::Arguments;
use crate::protocol::tree::Tree;

/// Longest address, RFC 5321 section 4.5.3.1 with room for a display name.
const ADDRESS_BYTES_MAX: usize = 1024;

/// Longest phone number as people write them.
const PHONE_CHARS_MAX: usize = 64;

/// The match key of an e-mail address: NFC, without display name and `mailto:`, the domain in IDNA ASCII, all in small
/// letters. Dots and `+tag` stay, because only some hosts ignore them. A word for "none" is null.
pub fn email(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let refuse = || arguments.refuse("an e-mail address", value);
    let Tree::Text(text) = value else {
        return Err(refuse());
    };
    if text.len() > ADDRESS_BYTES_MAX {
        return Err(refuse());
    }
    let text = text.nfc().collect::<String>();
    let text = text.trim();
    if ["", "null", "none", "n/a", "-"].contains(&text.to_lowercase().as_str()) {
        return Ok(Tree::Null);
    }
    let address = bare_address(text);
    let (local, domain) = split_address(address).ok_or_else(refuse)?;
    let domain = idna::domain_to_ascii(domain.trim_end_matches('.')).map_err(|_| refuse())?;
    if domain.is_empty() || domain.contains(char::is_whitespace) {
        return Err(refuse());
    }
    Ok(Tree::Text(
        format!("{}@{}", local.to_lowercase(), domain.to_lowercase()).into(),
    ))
}

/// The address without display name, angle brackets and `mailto:`.
fn bare_address(text: &str) -> &str {
    let inner = text
        .strip_suffix('>')
        .and_then(|text| text.rsplit_once('<'))
        .map_or(text, |(_, inner)| inner)
        .trim();
    match inner.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("mailto:") => rest.trim(),
        _ => inner,
    }
}

/// Local part and domain, when there is exactly one `@` outside quotes and neither part is empty.
fn split_address(address: &str) -> Option<(&str, &str)> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    let mut at = None;
    for (place, c) in address.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if c.is_control() || (c.is_whitespace() && !is_quoted) => return None,
            '@' if !is_quoted && at.is_some() => return None,
            '@' if !is_quoted => at = Some(place),
            _ => {}
        }
    }
    let (local, domain) = address.split_at_checked(at?)?;
    let domain = domain.strip_prefix('@')?;
    (!is_quoted && !local.is_empty() && !domain.is_empty()).then_some((local, domain))
}

/// The number in E.164; null when no country is known or the text is no dialled number there.
pub fn phone(value: &Tree, arguments: &Arguments<'_>) -> Result<Tree, EvaluateError> {
    let text = match value {
        Tree::Text(text) | Tree::Number(text) => text,
        other => return Err(arguments.refuse("a phone number", other)),
    };
    let country = match arguments.text(0, "country")? {
        None => None,
        Some(code) => Some(
            code.trim()
                .to_ascii_uppercase()
                .parse::<country::Id>()
                .map_err(|_| {
                    arguments.refuse("an ISO 3166 country code", &Tree::Text(code.into()))
                })?,
        ),
    };
    let Some(dialled) = dialled(text) else {
        return Ok(Tree::Null);
    };
    if country.is_none() && !dialled.starts_with('+') {
        return Ok(Tree::Null);
    }
    let number = phonenumber::parse(country, &dialled)
        .ok()
        .filter(phonenumber::PhoneNumber::is_valid)
        .map(|number| number.format().mode(Mode::E164).to_string())
        .filter(|text| is_e164(text));
    Ok(number.map_or(Tree::Null, |text| Tree::Text(text.into())))
}

fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

/// What would be dialled: plain digits and perhaps a `+`. `None` for texts with letters, such as `4.47E+11`.
fn dialled(text: &str) -> Option<String> {
    if text.chars().count() > PHONE_CHARS_MAX {
        return None;
    }
    let plain = text.nfkc().collect::<String>();
    let plain = plain.trim().to_lowercase();
    let plain = plain.strip_prefix("tel:").unwrap_or(&plain);
    let extension = ["ext", "x", "#", ";"]
        .iter()
        .filter_map(|mark| plain.find(mark))
        .min();
    let main = extension.and_then(|at| plain.get(..at)).unwrap_or(plain);
    // People write the trunk prefix of national calls into international numbers: +44 (0)20 …
    let main = if is_international(main) {
        main.replacen("(0)", "", 1)
    } else {
        main.to_owned()
    };
    let mut digits = String::with_capacity(main.len());
    for c in main.chars() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if digits.is_empty() => digits.push(c),
            ' ' | '-' | '.' | '/' | '(' | ')' | '\u{2010}'..='\u{2015}' => {}
            _ => return None,
        }
    }
    match digits.strip_prefix("00") {
        Some(rest) => Some(format!("+{rest}")),
        None => Some(digits),
    }
    .filter(|digits| digits.len() > 3)
}

fn is_international(text: &str) -> bool {
    text.starts_with('+') || text.starts_with("00")
}
