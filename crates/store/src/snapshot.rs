//! Everything small that is read on every call, as one value: callers,
//! institutions, calls, agreements, terms, tariffs, working calendars. A node loads it again when
//! the registry's version has moved.

use std::collections::HashMap;

use gavah_domain::agreement::Agreement;
use gavah_domain::caller::CallerId;
use gavah_domain::service::{ServiceCall, ServiceKind, WorkflowVersion};
use gavah_domain::tariff::TariffYear;
use gavah_domain::working_calendar::WorkingCalendar;
use gavah_domain::{JalaliDate, Term, TermId, TermTable};
use jiff::Timestamp;
use sea_orm::{EntityTrait, QueryOrder};

use crate::content::{from_json, known};
use crate::entity::{
    caller, client_certificate, institution, institution_alias, registry_version, service_call,
    term, workflow_version,
};
use crate::registry::{AgreementText, read_call, read_caller, read_institution};
use crate::seed::WorkflowRules;
use crate::{Store, StoreError, StoredCaller, StoredInstitution, StoredPause};

/// A registered client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateEntry {
    /// SHA-256 of the certificate, 64 lower-case hex digits.
    pub fingerprint: String,
    /// When it was registered.
    pub create_time: Timestamp,
    /// When it was retired; unset while active.
    pub retire_time: Option<Timestamp>,
}

/// The registry at one version.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The version.
    pub version: i64,
    /// Callers by id.
    pub callers: HashMap<String, StoredCaller>,
    /// Institutions by code.
    pub institutions: HashMap<String, StoredInstitution>,
    /// Codes by code or alias.
    pub institution_codes: HashMap<String, String>,
    /// Service calls.
    pub calls: Vec<ServiceCall>,
    /// Agreements that have not ended.
    pub agreements: Vec<Agreement>,
    /// Where in `agreements` those of a consumer are.
    pub consumers: HashMap<String, Vec<usize>>,
    /// Versions of the texts of the service-level agreements, by service and version.
    pub texts: Vec<AgreementText>,
    /// Workflow versions by id.
    pub workflows: HashMap<String, WorkflowVersion>,
    /// Terms.
    pub terms: TermTable,
    /// Tariff tables, every version, by year and version.
    pub tariffs: Vec<TariffYear>,
    /// The working calendars that hold.
    pub calendar: WorkingCalendar,
    /// How far the clock of a sandbox was moved, in microseconds; 0 everywhere else.
    pub clock_ahead_micros: i64,
    /// Pauses of issuing in force.
    pub pauses: Vec<StoredPause>,
    /// Of each service the number of the last publication of its documents; none where nothing is published.
    pub publications: HashMap<ServiceKind, i64>,
}

impl Snapshot {
    /// A caller by its id.
    #[must_use]
    pub fn caller(&self, id: &CallerId) -> Option<&StoredCaller> {
        self.callers.get(id.as_str())
    }

    /// A service call by its id.
    #[must_use]
    pub fn call(&self, id: &str) -> Option<&ServiceCall> {
        self.calls.iter().find(|call| call.id == id)
    }

    /// The agreements of a consumer that have not ended.
    pub fn agreements_of(&self, consumer: &str) -> impl Iterator<Item = &Agreement> {
        let at = self.consumers.get(consumer).into_iter().flatten();
        at.filter_map(|at| self.agreements.get(*at))
    }

    /// The text of a service that is in force: its last version.
    #[must_use]
    pub fn text(&self, service: ServiceKind) -> Option<&AgreementText> {
        let own = self.texts.iter().filter(|text| text.service == service);
        own.max_by_key(|text| text.version)
    }

    /// An institution by its code or one of its aliases.
    #[must_use]
    pub fn institution(&self, code_or_alias: &str) -> Option<&StoredInstitution> {
        self.institution_codes
            .get(code_or_alias)
            .and_then(|code| self.institutions.get(code))
    }
}

