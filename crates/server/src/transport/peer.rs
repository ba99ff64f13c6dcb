//! Who is at the other end of a connection, as its certificate says.

use std::{
    collections::HashSet,
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_cert::{
    Certificate,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use gavah_domain::caller::CallerId;

use super::crl::{CertificateId, validity};

/// The authenticated peer of one connection, made once after its handshake.
///
/// The handshake proved the chain, the validity and the revocation status *then*; whoever serves a call on the
/// connection asks again ([`Peer::not_after`], [`Tls::is_revoked`](super::Tls::is_revoked)).
pub struct Peer {
    fingerprint: [u8; 32],
    fingerprint_hex: String,
    uri_names: Vec<String>,
    caller_id: Option<CallerId>,
    not_after: Timestamp,
    remote_addr: SocketAddr,
    chain: Vec<CertificateId>,
    /// Whose connection it is, when that is a forwarder's.
    forwarder: Option<Arc<Peer>>,
    /// Generation of the TLS material that was asked last and did not revoke it.
    good_in: AtomicU64,
}

impl Peer {
    /// None when a certificate cannot be parsed: what cannot be asked about later is not let in.
    pub(super) fn new(
        chain: &[CertificateDer<'_>],
        remote_addr: SocketAddr,
        trust_domain: &str,
    ) -> Option<Peer> {
        let certificates: Vec<Certificate> = chain
            .iter()
            .map(|der| Certificate::from_der(der).ok())
            .collect::<Option<_>>()?;
        let leaf = certificates.first()?;
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, chain.first()?).as_ref());
        let uri_names = uri_names(leaf)?;
        Some(Peer {
            fingerprint,
            fingerprint_hex: fingerprint
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            caller_id: caller_id(&uri_names, trust_domain),
            uri_names,
            not_after: validity(leaf)?.1,
            remote_addr,
            chain: certificates
                .iter()
                .map(CertificateId::of)
                .collect::<Option<_>>()?,
            forwarder: None,
            good_in: AtomicU64::new(0),
        })
    }

    /// The peer behind a forwarder, whose connection it is.
    pub(super) fn behind(self, forwarder: Arc<Peer>) -> Peer {
        Peer {
            not_after: self.not_after.min(forwarder.not_after),
            forwarder: Some(forwarder),
            ..self
        }
    }

    /// SHA-256 of the leaf certificate's DER.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The fingerprint in lower-case hexadecimal, 64 digits.
    pub fn fingerprint_hex(&self) -> &str {
        &self.fingerprint_hex
    }

    /// Every URI of the leaf's subject alternative name, in its order.
    pub fn uri_names(&self) -> &[String] {
        &self.uri_names
    }

    /// The caller the certificate names: only when it has exactly one URI name, and that is
    /// `spiffe://<trust domain>/caller/<caller id>` in the configured trust domain.
    pub fn caller_id(&self) -> Option<&CallerId> {
        self.caller_id.as_ref()
    }

    /// Last second in which the leaf is valid, and the forwarder's, if there is one.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether its certificate came in a forwarder's header.
    pub fn is_forwarded(&self) -> bool {
        self.forwarder.is_some()
    }

    /// Address and port of the peer's socket.
    pub fn remote_addr(&self) -> SocketAddr {
        self.remote_addr
    }

    /// Whether a certificate of the chain, the leaf or what the peer sent with it, is `revoked` in this generation of
    /// the TLS material. Each generation's answer is the same for ever, so a good one is remembered.
    pub(super) fn is_revoked(&self, generation: u64, revoked: &HashSet<CertificateId>) -> bool {
        if self.good_in.load(Ordering::Relaxed) == generation {
            return false;
        }
        let of_the_forwarder = self.forwarder.as_ref();
        let found = self.chain.iter().any(|one| revoked.contains(one))
            || of_the_forwarder.is_some_and(|forwarder| forwarder.is_revoked(generation, revoked));
        if !found {
            self.good_in.store(generation, Ordering::Relaxed);
        }
        found
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("fingerprint", &self.fingerprint_hex)
            .field("remote_addr", &self.remote_addr)
            .finish_non_exhaustive()
    }
}

/// None when the extension cannot be parsed or stands there twice.
fn uri_names(leaf: &Certificate) -> Option<Vec<String>> {
    let Some((_critical, names)) = leaf.tbs_certificate.get::<SubjectAltName>().ok()? else {
        return Some(Vec::new());
    };
    let uris = names.0.iter().filter_map(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
        _ => None,
    });
    Some(uris.collect())
}

fn caller_id(uri_names: &[String], trust_domain: &str) -> Option<CallerId> {
    let [uri] = uri_names else { return None };
    let id = uri
        .strip_prefix("spiffe://")?
        .strip_prefix(trust_domain)?
        .strip_prefix("/caller/")?;
    // Parsing may be tolerant; a name in a certificate is taken literally or not at all.
    CallerId::parse(id)
        .ok()
        .filter(|parsed| parsed.as_str() == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(uris: &[&str]) -> Option<String> {
        let uris: Vec<String> = uris.iter().map(|uri| (*uri).to_owned()).collect();
        caller_id(&uris, "gavah.example").map(|id| id.as_str().to_owned())
    }

    #[test]
    fn a_caller_is_named_by_exactly_one_uri_in_the_trust_domain() {
        assert_eq!(
            named(&["spiffe://gavah.example/caller/window-1"]).as_deref(),
            Some("window-1")
        );
        for other in [
            "spiffe://gavah.example/caller/",
            "spiffe://gavah.example/caller/Window",
            "spiffe://gavah.example/caller/a/b",
            "spiffe://gavah.example/caller/ a",
            "spiffe://gavah.example/caller/a?b",
            "spiffe://gavah.example/server/a",
            "spiffe://gavah.example.org/caller/a",
            "spiffe://Gavah.example/caller/a",
            "https://gavah.example/caller/a",
            "spiffe://other/caller/a",
        ] {
            assert_eq!(named(&[other]), None, "{other}");
        }
        assert_eq!(named(&[]), None);
        assert_eq!(
            named(&[
                "spiffe://gavah.example/caller/a",
                "spiffe://gavah.example/caller/b"
            ]),
            None
        );
        assert_eq!(
            named(&["spiffe://gavah.example/caller/a", "https://other"]),
            None
        );
    }
}
