//! Pauses of issuing.

use gavah_domain::institution::{Institution, InstitutionCode};
use gavah_domain::service::ServiceKind;
use jiff::Timestamp;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Set};

use super::{code, known_institutions};
use crate::content::{instant, known};
use crate::entity::issuance_pause::{self, Column};
use crate::tx::Done;
use crate::{Act, ActContext, RegistryChange, Store, StoreError};

/// What is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    /// The service.
    pub service: ServiceKind,
    /// The institution; all of them when unset.
    pub institution: Option<InstitutionCode>,
}

/// A pause, in force or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPause {
    /// What is paused.
    pub paused: Paused,
    /// Why, as given.
    pub reason: String,
    /// Since when.
    pub pause_time: Timestamp,
    /// Resource name of the caller that paused it.
    pub paused_by: String,
    /// Whether it is in force.
    pub in_force: bool,
}

impl Paused {
    /// Whether nothing is issued by the institution. A central body's units pause
    /// with it.
    #[must_use]
    pub fn covers(&self, service: ServiceKind, institution: &Institution) -> bool {
        let covered = |code: &InstitutionCode| {
            *code == institution.code || Some(code) == institution.parent.as_ref()
        };
        self.service == service && self.institution.as_ref().is_none_or(covered)
    }

    /// The resource name.
    #[must_use]
    pub fn name(&self) -> String {
        let service = self.service.as_str();
        match &self.institution {
            Some(code) => format!("issuancePauses/{service}/institutions/{}", code.as_str()),
            None => format!("issuancePauses/{service}"),
        }
    }

    fn key(&self) -> (String, String) {
        let service = self.service.as_str().to_owned();
        (service, code(self.institution.as_ref()).unwrap_or_default())
    }

    fn act(&self, action: &'static str, to: &str) -> Act {
        Act {
            resource: self.name(),
            action,
            to: to.to_owned(),
            institution_code: code(self.institution.as_ref()).unwrap_or_default(),
            ..Act::default()
        }
    }
}

impl Store {
    /// Pauses issuing; [`RegistryChange::Exists`] when it is paused already.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn pause_issuance(
        &self,
        context: &ActContext,
        paused: &Paused,
        reason: &str,
    ) -> Result<RegistryChange, StoreError> {
        self.change_registry("pause_issuance", context, &paused.name(), &|tx, _| {
            Box::pin(async move {
                if !known_institutions(tx, [&paused.institution]).await? {
                    return Ok(Done::Abandon(RegistryChange::UnknownInstitution));
                }
                let (service, institution_code) = paused.key();
                let found = find(tx, paused).await?;
                if found.as_ref().is_some_and(|row| row.in_force) {
                    return Ok(Done::Abandon(RegistryChange::Exists));
                }
                let pause_time = context.now.as_microsecond();
                let changed = if found.is_none() {
                    issuance_pause::Entity::insert(issuance_pause::ActiveModel {
                        service: Set(service),
                        institution_code: Set(institution_code),
                        in_force: Set(true),
                        reason: Set(reason.to_owned()),
                        pause_time: Set(pause_time),
                        paused_by: Set(context.actor.clone()),
                    })
                    .on_conflict(OnConflict::new().do_nothing().to_owned())
                    .exec_without_returning(tx)
                    .await?
                } else {
                    issuance_pause::Entity::update_many()
                        .col_expr(Column::InForce, Expr::value(true))
                        .col_expr(Column::Reason, Expr::value(reason))
                        .col_expr(Column::PauseTime, Expr::value(pause_time))
                        .col_expr(Column::PausedBy, Expr::value(context.actor.as_str()))
                        .filter(Column::Service.eq(service))
                        .filter(Column::InstitutionCode.eq(institution_code))
                        .filter(Column::InForce.eq(false))
                        .exec(tx)
                        .await?
                        .rows_affected
                };
                if changed == 0 {
                    // Somebody paused it in between: look again.
                    return Err(StoreError::Conflict);
                }
                self.append(tx, context, paused.act("PAUSE", "PAUSED"))
                    .await?;
                Ok(Done::Commit(RegistryChange::Done))
            })
        })
        .await
    }

    /// Ends a pause; [`RegistryChange::NotFound`] when there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn resume_issuance(
        &self,
        context: &ActContext,
        paused: &Paused,
    ) -> Result<RegistryChange, StoreError> {
        self.change_registry("resume_issuance", context, &paused.name(), &|tx, _| {
            Box::pin(async move {
                let (service, institution_code) = paused.key();
                let ended = issuance_pause::Entity::update_many()
                    .col_expr(Column::InForce, Expr::value(false))
                    .filter(Column::Service.eq(service))
                    .filter(Column::InstitutionCode.eq(institution_code))
                    .filter(Column::InForce.eq(true))
                    .exec(tx)
                    .await?;
                if ended.rows_affected == 0 {
                    return Ok(Done::Abandon(RegistryChange::NotFound));
                }
                let act = Act {
                    from: "PAUSED".to_owned(),
                    ..paused.act("RESUME", "")
                };
                self.append(tx, context, act).await?;
                Ok(Done::Commit(RegistryChange::Done))
            })
        })
        .await
    }

    /// A pause as it is now; `None` when there never was one.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn issuance_pause(&self, paused: &Paused) -> Result<Option<StoredPause>, StoreError> {
        self.read("find_pause", async {
            find(&self.inner.db, paused).await?.map(read).transpose()
        })
        .await
    }

    /// The pauses in force, by what is paused.
    pub(crate) async fn pauses(&self) -> Result<Vec<StoredPause>, StoreError> {
        let rows = issuance_pause::Entity::find()
            .filter(Column::InForce.eq(true))
            .order_by_asc(Column::Service)
            .order_by_asc(Column::InstitutionCode)
            .all(&self.inner.db)
            .await?;
        rows.into_iter().map(read).collect()
    }
}

async fn find(
    db: &impl ConnectionTrait,
    paused: &Paused,
) -> Result<Option<issuance_pause::Model>, StoreError> {
    let row = issuance_pause::Entity::find_by_id(paused.key());
    Ok(row.one(db).await?)
}

fn read(row: issuance_pause::Model) -> Result<StoredPause, StoreError> {
    let institution = match row.institution_code.as_str() {
        "" => None,
        code => Some(
            InstitutionCode::parse(code)
                .map_err(|_| StoreError::Corrupt("issuance_pause.institution_code"))?,
        ),
    };
    Ok(StoredPause {
        paused: Paused {
            service: known(&row.service, "issuance_pause.service")?,
            institution,
        },
        reason: row.reason,
        pause_time: instant(row.pause_time)?,
        paused_by: row.paused_by,
        in_force: row.in_force,
    })
}
