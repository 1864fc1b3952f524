//! A root key as text: base64, as our files have it, or 64 hexadecimal digits.

use millstream_secrets::{KEY_BYTES, RootKey};
use zeroize::Zeroizing;

/// Longest text that is looked at, with white space around it.
pub(crate) const TEXT_BYTES_MAX: usize = 4096;

/// The key in base64, with a line's end.
pub fn encode(key: &RootKey) -> Zeroizing<String> {
    let mut text = base64_simd::STANDARD.encode_to_string(key.expose());
    text.push('\n');
    Zeroizing::new(text)
}

/// Reads what [`encode`] gives, or 64 hexadecimal digits; white space around is ignored. `None`:
/// anything else. Nothing of a wrong text is told: it may be a secret.
pub fn parse(text: &[u8]) -> Option<RootKey> {
    let text = text.trim_ascii();
    let bytes = Zeroizing::new(match text.len() {
        64 => hex(text)?,
        _ => base64_simd::STANDARD.decode_to_vec(text).ok()?,
    });
    let bytes: &[u8; KEY_BYTES] = bytes.as_slice().try_into().ok()?;
    Some(RootKey::from_bytes(*bytes))
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|d| d as u8);
    text.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written_and_in_hex() {
        let key = RootKey::from_bytes([0xa5; KEY_BYTES]);
        assert_eq!(parse(encode(&key).as_bytes()), Some(key.clone()));
        assert_eq!(parse(format!(" {}\r\n", "a5".repeat(32)).as_bytes()), Some(key.clone()));
        assert_eq!(parse("A5".repeat(32).as_bytes()), Some(key));
        for wrong in ["", "secret", &"a5".repeat(31), &"g5".repeat(32), &"a5".repeat(33)] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
