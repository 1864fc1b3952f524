//! `--tls-self-signed`: an authority of the node's own, for trials.
//!
//! The authority is made once and kept in the data directory, so that clients which trust its file
//! go on doing so after a restart. The certificate of the node is issued anew at each start, for the
//! names and addresses it then has.
//!
//! Not for production: who can read the data directory can pose as the node.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use millstream_base::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use zeroize::Zeroizing;

use super::TlsError;
use super::files::Material;

/// Where the authority is kept, within the data directory.
const DIR: &str = "tls";
/// The authority's certificate, which clients must trust: `AWS_CA_BUNDLE`.
pub const CA_FILE: &str = "ca.pem";
const CA_KEY_FILE: &str = "ca-key.pem";

/// Years for which the authority is good.
const AUTHORITY_YEARS: i32 = 10;
/// Years for which a node's certificate is good: it is made at each start.
const CERTIFICATE_YEARS: i32 = 1;

/// The node's own authority.
pub struct Authority {
    path: PathBuf,
    certificate: String,
    key: KeyPair,
    names: Vec<String>,
}

impl Authority {
    /// Opens the authority in `data_dir`, or makes it. Certificates of it are for `listen`, for
    /// `names`, and for this machine's loopback names. Blocks.
    ///
    /// # Errors
    /// Its files can't be read or written, or are not what was written.
    pub fn open(
        data_dir: &Path,
        listen: &[SocketAddr],
        names: &[String],
        now: Timestamp,
    ) -> Result<Authority, TlsError> {
        let dir = data_dir.join(DIR);
        let (path, key_path) = (dir.join(CA_FILE), dir.join(CA_KEY_FILE));
        if !path.exists() {
            make(&dir, &path, &key_path, now)?;
        }
        let read = |path: &Path| {
            std::fs::read_to_string(path)
                .map_err(|source| TlsError::Read { path: path.to_owned(), source })
        };
        let certificate = read(&path)?;
        let key = KeyPair::from_pem(&Zeroizing::new(read(&key_path)?))
            .map_err(|_| TlsError::Pem { path: key_path, what: "a private key" })?;
        // Tools look at this file from other directories.
        let path = std::path::absolute(&path).unwrap_or(path);
        Ok(Authority { path, certificate, key, names: all_names(listen, names) })
    }

    /// The file that clients must trust.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A certificate with its key, fresh from the authority.
    pub(super) fn material(&self, now: Timestamp) -> Result<Material, TlsError> {
        let mut params = CertificateParams::new(self.names.clone())?;
        params.distinguished_name = name("Millstream");
        live(&mut params, now, CERTIFICATE_YEARS);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let issuer = Issuer::new(authority(now)?, &self.key);
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(Material {
            certificate: format!("{}{}", certificate.pem(), self.certificate),
            key: Zeroizing::new(key.serialize_pem()),
            client_ca: None,
        })
    }
}

/// The key first: a crash in between leaves no certificate without one.
fn make(dir: &Path, path: &Path, key_path: &Path, now: Timestamp) -> Result<(), TlsError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| TlsError::Write { path, source }
    };
    std::fs::create_dir_all(dir).map_err(failed(dir))?;
    let key = KeyPair::generate()?;
    let certificate = authority(now)?.self_signed(&key)?;
    let secret = Zeroizing::new(key.serialize_pem());
    write(key_path, secret.as_bytes(), OWNER_ONLY).map_err(failed(key_path))?;
    write(path, certificate.pem().as_bytes(), EVERYONE).map_err(failed(path))
}

const OWNER_ONLY: u32 = 0o600;
const EVERYONE: u32 = 0o644;

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)
}

fn authority(now: Timestamp) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = name("Millstream trial authority");
    live(&mut params, now, AUTHORITY_YEARS);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Millstream");
    name.push(DnType::CommonName, common);
    name
}

/// Good from yesterday, for clients whose clocks are late, for some years.
fn live(params: &mut CertificateParams, now: Timestamp, years: i32) {
    let date = |secs: u64, years: i32| {
        let date = jiff::Timestamp::from_second(i64::try_from(secs).unwrap_or(i64::MAX))
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date();
        // The 29th of February is not in every year.
        let day = (date.day() as u8).min(28);
        rcgen::date_time_ymd(i32::from(date.year()) + years, date.month() as u8, day)
    };
    params.not_before = date(now.as_secs().saturating_sub(DAY_SECS), 0);
    params.not_after = date(now.as_secs(), years);
}

const DAY_SECS: u64 = 24 * 60 * 60;

fn all_names(listen: &[SocketAddr], more: &[String]) -> Vec<String> {
    let loopback = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let addresses = listen.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified());
    let all: BTreeSet<String> = loopback
        .into_iter()
        .chain(addresses.map(|ip: IpAddr| ip.to_string()))
        .chain(more.iter().cloned())
        .collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::names_of;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use std::os::unix::fs::PermissionsExt;

    const NOW: Timestamp = Timestamp::from_secs(1_709_164_800); // 2024-02-29

    #[test]
    fn the_authority_outlives_restarts_and_its_key_is_the_owners() {
        let dir = tempfile::tempdir().unwrap();
        let listen = ["192.0.2.7:1".parse().unwrap(), "0.0.0.0:1".parse().unwrap()];
        let open = || Authority::open(dir.path(), &listen, &["m.test".to_owned()], NOW).unwrap();
        let first = open();
        let made = std::fs::read_to_string(first.path()).unwrap();
        let material = open().material(NOW).unwrap();
        assert_eq!(std::fs::read_to_string(first.path()).unwrap(), made);
        assert!(material.certificate.ends_with(&made));
        let der = CertificateDer::from_pem_slice(material.certificate.as_bytes()).unwrap();
        let names = names_of(&der).unwrap().alternative_names;
        let expected = ["IP:127.0.0.1", "IP:192.0.2.7", "IP:::1", "DNS:localhost", "DNS:m.test"];
        assert_eq!(names, expected);
        let key = dir.path().join(DIR).join(CA_KEY_FILE);
        assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, OWNER_ONLY);
    }

    #[test]
    fn a_broken_authority_is_named() {
        let dir = tempfile::tempdir().unwrap();
        Authority::open(dir.path(), &[], &[], NOW).unwrap();
        let key = dir.path().join(DIR).join(CA_KEY_FILE);
        write(&key, b"no key", OWNER_ONLY).unwrap();
        let error = Authority::open(dir.path(), &[], &[], NOW).err().unwrap().to_string();
        assert_eq!(error, format!("{} is no PEM file with a private key", key.display()));
    }
}
