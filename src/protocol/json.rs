//! Reads and writes JSON without changing a number.

use std::collections::HashSet;

use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, Peek};

use crate::protocol::error::DecodeError;
use crate::protocol::limits::Limits;
use crate::protocol::tree::Tree;

/// Objects with fewer members are searched for a repeated key one by one, which is faster than hashing.
const MEMBERS_SCANNED_MAX: usize = 32;

/// Decodes one JSON document.
///
/// A UTF-8 byte order mark is skipped. Refused: anything after the value, `NaN` and `Infinity`, text that is not
/// UTF-8, and `\u` escapes of lone surrogates, since they name no character (RFC 8259 section 8.2).
/// Refused too is a key that an object has twice: which of its values counts is the reader's choice (RFC 8259
/// section 4), and a wrong choice changes a value silently.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Tree, DecodeError> {
    if bytes.len() > limits.bytes {
        return Err(DecodeError::TooLong {
            limit: limits.bytes,
        });
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut decoder = Decoder {
        jiter: Jiter::new(bytes),
        limits,
        nodes: 0,
    };
    decoder.document().map_err(|failure| match failure {
        Failure::Limit(error) => error,
        Failure::Json(error) => locate(&error, &decoder.jiter),
    })
}

/// Writes the tree as JSON: numbers as their text, or as a string when that text is no JSON number.
pub fn encode(tree: &Tree) -> Vec<u8> {
    let mut out = Vec::new();
    write(tree, &mut out);
    out
}

struct Decoder<'j> {
    jiter: Jiter<'j>,
    limits: &'j Limits,
    nodes: usize,
}

enum Failure {
    Limit(DecodeError),
    Json(JiterError),
}

impl From<JiterError> for Failure {
    fn from(error: JiterError) -> Self {
        Self::Json(error)
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::Limit(error)
    }
}

impl Decoder<'_> {
    fn document(&mut self) -> Result<Tree, Failure> {
        let peek = self.jiter.peek()?;
        let tree = self.value(peek, 0)?;
        self.jiter.finish()?;
        Ok(tree)
    }

    fn value(&mut self, peek: Peek, depth: usize) -> Result<Tree, Failure> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(DecodeError::TooManyNodes {
                limit: self.limits.nodes,
            }
            .into());
        }
        match peek {
            Peek::Null => {
                self.jiter.known_null()?;
                Ok(Tree::Null)
            }
            Peek::True | Peek::False => Ok(Tree::Bool(self.jiter.known_bool(peek)?)),
            Peek::String => Ok(Tree::Text(bounded(self.jiter.known_str()?, self.limits)?)),
            Peek::Array => self.list(depth + 1),
            Peek::Object => self.map(depth + 1),
            number => {
                let limits = self.limits;
                let digits = self.jiter.known_number_bytes(number)?;
                let text = std::str::from_utf8(digits).map_err(|_| DecodeError::Encoding)?;
                Ok(Tree::Number(bounded(text, limits)?))
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Tree, Failure> {
        self.check_depth(depth)?;
        let mut items = Vec::new();
        let mut next = self.jiter.known_array()?;
        while let Some(peek) = next {
            items.push(self.value(peek, depth)?);
            next = self.jiter.array_step()?;
        }
        Ok(Tree::List(items))
    }

    fn map(&mut self, depth: usize) -> Result<Tree, Failure> {
        self.check_depth(depth)?;
        let limits = self.limits;
        let mut members = Vec::new();
        let mut next = match self.jiter.known_object()? {
            Some(key) => Some(bounded(key, limits)?),
            None => None,
        };
        let mut many = HashSet::new();
        while let Some(key) = next {
            if is_repeated(&key, &members, &mut many) {
                return Err(DecodeError::RepeatedKey.into());
            }
            let peek = self.jiter.peek()?;
            members.push((key, self.value(peek, depth)?));
            next = match self.jiter.next_key()? {
                Some(key) => Some(bounded(key, limits)?),
                None => None,
            };
        }
        Ok(Tree::Map(members))
    }

    fn check_depth(&self, depth: usize) -> Result<(), DecodeError> {
        let limit = self.limits.depth_effective();
        if depth > limit {
            return Err(DecodeError::TooDeep { limit });
        }
        Ok(())
    }
}

/// Whether the key is there already. The keys of large objects are hashed, so that one of many members costs no square of them.
fn is_repeated(key: &str, members: &[(Box<str>, Tree)], many: &mut HashSet<Box<str>>) -> bool {
    if members.len() < MEMBERS_SCANNED_MAX {
        return members.iter().any(|(known, _)| **known == *key);
    }
    if many.is_empty() {
        many.extend(members.iter().map(|(known, _)| known.clone()));
    }
    !many.insert(key.into())
}

fn bounded(text: &str, limits: &Limits) -> Result<Box<str>, DecodeError> {
    if text.len() > limits.text {
        return Err(DecodeError::TextTooLong { limit: limits.text });
    }
    Ok(text.into())
}

/// The two reasons that quote the document are replaced, as an error must not carry content.
fn locate(error: &JiterError, jiter: &Jiter<'_>) -> DecodeError {
    let position = error.get_position(jiter);
    let reason = match &error.error_type {
        JiterErrorType::WrongType { .. }
        | JiterErrorType::JsonError(
            JsonErrorType::DuplicateKey(_) | JsonErrorType::InternalError(_),
        ) => JsonErrorType::ExpectedSomeValue,
        JiterErrorType::JsonError(reason) => reason.clone(),
    };
    DecodeError::Json {
        line: position.line,
        column: position.column,
        reason,
    }
}

fn write(tree: &Tree, out: &mut Vec<u8>) {
    match tree {
        Tree::Null => out.extend_from_slice(b"null"),
        Tree::Bool(true) => out.extend_from_slice(b"true"),
        Tree::Bool(false) => out.extend_from_slice(b"false"),
        Tree::Number(text) if is_number(text) => out.extend_from_slice(text.as_bytes()),
        Tree::Number(text) | Tree::Text(text) => write_text(text, out),
        Tree::List(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Tree::Map(members) => {
            out.push(b'{');
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_text(key, out);
                out.push(b':');
                write(value, out);
            }
            out.push(b'}');
        }
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or(b'0');
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.push(digit(byte >> 4));
                out.push(digit(byte & 0xF));
            }
            other => out.push(other),
        }
    }
    out.push(b'"');
}

