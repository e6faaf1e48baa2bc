//! The small templates of credentials: text with `{{ name }}`. They are no Jinja, so that nothing is computed with a secret.

use std::fmt;

use crate::credential::CredentialError;
use crate::record::secret::Secret;

/// A text with holes.
#[derive(Clone)]
pub(crate) struct Text {
    pieces: Vec<Piece>,
}

#[derive(Clone)]
enum Piece {
    Plain(Secret),
    Hole(String),
}

impl Text {
    pub(crate) fn parse(text: &Secret) -> Result<Self, CredentialError> {
        let mut pieces = Vec::new();
        let mut rest = text.expose();
        while let Some((before, after)) = rest.split_once("{{") {
            pieces.push(Piece::Plain(Secret::new(before)));
            let (name, after) = after.split_once("}}").ok_or(CredentialError::Template)?;
            let name = name.trim();
            if name.is_empty() {
                return Err(CredentialError::Template);
            }
            pieces.push(Piece::Hole(name.to_owned()));
            rest = after;
        }
        pieces.push(Piece::Plain(Secret::new(rest)));
        Ok(Self { pieces })
    }

    /// The names of its holes.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Hole(name) => Some(name.as_str()),
            Piece::Plain(_) => None,
        })
    }

    /// Fills every hole with an escaped value; a name without a value is an error.
    pub(crate) fn fill(
        &self,
        value: impl Fn(&str) -> Option<Secret>,
        escape: fn(&str) -> String,
    ) -> Result<Secret, CredentialError> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Plain(text) => out.push_str(text.expose()),
                Piece::Hole(name) => {
                    let value = value(name).ok_or_else(|| CredentialError::Absent(name.clone()))?;
                    out.push_str(&escape(value.expose()));
                }
            }
        }
        Ok(Secret::new(out))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The value as it is, for places that check it themselves.
pub(crate) fn plain(value: &str) -> String {
    value.to_owned()
}
