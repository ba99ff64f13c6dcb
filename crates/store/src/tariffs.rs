//! Tariff tables: published in versions, never changed.

use std::collections::HashMap;
use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use gavah_domain::tariff::{TariffRow, TariffYear};
use gavah_domain::{JalaliDate, Money};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, Set,
};

use crate::content::{instant, known};
use crate::entity::{tariff_version, tariff_version_row};
use crate::registry::bump;
use crate::tx::Done;
use crate::{Act, ActContext, Seed, Store, StoreError, TariffRowSeed, TariffSeed};

/// What came of loading a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TariffLoad {
    /// Published as this version.
    Published(i32),
    /// Published already, as this version; nothing was done.
    Unchanged(i32),
    /// The year is published with other content, up to this version: a correction says which version it supersedes.
    Differs(i32),
    /// It says to supersede another version than the newest, which is this one; none when the year has no table.
    NotTheNewest(Option<i32>),
}

impl TariffLoad {
    /// The version, where the table is published as it was given.
    ///
    /// # Errors
    ///
    /// Why it is not, in words.
    pub fn version(self) -> Result<i32, String> {
        match self {
            Self::Published(version) | Self::Unchanged(version) => Ok(version),
            Self::Differs(newest) => Err(format!(
                "is published with other content, which never changes; a correction must say that it supersedes {newest}"
            )),
            Self::NotTheNewest(Some(newest)) => Err(format!(
                "must supersede {newest}, the newest version, or nothing"
            )),
            Self::NotTheNewest(None) => {
                Err("has no table yet, so there is nothing to supersede".to_owned())
            }
        }
    }
}

