//! Callers and their client certificates.

use std::sync::Arc;

use gavah_domain::caller::{Caller, CallerId, CallerState};
use gavah_domain::institution::InstitutionCode;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect, Set};

use super::{NewCaller, StoredCaller, code, known_institutions};
use crate::content::{instant, known};
use crate::entity::{caller, client_certificate};
use crate::snapshot::CertificateEntry;
use crate::tx::Done;
use crate::{Act, ActContext, RegistryChange, Store, StoreError};

impl Store {
    /// Registers a caller with its first client certificate.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn create_caller(
        &self,
        context: &ActContext,
        new: &NewCaller,
    ) -> Result<RegistryChange, StoreError> {
        self.change_registry(
            "create_caller",
            context,
            &caller_name(&new.caller.id),
            &|tx, _| {
                Box::pin(async move {
                    if !known_institutions(tx, [&new.caller.institution]).await? {
                        return Ok(Done::Abandon(RegistryChange::UnknownInstitution));
                    }
                    let now = context.now.as_microsecond();
                    let inserted = caller::Entity::insert(caller::ActiveModel {
                        caller_id: Set(new.caller.id.as_str().to_owned()),
                        class: Set(new.caller.class.as_str().to_owned()),
                        institution_code: Set(code(new.caller.institution.as_ref())),
                        display_name: Set(new.display_name.clone()),
                        state: Set(new.state.as_str().to_owned()),
                        create_time: Set(now),
                        update_time: Set(now),
                        version: Set(1),
                    })
                    .on_conflict(OnConflict::new().do_nothing().to_owned())
                    .exec_without_returning(tx)
                    .await?;
                    if inserted == 0
                        || !put_certificate(tx, &new.caller.id, &new.fingerprint, 1, now).await?
                    {
                        return Ok(Done::Abandon(RegistryChange::Exists));
                    }
                    let act = caller_act(&new.caller.id, "CREATE", "", new.state.as_str());
                    self.append(tx, context, act).await?;
                    Ok(Done::Commit(RegistryChange::Done))
                })
            },
        )
        .await
    }

    /// Changes a caller's display name and state.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn update_caller(
        &self,
        context: &ActContext,
        id: &CallerId,
        display_name: &str,
        state: CallerState,
        etag: Option<i64>,
    ) -> Result<RegistryChange, StoreError> {
        self.change_registry("update_caller", context, &caller_name(id), &|tx, _| {
            Box::pin(async move {
                let Some(row) = caller::Entity::find_by_id(id.as_str()).one(tx).await? else {
                    return Ok(Done::Abandon(RegistryChange::NotFound));
                };
                if etag.is_some_and(|etag| etag != row.version) {
                    return Ok(Done::Abandon(RegistryChange::EtagMismatch));
                }
                let retired = CallerState::Retired;
                if row.state == retired.as_str() && state != retired {
                    return Ok(Done::Abandon(RegistryChange::Retired));
                }
                use caller::Column;
                let updated = caller::Entity::update_many()
                    .col_expr(Column::DisplayName, Expr::value(display_name))
                    .col_expr(Column::State, Expr::value(state.as_str()))
                    .col_expr(
                        Column::UpdateTime,
                        Expr::value(context.now.as_microsecond()),
                    )
                    .col_expr(Column::Version, Expr::value(row.version + 1))
                    .filter(Column::CallerId.eq(id.as_str()))
                    .filter(Column::Version.eq(row.version))
                    .exec(tx)
                    .await?;
                if updated.rows_affected == 0 {
                    return Err(StoreError::Conflict);
                }
                let act = caller_act(id, "UPDATE", &row.state, state.as_str());
                self.append(tx, context, act).await?;
                Ok(Done::Commit(RegistryChange::Done))
            })
        })
        .await
    }

    /// Registers a further client certificate; at most two are active.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn add_certificate(
        &self,
        context: &ActContext,
        id: &CallerId,
        fingerprint: &str,
    ) -> Result<RegistryChange, StoreError> {
        self.change_registry("add_certificate", context, &caller_name(id), &|tx, _| {
            Box::pin(async move {
                let Some(row) = locked(tx, id).await? else {
                    return Ok(Done::Abandon(RegistryChange::NotFound));
                };
                let taken = client_certificate::Entity::find()
                    .filter(client_certificate::Column::CallerId.eq(id.as_str()))
                    .filter(client_certificate::Column::Slot.is_not_null())
                    .all(tx)
                    .await?;
                let free = [1, 2]
                    .into_iter()
                    .find(|slot| !taken.iter().any(|c| c.slot == Some(*slot)));
                let Some(slot) = free else {
                    return Ok(Done::Abandon(RegistryChange::TooMany));
                };
                let now = context.now.as_microsecond();
                if !put_certificate(tx, id, fingerprint, slot, now).await? {
                    return Ok(Done::Abandon(RegistryChange::Exists));
                }
                touch(tx, &row, now).await?;
                let act = Act {
                    // Which one: the fingerprint of a certificate is no secret.
                    reason: fingerprint.to_owned(),
                    ..caller_act(id, "ADD_CERTIFICATE", &row.state, &row.state)
                };
                self.append(tx, context, act).await?;
                Ok(Done::Commit(RegistryChange::Done))
            })
        })
        .await
    }

    /// Retires a client certificate.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn retire_certificate(
        &self,
        context: &ActContext,
        id: &CallerId,
        fingerprint: &str,
    ) -> Result<RegistryChange, StoreError> {
        self.change_registry("retire_certificate", context, &caller_name(id), &|tx, _| {
            Box::pin(async move {
                let Some(row) = locked(tx, id).await? else {
                    return Ok(Done::Abandon(RegistryChange::NotFound));
                };
                use client_certificate::Column;
                let now = context.now.as_microsecond();
                let retired = client_certificate::Entity::update_many()
                    .col_expr(Column::Slot, Expr::value(None::<i32>))
                    .col_expr(Column::RetireTime, Expr::value(now))
                    .filter(Column::Fingerprint.eq(fingerprint))
                    .filter(Column::CallerId.eq(id.as_str()))
                    .filter(Column::RetireTime.is_null())
                    .exec(tx)
                    .await?;
                if retired.rows_affected == 0 {
                    return Ok(Done::Abandon(RegistryChange::NotFound));
                }
                touch(tx, &row, now).await?;
                let act = Act {
                    // Which one: the fingerprint of a certificate is no secret.
                    reason: fingerprint.to_owned(),
                    ..caller_act(id, "RETIRE_CERTIFICATE", &row.state, &row.state)
                };
                self.append(tx, context, act).await?;
                Ok(Done::Commit(RegistryChange::Done))
            })
        })
        .await
    }
}

