//! The loaded TLS state: one immutable value, replaced as a whole.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::aws_lc_rs::digest::{SHA256, digest};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_cert::{Certificate, der::Decode};

use super::{
    Peer, TlsError, TlsFiles,
    crl::{Authority, CertificateId, Crl, validity},
    files::{self, Stamp},
};

/// The only application protocol spoken.
pub(super) const H2: &[u8] = b"h2";

/// Peers behind forwarders that are remembered.
const MOST_FORWARDED: usize = 1024;

/// The TLS material in force, shared by the accept loop, the authentication layer and health.
pub struct Tls {
    files: TlsFiles,
    trust_domain: String,
    state: ArcSwap<State>,
    /// The files as they were when last read; held while reading, so that reloads follow one another.
    seen: Mutex<Stamp>,
}

/// Fingerprints of a leaf and of the forwarder that brings it.
type Forwarded = ([u8; 32], [u8; 32]);

struct State {
    config: Arc<ServerConfig>,
    verifier: Arc<dyn ClientCertVerifier>,
    /// Peers that forwarders brought: verifying costs signatures.
    forwarded: Mutex<HashMap<Forwarded, Arc<Peer>>>,
    revoked: HashSet<CertificateId>,
    status: TlsStatus,
}

/// What health and telemetry say about the TLS material.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsStatus {
    /// Last second in which the server's certificate is valid.
    pub server_not_after: Timestamp,
    /// The earliest nextUpdate of the revocation lists: from then on the callers of its issuer are refused.
    pub crl_next_update: Timestamp,
    /// When the files were loaded.
    pub loaded_at: Timestamp,
    /// 1 after start, one more with every reload that succeeded.
    pub generation: u64,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Loads the files. Callers are named in `trust_domain`.
    ///
    /// # Errors
    /// [`TlsError`] when a file is missing, malformed, not valid at `now`, or does not fit the others.
    pub fn load(
        files: TlsFiles,
        trust_domain: String,
        now: Timestamp,
    ) -> Result<Arc<Tls>, TlsError> {
        let seen = Stamp::of(&files);
        let state = State::load(&files, now, 1)?;
        Ok(Arc::new(Tls {
            files,
            trust_domain,
            state: ArcSwap::from_pointee(state),
            seen: Mutex::new(seen),
        }))
    }

    /// Loads the files again. New connections use the new state; open ones keep their keys, but
    /// [`Tls::is_revoked`] answers from the new lists at once.
    ///
    /// # Errors
    /// As [`Tls::load`]; the old state stays in force.
    pub fn reload(&self, now: Timestamp) -> Result<(), TlsError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Before reading: a file replaced meanwhile is then noticed by the next look.
        *seen = Stamp::of(&self.files);
        let state = State::load(&self.files, now, self.status().generation + 1)?;
        self.state.store(Arc::new(state));
        Ok(())
    }

    /// Whether the loaded revocation lists name a certificate of the peer's chain.
    pub fn is_revoked(&self, peer: &Peer) -> bool {
        let state = self.state.load();
        peer.is_revoked(state.status.generation, &state.revoked)
    }

    /// The peer whose certificates a forwarder brings, when they are good at `now` as in a handshake: trusted chain, valid,
    /// not revoked. That it has the key, the forwarder answers for.
    pub fn forwarded(
        &self,
        chain: &[CertificateDer<'static>],
        forwarder: &Arc<Peer>,
        now: Timestamp,
    ) -> Option<Arc<Peer>> {
        let state = self.state.load();
        let (leaf, intermediates) = chain.split_first()?;
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, leaf).as_ref());
        let key = (fingerprint, *forwarder.fingerprint());
        let lock = || {
            state
                .forwarded
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        // A list past its nextUpdate lets nobody in, remembered or not.
        if now < state.status.crl_next_update
            && let Some(known) = lock().get(&key)
        {
            return Some(Arc::clone(known));
        }
        let seconds = u64::try_from(now.as_second()).ok()?;
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let verified = state.verifier.verify_client_cert(leaf, intermediates, at);
        verified.ok()?;
        let peer = Peer::new(chain, forwarder.remote_addr(), &self.trust_domain)?;
        let peer = Arc::new(peer.behind(Arc::clone(forwarder)));
        let mut known = lock();
        if known.len() >= MOST_FORWARDED {
            known.clear();
        }
        known.insert(key, Arc::clone(&peer));
        Some(peer)
    }

    /// What is loaded.
    pub fn status(&self) -> TlsStatus {
        self.state.load().status
    }

    /// Whether the files are others than those last read, successfully or not. Asks the file system.
    pub(super) fn files_changed(&self) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen != Stamp::of(&self.files)
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.state.load().config)
    }

    pub(super) fn trust_domain(&self) -> &str {
        &self.trust_domain
    }
}

