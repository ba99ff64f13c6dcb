//! Institutions, experts, callers and their client certificates.

mod agreements;
mod callers;
mod clock;
mod documents;
mod experts;
mod institutions;
mod pauses;

use std::sync::Arc;

use gavah_domain::caller::{Caller, CallerState, ExpertState};
use gavah_domain::institution::{Institution, InstitutionCode};
use jiff::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{DatabaseTransaction, EntityTrait, ExprTrait};

use crate::claim::claim;
use crate::entity::{institution, registry_version};
use crate::snapshot::CertificateEntry;
use crate::tx::{Done, Within, Work};
use crate::{ActContext, Claimed, Store, StoreError};

pub(crate) use agreements::read_call;
pub use agreements::{
    AgreementFilter, AgreementStep, AgreementText, StoredAgreement, StoredCall, agreement_name,
    call_name,
};
pub(crate) use callers::read_caller;
pub use documents::{NewServiceDocument, StoredServiceDocument};
pub(crate) use institutions::read_institution;
pub use pauses::{Paused, StoredPause};

/// An institution as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInstitution {
    /// The institution.
    pub institution: Institution,
    /// When it was registered.
    pub create_time: Timestamp,
    /// When it was last changed.
    pub update_time: Timestamp,
    /// Counts its changes.
    pub version: i64,
}

/// An expert as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredExpert {
    /// Institution code.
    pub institution_code: String,
    /// The institution's code for the expert.
    pub expert_code: String,
    /// Persian display name.
    pub display_name_fa: String,
    /// State.
    pub state: ExpertState,
    /// When it was registered.
    pub create_time: Timestamp,
    /// When it was last changed.
    pub update_time: Timestamp,
    /// Counts its changes.
    pub version: i64,
}

/// A caller as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCaller {
    /// The caller; every call by it holds it.
    pub caller: Arc<Caller>,
    /// Display name.
    pub display_name: String,
    /// State.
    pub state: CallerState,
    /// Its client certificates, newest first.
    pub certificates: Vec<CertificateEntry>,
    /// When it was registered.
    pub create_time: Timestamp,
    /// When it was last changed.
    pub update_time: Timestamp,
    /// Counts its changes.
    pub version: i64,
}

/// A caller to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCaller {
    /// The caller.
    pub caller: Caller,
    /// Display name.
    pub display_name: String,
    /// State.
    pub state: CallerState,
    /// Fingerprint of its first client certificate, 64 lower-case hex digits.
    pub fingerprint: String,
}

/// What came of a change of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryChange {
    /// Done, now or by an earlier call with this request_id.
    Done,
    /// The request_id stands for another request.
    RequestIdReused,
    /// The code, alias, id or fingerprint is taken.
    Exists,
    /// There is nothing to change.
    NotFound,
    /// It changed since the caller read it.
    EtagMismatch,
    /// The caller is retired, which is for good.
    Retired,
    /// A later edition is in force.
    Outdated,
    /// Two client certificates are active already.
    TooMany,
    /// Its state, which is told, does not allow the act.
    NotAllowed(String),
    /// It names an institution that is not registered.
    UnknownInstitution,
}

impl Store {
    /// Claims the request and runs `change`; a committed change moves the
    /// registry's version.
    pub(super) async fn change_registry<'env>(
        &'env self,
        name: &'static str,
        context: &'env ActContext,
        resource: &'env str,
        change: &'env (
                  impl for<'tx> Fn(
            &'tx DatabaseTransaction,
            Within<'tx, 'env>,
        ) -> Work<'tx, RegistryChange>
                  + Sync
              ),
    ) -> Result<RegistryChange, StoreError> {
        self.run_tx(name, |tx, within| {
            Box::pin(async move {
                match claim(tx, context, resource, "").await? {
                    Some(Claimed::Replay { .. }) => return Ok(Done::Abandon(RegistryChange::Done)),
                    Some(Claimed::Reused) => {
                        return Ok(Done::Abandon(RegistryChange::RequestIdReused));
                    }
                    None => {}
                }
                let done = change(tx, within).await?;
                if matches!(done, Done::Commit(_)) {
                    bump(tx).await?;
                }
                Ok(done)
            })
        })
        .await
    }
}

/// Moves the registry's version, so that every node loads it again.
pub(crate) async fn bump(tx: &DatabaseTransaction) -> Result<(), StoreError> {
    use registry_version::Column;
    registry_version::Entity::update_many()
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .exec(tx)
        .await?;
    Ok(())
}

pub(super) async fn known_institutions<const N: usize>(
    tx: &DatabaseTransaction,
    codes: [&Option<InstitutionCode>; N],
) -> Result<bool, StoreError> {
    for code in codes.into_iter().flatten() {
        if institution::Entity::find_by_id(code.as_str())
            .one(tx)
            .await?
            .is_none()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn code(code: Option<&InstitutionCode>) -> Option<String> {
    code.map(|code| code.as_str().to_owned())
}
