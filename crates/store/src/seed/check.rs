//! What can be known of a seed without the database.

use std::collections::HashSet;

use gavah_domain::agreement::{AgreementField, AgreementPurpose, AgreementState};
use gavah_domain::attachment::AttachmentKind;
use gavah_domain::caller::CallerId;
use gavah_domain::certificate::{Purpose, RequestType};
use gavah_domain::institution::{InstitutionCode, InstitutionType};
use gavah_domain::service::{PaymentPosition, ServiceCallState, ServiceKind};
use gavah_domain::tariff::ISSUE;
use gavah_domain::validity::{DocumentKind, UniquePart};
use gavah_domain::{JalaliDate, LegalEntityId, MoneyUnit, TermId, TermKind};

use super::{
    AgreementSeed, AgreementTextSeed, CallSeed, Seed, SeedError, TariffRowSeed, TariffSeed,
    TermSeed, WorkflowSeed,
};

/// Most rows of one tariff table.
const TARIFF_ROWS_MAX: usize = 1000;

/// Greatest length of a legal reference, in bytes.
const REFERENCE_MAX_BYTES: usize = 400;

/// Collects the places that are wrong.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn unless(&mut self, ok: bool, place: impl FnOnce() -> String) {
        if !ok {
            self.0.push(place());
        }
    }
}

impl Seed {
    /// Checks every entry. References to entries that an earlier seed may have
    /// loaded are checked when this one is loaded.
    ///
    /// # Errors
    ///
    /// [`SeedError`] with every wrong entry.
    pub fn check(&self) -> Result<(), SeedError> {
        let mut wrong = Wrong::default();
        for (index, term) in self.term.iter().enumerate() {
            check_term(term, &format!("term[{index}]"), &mut wrong);
        }
        for (index, workflow) in self.workflow.iter().enumerate() {
            check_workflow(workflow, &format!("workflow[{index}]"), &mut wrong);
        }
        for (index, call) in self.call.iter().enumerate() {
            check_call(call, &format!("call[{index}]"), &mut wrong);
        }
        for (index, agreement) in self.agreement.iter().enumerate() {
            check_agreement(agreement, &format!("agreement[{index}]"), &mut wrong);
        }
        for (index, text) in self.agreement_text.iter().enumerate() {
            check_text(text, &format!("agreement_text[{index}]"), &mut wrong);
        }
        for (index, tariff) in self.tariff.iter().enumerate() {
            check_tariff(tariff, &format!("tariff[{index}]"), &mut wrong);
        }
        self.check_doubles(&mut wrong);
        if wrong.0.is_empty() {
            Ok(())
        } else {
            Err(SeedError(wrong.0))
        }
    }

    /// An entry given twice would silently win over the first.
    fn check_doubles(&self, wrong: &mut Wrong) {
        let mut seen = HashSet::new();
        let mut once = |list: &str, index: usize, key: String| {
            let new = seen.insert((list.to_owned(), key));
            wrong.unless(new, || format!("{list}[{index}] is given twice"));
        };
        for (index, term) in self.term.iter().enumerate() {
            once(
                "term",
                index,
                format!("{} {}", term.academic_year, term.kind),
            );
        }
        for (index, workflow) in self.workflow.iter().enumerate() {
            once("workflow", index, workflow.id.clone());
        }
        for (index, call) in self.call.iter().enumerate() {
            once("call", index, call.id.clone());
        }
        for (index, agreement) in self.agreement.iter().enumerate() {
            for consumer in &agreement.consumers {
                once("agreement", index, format!("{}/{consumer}", agreement.id));
            }
        }
        for (index, text) in self.agreement_text.iter().enumerate() {
            let key = format!("{} {}", text.service, text.version);
            once("agreement_text", index, key);
        }
        for (index, tariff) in self.tariff.iter().enumerate() {
            once("tariff", index, tariff.year.to_string());
        }
    }
}

fn check_term(term: &TermSeed, at: &str, wrong: &mut Wrong) {
    let kind = term.kind.parse::<TermKind>();
    wrong.unless(kind.is_ok(), || format!("{at}.kind"));
    let known_year = TermId::new(term.academic_year, kind.unwrap_or(TermKind::First)).is_ok();
    wrong.unless(known_year, || format!("{at}.academic_year"));
    let dates = JalaliDate::parse(&term.start)
        .ok()
        .zip(JalaliDate::parse(&term.end).ok());
    let ordered = dates.is_some_and(|(start, end)| start <= end);
    wrong.unless(ordered, || format!("{at}.start/end"));
}

