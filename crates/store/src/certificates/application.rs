//! Applications that are decided in stages.

use gavah_domain::application::Remark;
use gavah_domain::attachment::Attachment;
use gavah_domain::certificate::{ApplicationState, Purpose, RequestType};
use gavah_domain::institution::InstitutionCode;
use gavah_domain::program::StudentNumber;
use gavah_domain::record::Subject;
use gavah_domain::sla::{ClockEffect, ClockState};
use gavah_domain::tariff::Quote;
use gavah_domain::{DisplayText, JalaliDate};
use jiff::Timestamp;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::rows::{PaperJson, application_in, read_application};
use super::{APPLICATIONS, CertificateContent, StoredApplication, application_name};
use crate::attachments::attach;
use crate::claim::{claim, resource_id};
use crate::clocks::{Promise, carry_on};
use crate::content::{
    AttachmentJson, ProgramJson, QuoteJson, SubjectJson, TEXT_MAX, attachments_json,
    attachments_read, from_json, instant, known, to_json,
};
use crate::entity::{application_step, certificate_application};
use crate::payments::Followed;
use crate::tx::Done;
use crate::{Act, ActContext, Claimed, Store, StoreError};

/// A paper that exists and is to be confirmed.
#[derive(Clone, PartialEq, Eq)]
pub struct Paper {
    /// Its number.
    pub number: String,
    /// When it was issued.
    pub issue_date: JalaliDate,
}

/// What an application says.
#[derive(Clone, PartialEq, Eq)]
pub struct ApplicationContent {
    /// What is asked for.
    pub request_type: RequestType,
    /// The window's own reference.
    pub window_reference: String,
    /// The student as the window knows them.
    pub subject: Subject,
    /// The institution.
    pub institution: InstitutionCode,
    /// The student number.
    pub student_number: StudentNumber,
    /// Purpose.
    pub purpose: Purpose,
    /// Addressee in Persian.
    pub addressee_fa: String,
    /// Addressee in English.
    pub addressee_en: Option<String>,
    /// The certificate that the new one replaces.
    pub replaces: Option<Uuid>,
    /// The paper to confirm.
    pub paper: Option<Paper>,
    /// The files that come with it.
    pub attachments: Vec<Attachment>,
    /// The ground of the fee; unset until it is handed in, and the same ever after.
    pub quote: Option<Quote>,
    /// The workflow version.
    pub workflow_version: String,
    /// Number of the publication of the service's documents that it runs under; 0 where nothing was published.
    pub documents: i64,
    /// Id of the agreement under which it was handed in; empty for what an early version took.
    pub agreement: String,
    /// Until when the initial result was promised when it was handed in first; the same ever after.
    pub due_time: Option<Timestamp>,
}

impl From<&CertificateContent> for ApplicationContent {
    fn from(content: &CertificateContent) -> Self {
        Self {
            request_type: content.request_type,
            window_reference: content.window_reference.clone(),
            subject: content.subject.clone(),
            institution: content.program.institution.clone(),
            student_number: content.program.student_number.clone(),
            purpose: content.purpose,
            addressee_fa: content.addressee_fa.clone(),
            addressee_en: content.addressee_en.clone(),
            replaces: content.replaces,
            paper: content.paper.clone(),
            attachments: content.attachments.clone(),
            quote: Some(content.quote.clone()),
            workflow_version: content.workflow_version.clone(),
            documents: content.documents,
            agreement: String::new(),
            due_time: None,
        }
    }
}

/// A state to enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStep<S = ApplicationState> {
    /// The state.
    pub state: S,
    /// What was done.
    pub action: &'static str,
    /// Whether the service did it by its rules.
    pub by_service: bool,
    /// Who decided, as the caller names them; may be empty.
    pub decider: String,
    /// Keyed hash of who decided; may be empty.
    pub decider_hash: String,
    /// Why; may be empty.
    pub reason: String,
    /// What is to be mended.
    pub remarks: Vec<Remark>,
}

