//! Leaf certificates: what may be asked for and what comes back.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SanType, SerialNumber, date_time_ymd,
};

use crate::{Error, files};

/// How far a validity counted from "now" reaches back, so that a peer whose clock is a little behind accepts it.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// From when to when a certificate is valid, to the second, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First valid second.
    pub not_before: Timestamp,
    /// Last valid second.
    pub not_after: Timestamp,
}

impl Validity {
    /// Valid from five minutes before `now` (clock skew) until `now + length`.
    ///
    /// # Errors
    /// [`Error::Validity`] when the end is not representable.
    pub fn starting(now: Timestamp, length: SignedDuration) -> Result<Validity, Error> {
        let unusable = |_| Error::Validity {
            not_before: now,
            not_after: Timestamp::MAX,
        };
        let not_before = now.checked_sub(CLOCK_SKEW).map_err(unusable)?;
        let not_after = now.checked_add(length).map_err(unusable)?;
        Ok(Validity {
            not_before,
            not_after,
        })
    }

    /// Both ends as durations since 1970, which is what rcgen's clock type can be built from.
    pub(crate) fn since_epoch(self) -> Result<(Duration, Duration), Error> {
        let Validity {
            not_before,
            not_after,
        } = self;
        match (since_epoch(not_before), since_epoch(not_after)) {
            (Some(from), Some(to)) if from <= to => Ok((from, to)),
            _ => Err(Error::Validity {
                not_before,
                not_after,
            }),
        }
    }
}

/// Whole seconds since 1970; none before it.
pub(crate) fn since_epoch(instant: Timestamp) -> Option<Duration> {
    u64::try_from(instant.as_second())
        .ok()
        .map(Duration::from_secs)
}

/// What a leaf's key may be used for in TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// `serverAuth`
    Server,
    /// `clientAuth`
    Client,
}

/// A leaf in full detail, for tests that need a wrong one.
#[derive(Debug, Clone)]
pub struct LeafSpec {
    /// Subject common name; nothing is decided by it.
    pub common_name: String,
    /// DNS names and IP addresses of the subject alternative name.
    pub host_names: Vec<String>,
    /// URIs of the subject alternative name.
    pub uri_names: Vec<String>,
    /// Extended key usages; none leaves the extension out.
    pub usages: Vec<Usage>,
    /// Validity: may be over, or not begun.
    pub validity: Validity,
}

impl LeafSpec {
    pub(crate) fn params(&self, serial: &[u8]) -> Result<CertificateParams, Error> {
        let mut params = CertificateParams::default();
        let epoch = date_time_ymd(1970, 1, 1);
        let (from, to) = self.validity.since_epoch()?;
        (params.not_before, params.not_after) = (epoch + from, epoch + to);
        params.serial_number = Some(SerialNumber::from_slice(serial));
        params.distinguished_name = common_name(&self.common_name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = self
            .usages
            .iter()
            .map(|usage| match usage {
                Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
                Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
            })
            .collect();
        for name in &self.host_names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(
                    name.as_str()
                        .try_into()
                        .map_err(|_| refused(name, "a DNS name"))?,
                ),
            });
        }
        for name in &self.uri_names {
            params.subject_alt_names.push(SanType::URI(
                name.as_str()
                    .try_into()
                    .map_err(|_| refused(name, "a URI"))?,
            ));
        }
        Ok(params)
    }
}

pub(crate) fn common_name(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn refused(name: &str, kind: &'static str) -> Error {
    Error::Name {
        name: name.to_owned(),
        kind,
    }
}

/// `spiffe://<trust domain>/caller/<caller id>`, the one name a caller's certificate carries.
pub(crate) fn caller_uri(trust_domain: &str, caller_id: &str) -> Result<String, Error> {
    let of = |text: &str, extra: &[u8]| {
        !text.is_empty()
            && text.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || extra.contains(&byte)
            })
    };
    if !of(trust_domain, b".-_") {
        return Err(refused(trust_domain, "a trust domain"));
    }
    if !of(caller_id, b"-") || caller_id.starts_with('-') || caller_id.len() > 63 {
        return Err(refused(caller_id, "a caller id"));
    }
    Ok(format!("spiffe://{trust_domain}/caller/{caller_id}"))
}

/// A leaf certificate with its private key.
#[derive(Clone)]
pub struct Issued {
    /// The leaf alone, PEM: with one level of authority there is no chain to add.
    pub cert_pem: String,
    /// The private key, PKCS#8 PEM.
    pub key_pem: String,
    /// SHA-256 of the leaf's DER: the fingerprint under which a caller registers it.
    pub fingerprint: [u8; 32],
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// End of validity.
    pub not_after: Timestamp,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("serial", &self.serial)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// Where [`write()`] put things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// `<stem>.pem`
    pub certificate: PathBuf,
    /// `<stem>.key`, mode 0600.
    pub key: PathBuf,
}

/// Writes `<stem>.key` (mode 0600) and `<stem>.pem` in `dir`, making the folder when needed.
///
/// Each file is replaced atomically; the pair is not, so a watcher may for a moment see the new key with the old
/// certificate and must keep what it has until they match.
///
/// # Errors
/// [`Error::File`] naming the file.
pub fn write(issued: &Issued, dir: &Path, stem: &str) -> Result<Written, Error> {
    files::make_folder(dir)?;
    let written = Written {
        certificate: dir.join(format!("{stem}.pem")),
        key: dir.join(format!("{stem}.key")),
    };
    files::replace(&written.key, issued.key_pem.as_bytes(), files::SECRET)?;
    files::replace(
        &written.certificate,
        issued.cert_pem.as_bytes(),
        files::PUBLIC,
    )?;
    Ok(written)
}
