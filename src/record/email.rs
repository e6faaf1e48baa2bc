//! E-mail addresses as match keys: what counts as equal, and which addresses never link records.

use unicode_normalization::UnicodeNormalization;

const ADDRESS_CHARS_MAX: usize = 320;

/// Local parts that belong to a role, not to a person.
const ROLES: &[&str] = &[
    "abuse",
    "accounting",
    "accounts",
    "admin",
    "administrator",
    "billing",
    "contact",
    "email",
    "enquiries",
    "finance",
    "hello",
    "help",
    "helpdesk",
    "hr",
    "info",
    "invoices",
    "jobs",
    "mail",
    "marketing",
    "no-reply",
    "noreply",
    "office",
    "orders",
    "post",
    "postmaster",
    "press",
    "reception",
    "returns",
    "sales",
    "security",
    "service",
    "shop",
    "support",
    "team",
    "webmaster",
];

/// Whole values that people type in to get past a form.
const PLACEHOLDERS: &[&str] = &["null", "none", "n/a", "na", "-", "unknown"];

/// Domains that RFC 2606 and RFC 6761 reserve; nobody has a mailbox there.
const RESERVED: &[&str] = &[
    "example",
    "invalid",
    "localhost",
    "test",
    "example.com",
    "example.net",
    "example.org",
];

/// The form in which two addresses are compared: NFC, domain in ASCII, all lower case. Dots and `+tag` stay, since
/// vendors disagree on what they mean. `None` for what is no address or a placeholder for one.
pub fn match_key(text: &str) -> Option<String> {
    let normal: String = text.nfc().take(ADDRESS_CHARS_MAX + 64).collect();
    let mut address = normal.trim();
    if let (Some(open), Some(close)) = (address.rfind('<'), address.rfind('>'))
        && open < close
    {
        address = address.get(open + 1..close)?.trim();
    }
    let lower = address.to_lowercase();
    let address = lower.strip_prefix("mailto:").unwrap_or(&lower);
    if address.chars().count() > ADDRESS_CHARS_MAX || PLACEHOLDERS.contains(&address) {
        return None;
    }
    let (local, domain) = address.rsplit_once('@')?;
    let quoted = local.len() > 1 && local.starts_with('"') && local.ends_with('"');
    if local.is_empty()
        || (!quoted && local.contains(|c: char| c == '@' || c.is_whitespace() || c.is_control()))
    {
        return None;
    }
    let domain = idna::domain_to_ascii(domain.trim_end_matches('.')).ok()?;
    if !domain.contains('.')
        || domain.contains(|c: char| c.is_whitespace() || c.is_control())
        || is_reserved(&domain)
    {
        return None;
    }
    if local == "test" {
        return None;
    }
    Some(format!("{local}@{domain}"))
}

fn is_reserved(domain: &str) -> bool {
    RESERVED.iter().any(|reserved| {
        domain == *reserved
            || domain
                .strip_suffix(reserved)
                .is_some_and(|rest| rest.ends_with('.'))
    })
}

/// Whether a match key belongs to a role and is therefore shared by several people.
pub fn is_shared(key: &str) -> bool {
    key.split_once('@').is_some_and(|(local, _)| {
        let name = local.split('+').next().unwrap_or(local);
        ROLES.contains(&name)
    })
}

/// An address in which only the first letter and the domain can be read.
pub fn masked(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => {
            let first: String = local.chars().take(1).collect();
            format!("{first}•••@{domain}")
        }
        None => "•••".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_shared, masked, match_key};

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(match_key(text).as_deref(), expected, "{text}");
    }

    #[test]
    fn addresses_are_compared_in_one_form() {
        check(
            " Ana.Silva@ACME-Industries.io. ",
            Some("ana.silva@acme-industries.io"),
        );
        check("mailto:a+b@x.io", Some("a+b@x.io"));
        check("Ana Silva <ANA@x.io>", Some("ana@x.io"));
        check("jörg@müller.de", Some("jörg@xn--mller-kva.de"));
        check("\"a@b\"@x.io", Some("\"a@b\"@x.io"));
    }

    #[test]
    fn placeholders_and_damaged_addresses_are_no_keys() {
        for text in [
            "",
            "null",
            "n/a",
            "a",
            "@x.io",
            "a@",
            "a@b@x.io",
            "a b@x.io",
            "test@test.com",
            "a@example.com",
            "a@sub.example.org",
            "a@x.invalid",
            "a@localhost",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn role_mailboxes_are_shared() {
        assert!(
            is_shared("info@x.io") && is_shared("support+de@x.io") && is_shared("noreply@x.io")
        );
        assert!(!is_shared("informatik@x.io"));
        assert_eq!(masked("ana@x.io"), "a•••@x.io");
    }
}
