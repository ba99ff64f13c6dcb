//! Experts, who attest for their institution.

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use super::StoredExpert;
use crate::content::{instant, known};
use crate::entity::{expert, institution};
use crate::tx::Done;
use crate::{Act, ActContext, RegistryChange, Store, StoreError};

impl Store {
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
        self.change_registry("create_expert", context, &expert_name(new), &|tx, _| {
            Box::pin(async move {
                let institution = institution::Entity::find_by_id(new.institution_code.as_str());
                if institution.one(tx).await?.is_none() {
                    return Ok(Done::Abandon(RegistryChange::UnknownInstitution));
                }
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
        self.change_registry("update_expert", context, &expert_name(new), &|tx, _| {
            Box::pin(async move {
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
}

fn expert_name(expert: &StoredExpert) -> String {
    format!(
        "institutions/{}/experts/{}",
        expert.institution_code, expert.expert_code
    )
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
