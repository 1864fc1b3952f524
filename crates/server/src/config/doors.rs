//! The sections about doors: TLS, further listeners with their endpoints, and who may be let in
//! from elsewhere.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use millstream_base::Arn;
use serde::Deserialize;

use super::section::{self, TomlValue, quoted, section};
use super::units::Span;
use super::{AuthMode, Config};

section! {
    /// TLS on the addresses of `server.listen`, and on those of [[listener]] that say nothing else.
    /// Without a certificate there is none.
    pub struct Tls = "tls" {
        /// A PEM file with the certificate and those between it and a known authority.
        pub certificate: PathBuf = PathBuf::new(),
        /// A PEM file with the certificate's private key.
        pub key: PathBuf = PathBuf::new(),
        /// For trials: an authority of the node's own in the data directory and a certificate of it.
        pub self_signed: bool = false,
        /// More names and addresses for that certificate; the loopback ones and those of the
        /// listeners are in it anyway.
        pub self_signed_names: Vec<String> = Vec::new(),
        /// A PEM file with the authorities of client certificates; empty: none are asked for.
        pub client_ca: PathBuf = PathBuf::new(),
        /// With `client_ca`: whether a client may ("optional") or must ("required") have one.
        pub client_certificates: ClientCertificates = ClientCertificates::Optional,
        /// How long a client may take for the handshake.
        pub handshake_time: Span = Span::from_secs(10),
        /// How often the files are looked at; new ones hold for new connections. SIGHUP does it at
        /// once.
        pub reload_interval: Span = Span::from_secs(10),
        /// Whom client certificates stand for, as [[tls.principals]] tables: `name` is an alternative
        /// name ("URI:spiffe://example.com/orders", "DNS:…", "EMAIL:…", "IP:…") or the whole subject
        /// ("CN=orders,O=Example"), `principal` the ARN of an identity.
        pub principals: Vec<CertificatePrincipal> = Vec::new(),
    }
}

/// Whether clients need a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    #[default]
    Optional,
    Required,
}

/// Whom a name in a client certificate stands for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificatePrincipal {
    pub name: String,
    pub principal: String,
}

/// A listener beside those of `server.listen`: a private endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerSection {
    pub listen: SocketAddr,
    /// Default: as `server.listen`.
    pub tls: Option<bool>,
    /// The following replace those of `[tls]`.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub client_ca: Option<PathBuf>,
    pub client_certificates: Option<ClientCertificates>,
    /// What `aws:SourceVpce` is for requests that come in here.
    pub endpoint_id: Option<String>,
    /// A policy document (JSON text), or the file that has it.
    pub endpoint_policy: Option<String>,
}

/// One address to listen on, with all that holds there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorPlan {
    pub listen: SocketAddr,
    pub tls: Option<TlsPlan>,
    pub endpoint_id: Option<String>,
    pub endpoint_policy: Option<String>,
}

/// Where a listener's certificates come from. Listeners of equal plans share one set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsPlan {
    pub certificate: CertificateSource,
    /// The authorities of client certificates, if clients are asked for one.
    pub client_ca: Option<PathBuf>,
    pub client_certificates: ClientCertificates,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CertificateSource {
    Files { certificate: PathBuf, key: PathBuf },
    SelfSigned,
}

impl Config {
    /// All addresses to listen on, those of `server.listen` first.
    ///
    /// # Errors
    /// What doesn't go together, with the keys.
    pub fn doors(&self) -> Result<Vec<DoorPlan>, String> {
        let tls = self.tls.plan()?;
        let plain = self.server.listen.iter().map(|&listen| {
            let tls = tls.clone();
            Ok(DoorPlan { listen, tls, endpoint_id: None, endpoint_policy: None })
        });
        let own = self.listener.iter().map(|section| self.tls.door(section, tls.is_some()));
        let doors: Vec<DoorPlan> = plain.chain(own).collect::<Result<_, String>>()?;
        match doors.is_empty() {
            true => Err("server.listen is empty and there is no [[listener]]: nobody could reach \
                         the node"
                .to_owned()),
            false => Ok(doors),
        }
    }

    /// Refuses what would look like protection and be none.
    pub(super) fn check_doors(&self) -> Result<(), String> {
        self.tls.check()?;
        for door in self.doors()? {
            if door.endpoint_policy.is_some() && self.auth.mode != AuthMode::Iam {
                return Err(format!(
                    "listener {}: an endpoint_policy bounds identities, which only auth.mode = \
                     \"iam\" knows",
                    door.listen
                ));
            }
        }
        Ok(())
    }

