//! Client certificates: the names in one, and the caller that it stands for.
//!
//! That the certificate was issued by a trusted authority and that the peer holds its key is the business of whoever ended the
//! TLS connection. Here only its names are read.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeZone as _, Utc};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use simple_asn1::{ASN1Block, ASN1Class, oid};

use crate::auth::AuthError;
use crate::auth::caller::Caller;
use crate::auth::claim;
use crate::auth::settings::{AuthSettings, CertificateSettings};
use crate::error::Code;

/// Who vouches for a certificate's holder.
pub const ISSUER: &str = "urn:tributary:client-certificate";
/// The largest certificate that is read.
const DER_BYTES_MAX: usize = 16 * 1024;
/// The deepest nesting that is read; the reader of ASN.1 has no bound of its own.
const DEPTH_MAX: usize = 16;

/// What a certificate says about its holder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Common names of the subject.
    pub common: Vec<String>,
    /// DNS names.
    pub dns: Vec<String>,
    /// URIs.
    pub uris: Vec<String>,
    /// E-mail addresses.
    pub emails: Vec<String>,
    /// SHA-256 of the whole certificate, in hexadecimal.
    pub fingerprint: String,
    /// When it ends.
    pub not_after: DateTime<Utc>,
}

/// The caller that the first fitting mapping makes of a certificate.
pub fn to_caller(
    der: &[u8],
    settings: &AuthSettings,
    now: DateTime<Utc>,
) -> Result<Caller, AuthError> {
    let refuse = |message: &str| AuthError::new(Code::CertificateUnknown, message);
    let names = read(der).ok_or_else(|| refuse("the client certificate can't be read"))?;
    if now >= names.not_after {
        return Err(refuse("the client certificate has expired"));
    }
    let mapping = settings
        .certificates
        .iter()
        .find(|mapping| fits(mapping, &names))
        .ok_or_else(|| refuse("the client certificate stands for no caller here"))?;
    let roles: BTreeSet<String> = mapping.roles.iter().cloned().collect();
    let mut scopes: BTreeSet<String> = mapping.scopes.iter().cloned().collect();
    claim::add_scopes(&mut scopes, &roles, &settings.roles);
    let claims: Map<String, Value> = mapping
        .claims
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    Ok(Caller {
        issuer: ISSUER.to_owned(),
        subject: mapping.name.clone(),
        tenant: mapping.tenant.clone(),
        scopes,
        roles,
        claims,
        expires_at: names.not_after,
    })
}

fn fits(mapping: &CertificateSettings, names: &Names) -> bool {
    let given = [
        (&mapping.common_name, &names.common),
        (&mapping.dns, &names.dns),
        (&mapping.uri, &names.uris),
        (&mapping.email, &names.emails),
    ];
    let all = given
        .iter()
        .all(|(wanted, found)| wanted.as_ref().is_none_or(|name| found.contains(name)));
    let is_pinned = mapping.fingerprint.as_ref().is_none_or(|wanted| {
        wanted
            .replace(':', "")
            .eq_ignore_ascii_case(&names.fingerprint)
    });
    let has_name =
        mapping.fingerprint.is_some() || given.iter().any(|(wanted, _)| wanted.is_some());
    has_name && all && is_pinned
}

/// Reads a certificate (RFC 5280 section 4.1); nothing when it has another form.
pub fn read(der: &[u8]) -> Option<Names> {
    if der.len() > DER_BYTES_MAX || !is_shallow(der, DEPTH_MAX) {
        return None;
    }
    let blocks = simple_asn1::from_der(der).ok()?;
    let ASN1Block::Sequence(_, certificate) = blocks.first()? else {
        return None;
    };
    let ASN1Block::Sequence(_, body) = certificate.first()? else {
        return None;
    };
    // The version is there in all certificates with extensions, and its tag tells it apart from the serial number.
    let skipped = usize::from(matches!(
        body.first(),
        Some(ASN1Block::Explicit(..) | ASN1Block::Unknown(..))
    ));
    let mut names = Names {
        fingerprint: hex::encode(Sha256::digest(der)),
        ..Names::default()
    };
    let ASN1Block::Sequence(_, validity) = body.get(skipped + 3)? else {
        return None;
    };
    names.not_after = time(validity.get(1)?)?;
    let ASN1Block::Sequence(_, subject) = body.get(skipped + 4)? else {
        return None;
    };
    names.common = subject.iter().filter_map(common_name).collect();
    for block in body.iter().skip(skipped + 6) {
        if let ASN1Block::Explicit(ASN1Class::ContextSpecific, _, tag, extensions) = block
            && tag.to_string() == "3"
            && let ASN1Block::Sequence(_, extensions) = &**extensions
        {
            for extension in extensions {
                alternatives(extension, &mut names);
            }
        }
    }
    Some(names)
}

