//! The authority: a folder with a key that signs leaves and a CRL.

use std::{
    fmt::{self, Write as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    RevokedCertParams, SerialNumber, date_time_ymd,
};

use crate::{
    Error, Issued, LeafSpec, Usage, Validity, files,
    index::{Entry, Index},
    leaf::{caller_uri, common_name, since_epoch},
};

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca.key";
const CRL: &str = "crl.pem";
const INDEX: &str = "index.json";
const LOCK: &str = "index.lock";

/// How long the authority's own certificate is valid.
const AUTHORITY_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 3650);
/// How long a CRL is good for unless [`Authority::with_crl_lifetime`] says otherwise.
const CRL_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 30);

/// A development certificate authority (ECDSA P-256) that lives in a folder.
///
/// Several threads and processes may use one folder at once: whatever changes the index holds a file lock.
pub struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    crl_lifetime: SignedDuration,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a new authority in `dir` (created when missing), valid ten years from `now`, with an empty CRL.
    ///
    /// Its name carries a part of its public key's digest: two authorities never share a name.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when the folder holds one; [`Error::File`], [`Error::Validity`], [`Error::Sign`].
    pub fn create(dir: &Path, now: Timestamp) -> Result<Authority, Error> {
        files::make_folder(dir)?;
        let _lock = files::lock(&dir.join(LOCK))?;
        for name in [CERTIFICATE, KEY, INDEX] {
            let path = dir.join(name);
            if path.exists() {
                return Err(Error::AlreadyExists { path });
            }
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let public_key_sha256 = public_key_sha256(&key);
        let common_name = format!("Gavah development CA {}", &public_key_sha256[..16]);
        let mut params = authority_params(&common_name);
        let (from, to) = Validity::starting(now, AUTHORITY_LIFETIME)?.since_epoch()?;
        let epoch = date_time_ymd(1970, 1, 1);
        (params.not_before, params.not_after) = (epoch + from, epoch + to);
        let certificate = params.self_signed(&key)?;

        files::replace(
            &dir.join(KEY),
            key.serialize_pem().as_bytes(),
            files::SECRET,
        )?;
        files::replace(
            &dir.join(CERTIFICATE),
            certificate.pem().as_bytes(),
            files::PUBLIC,
        )?;
        let authority = Authority {
            dir: dir.to_owned(),
            issuer: Issuer::new(params, key),
            crl_lifetime: CRL_LIFETIME,
        };
        let mut index = Index {
            common_name,
            public_key_sha256,
            crl_number: 0,
            issued: Vec::new(),
        };
        authority.write_crl(&mut index, now)?;
        Ok(authority)
    }

    /// Opens the authority that [`Authority::create`] made in `dir`.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Index`], or [`Error::Key`] when the key is not the one the index names.
    pub fn open(dir: &Path) -> Result<Authority, Error> {
        let index = Index::read(&dir.join(INDEX))?;
        let path = dir.join(KEY);
        let key = KeyPair::from_pem(&files::read(&path)?)
            .map_err(|_| Error::Key { path: path.clone() })?;
        if public_key_sha256(&key) != index.public_key_sha256 {
            return Err(Error::Key { path });
        }
        let issuer = Issuer::new(authority_params(&index.common_name), key);
        Ok(Authority {
            dir: dir.to_owned(),
            issuer,
            crl_lifetime: CRL_LIFETIME,
        })
    }

    /// CRLs written from now on are good for `lifetime` (30 days unless set).
    #[must_use]
    pub fn with_crl_lifetime(self, lifetime: SignedDuration) -> Authority {
        Authority {
            crl_lifetime: lifetime,
            ..self
        }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The trust bundle: this authority's certificate.
    pub fn certificate_path(&self) -> PathBuf {
        self.dir.join(CERTIFICATE)
    }

    /// The current CRL.
    pub fn crl_path(&self) -> PathBuf {
        self.dir.join(CRL)
    }

    /// A server's leaf (`serverAuth`) for DNS names and IP addresses.
    ///
    /// # Errors
    /// [`Error::Name`] for a name that is neither, or for no name at all; [`Error::Validity`], [`Error::File`], [`Error::Sign`].
    pub fn issue_server(&self, names: &[&str], validity: Validity) -> Result<Issued, Error> {
        let Some(first) = names.first() else {
            return Err(Error::Name {
                name: String::new(),
                kind: "a server name",
            });
        };
        self.issue_custom(&LeafSpec {
            common_name: (*first).to_owned(),
            host_names: names.iter().map(|name| (*name).to_owned()).collect(),
            uri_names: Vec::new(),
            usages: vec![Usage::Server],
            validity,
        })
    }

    /// A caller's leaf (`clientAuth`) with exactly one URI name, `spiffe://<trust domain>/caller/<caller id>`.
    ///
    /// # Errors
    /// [`Error::Name`] for a trust domain or caller id of another form; [`Error::Validity`], [`Error::File`], [`Error::Sign`].
    pub fn issue_caller(
        &self,
        trust_domain: &str,
        caller_id: &str,
        validity: Validity,
    ) -> Result<Issued, Error> {
        self.issue_custom(&LeafSpec {
            common_name: caller_id.to_owned(),
            host_names: Vec::new(),
            uri_names: vec![caller_uri(trust_domain, caller_id)?],
            usages: vec![Usage::Client],
            validity,
        })
    }

    /// Any leaf, also one that nobody should accept: for tests.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Validity`], [`Error::File`], [`Error::Sign`].
    pub fn issue_custom(&self, spec: &LeafSpec) -> Result<Issued, Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let serial = serial_of(&key);
        let certificate = spec.params(&serial)?.signed_by(&key, &self.issuer)?;
        let issued = Issued {
            cert_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            fingerprint: sha256(certificate.der()),
            serial: hex(&serial),
            not_after: spec.validity.not_after,
        };
        let _lock = files::lock(&self.dir.join(LOCK))?;
        let path = self.dir.join(INDEX);
        let mut index = Index::read(&path)?;
        index.issued.push(Entry {
            serial: issued.serial.clone(),
            common_name: spec.common_name.clone(),
            not_after: issued.not_after,
            revoke_time: None,
        });
        index.write(&path)?;
        Ok(issued)
    }

    /// Revokes a serial (hexadecimal, as in [`Issued::serial`]) at `now` and writes a new CRL with the next number.
    /// Revoking again keeps the first instant.
    ///
    /// # Errors
    /// [`Error::UnknownSerial`], [`Error::File`], [`Error::Index`], [`Error::Sign`].
    pub fn revoke(&self, serial: &str, now: Timestamp) -> Result<(), Error> {
        let _lock = files::lock(&self.dir.join(LOCK))?;
        let mut index = Index::read(&self.dir.join(INDEX))?;
        let Some(entry) = index
            .issued
            .iter_mut()
            .find(|entry| entry.serial.eq_ignore_ascii_case(serial))
        else {
            return Err(Error::UnknownSerial {
                serial: serial.to_owned(),
            });
        };
        entry.revoke_time.get_or_insert(now);
        self.write_crl(&mut index, now)
    }

    /// Writes a new CRL with the next number and the same entries: before the old one's nextUpdate passes, every
    /// server refuses every caller after it.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Index`], [`Error::Sign`].
    pub fn refresh_crl(&self, now: Timestamp) -> Result<(), Error> {
        let _lock = files::lock(&self.dir.join(LOCK))?;
        let mut index = Index::read(&self.dir.join(INDEX))?;
        self.write_crl(&mut index, now)
    }

    /// Index first: if the CRL cannot be written, the revocation is remembered and the next CRL carries it.
    fn write_crl(&self, index: &mut Index, now: Timestamp) -> Result<(), Error> {
        let next_update = now.checked_add(self.crl_lifetime).unwrap_or(Timestamp::MAX);
        let (this, next) = Validity {
            not_before: now,
            not_after: next_update,
        }
        .since_epoch()?;
        let epoch = date_time_ymd(1970, 1, 1);
        let mut revoked_certs = Vec::new();
        for entry in &index.issued {
            let Some(revoke_time) = entry.revoke_time else {
                continue;
            };
            let (Some(serial), Some(at)) = (unhex(&entry.serial), since_epoch(revoke_time)) else {
                return Err(Error::Index {
                    path: self.dir.join(INDEX),
                });
            };
            revoked_certs.push(RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: epoch + at,
                reason_code: None,
                invalidity_date: None,
            });
        }
        index.crl_number += 1;
        let crl = CertificateRevocationListParams {
            this_update: epoch + this,
            next_update: epoch + next,
            crl_number: SerialNumber::from(index.crl_number),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&self.issuer)?;
        index.write(&self.dir.join(INDEX))?;
        files::replace(&self.crl_path(), crl.pem()?.as_bytes(), files::PUBLIC)
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// 16 bytes of the fresh public key's digest: unique without another source of randomness. The two top bits make
/// it positive and keep every serial the same length.
fn serial_of(key: &KeyPair) -> [u8; 16] {
    let mut serial = [0; 16];
    serial.copy_from_slice(&sha256(&key.subject_public_key_info())[..16]);
    serial[0] = (serial[0] & 0x7f) | 0x40;
    serial
}

fn public_key_sha256(key: &KeyPair) -> String {
    hex(&sha256(&key.subject_public_key_info()))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    digits?
        .chunks(2)
        .map(|pair| u8::try_from(pair.first()? * 16 + pair.get(1)?).ok())
        .collect()
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
