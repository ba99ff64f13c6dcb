//! Certificates, authorities and revocation lists as far as the transport must look into them.
//!
//! Path building, signatures on the path and revocation during the handshake are rustls' work. This is for what
//! rustls does not tell: when lists and certificates end, and which serials an open connection must not have.

use jiff::Timestamp;
use rustls::crypto::WebPkiSupportedAlgorithms;
use x509_cert::{
    Certificate,
    crl::CertificateList,
    der::{Decode, Encode, Header, Reader, SliceReader},
    ext::pkix::BasicConstraints,
    spki::AlgorithmIdentifierOwned,
    time::Time,
};

/// What names a certificate in a revocation list: DER of the issuer's name, and the serial.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct CertificateId {
    issuer: Vec<u8>,
    serial: Vec<u8>,
}

impl CertificateId {
    pub(super) fn of(certificate: &Certificate) -> Option<CertificateId> {
        let tbs = &certificate.tbs_certificate;
        Some(CertificateId {
            issuer: tbs.issuer.to_der().ok()?,
            serial: tbs.serial_number.as_bytes().to_vec(),
        })
    }
}

/// A certificate's validity, both ends included.
pub(super) fn validity(certificate: &Certificate) -> Option<(Timestamp, Timestamp)> {
    let validity = &certificate.tbs_certificate.validity;
    Some((
        instant(&validity.not_before)?,
        instant(&validity.not_after)?,
    ))
}

/// A trusted authority: its name and its key.
pub(super) struct Authority {
    subject: Vec<u8>,
    key_algorithm: Vec<u8>,
    key: Vec<u8>,
}

impl Authority {
    /// None when the certificate is not an authority's.
    pub(super) fn of(certificate: &Certificate) -> Option<Authority> {
        let tbs = &certificate.tbs_certificate;
        match tbs.get::<BasicConstraints>() {
            Ok(Some((_critical, constraints))) if constraints.ca => {}
            _ => return None,
        }
        let key = &tbs.subject_public_key_info;
        Some(Authority {
            subject: tbs.subject.to_der().ok()?,
            key_algorithm: identifier(&key.algorithm)?,
            key: key.subject_public_key.as_bytes()?.to_vec(),
        })
    }
}

/// A revocation list, parsed.
pub(super) struct Crl {
    issuer: Vec<u8>,
    pub(super) next_update: Timestamp,
    pub(super) revoked: Vec<CertificateId>,
    signed: Vec<u8>,
    signature_algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl Crl {
    /// None when it cannot be parsed or has no nextUpdate.
    pub(super) fn parse(der: &[u8]) -> Option<Crl> {
        let list = CertificateList::from_der(der).ok()?;
        let tbs = list.tbs_cert_list;
        let issuer = tbs.issuer.to_der().ok()?;
        let revoked = tbs.revoked_certificates.unwrap_or_default();
        Some(Crl {
            next_update: instant(&tbs.next_update?)?,
            revoked: revoked
                .iter()
                .map(|entry| CertificateId {
                    issuer: issuer.clone(),
                    serial: entry.serial_number.as_bytes().to_vec(),
                })
                .collect(),
            signed: first_element(der)?,
            signature_algorithm: identifier(&list.signature_algorithm)?,
            signature: list.signature.as_bytes()?.to_vec(),
            issuer,
        })
    }

    /// Whether it bears the authority's name.
    pub(super) fn names(&self, authority: &Authority) -> bool {
        self.issuer == authority.subject
    }

    /// Whether the authority's key signed it, by any of rustls' algorithms.
    pub(super) fn is_signed_by(
        &self,
        authority: &Authority,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> bool {
        algorithms.all.iter().any(|algorithm| {
            algorithm.signature_alg_id().as_ref() == self.signature_algorithm
                && algorithm.public_key_alg_id().as_ref() == authority.key_algorithm
                && algorithm
                    .verify_signature(&authority.key, &self.signed, &self.signature)
                    .is_ok()
        })
    }
}

/// The signed part exactly as it was signed, rather than encoded again.
fn first_element(der: &[u8]) -> Option<Vec<u8>> {
    let mut reader = SliceReader::new(der).ok()?;
    Header::decode(&mut reader).ok()?;
    Some(reader.tlv_bytes().ok()?.to_vec())
}

/// An algorithm identifier without its outer SEQUENCE header, the form rustls compares.
fn identifier(algorithm: &AlgorithmIdentifierOwned) -> Option<Vec<u8>> {
    let mut der = algorithm.oid.to_der().ok()?;
    if let Some(parameters) = &algorithm.parameters {
        der.extend(parameters.to_der().ok()?);
    }
    Some(der)
}

fn instant(time: &Time) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(time.to_unix_duration().as_secs()).ok()?).ok()
}
