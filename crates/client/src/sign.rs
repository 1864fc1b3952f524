//! Signature version 4 over one request.
//!
//! Promises: the same bytes and the same second give the same signature; the payload's hash can be
//! computed once and used for many signatures.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_lc_rs::digest;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::HeaderValue;
use millstream_base::Timestamp;

use crate::Error;

/// Signs for one service in one region.
#[derive(Clone, Debug)]
pub struct Signer {
    pub region: String,
    /// The name in the credential scope: `kinesis`.
    pub service: String,
}

/// The SHA-256 of a request body, as it stands in the canonical request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadHash(String);

impl PayloadHash {
    pub fn of(body: &[u8]) -> PayloadHash {
        use std::fmt::Write;
        let mut hex = String::with_capacity(64);
        for byte in digest::digest(&digest::SHA256, body).as_ref() {
            write!(hex, "{byte:02x}").expect("a string takes text");
        }
        PayloadHash(hex)
    }
}

impl Signer {
    /// Adds the headers of the signature (`authorization`, `x-amz-date`, and `x-amz-security-token`
    /// when there is one) to `request`, whose URI is absolute and whose body hashes to `payload`.
    /// Headers of an earlier signature are replaced.
    ///
    /// # Errors
    /// [`Error::Signing`]: a header is not text.
    pub fn sign<B>(
        &self,
        request: &mut http::Request<B>,
        payload: &PayloadHash,
        credentials: &Credentials,
        at: Timestamp,
    ) -> Result<(), Error> {
        for stale in SIGNATURE_HEADERS {
            request.headers_mut().remove(stale);
        }
        let identity = credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(UNIX_EPOCH + Duration::from_millis(at.as_millis()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|e| Error::Signing(e.to_string()))?
            .into();
        let headers = text_headers(request.headers())?;
        let signable = SignableRequest::new(
            request.method().as_str(),
            request.uri().to_string(),
            headers.into_iter(),
            SignableBody::Precomputed(payload.0.clone()),
        )
        .map_err(|e| Error::Signing(e.to_string()))?;
        let signed = sign(signable, &params).map_err(|e| Error::Signing(e.to_string()))?;
        let (headers, _) = signed.into_parts().0.into_parts();
        for header in headers {
            let mut value = HeaderValue::from_str(header.value())
                .map_err(|e| Error::Signing(format!("header {}: {e}", header.name())))?;
            value.set_sensitive(header.sensitive());
            request.headers_mut().insert(header.name(), value);
        }
        Ok(())
    }
}

const SIGNATURE_HEADERS: [&str; 3] = ["authorization", "x-amz-date", "x-amz-security-token"];

fn text_headers(headers: &http::HeaderMap) -> Result<Vec<(&str, &str)>, Error> {
    headers
        .iter()
        .map(|(name, value)| match value.to_str() {
            Ok(text) => Ok((name.as_str(), text)),
            Err(_) => Err(Error::Signing(format!("header {name} is not text"))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use millstream_wire::sigv4::{Claim, SigningKey};

    use super::*;

    fn signed(token: Option<&str>) -> http::Request<()> {
        let mut request = http::Request::post("http://127.0.0.1:4567/")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", "Kinesis_20131202.ListStreams")
            .body(())
            .unwrap();
        let credentials =
            Credentials::new("test", "secret", token.map(str::to_owned), None, "test");
        let signer = Signer { region: "us-east-1".into(), service: "kinesis".into() };
        let at = Timestamp::from_secs(1_440_938_160);
        signer.sign(&mut request, &PayloadHash::of(b"{}"), &credentials, at).unwrap();
        request
    }

    #[test]
    fn a_signature_covers_host_date_target_and_type() {
        let request = signed(None);
        let authorization = request.headers()["authorization"].to_str().unwrap();
        let scope = "AWS4-HMAC-SHA256 Credential=test/20150830/us-east-1/kinesis/aws4_request, \
                     SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=";
        assert!(authorization.starts_with(scope), "{authorization}");
        assert_eq!(request.headers()["x-amz-date"], "20150830T123600Z");
    }

    /// By the server's own verification, which has known signatures as tests.
    #[test]
    fn a_signature_verifies_until_something_is_changed() {
        let (mut parts, ()) = signed(Some("token")).into_parts();
        let claim = Claim::of(&parts).unwrap();
        let key = SigningKey::derive("secret", &claim.scope);
        let payload = PayloadHash::of(b"{}").0;
        assert!(claim.verify(&parts, &payload, &key).is_ok());
        assert!(claim.verify(&parts, &PayloadHash::of(b"{ }").0, &key).is_err());
        parts.headers.insert("x-amz-target", HeaderValue::from_static("K.DeleteStream"));
        assert!(claim.verify(&parts, &payload, &key).is_err());
    }

    #[test]
    fn signing_again_replaces_the_old_signature() {
        let mut request = signed(Some("token"));
        let first = request.headers().clone();
        let credentials =
            Credentials::new("test", "secret", Some("token".to_owned()), None, "test");
        let signer = Signer { region: "us-east-1".into(), service: "kinesis".into() };
        let at = Timestamp::from_secs(1_440_938_160);
        signer.sign(&mut request, &PayloadHash::of(b"{}"), &credentials, at).unwrap();
        assert_eq!(*request.headers(), first);
        assert_eq!(first["x-amz-security-token"], "token");
    }

    #[test]
    fn the_empty_payload_has_the_known_hash() {
        let hash = PayloadHash::of(b"");
        assert_eq!(hash.0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
