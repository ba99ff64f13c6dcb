//! Signing keys and signed artefacts: what makes a document provable without asking the service.
//!
//! * [`signer`] — keys that sign: a `COSE_Sign1` message around any payload, and its verification.
//! * [`certificate_payload`] — the content of an enrollment certificate as deterministic CBOR, the bytes that are signed.
//! * [`subject_hash`] — the keyed hash by which audit entries name a person.
//! * [`secret_file`] — how secrets are read from and written to files.
//!
//! Nothing here knows a store, a network or a clock: payloads come in as values and go out as bytes.

pub mod certificate_payload;
mod hex;
pub mod secret_file;
pub mod signer;
pub mod subject_hash;

pub use certificate_payload::{CertificatePayload, PayloadError};
pub use secret_file::KeyError;
pub use signer::{FileSigner, SignError, Signer, VerifyError, generate_key_file, verify};
pub use subject_hash::SubjectHasher;
