//! The keyed hash by which audit entries and events name a person without carrying personal data.
//!
//! A plain hash would not do: ten-digit codes can all be tried. With the key the same person always has the same name in
//! the audit log, and without it nobody can go from the name to the person or test a guess.

use std::fmt;
use std::path::Path;

use aws_lc_rs::hmac;

use crate::hex;
use crate::secret_file::{self, KeyError};

/// Fewest bytes of a key: as many as the hash function gives.
const MIN_KEY_BYTES: usize = 32;
/// Bytes of the hash that are kept: 128 bits, so that no two persons ever share one.
const HASH_BYTES: usize = 16;

/// Names persons by HMAC-SHA256 under a secret key.
///
/// The key must never change while the audit entries made with it are to be matched.
pub struct SubjectHasher {
    key: hmac::Key,
}

impl SubjectHasher {
    /// Reads the key from a file of at least 32 bytes in hexadecimal, which only its owner may access.
    ///
    /// # Errors
    /// [`KeyError`] naming the file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let malformed = |problem| KeyError::Malformed {
            path: path.to_owned(),
            problem,
        };
        let key = hex::decode(secret_file::read(path)?.trim_ascii())
            .ok_or_else(|| malformed("is not one line of hexadecimal digits"))?;
        if key.len() < MIN_KEY_BYTES {
            return Err(malformed("has fewer than 32 bytes"));
        }
        if key.iter().all(|byte| *byte == key[0]) {
            return Err(malformed("is not random: all its bytes are equal"));
        }
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
        })
    }

    /// Makes a file with a new random key of 32 bytes and mode 0600; an existing file is not overwritten.
    ///
    /// # Errors
    /// [`KeyError`] naming the file.
    pub fn generate_file(path: &Path) -> Result<(), KeyError> {
        let mut key = [0; MIN_KEY_BYTES];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| KeyError::Generate {
            path: path.to_owned(),
        })?;
        secret_file::write_new(path, format!("{}\n", hex::encode(&key)).as_bytes())
    }

    /// The name of a person: 32 lower-case hexadecimal digits, the first half of HMAC-SHA256 over the person's stable text
    /// key (`N:0012345678`).
    #[must_use]
    pub fn hash(&self, subject_key: &str) -> String {
        let tag = hmac::sign(&self.key, subject_key.as_bytes());
        hex::encode(&tag.as_ref()[..HASH_BYTES])
    }
}

impl fmt::Debug for SubjectHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectHasher(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_hash_is_hmac_sha256_cut_to_sixteen_bytes() {
        // RFC 4231, test case 4. Its key of 25 bytes is padded with zeros here as HMAC itself pads it.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("subject.key");
        let mut key: Vec<u8> = (1..=25).collect();
        key.resize(32, 0);
        secret_file::write_new(&path, hex::encode(&key).as_bytes()).unwrap();
        let hasher = SubjectHasher::load(&path).unwrap();
        let tag = hmac::sign(&hasher.key, &[0xcd; 50]);
        assert_eq!(
            hex::encode(tag.as_ref()),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
        );

        let whole = hmac::sign(&hasher.key, b"N:0012345678");
        assert_eq!(
            hasher.hash("N:0012345678"),
            hex::encode(whole.as_ref())[..32]
        );
    }

    #[test]
    fn one_key_always_gives_one_name_and_another_key_another() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        SubjectHasher::generate_file(&first).unwrap();
        SubjectHasher::generate_file(&second).unwrap();
        let name = |path: &Path, subject: &str| SubjectHasher::load(path).unwrap().hash(subject);
        assert_eq!(name(&first, "N:0012345678"), name(&first, "N:0012345678"));
        assert_ne!(name(&first, "N:0012345678"), name(&first, "N:0012345679"));
        assert_ne!(name(&first, "N:0012345678"), name(&second, "N:0012345678"));
        assert_eq!(name(&first, "N:0012345678").len(), 32);
    }

    #[test]
    fn keys_that_are_exposed_short_or_not_random_are_refused_without_being_shown() {
        let folder = tempfile::tempdir().unwrap();
        let cases = [
            ("exposed", "0123456789abcdef".repeat(4), 0o644),
            ("short", "0123456789abcdef".repeat(3), 0o600),
            ("equal", "ab".repeat(32), 0o600),
            ("rubbish", "not hexadecimal".repeat(8), 0o600),
            ("empty", String::new(), 0o600),
        ];
        for (name, content, mode) in cases {
            let path = folder.path().join(name);
            secret_file::write_new(&path, content.as_bytes()).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = SubjectHasher::load(&path).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(path.to_str().unwrap()), "{text}");
            assert!(
                content.is_empty() || !text.contains(&content[..16]),
                "{text}"
            );
        }
    }

    #[test]
    fn debug_shows_nothing_of_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("subject.key");
        SubjectHasher::generate_file(&path).unwrap();
        assert_eq!(
            format!("{:?}", SubjectHasher::load(&path).unwrap()),
            "SubjectHasher(…)"
        );
    }
}
