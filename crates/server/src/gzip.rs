//! Bodies that came compressed, as SDKs send large PutMetricData requests.
//!
//! A small body can claim to be a huge one: unpacking ends at the bound, whatever follows.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use http::{HeaderMap, header};

/// Whether the body came as gzip.
pub fn is_gzip(headers: &HeaderMap) -> bool {
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    encoding.is_some_and(|encoding| encoding.trim().eq_ignore_ascii_case("gzip"))
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GzipError {
    #[error("the unpacked body is larger than {max} bytes")]
    TooLarge { max: usize },
    #[error("the body is no gzip")]
    Malformed,
}

/// Unpacks `packed` into at most `bytes_max` bytes.
///
/// # Errors
/// [`GzipError`].
pub fn unpack(packed: &[u8], bytes_max: usize) -> Result<Bytes, GzipError> {
    let mut unpacked = Vec::new();
    let mut decoder = MultiGzDecoder::new(packed).take(bytes_max as u64 + 1);
    decoder.read_to_end(&mut unpacked).map_err(|_| GzipError::Malformed)?;
    match unpacked.len() <= bytes_max {
        true => Ok(unpacked.into()),
        false => Err(GzipError::TooLarge { max: bytes_max }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        assert_eq!(unpack(&packed(b"abc"), 3).unwrap(), "abc");
    }

    /// A hundred megabytes in a hundred kilobytes.
    #[test]
    fn a_bomb_is_refused_at_the_bound() {
        let bomb = packed(&vec![0; 100 << 20]);
        assert!(bomb.len() < 200 << 10);
        assert_eq!(unpack(&bomb, 1 << 20), Err(GzipError::TooLarge { max: 1 << 20 }));
    }

    #[test]
    fn damage_is_told() {
        let mut broken = packed(b"abcdefgh");
        let middle = broken.len() / 2;
        broken[middle] ^= 0xff;
        for body in [&b"plain"[..], &broken, &[][..]] {
            assert_eq!(unpack(body, 100), Err(GzipError::Malformed));
        }
    }
}
