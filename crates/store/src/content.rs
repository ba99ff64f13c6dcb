//! The JSON form of what is stored whole: subjects, programmes, documents,
//! quotes. Reading back goes through the same parsers as the edge, so a row that
//! breaks a rule is found out as corrupt instead of being believed.

use gavah_domain::attachment::{Attachment, FileDigest};
use gavah_domain::institution::InstitutionCode;
use gavah_domain::program::{Program, ProgramInput};
use gavah_domain::record::{EnrollmentRecord, Subject};
use gavah_domain::tariff::{Quote, QuoteGround};
use gavah_domain::validity::DocumentFacts;
use gavah_domain::{DisplayText, JalaliDate, Money, PersonId, PersonName, TermId};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// Longest text any stored display form has.
pub(crate) const TEXT_MAX: usize = 400;

pub(crate) fn to_json(content: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(content).map_err(|_| StoreError::Corrupt("content to write"))
}

pub(crate) fn from_json<T: DeserializeOwned>(
    text: &str,
    place: &'static str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt(place))
}

/// A stored enum or key that must read back.
pub(crate) fn known<T: std::str::FromStr>(
    text: &str,
    place: &'static str,
) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt(place))
}

pub(crate) fn instant(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|_| StoreError::Corrupt("instant"))
}

fn date(number: i32) -> Result<JalaliDate, StoreError> {
    JalaliDate::from_i32(number).map_err(|_| StoreError::Corrupt("date"))
}

fn optional_date(number: Option<i32>) -> Result<Option<JalaliDate>, StoreError> {
    number.map(date).transpose()
}

fn text(stored: &str) -> Result<DisplayText, StoreError> {
    DisplayText::parse(stored, TEXT_MAX).map_err(|_| StoreError::Corrupt("text"))
}

