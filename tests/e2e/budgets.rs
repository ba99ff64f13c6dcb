//! Budgets of lookups: who guesses is stopped until the next day, and nobody else.

use gavah_api::v1 as pb;
use gavah_domain::{CodeScheme, JalaliDate, SystemEntropy, ValidityCode};
use gavah_testkit::world::{AGENCY_AGREEMENT, CallerKind, Engine, UNIVERSITY, World};
use jiff::SignedDuration;
use tonic::Code;

use crate::code_guards::of_level;
use crate::code_stages::{create, offered};
use crate::harness::{run_on, soon};
use crate::messages::{issue, national_code, person, question, request_id, subject};
use crate::peer::{Peer, refused};
use crate::raw::Raw;
use crate::verdicts::verdict;

const GUESSES: i64 = 20;
const SUBJECTS: i64 = 5;
/// More than one agency may guess, and less than two.
const OF_THE_HUB: i64 = 30;

/// Another agency's national id.
const OTHER_AGENCY: &str = "14099999986";

fn run(engine: Engine, case: impl AsyncFnOnce(&mut World)) {
    let world = World::builder(engine)
        .set("budgets.negative_lookups_per_day", GUESSES)
        .set("budgets.subjects_per_day", SUBJECTS)
        .set("budgets.hub_negative_lookups_per_day", OF_THE_HUB);
    run_on(world, case);
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                super::run(gavah_testkit::world::Engine::Sqlite, super::$name);
            })+
        }
        mod postgres {
            $(#[test]
            fn $name() {
                super::run(gavah_testkit::world::Engine::Postgres, super::$name);
            })+
        }
    };
}

on_both! {
    who_guesses_too_often_is_refused_until_the_next_day_and_nobody_else,
    every_node_and_a_restarted_one_know_what_was_spent,
    who_asks_for_too_many_persons_is_refused,
    who_tries_what_is_told_to_nobody_is_refused,
    who_tries_persons_on_a_document_out_of_force_is_refused,
    who_tries_codes_as_proofs_of_previous_levels_is_refused,
    an_agency_at_its_limit_stops_no_other_and_the_hub_at_its_own_stops_all,
    what_was_spent_is_forgotten_as_days_go_by,
}

fn unknown() -> String {
    let code = ValidityCode::draw(CodeScheme::ValidityCode, &SystemEntropy).unwrap();
    code.as_str().to_owned()
}

async fn issued(world: &World) -> pb::ValidityCode {
    let university = Peer::of(world, CallerKind::University).await;
    let issued = university
        .issue_validity_code(issue(world, UNIVERSITY))
        .await;
    issued.unwrap().validity_code.unwrap()
}

/// Guesses as often as the budget allows, and once more.
async fn use_up(peer: &Peer) {
    for _ in 0..=GUESSES {
        let told = verdict(peer, question(&unknown())).await;
        assert_eq!(told.reason(), pb::VerdictReason::NotFound);
    }
}

