//! Tests of verdicts; all persons are synthetic.

use super::*;

const GOOD: &str = "12345678901234567888";
const BAD: &str = "12345678901234567889";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn code(text: &str) -> ValidityCode {
    ValidityCode::parse(text).unwrap()
}

fn person(key: &str) -> PersonId {
    PersonId::from_key(key).unwrap()
}

#[test]
fn unknown_codes_are_not_valid_and_the_check_digits_explain_a_miss() {
    let subject = person("N:7730942860");
    let unsigned = StoredDocument {
        state: DocumentState::Active,
        valid_from: at("2026-01-01T00:00:00Z"),
        expire_time: None,
        person: &subject,
        legacy: false,
        issuing: true,
        issuer_active: true,
    };
    for (digits, found, reason) in [
        (BAD, None, VerdictReason::CheckDigit),
        (GOOD, None, VerdictReason::NotFound),
        (GOOD, Some(&unsigned), VerdictReason::NotFound),
    ] {
        let now = at("2026-06-01T00:00:00Z");
        assert_eq!(
            verdict_at(&code(digits), found, Some(&subject), now),
            Verdict {
                outcome: Outcome::NotValid,
                reason,
                integrity: Judgement::Invalid,
                status: Judgement::Skipped,
                issuer: Judgement::Skipped,
            }
        );
    }
}

#[test]
fn a_stored_document_is_judged_in_a_fixed_order() {
    use DocumentState as S;
    use VerdictReason as R;
    let (subject, other) = (person("N:7730942860"), person("N:3974017844"));
    let now = at("2026-06-01T00:00:00Z");
    let (past, later) = (at("2026-05-01T00:00:00Z"), at("2026-07-01T00:00:00Z"));
    let (mine, theirs) = (Some(&subject), Some(&other));
    // state, valid from, expiry, claim
    for (state, valid_from, expire_time, claim, reason) in [
        // every state stands before expiry, beginning and subject
        (S::Revoked, later, Some(past), theirs, R::Revoked),
        (S::Superseded, later, Some(past), theirs, R::Superseded),
        (S::Suspended, later, Some(past), theirs, R::Suspended),
        (S::Active, later, Some(past), theirs, R::Expired),
        (S::Active, later, Some(later), theirs, R::NotYetValid),
        (S::Active, past, Some(later), theirs, R::SubjectMismatch),
        (S::Active, past, Some(later), mine, R::Ok),
        (S::Active, past, None, None, R::Ok),
        // the beginning belongs to the validity, the end does not
        (S::Active, now, None, None, R::Ok),
        (S::Active, past, Some(now), None, R::Expired),
        (
            S::Active,
            past,
            Some(at("2026-06-01T00:00:00.000001Z")),
            None,
            R::Ok,
        ),
        (
            S::Active,
            at("2026-06-01T00:00:00.000001Z"),
            None,
            None,
            R::NotYetValid,
        ),
    ] {
        let document = StoredDocument {
            state,
            valid_from,
            expire_time,
            person: &subject,
            legacy: false,
            issuing: false,
            issuer_active: true,
        };
        let in_force = matches!(reason, R::Ok | R::SubjectMismatch);
        assert_eq!(
            verdict_at(&code(GOOD), Some(&document), claim, now),
            Verdict {
                outcome: if reason == R::Ok {
                    Outcome::Valid
                } else {
                    Outcome::NotValid
                },
                reason,
                integrity: Judgement::Valid,
                status: if in_force {
                    Judgement::Valid
                } else {
                    Judgement::Invalid
                },
                issuer: Judgement::Valid,
            }
        );
    }
}

#[test]
fn check_digits_do_not_decide_on_a_code_that_was_found() {
    let subject = person("N:7730942860");
    for (digits, legacy, integrity) in [
        (BAD, true, Judgement::Valid),
        (GOOD, true, Judgement::Valid),
        (GOOD, false, Judgement::Valid),
        (BAD, false, Judgement::Error),
    ] {
        let document = StoredDocument {
            state: DocumentState::Active,
            valid_from: at("2026-01-01T00:00:00Z"),
            expire_time: None,
            person: &subject,
            legacy,
            issuing: false,
            issuer_active: true,
        };
        let verdict = verdict_at(
            &code(digits),
            Some(&document),
            None,
            at("2026-06-01T00:00:00Z"),
        );
        assert_eq!(verdict.outcome, Outcome::Valid);
        assert_eq!(verdict.integrity, integrity, "legacy {legacy}");
    }
}

#[test]
fn a_closed_issuer_is_told_and_leaves_the_outcome() {
    let subject = person("N:7730942860");
    let document = StoredDocument {
        state: DocumentState::Active,
        valid_from: at("2026-01-01T00:00:00Z"),
        expire_time: None,
        person: &subject,
        legacy: false,
        issuing: false,
        issuer_active: false,
    };
    let verdict = verdict_at(
        &code(GOOD),
        Some(&document),
        None,
        at("2026-06-01T00:00:00Z"),
    );
    assert_eq!(
        (verdict.outcome, verdict.issuer),
        (Outcome::Valid, Judgement::Invalid)
    );
}

