//! How promises were kept: figures over the clocks of applications, reckoned by the database.

use gavah_domain::service::ServiceKind;
use gavah_domain::sla::Figures;
use jiff::Timestamp;
use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};

use crate::content::known;
use crate::{Store, StoreError};

/// By what a report is divided, beside the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportParts {
    /// By type of request.
    pub request_type: bool,
    /// By institution.
    pub institution: bool,
    /// By agreement.
    pub agreement: bool,
    /// By month.
    pub month: bool,
}

/// Which applications are reported on; what is given combines with "and".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFilter {
    /// Of this service.
    pub service: Option<ServiceKind>,
    /// Of this type of request.
    pub request_type: Option<String>,
    /// Of this institution.
    pub institution: Option<String>,
    /// Under this agreement.
    pub agreement: Option<String>,
    /// Handed in in this month or later, `140502`.
    pub from_month: i32,
    /// Handed in in this month or earlier.
    pub to_month: i32,
    /// By what it is divided.
    pub parts: ReportParts,
}

/// A row of a report; what it is not divided by is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// The service.
    pub service: ServiceKind,
    /// Type of request.
    pub request_type: String,
    /// Institution.
    pub institution: String,
    /// Id of the agreement.
    pub agreement: String,
    /// Month, `140502`; 0 when it is not divided by it.
    pub month: i32,
    /// The figures.
    pub figures: Figures,
}

/// The clocks: of both kinds of applications, and of codes that were issued in the call that asked for them.
const CLOCKS: &str = "\
    SELECT 'ENROLLMENT_CERTIFICATE' AS service, request_type, institution_code, agreement, submit_month, due_time, \
        result_time, result_elapsed, CASE WHEN state IN ('CANCELLED', 'PAYMENT_EXPIRED') THEN 1 ELSE 0 END AS ended \
        FROM certificate_application WHERE submit_month BETWEEN $1 AND $2 \
    UNION ALL \
    SELECT 'VALIDITY_CODE', request_type, institution_code, agreement, submit_month, due_time, result_time, \
        result_elapsed, CASE WHEN state IN ('CANCELLED', 'PAYMENT_EXPIRED') THEN 1 ELSE 0 END \
        FROM code_application WHERE submit_month BETWEEN $1 AND $2 \
    UNION ALL \
    SELECT 'VALIDITY_CODE', 'ISSUE', institution_code, agreement, submit_month, NULL, issue_time, 0, 0 \
        FROM validity_code WHERE submit_month BETWEEN $1 AND $2";

impl Store {
    /// A report, at most `limit` rows; percentiles by nearest rank.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn service_level_report(
        &self,
        filter: &ReportFilter,
        now: Timestamp,
        limit: u64,
    ) -> Result<Vec<ReportRow>, StoreError> {
        let part = |wanted: bool, column: &'static str, without: &'static str| match wanted {
            true => column,
            false => without,
        };
        let parts = filter.parts;
        let columns = [
            (
                "request_type",
                part(parts.request_type, "request_type", "''"),
            ),
            (
                "institution",
                part(parts.institution, "institution_code", "''"),
            ),
            ("agreement", part(parts.agreement, "agreement", "''")),
            ("month", part(parts.month, "submit_month", "0")),
        ];
        let columns = columns.map(|(name, column)| format!("{column} AS {name}"));
        let mut values: Vec<Value> = vec![
            filter.from_month.into(),
            filter.to_month.into(),
            now.as_microsecond().into(),
        ];
        let mut conditions = String::new();
        let wanted = [
            (
                "service",
                filter.service.map(|service| service.as_str().to_owned()),
            ),
            ("request_type", filter.request_type.clone()),
            ("institution_code", filter.institution.clone()),
            ("agreement", filter.agreement.clone()),
        ];
        for (column, value) in wanted {
            if let Some(value) = value {
                values.push(value.into());
                let joint = if conditions.is_empty() {
                    "WHERE"
                } else {
                    "AND"
                };
                conditions.push_str(&format!(" {joint} {column} = ${}", values.len()));
            }
        }
        let group = "service, request_type, institution, agreement, month";
        let at = |percent: u32| {
            format!(
                "MAX(CASE WHEN place = (measured * {percent} + 99) / 100 THEN result_elapsed END)"
            )
        };
        let sql = format!(
            "SELECT {group}, count(*) AS submitted, count(result_elapsed) AS measured, \
                CAST(COALESCE(SUM(result_elapsed), 0) AS bigint) AS total, \
                {} AS p50, {} AS p90, {} AS p99, \
                CAST(SUM(CASE WHEN result_time IS NULL AND ended = 0 THEN 1 ELSE 0 END) AS bigint) AS open, \
                CAST(SUM(CASE WHEN result_time IS NULL AND ended = 0 AND due_time <= $3 THEN 1 ELSE 0 END) AS bigint) \
                    AS overdue, \
                CAST(SUM(CASE WHEN result_time > due_time THEN 1 ELSE 0 END) AS bigint) AS breached \
             FROM (SELECT *, \
                    ROW_NUMBER() OVER (PARTITION BY {group} ORDER BY result_elapsed IS NULL, result_elapsed) AS place, \
                    COUNT(result_elapsed) OVER (PARTITION BY {group}) AS measured \
                   FROM (SELECT service, {}, due_time, result_time, result_elapsed, ended FROM ({CLOCKS}) clocks \
                         {conditions}) chosen) placed \
             GROUP BY {group} ORDER BY {group} LIMIT {limit}",
            at(50),
            at(90),
            at(99),
            columns.join(", "),
        );
        self.read("service_level_report", async {
            let db = &self.inner.db;
            let query = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
            let rows = db.query_all_raw(query).await?;
            rows.iter().map(read).collect()
        })
        .await
    }
}

fn read(row: &QueryResult) -> Result<ReportRow, StoreError> {
    let number = |column| row.try_get::<i64>("", column);
    let percentile = |column| row.try_get::<Option<i64>>("", column);
    let service: String = row.try_get("", "service")?;
    Ok(ReportRow {
        service: known(&service, "clock.service")?,
        request_type: row.try_get("", "request_type")?,
        institution: row.try_get("", "institution")?,
        agreement: row
            .try_get::<Option<String>>("", "agreement")?
            .unwrap_or_default(),
        month: row.try_get("", "month")?,
        figures: Figures {
            submitted: number("submitted")?,
            measured: number("measured")?,
            total_micros: number("total")?,
            p50_micros: percentile("p50")?,
            p90_micros: percentile("p90")?,
            p99_micros: percentile("p99")?,
            open: number("open")?,
            overdue: number("overdue")?,
            breached: number("breached")?,
        },
    })
}
