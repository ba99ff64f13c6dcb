//! The process is killed while students pay: no payment is lost, none is counted twice, and what was paid for is issued.

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

async fn kill_while_paying(engine: Engine) {
    let secrets = TempDir::new().unwrap();
    let simulator = SimulatorConfig {
        merchant_id: MERCHANT.to_owned(),
        access_token: "synthetic-token".to_owned(),
        capacity: 10_000,
        now: Arc::new(|| SystemClock.now()),
    };
    let gateway = Simulator::start(simulator, 0).await.unwrap();
    let merchant = secrets.path().join("merchant");
    fs::write(&merchant, MERCHANT).unwrap();
    fs::set_permissions(&merchant, Permissions::from_mode(0o600)).unwrap();
    let section = format!(
        "[payment]\nmerchant_id_file = \"{}\"\nbase_url = \"{}\"\n",
        merchant.display(),
        gateway.base_url()
    );
    let site = Site::new(engine, &section).await;
    let priced = site.path("priced.toml");
    fs::write(&priced, seed()).unwrap();
    let config = site.text("gavah.toml");
    let _ = succeed(&["seed", "--config", &config, &site.text("priced.toml")]);

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
    let (code, report) = command(&["audit", "verify", "--config", &config]);
    assert_eq!(code, Some(0), "{report}");
}

/// From applying to confirming, each step under its own request_id; the student pays once.
async fn run(client: &Client, errand: &Errand) -> Result<pb::Payment, Box<gavah_client::Failure>> {
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
        subject_claim: claim.clone(),
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
    let confirm = pb::ConfirmPaymentRequest {
        request_id: errand.confirm.clone(),
        validate_only: false,
        name: payment.name,
        subject_claim: claim,
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
