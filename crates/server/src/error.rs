//! The one error of the use cases: what went wrong, without any transport in it.

use std::time::Duration;
use std::{error::Error, fmt};

use gavah_domain::{Reason, Violations};
use gavah_objects::ObjectsError;
use gavah_store::StoreError;

/// Why a use case gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppError {
    /// The message is wrong: everything that is wrong with it.
    Invalid(Violations),
    /// A rule refuses the act.
    Refused(Refusal),
    /// The store gave no answer.
    Store(StoreError),
    /// A fault of the service; the fixed text is for the log only.
    Internal(&'static str),
}

/// A refusal and what the caller is told beside its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that refuses.
    pub reason: Reason,
    /// Keys and values for `ErrorInfo.metadata`: states, levels, types, resource names; never personal data or a code.
    pub metadata: Vec<(&'static str, String)>,
    /// How long to wait, where it depends on more than the reason.
    pub retry_after: Option<Duration>,
    /// Resource name of what has a quota that is exceeded.
    pub quota: Option<String>,
}

impl Refusal {
    /// A refusal with nothing beside its reason.
    #[must_use]
    pub fn new(reason: Reason) -> Self {
        Self {
            reason,
            metadata: Vec::new(),
            retry_after: None,
            quota: None,
        }
    }

    /// The refusal with one more entry: `("missing_level", "ASSOCIATE")`.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.metadata.push((key, value.into()));
        self
    }
}

impl AppError {
    /// What went wrong, for the service's own log: never for a caller.
    #[must_use]
    pub fn cause(&self) -> String {
        match self {
            Self::Invalid(_) | Self::Refused(_) => self.to_string(),
            Self::Store(error) => error.to_string(),
            Self::Internal(text) => (*text).to_owned(),
        }
    }
}

/// Why what a call names is not ordered, by a stable name.
pub fn not_ordered(why: &'static str) -> AppError {
    Refusal::new(Reason::ActionNotOrdered)
        .with("why", why)
        .into()
}

impl From<Refusal> for AppError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Reason> for AppError {
    fn from(reason: Reason) -> Self {
        Self::Refused(Refusal::new(reason))
    }
}

impl From<Violations> for AppError {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotOrdered(why) => not_ordered(why),
            error => Self::Store(error),
        }
    }
}

/// A file that is missing or altered is for the operator: the caller learns that it is not to be had now.
impl From<ObjectsError> for AppError {
    fn from(error: ObjectsError) -> Self {
        tracing::error!(%error, "a file could not be kept or read");
        Reason::StoreUnavailable.into()
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(violations) => write!(f, "invalid message: {violations}"),
            Self::Refused(refusal) => write!(f, "refused: {}", refusal.reason),
            Self::Store(_) => f.write_str("the store gave no answer"),
            Self::Internal(_) => f.write_str("internal error"),
        }
    }
}

impl Error for AppError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_error_carries_no_data_of_the_call() {
        let mut violations = Violations::default();
        violations.push("subject", Reason::FieldRequired);
        for (error, text) in [
            (AppError::from(violations), "invalid message: 1 violation"),
            (
                Refusal::new(Reason::CodeAlreadyIssued)
                    .with("resource", "validityCodes/1")
                    .into(),
                "refused: CODE_ALREADY_ISSUED",
            ),
            (
                StoreError::Constraint("validity_code.code".to_owned()).into(),
                "the store gave no answer",
            ),
            (AppError::Internal("no clock"), "internal error"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
