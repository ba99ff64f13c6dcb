//! Reference data loaded from a file: terms, workflow versions, service calls,
//! agreements and tariff tables. Loading is repeatable: rows are replaced by id, what is published stays.

mod check;
mod load;

use std::collections::BTreeMap;

use gavah_domain::agreement::{AgreementField, AgreementPurpose, AgreementState};
use gavah_domain::service::{RequiredAttachment, ServiceKind, WorkflowVersion};
use gavah_domain::validity::{CodeRules, PriorLevels};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::content::known;

/// A seed file that cannot be used; names every entry that is wrong.
#[derive(Debug, thiserror::Error)]
#[error("the seed cannot be used: {}", .0.join("; "))]
pub struct SeedError(pub Vec<String>);

/// The file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// Terms.
    #[serde(default)]
    pub term: Vec<TermSeed>,
    /// Workflow versions.
    #[serde(default)]
    pub workflow: Vec<WorkflowSeed>,
    /// Service calls.
    #[serde(default)]
    pub call: Vec<CallSeed>,
    /// Agreements.
    #[serde(default)]
    pub agreement: Vec<AgreementSeed>,
    /// Texts of the service-level agreements.
    #[serde(default)]
    pub agreement_text: Vec<AgreementTextSeed>,
    /// Tariff tables.
    #[serde(default)]
    pub tariff: Vec<TariffSeed>,
}

/// A term.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TermSeed {
    /// Jalali year in which the academic year starts.
    pub academic_year: i32,
    /// FIRST, SECOND or SUMMER.
    pub kind: String,
    /// First day, `1404/07/01`.
    pub start: String,
    /// Last day.
    pub end: String,
}

/// A workflow version.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowSeed {
    /// Id.
    pub id: String,
    /// ENROLLMENT_CERTIFICATE or VALIDITY_CODE.
    pub service: String,
    /// The rules.
    pub rules: WorkflowRules,
}

/// The rules of a workflow version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowRules {
    /// Whether a fresh record confirms an application.
    pub auto_confirm: bool,
    /// How old a record may be, in hours.
    pub freshness_hours: u32,
    /// Whether previous levels must be proven.
    pub require_prior_qualification: bool,
    /// Days a certificate outlives its term.
    pub certificate_extra_days: u16,
    /// Longest validity of a certificate, in Jalali months.
    pub certificate_max_months: u8,
    /// Whether the institution reviews what a record does not confirm.
    #[serde(default)]
    pub university_review: bool,
    /// Whether the Organization reviews.
    pub organization_review: bool,
    /// Of how many in a hundred; all when left out.
    #[serde(default = "all")]
    pub organization_review_percent: u8,
    /// Purposes whose certificates outlive the enrollment.
    #[serde(default)]
    pub outlives_enrollment: Vec<String>,
    /// Where payment stands: BEFORE_ISSUE.
    pub payment_position: String,
    /// Files that an application must come with.
    #[serde(default)]
    pub required_attachments: Vec<RequiredAttachmentSeed>,
    /// What is about validity codes alone.
    #[serde(default)]
    pub codes: CodeRulesSeed,
}

/// A file that an application must come with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequiredAttachmentSeed {
    /// Kind of file.
    pub kind: String,
    /// The one type of application, or kind of document, that needs it; all when left out.
    #[serde(default)]
    pub only_for: Option<String>,
}

/// The rules of validity codes; what is left out is as in [`CodeRules::default`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CodeRulesSeed {
    /// What beside the person makes two documents the same.
    pub unique_by: Vec<String>,
    /// Each level that builds on others, with the levels of which one is enough.
    pub prior_levels: BTreeMap<String, Vec<String>>,
    /// For how many Jalali months the codes of a kind of document hold.
    pub valid_months: BTreeMap<String, u8>,
}

impl Default for CodeRulesSeed {
    fn default() -> Self {
        let rules = CodeRules::default();
        let prior = |prior: PriorLevels| {
            let accepted = prior.accepted.iter().map(|level| level.as_str().to_owned());
            (prior.level.as_str().to_owned(), accepted.collect())
        };
        let unique_by = rules.unique_by.iter();
        let valid = rules.valid_months.into_iter();
        Self {
            unique_by: unique_by.map(|part| part.as_str().to_owned()).collect(),
            prior_levels: rules.prior_levels.into_iter().map(prior).collect(),
            valid_months: valid
                .map(|(kind, months)| (kind.as_str().to_owned(), months))
                .collect(),
        }
    }
}

impl CodeRulesSeed {
    pub(crate) fn read(&self) -> Result<CodeRules, StoreError> {
        let levels = "workflow prior_levels";
        let unique_by = self.unique_by.iter();
        let prior = self.prior_levels.iter().map(|(level, accepted)| {
            let accepted = accepted.iter().map(|level| known(level, levels));
            Ok(PriorLevels {
                level: known(level, levels)?,
                accepted: accepted.collect::<Result<_, StoreError>>()?,
            })
        });
        let valid = self.valid_months.iter();
        let valid =
            valid.map(|(kind, months)| Ok((known(kind, "workflow valid_months")?, *months)));
        Ok(CodeRules {
            unique_by: unique_by
                .map(|part| known(part, "workflow unique_by"))
                .collect::<Result<_, _>>()?,
            prior_levels: prior.collect::<Result<_, StoreError>>()?,
            valid_months: valid.collect::<Result<_, StoreError>>()?,
        })
    }
}

const fn all() -> u8 {
    100
}

