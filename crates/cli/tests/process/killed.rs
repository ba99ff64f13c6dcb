//! The process is killed while it issues, again and again: nothing acknowledged is lost, nothing is issued twice.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gavah_api::v1 as pb;
use gavah_client::{Client, Failure};
use gavah_domain::{Entropy, SystemEntropy};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::program::command;
use crate::site::{Engine, Serving, Site, callers};
use crate::students::{
    Issued, Student, issue_certificate, issue_code, list_certificates, list_codes, push_records,
    validate,
};

const ROUNDS: usize = 20;
/// What is asked for in one round, every third a certificate, by so many clients at once.
const REQUESTS: usize = 36;
const CLIENTS: usize = 4;
/// Environment variable that repeats the draws of an earlier run.
const SEED: &str = "GAVAH_TEST_SEED";

/// Something to issue, under a request_id that stays the same.
#[derive(Clone)]
enum Request {
    Code(Box<pb::IssueValidityCodeRequest>),
    Certificate(Box<pb::CreateEnrollmentCertificateApplicationRequest>),
}

/// When the process is killed in a round.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// After so many acknowledged calls.
    Acknowledged(usize),
    /// So long after the first call.
    Elapsed(Duration),
}

/// The two callers that ask.
#[derive(Clone)]
struct Callers {
    university: Client,
    window: Client,
}

/// splitmix64: the moments of a failed run can be drawn again.
struct Draws(u64);

impl Draws {
    fn new() -> Self {
        let seed = std::env::var(SEED).ok().map(|seed| seed.parse().unwrap());
        Self(seed.unwrap_or_else(|| {
            let mut bytes = [0; 8];
            SystemEntropy.fill(&mut bytes).unwrap();
            u64::from_ne_bytes(bytes)
        }))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// Always before the last request is acknowledged, or at any time at all.
    fn moment(&mut self) -> Moment {
        match self.below(2) {
            0 => Moment::Acknowledged(self.below(REQUESTS as u64 - CLIENTS as u64) as usize),
            _ => Moment::Elapsed(Duration::from_micros(self.below(300_000))),
        }
    }
}

impl Callers {
    /// Clients that give up at the first failure, as `patient` says.
    async fn connect(serving: &Serving, patient: bool) -> Self {
        let (university, window) = (callers::UNIVERSITY, callers::WINDOW);
        match patient {
            true => Self {
                university: serving.client(university).await,
                window: serving.client(window).await,
            },
            false => Self {
                university: serving.impatient_client(university).await,
                window: serving.impatient_client(window).await,
            },
        }
    }

