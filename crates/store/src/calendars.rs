//! Working calendars: published a year at a time and in versions, so that what was promised by an earlier one can be
//! explained.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use gavah_domain::JalaliDate;
use gavah_domain::working_calendar::{CalendarRow, CalendarYear, WorkingCalendar};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, Set,
};

use crate::content::known;
use crate::entity::{calendar_version, calendar_version_row};
use crate::registry::bump;
use crate::tx::Done;
use crate::{Act, ActContext, Store, StoreError};

/// What came of publishing a year's calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarLoad {
    /// Published as this version.
    Published(i32),
    /// This version, which holds, says the same.
    Unchanged(i32),
    /// This version holds and says something else; nothing is published over it unasked.
    Differs(i32),
}

impl Store {
    /// Publishes the calendars of some years, all of them or none: none, when one differs from what holds and is not to
    /// replace it.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn publish_calendar(
        &self,
        context: &ActContext,
        years: &[CalendarYear],
        replace: bool,
    ) -> Result<BTreeMap<i32, CalendarLoad>, StoreError> {
        self.run_tx("publish_calendar", |tx, _| {
            Box::pin(async move {
                let mut loads = BTreeMap::new();
                for year in years {
                    let load = self.load_year(tx, context, year, replace).await?;
                    loads.insert(year.year(), load);
                }
                let any = |wanted: fn(&CalendarLoad) -> bool| loads.values().any(wanted);
                if any(|load| matches!(load, CalendarLoad::Differs(_)))
                    || !any(|load| matches!(load, CalendarLoad::Published(_)))
                {
                    return Ok(Done::Abandon(loads));
                }
                bump(tx).await?;
                Ok(Done::Commit(loads))
            })
        })
        .await
    }

    async fn load_year(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        new: &CalendarYear,
        replace: bool,
    ) -> Result<CalendarLoad, StoreError> {
        let newest = versions(tx, new.year()..=new.year()).await?;
        let newest = newest.get(&new.year()).copied();
        if let Some(version) = newest {
            let held = calendar_in(tx, new.year()..=new.year()).await?;
            if held.year(new.year()) == Some(new) {
                return Ok(CalendarLoad::Unchanged(version));
            }
            if !replace {
                return Ok(CalendarLoad::Differs(version));
            }
        }
        let version = newest.unwrap_or_default() + 1;
        insert(tx, context, new, version).await?;
        let act = Act {
            resource: calendar_name(new.year(), version),
            action: "PUBLISH",
            to: "PUBLISHED".to_owned(),
            ..Act::default()
        };
        self.append(tx, context, act).await?;
        Ok(CalendarLoad::Published(version))
    }

    /// The calendars that hold, of every year.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn calendar(&self) -> Result<WorkingCalendar, StoreError> {
        self.read(
            "load_calendar",
            calendar_in(&self.inner.db, i32::MIN..=i32::MAX),
        )
        .await
    }
}

/// The resource name of a version.
#[must_use]
pub fn calendar_name(year: i32, version: i32) -> String {
    format!("workingCalendars/{year}/versions/{version}")
}

/// The version that holds of each of the years that has one.
async fn versions(
    db: &impl ConnectionTrait,
    years: RangeInclusive<i32>,
) -> Result<HashMap<i32, i32>, StoreError> {
    let published = calendar_version::Entity::find()
        .filter(calendar_version::Column::Year.between(*years.start(), *years.end()))
        .order_by_asc(calendar_version::Column::Version)
        .all(db)
        .await?;
    let each = published.into_iter().map(|row| (row.year, row.version));
    Ok(each.collect())
}

/// The calendars that hold of these years.
pub(crate) async fn calendar_in(
    db: &impl ConnectionTrait,
    years: RangeInclusive<i32>,
) -> Result<WorkingCalendar, StoreError> {
    use calendar_version_row::Column;
    let hold = versions(db, years.clone()).await?;
    let mut rows: HashMap<i32, Vec<CalendarRow>> = HashMap::new();
    for row in calendar_version_row::Entity::find()
        .filter(Column::Year.between(*years.start(), *years.end()))
        .order_by_asc(Column::Position)
        .all(db)
        .await?
    {
        if hold.get(&row.year) == Some(&row.version) {
            rows.entry(row.year).or_default().push(read(row)?);
        }
    }
    let years = rows.into_iter().map(|(year, rows)| {
        CalendarYear::new(year, rows).map_err(|_| StoreError::Corrupt("calendar_version_row"))
    });
    Ok(WorkingCalendar::new(
        years.collect::<Result<Vec<_>, StoreError>>()?,
    ))
}

/// A version that somebody else publishes at the same moment is looked at anew.
async fn insert(
    tx: &DatabaseTransaction,
    context: &ActContext,
    new: &CalendarYear,
    version: i32,
) -> Result<(), StoreError> {
    let row = calendar_version::ActiveModel {
        year: Set(new.year()),
        version: Set(version),
        publish_time: Set(context.now.as_microsecond()),
    };
    calendar_version::Entity::insert(row)
        .exec_without_returning(tx)
        .await
        .map_err(|error| match StoreError::from(error) {
            StoreError::Constraint(_) => StoreError::Conflict,
            error => error,
        })?;
    let rows = (1..)
        .zip(new.rows())
        .map(|(position, row)| calendar_version_row::ActiveModel {
            year: Set(new.year()),
            version: Set(version),
            position: Set(position),
            kind: Set(row.kind.as_str().to_owned()),
            from_date: Set(row.from.as_i32()),
            to_date: Set(row.to.as_i32()),
            weekday: Set(row.weekday.map(|day| day.as_str().to_owned())),
            opens: Set(row.hours.map(|(opens, _)| i32::from(opens))),
            closes: Set(row.hours.map(|(_, closes)| i32::from(closes))),
            title: Set(row.title.clone()),
        });
    crate::rows::insert(tx, rows).await
}

fn read(row: calendar_version_row::Model) -> Result<CalendarRow, StoreError> {
    const WRONG: StoreError = StoreError::Corrupt("calendar_version_row");
    let minute = |minute: Option<i32>| minute.map(u16::try_from).transpose().map_err(|_| WRONG);
    let weekday = row.weekday.as_deref();
    Ok(CalendarRow {
        kind: known(&row.kind, "calendar_version_row.kind")?,
        from: JalaliDate::from_i32(row.from_date).map_err(|_| WRONG)?,
        to: JalaliDate::from_i32(row.to_date).map_err(|_| WRONG)?,
        weekday: weekday
            .map(|day| known(day, "calendar_version_row.weekday"))
            .transpose()?,
        hours: minute(row.opens)?.zip(minute(row.closes)?),
        title: row.title,
    })
}