impl<S> NewStep<S> {
    /// A step that the service takes by its rules.
    #[must_use]
    pub fn by_service(state: S, action: &'static str) -> Self {
        Self {
            by_service: true,
            ..Self::by_caller(state, action)
        }
    }

    /// A step that the caller takes.
    #[must_use]
    pub fn by_caller(state: S, action: &'static str) -> Self {
        Self {
            state,
            action,
            by_service: false,
            decider: String::new(),
            decider_hash: String::new(),
            reason: String::new(),
            remarks: Vec::new(),
        }
    }
}

/// An application that is made or goes on.
#[derive(Debug, Clone)]
pub struct ApplicationChange {
    /// Resource id.
    pub id: Uuid,
    /// Resource id that its certificate has or will have.
    pub certificate_id: Uuid,
    /// State and version as they were read; unset for a new one.
    pub before: Option<(ApplicationState, i64)>,
    /// What it says from now on.
    pub content: ApplicationContent,
    /// Key under which only one application may be open.
    pub open_key: String,
    /// The states it enters, in order; none for a mere change of content.
    pub steps: Vec<NewStep>,
    /// Until when it can be paid, if it waits for that now.
    pub pay_until: Option<Timestamp>,
    /// Keyed hash of the subject, for the audit.
    pub subject_hash: String,
}

impl ApplicationChange {
    fn after(&self) -> Option<ApplicationState> {
        let last = self.steps.last().map(|step| step.state);
        last.or(self.before.map(|(state, _)| state))
    }
}

/// What became of a change.
#[derive(Debug)]
pub enum ApplicationOutcome {
    /// It was made.
    Done(Box<StoredApplication>),
    /// An earlier call with this request_id made it: the application's id.
    Replayed(Uuid),
    /// The request_id stands for another request.
    RequestIdReused,
    /// Another application like it is open.
    OpenExists(Uuid),
    /// It has changed since it was read.
    Moved,
    /// One of its files is not there, or not the caller's to attach.
    AttachmentMissing,
}

/// How putting an application's rows went.
pub(super) enum Put {
    Done,
    OpenExists(Uuid),
    Moved,
    AttachmentMissing,
}