    async fn ask(&self, request: Request) -> Result<Issued, Box<Failure>> {
        match request {
            Request::Code(request) => issue_code(&self.university, *request).await,
            Request::Certificate(request) => {
                let issued = issue_certificate(&self.window, *request).await?;
                assert!(!issued.signed_document.is_empty());
                Ok(Issued {
                    name: issued.name,
                    code: issued.code,
                })
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sigkill_while_issuing_on_sqlite_loses_nothing_and_doubles_nothing() {
    kill_while_issuing(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sigkill_while_issuing_on_postgres_loses_nothing_and_doubles_nothing() {
    kill_while_issuing(Engine::Postgres).await;
}

async fn kill_while_issuing(engine: Engine) {
    let mut draws = Draws::new();
    // Shown only when the test fails.
    println!("{SEED}={} repeats the moments of this run", draws.0);
    let site = Site::new(engine, "").await;
    let students: Vec<_> = (0..ROUNDS * REQUESTS).map(|_| Student::new()).collect();
    let mut serving = site.serve().await;
    let university = serving.client(callers::UNIVERSITY).await;
    let studying: Vec<_> = students.iter().skip(2).step_by(3).cloned().collect();
    push_records(&university, &studying).await;

    let mut issued: Vec<Issued> = Vec::new();
    let mut unanswered = 0;
    for (round, students) in students.chunks(REQUESTS).enumerate() {
        let requests: Vec<_> = students.iter().enumerate().map(request).collect();
        let moment = draws.moment();
        println!("round {round}: killed at {moment:?}");
        let (sent, acknowledged) = issue_until(&mut serving, &requests, moment).await;
        unanswered += sent - acknowledged.len();
        serving = site.serve().await;
        issued.extend(settle(&serving, &requests[..sent], &acknowledged).await);
        everything_is_there_once(&serving, &issued).await;
    }
    assert_ne!(
        unanswered, 0,
        "no call was ever cut off: the test shows nothing"
    );
    one_live_document_for_each_student(&serving, &issued).await;
    serving.stop().await;
    let (code, report) = command(&["audit", "verify", "--config", &site.text("gavah.toml")]);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(
        (&report["intact"], &report["pending"]),
        (&true.into(), &0.into()),
        "{report}"
    );
}

fn request((index, student): (usize, &Student)) -> Request {
    match index % 3 {
        2 => Request::Certificate(Box::new(student.certificate_request())),
        _ => Request::Code(Box::new(student.code_request())),
    }
}

/// Sends the requests one after the other from several clients at once until the process is killed. Returns how many
/// were sent and the answers that came.
async fn issue_until(
    serving: &mut Serving,
    requests: &[Request],
    moment: Moment,
) -> (usize, HashMap<usize, Issued>) {
    let requests: Arc<[Request]> = requests.into();
    let next = Arc::new(AtomicUsize::new(0));
    let answers = Arc::new(Mutex::new(HashMap::new()));
    let (count, mut counted) = watch::channel(0);
    let count = Arc::new(count);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Callers::connect(serving, false).await);
    }
    let mut tasks = JoinSet::new();
    for client in clients {
        let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
        let (answers, count) = (Arc::clone(&answers), Arc::clone(&count));
        tasks.spawn(async move {
            loop {
                let index = next.fetch_add(1, Ordering::SeqCst);
                let Some(request) = requests.get(index) else {
                    return;
                };
                match client.ask(request.clone()).await {
                    Ok(issued) => {
                        answers.lock().unwrap().insert(index, issued);
                        count.send_modify(|count| *count += 1);
                    }
                    // A reason would be an answer, and nothing here may be refused.
                    Err(failure) if failure.reason.is_none() => return,
                    Err(failure) => panic!("{failure}"),
                }
            }
        });
    }
    match moment {
        Moment::Acknowledged(enough) => {
            counted.wait_for(|count| *count >= enough).await.unwrap();
        }
        Moment::Elapsed(time) => sleep(time).await,
    }
    serving.process.kill();
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let sent = next.load(Ordering::SeqCst).min(requests.len());
    let answers = answers.lock().unwrap().clone();
    (sent, answers)
}

/// Repeats every request that was sent, twice: what was acknowledged is answered as before, and what was not has one
/// answer from now on.
async fn settle(
    serving: &Serving,
    requests: &[Request],
    acknowledged: &HashMap<usize, Issued>,
) -> Vec<Issued> {
    let callers = Callers::connect(serving, true).await;
    let mut tasks = JoinSet::new();
    for (index, request) in requests.iter().cloned().enumerate() {
        let callers = callers.clone();
        let before = acknowledged.get(&index).cloned();
        tasks.spawn(async move {
            let (one, other) = tokio::join!(callers.ask(request.clone()), callers.ask(request));
            let (one, other) = (one.unwrap(), other.unwrap());
            assert_eq!(one, other, "one request_id has two answers");
            assert!(
                before.is_none_or(|before| before == one),
                "an acknowledged document is another one now"
            );
            one
        });
    }
    tasks.join_all().await
}

async fn everything_is_there_once(serving: &Serving, issued: &[Issued]) {
    let codes: Vec<_> = issued.iter().map(|issued| issued.code.clone()).collect();
    let names: HashSet<_> = issued.iter().map(|issued| &issued.name).collect();
    assert_eq!(
        codes.iter().collect::<HashSet<_>>().len(),
        codes.len(),
        "a code was issued twice"
    );
    assert_eq!(names.len(), codes.len(), "a document answers two requests");
    let hub = serving.client(callers::HUB).await;
    for codes in codes.chunks(1000) {
        let reasons = validate(&hub, codes).await;
        assert!(
            reasons
                .iter()
                .all(|reason| *reason == pb::VerdictReason::Ok),
            "{reasons:?}"
        );
    }
}

/// Exactly the settled documents are there, all live: none that nobody knows of, none twice for a student.
async fn one_live_document_for_each_student(serving: &Serving, issued: &[Issued]) {
    let university = serving.client(callers::UNIVERSITY).await;
    let codes = list_codes(&university).await;
    let certificates = list_certificates(&university).await;
    let mut students = HashSet::new();
    let mut names = HashSet::new();
    let documents = codes
        .iter()
        .map(|code| (&code.name, code.state(), &code.program));
    let certificates = certificates
        .iter()
        .map(|it| (&it.name, it.state(), &it.program));
    for (name, state, program) in documents.chain(certificates) {
        assert_eq!(state, pb::DocumentState::Active);
        let student = &program.as_ref().unwrap().student_number;
        assert!(students.insert(student), "a student has two live documents");
        assert!(names.insert(name));
    }
    assert_eq!(names, issued.iter().map(|issued| &issued.name).collect());
}