/// Whether constructed values nest no deeper than that.
fn is_shallow(mut der: &[u8], depth: usize) -> bool {
    while let [tag, length, rest @ ..] = der {
        let (content, after) = match *length {
            short @ 0..=0x7f => (usize::from(short), rest),
            0x80 => return false,
            long => {
                let Some((digits, after)) = rest.split_at_checked(usize::from(long & 0x7f)) else {
                    return false;
                };
                let size = digits.iter().try_fold(0_usize, |size, digit| {
                    size.checked_mul(256)?.checked_add(usize::from(*digit))
                });
                let Some(size) = size else { return false };
                (size, after)
            }
        };
        let Some((content, next)) = after.split_at_checked(content) else {
            return false;
        };
        let is_constructed = tag & 0x20 != 0;
        if is_constructed && (depth == 0 || !is_shallow(content, depth - 1)) {
            return false;
        }
        der = next;
    }
    der.is_empty()
}

fn time(block: &ASN1Block) -> Option<DateTime<Utc>> {
    let text = match block {
        ASN1Block::UTCTime(_, time) | ASN1Block::GeneralizedTime(_, time) => time,
        _ => return None,
    };
    let date = text.date();
    let clock = text.time();
    Utc.with_ymd_and_hms(
        date.year(),
        u32::from(u8::from(date.month())),
        u32::from(date.day()),
        u32::from(clock.hour()),
        u32::from(clock.minute()),
        u32::from(clock.second()),
    )
    .single()
}

fn common_name(set: &ASN1Block) -> Option<String> {
    let ASN1Block::Set(_, attributes) = set else {
        return None;
    };
    attributes.iter().find_map(|attribute| {
        let ASN1Block::Sequence(_, pair) = attribute else {
            return None;
        };
        match (pair.first()?, pair.get(1)?) {
            (ASN1Block::ObjectIdentifier(_, kind), value) if *kind == oid!(2, 5, 4, 3) => {
                text(value)
            }
            _ => None,
        }
    })
}

fn text(block: &ASN1Block) -> Option<String> {
    match block {
        ASN1Block::UTF8String(_, text)
        | ASN1Block::PrintableString(_, text)
        | ASN1Block::IA5String(_, text) => Some(text.clone()),
        _ => None,
    }
}

/// Adds the names of a subjectAltName extension (RFC 5280 section 4.2.1.6).
fn alternatives(extension: &ASN1Block, names: &mut Names) {
    let ASN1Block::Sequence(_, parts) = extension else {
        return;
    };
    let is_meant = matches!(parts.first(), Some(ASN1Block::ObjectIdentifier(_, kind)) if *kind == oid!(2, 5, 29, 17));
    let Some(ASN1Block::OctetString(_, inner)) = parts.last().filter(|_| is_meant) else {
        return;
    };
    let Ok(blocks) = simple_asn1::from_der(inner) else {
        return;
    };
    let Some(ASN1Block::Sequence(_, general)) = blocks.first() else {
        return;
    };
    for name in general {
        let ASN1Block::Unknown(ASN1Class::ContextSpecific, _, _, tag, bytes) = name else {
            continue;
        };
        let Ok(text) = String::from_utf8(bytes.clone()) else {
            continue;
        };
        match tag.to_string().as_str() {
            "1" => names.emails.push(text),
            "2" => names.dns.push(text),
            "6" => names.uris.push(text),
            _ => {}
        }
    }
}
