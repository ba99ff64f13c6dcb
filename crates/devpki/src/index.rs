//! `index.json`: what was issued and what was revoked.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, files};

/// The authority's memory between calls and processes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Index {
    /// Subject common name of the authority: with the key, all that is needed to sign again.
    pub(crate) common_name: String,
    /// SHA-256 of the authority's public key (subject public key info), hexadecimal.
    pub(crate) public_key_sha256: String,
    /// Number of the last CRL written.
    pub(crate) crl_number: u64,
    /// Every leaf, in order of issue.
    pub(crate) issued: Vec<Entry>,
}

/// One leaf certificate.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Serial, lower-case hexadecimal.
    pub(crate) serial: String,
    /// Subject common name.
    pub(crate) common_name: String,
    /// End of validity.
    #[serde(with = "instant")]
    pub(crate) not_after: Timestamp,
    /// When it was revoked, if it was.
    #[serde(with = "optional_instant")]
    pub(crate) revoke_time: Option<Timestamp>,
}

impl Index {
    pub(crate) fn read(path: &Path) -> Result<Index, Error> {
        serde_json::from_str(&files::read(path)?).map_err(|_| Error::Index {
            path: path.to_owned(),
        })
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let json = serde_json::to_vec_pretty(self).map_err(|_| Error::Index {
            path: path.to_owned(),
        })?;
        files::replace(path, &json, files::PUBLIC)
    }
}

mod instant {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        value: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

mod optional_instant {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value
            .map(|instant| instant.to_string())
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| text.parse().map_err(D::Error::custom))
            .transpose()
    }
}
