//! What can be measured: a server, a caller and a kind of call.

use std::sync::Arc;

use clap::ValueEnum;
use gavah_bench::work::{BATCH, Kind, Work};
use gavah_client::ClientConfig;

use super::site::{Service, Site};
use crate::problem::Problem;
use crate::world::{UNIVERSITY, WINDOW};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// The floor: tonic as it comes, which does nothing but answer ValidateCode
    EchoStock,
    /// The floor with a single-threaded runtime for each core
    EchoTuned,
    /// ValidateCode with codes that were asked about before
    ValidateHot,
    /// The same asked by a caller that needs no agreement
    ValidateWithoutAgreement,
    /// ValidateCode without the cache of verdicts
    ValidateCold,
    /// ValidateCode with codes that nobody was given
    ValidateUnknown,
    /// ValidateCode with seven good codes of ten, one unknown, one mistyped and one of somebody else
    ValidateMixed,
    /// IssueValidityCode, each for another person
    Issue,
    /// BatchValidateCodes with 1,000 codes
    Batch,
    /// StreamValidateCodes with 1,000 codes in each stream
    Stream,
    /// StreamIssueValidityCodes for 1,000 people in each stream
    StreamIssue,
    /// BatchUpsertEnrollmentRecords with 1,000 records
    Records,
    /// CreateEnrollmentCertificateApplication, each for another student whose record is there
    Certificate,
    /// A new connection for each ValidateCode
    Handshake,
}

/// Certificates of a round at most: every one needs a student whose record is pushed beforehand.
const MOST_CERTIFICATES: u64 = 2_000;

impl Scenario {
    /// All of them.
    pub(super) const ALL: &'static [Self] = &[
        Self::EchoStock,
        Self::EchoTuned,
        Self::ValidateHot,
        Self::ValidateWithoutAgreement,
        Self::ValidateCold,
        Self::ValidateUnknown,
        Self::ValidateMixed,
        Self::Issue,
        Self::Batch,
        Self::Stream,
        Self::StreamIssue,
        Self::Records,
        Self::Certificate,
        Self::Handshake,
    ];

    /// Its name on the command line and in the report.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// The server it needs.
    pub(super) fn service(self) -> Service {
        match self {
            Self::EchoStock => Service::EchoStock,
            Self::EchoTuned => Service::EchoTuned,
            Self::ValidateCold => Service::Gavah(super::site::Options {
                verdict_bytes: Some(0),
                ..super::site::Options::default()
            }),
            _ => Service::Gavah(super::site::Options::default()),
        }
    }

    /// Who asks.
    pub(super) fn caller(self) -> &'static str {
        match self {
            Self::Certificate | Self::ValidateWithoutAgreement => WINDOW,
            _ => UNIVERSITY,
        }
    }

    /// Calls of a round at most.
    pub(super) fn max_calls(self, asked: u64) -> u64 {
        match self {
            Self::Certificate => asked.min(MOST_CERTIFICATES),
            _ => asked,
        }
    }

    /// What is asked in all rounds together; `calls` is the most that they make.
    pub(super) async fn work(self, site: &Site, calls: u64) -> Result<Kind, Problem> {
        let codes = || Arc::clone(&site.codes);
        let ground = || Arc::clone(&site.ground);
        Ok(match self {
            Self::EchoStock
            | Self::EchoTuned
            | Self::ValidateHot
            | Self::ValidateWithoutAgreement
            | Self::ValidateCold => Kind::Validate(codes()),
            Self::ValidateUnknown => Kind::Unknown,
            Self::ValidateMixed => Kind::Mixed(codes()),
            Self::Issue => Kind::Issue(ground()),
            Self::Batch => Kind::Batch(codes()),
            Self::Stream => Kind::Stream(codes()),
            Self::StreamIssue => Kind::StreamIssue(ground()),
            Self::Records => Kind::Records(ground()),
            Self::Certificate => {
                let people = calls.next_multiple_of(BATCH as u64);
                let first = site.push_records(people).await?;
                Kind::Certificate {
                    ground: ground(),
                    first,
                    people,
                }
            }
            // Connects anew, so it is made for each server.
            Self::Handshake => Kind::Validate(codes()),
        })
    }

    /// The work of one round, for a server to which one connects like this. Rounds share what they must not repeat.
    pub(super) fn at(self, work: &Arc<Work>, config: &ClientConfig, codes: &[String]) -> Arc<Work> {
        match self {
            Self::Handshake => Arc::new(Work::new(Kind::Handshake {
                config: Box::new(config.clone()),
                code: codes.first().cloned().unwrap_or_default(),
            })),
            _ => Arc::clone(work),
        }
    }
}
