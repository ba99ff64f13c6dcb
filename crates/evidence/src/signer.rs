//! Keys that sign, and the verification of what they signed.
//!
//! A signed message is a tagged `COSE_Sign1` (RFC 9052, CBOR tag 18) with the payload attached:
//!
//! ```text
//! 18([ << {1: -7, 3: "application/cbor", 4: key id} >>, {}, payload, r‖s ])
//! ```
//!
//! The algorithm is ES256 (ECDSA on P-256 with SHA-256) and nothing else. The key id is the first 16 bytes of the SHA-256
//! of the public key's `SubjectPublicKeyInfo` in DER: 16 bytes in the message, 32 lower-case hexadecimal digits as text.
//! All headers are protected, so every byte of a message is either signed or checked.

use std::fmt::{self, Debug};
use std::path::Path;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use coset::{CoseSign1, CoseSign1Builder, Header, HeaderBuilder, TaggedCborSerializable, iana};
use pem::Pem;

use crate::hex;
use crate::secret_file::{self, KeyError};

/// What kind of payload the messages carry, as their header says it.
const CONTENT_TYPE: &str = "application/cbor";
/// Bytes of a key id.
const KEY_ID_BYTES: usize = 16;
/// The PEM label of an unencrypted PKCS#8 private key.
const PRIVATE_KEY_LABEL: &str = "PRIVATE KEY";
/// The PEM label of a public key.
const PUBLIC_KEY_LABEL: &str = "PUBLIC KEY";

/// A key that signs payloads, wherever it is kept.
pub trait Signer: Send + Sync + Debug {
    /// The id of the key: 32 lower-case hexadecimal digits.
    fn key_id(&self) -> &str;

    /// Signs a payload: the bytes of a tagged `COSE_Sign1` message that carries it.
    ///
    /// ECDSA draws a nonce, so signing one payload twice gives two messages, both good.
    ///
    /// # Errors
    /// [`SignError`] when the key gave no signature; nothing was signed then.
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// A key gave no signature.
#[derive(Debug, thiserror::Error)]
#[error("signing key {key_id} gave no signature")]
pub struct SignError {
    /// The id of the key.
    pub key_id: String,
}

/// Why a signed message is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The bytes are no tagged `COSE_Sign1` message with a payload, or not in the one encoding that is made here.
    #[error("not a well-formed signed message")]
    Malformed,
    /// The headers say another algorithm or content, or more or less than is signed here.
    #[error("the headers of the signed message are not the expected ones")]
    UnexpectedHeaders,
    /// The key did not sign these bytes.
    #[error("the signature does not belong to these bytes and this key")]
    BadSignature,
}

/// A P-256 key from a file.
pub struct FileSigner {
    key_pair: EcdsaKeyPair,
    spki_der: Vec<u8>,
    key_id_bytes: [u8; KEY_ID_BYTES],
    key_id: String,
}

impl FileSigner {
    /// Reads a P-256 private key from a PEM file in unencrypted PKCS#8, which only its owner may access.
    ///
    /// # Errors
    /// [`KeyError`] naming the file: missing, open to others, another format, another curve, a damaged key.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let malformed = |problem| KeyError::Malformed {
            path: path.to_owned(),
            problem,
        };
        let text = secret_file::read(path)?;
        let blocks = pem::parse_many(&text).map_err(|_| malformed("is not a PEM file"))?;
        let [block] = blocks.as_slice() else {
            return Err(malformed("does not hold exactly one PEM block"));
        };
        match block.tag() {
            PRIVATE_KEY_LABEL => {}
            "ENCRYPTED PRIVATE KEY" => {
                return Err(malformed("is encrypted: an unencrypted key is wanted"));
            }
            "EC PRIVATE KEY" => {
                return Err(malformed(
                    "is in SEC1 format: convert it with `openssl pkcs8 -topk8 -nocrypt`",
                ));
            }
            _ => return Err(malformed("does not hold a private key")),
        }
        let key_pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, block.contents())
            .map_err(|_| malformed("does not hold a P-256 private key in PKCS#8"))?;
        Self::new(key_pair).ok_or_else(|| malformed("holds a key whose public half is unusable"))
    }

    fn new(key_pair: EcdsaKeyPair) -> Option<Self> {
        let spki: PublicKeyX509Der<'_> = key_pair.public_key().as_der().ok()?;
        let spki_der = spki.as_ref().to_vec();
        let key_id_bytes = key_id_of(&spki_der)?;
        Some(Self {
            key_pair,
            spki_der,
            key_id_bytes,
            key_id: hex::encode(&key_id_bytes),
        })
    }

    /// The public key as `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn public_key_spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The public key as a PEM file (`PUBLIC KEY`), for whoever verifies.
    #[must_use]
    pub fn public_key_pem(&self) -> String {
        let block = Pem::new(PUBLIC_KEY_LABEL, self.spki_der.as_slice());
        pem::encode_config(&block, unix_lines())
    }
}

