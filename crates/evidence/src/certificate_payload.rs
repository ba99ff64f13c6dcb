//! The content of an enrollment certificate as the bytes that are signed.
//!
//! The payload is one CBOR map with small integer keys in deterministic encoding (RFC 8949 §4.2.1): keys ascending, shortest
//! integers, definite lengths. One content has one encoding, so the bytes recorded before signing are the bytes signed
//! again after a crash. [`CertificatePayload::decode`] accepts that encoding only.

use std::collections::BTreeMap;
use std::fmt;

use ciborium::Value;

/// The version of the map's layout: a key never changes its meaning within one version. New optional keys may be added to it:
/// who does not know them refuses such a document rather than overlook what it says.
pub const PAYLOAD_VERSION: u8 = 1;

/// The integer keys of the map. Key, CBOR type, meaning; optional keys are absent when there is nothing to say.
pub mod key {
    /// Unsigned integer: the version of this layout.
    pub const VERSION: u8 = 1;
    /// Byte string of 16: the certificate's UUID.
    pub const CERTIFICATE_ID: u8 = 2;
    /// Text: the serial by which the certificate is filed, `1405-00000001`.
    pub const SERIAL: u8 = 3;
    /// Text: the 20 digits by which the certificate is validated.
    pub const CODE: u8 = 4;
    /// Text: the institution's code.
    pub const INSTITUTION_CODE: u8 = 5;
    /// Text: the institution's Persian name.
    pub const INSTITUTION_NAME_FA: u8 = 6;
    /// Text: the subject's identifier as a stable text key, `N:0012345678`.
    pub const SUBJECT_KEY: u8 = 7;
    /// Text: the subject's full Persian name.
    pub const NAME_FA: u8 = 8;
    /// Text, optional: the subject's full name in Latin letters.
    pub const NAME_EN: u8 = 9;
    /// Text: the student number.
    pub const STUDENT_NUMBER: u8 = 10;
    /// Text: the degree level's wire name, `MASTER_CONTINUOUS`.
    pub const DEGREE_LEVEL: u8 = 11;
    /// Text: the Persian title of the field of study.
    pub const FIELD_TITLE_FA: u8 = 12;
    /// Text: the study mode's wire name, `DAY`.
    pub const STUDY_MODE: u8 = 13;
    /// Text: the term in which the subject is registered, `1404-1`.
    pub const TERM: u8 = 14;
    /// Text: the purpose's wire name, `EMBASSY`.
    pub const PURPOSE: u8 = 15;
    /// Text: to whom the certificate is addressed, in Persian.
    pub const ADDRESSEE_FA: u8 = 16;
    /// Text, optional: to whom the certificate is addressed, in Latin letters.
    pub const ADDRESSEE_EN: u8 = 17;
    /// Integer: instant of issue, microseconds since 1970-01-01T00:00:00Z.
    pub const ISSUE_TIME_MICROS: u8 = 18;
    /// Integer: first instant of validity, microseconds since 1970-01-01T00:00:00Z.
    pub const VALID_FROM_MICROS: u8 = 19;
    /// Text: last Jalali day of validity in Tehran, `1405/12/30`.
    pub const VALID_UNTIL: u8 = 20;
    /// Integer: first instant after validity, microseconds since 1970-01-01T00:00:00Z.
    pub const VALID_UNTIL_MICROS: u8 = 21;
    /// Text: the workflow version under which the certificate was decided.
    pub const WORKFLOW_VERSION: u8 = 22;
    /// Text, optional: the number of the paper that the certificate confirms.
    pub const CONFIRMED_NUMBER: u8 = 23;
    /// Text, optional: the Jalali day on which that paper was issued, `1404/08/12`.
    pub const CONFIRMED_DATE: u8 = 24;
    /// Text, optional: the UUID of the certificate that this one replaces.
    pub const REPLACES: u8 = 25;
}

