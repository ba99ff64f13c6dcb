//! Match-only validation: what somebody claims of a document is compared with it, and nothing of the document is told.

use std::fmt;

use crate::{
    agreement::AgreementField,
    calendar::JalaliDate,
    enums::text_enum,
    identity::PersonId,
    institution::InstitutionCode,
    program::{DegreeLevel, Program, StudentNumber},
    record::Subject,
    text::DisplayText,
    validity::{DocumentFacts, DocumentKind},
};

text_enum! {
    /// What came of one claim.
    pub enum MatchResult {
        /// It is what the document says.
        Match = "MATCH",
        /// The document says something else.
        NoMatch = "NO_MATCH",
        /// It was not claimed, the document does not say it, or there is no document to compare it with.
        NotCompared = "NOT_COMPARED",
    }
}

/// What is claimed of a document; `None` is not claimed.
///
/// The person is claimed always: of somebody else's document nothing is compared, so that nobody can find out by trying
/// what it says of a person they do not know.
#[derive(Clone, PartialEq, Eq)]
pub struct Claims {
    /// The person.
    pub person: PersonId,
    /// Given name in Persian.
    pub given_name_fa: Option<DisplayText>,
    /// Family name in Persian.
    pub family_name_fa: Option<DisplayText>,
    /// Given name in Latin script.
    pub given_name_en: Option<DisplayText>,
    /// Family name in Latin script.
    pub family_name_en: Option<DisplayText>,
    /// Father's name in Persian.
    pub father_name_fa: Option<DisplayText>,
    /// Date of birth.
    pub birth_date: Option<JalaliDate>,
    /// The institution, by its registered code.
    pub institution: Option<InstitutionCode>,
    /// Student number.
    pub student_number: Option<StudentNumber>,
    /// Degree level.
    pub degree_level: Option<DegreeLevel>,
    /// Code of the field of study.
    pub field_code: Option<String>,
    /// Kind of document.
    pub document_kind: Option<DocumentKind>,
    /// Number of the document on paper.
    pub document_number: Option<String>,
    /// Date of issue on paper.
    pub document_issue_date: Option<JalaliDate>,
}

impl Claims {
    /// The claims about what is agreed on; the others are as if they had not been made. The person is claimed always, and what
    /// else says who somebody is goes with the name.
    #[must_use]
    pub fn within(mut self, agreed: impl Fn(AgreementField) -> bool) -> Self {
        if !agreed(AgreementField::Name) {
            self.given_name_fa = None;
            self.family_name_fa = None;
            self.given_name_en = None;
            self.family_name_en = None;
            self.father_name_fa = None;
            self.birth_date = None;
        }
        if !agreed(AgreementField::Institution) {
            self.institution = None;
        }
        if !agreed(AgreementField::Program) {
            self.student_number = None;
            self.degree_level = None;
            self.field_code = None;
        }
        if !agreed(AgreementField::Document) {
            self.document_kind = None;
            self.document_number = None;
            self.document_issue_date = None;
        }
        self
    }
}

/// What a document says.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The student.
    pub subject: &'a Subject,
    /// The programme.
    pub program: &'a Program,
    /// The paper that a validity code is about; an enrollment certificate is about none.
    pub document: Option<&'a DocumentFacts>,
}