/// The caller, with its row locked: changes of its certificates come one after
/// the other.
async fn locked(
    tx: &DatabaseTransaction,
    id: &CallerId,
) -> Result<Option<caller::Model>, StoreError> {
    Ok(caller::Entity::find_by_id(id.as_str())
        .lock_exclusive()
        .one(tx)
        .await?)
}

async fn put_certificate(
    tx: &DatabaseTransaction,
    id: &CallerId,
    fingerprint: &str,
    slot: i32,
    now: i64,
) -> Result<bool, StoreError> {
    let inserted = client_certificate::Entity::insert(client_certificate::ActiveModel {
        fingerprint: Set(fingerprint.to_owned()),
        caller_id: Set(id.as_str().to_owned()),
        slot: Set(Some(slot)),
        create_time: Set(now),
        retire_time: Set(None),
    })
    .on_conflict(OnConflict::new().do_nothing().to_owned())
    .exec_without_returning(tx)
    .await?;
    Ok(inserted == 1)
}

async fn touch(tx: &DatabaseTransaction, row: &caller::Model, now: i64) -> Result<(), StoreError> {
    use caller::Column;
    let touched = caller::Entity::update_many()
        .col_expr(Column::UpdateTime, Expr::value(now))
        .col_expr(Column::Version, Expr::value(row.version + 1))
        .filter(Column::CallerId.eq(row.caller_id.as_str()))
        .filter(Column::Version.eq(row.version))
        .exec(tx)
        .await?;
    if touched.rows_affected == 0 {
        Err(StoreError::Conflict)
    } else {
        Ok(())
    }
}

fn caller_name(id: &CallerId) -> String {
    format!("callers/{}", id.as_str())
}

fn caller_act(id: &CallerId, action: &'static str, from: &str, to: &str) -> Act {
    Act {
        resource: caller_name(id),
        action,
        from: from.to_owned(),
        to: to.to_owned(),
        ..Act::default()
    }
}

pub(crate) fn read_caller(
    row: caller::Model,
    certificates: Vec<client_certificate::Model>,
) -> Result<StoredCaller, StoreError> {
    let mut certificates = certificates
        .into_iter()
        .map(|row| {
            Ok(CertificateEntry {
                fingerprint: row.fingerprint,
                create_time: instant(row.create_time)?,
                retire_time: row.retire_time.map(instant).transpose()?,
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    certificates.sort_by(|a, b| {
        b.create_time
            .cmp(&a.create_time)
            .then_with(|| a.fingerprint.cmp(&b.fingerprint))
    });
    Ok(StoredCaller {
        caller: Arc::new(Caller {
            id: CallerId::parse(&row.caller_id)
                .map_err(|_| StoreError::Corrupt("caller.caller_id"))?,
            class: known(&row.class, "caller.class")?,
            institution: row
                .institution_code
                .as_deref()
                .map(InstitutionCode::parse)
                .transpose()
                .map_err(|_| StoreError::Corrupt("caller.institution_code"))?,
        }),
        display_name: row.display_name,
        state: known(&row.state, "caller.state")?,
        certificates,
        create_time: instant(row.create_time)?,
        update_time: instant(row.update_time)?,
        version: row.version,
    })
}