impl Store {
    /// Makes an application, or has it go on; neither ends in issuing.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn change_application(
        &self,
        context: &ActContext,
        change: &ApplicationChange,
    ) -> Result<ApplicationOutcome, StoreError> {
        self.run_tx("change_application", |tx, _| {
            Box::pin(async move {
                match claim(tx, context, &application_name(change.id), "").await? {
                    Some(Claimed::Replay { resource, .. }) => {
                        let id = resource_id(&resource, APPLICATIONS)?;
                        return Ok(Done::Abandon(ApplicationOutcome::Replayed(id)));
                    }
                    Some(Claimed::Reused) => {
                        return Ok(Done::Abandon(ApplicationOutcome::RequestIdReused));
                    }
                    None => {}
                }
                match self.put_application(tx, context, change).await? {
                    Put::Done => {}
                    Put::OpenExists(id) => {
                        return Ok(Done::Abandon(ApplicationOutcome::OpenExists(id)));
                    }
                    Put::Moved => return Ok(Done::Abandon(ApplicationOutcome::Moved)),
                    Put::AttachmentMissing => {
                        return Ok(Done::Abandon(ApplicationOutcome::AttachmentMissing));
                    }
                }
                let stored = application_in(tx, change.id).await?;
                let stored = stored.ok_or(StoreError::Corrupt("certificate_application"))?;
                Ok(Done::Commit(ApplicationOutcome::Done(Box::new(stored))))
            })
        })
        .await
    }

    /// The rows, steps, audit entries and events of a change.
    pub(super) async fn put_application(
        &self,
        tx: &DatabaseTransaction,
        context: &ActContext,
        change: &ApplicationChange,
    ) -> Result<Put, StoreError> {
        let state = change
            .after()
            .ok_or(StoreError::Corrupt("an application without a state"))?;
        let open_key = (!state.is_final()).then(|| change.open_key.clone());
        if let Some(key) = &open_key
            && let Some(other) = open_with(tx, key).await?
            && other != change.id
        {
            return Ok(Put::OpenExists(other));
        }
        let content = application_json(&change.content)?;
        let now = context.now.as_microsecond();
        let pay_until = change.pay_until.map(Timestamp::as_microsecond);
        let first = match change.before {
            None => {
                let row = certificate_application::ActiveModel {
                    id: Set(change.id),
                    institution_code: Set(change.content.institution.as_str().to_owned()),
                    person_key: Set(change.content.subject.person_id.key()),
                    open_key: Set(open_key),
                    state: Set(state.as_str().to_owned()),
                    content: Set(content),
                    certificate_id: Set(change.certificate_id),
                    create_time: Set(now),
                    update_time: Set(now),
                    version: Set(1),
                    pay_until: Set(pay_until),
                    ..Default::default()
                };
                let inserted = certificate_application::Entity::insert(row)
                    .on_conflict(OnConflict::new().do_nothing().to_owned())
                    .exec_without_returning(tx)
                    .await?;
                if inserted == 0 {
                    // The one in the way was committed since this looked.
                    return Err(StoreError::Conflict);
                }
                0
            }
            Some((_, version)) => {
                use certificate_application::Column;
                let updated = certificate_application::Entity::update_many()
                    .col_expr(Column::State, Expr::value(state.as_str()))
                    .col_expr(Column::Content, Expr::value(content))
                    .col_expr(Column::OpenKey, Expr::value(open_key))
                    .col_expr(Column::CertificateId, Expr::value(change.certificate_id))
                    .col_expr(Column::PayUntil, Expr::value(pay_until))
                    .col_expr(Column::UpdateTime, Expr::value(now))
                    .col_expr(Column::Version, Expr::value(version + 1))
                    .filter(Column::Id.eq(change.id))
                    .filter(Column::Version.eq(version))
                    .exec(tx)
                    .await
                    .map_err(|error| match StoreError::from(error) {
                        // Another application took the key since this looked.
                        StoreError::Constraint(_) => StoreError::Conflict,
                        error => error,
                    })?;
                if updated.rows_affected == 0 {
                    return Ok(Put::Moved);
                }
                steps_so_far(tx, change.id).await?
            }
        };
        // Only who writes an application attaches files to it.
        let written = change.before.is_none() || change.steps.is_empty();
        if written {
            let resource = application_name(change.id);
            let (institution, files) = (&change.content.institution, &change.content.attachments);
            if !attach(tx, context, &resource, institution.as_str(), files).await? {
                return Ok(Put::AttachmentMissing);
            }
        }
        let before = match change.before {
            Some(_) => steps_before(tx, change.id).await?,
            None => Vec::new(),
        };
        let promise = Promise {
            request_type: change.content.request_type.as_str(),
            agreement: &change.content.agreement,
            due_time: change.content.due_time,
        };
        let new = change.steps.iter().map(|step| step.state.clock());
        carry_on(tx, TABLE, change.id, &promise, &before, new, context.now).await?;
        put_steps(tx, context, change.id, first, &change.steps).await?;
        let followed = Followed {
            application: application_name(change.id),
            quote: change.content.quote.as_ref(),
            entered: change
                .steps
                .iter()
                .map(|step| step.state.as_str())
                .collect(),
        };
        self.follow_payment(tx, context, &followed).await?;
        let acts = acts(change, state).into_iter().map(|act| (context, act));
        self.record_all(tx, [], acts).await?;
        Ok(Put::Done)
    }

    /// Applications whose time to pay is over, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn unpaid_applications(
        &self,
        now: Timestamp,
        limit: u64,
    ) -> Result<Vec<StoredApplication>, StoreError> {
        use certificate_application::Column;
        self.read("find_unpaid", async {
            let rows = certificate_application::Entity::find()
                .filter(Column::PayUntil.lte(now.as_microsecond()))
                .order_by_asc(Column::PayUntil)
                .limit(limit)
                .all(&self.inner.db)
                .await?;
            rows.into_iter()
                .map(|row| read_application(row, Vec::new()))
                .collect()
        })
        .await
    }
}