fn check_workflow(workflow: &WorkflowSeed, at: &str, wrong: &mut Wrong) {
    wrong.unless(!workflow.id.is_empty(), || format!("{at}.id"));
    let service = workflow.service.parse::<ServiceKind>();
    wrong.unless(service.is_ok(), || format!("{at}.service"));
    let position = workflow.rules.payment_position.parse::<PaymentPosition>();
    wrong.unless(position.is_ok(), || format!("{at}.rules.payment_position"));
    let rules = &workflow.rules;
    // Otherwise nothing could ever be confirmed.
    wrong.unless(rules.auto_confirm || rules.university_review, || {
        format!("{at}.rules.auto_confirm")
    });
    // What the Organization reviews of codes was handed in as an application.
    let reviews_codes = service == Ok(ServiceKind::ValidityCode) && rules.organization_review;
    wrong.unless(!reviews_codes || rules.university_review, || {
        format!("{at}.rules.organization_review")
    });
    wrong.unless(rules.organization_review_percent <= 100, || {
        format!("{at}.rules.organization_review_percent")
    });
    let mut purposes = rules.outlives_enrollment.iter();
    wrong.unless(purposes.all(|it| it.parse::<Purpose>().is_ok()), || {
        format!("{at}.rules.outlives_enrollment")
    });
    for (index, required) in rules.required_attachments.iter().enumerate() {
        let at = format!("{at}.rules.required_attachments[{index}]");
        let kind = required.kind.parse::<AttachmentKind>();
        wrong.unless(kind.is_ok(), || format!("{at}.kind"));
        let only_for = required.only_for.as_deref();
        // A name that nothing bears would make the rule bind nobody.
        let known = only_for.is_none_or(|only_for| match service {
            Ok(ServiceKind::EnrollmentCertificate) => only_for.parse::<RequestType>().is_ok(),
            Ok(ServiceKind::ValidityCode) => only_for.parse::<DocumentKind>().is_ok(),
            Err(_) => true,
        });
        wrong.unless(known, || format!("{at}.only_for"));
    }
    let codes = &rules.codes;
    wrong.unless(codes.read().is_ok(), || format!("{at}.rules.codes"));
    // Otherwise a refusal would tell one institution what another has issued.
    let institution = UniquePart::Institution.as_str();
    wrong.unless(
        codes.unique_by.iter().any(|part| part == institution),
        || format!("{at}.rules.codes.unique_by"),
    );
    let mut chains = codes.prior_levels.values();
    wrong.unless(chains.all(|accepted| !accepted.is_empty()), || {
        format!("{at}.rules.codes.prior_levels")
    });
    let mut months = codes.valid_months.values();
    wrong.unless(months.all(|months| *months > 0), || {
        format!("{at}.rules.codes.valid_months")
    });
}

fn check_call(call: &CallSeed, at: &str, wrong: &mut Wrong) {
    wrong.unless(!call.id.is_empty(), || format!("{at}.id"));
    let service = call.service.parse::<ServiceKind>();
    wrong.unless(service.is_ok(), || format!("{at}.service"));
    let state = call.state.parse::<ServiceCallState>();
    wrong.unless(state.is_ok(), || format!("{at}.state"));
    let opens = JalaliDate::parse(&call.opens).ok();
    wrong.unless(opens.is_some(), || format!("{at}.opens"));
    let closes = call.closes.as_deref().map(JalaliDate::parse);
    let in_order = match closes {
        None => true,
        Some(Ok(closes)) => opens.is_none_or(|opens| opens <= closes),
        Some(Err(_)) => false,
    };
    wrong.unless(in_order, || format!("{at}.closes"));
    let mut types = call.eligible_types.iter();
    let known = types.all(|kind| kind.parse::<InstitutionType>().is_ok());
    wrong.unless(known, || format!("{at}.eligible_types"));
    let mut kinds = call.document_kinds.iter();
    let known = kinds.all(|kind| kind.parse::<DocumentKind>().is_ok());
    wrong.unless(known, || format!("{at}.document_kinds"));
    for (request_type, hours) in &call.sla_targets {
        // A promise for a type that nobody asks for would never be kept or broken.
        let may = service
            .as_ref()
            .map_or(true, |service| service.may_promise(request_type, *hours));
        wrong.unless(may, || format!("{at}.sla_targets.{request_type}"));
    }
}

