//! How a handshake ended, in words for metrics and logs that say nothing about the certificate's content.

use std::io;

use rustls::{CertificateError, Error};

/// The end of one handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Handed to tonic.
    Ok,
    /// Not finished in time.
    Timeout,
    /// The connection broke, or the peer refused us.
    Closed,
    /// Not TLS 1.3, or not TLS at all.
    Protocol,
    NoCertificate,
    CertificateExpired,
    CertificateNotYetValid,
    CertificateRevoked,
    /// No revocation list of its issuer, or one past its nextUpdate.
    RevocationUnknown,
    UnknownIssuer,
    /// Not a client certificate.
    WrongUsage,
    /// Anything else that is wrong with the certificate.
    BadCertificate,
    /// HTTP/2 was not agreed on.
    NoHttp2,
    /// The first bytes were not the HTTP/2 preface.
    WrongPreface,
}

impl Outcome {
    /// The value of the metric's label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Timeout => "timeout",
            Outcome::Closed => "closed",
            Outcome::Protocol => "protocol",
            Outcome::NoCertificate => "no_certificate",
            Outcome::CertificateExpired => "certificate_expired",
            Outcome::CertificateNotYetValid => "certificate_not_yet_valid",
            Outcome::CertificateRevoked => "certificate_revoked",
            Outcome::RevocationUnknown => "revocation_unknown",
            Outcome::UnknownIssuer => "unknown_issuer",
            Outcome::WrongUsage => "wrong_usage",
            Outcome::BadCertificate => "bad_certificate",
            Outcome::NoHttp2 => "no_http2",
            Outcome::WrongPreface => "wrong_preface",
        }
    }

    /// What a failed TLS accept means.
    pub(super) fn of(error: &io::Error) -> Outcome {
        match error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>())
        {
            None | Some(Error::AlertReceived(_)) => Outcome::Closed,
            Some(Error::NoCertificatesPresented) => Outcome::NoCertificate,
            Some(Error::NoApplicationProtocol) => Outcome::NoHttp2,
            Some(Error::InvalidCertificate(error)) => match error {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Outcome::CertificateExpired
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Outcome::CertificateNotYetValid
                }
                CertificateError::Revoked => Outcome::CertificateRevoked,
                CertificateError::UnknownRevocationStatus
                | CertificateError::ExpiredRevocationList
                | CertificateError::ExpiredRevocationListContext { .. } => {
                    Outcome::RevocationUnknown
                }
                CertificateError::UnknownIssuer => Outcome::UnknownIssuer,
                CertificateError::InvalidPurpose
                | CertificateError::InvalidPurposeContext { .. } => Outcome::WrongUsage,
                _ => Outcome::BadCertificate,
            },
            Some(Error::InvalidCertRevocationList(_)) => Outcome::RevocationUnknown,
            Some(_) => Outcome::Protocol,
        }
    }
}
