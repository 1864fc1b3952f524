//! Where a service answers: an address of one's own, or AWS's by region.
//!
//! Invariant: holds scheme and authority only, without the scheme's default port, so that the
//! `Host` header that is signed and the one that is sent are the same text.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// Scheme and authority of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    authority: Authority,
}

/// Why a text is not an endpoint.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not an endpoint, which looks like http://127.0.0.1:4567: {reason}")]
pub struct EndpointError {
    text: String,
    reason: &'static str,
}

impl Endpoint {
    /// Reads `http://host[:port]` or `https://host[:port]`, a final `/` allowed.
    ///
    /// # Errors
    /// Another scheme, no host, user information, or a path (no AWS service lives below one).
    pub fn parse(text: &str) -> Result<Endpoint, EndpointError> {
        let no = |reason| EndpointError { text: text.to_owned(), reason };
        let uri: Uri = text.trim().parse().map_err(|_| no("it can't be read as a URL"))?;
        let scheme = match uri.scheme() {
            Some(s) if *s == Scheme::HTTP || *s == Scheme::HTTPS => s.clone(),
            _ => return Err(no("it must begin with http:// or https://")),
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(no("a path or a query can't be part of it"));
        }
        let authority = uri.authority().ok_or_else(|| no("the host is missing"))?;
        if authority.as_str().contains('@') {
            return Err(no("credentials can't be part of it"));
        }
        Ok(Endpoint { authority: without_default_port(authority, &scheme), scheme })
    }

    /// AWS's public endpoint of `service` (the endpoint prefix: `kinesis`) in `region`.
    ///
    /// Source: AWS's partitions; all but China's are below `amazonaws.com` for the services of
    /// this product.
    ///
    /// # Errors
    /// `region` is not made of letters, digits and hyphens.
    pub fn aws(service: &str, region: &str) -> Result<Endpoint, EndpointError> {
        if region.is_empty() || !region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            let reason = "a region has letters, digits and hyphens";
            return Err(EndpointError { text: region.to_owned(), reason });
        }
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        Endpoint::parse(&format!("https://{service}.{region}.{suffix}"))
    }

    /// Whether nothing but this machine can be meant: `localhost` or a loopback address.
    pub fn is_loopback(&self) -> bool {
        let host = self.host().trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<IpAddr>().is_ok_and(|a| a.is_loopback())
    }

    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Host and, unless it is the scheme's default, port: the `Host` header.
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// The absolute URI of `path` here.
    pub fn uri(&self, path: PathAndQuery) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).expect("scheme, authority and path make a URI")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

fn without_default_port(authority: &Authority, scheme: &Scheme) -> Authority {
    let default = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    if authority.port_u16() != Some(default) {
        return authority.clone();
    }
    authority.host().parse().expect("the host of an authority is an authority")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_keep_host_and_port_and_drop_the_default_one() {
        for (text, shown) in [
            ("http://127.0.0.1:4567", "http://127.0.0.1:4567"),
            ("http://localhost/", "http://localhost"),
            ("https://example.org:443", "https://example.org"),
            ("http://example.org:443", "http://example.org:443"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_the_reason() {
        for (text, reason) in [
            ("127.0.0.1:4567", "must begin with"),
            ("ftp://x", "must begin with"),
            ("http://x/path", "a path"),
            ("http://user:pw@x", "credentials"),
            ("http://a b", "can't be read"),
        ] {
            let said = Endpoint::parse(text).unwrap_err().to_string();
            assert!(said.contains(reason), "{text}: {said}");
        }
    }

    #[test]
    fn regions_decide_the_public_endpoint() {
        let of = |region| Endpoint::aws("kinesis", region).unwrap().to_string();
        assert_eq!(of("eu-west-1"), "https://kinesis.eu-west-1.amazonaws.com");
        assert_eq!(of("cn-north-1"), "https://kinesis.cn-north-1.amazonaws.com.cn");
        assert!(Endpoint::aws("kinesis", "evil.example/").is_err());
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for (text, loopback) in [
            ("http://127.0.0.1:1", true),
            ("http://127.9.9.9:1", true),
            ("http://[::1]:1", true),
            ("http://localhost:1", true),
            ("http://localhost.example.org", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().is_loopback(), loopback, "{text}");
        }
    }
}
