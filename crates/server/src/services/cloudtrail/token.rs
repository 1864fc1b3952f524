//! Where a page of events ended, as clients carry it. No secret: whoever makes one up reads on from
//! another place of what is his own anyway.

use millstream_audit::{Cursor, Query};
use millstream_wire::ServiceError;

use super::errors;

/// A number that tells the parameters of one lookup from those of another.
pub(super) fn fingerprint(query: &Query) -> u64 {
    let text = format!("{:?}", Query { cursor: None, ..query.clone() });
    // FNV-1a, 64 bits.
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

pub(super) fn text(cursor: Cursor, fingerprint: u64) -> String {
    let text = format!("{}.{}.{fingerprint:016x}", cursor.file, cursor.offset);
    base64_simd::STANDARD.encode_to_string(text)
}

/// # Errors
/// It is no token, or one of another lookup.
pub(super) fn read(token: &str, fingerprint: u64) -> Result<Cursor, ServiceError> {
    read_parts(token)
        .filter(|(_, of)| *of == fingerprint)
        .map(|(cursor, _)| cursor)
        .ok_or_else(errors::token)
}

fn read_parts(token: &str) -> Option<(Cursor, u64)> {
    let bytes = base64_simd::STANDARD.decode_to_vec(token).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let mut parts = text.split('.');
    let (file, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let fingerprint = u64::from_str_radix(parts.next()?, 16).ok()?;
    parts.next().is_none().then_some((Cursor { file, offset }, fingerprint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_own_lookup() {
        let cursor = Cursor { file: 7, offset: 1 << 40 };
        let query = Query::default();
        let other = Query { count_max: 1, ..Query::default() };
        let token = text(cursor, fingerprint(&query));
        assert_eq!(read(&token, fingerprint(&query)), Ok(cursor));
        assert_eq!(read(&token, fingerprint(&other)), Err(errors::token()));
        for wrong in ["", "x", "MS4y", "MS4yLjM="] {
            assert_eq!(read(wrong, 3).is_ok(), wrong == "MS4yLjM=", "{wrong}");
        }
    }

    #[test]
    fn fuzz_tokens() {
        bolero::check!().with_iterations(2000).for_each(|bytes: &[u8]| {
            let token = String::from_utf8_lossy(bytes);
            let _ = read(&token, 0);
        });
    }
}
