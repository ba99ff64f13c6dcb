//! Reference data loaded from a file: terms, workflow versions, service calls,
//! agreements and tariff tables. Loading is repeatable: rows are replaced by id.

use gavah_domain::document::DocumentState;
use gavah_domain::institution::InstitutionType;
use gavah_domain::service::{
    AgreementState, PaymentPosition, ServiceCallState, ServiceKind, WorkflowVersion,
};
use gavah_domain::validity::DocumentKind;
use gavah_domain::{JalaliDate, MoneyUnit, TermKind};
use sea_orm::Iterable;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, QueryFilter,
    Set,
};
use serde::{Deserialize, Serialize};

use crate::content::{known, to_json};
use crate::entity::{agreement, service_call, tariff_row, tariff_year, term, workflow_version};
use crate::registry::bump;
use crate::tx::Done;
use crate::{Act, ActContext, Store, StoreError};

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
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// Whether the Organization reviews.
    pub organization_review: bool,
    /// Where payment stands: BEFORE_ISSUE.
    pub payment_position: String,
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
            organization_review: self.organization_review,
            payment_position: known(&self.payment_position, "workflow payment_position")?,
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
}

/// Agreements of one call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementSeed {
    /// Id; each consumer's agreement is `{id}/{consumer}`.
    pub id: String,
    /// The call.
    pub call: String,
    /// Consumers, `institutions/{code}` or `callers/{id}`.
    pub consumers: Vec<String>,
    /// REQUESTED, ACTIVE, SUSPENDED or TERMINATED.
    pub state: String,
    /// Purposes.
    #[serde(default)]
    pub purposes: Vec<String>,
}

/// A tariff table.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TariffSeed {
    /// Jalali budget year.
    pub year: i32,
    /// The law.
    pub legal_reference: String,
    /// Rows; a table without a row for a service makes it free.
    #[serde(default)]
    pub row: Vec<TariffRowSeed>,
}

/// A row of a tariff table.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TariffRowSeed {
    /// Service.
    pub service: String,
    /// Request type; any when unset.
    pub request_type: Option<String>,
    /// Institution type; any when unset.
    pub institution_type: Option<String>,
    /// Amount in `unit`.
    pub amount: i64,
    /// IRR_CURRENT or IRR_NEW.
    pub unit: String,
    /// The row's place in the law.
    pub legal_reference: String,
}

