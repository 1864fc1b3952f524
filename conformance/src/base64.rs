//! Base64, as the neutral form of a case writes bytes.

/// Encodes `bytes` with the standard alphabet and padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// Decodes `text`, or `None` when it is not base64.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    base64_simd::STANDARD.decode_to_vec(text).ok()
}