/// The content of an enrollment certificate. The fields are described at their map keys in [`key`].
#[derive(Clone, PartialEq, Eq)]
pub struct CertificatePayload {
    /// [`key::VERSION`]
    pub version: u8,
    /// [`key::CERTIFICATE_ID`]
    pub certificate_id: [u8; 16],
    /// [`key::SERIAL`]
    pub serial: String,
    /// [`key::CODE`]
    pub code: String,
    /// [`key::INSTITUTION_CODE`]
    pub institution_code: String,
    /// [`key::INSTITUTION_NAME_FA`]
    pub institution_name_fa: String,
    /// [`key::SUBJECT_KEY`]
    pub subject_key: String,
    /// [`key::NAME_FA`]
    pub name_fa: String,
    /// [`key::NAME_EN`]
    pub name_en: Option<String>,
    /// [`key::STUDENT_NUMBER`]
    pub student_number: String,
    /// [`key::DEGREE_LEVEL`]
    pub degree_level: String,
    /// [`key::FIELD_TITLE_FA`]
    pub field_title_fa: String,
    /// [`key::STUDY_MODE`]
    pub study_mode: String,
    /// [`key::TERM`]
    pub term: String,
    /// [`key::PURPOSE`]
    pub purpose: String,
    /// [`key::ADDRESSEE_FA`]
    pub addressee_fa: String,
    /// [`key::ADDRESSEE_EN`]
    pub addressee_en: Option<String>,
    /// [`key::ISSUE_TIME_MICROS`]
    pub issue_time_micros: i64,
    /// [`key::VALID_FROM_MICROS`]
    pub valid_from_micros: i64,
    /// [`key::VALID_UNTIL`]
    pub valid_until: String,
    /// [`key::VALID_UNTIL_MICROS`]
    pub valid_until_micros: i64,
    /// [`key::WORKFLOW_VERSION`]
    pub workflow_version: String,
    /// [`key::CONFIRMED_NUMBER`]
    pub confirmed_number: Option<String>,
    /// [`key::CONFIRMED_DATE`]
    pub confirmed_date: Option<String>,
    /// [`key::REPLACES`]
    pub replaces: Option<String>,
}

/// Why bytes are no certificate payload. Never says what they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The bytes are not exactly one CBOR map with integer keys.
    #[error("the payload is not one map with integer keys")]
    NotAMap,
    /// The payload was made under another layout.
    #[error("the payload has another version than {PAYLOAD_VERSION}")]
    UnknownVersion,
    /// A required key is absent.
    #[error("the payload lacks key {0}")]
    Missing(u8),
    /// A value is not of its key's type.
    #[error("the payload's key {0} has a value of another type")]
    WrongType(u8),
    /// There is a key that this version does not know.
    #[error("the payload has a key that its version does not know")]
    UnknownKey,
    /// The content is good, but not in its deterministic encoding.
    #[error("the payload is not in deterministic encoding")]
    NotDeterministic,
    /// The payload could not be encoded.
    #[error("the payload cannot be encoded")]
    Encode,
}