impl State {
    fn load(files: &TlsFiles, now: Timestamp, generation: u64) -> Result<State, TlsError> {
        let provider = Arc::new(provider());
        let (certified, server_not_after) = server_certificate(files, &provider, now)?;
        let (roots, authorities) = trust_bundle(files)?;
        let lists = Lists::load(
            files,
            &authorities,
            &provider.signature_verification_algorithms,
            now,
        )?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .with_crls(lists.ders)
                .enforce_revocation_expiration()
                .build()
                .map_err(|error| TlsError::Refused(error.to_string()))?;
        // TLS 1.3 is said here because a dependency turns the 1.2 code on.
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| TlsError::Refused(error.to_string()))?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![H2.to_vec()];
        // A resumed session would skip the client certificate check.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        let crl_next_update = lists.next_update;
        let status = TlsStatus {
            server_not_after,
            crl_next_update,
            loaded_at: now,
            generation,
        };
        Ok(State {
            config: Arc::new(config),
            verifier,
            forwarded: Mutex::default(),
            revoked: lists.revoked,
            status,
        })
    }
}

/// aws-lc-rs with the post-quantum hybrid preferred, whatever features other crates turn on.
fn provider() -> CryptoProvider {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    let kx_groups = vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1];
    CryptoProvider {
        kx_groups,
        ..aws_lc_rs::default_provider()
    }
}

fn parse(
    certificate: &CertificateDer<'_>,
    path: &std::path::Path,
    position: usize,
) -> Result<Certificate, TlsError> {
    let unparsable = |_| TlsError::Unparsable {
        path: path.to_owned(),
        what: "certificate",
        position,
    };
    Certificate::from_der(certificate).map_err(unparsable)
}

fn server_certificate(
    files: &TlsFiles,
    provider: &CryptoProvider,
    now: Timestamp,
) -> Result<(CertifiedKey, Timestamp), TlsError> {
    let path = &files.certificate;
    let unparsable = |position| TlsError::Unparsable {
        path: path.clone(),
        what: "certificate",
        position,
    };
    let chain = files::certificates(path)?;
    let mut ends = Vec::new();
    for (position, der) in (1..).zip(&chain) {
        ends.push(validity(&parse(der, path, position)?).ok_or_else(|| unparsable(position))?);
    }
    let (not_before, not_after) = ends.first().copied().ok_or_else(|| unparsable(1))?;
    if now < not_before || now > not_after {
        return Err(TlsError::NotValidNow {
            path: path.clone(),
            not_before,
            not_after,
        });
    }
    let key = files::private_key(&files.key)?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|_| TlsError::Key {
            path: files.key.clone(),
        })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok((certified, not_after)),
        Err(_) => Err(TlsError::KeyMismatch {
            key: files.key.clone(),
            certificate: path.clone(),
        }),
    }
}

fn trust_bundle(files: &TlsFiles) -> Result<(RootCertStore, Vec<Authority>), TlsError> {
    let path = &files.client_ca;
    let mut roots = RootCertStore::empty();
    let mut authorities = Vec::new();
    for (position, der) in (1..).zip(files::certificates(path)?) {
        let certificate = parse(&der, path, position)?;
        let Some(authority) = Authority::of(&certificate) else {
            return Err(TlsError::NotAnAuthority {
                path: path.clone(),
                position,
            });
        };
        authorities.push(authority);
        let unparsable = |_| TlsError::Unparsable {
            path: path.clone(),
            what: "certificate",
            position,
        };
        roots.add(der).map_err(unparsable)?;
    }
    Ok((roots, authorities))
}

/// All revocation lists together.
struct Lists {
    ders: Vec<CertificateRevocationListDer<'static>>,
    revoked: HashSet<CertificateId>,
    next_update: Timestamp,
}

impl Lists {
    /// A list whose issuer is not in the trust bundle may belong to an intermediate that clients send along: its
    /// signature is checked when such a chain is built.
    fn load(
        files: &TlsFiles,
        authorities: &[Authority],
        algorithms: &WebPkiSupportedAlgorithms,
        now: Timestamp,
    ) -> Result<Lists, TlsError> {
        let mut lists = Lists {
            ders: Vec::new(),
            revoked: HashSet::new(),
            next_update: Timestamp::MAX,
        };
        let mut covered = vec![false; authorities.len()];
        for path in &files.crls {
            for (position, der) in (1..).zip(files::crls(path)?) {
                let path = path.clone();
                let Some(crl) = Crl::parse(&der) else {
                    return Err(TlsError::Unparsable {
                        path,
                        what: "revocation list",
                        position,
                    });
                };
                let mut named = false;
                let mut signed = false;
                for (authority, covered) in authorities.iter().zip(&mut covered) {
                    if crl.names(authority) {
                        named = true;
                        let by_this_one = crl.is_signed_by(authority, algorithms);
                        signed |= by_this_one;
                        *covered |= by_this_one;
                    }
                }
                if named && !signed {
                    return Err(TlsError::CrlSignature { path, position });
                }
                if now >= crl.next_update {
                    return Err(TlsError::CrlExpired {
                        path,
                        position,
                        next_update: crl.next_update,
                    });
                }
                lists.next_update = lists.next_update.min(crl.next_update);
                lists.revoked.extend(crl.revoked);
                lists.ders.push(der);
            }
        }
        match covered.iter().position(|covered| !covered) {
            Some(missing) => Err(TlsError::CrlMissing {
                path: files.client_ca.clone(),
                position: missing + 1,
            }),
            None => Ok(lists),
        }
    }
}