/// Whether the text is a number of RFC 8259 section 6: `-? int frac? exp?`.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent
            .is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[track_caller]
    fn check_kept(text: &str) {
        let tree = decode(text.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(String::from_utf8(encode(&tree)).unwrap(), text);
    }

    #[track_caller]
    fn check_refused(text: &[u8]) {
        let error = decode(text, &Limits::default()).unwrap_err();
        assert!(matches!(error, DecodeError::Json { .. }), "{error}");
    }

    #[test]
    fn numbers_keep_their_text() {
        for text in [
            "9223372036854775808",
            "1.10",
            "1e400",
            "-0",
            "-0.0",
            "1E+5",
            "0",
            "123456789012345678901234567890.10",
        ] {
            check_kept(text);
        }
        check_kept(r#"{"a":[1.10,{"b":null}],"c":"\u0001\n\\\"é"}"#);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            " ",
            "NaN",
            "Infinity",
            "-Infinity",
            "[NaN]",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "1e",
            "1 2",
            "{}x",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "'a'",
            "\"\\ud800\"",
            "\"\\ud800x\"",
            "\"\\udc00\"",
            "\"\n\"",
            "[1",
            "tru",
            "-x",
        ] {
            check_refused(text.as_bytes());
        }
        check_refused(b"\"\xff\"");
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(
            decode(b"\xEF\xBB\xBF[]", &Limits::default()).unwrap(),
            Tree::List(Vec::new())
        );
    }

    #[test]
    fn an_error_has_a_place_and_no_content() {
        let error = decode(b"{\n  \"name\": secret}", &Limits::default()).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("line 2") && !text.contains("secret"),
            "{text}"
        );
    }

    #[test]
    fn each_bound_holds_on_both_sides() {
        let limits = Limits {
            bytes: 20,
            depth: 2,
            nodes: 4,
            text: 3,
        };
        assert!(decode(b"[[1,2]]", &limits).is_ok());
        assert_eq!(
            decode(b"[[[]]]", &limits),
            Err(DecodeError::TooDeep { limit: 2 })
        );
        assert_eq!(
            decode(b"[1,2,3,4]", &limits),
            Err(DecodeError::TooManyNodes { limit: 4 })
        );
        assert!(decode(b"[1,2,3]", &limits).is_ok());
        assert_eq!(
            decode(b"\"abcd\"", &limits),
            Err(DecodeError::TextTooLong { limit: 3 })
        );
        assert_eq!(
            decode(b"{\"abcd\":1}", &limits),
            Err(DecodeError::TextTooLong { limit: 3 })
        );
        assert!(decode(b"\"abc\"", &limits).is_ok());
        assert_eq!(
            decode(&[b' '; 21], &limits),
            Err(DecodeError::TooLong { limit: 20 })
        );
    }

    #[test]
    fn a_number_that_json_cannot_say_is_written_as_text() {
        assert_eq!(encode(&Tree::Number("01".into())), b"\"01\"");
        assert_eq!(encode(&Tree::Number("1,2".into())), b"\"1,2\"");
    }

    #[test]
    fn a_key_that_an_object_has_twice_is_refused() {
        let refused = |text: &str| {
            matches!(
                decode(text.as_bytes(), &Limits::default()),
                Err(DecodeError::RepeatedKey)
            )
        };
        assert!(refused(r#"{"a":1,"a":1}"#));
        assert!(refused(r#"[{"b":{"a":1,"\u0061":null}}]"#));
        assert!(!refused(r#"[{"a":1},{"a":{"a":2}}]"#));
        let many: Vec<String> = (0..100).map(|n| format!("\"k{n}\":{n}")).collect();
        assert!(!refused(&format!("{{{}}}", many.join(","))));
        for again in ["k0", "k31", "k32", "k99"] {
            assert!(refused(&format!("{{{},\"{again}\":0}}", many.join(","))));
        }
    }
}