impl Signer for FileSigner {
    fn key_id(&self) -> &str {
        &self.key_id
    }

    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignError> {
        let failed = || SignError {
            key_id: self.key_id.clone(),
        };
        CoseSign1Builder::new()
            .protected(protected_header(&self.key_id_bytes))
            .payload(payload.to_vec())
            .try_create_signature(&[], |message| {
                // The library draws the nonce itself and ignores the argument.
                let signature = self.key_pair.sign(&SystemRandom::new(), message);
                signature.map(|signature| signature.as_ref().to_vec())
            })
            .map_err(|_| failed())?
            .build()
            .to_tagged_vec()
            .map_err(|_| failed())
    }
}

impl fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSigner")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// Makes a file of mode 0600 with a new P-256 private key (PEM, PKCS#8) and returns the key; an existing file is not
/// overwritten.
///
/// # Errors
/// [`KeyError`] naming the file.
pub fn generate_key_file(path: &Path) -> Result<FileSigner, KeyError> {
    let failed = || KeyError::Generate {
        path: path.to_owned(),
    };
    let key_pair =
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| failed())?;
    let pkcs8 = key_pair.to_pkcs8v1().map_err(|_| failed())?;
    let block = Pem::new(PRIVATE_KEY_LABEL, pkcs8.as_ref());
    let signer = FileSigner::new(key_pair).ok_or_else(failed)?;
    secret_file::write_new(path, pem::encode_config(&block, unix_lines()).as_bytes())?;
    Ok(signer)
}

/// Verifies a tagged `COSE_Sign1` message under a public key and returns the payload it carries.
///
/// The key is a `SubjectPublicKeyInfo` in DER or an uncompressed point (65 bytes). Only messages exactly as [`Signer`]
/// makes them are accepted. What ECDSA itself leaves open stays open: who knows one good signature can compute a second
/// one for the same payload and key.
///
/// # Errors
/// [`VerifyError`]; the payload is never returned then.
pub fn verify(cose: &[u8], public_key: &[u8]) -> Result<Vec<u8>, VerifyError> {
    let message = CoseSign1::from_tagged_slice(cose).map_err(|_| VerifyError::Malformed)?;
    let again = message.clone().to_tagged_vec();
    if again.map_err(|_| VerifyError::Malformed)? != cose {
        return Err(VerifyError::Malformed);
    }
    let header = &message.protected.header;
    if header.key_id.len() != KEY_ID_BYTES
        || *header != protected_header(&header.key_id)
        || !message.unprotected.is_empty()
    {
        return Err(VerifyError::UnexpectedHeaders);
    }
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public_key);
    message
        .verify_signature(&[], |signature, signed| key.verify(signed, signature))
        .map_err(|_| VerifyError::BadSignature)?;
    message.payload.ok_or(VerifyError::Malformed)
}

fn protected_header(key_id: &[u8]) -> Header {
    HeaderBuilder::new()
        .algorithm(iana::Algorithm::ES256)
        .content_type(CONTENT_TYPE.to_owned())
        .key_id(key_id.to_vec())
        .build()
}

fn key_id_of(spki_der: &[u8]) -> Option<[u8; KEY_ID_BYTES]> {
    digest::digest(&digest::SHA256, spki_der)
        .as_ref()
        .first_chunk()
        .copied()
}

fn unix_lines() -> pem::EncodeConfig {
    pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF)
}

#[cfg(test)]
mod tests;