    /// Refuses settings that would let in anyone from anywhere.
    ///
    /// # Errors
    /// What to do about it.
    pub fn check_exposure(&self) -> Result<(), String> {
        if self.auth.mode != AuthMode::Any || self.auth.insecure {
            return Ok(());
        }
        let addrs =
            self.server.listen.iter().chain(self.listener.iter().map(|section| &section.listen));
        let Some(addr) = addrs.into_iter().find(|addr| !addr.ip().to_canonical().is_loopback())
        else {
            return Ok(());
        };
        Err(format!(
            "{addr} can be reached from other machines, and auth.mode \"any\" lets in whoever comes: \
             name who may call (auth.mode = \"keys\" with [[auth.keys]], see docs/security.md), \
             listen on 127.0.0.1 only, or say --insecure (auth.insecure = true) if everyone on that \
             network may read and write everything"
        ))
    }

    pub(super) fn print_listeners(&self, out: &mut String) {
        for section in &self.listener {
            out.push_str(
                "\n# A listener with an address, and if wanted an endpoint, of its own.\n",
            );
            out.push_str("[[listener]]\n");
            for (key, value) in section.keys() {
                section::print_key(out, key, &[], &value);
            }
        }
    }
}

impl Tls {
    /// What types can't say.
    pub(super) fn check(&self) -> Result<(), String> {
        for CertificatePrincipal { name, principal } in &self.principals {
            if let Err(error) = Arn::parse(principal) {
                return Err(format!("tls.principals: `{name}` stands for {principal:?}: {error}"));
            }
        }
        Ok(())
    }

    fn plan(&self) -> Result<Option<TlsPlan>, String> {
        let (certificate, key) = (filled(&self.certificate), filled(&self.key));
        let certificate = match (certificate, key, self.self_signed) {
            (None, None, false) if self.client_ca.as_os_str().is_empty() => return Ok(None),
            (None, None, false) => {
                return Err("tls.client_ca is given but no tls.certificate".to_owned());
            }
            (None, None, true) => CertificateSource::SelfSigned,
            (Some(_), Some(_), true) => {
                return Err("tls.self_signed and tls.certificate exclude each other".to_owned());
            }
            (Some(certificate), Some(key), false) => CertificateSource::Files { certificate, key },
            _ => return Err("tls.certificate and tls.key belong together".to_owned()),
        };
        Ok(Some(TlsPlan {
            certificate,
            client_ca: filled(&self.client_ca),
            client_certificates: self.client_certificates,
        }))
    }

    fn door(&self, own: &ListenerSection, default: bool) -> Result<DoorPlan, String> {
        let named = own.certificate.is_some() || own.key.is_some() || own.client_ca.is_some();
        let tls = match own.tls.unwrap_or(default || named) {
            false if named => {
                return Err(format!("listener {}: certificates without TLS", own.listen));
            }
            false => None,
            true => {
                let given = own.certificate.is_some() || own.key.is_some();
                let pick = |own: &Option<PathBuf>, other: &PathBuf| {
                    own.clone().unwrap_or_else(|| other.clone())
                };
                let merged = Tls {
                    certificate: pick(&own.certificate, &self.certificate),
                    key: pick(&own.key, &self.key),
                    self_signed: self.self_signed && !given,
                    client_ca: pick(&own.client_ca, &self.client_ca),
                    client_certificates: own
                        .client_certificates
                        .unwrap_or(self.client_certificates),
                    ..self.clone()
                };
                let plan = merged.plan().map_err(|what| format!("listener {}: {what}", own.listen));
                Some(plan?.ok_or_else(|| {
                    format!("listener {}: TLS needs a certificate and a key", own.listen)
                })?)
            }
        };
        let (endpoint_id, endpoint_policy) = (own.endpoint_id.clone(), own.endpoint_policy.clone());
        Ok(DoorPlan { listen: own.listen, tls, endpoint_id, endpoint_policy })
    }
}

fn filled(path: &Path) -> Option<PathBuf> {
    (!path.as_os_str().is_empty()).then(|| path.to_owned())
}