fn check_agreement(agreement: &AgreementSeed, at: &str, wrong: &mut Wrong) {
    wrong.unless(!agreement.id.is_empty(), || format!("{at}.id"));
    let state = agreement.state.parse::<AgreementState>();
    wrong.unless(state.is_ok(), || format!("{at}.state"));
    let named = |consumer: &String| match consumer.split_once('/') {
        Some(("institutions", code)) => InstitutionCode::parse(code).is_ok(),
        Some(("callers", id)) => CallerId::parse(id).is_ok(),
        Some(("agencies", id)) => LegalEntityId::parse(id).is_ok() && agreement.through.is_some(),
        _ => false,
    };
    wrong.unless(agreement.consumers.iter().all(named), || {
        format!("{at}.consumers")
    });
    let agencies = |consumer: &String| consumer.starts_with("agencies/");
    let through = agreement.through.as_deref().is_none_or(|caller| {
        CallerId::parse(caller).is_ok() && agreement.consumers.iter().all(agencies)
    });
    wrong.unless(through, || format!("{at}.through"));
    let mut purposes = agreement.purposes.iter();
    let known = purposes.all(|purpose| purpose.parse::<AgreementPurpose>().is_ok());
    wrong.unless(known, || format!("{at}.purposes"));
    let mut fields = agreement.fields.iter();
    let known = fields.all(|field| field.parse::<AgreementField>().is_ok());
    wrong.unless(known, || format!("{at}.fields"));
    wrong.unless(agreement.daily_calls != Some(0), || {
        format!("{at}.daily_calls")
    });
    wrong.unless(agreement.burst != Some(0), || format!("{at}.burst"));
}

fn check_text(text: &AgreementTextSeed, at: &str, wrong: &mut Wrong) {
    let service = text.service.parse::<ServiceKind>();
    wrong.unless(service.is_ok(), || format!("{at}.service"));
    wrong.unless(text.version > 0, || format!("{at}.version"));
    let edited = JalaliDate::parse(&text.edit_date);
    wrong.unless(edited.is_ok(), || format!("{at}.edit_date"));
    wrong.unless(!text.title_fa.is_empty(), || format!("{at}.title_fa"));
    let mut clauses = text.clause.iter();
    let whole = clauses.all(|clause| !clause.heading_fa.is_empty() && !clause.text_fa.is_empty());
    wrong.unless(whole && !text.clause.is_empty(), || format!("{at}.clause"));
}

fn check_tariff(tariff: &TariffSeed, at: &str, wrong: &mut Wrong) {
    let year = JalaliDate::new(tariff.year, 1, 1);
    wrong.unless(year.is_ok(), || format!("{at}.year"));
    wrong.unless(is_reference(&tariff.legal_reference), || {
        format!("{at}.legal_reference")
    });
    wrong.unless(tariff.supersedes.is_none_or(|version| version > 0), || {
        format!("{at}.supersedes")
    });
    wrong.unless(tariff.row.len() <= TARIFF_ROWS_MAX, || format!("{at}.row"));
    let mut seen = HashSet::new();
    for (index, row) in tariff.row.iter().enumerate() {
        let at = format!("{at}.row[{index}]");
        for field in row.wrong_fields(tariff.year) {
            wrong.0.push(format!("{at}.{field}"));
        }
        // Of two rows for the same the second would never be found.
        wrong.unless(seen.insert(row.is_for()), || format!("{at} is given twice"));
    }
}

/// Whether a text can be a legal reference: one line, not empty, not endless.
fn is_reference(text: &str) -> bool {
    !text.trim().is_empty()
        && text.len() <= REFERENCE_MAX_BYTES
        && !text.chars().any(char::is_control)
}

impl TariffRowSeed {
    /// The fields that are wrong in a row of the year's table.
    #[must_use]
    pub fn wrong_fields(&self, year: i32) -> Vec<&'static str> {
        let service = self.service.parse::<ServiceKind>();
        // A row for a type nobody asks for would never be found, and make it free.
        let asked = self
            .request_type
            .as_deref()
            .is_none_or(|only| match service {
                Ok(ServiceKind::EnrollmentCertificate) => only.parse::<RequestType>().is_ok(),
                Ok(ServiceKind::ValidityCode) => only == ISSUE,
                Err(_) => true,
            });
        let kind = self.institution_type.as_deref();
        let from_date = self.from_date.as_deref().map(JalaliDate::parse);
        let checks = [
            ("service", service.is_ok()),
            ("request_type", asked),
            (
                "institution_type",
                kind.is_none_or(|kind| kind.parse::<InstitutionType>().is_ok()),
            ),
            (
                "from_date",
                from_date.is_none_or(|date| date.is_ok_and(|date| date.year() == year)),
            ),
            ("amount", self.amount >= 0),
            ("unit", self.unit.parse::<MoneyUnit>().is_ok()),
            ("legal_reference", is_reference(&self.legal_reference)),
        ];
        let wrong = checks.into_iter().filter(|(_, right)| !right);
        wrong.map(|(field, _)| field).collect()
    }

    /// What it prices; of two rows for the same only one would ever decide.
    #[must_use]
    pub fn is_for(&self) -> [String; 4] {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        [
            self.service.clone(),
            text(&self.request_type),
            text(&self.institution_type),
            text(&self.from_date),
        ]
    }
}
