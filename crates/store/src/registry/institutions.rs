//! Institutions and their aliases.

use std::collections::BTreeSet;

use gavah_domain::institution::{Institution, InstitutionCode};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, Set};

use super::{StoredInstitution, code, known_institutions};
use crate::content::{instant, known};
use crate::entity::{institution, institution_alias};
use crate::tx::Done;
use crate::{Act, ActContext, RegistryChange, Store, StoreError};

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
            &|tx, _| {
                Box::pin(async move {
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
                })
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
            &|tx, _| {
                Box::pin(async move {
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
                })
            },
        )
        .await
    }
}

/// Registers the code itself and the aliases; false when one is taken by another
/// institution.
async fn put_aliases(tx: &DatabaseTransaction, new: &Institution) -> Result<bool, StoreError> {
    let own = new.code.as_str();
    let names: BTreeSet<&str> = std::iter::once(own)
        .chain(new.aliases.iter().map(String::as_str))
        .collect();
    for alias in names {
        let inserted = institution_alias::Entity::insert(institution_alias::ActiveModel {
            alias: Set(alias.to_owned()),
            institution_code: Set(own.to_owned()),
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

fn institution_name(code: &InstitutionCode) -> String {
    format!("institutions/{}", code.as_str())
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
