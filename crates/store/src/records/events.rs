//! Events in a student's enrollment.

use gavah_domain::JalaliDate;
use gavah_domain::program::StudentNumber;
use gavah_domain::record::{EnrollmentEventKind, EnrollmentRecord, supersedes};
use jiff::Timestamp;
use sea_orm::{EntityTrait, Set};
use uuid::Uuid;

use super::rows::{find_locked, replace_all};
use super::{StoredRecord, name};
use crate::certificates::end_with_enrollment;
use crate::claim::claim;
use crate::entity::enrollment_event;
use crate::tx::Done;
use crate::{Act, ActContext, Claimed, Store, StoreError};

/// An enrollment event to store.
#[derive(Clone)]
pub struct EventRow {
    /// Id of the event.
    pub id: Uuid,
    /// Institution code.
    pub institution_code: String,
    /// Student number.
    pub student_number: StudentNumber,
    /// What happened.
    pub kind: EnrollmentEventKind,
    /// In effect from.
    pub effective_date: JalaliDate,
    /// True as of.
    pub as_of_time: Timestamp,
}

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventReport {
    /// The record after the event, and whether the event changed it.
    Done {
        /// The record.
        record: Box<StoredRecord>,
        /// False when the record is newer than the event.
        applied: bool,
    },
    /// There is no record of this student.
    NotFound,
    /// The request_id stands for another request.
    RequestIdReused,
}

impl Store {
    /// Keeps an event and, unless the record is newer, sets the record's status. When the
    /// enrollment is over then, the certificates end that do not outlive it.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn report_event(
        &self,
        context: &ActContext,
        event: &EventRow,
        subject_hash: &(dyn Fn(&EnrollmentRecord) -> String + Sync),
    ) -> Result<EventReport, StoreError> {
        self.run_tx("report_event", |tx, _| {
            Box::pin(async move {
                let Some(existing) =
                    find_locked(tx, &event.institution_code, event.student_number.as_str()).await?
                else {
                    return Ok(Done::Abandon(EventReport::NotFound));
                };
                let applied = supersedes(existing.record.as_of_time, event.as_of_time);
                let outcome = if applied { "APPLIED" } else { "KEPT_NEWER" };
                match claim(tx, context, &name(existing.id), outcome).await? {
                    Some(Claimed::Reused) => {
                        return Ok(Done::Abandon(EventReport::RequestIdReused));
                    }
                    Some(Claimed::Replay { outcome, .. }) => {
                        let applied = outcome == "APPLIED";
                        return Ok(Done::Abandon(EventReport::Done {
                            record: Box::new(existing),
                            applied,
                        }));
                    }
                    None => {}
                }
                enrollment_event::Entity::insert(enrollment_event::ActiveModel {
                    id: Set(event.id),
                    record_id: Set(existing.id),
                    kind: Set(event.kind.as_str().to_owned()),
                    effective_date: Set(event.effective_date.as_i32()),
                    as_of_time: Set(event.as_of_time.as_microsecond()),
                    receive_time: Set(context.now.as_microsecond()),
                    applied: Set(applied),
                })
                .exec_without_returning(tx)
                .await?;
                let mut stored = existing.clone();
                if applied {
                    stored.record.status = event.kind.status();
                    stored.record.status_effective_date = Some(event.effective_date);
                    stored.record.as_of_time = event.as_of_time;
                    // An event says nothing of blocks, units or names: what the
                    // record says of them is as old as before.
                    stored.record.receive_time = existing.record.fresh_since();
                    replace_all(tx, &[(existing.clone(), stored.clone())]).await?;
                }
                let act = Act {
                    resource: name(existing.id),
                    action: "EVENT",
                    from: existing.record.status.as_str().to_owned(),
                    to: stored.record.status.as_str().to_owned(),
                    reason: event.kind.as_str().to_owned(),
                    subject_hash: subject_hash(&existing.record),
                    institution_code: event.institution_code.clone(),
                    ..Act::default()
                };
                let mut acts = vec![act];
                if applied {
                    let hash = subject_hash(&stored.record);
                    acts.extend(end_with_enrollment(tx, context, &stored.record, &hash).await?);
                }
                let acts = acts.into_iter().map(|act| (context, act));
                self.record_all(tx, [], acts).await?;
                Ok(Done::Commit(EventReport::Done {
                    record: Box::new(stored),
                    applied,
                }))
            })
        })
        .await
    }
}