impl WorkflowRules {
    pub(crate) fn version(
        self,
        id: String,
        service: ServiceKind,
    ) -> Result<WorkflowVersion, StoreError> {
        Ok(WorkflowVersion {
            id,
            service,
            auto_confirm: self.auto_confirm,
            freshness_hours: self.freshness_hours,
            require_prior_qualification: self.require_prior_qualification,
            certificate_extra_days: self.certificate_extra_days,
            certificate_max_months: self.certificate_max_months,
            university_review: self.university_review,
            organization_review: self.organization_review,
            organization_review_percent: self.organization_review_percent,
            outlives_enrollment: self
                .outlives_enrollment
                .iter()
                .map(|purpose| known(purpose, "workflow outlives_enrollment"))
                .collect::<Result<_, _>>()?,
            payment_position: known(&self.payment_position, "workflow payment_position")?,
            required_attachments: self
                .required_attachments
                .into_iter()
                .map(|required| {
                    Ok(RequiredAttachment {
                        kind: known(&required.kind, "workflow required_attachments")?,
                        only_for: required.only_for,
                    })
                })
                .collect::<Result<_, StoreError>>()?,
            codes: self.codes.read()?,
        })
    }
}

/// A service call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallSeed {
    /// Id.
    pub id: String,
    /// Service.
    pub service: String,
    /// DRAFT, OPEN or CLOSED.
    pub state: String,
    /// First day, Jalali; opens at midnight in Tehran.
    pub opens: String,
    /// Last day, Jalali; closes at the midnight after it. Unset: open end.
    pub closes: Option<String>,
    /// Institution types.
    pub eligible_types: Vec<String>,
    /// Document kinds; empty for enrollment certificates.
    #[serde(default)]
    pub document_kinds: Vec<String>,
    /// Workflow version.
    pub workflow: String,
    /// Days for requests in flight after the close.
    pub run_off_days: u16,
    /// Working hours within which the initial result of a type of request is promised.
    #[serde(default)]
    pub sla_targets: BTreeMap<String, u32>,
}

/// Agreements of one call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementSeed {
    /// Id; each consumer's agreement is `{id}/{consumer}`.
    pub id: String,
    /// The call.
    pub call: String,
    /// Consumers, `institutions/{code}`, `callers/{id}` or `agencies/{national_id}`.
    pub consumers: Vec<String>,
    /// Id of the national hub's caller through which agencies call.
    #[serde(default)]
    pub through: Option<String>,
    /// REQUESTED, ACTIVE, SUSPENDED or TERMINATED.
    pub state: String,
    /// ISSUE, VALIDATE, MATCH, INQUIRE; all but INQUIRE when left out.
    #[serde(default = "usual_purposes")]
    pub purposes: Vec<String>,
    /// DOCUMENT, INSTITUTION, PROGRAM, NAME, RESOURCE, ENROLLMENT; all but ENROLLMENT when left out.
    #[serde(default = "usual_fields")]
    pub fields: Vec<String>,
    /// Most calls on a day in Tehran; no bound when left out.
    #[serde(default)]
    pub daily_calls: Option<u32>,
    /// Most calls in a second through one node; no bound when left out.
    #[serde(default)]
    pub burst: Option<u32>,
}

/// An active agreement of nobody, with the usual purposes and fields.
impl Default for AgreementSeed {
    fn default() -> Self {
        Self {
            id: String::new(),
            call: String::new(),
            consumers: Vec::new(),
            through: None,
            state: AgreementState::Active.as_str().to_owned(),
            purposes: usual_purposes(),
            fields: usual_fields(),
            daily_calls: None,
            burst: None,
        }
    }
}

fn usual_purposes() -> Vec<String> {
    use AgreementPurpose::{Issue, Match, Validate};
    let usual = [Issue, Validate, Match];
    usual.map(|purpose| purpose.as_str().to_owned()).to_vec()
}

fn usual_fields() -> Vec<String> {
    let usual = AgreementField::ALL.iter();
    let usual = usual.filter(|field| **field != AgreementField::Enrollment);
    usual.map(|field| field.as_str().to_owned()).collect()
}

/// A version of the text of a service-level agreement. It never changes once it is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementTextSeed {
    /// Service.
    pub service: String,
    /// Version, from 1.
    pub version: i32,
    /// Jalali day on which it was last edited.
    pub edit_date: String,
    /// Persian title.
    pub title_fa: String,
    /// Persian title of the document it stands under.
    pub parent_fa: String,
    /// The clauses, in the order of the text; the first is clause 1.
    pub clause: Vec<Clause>,
}

/// A clause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// Persian heading.
    pub heading_fa: String,
    /// Persian text.
    pub text_fa: String,
}

/// A tariff table. What is published of a year never changes; other content is a correction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TariffSeed {
    /// Jalali budget year.
    pub year: i32,
    /// The law.
    pub legal_reference: String,
    /// For a correction: the newest version of the year, which this one follows.
    #[serde(default)]
    pub supersedes: Option<i32>,
    /// Rows; a table without a row for a service makes it free.
    #[serde(default)]
    pub row: Vec<TariffRowSeed>,
}

/// A row of a tariff table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TariffRowSeed {
    /// Service.
    pub service: String,
    /// Request type; any when unset.
    pub request_type: Option<String>,
    /// Institution type; any when unset.
    pub institution_type: Option<String>,
    /// First day of the year on which the row holds, Jalali; the whole year when unset.
    #[serde(default)]
    pub from_date: Option<String>,
    /// Amount in `unit`.
    pub amount: i64,
    /// IRR_CURRENT or IRR_NEW.
    pub unit: String,
    /// The row's place in the law.
    pub legal_reference: String,
}
