//! The names in a certificate: subject and alternative names, read from its DER.
//!
//! Reads certificates that a handshake has proven, and must yet bear any bytes: every length is
//! checked, nothing recurses, and what is not understood is left out.
//!
//! ```text
//! Certificate = { tbs = { [0] version, serial, algorithm, issuer, validity, subject, key,
//!                         [3] { extensions = { id, critical?, value } } }, algorithm, signature }
//! ```

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::peer::ClientCertificate;

/// Names kept of one certificate; further ones are left out.
const NAMES_MAX: usize = 100;

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// 2.5.29.17, RFC 5280, 4.2.1.6
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// The names in the certificate `der`. `None`: it is none.
pub fn names_of(der: &[u8]) -> Option<ClientCertificate> {
    let mut certificate = Der(Der(der).take(SEQUENCE)?);
    let mut body = Der(certificate.take(SEQUENCE)?);
    if body.peek() == Some(VERSION) {
        body.next()?;
    }
    body.take(INTEGER)?;
    body.take(SEQUENCE)?; // algorithm
    body.take(SEQUENCE)?; // issuer
    body.take(SEQUENCE)?; // validity
    let subject = subject(body.take(SEQUENCE)?)?;
    body.take(SEQUENCE)?; // key
    let mut alternative_names = Vec::new();
    while let Some((tag, value)) = body.next() {
        if tag == EXTENSIONS {
            alternative_names = alternatives(value)?;
        }
    }
    Some(ClientCertificate { subject, alternative_names, principal: None })
}

/// `CN=orders,O=Example`, in the certificate's order; `,`, `+`, `=` and `\` within a value are
/// escaped, so that no value can look like two.
fn subject(der: &[u8]) -> Option<String> {
    let mut out = String::new();
    let mut parts = Der(der);
    while let Some((tag, part)) = parts.next() {
        if tag != SET {
            return None;
        }
        let mut pairs = Der(part);
        let mut first = true;
        while let Some((SEQUENCE, pair)) = pairs.next() {
            let mut pair = Der(pair);
            let kind = pair.take(OID)?;
            let (tag, value) = pair.next()?;
            if !out.is_empty() {
                out.push(if first { ',' } else { '+' });
            }
            first = false;
            write_kind(&mut out, kind);
            out.push('=');
            for c in text(tag, value)?.chars() {
                if matches!(c, ',' | '+' | '=' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
        }
    }
    Some(out)
}

/// RFC 4514's short names, the dotted form for all others.
fn write_kind(out: &mut String, oid: &[u8]) {
    let short = match oid {
        [0x55, 0x04, 3] => "CN",
        [0x55, 0x04, 5] => "SERIALNUMBER",
        [0x55, 0x04, 6] => "C",
        [0x55, 0x04, 7] => "L",
        [0x55, 0x04, 8] => "ST",
        [0x55, 0x04, 9] => "STREET",
        [0x55, 0x04, 10] => "O",
        [0x55, 0x04, 11] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 1] => "UID",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 25] => "DC",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 1] => "emailAddress",
        _ => return write_dotted(out, oid),
    };
    out.push_str(short);
}

fn write_dotted(out: &mut String, oid: &[u8]) {
    let mut number = 0_u64;
    let mut first = true;
    for byte in oid {
        number = number.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if first {
                let root = (number / 40).min(2);
                let _ = write!(out, "{root}.{}", number - root * 40);
            } else {
                let _ = write!(out, ".{number}");
            }
            (number, first) = (0, false);
        }
    }
}

/// The text of a string type; `None`: it is broken or of no type that is used in names.
fn text(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        // UTF8String, and those that are ASCII: NumericString, PrintableString, IA5String.
        0x0c | 0x12 | 0x13 | 0x16 => String::from_utf8(value.to_vec()).ok(),
        // TeletexString: Latin 1 wherever it is still found.
        0x14 => Some(value.iter().map(|b| char::from(*b)).collect()),
        // BMPString
        0x1e if value.len().is_multiple_of(2) => {
            let units = value.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        _ => None,
    }
}