impl ListenerSection {
    fn keys(&self) -> Vec<(&'static str, String)> {
        let keys = [
            ("listen", Some(self.listen.toml())),
            ("tls", self.tls.map(|v| v.toml())),
            ("certificate", self.certificate.as_ref().map(TomlValue::toml)),
            ("key", self.key.as_ref().map(TomlValue::toml)),
            ("client_ca", self.client_ca.as_ref().map(TomlValue::toml)),
            ("client_certificates", self.client_certificates.map(|v| v.toml())),
            ("endpoint_id", self.endpoint_id.as_ref().map(TomlValue::toml)),
            ("endpoint_policy", self.endpoint_policy.as_ref().map(TomlValue::toml)),
        ];
        keys.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

impl TomlValue for ClientCertificates {
    fn toml(&self) -> String {
        quoted(match self {
            ClientCertificates::Optional => "optional",
            ClientCertificates::Required => "required",
        })
    }
}

impl TomlValue for CertificatePrincipal {
    fn toml(&self) -> String {
        format!("{{ name = {}, principal = {} }}", self.name.toml(), self.principal.toml())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Config {
        Config::from_text("m.toml", text, &[]).unwrap()
    }

    fn error(text: &str) -> String {
        Config::from_text("m.toml", text, &[]).unwrap_err().to_string()
    }

    const FILE: &str = r#"
[auth]
mode = "iam"

[tls]
certificate = "/etc/m/cert.pem"
key = "/etc/m/key.pem"
principals = [{ name = "CN=orders", principal = "arn:aws:iam::000000000001:user/orders" }]

[[listener]]
listen = "127.0.0.1:1"
tls = false
endpoint_id = "vpce-0a"
endpoint_policy = "{}"

[[listener]]
listen = "127.0.0.1:2"
client_ca = "/etc/m/ca.pem"
client_certificates = "required"
"#;

    #[test]
    fn listeners_take_from_the_tls_section_what_they_do_not_say() {
        let config = read(FILE);
        assert_eq!(read(&config.print()), config);
        let doors = config.doors().unwrap();
        let [first, plain, private] = &doors[..] else { panic!("{doors:?}") };
        let files = CertificateSource::Files {
            certificate: "/etc/m/cert.pem".into(),
            key: "/etc/m/key.pem".into(),
        };
        let tls = first.tls.as_ref().unwrap();
        assert_eq!((&tls.certificate, &tls.client_ca), (&files, &None));
        assert_eq!((&plain.tls, plain.endpoint_id.as_deref()), (&None, Some("vpce-0a")));
        let tls = private.tls.as_ref().unwrap();
        assert_eq!(tls.certificate, files);
        assert_eq!(tls.client_certificates, ClientCertificates::Required);
    }

    #[test]
    fn halves_of_settings_are_refused() {
        for (text, expected) in [
            ("[tls]\nkey = \"k\"\n", "tls.certificate and tls.key belong together"),
            ("[tls]\nclient_ca = \"c\"\n", "tls.client_ca is given but no tls.certificate"),
            (
                "[tls]\nself_signed = true\nkey = \"k\"\ncertificate = \"c\"\n",
                "tls.self_signed and tls.certificate exclude each other",
            ),
            (
                "[[listener]]\nlisten = \"127.0.0.1:1\"\ntls = true\n",
                "listener 127.0.0.1:1: TLS needs a certificate and a key",
            ),
            (
                "[[listener]]\nlisten = \"127.0.0.1:1\"\nendpoint_policy = \"{}\"\n",
                "listener 127.0.0.1:1: an endpoint_policy bounds identities, which only auth.mode = \
                 \"iam\" knows",
            ),
            (
                "[server]\nlisten = []\n",
                "server.listen is empty and there is no [[listener]]: nobody could reach the node",
            ),
        ] {
            assert_eq!(error(text), format!("m.toml: {expected}"));
        }
    }

    #[test]
    fn who_lets_in_anyone_listens_on_loopback_or_says_that_it_is_meant() {
        let exposed = |text: &str| read(text).check_exposure().is_err();
        assert!(!exposed(""));
        assert!(!exposed("[server]\nlisten = [\"[::1]:1\", \"127.9.9.9:1\"]\n"));
        for addr in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1"] {
            let listen = format!("[server]\nlisten = [\"127.0.0.1:1\", \"{addr}\"]\n");
            assert!(exposed(&listen), "{addr}");
            assert!(exposed(&format!("[[listener]]\nlisten = \"{addr}\"\n")), "{addr}");
            assert!(!exposed(&format!("{listen}[auth]\ninsecure = true\n")), "{addr}");
            let keys = "[auth]\nmode = \"keys\"\nkeys = [{ access_key_id = \"A\", \
                        secret_access_key = \"s\" }]\n";
            assert!(!exposed(&format!("{listen}{keys}")), "{addr}");
        }
    }
}