impl Store {
    /// The registry's version: moves with every change of what a snapshot holds.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn registry_version(&self) -> Result<i64, StoreError> {
        self.read("registry_version", async {
            let row = registry_version::Entity::find_by_id(1)
                .one(&self.inner.db)
                .await?;
            row.map(|row| row.version)
                .ok_or(StoreError::Corrupt("registry_version"))
        })
        .await
    }

    /// Loads the registry. The version is read first, so a change in between
    /// makes the next poll load again.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let version = self.registry_version().await?;
        self.read("load_snapshot", async {
            let agreements = self.agreements_in_hand().await?;
            let mut consumers: HashMap<String, Vec<usize>> = HashMap::new();
            for (at, agreement) in agreements.iter().enumerate() {
                consumers
                    .entry(agreement.consumer.clone())
                    .or_default()
                    .push(at);
            }
            let (institutions, institution_codes) = self.institutions_with_codes().await?;
            Ok(Snapshot {
                version,
                callers: self.callers().await?,
                institutions,
                institution_codes,
                calls: self.calls().await?,
                agreements,
                consumers,
                texts: self.agreement_texts().await?,
                workflows: self.workflows().await?,
                terms: self.terms().await?,
                tariffs: self.tariffs().await?,
                calendar: self.calendar().await?,
                clock_ahead_micros: self.clock_ahead().await?,
                pauses: self.pauses().await?,
                publications: self.publications().await?,
            })
        })
        .await
    }

    async fn callers(&self) -> Result<HashMap<String, StoredCaller>, StoreError> {
        let mut certificates: HashMap<String, Vec<client_certificate::Model>> = HashMap::new();
        for row in client_certificate::Entity::find()
            .all(&self.inner.db)
            .await?
        {
            certificates
                .entry(row.caller_id.clone())
                .or_default()
                .push(row);
        }
        caller::Entity::find()
            .all(&self.inner.db)
            .await?
            .into_iter()
            .map(|row| {
                let own = certificates.remove(&row.caller_id).unwrap_or_default();
                Ok((row.caller_id.clone(), read_caller(row, own)?))
            })
            .collect()
    }

    async fn institutions_with_codes(
        &self,
    ) -> Result<(HashMap<String, StoredInstitution>, HashMap<String, String>), StoreError> {
        let mut codes = HashMap::new();
        let mut aliases: HashMap<String, Vec<String>> = HashMap::new();
        for row in institution_alias::Entity::find()
            .order_by_asc(institution_alias::Column::Alias)
            .all(&self.inner.db)
            .await?
        {
            if row.alias != row.institution_code {
                aliases
                    .entry(row.institution_code.clone())
                    .or_default()
                    .push(row.alias.clone());
            }
            codes.insert(row.alias, row.institution_code);
        }
        let institutions = institution::Entity::find()
            .all(&self.inner.db)
            .await?
            .into_iter()
            .map(|row| {
                let own = aliases.remove(&row.code).unwrap_or_default();
                Ok((row.code.clone(), read_institution(row, own)?))
            })
            .collect::<Result<_, StoreError>>()?;
        Ok((institutions, codes))
    }

    async fn calls(&self) -> Result<Vec<ServiceCall>, StoreError> {
        let rows = service_call::Entity::find()
            .order_by_asc(service_call::Column::Id)
            .all(&self.inner.db)
            .await?;
        rows.into_iter().map(read_call).collect()
    }

    async fn workflows(&self) -> Result<HashMap<String, WorkflowVersion>, StoreError> {
        let rows = workflow_version::Entity::find().all(&self.inner.db).await?;
        rows.into_iter()
            .map(|row| {
                let rules: WorkflowRules = from_json(&row.rules, "workflow_version.rules")?;
                let service = known(&row.service, "workflow_version.service")?;
                Ok((row.id.clone(), rules.version(row.id, service)?))
            })
            .collect()
    }

    async fn terms(&self) -> Result<TermTable, StoreError> {
        let rows = term::Entity::find().all(&self.inner.db).await?;
        let date =
            |number| JalaliDate::from_i32(number).map_err(|_| StoreError::Corrupt("term date"));
        let terms = rows
            .into_iter()
            .map(|row| {
                Ok(Term {
                    id: TermId {
                        academic_year: row.academic_year,
                        kind: known(&row.kind, "term.kind")?,
                    },
                    start: date(row.start_date)?,
                    end: date(row.end_date)?,
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok(TermTable::new(terms))
    }
}