async fn who_guesses_too_often_is_refused_until_the_next_day_and_nobody_else(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let code = issued(world).await.code;
    // What is good, or merely badly written, is no guess.
    for _ in 0..2 * GUESSES {
        verdict(&hub, question(&code)).await;
        verdict(&hub, question("12 not a code")).await;
    }
    use_up(&hub).await;
    let failure = refused(
        hub.validate_code(question(&code)).await,
        Code::ResourceExhausted,
        "NEGATIVE_LOOKUPS",
    );
    assert_eq!(failure.metadata["limit"], "negative_lookups_per_day");
    // The agency for which the hub asked has spent as much of its own.
    soon("what the agency spent", async || {
        let spent = "SELECT CAST(COALESCE(SUM(negatives), 0) AS bigint) FROM lookup_budget WHERE caller_id LIKE '%/agencies/%'";
        let spent = Raw::to(world).await.number(spent).await;
        (spent == GUESSES + 1).then_some(())
    })
    .await;
    let midnight = JalaliDate::of(world.now()).end_exclusive();
    let wait = failure.retry_after.unwrap();
    let left = midnight.duration_since(world.now()).unsigned_abs();
    assert!(wait.abs_diff(left).as_secs() < 60, "{wait:?}, {left:?}");
    let batch = pb::BatchValidateCodesRequest {
        requests: vec![question(&code)],
    };
    let answer = hub.batch_validate_codes(batch.clone()).await;
    refused(answer, Code::ResourceExhausted, "NEGATIVE_LOOKUPS");
    let answer = hub
        .match_code(pb::MatchCodeRequest {
            code: code.clone(),
            claims: Some(pb::DocumentClaims {
                person_id: Some(person(&national_code())),
                ..Default::default()
            }),
        })
        .await;
    refused(answer, Code::ResourceExhausted, "NEGATIVE_LOOKUPS");
    let told = verdict(&window, question(&code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Ok, "another caller");
    let minute = SignedDuration::from_mins(1);
    world
        .clock()
        .advance(midnight.duration_since(world.now()) + minute);
    hub.batch_validate_codes(batch).await.unwrap();
    let told = verdict(&hub, question(&code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Ok, "the next day");
}

async fn every_node_and_a_restarted_one_know_what_was_spent(world: &mut World) {
    let second = world.add_node().await;
    let code = issued(world).await.code;
    let elsewhere = Peer::new(world.client_of(second, CallerKind::Hub).await);
    use_up(&Peer::of(world, CallerKind::Hub).await).await;
    let failure = soon("the other node's refusal", async || {
        elsewhere.validate_code(question(&code)).await.err()
    })
    .await;
    assert_eq!(failure.reason.as_deref(), Some("NEGATIVE_LOOKUPS"));
    world.stop().await;
    let third = world.add_node().await;
    let restarted = Peer::new(world.client_of(third, CallerKind::Hub).await);
    let answer = restarted.validate_code(question(&code)).await;
    refused(answer, Code::ResourceExhausted, "NEGATIVE_LOOKUPS");
}

async fn who_asks_for_too_many_persons_is_refused(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let code = issued(world).await.code;
    let ask = async |national_code: &str| {
        let question = pb::ValidateCodeRequest {
            purpose: 0,
            subject_claim: Some(person(national_code)),
            ..question(&code)
        };
        hub.validate_code(question).await
    };
    let same = national_code();
    for _ in 0..SUBJECTS {
        ask(&same).await.unwrap();
    }
    for _ in 0..SUBJECTS {
        ask(&national_code()).await.unwrap();
    }
    let failure = soon("the refusal", async || {
        hub.validate_code(question(&code)).await.err()
    })
    .await;
    assert_eq!(failure.code, Code::ResourceExhausted);
    assert_eq!(failure.reason.as_deref(), Some("NEGATIVE_LOOKUPS"));
    assert_eq!(failure.metadata["limit"], "subjects_per_day");
}

async fn who_tries_what_is_told_to_nobody_is_refused(world: &mut World) {
    let request = issue(world, UNIVERSITY);
    let subject = request.subject.clone().unwrap();
    let university = Peer::of(world, CallerKind::University).await;
    let code = university.issue_validity_code(request).await.unwrap();
    let code = code.validity_code.unwrap().code;
    let hub = Peer::of(world, CallerKind::Hub).await;
    let claim = |father: &str| pb::MatchCodeRequest {
        code: code.clone(),
        claims: Some(pb::DocumentClaims {
            person_id: subject.person_id.clone(),
            father_name_fa: father.to_owned(),
            ..Default::default()
        }),
    };
    // What is right is no guess.
    for _ in 0..2 * GUESSES {
        hub.match_code(claim(&subject.father_name_fa))
            .await
            .unwrap();
    }
    for _ in 0..=GUESSES {
        hub.match_code(claim("نادرست")).await.unwrap();
    }
    let failure = refused(
        hub.match_code(claim(&subject.father_name_fa)).await,
        Code::ResourceExhausted,
        "NEGATIVE_LOOKUPS",
    );
    assert_eq!(failure.metadata["limit"], "negative_lookups_per_day");
}

async fn who_tries_persons_on_a_document_out_of_force_is_refused(world: &mut World) {
    let request = issue(world, UNIVERSITY);
    let right = request.subject.clone().unwrap().person_id;
    let university = Peer::of(world, CallerKind::University).await;
    let issued = university.issue_validity_code(request).await.unwrap();
    let issued = issued.validity_code.unwrap();
    let revoke = pb::RevokeValidityCodeRequest {
        request_id: request_id(),
        name: issued.name,
        reason: pb::RevocationReason::Fraud.into(),
        ..Default::default()
    };
    university.revoke_validity_code(revoke).await.unwrap();
    let wrong = Some(person(&national_code()));
    let matched = |claimed: &Option<pb::PersonId>| pb::MatchCodeRequest {
        code: issued.code.clone(),
        claims: Some(pb::DocumentClaims {
            person_id: claimed.clone(),
            ..Default::default()
        }),
    };
    let validated = |claimed: &Option<pb::PersonId>| pb::ValidateCodeRequest {
        purpose: 0,
        subject_claim: claimed.clone(),
        ..question(&issued.code)
    };
    let hub = Peer::of(world, CallerKind::Hub).await;
    let window = Peer::of(world, CallerKind::Window).await;
    // The person it is about is no guess, whatever has become of the document.
    for _ in 0..2 * GUESSES {
        hub.match_code(matched(&right)).await.unwrap();
        verdict(&window, validated(&right)).await;
    }
    for _ in 0..=GUESSES {
        hub.match_code(matched(&wrong)).await.unwrap();
        let told = verdict(&window, validated(&wrong)).await;
        assert_eq!(told.reason(), pb::VerdictReason::Revoked);
    }
    let answer = hub.match_code(matched(&right)).await;
    let failure = refused(answer, Code::ResourceExhausted, "NEGATIVE_LOOKUPS");
    assert_eq!(failure.metadata["limit"], "negative_lookups_per_day");
    let answer = window.validate_code(validated(&right)).await;
    let failure = refused(answer, Code::ResourceExhausted, "NEGATIVE_LOOKUPS");
    assert_eq!(failure.metadata["limit"], "negative_lookups_per_day");
}

async fn who_tries_codes_as_proofs_of_previous_levels_is_refused(world: &mut World) {
    use pb::DegreeLevel::{MasterContinuous, Phd};
    let university = Peer::of(world, CallerKind::University).await;
    let (student, somebody) = (subject(), subject());
    let master = async |subject: &pb::Subject| {
        let issued = university
            .issue_validity_code(of_level(world, subject, MasterContinuous, &[]))
            .await;
        issued.unwrap().validity_code.unwrap()
    };
    let (own, anothers) = (master(&student).await, master(&somebody).await);
    let phd = |code: &str| of_level(world, &student, Phd, &[(MasterContinuous, code)]);
    let granted = phd(&own.code);
    university
        .issue_validity_code(granted.clone())
        .await
        .unwrap();
    let revoke = pb::RevokeValidityCodeRequest {
        request_id: request_id(),
        name: own.name.clone(),
        reason: pb::RevocationReason::Fraud.into(),
        ..Default::default()
    };
    university.revoke_validity_code(revoke).await.unwrap();
    // What was granted is told again as often as it is asked for, though its proof is none any more.
    for _ in 0..2 * GUESSES {
        university
            .issue_validity_code(granted.clone())
            .await
            .unwrap();
    }
    // Trials are guesses as good as any.
    for (guess, validate_only) in (0..=GUESSES).zip([true, false].into_iter().cycle()) {
        let code = match guess % 3 {
            0 => own.code.clone(),
            1 => anothers.code.clone(),
            _ => unknown(),
        };
        let request = pb::IssueValidityCodeRequest {
            validate_only,
            ..phd(&code)
        };
        refused(
            university.issue_validity_code(request).await,
            Code::FailedPrecondition,
            "PRIOR_QUALIFICATION_MISSING",
        );
    }
    for validate_only in [true, false] {
        let request = pb::IssueValidityCodeRequest {
            validate_only,
            ..phd(&anothers.code)
        };
        let answer = university.issue_validity_code(request).await;
        let failure = refused(answer, Code::ResourceExhausted, "NEGATIVE_LOOKUPS");
        assert_eq!(failure.metadata["limit"], "negative_lookups_per_day");
    }
    let answer = university.validate_code(question(&anothers.code)).await;
    refused(answer, Code::ResourceExhausted, "NEGATIVE_LOOKUPS");
    // What names no code goes on, and so does what was granted.
    university.issue_validity_code(granted).await.unwrap();
    issued(world).await;
    let claims = phd(&anothers.code).prior_qualifications;
    offered(world, None).await;
    let mut application = create(world);
    application.code.as_mut().unwrap().prior_qualifications = claims;
    let answer = university
        .create_validity_code_application(application)
        .await;
    refused(answer, Code::ResourceExhausted, "NEGATIVE_LOOKUPS");
}

async fn an_agency_at_its_limit_stops_no_other_and_the_hub_at_its_own_stops_all(world: &mut World) {
    let code = issued(world).await.code;
    world
        .reseed(|seed| {
            let mut agreements = seed.agreement.iter_mut();
            let agencies = agreements.find(|agreement| agreement.id == AGENCY_AGREEMENT);
            let consumer = format!("agencies/{OTHER_AGENCY}");
            agencies.unwrap().consumers.push(consumer);
        })
        .await;
    let first = Peer::of(world, CallerKind::Hub).await;
    let agreement = format!("agreements/{AGENCY_AGREEMENT}/agencies/{OTHER_AGENCY}");
    let second = world.connect(0, &world.identity(CallerKind::Hub)).await;
    let second = Peer::new(second.on_behalf_of(OTHER_AGENCY, &agreement).unwrap());
    soon("the other agency's agreement", async || {
        second.validate_code(question(&code)).await.ok()
    })
    .await;
    let limit_of = async |peer: &Peer| {
        let answer = peer.validate_code(question(&code)).await;
        let failure = refused(answer, Code::ResourceExhausted, "NEGATIVE_LOOKUPS");
        failure.metadata["limit"].clone()
    };
    use_up(&first).await;
    assert_eq!(limit_of(&first).await, "negative_lookups_per_day");
    for _ in GUESSES..OF_THE_HUB {
        let told = verdict(&second, question(&code)).await;
        assert_eq!(told.reason(), pb::VerdictReason::Ok, "another agency");
        verdict(&second, question(&unknown())).await;
    }
    assert_eq!(limit_of(&second).await, "hub_negative_lookups_per_day");
    assert_eq!(limit_of(&first).await, "negative_lookups_per_day");
    let window = Peer::of(world, CallerKind::Window).await;
    let told = verdict(&window, question(&code)).await;
    assert_eq!(told.reason(), pb::VerdictReason::Ok, "another caller");
    // Another node knows the hub's budget by its name.
    let node = world.add_node().await;
    let elsewhere = world.connect(node, &world.identity(CallerKind::Hub)).await;
    let elsewhere = Peer::new(elsewhere.on_behalf_of(OTHER_AGENCY, &agreement).unwrap());
    let limit = soon("the other node's refusal", async || {
        let failure = elsewhere.validate_code(question(&code)).await.err()?;
        Some(failure.metadata["limit"].clone())
    })
    .await;
    assert_eq!(limit, "hub_negative_lookups_per_day");
    let midnight = JalaliDate::of(world.now()).end_exclusive();
    let minute = SignedDuration::from_mins(1);
    world
        .clock()
        .advance(midnight.duration_since(world.now()) + minute);
    for peer in [first, second] {
        let told = verdict(&peer, question(&code)).await;
        assert_eq!(told.reason(), pb::VerdictReason::Ok, "the next day");
    }
}

async fn what_was_spent_is_forgotten_as_days_go_by(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    let question = pb::ValidateCodeRequest {
        purpose: 0,
        subject_claim: Some(person(&national_code())),
        ..question(&unknown())
    };
    verdict(&hub, question).await;
    let on_record = async |least: i64| {
        let mut raw = Raw::to(world).await;
        let mut all = 0;
        for table in ["lookup_budget", "lookup_subject"] {
            let rows = raw.number(&format!("SELECT count(*) FROM {table}")).await;
            all += i64::from(rows >= least && (least > 0 || rows == 0));
        }
        (all == 2).then_some(())
    };
    soon("what the hub spent", async || on_record(1).await).await;
    // No node starts meanwhile.
    world.clock().advance(SignedDuration::from_hours(24 * 9));
    soon("the end of the week", async || on_record(0).await).await;
}