impl Seed {
    /// Checks every entry.
    ///
    /// # Errors
    ///
    /// [`SeedError`] with every wrong entry.
    pub fn check(&self) -> Result<(), SeedError> {
        let mut wrong = Vec::new();
        let mut name = |place: String, ok: bool| {
            if !ok {
                wrong.push(place);
            }
        };
        for (index, term) in self.term.iter().enumerate() {
            name(
                format!("term[{index}].kind"),
                term.kind.parse::<TermKind>().is_ok(),
            );
            let dates = JalaliDate::parse(&term.start)
                .ok()
                .zip(JalaliDate::parse(&term.end).ok());
            let ordered = dates.is_some_and(|(start, end)| start <= end);
            name(format!("term[{index}].start/end"), ordered);
        }
        for (index, workflow) in self.workflow.iter().enumerate() {
            let at = format!("workflow[{index}]");
            name(
                format!("{at}.service"),
                workflow.service.parse::<ServiceKind>().is_ok(),
            );
            let position = workflow.rules.payment_position.parse::<PaymentPosition>();
            name(format!("{at}.rules.payment_position"), position.is_ok());
        }
        for (index, call) in self.call.iter().enumerate() {
            let at = format!("call[{index}]");
            name(
                format!("{at}.service"),
                call.service.parse::<ServiceKind>().is_ok(),
            );
            name(
                format!("{at}.state"),
                call.state.parse::<ServiceCallState>().is_ok(),
            );
            name(
                format!("{at}.opens"),
                JalaliDate::parse(&call.opens).is_ok(),
            );
            let closes = call.closes.as_deref();
            name(
                format!("{at}.closes"),
                closes.is_none_or(|day| JalaliDate::parse(day).is_ok()),
            );
            let types = call.eligible_types.iter();
            let known_types = types
                .clone()
                .all(|kind| kind.parse::<InstitutionType>().is_ok());
            name(format!("{at}.eligible_types"), known_types);
            let kinds = call.document_kinds.iter();
            let known_kinds = kinds
                .clone()
                .all(|kind| kind.parse::<DocumentKind>().is_ok());
            name(format!("{at}.document_kinds"), known_kinds);
        }
        for (index, agreement) in self.agreement.iter().enumerate() {
            let state = agreement.state.parse::<AgreementState>();
            name(format!("agreement[{index}].state"), state.is_ok());
            let consumers = agreement.consumers.iter().all(|consumer| {
                consumer.starts_with("institutions/") || consumer.starts_with("callers/")
            });
            name(format!("agreement[{index}].consumers"), consumers);
        }
        for (index, tariff) in self.tariff.iter().enumerate() {
            for (row_index, row) in tariff.row.iter().enumerate() {
                let at = format!("tariff[{index}].row[{row_index}]");
                name(
                    format!("{at}.service"),
                    row.service.parse::<ServiceKind>().is_ok(),
                );
                name(format!("{at}.unit"), row.unit.parse::<MoneyUnit>().is_ok());
                name(format!("{at}.amount"), row.amount >= 0);
                let kind = row.institution_type.as_deref();
                let known_kind = kind.is_none_or(|kind| kind.parse::<InstitutionType>().is_ok());
                name(format!("{at}.institution_type"), known_kind);
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(SeedError(wrong))
        }
    }
}

impl Store {
    /// Loads a checked seed in one transaction: rows with a known id are
    /// replaced, a tariff year is replaced whole.
    ///
    /// # Errors
    ///
    /// [`StoreError::Config`] when the seed is not usable; other [`StoreError`]s.
    pub async fn load_seed(&self, context: &ActContext, seed: &Seed) -> Result<(), StoreError> {
        seed.check()
            .map_err(|error| StoreError::Config(error.to_string()))?;
        self.run_tx("load_seed", async |tx| {
            for term in &seed.term {
                put(tx, term_row(term)?).await?;
            }
            for workflow in &seed.workflow {
                put(tx, workflow_row(workflow)?).await?;
            }
            for call in &seed.call {
                put(tx, call_row(call)?).await?;
            }
            for agreement in &seed.agreement {
                for consumer in &agreement.consumers {
                    put(tx, agreement_row(agreement, consumer)?).await?;
                }
            }
            for tariff in &seed.tariff {
                put_tariff(tx, tariff).await?;
            }
            bump(tx).await?;
            let act = Act {
                resource: "referenceData".to_owned(),
                action: "LOAD_SEED",
                to: DocumentState::Active.as_str().to_owned(),
                ..Act::default()
            };
            self.append(tx, context, act).await?;
            Ok(Done::Commit(()))
        })
        .await
    }
}

/// Inserts a row, or replaces the one with the same primary key.
async fn put<M>(tx: &DatabaseTransaction, row: M) -> Result<(), StoreError>
where
    M: ActiveModelTrait + Send,
    <M::Entity as EntityTrait>::Model: IntoActiveModel<M>,
{
    use sea_orm::PrimaryKeyToColumn;
    let keys: Vec<_> = <M::Entity as EntityTrait>::PrimaryKey::iter()
        .map(PrimaryKeyToColumn::into_column)
        .collect();
    let key_names: Vec<String> = keys
        .iter()
        .map(sea_orm::IdenStatic::as_str)
        .map(str::to_owned)
        .collect();
    let others = <M::Entity as EntityTrait>::Column::iter().filter(|column| {
        !key_names
            .iter()
            .any(|key| key == sea_orm::IdenStatic::as_str(column))
    });
    M::Entity::insert(row)
        .on_conflict(OnConflict::columns(keys).update_columns(others).to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

fn day(text: &str) -> Result<JalaliDate, StoreError> {
    JalaliDate::parse(text).map_err(|_| StoreError::Config("seed date".to_owned()))
}

fn term_row(term: &TermSeed) -> Result<term::ActiveModel, StoreError> {
    Ok(term::ActiveModel {
        academic_year: Set(term.academic_year),
        kind: Set(term.kind.clone()),
        start_date: Set(day(&term.start)?.as_i32()),
        end_date: Set(day(&term.end)?.as_i32()),
    })
}

fn workflow_row(workflow: &WorkflowSeed) -> Result<workflow_version::ActiveModel, StoreError> {
    Ok(workflow_version::ActiveModel {
        id: Set(workflow.id.clone()),
        service: Set(workflow.service.clone()),
        rules: Set(to_json(&workflow.rules)?),
    })
}

fn call_row(call: &CallSeed) -> Result<service_call::ActiveModel, StoreError> {
    let closes = call.closes.as_deref().map(day).transpose()?;
    Ok(service_call::ActiveModel {
        id: Set(call.id.clone()),
        service: Set(call.service.clone()),
        state: Set(call.state.clone()),
        open_time: Set(day(&call.opens)?.start_of_day().as_microsecond()),
        close_time: Set(closes.map(|day| day.end_exclusive().as_microsecond())),
        eligible_types: Set(to_json(&call.eligible_types)?),
        document_kinds: Set(to_json(&call.document_kinds)?),
        workflow_version: Set(call.workflow.clone()),
        run_off_days: Set(i32::from(call.run_off_days)),
    })
}

fn agreement_row(
    agreement: &AgreementSeed,
    consumer: &str,
) -> Result<agreement::ActiveModel, StoreError> {
    Ok(agreement::ActiveModel {
        id: Set(format!("{}/{consumer}", agreement.id)),
        call_id: Set(agreement.call.clone()),
        consumer: Set(consumer.to_owned()),
        state: Set(agreement.state.clone()),
        purposes: Set(to_json(&agreement.purposes)?),
    })
}

async fn put_tariff(tx: &DatabaseTransaction, tariff: &TariffSeed) -> Result<(), StoreError> {
    put(
        tx,
        tariff_year::ActiveModel {
            year: Set(tariff.year),
            legal_reference: Set(tariff.legal_reference.clone()),
        },
    )
    .await?;
    tariff_row::Entity::delete_many()
        .filter(tariff_row::Column::Year.eq(tariff.year))
        .exec(tx)
        .await?;
    for (id, row) in (tariff.year * 1000..).zip(&tariff.row) {
        let row = tariff_row::ActiveModel {
            id: Set(id),
            year: Set(tariff.year),
            service: Set(row.service.clone()),
            request_type: Set(row.request_type.clone()),
            institution_type: Set(row.institution_type.clone()),
            amount: Set(row.amount),
            unit: Set(row.unit.clone()),
            legal_reference: Set(row.legal_reference.clone()),
        };
        tariff_row::Entity::insert(row)
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}