/// SHA-256 of a text, 64 lower-case hex digits.
#[must_use]
pub fn sha256(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    hash.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl Store {
    /// Publishes a checked table in one transaction. `load_seed` does the same for those of a seed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Config`] when the table is not usable; other [`StoreError`]s.
    pub async fn publish_tariff(
        &self,
        context: &ActContext,
        tariff: &TariffSeed,
    ) -> Result<TariffLoad, StoreError> {
        let seed = Seed {
            tariff: vec![tariff.clone()],
            ..Seed::default()
        };
        seed.check()
            .map_err(|error| StoreError::Config(error.to_string()))?;
        self.run_tx("publish_tariff", |tx, _| {
            Box::pin(async move {
                let load = self.load_tariff(tx, context, tariff).await?;
                Ok(match load {
                    TariffLoad::Published(_) => {
                        bump(tx).await?;
                        Done::Commit(load)
                    }
                    _ => Done::Abandon(load),
                })
            })
        })
        .await
    }

    /// Publishes a table inside a transaction, with an audit entry where it does something.
    pub(crate) async fn load_tariff(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        tariff: &TariffSeed,
    ) -> Result<TariffLoad, StoreError> {
        let rows = tariff.row.iter().map(read_seed);
        let mut table = TariffYear {
            year: tariff.year,
            version: 1,
            legal_reference: tariff.legal_reference.clone(),
            digest: String::new(),
            publish_time: Some(context.now),
            rows: rows.collect::<Result<_, StoreError>>()?,
        };
        table.digest = sha256(&table.canonical_text());
        let published = tariff_version::Entity::find()
            .filter(tariff_version::Column::Year.eq(tariff.year))
            .order_by_asc(tariff_version::Column::Version)
            .all(tx)
            .await?;
        let newest = published.last().map(|version| version.version);
        let same = |version: &&tariff_version::Model| version.digest == table.digest;
        let found = match tariff.supersedes {
            None => published.iter().find(same),
            // a correction that was published, perhaps by an earlier try of the same command, is no news
            Some(wrong) => published
                .iter()
                .filter(|version| version.version == wrong + 1 || Some(version.version) == newest)
                .find(same),
        };
        if let Some(found) = found {
            return Ok(TariffLoad::Unchanged(found.version));
        }
        match (newest, tariff.supersedes) {
            (Some(newest), None) => return Ok(TariffLoad::Differs(newest)),
            (newest, Some(wrong)) if newest != Some(wrong) => {
                return Ok(TariffLoad::NotTheNewest(newest));
            }
            (newest, _) => table.version = newest.unwrap_or_default() + 1,
        }
        insert(tx, &table).await?;
        let act = Act {
            resource: format!("tariffs/{}/versions/{}", table.year, table.version),
            action: "PUBLISH",
            to: "PUBLISHED".to_owned(),
            ..Act::default()
        };
        self.append(tx, context, act).await?;
        Ok(TariffLoad::Published(table.version))
    }

    /// Every version of every table, by year and version.
    pub(crate) async fn tariffs(&self) -> Result<Vec<TariffYear>, StoreError> {
        let mut rows: HashMap<(i32, i32), Vec<TariffRow>> = HashMap::new();
        for row in tariff_version_row::Entity::find()
            .order_by_asc(tariff_version_row::Column::Position)
            .all(&self.inner.db)
            .await?
        {
            let table = rows.entry((row.year, row.version)).or_default();
            table.push(read_row(row)?);
        }
        let tables = tariff_version::Entity::find()
            .order_by_asc(tariff_version::Column::Year)
            .order_by_asc(tariff_version::Column::Version)
            .all(&self.inner.db)
            .await?;
        let table = |row: tariff_version::Model| {
            Ok(TariffYear {
                rows: rows.remove(&(row.year, row.version)).unwrap_or_default(),
                year: row.year,
                version: row.version,
                legal_reference: row.legal_reference,
                digest: row.digest,
                publish_time: row.publish_time.map(instant).transpose()?,
            })
        };
        tables.into_iter().map(table).collect()
    }
}

/// A version that somebody else publishes at the same moment is looked at anew.
async fn insert(tx: &impl ConnectionTrait, table: &TariffYear) -> Result<(), StoreError> {
    let version = tariff_version::ActiveModel {
        year: Set(table.year),
        version: Set(table.version),
        legal_reference: Set(table.legal_reference.clone()),
        digest: Set(table.digest.clone()),
        publish_time: Set(table.publish_time.map(|time| time.as_microsecond())),
    };
    let insert = tariff_version::Entity::insert(version);
    insert
        .exec_without_returning(tx)
        .await
        .map_err(|error| match StoreError::from(error) {
            StoreError::Constraint(_) => StoreError::Conflict,
            error => error,
        })?;
    for (position, row) in (1..).zip(&table.rows) {
        let row = tariff_version_row::ActiveModel {
            year: Set(table.year),
            version: Set(table.version),
            position: Set(position),
            service: Set(row.service.as_str().to_owned()),
            request_type: Set(row.request_type.clone()),
            institution_type: Set(row.institution_type.map(|kind| kind.as_str().to_owned())),
            from_date: Set(row.from_date.map(JalaliDate::as_i32)),
            amount: Set(row.fee.amount),
            unit: Set(row.fee.unit.as_str().to_owned()),
            legal_reference: Set(row.legal_reference.clone()),
        };
        let insert = tariff_version_row::Entity::insert(row);
        insert.exec_without_returning(tx).await?;
    }
    Ok(())
}

fn read_seed(row: &TariffRowSeed) -> Result<TariffRow, StoreError> {
    let kind = row.institution_type.as_deref();
    let kind = kind.map(|kind| known(kind, "tariff institution_type"));
    let from_date = row.from_date.as_deref().map(JalaliDate::parse);
    Ok(TariffRow {
        service: known(&row.service, "tariff service")?,
        request_type: row.request_type.clone(),
        institution_type: kind.transpose()?,
        from_date: from_date
            .transpose()
            .map_err(|_| StoreError::Corrupt("tariff from_date"))?,
        fee: Money::new(row.amount, known(&row.unit, "tariff unit")?),
        legal_reference: row.legal_reference.clone(),
    })
}

fn read_row(row: tariff_version_row::Model) -> Result<TariffRow, StoreError> {
    let kind = row.institution_type.as_deref();
    let kind = kind.map(|kind| known(kind, "tariff_version_row.institution_type"));
    let from_date = row.from_date.map(JalaliDate::from_i32);
    Ok(TariffRow {
        service: known(&row.service, "tariff_version_row.service")?,
        institution_type: kind.transpose()?,
        from_date: from_date
            .transpose()
            .map_err(|_| StoreError::Corrupt("tariff_version_row.from_date"))?,
        fee: Money::new(row.amount, known(&row.unit, "tariff_version_row.unit")?),
        request_type: row.request_type,
        legal_reference: row.legal_reference,
    })
}