async fn open_with(tx: &DatabaseTransaction, key: &str) -> Result<Option<Uuid>, StoreError> {
    let open = certificate_application::Entity::find()
        .filter(certificate_application::Column::OpenKey.eq(key))
        .one(tx)
        .await?;
    Ok(open.map(|row| row.id))
}

/// The table of the applications.
pub(super) const TABLE: &str = "certificate_application";

/// What the steps so far mean to the clock, oldest first.
async fn steps_before(
    tx: &DatabaseTransaction,
    id: Uuid,
) -> Result<Vec<(Timestamp, ClockEffect)>, StoreError> {
    let steps = application_step::Entity::find()
        .filter(application_step::Column::ApplicationId.eq(id))
        .order_by_asc(application_step::Column::Step)
        .all(tx)
        .await?;
    let effect = |step: application_step::Model| {
        let state: ApplicationState = known(&step.state, "application_step.state")?;
        Ok((instant(step.change_time)?, state.clock()))
    };
    steps.into_iter().map(effect).collect()
}

/// How many steps an application has. Who changes it holds its row.
pub(super) async fn steps_so_far(tx: &DatabaseTransaction, id: Uuid) -> Result<i32, StoreError> {
    let count = application_step::Entity::find()
        .filter(application_step::Column::ApplicationId.eq(id))
        .count(tx)
        .await?;
    i32::try_from(count).map_err(|_| StoreError::Corrupt("application_step.step"))
}

