//! What validity codes and enrollment certificates have in common: names, pages and changes of state.

use clap::Args;
use gavah_domain::document::{DocumentState, RevocationReason};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::one_of;
use crate::connection::{Connection, Write};
use crate::output::note;
use crate::problem::Problem;

/// Suspends or reinstates a document.
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// Resource name, or its UUID alone
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Why; kept with the document, never shown to others
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) remark: String,
    /// Only if the document is still as it was read: its etag
    #[arg(
        long,
        value_name = "ETAG",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) etag: String,
    #[command(flatten)]
    pub(crate) write: Write,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Revokes a document.
#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// Resource name, or its UUID alone
    #[arg(value_name = "NAME")]
    name: String,
    /// Why; SUPERSEDED is set by corrections only and refused
    #[arg(long, value_parser = one_of::<RevocationReason>(), ignore_case = true)]
    reason: String,
    /// The legal basis; required for COURT_ORDER
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    legal_basis: String,
    /// What a ruling orders so: disputes/{uuid}/actions/{n}
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    dispute_action: String,
    /// Only if the document is still as it was read: its etag
    #[arg(
        long,
        value_name = "ETAG",
        default_value = "",
        hide_default_value = true
    )]
    etag: String,
    #[command(flatten)]
    pub(crate) write: Write,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

impl RevokeArgs {
    /// The request, without its request id.
    pub(crate) fn json(&self, collection: &str) -> Value {
        json!({
            "validate_only": self.write.validate_only,
            "name": resource(collection, &self.name),
            "reason": self.reason,
            "legal_basis": self.legal_basis,
            "dispute_action": self.dispute_action,
            "etag": self.etag,
        })
    }
}

/// Which part of a list.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Paging")]
pub(crate) struct Paging {
    /// Page through to the end
    #[arg(long, conflicts_with_all = ["page_size", "page_token"])]
    all: bool,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=1000))]
    page_size: i32,
    /// next_page_token of the page before, with the same filters
    #[arg(
        long,
        value_name = "TOKEN",
        default_value = "",
        hide_default_value = true
    )]
    page_token: String,
}

/// Documents of one state.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct StateFilter {
    /// Only of this institution
    #[arg(long, value_name = "CODE")]
    pub(crate) institution: Option<String>,
    /// Only in this state
    #[arg(long, value_parser = one_of::<DocumentState>(), ignore_case = true)]
    pub(crate) state: Option<String>,
}

/// Instants between which a document was issued.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct IssuedFilter {
    /// Only issued at or after this instant: 2026-05-13T08:30:00Z
    #[arg(long, value_name = "INSTANT")]
    pub(crate) issued_from: Option<Timestamp>,
    /// Only issued before this instant
    #[arg(long, value_name = "INSTANT")]
    pub(crate) issued_before: Option<Timestamp>,
}

/// The resource name: as given, or the collection's with a bare id.
pub(crate) fn resource(collection: &str, name: &str) -> String {
    match name.contains('/') {
        true => name.to_owned(),
        false => format!("{collection}/{name}"),
    }
}

impl Paging {
    /// Reads one page, or all of them as one. `page` is given page_size and page_token and answers with the list under
    /// `items`, next_page_token and trace_id.
    pub(crate) async fn read<F>(
        &self,
        items: &str,
        page: impl Fn(i32, String) -> F,
    ) -> Result<Value, Problem>
    where
        F: Future<Output = Result<Value, Problem>>,
    {
        const MOST: i32 = 1000;
        let size = if self.all { MOST } else { self.page_size };
        let mut whole = page(size, self.page_token.clone()).await?;
        while self.all
            && let Some(token) = next_token(&whole)
        {
            let mut next = page(size, token).await?;
            if let (Value::Array(all), Value::Array(more)) = (&mut whole[items], &mut next[items]) {
                all.append(more);
            }
            for field in ["next_page_token", "trace_id"] {
                whole[field] = next[field].take();
            }
        }
        if let Some(token) = next_token(&whole) {
            note(&format!("there are more: --all, or --page-token {token}"));
        }
        Ok(whole)
    }
}

fn next_token(page: &Value) -> Option<String> {
    let token = page["next_page_token"].as_str()?;
    (!token.is_empty()).then(|| token.to_owned())
}