fn alternatives(extensions: &[u8]) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut extensions = Der(Der(extensions).take(SEQUENCE)?);
    while let Some((SEQUENCE, extension)) = extensions.next() {
        let mut extension = Der(extension);
        if extension.take(OID)? != SUBJECT_ALT_NAME {
            continue;
        }
        let mut value = extension.next()?;
        if value.0 != OCTETS {
            value = extension.next()?; // after "critical"
        }
        let mut names = Der(Der(value.1).take(SEQUENCE)?);
        while let Some((tag, name)) = names.next() {
            if found.len() < NAMES_MAX {
                found.extend(alternative(tag, name));
            }
        }
    }
    Some(found)
}

/// RFC 5280: GeneralName. Kinds that nobody maps are left out.
fn alternative(tag: u8, name: &[u8]) -> Option<String> {
    let ascii = || std::str::from_utf8(name).ok().filter(|n| n.is_ascii());
    match tag {
        0x81 => Some(format!("EMAIL:{}", ascii()?)),
        0x82 => Some(format!("DNS:{}", ascii()?.to_ascii_lowercase())),
        0x86 => Some(format!("URI:{}", ascii()?)),
        0x87 => {
            let address = match name.len() {
                4 => IpAddr::from(<[u8; 4]>::try_from(name).ok()?),
                16 => IpAddr::from(<[u8; 16]>::try_from(name).ok()?),
                _ => return None,
            };
            Some(format!("IP:{address}"))
        }
        _ => None,
    }
}

/// What is left of a row of DER values.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value, with its tag. Only what X.509 has: tags of one byte, definite lengths.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let len = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let (digits, after) = rest.split_at_checked(usize::from(first - 0x80))?;
                rest = after;
                digits.iter().fold(0_usize, |len, digit| len << 8 | usize::from(*digit))
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, value))
    }

    /// The next value, which must have this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn subject_and_alternative_names_are_read() {
        let der = certificate(|params| {
            let name = &mut params.distinguished_name;
            name.push(DnType::CountryName, "DE");
            name.push(DnType::OrganizationName, DnValue::Utf8String("Müller, Söhne".into()));
            name.push(DnType::CommonName, "orders");
            name.push(DnType::CustomDnType(vec![1, 2, 840, 7]), "x=y");
            params.subject_alt_names = vec![
                SanType::DnsName("Orders.example.com".try_into().unwrap()),
                SanType::URI("spiffe://example.com/orders".try_into().unwrap()),
                SanType::Rfc822Name("a@example.com".try_into().unwrap()),
                SanType::IpAddress("10.0.0.1".parse().unwrap()),
                SanType::IpAddress("2001:db8::1".parse().unwrap()),
            ];
        });
        let found = names_of(&der).unwrap();
        assert_eq!(found.subject, "C=DE,O=Müller\\, Söhne,CN=orders,1.2.840.7=x\\=y");
        assert_eq!(
            found.alternative_names,
            [
                "DNS:orders.example.com",
                "URI:spiffe://example.com/orders",
                "EMAIL:a@example.com",
                "IP:10.0.0.1",
                "IP:2001:db8::1"
            ]
        );
    }

    #[test]
    fn a_certificate_without_names_has_none() {
        assert_eq!(names_of(&certificate(|_| {})), Some(ClientCertificate::default()));
    }

    #[test]
    fn a_torn_certificate_is_none_and_no_panic() {
        let der = certificate(|params| {
            params.distinguished_name.push(DnType::CommonName, "orders");
        });
        for len in 0..der.len() {
            assert_eq!(names_of(&der[..len]), None, "{len}");
        }
    }

    #[test]
    fn fuzz_certificates() {
        let der = certificate(|params| {
            params.distinguished_name.push(DnType::CommonName, "orders");
            params.subject_alt_names = vec![SanType::DnsName("a".try_into().unwrap())];
        });
        bolero::check!().with_type::<(Vec<u8>, u16, u8)>().for_each(|(bytes, at, value)| {
            let _ = names_of(bytes);
            let mut changed = der.clone();
            let at = usize::from(*at) % changed.len();
            changed[at] = *value;
            let _ = names_of(&changed);
        });
    }
}