pub(super) async fn put_steps(
    tx: &DatabaseTransaction,
    context: &ActContext,
    id: Uuid,
    first: i32,
    steps: &[NewStep],
) -> Result<(), StoreError> {
    if steps.is_empty() {
        return Ok(());
    }
    let rows = (first..).zip(steps).map(|(place, step)| {
        Ok(application_step::ActiveModel {
            application_id: Set(id),
            step: Set(place),
            state: Set(step.state.as_str().to_owned()),
            change_time: Set(context.now.as_microsecond()),
            actor: Set(if step.by_service {
                BY_SERVICE.to_owned()
            } else {
                context.actor.clone()
            }),
            decider: Set(step.decider.clone()),
            decider_hash: Set(step.decider_hash.clone()),
            reason: Set(step.reason.clone()),
            remarks: Set(to_json(&remarks_to(&step.remarks))?),
        })
    });
    let rows = rows.collect::<Result<Vec<_>, StoreError>>()?;
    application_step::Entity::insert_many(rows)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// The actor of what the service does by its rules.
pub(crate) const BY_SERVICE: &str = "service/workflow";

/// One act for each state that is entered.
fn acts(change: &ApplicationChange, after: ApplicationState) -> Vec<Act> {
    let act = |action, from: Option<ApplicationState>, to: ApplicationState| Act {
        resource: application_name(change.id),
        action,
        from: from.map_or_else(String::new, |state| state.as_str().to_owned()),
        to: to.as_str().to_owned(),
        subject_hash: change.subject_hash.clone(),
        institution_code: change.content.institution.as_str().to_owned(),
        ..Act::default()
    };
    let mut from = change.before.map(|(state, _)| state);
    if change.steps.is_empty() {
        return vec![act("UPDATE", from, after)];
    }
    let entered = change.steps.iter().map(|step| {
        let act = Act {
            on_behalf: step.decider.clone(),
            ..act(step.action, from, step.state)
        };
        from = Some(step.state);
        act
    });
    entered.collect()
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RemarkJson {
    field: String,
    text: String,
}

pub(crate) fn remarks_to(remarks: &[Remark]) -> Vec<RemarkJson> {
    let json = |remark: &Remark| RemarkJson {
        field: remark.field.clone(),
        text: remark.text.as_str().to_owned(),
    };
    remarks.iter().map(json).collect()
}

pub(super) fn remarks_read(stored: &str) -> Result<Vec<Remark>, StoreError> {
    remarks_of(from_json(stored, "application_step.remarks")?)
}

pub(crate) fn remarks_of(stored: Vec<RemarkJson>) -> Result<Vec<Remark>, StoreError> {
    let remarks = stored.into_iter().map(|remark| {
        Ok(Remark {
            field: remark.field,
            text: DisplayText::parse(&remark.text, TEXT_MAX)
                .map_err(|_| StoreError::Corrupt("application_step.remarks"))?,
        })
    });
    remarks.collect()
}

/// An application that was issued in the call that made it stands here with what its
/// certificate says.
#[derive(Serialize, Deserialize)]
struct ApplicationJson {
    request_type: String,
    window_reference: String,
    subject: SubjectJson,
    #[serde(default)]
    institution: Option<String>,
    #[serde(default)]
    student_number: Option<String>,
    #[serde(default, skip_serializing)]
    program: Option<ProgramJson>,
    purpose: String,
    addressee_fa: String,
    addressee_en: Option<String>,
    #[serde(default)]
    replaces: Option<String>,
    #[serde(default)]
    paper: Option<PaperJson>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<AttachmentJson>,
    quote: Option<QuoteJson>,
    workflow: String,
    #[serde(default)]
    documents: i64,
    #[serde(default)]
    agreement: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_micros: Option<i64>,
}

fn application_json(content: &ApplicationContent) -> Result<String, StoreError> {
    to_json(&ApplicationJson {
        request_type: content.request_type.as_str().to_owned(),
        window_reference: content.window_reference.clone(),
        subject: (&content.subject).into(),
        institution: Some(content.institution.as_str().to_owned()),
        student_number: Some(content.student_number.as_str().to_owned()),
        program: None,
        purpose: content.purpose.as_str().to_owned(),
        addressee_fa: content.addressee_fa.clone(),
        addressee_en: content.addressee_en.clone(),
        replaces: content.replaces.map(|id| id.to_string()),
        paper: content.paper.as_ref().map(PaperJson::from),
        attachments: attachments_json(&content.attachments),
        quote: content.quote.as_ref().map(QuoteJson::from),
        workflow: content.workflow_version.clone(),
        documents: content.documents,
        agreement: content.agreement.clone(),
        due_micros: content.due_time.map(Timestamp::as_microsecond),
    })
}

pub(super) fn application_content(stored: &str) -> Result<ApplicationContent, StoreError> {
    let json: ApplicationJson = from_json(stored, "application content")?;
    let corrupt = StoreError::Corrupt("application content");
    let program = json.program.map(ProgramJson::read).transpose()?;
    let (institution, student_number) = match (json.institution, json.student_number, program) {
        (Some(institution), Some(number), _) => (
            InstitutionCode::parse(&institution).map_err(|_| corrupt.clone())?,
            StudentNumber::parse(&number).map_err(|_| corrupt)?,
        ),
        (_, _, Some(program)) => (program.institution, program.student_number),
        _ => return Err(corrupt),
    };
    Ok(ApplicationContent {
        request_type: known(&json.request_type, "request type")?,
        window_reference: json.window_reference,
        subject: json.subject.read()?,
        institution,
        student_number,
        purpose: known(&json.purpose, "purpose")?,
        addressee_fa: json.addressee_fa,
        addressee_en: json.addressee_en,
        replaces: json
            .replaces
            .map(|id| known(&id, "application replaces"))
            .transpose()?,
        paper: json.paper.map(PaperJson::read).transpose()?,
        attachments: attachments_read(json.attachments)?,
        quote: json.quote.map(QuoteJson::read).transpose()?,
        workflow_version: json.workflow,
        documents: json.documents,
        agreement: json.agreement,
        due_time: json.due_micros.map(instant).transpose()?,
    })
}

/// Prints nothing: it is about a student as a whole.
impl std::fmt::Debug for ApplicationContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApplicationContent(…)")
    }
}

/// Prints nothing: the number leads to a student.
impl std::fmt::Debug for Paper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Paper(…)")
    }
}