fn own(text: Option<&DisplayText>) -> Option<String> {
    text.map(|text| text.as_str().to_owned())
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SubjectJson {
    person: String,
    given_fa: String,
    family_fa: Option<String>,
    given_en: Option<String>,
    family_en: Option<String>,
    father_fa: Option<String>,
    birth_date: Option<i32>,
    gender: Option<String>,
    nationality: Option<String>,
}

impl From<&Subject> for SubjectJson {
    fn from(subject: &Subject) -> Self {
        let name = &subject.name;
        Self {
            person: subject.person_id.key(),
            given_fa: name.given_fa().as_str().to_owned(),
            family_fa: own(name.family_fa()),
            given_en: own(name.given_en()),
            family_en: own(name.family_en()),
            father_fa: own(subject.father_name_fa.as_ref()),
            birth_date: subject.birth_date.map(JalaliDate::as_i32),
            gender: subject.gender.map(|gender| gender.as_str().to_owned()),
            nationality: subject.nationality.clone(),
        }
    }
}

impl SubjectJson {
    pub(crate) fn read(self) -> Result<Subject, StoreError> {
        let corrupt = StoreError::Corrupt("subject");
        let part = |part: Option<String>| part.unwrap_or_default();
        let no_family_name = self.family_fa.is_none();
        Ok(Subject {
            person_id: PersonId::from_key(&self.person).map_err(|_| corrupt.clone())?,
            name: PersonName::parse(
                &self.given_fa,
                &part(self.family_fa),
                &part(self.given_en),
                &part(self.family_en),
                no_family_name,
            )
            .map_err(|_| corrupt)?,
            father_name_fa: self.father_fa.as_deref().map(text).transpose()?,
            birth_date: optional_date(self.birth_date)?,
            gender: self
                .gender
                .map(|gender| known(&gender, "gender"))
                .transpose()?,
            nationality: self.nationality,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ProgramJson {
    institution: String,
    unit_fa: Option<String>,
    student_number: String,
    level: String,
    field_code: String,
    field_fa: String,
    field_en: Option<String>,
    mode: String,
    entry_term: String,
}

impl From<&Program> for ProgramJson {
    fn from(program: &Program) -> Self {
        Self {
            institution: program.institution.as_str().to_owned(),
            unit_fa: own(program.unit_name_fa.as_ref()),
            student_number: program.student_number.as_str().to_owned(),
            level: program.level.as_str().to_owned(),
            field_code: program.field_code.clone(),
            field_fa: program.field_title_fa.as_str().to_owned(),
            field_en: own(program.field_title_en.as_ref()),
            mode: program.study_mode.as_str().to_owned(),
            entry_term: program.entry_term.to_string(),
        }
    }
}

impl ProgramJson {
    pub(crate) fn read(self) -> Result<Program, StoreError> {
        Program::parse(ProgramInput {
            institution: InstitutionCode::parse(&self.institution)
                .map_err(|_| StoreError::Corrupt("institution code"))?,
            unit_name_fa: self.unit_fa.as_deref().unwrap_or_default(),
            student_number: &self.student_number,
            degree_level: Some(known(&self.level, "degree level")?),
            field_code: &self.field_code,
            field_title_fa: &self.field_fa,
            field_title_en: self.field_en.as_deref().unwrap_or_default(),
            study_mode: Some(known(&self.mode, "study mode")?),
            entry_term: Some(TermId::parse(&self.entry_term)),
        })
        .map_err(|_| StoreError::Corrupt("program"))
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct DocumentJson {
    kind: String,
    number: Option<String>,
    issue_date: Option<i32>,
    start_date: Option<i32>,
    end_date: Option<i32>,
    gpa: Option<u16>,
}

impl From<&DocumentFacts> for DocumentJson {
    fn from(facts: &DocumentFacts) -> Self {
        Self {
            kind: facts.kind.as_str().to_owned(),
            number: facts.number.clone(),
            issue_date: facts.issue_date.map(JalaliDate::as_i32),
            start_date: facts.start_date.map(JalaliDate::as_i32),
            end_date: facts.end_date.map(JalaliDate::as_i32),
            gpa: facts.gpa_hundredths,
        }
    }
}

impl DocumentJson {
    pub(crate) fn read(self) -> Result<DocumentFacts, StoreError> {
        Ok(DocumentFacts {
            kind: known(&self.kind, "document kind")?,
            number: self.number,
            issue_date: optional_date(self.issue_date)?,
            start_date: optional_date(self.start_date)?,
            end_date: optional_date(self.end_date)?,
            gpa_hundredths: self.gpa,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct QuoteJson {
    basis: String,
    amount: Option<i64>,
    unit: Option<String>,
    year: i32,
    evidence: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tariff_version: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

impl From<&Quote> for QuoteJson {
    fn from(quote: &Quote) -> Self {
        Self {
            basis: quote.basis.as_str().to_owned(),
            amount: quote.fee.map(|fee| fee.amount),
            unit: quote.fee.map(|fee| fee.unit.as_str().to_owned()),
            year: quote.year,
            evidence: quote.evidence.clone(),
            tariff_version: quote.ground.as_ref().map(|ground| ground.version),
            digest: quote.ground.as_ref().map(|ground| ground.digest.clone()),
        }
    }
}

impl QuoteJson {
    pub(crate) fn read(self) -> Result<Quote, StoreError> {
        let fee = match (self.amount, self.unit) {
            (Some(amount), Some(unit)) => Some(Money::new(amount, known(&unit, "money unit")?)),
            (None, None) => None,
            _ => return Err(StoreError::Corrupt("quote")),
        };
        let ground = match (self.tariff_version, self.digest) {
            (Some(version), Some(digest)) => Some(QuoteGround { version, digest }),
            (None, None) => None,
            _ => return Err(StoreError::Corrupt("quote")),
        };
        Ok(Quote {
            basis: known(&self.basis, "quote basis")?,
            fee,
            year: self.year,
            evidence: self.evidence,
            ground,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RecordJson {
    subject: SubjectJson,
    program: ProgramJson,
    current_term: String,
    units: u8,
    status_date: Option<i32>,
    expected_graduation: Option<i32>,
    blocks: Vec<String>,
    external_ref: String,
}

impl From<&EnrollmentRecord> for RecordJson {
    fn from(record: &EnrollmentRecord) -> Self {
        Self {
            subject: (&record.subject).into(),
            program: (&record.program).into(),
            current_term: record.current_term.to_string(),
            units: record.registered_units,
            status_date: record.status_effective_date.map(JalaliDate::as_i32),
            expected_graduation: record.expected_graduation_date.map(JalaliDate::as_i32),
            blocks: record
                .blocks
                .iter()
                .map(|block| block.as_str().to_owned())
                .collect(),
            external_ref: record.external_ref.clone(),
        }
    }
}

impl RecordJson {
    pub(crate) fn read(
        self,
        status: &str,
        as_of: i64,
        received: i64,
    ) -> Result<EnrollmentRecord, StoreError> {
        let blocks = self
            .blocks
            .iter()
            .map(|block| known(block, "block"))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(EnrollmentRecord {
            subject: self.subject.read()?,
            program: self.program.read()?,
            status: known(status, "enrollment status")?,
            current_term: TermId::parse(&self.current_term)
                .map_err(|_| StoreError::Corrupt("term"))?,
            registered_units: self.units,
            status_effective_date: optional_date(self.status_date)?,
            expected_graduation_date: optional_date(self.expected_graduation)?,
            blocks,
            external_ref: self.external_ref,
            as_of_time: instant(as_of)?,
            receive_time: instant(received)?,
        })
    }
}

/// A file of an application.
#[derive(Serialize, Deserialize)]
pub(crate) struct AttachmentJson {
    kind: String,
    file: String,
}

pub(crate) fn attachments_json(attachments: &[Attachment]) -> Vec<AttachmentJson> {
    let json = |attachment: &Attachment| AttachmentJson {
        kind: attachment.kind.as_str().to_owned(),
        file: attachment.file.to_string(),
    };
    attachments.iter().map(json).collect()
}

pub(crate) fn attachments_read(stored: Vec<AttachmentJson>) -> Result<Vec<Attachment>, StoreError> {
    let read = |json: AttachmentJson| {
        Ok(Attachment {
            kind: known(&json.kind, "attachment kind")?,
            file: FileDigest::parse(&json.file)
                .map_err(|_| StoreError::Corrupt("attachment file"))?,
        })
    };
    stored.into_iter().map(read).collect()
}