/// The claims by their names, each with what came of it.
pub type Compared = [(&'static str, MatchResult); 14];

/// Compares what is claimed with what the document says, if there is one. Persian names are compared by their match key,
/// Latin ones without regard to case, spaces and diacritics, everything else exactly.
#[must_use]
pub fn compare(claims: &Claims, facts: Option<Facts<'_>>) -> Compared {
    let person = facts.map(|facts| claims.person == facts.subject.person_id);
    let facts = facts.filter(|_| person == Some(true));
    let name = facts.map(|facts| &facts.subject.name);
    let document = facts.and_then(|facts| facts.document);
    let text = |claim: &Option<DisplayText>, said: Option<&DisplayText>| of(claim, said, same_text);
    [
        ("person_id", person.map_or(MatchResult::NotCompared, result)),
        (
            "given_name_fa",
            text(&claims.given_name_fa, name.map(|name| name.given_fa())),
        ),
        (
            "family_name_fa",
            text(
                &claims.family_name_fa,
                name.and_then(|name| name.family_fa()),
            ),
        ),
        (
            "given_name_en",
            text(&claims.given_name_en, name.and_then(|name| name.given_en())),
        ),
        (
            "family_name_en",
            text(
                &claims.family_name_en,
                name.and_then(|name| name.family_en()),
            ),
        ),
        (
            "father_name_fa",
            text(
                &claims.father_name_fa,
                facts.and_then(|facts| facts.subject.father_name_fa.as_ref()),
            ),
        ),
        (
            "birth_date",
            same(
                &claims.birth_date,
                facts.and_then(|facts| facts.subject.birth_date.as_ref()),
            ),
        ),
        (
            "institution_code",
            same(
                &claims.institution,
                facts.map(|facts| &facts.program.institution),
            ),
        ),
        (
            "student_number",
            same(
                &claims.student_number,
                facts.map(|facts| &facts.program.student_number),
            ),
        ),
        (
            "degree_level",
            same(
                &claims.degree_level,
                facts.map(|facts| &facts.program.level),
            ),
        ),
        (
            "field_code",
            same(
                &claims.field_code,
                facts.map(|facts| &facts.program.field_code),
            ),
        ),
        (
            "document_kind",
            same(
                &claims.document_kind,
                document.map(|document| &document.kind),
            ),
        ),
        (
            "document_number",
            same(
                &claims.document_number,
                document.and_then(|document| document.number.as_ref()),
            ),
        ),
        (
            "document_issue_date",
            same(
                &claims.document_issue_date,
                document.and_then(|document| document.issue_date.as_ref()),
            ),
        ),
    ]
}

fn same<T: PartialEq>(claim: &Option<T>, said: Option<&T>) -> MatchResult {
    of(claim, said, T::eq)
}

fn of<T>(claim: &Option<T>, said: Option<&T>, equal: impl Fn(&T, &T) -> bool) -> MatchResult {
    match (claim, said) {
        (Some(claim), Some(said)) => result(equal(claim, said)),
        _ => MatchResult::NotCompared,
    }
}

fn same_text(claim: &DisplayText, said: &DisplayText) -> bool {
    let key = |text: &DisplayText| text.match_key().as_str().to_lowercase();
    key(claim) == key(said)
}

const fn result(matches: bool) -> MatchResult {
    if matches {
        MatchResult::Match
    } else {
        MatchResult::NoMatch
    }
}

/// Prints nothing: it is about a person.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claims(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{NationalCode, PersonName};
    use crate::program::tests::program;

    fn person(code: &str) -> PersonId {
        PersonId::National(NationalCode::parse(code).unwrap())
    }

    fn text(text: &str) -> Option<DisplayText> {
        Some(DisplayText::parse(text, 60).unwrap())
    }

    fn date(year: i32) -> Option<JalaliDate> {
        Some(JalaliDate::new(year, 2, 3).unwrap())
    }

    fn subject() -> Subject {
        Subject {
            person_id: person("7730942860"),
            name: PersonName::parse("علی‌رضا", "رضایی", "Ali Reza", "Rezaei", false).unwrap(),
            father_name_fa: text("مؤمن"),
            birth_date: date(1380),
            gender: None,
            nationality: None,
        }
    }

    fn paper() -> DocumentFacts {
        DocumentFacts {
            kind: DocumentKind::Degree,
            number: Some("A-7".to_owned()),
            issue_date: date(1404),
            start_date: None,
            end_date: None,
            gpa_hundredths: None,
        }
    }

    fn nothing_but(person: PersonId) -> Claims {
        Claims {
            person,
            given_name_fa: None,
            family_name_fa: None,
            given_name_en: None,
            family_name_en: None,
            father_name_fa: None,
            birth_date: None,
            institution: None,
            student_number: None,
            degree_level: None,
            field_code: None,
            document_kind: None,
            document_number: None,
            document_issue_date: None,
        }
    }

    /// Everything as the document says it, spelled otherwise where spelling does not matter.
    fn all(program: &Program) -> Claims {
        Claims {
            given_name_fa: text("علي رضا"),
            family_name_fa: text("رضايي"),
            given_name_en: text("ALIREZA"),
            family_name_en: text("rezaei"),
            father_name_fa: text("مومن"),
            birth_date: date(1380),
            institution: Some(program.institution.clone()),
            student_number: Some(program.student_number.clone()),
            degree_level: Some(program.level),
            field_code: Some(program.field_code.clone()),
            document_kind: Some(DocumentKind::Degree),
            document_number: Some("A-7".to_owned()),
            document_issue_date: date(1404),
            ..nothing_but(person("7730942860"))
        }
    }

    fn results(compared: Compared) -> Vec<MatchResult> {
        compared.map(|(_, result)| result).to_vec()
    }

    #[test]
    fn what_the_document_says_matches_however_it_is_spelled() {
        let (subject, program, paper) = (subject(), program(), paper());
        let facts = Facts {
            subject: &subject,
            program: &program,
            document: Some(&paper),
        };
        let compared = compare(&all(&program), Some(facts));
        assert_eq!(results(compared), [MatchResult::Match; 14], "{compared:?}");
    }

    #[test]
    fn each_claim_that_differs_is_told_alone() {
        let (subject, program, paper) = (subject(), program(), paper());
        let facts = Facts {
            subject: &subject,
            program: &program,
            document: Some(&paper),
        };
        type Change = (&'static str, fn(&mut Claims));
        let changes: [Change; 13] = [
            ("given_name_fa", |c| c.given_name_fa = text("علی")),
            ("family_name_fa", |c| c.family_name_fa = text("رضا")),
            ("given_name_en", |c| c.given_name_en = text("Ali")),
            ("family_name_en", |c| c.family_name_en = text("Reza")),
            ("father_name_fa", |c| c.father_name_fa = text("حسن")),
            ("birth_date", |c| c.birth_date = date(1381)),
            ("institution_code", |c| {
                c.institution = Some(InstitutionCode::parse("X-9").unwrap());
            }),
            ("student_number", |c| {
                c.student_number = Some(StudentNumber::parse("99999").unwrap());
            }),
            ("degree_level", |c| {
                c.degree_level = Some(DegreeLevel::Associate)
            }),
            ("field_code", |c| c.field_code = Some("Z9".to_owned())),
            ("document_kind", |c| {
                c.document_kind = Some(DocumentKind::Transcript)
            }),
            ("document_number", |c| {
                c.document_number = Some("A-8".to_owned())
            }),
            ("document_issue_date", |c| {
                c.document_issue_date = date(1403)
            }),
        ];
        for (name, change) in changes {
            let mut claims = all(&program);
            change(&mut claims);
            for (field, result) in compare(&claims, Some(facts)) {
                let expected = match field == name {
                    true => MatchResult::NoMatch,
                    false => MatchResult::Match,
                };
                assert_eq!(result, expected, "{name}: {field}");
            }
        }
    }

    #[test]
    fn what_is_not_claimed_or_not_said_is_not_compared() {
        let (mut subject, program) = (subject(), program());
        let facts = Facts {
            subject: &subject,
            program: &program,
            document: None,
        };
        let compared = results(compare(&nothing_but(person("7730942860")), Some(facts)));
        assert_eq!(compared[0], MatchResult::Match);
        assert_eq!(compared[1..], [MatchResult::NotCompared; 13]);
        // A certificate is about no paper.
        let compared = results(compare(&all(&program), Some(facts)));
        assert_eq!(compared[11..], [MatchResult::NotCompared; 3]);
        subject.father_name_fa = None;
        subject.birth_date = None;
        let facts = Facts {
            subject: &subject,
            program: &program,
            document: None,
        };
        let compared = results(compare(&all(&program), Some(facts)));
        assert_eq!(compared[5..7], [MatchResult::NotCompared; 2]);
    }

    #[test]
    fn of_another_persons_document_or_of_none_nothing_is_compared() {
        let (subject, program, paper) = (subject(), program(), paper());
        let facts = Facts {
            subject: &subject,
            program: &program,
            document: Some(&paper),
        };
        let claims = Claims {
            person: person("3974017844"),
            ..all(&program)
        };
        let compared = results(compare(&claims, Some(facts)));
        assert_eq!(compared[0], MatchResult::NoMatch);
        assert_eq!(compared[1..], [MatchResult::NotCompared; 13]);
        let compared = results(compare(&all(&program), None));
        assert_eq!(compared, [MatchResult::NotCompared; 14]);
    }
}
