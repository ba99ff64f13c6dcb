//! Development PKI: a certificate authority in a folder, for the demo, for tests and for trying things out.
//!
//! **Not for production.** The authority's private key lies unencrypted beside its certificate, nobody approves
//! what it signs, and there is one level only: leaves are signed by the root itself. A real installation brings
//! certificates from its own authority; the server reads the same kinds of files from either.
//!
//! A folder made by [`Authority::create`] holds `ca.pem` (the trust bundle), `ca.key` (mode 0600), `crl.pem` and
//! `index.json` (every serial issued, what was revoked and when). Everything that changes is written to a
//! temporary file and renamed, because running servers watch these files.
//!
//! ```no_run
//! use gavah_devpki::{Authority, Validity, write};
//! use jiff::{SignedDuration, Timestamp};
//!
//! # fn main() -> Result<(), gavah_devpki::Error> {
//! let now: Timestamp = "2026-11-22T08:00:00Z".parse().expect("an instant");
//! let authority = Authority::create("pki".as_ref(), now)?;
//! let year = Validity::starting(now, SignedDuration::from_hours(24 * 365))?;
//! write(&authority.issue_server(&["localhost", "127.0.0.1"], year)?, "pki".as_ref(), "server")?;
//! let caller = authority.issue_caller("gavah.example", "window", year)?;
//! authority.revoke(&caller.serial, now)?;
//! # Ok(()) }
//! ```

mod authority;
mod error;
mod files;
mod index;
mod leaf;

pub use authority::Authority;
pub use error::Error;
pub use leaf::{Issued, LeafSpec, Usage, Validity, Written, write};