impl CertificatePayload {
    /// The deterministic encoding: the bytes to sign.
    ///
    /// # Errors
    /// [`PayloadError::UnknownVersion`] for a version that this layout is not.
    pub fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        if self.version != PAYLOAD_VERSION {
            return Err(PayloadError::UnknownVersion);
        }
        let text = |value: &String| Some(Value::from(value.as_str()));
        let optional = |value: &Option<String>| value.as_deref().map(Value::from);
        // In ascending order of keys, as the deterministic encoding wants them.
        let entries = [
            (key::VERSION, Some(Value::from(self.version))),
            (
                key::CERTIFICATE_ID,
                Some(Value::from(self.certificate_id.as_slice())),
            ),
            (key::SERIAL, text(&self.serial)),
            (key::CODE, text(&self.code)),
            (key::INSTITUTION_CODE, text(&self.institution_code)),
            (key::INSTITUTION_NAME_FA, text(&self.institution_name_fa)),
            (key::SUBJECT_KEY, text(&self.subject_key)),
            (key::NAME_FA, text(&self.name_fa)),
            (key::NAME_EN, optional(&self.name_en)),
            (key::STUDENT_NUMBER, text(&self.student_number)),
            (key::DEGREE_LEVEL, text(&self.degree_level)),
            (key::FIELD_TITLE_FA, text(&self.field_title_fa)),
            (key::STUDY_MODE, text(&self.study_mode)),
            (key::TERM, text(&self.term)),
            (key::PURPOSE, text(&self.purpose)),
            (key::ADDRESSEE_FA, text(&self.addressee_fa)),
            (key::ADDRESSEE_EN, optional(&self.addressee_en)),
            (
                key::ISSUE_TIME_MICROS,
                Some(Value::from(self.issue_time_micros)),
            ),
            (
                key::VALID_FROM_MICROS,
                Some(Value::from(self.valid_from_micros)),
            ),
            (key::VALID_UNTIL, text(&self.valid_until)),
            (
                key::VALID_UNTIL_MICROS,
                Some(Value::from(self.valid_until_micros)),
            ),
            (key::WORKFLOW_VERSION, text(&self.workflow_version)),
            (key::CONFIRMED_NUMBER, optional(&self.confirmed_number)),
            (key::CONFIRMED_DATE, optional(&self.confirmed_date)),
            (key::REPLACES, optional(&self.replaces)),
        ];
        let map = entries
            .into_iter()
            .filter_map(|(key, value)| Some((Value::from(key), value?)))
            .collect();
        let mut bytes = Vec::new();
        ciborium::into_writer(&Value::Map(map), &mut bytes).map_err(|_| PayloadError::Encode)?;
        Ok(bytes)
    }

    /// Reads a payload from its deterministic encoding.
    ///
    /// # Errors
    /// [`PayloadError`] saying what is wrong, by key number.
    pub fn decode(bytes: &[u8]) -> Result<Self, PayloadError> {
        let mut fields = Fields::read(bytes)?;
        if fields.integer::<u64>(key::VERSION)? != u64::from(PAYLOAD_VERSION) {
            return Err(PayloadError::UnknownVersion);
        }
        let payload = Self {
            version: PAYLOAD_VERSION,
            certificate_id: fields.id(key::CERTIFICATE_ID)?,
            serial: fields.text(key::SERIAL)?,
            code: fields.text(key::CODE)?,
            institution_code: fields.text(key::INSTITUTION_CODE)?,
            institution_name_fa: fields.text(key::INSTITUTION_NAME_FA)?,
            subject_key: fields.text(key::SUBJECT_KEY)?,
            name_fa: fields.text(key::NAME_FA)?,
            name_en: fields.optional_text(key::NAME_EN)?,
            student_number: fields.text(key::STUDENT_NUMBER)?,
            degree_level: fields.text(key::DEGREE_LEVEL)?,
            field_title_fa: fields.text(key::FIELD_TITLE_FA)?,
            study_mode: fields.text(key::STUDY_MODE)?,
            term: fields.text(key::TERM)?,
            purpose: fields.text(key::PURPOSE)?,
            addressee_fa: fields.text(key::ADDRESSEE_FA)?,
            addressee_en: fields.optional_text(key::ADDRESSEE_EN)?,
            issue_time_micros: fields.integer(key::ISSUE_TIME_MICROS)?,
            valid_from_micros: fields.integer(key::VALID_FROM_MICROS)?,
            valid_until: fields.text(key::VALID_UNTIL)?,
            valid_until_micros: fields.integer(key::VALID_UNTIL_MICROS)?,
            workflow_version: fields.text(key::WORKFLOW_VERSION)?,
            confirmed_number: fields.optional_text(key::CONFIRMED_NUMBER)?,
            confirmed_date: fields.optional_text(key::CONFIRMED_DATE)?,
            replaces: fields.optional_text(key::REPLACES)?,
        };
        if !fields.0.is_empty() {
            return Err(PayloadError::UnknownKey);
        }
        if payload.encode()? != bytes {
            return Err(PayloadError::NotDeterministic);
        }
        Ok(payload)
    }
}

impl fmt::Debug for CertificatePayload {
    /// The version only: all the rest is about a person, or a code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificatePayload")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The values of a map that were not taken yet.
struct Fields(BTreeMap<u64, Value>);

impl Fields {
    fn read(mut bytes: &[u8]) -> Result<Self, PayloadError> {
        let value: Value = ciborium::from_reader(&mut bytes).map_err(|_| PayloadError::NotAMap)?;
        let entries = value.into_map().map_err(|_| PayloadError::NotAMap)?;
        if !bytes.is_empty() {
            return Err(PayloadError::NotAMap);
        }
        let mut fields = BTreeMap::new();
        for (key, value) in entries {
            let key = key.as_integer().and_then(|key| u64::try_from(key).ok());
            let key = key.ok_or(PayloadError::NotAMap)?;
            if fields.insert(key, value).is_some() {
                return Err(PayloadError::NotDeterministic);
            }
        }
        Ok(Self(fields))
    }

    fn take(&mut self, key: u8) -> Result<Value, PayloadError> {
        self.0
            .remove(&u64::from(key))
            .ok_or(PayloadError::Missing(key))
    }

    fn text(&mut self, key: u8) -> Result<String, PayloadError> {
        self.take(key)?
            .into_text()
            .map_err(|_| PayloadError::WrongType(key))
    }

    fn optional_text(&mut self, key: u8) -> Result<Option<String>, PayloadError> {
        match self.text(key) {
            Ok(text) => Ok(Some(text)),
            Err(PayloadError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn integer<T: TryFrom<ciborium::value::Integer>>(
        &mut self,
        key: u8,
    ) -> Result<T, PayloadError> {
        let integer = self.take(key)?.into_integer().ok();
        integer
            .and_then(|integer| T::try_from(integer).ok())
            .ok_or(PayloadError::WrongType(key))
    }

    fn id(&mut self, key: u8) -> Result<[u8; 16], PayloadError> {
        let bytes = self.take(key)?.into_bytes().ok();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(PayloadError::WrongType(key))
    }
}

#[cfg(test)]
mod tests;
