//! The process is killed while students pay, and while money is paid back: no payment is lost, none is counted twice, and what
//! was paid for is issued; no refund is asked for twice.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use gavah_api::v1 as pb;
use gavah_client::Client;
use gavah_domain::{Clock, JalaliDate, SystemClock};
use gavah_gateway::simulator::{SimulatedFault, Simulator, SimulatorConfig, decide};
use gavah_testkit::fixtures;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::program::{command, succeed, until};
use crate::site::{Engine, Serving, Site, callers};
use crate::students::{Student, push_records, request_id};

const ROUNDS: usize = 6;
/// Students who pay at the same time.
const STUDENTS: usize = 8;
const FEE: i64 = 300_000;
const MERCHANT: &str = "00000000-0000-4000-8000-000000000000";
const TOKEN: &str = "synthetic-token";

/// What a student's system asks for, each under a request_id that stays the same.
#[derive(Clone)]
struct Errand {
    apply: pb::CreateEnrollmentCertificateApplicationRequest,
    start: String,
    confirm: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sigkill_while_paying_on_sqlite_loses_no_money_and_counts_none_twice() {
    kill_while_paying(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sigkill_while_paying_on_postgres_loses_no_money_and_counts_none_twice() {
    kill_while_paying(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sigkill_while_refunding_on_sqlite_asks_for_no_refund_twice() {
    kill_while_refunding(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sigkill_while_refunding_on_postgres_asks_for_no_refund_twice() {
    kill_while_refunding(Engine::Postgres).await;
}

/// An installation where certificates have a fee, and the gateway where it is paid.
struct Paying {
    gateway: Simulator,
    site: Site,
    _secrets: TempDir,
}

async fn paying(engine: Engine, sections: &str) -> Paying {
    let secrets = TempDir::new().unwrap();
    let simulator = SimulatorConfig {
        merchant_id: MERCHANT.to_owned(),
        access_token: TOKEN.to_owned(),
        capacity: 10_000,
        now: Arc::new(|| SystemClock.now()),
    };
    let gateway = Simulator::start(simulator, 0).await.unwrap();
    let secret = |name: &str, content: &str| {
        let path = secrets.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let sections = format!(
        "[payment]\nmerchant_id_file = \"{}\"\naccess_token_file = \"{}\"\nbase_url = \"{}\"\nrefund_url = \"{}\"\n{sections}",
        secret("merchant", MERCHANT),
        secret("token", TOKEN),
        gateway.base_url(),
        gateway.refund_url()
    );
    let site = Site::new(engine, &sections).await;
    let priced = site.path("priced.toml");
    fs::write(&priced, seed()).unwrap();
    let config = site.text("gavah.toml");
    let _ = succeed(&["seed", "--config", &config, &site.text("priced.toml")]);
    Paying {
        gateway,
        site,
        _secrets: secrets,
    }
}

fn audit_holds(site: &Site) {
    let (code, report) = command(&["audit", "verify", "--config", &site.text("gavah.toml")]);
    assert_eq!(code, Some(0), "{report}");
}

async fn kill_while_paying(engine: Engine) {
    let Paying {
        gateway,
        site,
        _secrets,
    } = paying(engine, "").await;
    let mut serving = site.serve().await;
    let mut everybody = Vec::new();
    for round in 0..ROUNDS {
        let students: Vec<_> = (0..STUDENTS).map(|_| Student::new()).collect();
        push_records(&serving.client(callers::UNIVERSITY).await, &students).await;
        let errands: Vec<_> = students
            .iter()
            .map(|student| Errand {
                apply: student.certificate_request(),
                start: request_id(),
                confirm: request_id(),
            })
            .collect();
        if round % 2 == 1 {
            // Now and then an answer of the gateway is lost as well.
            assert!(gateway.next(SimulatedFault::AnswerLost));
        }
        let client = serving.impatient_client(callers::WINDOW).await;
        let mut tasks = JoinSet::new();
        for errand in errands.clone() {
            let client = client.clone();
            // What is cut off is taken up below.
            tasks.spawn(async move { drop(run(&client, &errand).await) });
        }
        let chance = fixtures::number() % 400;
        sleep(Duration::from_millis(u64::from(chance))).await;
        serving.process.kill();
        while tasks.join_next().await.is_some() {}
        serving = site.serve().await;
        let client = serving.client(callers::WINDOW).await;
        for errand in &errands {
            let paid = until("the payment", async || run(&client, errand).await.ok()).await;
            assert!(paid.verify_time.is_some(), "{:?}", paid.state());
        }
        everybody.extend(errands);
    }
    everything_is_paid_for_once(&serving, &everybody).await;
    serving.stop().await;
    audit_holds(&site);
}

async fn kill_while_refunding(engine: Engine) {
    let Paying {
        gateway,
        site,
        _secrets,
    } = paying(engine, "[sandbox]\nmovable_clock = true\n").await;
    let mut serving = site.serve().await;
    let student = Student::new();
    push_records(
        &serving.client(callers::UNIVERSITY).await,
        std::slice::from_ref(&student),
    )
    .await;
    // Paid after the student has given it up: the money is due back.
    let errand = Errand {
        apply: student.certificate_request(),
        start: request_id(),
        confirm: request_id(),
    };
    let window = serving.client(callers::WINDOW).await;
    let payment = begin(&window, &errand).await.unwrap();
    let cancel = pb::CancelEnrollmentCertificateApplicationRequest {
        request_id: request_id(),
        validate_only: false,
        name: payment.lines[0].application.clone(),
        etag: String::new(),
        subject_claim: Some(student.person_id()),
        reason: String::new(),
    };
    let cancelled = window.call(cancel, |channel, request| async move {
        let mut client = channel.certificates();
        client
            .cancel_enrollment_certificate_application(request)
            .await
    });
    cancelled.await.unwrap();
    confirm(&window, &errand, &payment).await.unwrap();
    let organization = serving.client(callers::ORGANIZATION).await;
    let due = until("the money is due back", async || {
        let payment = look(&organization, &payment.name).await;
        (payment.state() == pb::PaymentState::RefundDue).then_some(payment)
    })
    .await;

    let authority = due.authority.parse().unwrap();
    let session = gateway.session(&authority).unwrap().as_str().to_owned();
    let paid_back = || {
        let file = gateway.day_file(JalaliDate::of(SystemClock.now()).to_gregorian());
        let row = file.lines().find(|row| row.starts_with(&due.authority));
        row.unwrap().split(',').nth(3).unwrap().to_owned()
    };
    assert!(gateway.next(SimulatedFault::Silence));
    let request = refund(&due, pb::RefundMethod::Gateway, &session);
    let impatient = serving.impatient_client(callers::ORGANIZATION).await;
    // Cut off below.
    let cut_off = tokio::spawn(async move { drop(pay_back(&impatient, request).await) });
    until("the refund is asked for", async || {
        let payment = look(&organization, &due.name).await;
        (!payment.refunds.is_empty()).then_some(())
    })
    .await;
    // By now the gateway has the question.
    sleep(Duration::from_secs(2)).await;
    serving.process.kill();
    cut_off.await.unwrap();

    serving = site.serve().await;
    let organization = serving.client(callers::ORGANIZATION).await;
    // Long enough for whatever the service does by itself.
    sleep(Duration::from_secs(3)).await;
    let asked = look(&organization, &due.name).await;
    assert_eq!(asked.refunds.len(), 1);
    assert_eq!(asked.refunds[0].state(), pb::RefundState::Asked);
    assert_eq!(paid_back(), "0");
    let again = refund(&asked, pb::RefundMethod::Gateway, &session);
    let refused = pay_back(&organization, again).await.unwrap_err();
    assert_eq!(
        refused.reason.as_deref(),
        Some("STATE_TRANSITION_NOT_ALLOWED")
    );
    let later = pb::MoveClockRequest {
        request_id: request_id(),
        advance_seconds: 61,
        ..pb::MoveClockRequest::default()
    };
    let moved = organization.call(later, |channel, request| async move {
        channel.sandbox().move_clock(request).await
    });
    moved.await.unwrap();
    // The officer looked: it was not done.
    let not_done = refund(&asked, pb::RefundMethod::NotDone, "");
    let open = pay_back(&organization, not_done).await.unwrap();
    assert_eq!(open.state(), pb::PaymentState::RefundDue);
    let done = refund(&open, pb::RefundMethod::Gateway, &session);
    let done = pay_back(&organization, done).await.unwrap();
    assert_eq!(done.state(), pb::PaymentState::Refunded);
    assert_eq!(paid_back(), FEE.to_string());
    serving.stop().await;
    audit_holds(&site);
}

fn refund(
    payment: &pb::Payment,
    method: pb::RefundMethod,
    reference: &str,
) -> pb::RefundPaymentRequest {
    pb::RefundPaymentRequest {
        request_id: request_id(),
        name: payment.name.clone(),
        etag: payment.etag.clone(),
        method: method.into(),
        reference: reference.to_owned(),
        reason: "synthetic".to_owned(),
        officer: Some(pb::Officer {
            code: "O-7".to_owned(),
            person_id: Some(Student::new().person_id()),
        }),
        ..pb::RefundPaymentRequest::default()
    }
}

async fn pay_back(
    client: &Client,
    request: pb::RefundPaymentRequest,
) -> Result<pb::Payment, Box<gavah_client::Failure>> {
    let answer = client.call(request, |channel, request| async move {
        channel.payments().refund_payment(request).await
    });
    Ok(answer.await?.into_message().payment.unwrap())
}

async fn look(client: &Client, name: &str) -> pb::Payment {
    let request = pb::GetPaymentRequest {
        name: name.to_owned(),
        subject_claim: None,
    };
    let answer = client.call(request, |channel, request| async move {
        channel.payments().get_payment(request).await
    });
    answer.await.unwrap().into_message().payment.unwrap()
}

/// From applying to confirming, each step under its own request_id; the student pays once.
async fn run(client: &Client, errand: &Errand) -> Result<pb::Payment, Box<gavah_client::Failure>> {
    let payment = begin(client, errand).await?;
    confirm(client, errand, &payment).await
}

/// Up to the student's payment at the gateway.
async fn begin(
    client: &Client,
    errand: &Errand,
) -> Result<pb::Payment, Box<gavah_client::Failure>> {
    let made = client
        .call(errand.apply.clone(), |channel, request| async move {
            let mut client = channel.certificates();
            client
                .create_enrollment_certificate_application(request)
                .await
        })
        .await?;
    let application = made.into_message().application.unwrap();
    let claim = errand.apply.subject.clone().unwrap().person_id;
    let start = pb::StartPaymentRequest {
        request_id: errand.start.clone(),
        validate_only: false,
        applications: vec![application.name],
        callback_url: "http://127.0.0.1:9/back".to_owned(),
        subject_claim: claim,
    };
    let started = client
        .call(start, |channel, request| async move {
            channel.payments().start_payment(request).await
        })
        .await?;
    let payment = started.into_message().payment.unwrap();
    if !payment.redirect_url.is_empty() {
        decide(&payment.redirect_url, true).await.unwrap();
    }
    Ok(payment)
}

async fn confirm(
    client: &Client,
    errand: &Errand,
    payment: &pb::Payment,
) -> Result<pb::Payment, Box<gavah_client::Failure>> {
    let confirm = pb::ConfirmPaymentRequest {
        request_id: errand.confirm.clone(),
        validate_only: false,
        name: payment.name.clone(),
        subject_claim: errand.apply.subject.clone().unwrap().person_id,
    };
    let confirmed = client
        .call(confirm, |channel, request| async move {
            channel.payments().confirm_payment(request).await
        })
        .await?;
    Ok(confirmed.into_message().payment.unwrap())
}

/// Every student has one certificate and one payment whose money went into it.
async fn everything_is_paid_for_once(serving: &Serving, errands: &[Errand]) {
    let organization = serving.client(callers::ORGANIZATION).await;
    let payments = until("the certificates", async || {
        let request = pb::ListPaymentsRequest {
            page_size: 1000,
            ..Default::default()
        };
        let listed = organization
            .call(request, |channel, request| async move {
                channel.payments().list_payments(request).await
            })
            .await
            .unwrap();
        let payments = listed.into_message().payments;
        let mut lines = payments.iter().flat_map(|payment| &payment.lines);
        let used = lines.all(|line| line.state() == pb::PaymentLineState::Used);
        used.then_some(payments)
    })
    .await;
    assert_eq!(payments.len(), errands.len());
    for payment in &payments {
        assert_eq!(payment.state(), pb::PaymentState::Verified);
        assert_eq!(payment.amount.unwrap().amount, FEE);
    }
    let request = pb::ListEnrollmentCertificatesRequest {
        page_size: 1000,
        ..Default::default()
    };
    let certificates = organization
        .call(request, |channel, request| async move {
            channel
                .certificates()
                .list_enrollment_certificates(request)
                .await
        })
        .await
        .unwrap();
    let certificates = certificates.into_message().enrollment_certificates;
    assert_eq!(certificates.len(), errands.len());
}

/// Certificates have a fee, and the university may review them.
fn seed() -> String {
    let year = JalaliDate::of(SystemClock.now()).year();
    format!(
        "[[workflow]]\nid = \"priced\"\nservice = \"ENROLLMENT_CERTIFICATE\"\n\
         [workflow.rules]\nauto_confirm = true\nfreshness_hours = 24\nrequire_prior_qualification = true\n\
         certificate_extra_days = 30\ncertificate_max_months = 6\nuniversity_review = true\n\
         organization_review = false\npayment_position = \"BEFORE_ISSUE\"\n\
         [[call]]\nid = \"enrollment-certificate\"\nservice = \"ENROLLMENT_CERTIFICATE\"\nstate = \"OPEN\"\n\
         opens = \"{}/01/01\"\neligible_types = [\"STATE\"]\ndocument_kinds = []\nworkflow = \"priced\"\n\
         run_off_days = 30\n\
         [[tariff]]\nyear = {year}\nlegal_reference = \"synthetic law\"\nsupersedes = 1\n\
         [[tariff.row]]\nservice = \"ENROLLMENT_CERTIFICATE\"\namount = {FEE}\nunit = \"IRR_CURRENT\"\n\
         legal_reference = \"synthetic row\"\n",
        year - 1
    )
}
