//! Institutions, experts, callers and their client certificates.

use gavah_domain::caller::{Caller, CallerId, CallerState, ExpertState};
use gavah_domain::institution::{Institution, InstitutionCode};
use jiff::Timestamp;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    Set,
};

use crate::claim::claim;
use crate::content::{instant, known};
use crate::entity::{
    caller, client_certificate, expert, institution, institution_alias, registry_version,
};
use crate::snapshot::CertificateEntry;
use crate::tx::Done;
use crate::{Act, ActContext, Claimed, Store, StoreError};

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
    /// The caller.
    pub caller: Caller,
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
    /// Two client certificates are active already.
    TooMany,
    /// It names an institution that is not registered.
    UnknownInstitution,
}

type Changing = Result<Done<RegistryChange>, StoreError>;

impl Store {
    /// Registers an institution.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn create_institution(
        &self,
        context: &ActContext,
        new: &Institution,
    ) -> Result<RegistryChange, StoreError> {
        self.change_registry(
            "create_institution",
            context,
            &institution_name(&new.code),
            async |tx| {
                if !known_institutions(tx, [&new.parent, &new.successor]).await? {
                    return Ok(Done::Abandon(RegistryChange::UnknownInstitution));
                }
                let now = context.now.as_microsecond();
                let inserted = institution::Entity::insert(institution::ActiveModel {
                    code: Set(new.code.as_str().to_owned()),
                    kind: Set(new.kind.as_str().to_owned()),
                    parent_code: Set(code(new.parent.as_ref())),
                    name_fa: Set(new.name_fa.clone()),
                    name_en: Set(new.name_en.clone()),
                    state: Set(new.state.as_str().to_owned()),
                    successor_code: Set(code(new.successor.as_ref())),
                    create_time: Set(now),
                    update_time: Set(now),
                    version: Set(1),
                })
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(tx)
                .await?;
                if inserted == 0 || !put_aliases(tx, new).await? {
                    return Ok(Done::Abandon(RegistryChange::Exists));
                }
                self.append(tx, context, institution_act(new, "CREATE"))
                    .await?;
                Ok(Done::Commit(RegistryChange::Done))
            },
        )
        .await
    }

    /// Replaces the mutable fields of an institution.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn update_institution(
        &self,
        context: &ActContext,
        new: &Institution,
        etag: Option<i64>,
    ) -> Result<RegistryChange, StoreError> {
        self.change_registry(
            "update_institution",
            context,
            &institution_name(&new.code),
            async |tx| {
                let Some(row) = institution::Entity::find_by_id(new.code.as_str())
                    .one(tx)
                    .await?
                else {
                    return Ok(Done::Abandon(RegistryChange::NotFound));
                };
                if etag.is_some_and(|etag| etag != row.version) {
                    return Ok(Done::Abandon(RegistryChange::EtagMismatch));
                }
                if !known_institutions(tx, [&new.parent, &new.successor]).await? {
                    return Ok(Done::Abandon(RegistryChange::UnknownInstitution));
                }
                use institution::Column;
                let updated = institution::Entity::update_many()
                    .col_expr(Column::ParentCode, Expr::value(code(new.parent.as_ref())))
                    .col_expr(Column::NameFa, Expr::value(new.name_fa.as_str()))
                    .col_expr(Column::NameEn, Expr::value(new.name_en.as_str()))
                    .col_expr(Column::State, Expr::value(new.state.as_str()))
                    .col_expr(
                        Column::SuccessorCode,
                        Expr::value(code(new.successor.as_ref())),
                    )
                    .col_expr(
                        Column::UpdateTime,
                        Expr::value(context.now.as_microsecond()),
                    )
                    .col_expr(Column::Version, Expr::value(row.version + 1))
                    .filter(Column::Code.eq(new.code.as_str()))
                    .filter(Column::Version.eq(row.version))
                    .exec(tx)
                    .await?;
                if updated.rows_affected == 0 {
                    return Err(StoreError::Conflict);
                }
                institution_alias::Entity::delete_many()
                    .filter(institution_alias::Column::InstitutionCode.eq(new.code.as_str()))
                    .exec(tx)
                    .await?;
                if !put_aliases(tx, new).await? {
                    return Ok(Done::Abandon(RegistryChange::Exists));
                }
                let act = Act {
                    from: row.state,
                    ..institution_act(new, "UPDATE")
                };
                self.append(tx, context, act).await?;
                Ok(Done::Commit(RegistryChange::Done))
            },
        )
        .await
    }

    /// Registers an expert.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn create_expert(
        &self,
        context: &ActContext,
        new: &StoredExpert,
    ) -> Result<RegistryChange, StoreError> {
        self.change_registry("create_expert", context, &expert_name(new), async |tx| {
            let now = context.now.as_microsecond();
            let inserted = expert::Entity::insert(expert::ActiveModel {
                institution_code: Set(new.institution_code.clone()),
                expert_code: Set(new.expert_code.clone()),
                display_name_fa: Set(new.display_name_fa.clone()),
                state: Set(new.state.as_str().to_owned()),
                create_time: Set(now),
                update_time: Set(now),
                version: Set(1),
            })
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(tx)
            .await?;
            if inserted == 0 {
                return Ok(Done::Abandon(RegistryChange::Exists));
            }
            self.append(tx, context, expert_act(new, "CREATE", ""))
                .await?;
            Ok(Done::Commit(RegistryChange::Done))
        })
        .await
    }

    /// Replaces the mutable fields of an expert.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn update_expert(
        &self,
        context: &ActContext,
        new: &StoredExpert,
        etag: Option<i64>,
    ) -> Result<RegistryChange, StoreError> {
        self.change_registry("update_expert", context, &expert_name(new), async |tx| {
            let key = (new.institution_code.clone(), new.expert_code.clone());
            let Some(row) = expert::Entity::find_by_id(key).one(tx).await? else {
                return Ok(Done::Abandon(RegistryChange::NotFound));
            };
            if etag.is_some_and(|etag| etag != row.version) {
                return Ok(Done::Abandon(RegistryChange::EtagMismatch));
            }
            use expert::Column;
            let updated = expert::Entity::update_many()
                .col_expr(
                    Column::DisplayNameFa,
                    Expr::value(new.display_name_fa.as_str()),
                )
                .col_expr(Column::State, Expr::value(new.state.as_str()))
                .col_expr(
                    Column::UpdateTime,
                    Expr::value(context.now.as_microsecond()),
                )
                .col_expr(Column::Version, Expr::value(row.version + 1))
                .filter(Column::InstitutionCode.eq(new.institution_code.as_str()))
                .filter(Column::ExpertCode.eq(new.expert_code.as_str()))
                .filter(Column::Version.eq(row.version))
                .exec(tx)
                .await?;
            if updated.rows_affected == 0 {
                return Err(StoreError::Conflict);
            }
            self.append(tx, context, expert_act(new, "UPDATE", &row.state))
                .await?;
            Ok(Done::Commit(RegistryChange::Done))
        })
        .await
    }

    /// Experts of an institution by code, after `after`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn list_experts(
        &self,
        institution_code: &str,
        after: Option<&str>,
        size: u64,
    ) -> Result<Vec<StoredExpert>, StoreError> {
        self.read("list_experts", async {
            let mut query =
                expert::Entity::find().filter(expert::Column::InstitutionCode.eq(institution_code));
            if let Some(after) = after {
                query = query.filter(expert::Column::ExpertCode.gt(after));
            }
            let rows = query
                .order_by_asc(expert::Column::ExpertCode)
                .limit(size)
                .all(&self.inner.db)
                .await?;
            rows.into_iter().map(read_expert).collect()
        })
        .await
    }

    /// An expert.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn expert(
        &self,
        institution_code: &str,
        expert_code: &str,
    ) -> Result<Option<StoredExpert>, StoreError> {
        let key = (institution_code.to_owned(), expert_code.to_owned());
        self.read("get_expert", async {
            let row = expert::Entity::find_by_id(key).one(&self.inner.db).await?;
            row.map(read_expert).transpose()
        })
        .await
    }

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
            async |tx| {
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
        self.change_registry("update_caller", context, &caller_name(id), async |tx| {
            let Some(row) = caller::Entity::find_by_id(id.as_str()).one(tx).await? else {
                return Ok(Done::Abandon(RegistryChange::NotFound));
            };
            if etag.is_some_and(|etag| etag != row.version) {
                return Ok(Done::Abandon(RegistryChange::EtagMismatch));
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
        self.change_registry("add_certificate", context, &caller_name(id), async |tx| {
            let Some(row) = caller::Entity::find_by_id(id.as_str()).one(tx).await? else {
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
            let act = caller_act(id, "ADD_CERTIFICATE", &row.state, &row.state);
            self.append(tx, context, act).await?;
            Ok(Done::Commit(RegistryChange::Done))
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
        self.change_registry(
            "retire_certificate",
            context,
            &caller_name(id),
            async |tx| {
                let Some(row) = caller::Entity::find_by_id(id.as_str()).one(tx).await? else {
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
                let act = caller_act(id, "RETIRE_CERTIFICATE", &row.state, &row.state);
                self.append(tx, context, act).await?;
                Ok(Done::Commit(RegistryChange::Done))
            },
        )
        .await
    }

    /// Claims the request and runs `change`; a committed change moves the
    /// registry's version.
    async fn change_registry(
        &self,
        name: &'static str,
        context: &ActContext,
        resource: &str,
        change: impl AsyncFn(&DatabaseTransaction) -> Changing,
    ) -> Result<RegistryChange, StoreError> {
        self.run_tx(name, async |tx| {
            match claim(tx, context, resource, "").await? {
                Some(Claimed::Replay { .. }) => return Ok(Done::Abandon(RegistryChange::Done)),
                Some(Claimed::Reused) => {
                    return Ok(Done::Abandon(RegistryChange::RequestIdReused));
                }
                None => {}
            }
            let done = change(tx).await?;
            if matches!(done, Done::Commit(_)) {
                bump(tx).await?;
            }
            Ok(done)
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

async fn known_institutions<const N: usize>(
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

/// Registers the code itself and the aliases; false when one is taken.
async fn put_aliases(tx: &DatabaseTransaction, new: &Institution) -> Result<bool, StoreError> {
    let own = new.code.as_str().to_owned();
    for alias in std::iter::once(&own).chain(&new.aliases) {
        let inserted = institution_alias::Entity::insert(institution_alias::ActiveModel {
            alias: Set(alias.clone()),
            institution_code: Set(own.clone()),
        })
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
        if inserted == 0 {
            return Ok(false);
        }
    }
    Ok(true)
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

fn code(code: Option<&InstitutionCode>) -> Option<String> {
    code.map(|code| code.as_str().to_owned())
}

fn institution_name(code: &InstitutionCode) -> String {
    format!("institutions/{}", code.as_str())
}

fn expert_name(expert: &StoredExpert) -> String {
    format!(
        "institutions/{}/experts/{}",
        expert.institution_code, expert.expert_code
    )
}

fn caller_name(id: &CallerId) -> String {
    format!("callers/{}", id.as_str())
}

fn institution_act(institution: &Institution, action: &'static str) -> Act {
    Act {
        resource: institution_name(&institution.code),
        action,
        to: institution.state.as_str().to_owned(),
        institution_code: institution.code.as_str().to_owned(),
        ..Act::default()
    }
}

fn expert_act(expert: &StoredExpert, action: &'static str, from: &str) -> Act {
    Act {
        resource: expert_name(expert),
        action,
        from: from.to_owned(),
        to: expert.state.as_str().to_owned(),
        institution_code: expert.institution_code.clone(),
        ..Act::default()
    }
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

pub(crate) fn read_institution(
    row: institution::Model,
    aliases: Vec<String>,
) -> Result<StoredInstitution, StoreError> {
    let parse = |code: &str| {
        InstitutionCode::parse(code).map_err(|_| StoreError::Corrupt("institution.code"))
    };
    Ok(StoredInstitution {
        institution: Institution {
            code: parse(&row.code)?,
            aliases,
            kind: known(&row.kind, "institution.kind")?,
            parent: row.parent_code.as_deref().map(parse).transpose()?,
            name_fa: row.name_fa,
            name_en: row.name_en,
            state: known(&row.state, "institution.state")?,
            successor: row.successor_code.as_deref().map(parse).transpose()?,
        },
        create_time: instant(row.create_time)?,
        update_time: instant(row.update_time)?,
        version: row.version,
    })
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
        caller: Caller {
            id: CallerId::parse(&row.caller_id)
                .map_err(|_| StoreError::Corrupt("caller.caller_id"))?,
            class: known(&row.class, "caller.class")?,
            institution: row
                .institution_code
                .as_deref()
                .map(InstitutionCode::parse)
                .transpose()
                .map_err(|_| StoreError::Corrupt("caller.institution_code"))?,
        },
        display_name: row.display_name,
        state: known(&row.state, "caller.state")?,
        certificates,
        create_time: instant(row.create_time)?,
        update_time: instant(row.update_time)?,
        version: row.version,
    })
}

fn read_expert(row: expert::Model) -> Result<StoredExpert, StoreError> {
    Ok(StoredExpert {
        institution_code: row.institution_code,
        expert_code: row.expert_code,
        display_name_fa: row.display_name_fa,
        state: known(&row.state, "expert.state")?,
        create_time: instant(row.create_time)?,
        update_time: instant(row.update_time)?,
        version: row.version,
    })
}