#[test]
fn what_is_no_code_and_what_cannot_be_read_have_their_own_verdicts() {
    let malformed = Verdict::malformed();
    assert_eq!(malformed.reason, VerdictReason::Malformed);
    assert_eq!(malformed.outcome, Outcome::NotValid);
    assert_eq!(malformed.integrity, Judgement::Invalid);
    assert_eq!(
        (malformed.status, malformed.issuer),
        (Judgement::Skipped, Judgement::Skipped)
    );
    let undetermined = Verdict::undetermined();
    assert_eq!(undetermined.reason, VerdictReason::StatusUnavailable);
    assert_eq!(undetermined.outcome, Outcome::Undetermined);
    assert_eq!(
        [
            undetermined.integrity,
            undetermined.status,
            undetermined.issuer
        ],
        [Judgement::Error; 3]
    );
}

#[test]
fn every_reason_has_one_outcome_and_its_own_explanations() {
    let mut texts = Vec::new();
    for reason in VerdictReason::ALL {
        let expected = match reason.as_str() {
            "OK" => Outcome::Valid,
            "STATUS_UNAVAILABLE" => Outcome::Undetermined,
            _ => Outcome::NotValid,
        };
        assert_eq!(reason.outcome(), expected, "{reason}");
        let (fa, en) = (reason.explanation_fa(), reason.explanation_en());
        assert!(fa.ends_with('.') && en.ends_with('.'), "{reason}");
        assert!(
            !fa.contains(['ي', 'ك']),
            "{reason}: Arabic letters in Persian text"
        );
        assert!(
            !fa.contains("دانشجو") && !en.contains("student"),
            "{reason}"
        );
        texts.extend([fa, en]);
    }
    assert_eq!(texts.len(), 24);
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 24);
}

#[test]
fn each_judgement_says_why() {
    let subject = person("N:7730942860");
    let now = at("2026-06-01T00:00:00Z");
    let document = |state, issuer_active| StoredDocument {
        state,
        valid_from: at("2026-01-01T00:00:00Z"),
        expire_time: None,
        person: &subject,
        legacy: false,
        issuing: false,
        issuer_active,
    };
    let (good, closed) = (
        document(DocumentState::Active, true),
        document(DocumentState::Active, false),
    );
    let revoked = document(DocumentState::Revoked, true);
    for (verdict, codes) in [
        (Verdict::malformed(), ["MALFORMED", "", ""]),
        (
            verdict_at(&code(BAD), None, None, now),
            ["CHECK_DIGIT", "", ""],
        ),
        (
            verdict_at(&code(GOOD), None, None, now),
            ["NOT_FOUND", "", ""],
        ),
        (
            verdict_at(&code(GOOD), Some(&good), None, now),
            ["OK", "OK", "OK"],
        ),
        (
            verdict_at(&code(BAD), Some(&good), None, now),
            ["CHECK_DIGIT", "OK", "OK"],
        ),
        (
            verdict_at(&code(GOOD), Some(&revoked), None, now),
            ["OK", "REVOKED", "OK"],
        ),
        (
            verdict_at(&code(GOOD), Some(&closed), None, now),
            ["OK", "OK", "INSTITUTION_NOT_ACTIVE"],
        ),
        (Verdict::undetermined(), ["STATUS_UNAVAILABLE"; 3]),
    ] {
        let told = [
            verdict.integrity_code(),
            verdict.status_code(),
            verdict.issuer_code(),
        ];
        assert_eq!(told, codes);
    }
}

#[test]
fn another_person_is_a_wrong_guess_whatever_state_the_document_is_in() {
    use DocumentState as S;
    let (subject, other) = (person("N:7730942860"), person("N:3974017844"));
    let now = at("2026-06-01T00:00:00Z");
    let (past, later) = (at("2026-05-01T00:00:00Z"), at("2026-07-01T00:00:00Z"));
    let wrong = |found: Option<&StoredDocument<'_>>, claim| {
        let verdict = verdict_at(&code(GOOD), found, claim, now);
        guessed_wrong(&verdict, found, claim)
    };
    for (state, valid_from, expire_time) in [
        (S::Active, past, None),
        (S::Active, past, Some(past)),
        (S::Active, later, None),
        (S::Suspended, past, None),
        (S::Superseded, past, None),
        (S::Revoked, past, None),
    ] {
        let document = StoredDocument {
            state,
            valid_from,
            expire_time,
            person: &subject,
            legacy: false,
            issuing: false,
            issuer_active: true,
        };
        assert!(wrong(Some(&document), Some(&other)), "{state:?}");
        assert!(!wrong(Some(&document), Some(&subject)), "{state:?}");
        assert!(!wrong(Some(&document), None), "{state:?}");
        // Until it is signed it is not there: the code was guessed wrong.
        let unsigned = StoredDocument {
            issuing: true,
            ..document
        };
        assert!(wrong(Some(&unsigned), Some(&subject)), "{state:?}");
    }
    assert!(wrong(None, None));
    let malformed = Verdict::malformed();
    assert!(!guessed_wrong(&malformed, None, Some(&other)));
    let undetermined = Verdict::undetermined();
    assert!(!guessed_wrong(&undetermined, None, Some(&other)));
}
