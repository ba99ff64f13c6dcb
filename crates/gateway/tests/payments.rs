//! The client against the simulator, over real HTTP.
#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use gavah_domain::{Money, MoneyUnit};
use gavah_gateway::simulator::{SimulatedFault, Simulator, SimulatorConfig};
use gavah_gateway::{
    Authority, CODES, Failure, Fault, Gateway, InvalidInput, Meaning, Order, Refund, Rials,
    SecretError, Settlement, Standing, Uncertainty, Zarinpal, ZarinpalConfig,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const MERCHANT: &str = "00000000-1111-2222-3333-444444444444";
const TOKEN: &str = "synthetic-access-token";

struct World {
    simulator: Simulator,
    gateway: Zarinpal,
    config: ZarinpalConfig,
    folder: TempDir,
}

fn rial(amount: i64) -> Money {
    Money::new(amount, MoneyUnit::IrrCurrent)
}

fn rials(amount: i64) -> Rials {
    rial(amount).try_into().unwrap()
}

fn order(callback: &str) -> Order {
    Order::new(rial(150_000), "A certificate", callback, "order-1").unwrap()
}

async fn world() -> World {
    let config = SimulatorConfig {
        merchant_id: MERCHANT.to_owned(),
        access_token: TOKEN.to_owned(),
        capacity: 50,
        now: Arc::new(|| "2026-03-01T10:00:00Z".parse().unwrap()),
    };
    let simulator = Simulator::start(config, 0).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let secret = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let config = ZarinpalConfig {
        base_url: simulator.base_url(),
        refund_url: simulator.refund_url(),
        merchant_id_file: secret("merchant", MERCHANT),
        access_token_file: Some(secret("token", TOKEN)),
        connect_timeout: Duration::from_secs(2),
        timeout: Duration::from_millis(1_500),
    };
    World {
        gateway: Zarinpal::new(&config).unwrap(),
        simulator,
        config,
        folder,
    }
}

impl World {
    async fn opened(&self) -> Authority {
        let order = order("http://127.0.0.1:9/back?order=1");
        self.gateway.request(&order).await.unwrap()
    }

    /// What the payer's browser does; gives the address that it is sent to.
    async fn decide(&self, authority: &Authority, choice: &str) -> String {
        let url = format!("{}?as={choice}", self.gateway.redirect_url(authority));
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let answer = client.get(url).send().await.unwrap();
        answer.headers()["location"].to_str().unwrap().to_owned()
    }

    async fn paid(&self) -> Authority {
        let authority = self.opened().await;
        self.decide(&authority, "approve").await;
        authority
    }

    async fn verify(&self, authority: &Authority) -> Result<Settlement, Failure> {
        self.gateway.verify(authority, rials(150_000)).await
    }
}

const fn refused(code: i32, meaning: Meaning) -> Failure {
    Failure::Refused {
        code: Some(code),
        meaning,
    }
}

#[tokio::test]
async fn a_payment_is_opened_paid_listed_verified_and_told_to_be_verified_already() {
    let world = world().await;
    let gateway: &dyn Gateway = &world.gateway;
    let authority = world.opened().await;
    assert_eq!(gateway.inquire(&authority).await, Ok(Standing::InBank));
    assert_eq!(
        world.verify(&authority).await,
        Err(refused(-51, Meaning::NotPaid))
    );
    let back = world.decide(&authority, "approve").await;
    let expected = format!(
        "http://127.0.0.1:9/back?order=1&Authority={}&Status=OK",
        authority.as_str()
    );
    assert_eq!(back, expected);
    let listed = gateway.unverified().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0].authority, listed[0].amount),
        (&authority, rials(150_000))
    );
    assert_eq!(gateway.inquire(&authority).await, Ok(Standing::Paid));
    let wrong = gateway.verify(&authority, rials(150_001)).await;
    assert_eq!(wrong, Err(refused(-50, Meaning::AmountDiffers)));
    let first = world.verify(&authority).await.unwrap();
    assert!(matches!(&first, Settlement::Done(receipt) if receipt.ref_id == "1000001"));
    let second = world.verify(&authority).await.unwrap();
    assert_eq!(second, Settlement::DoneEarlier(first.receipt().clone()));
    assert_eq!(gateway.inquire(&authority).await, Ok(Standing::Verified));
    assert_eq!(gateway.unverified().await, Ok(vec![]));
    let expected = format!(
        "authority,ref_id,amount,refunded,state,created_at,changed_at\n{},1000001,150000,0,VERIFIED,2026-03-01T10:00:00Z,2026-03-01T10:00:00Z\n",
        authority.as_str()
    );
    assert_eq!(
        world.simulator.day_file("2026-03-01".parse().unwrap()),
        expected
    );
}

#[tokio::test]
async fn a_cancelled_payment_is_not_paid_and_an_unknown_one_is_not_there() {
    let world = world().await;
    let authority = world.opened().await;
    assert!(
        world
            .decide(&authority, "cancel")
            .await
            .ends_with("Status=NOK")
    );
    assert_eq!(
        world.gateway.inquire(&authority).await,
        Ok(Standing::Failed)
    );
    assert_eq!(
        world.verify(&authority).await,
        Err(refused(-51, Meaning::NotPaid))
    );
    assert_eq!(
        world.gateway.reverse(&authority).await,
        Err(refused(-61, Meaning::NotSettled))
    );
    let other: Authority = format!("A{}", "9".repeat(35)).parse().unwrap();
    assert_eq!(
        world.verify(&other).await,
        Err(refused(-54, Meaning::AuthorityUnknown))
    );
}

#[tokio::test]
async fn payments_are_taken_back_in_full_or_refunded_in_part_never_beyond_what_was_paid() {
    let world = world().await;
    let authority = world.paid().await;
    assert_eq!(world.gateway.reverse(&authority).await, Ok(()));
    assert_eq!(
        world.gateway.inquire(&authority).await,
        Ok(Standing::Reversed)
    );
    let authority = world.paid().await;
    world.verify(&authority).await.unwrap();
    let session = world.simulator.session(&authority).unwrap();
    let refund = Refund::new(session, rial(100_000), "Paid twice").unwrap();
    let refunded = world.gateway.refund(&refund).await.unwrap();
    assert_eq!(
        (refunded.id.as_str(), refunded.amount),
        ("1", rials(100_000))
    );
    let beyond = world.gateway.refund(&refund).await;
    assert_eq!(
        beyond,
        Err(Failure::Refused {
            code: None,
            meaning: Meaning::RefundRefused
        })
    );
    let no_token = ZarinpalConfig {
        access_token_file: None,
        ..world.config.clone()
    };
    let answer = Zarinpal::new(&no_token).unwrap().refund(&refund).await;
    assert_eq!(answer, Err(Failure::Misconfigured(Fault::NoAccessToken)));
    let wrong_token = ZarinpalConfig {
        access_token_file: Some(world.config.merchant_id_file.clone()),
        ..world.config.clone()
    };
    let answer = Zarinpal::new(&wrong_token).unwrap().refund(&refund).await;
    assert_eq!(answer, Err(Failure::Misconfigured(Fault::NotAuthorized)));
}

#[tokio::test]
async fn an_answer_that_does_not_come_concludes_nothing_and_the_next_question_tells() {
    let cases = [
        (SimulatedFault::Status(503), Uncertainty::Status(503), false),
        (SimulatedFault::Status(302), Uncertainty::Status(302), false),
        (SimulatedFault::Status(404), Uncertainty::Status(404), false),
        (SimulatedFault::Silence, Uncertainty::TimedOut, false),
        (
            SimulatedFault::Delay(Duration::from_secs(20)),
            Uncertainty::TimedOut,
            false,
        ),
        (SimulatedFault::Code(-52), Uncertainty::GatewayFault, false),
        (
            SimulatedFault::Code(-999),
            Uncertainty::UnpublishedCode(-999),
            false,
        ),
        (
            SimulatedFault::AnswerLost,
            Uncertainty::ConnectionLost,
            true,
        ),
        (SimulatedFault::Unreadable, Uncertainty::Unreadable, true),
        (SimulatedFault::TooLong, Uncertainty::TooLong, true),
    ];
    let world = world().await;
    for (fault, uncertainty, is_done) in cases {
        let authority = world.paid().await;
        assert!(world.simulator.on(&authority, fault));
        assert_eq!(
            world.verify(&authority).await,
            Err(Failure::Unknown(uncertainty)),
            "{fault:?}"
        );
        let next = world.verify(&authority).await.unwrap();
        assert_eq!(
            matches!(next, Settlement::DoneEarlier(_)),
            is_done,
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_short_delay_an_earlier_verification_and_a_wrong_amount_are_told_as_they_are() {
    let world = world().await;
    let authority = world.paid().await;
    world
        .simulator
        .next(SimulatedFault::Delay(Duration::from_millis(20)));
    assert!(matches!(
        world.verify(&authority).await,
        Ok(Settlement::Done(_))
    ));
    let authority = world.paid().await;
    world.simulator.next(SimulatedFault::VerifiedAlready);
    assert!(matches!(
        world.verify(&authority).await,
        Ok(Settlement::DoneEarlier(_))
    ));
    world.simulator.next(SimulatedFault::WrongAmount(1_000));
    let authority = world.paid().await;
    assert_eq!(
        world.verify(&authority).await,
        Err(refused(-50, Meaning::AmountDiffers))
    );
    assert_eq!(
        world.gateway.unverified().await.unwrap()[0].amount,
        rials(1_000)
    );
}

#[tokio::test]
async fn a_callback_may_come_twice() {
    let world = world().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let callback = format!("http://{}/back", listener.local_addr().unwrap());
    let heard = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 1_024];
        let length = socket.read(&mut bytes).await.unwrap();
        socket
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    });
    let authority = world.gateway.request(&order(&callback)).await.unwrap();
    world
        .simulator
        .on(&authority, SimulatedFault::DuplicateCallback);
    let back = world.decide(&authority, "approve").await;
    let heard = heard.await.unwrap();
    let path = back
        .strip_prefix(callback.trim_end_matches("/back"))
        .unwrap();
    assert!(heard.starts_with(&format!("GET {path} ")), "{heard}");
}

#[tokio::test]
async fn every_published_code_has_its_meaning() {
    let world = world().await;
    let authority = world.opened().await;
    let misconfigured = [
        -10, -11, -14, -15, -16, -17, -18, -19, -30, -31, -32, -33, -34, -35, -36, -37, -38, -39,
        -62,
    ];
    let published: Vec<i32> = (-19..=-9)
        .chain(-41..=-30)
        .chain(-55..=-50)
        .chain(-63..=-60)
        .collect();
    assert_eq!(CODES.len(), published.len());
    for (code, meaning) in CODES.iter().copied() {
        assert!(published.contains(&code));
        world.simulator.next(SimulatedFault::Code(code));
        let expected = match code {
            -52 => Failure::Unknown(Uncertainty::GatewayFault),
            code if misconfigured.contains(&code) => {
                Failure::Misconfigured(Fault::Merchant { code, meaning })
            }
            code => refused(code, meaning),
        };
        assert_eq!(
            world.gateway.inquire(&authority).await,
            Err(expected),
            "{code}"
        );
    }
}

#[tokio::test]
async fn what_is_misconfigured_is_told_without_telling_a_secret() {
    let mut world = world().await;
    let path = world.folder.path().join("other");
    fs::write(&path, "f".repeat(36)).unwrap();
    world.config.merchant_id_file = path.clone();
    assert!(matches!(
        Zarinpal::new(&world.config),
        Err(SecretError::Exposed { .. })
    ));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let stranger = Zarinpal::new(&world.config).unwrap();
    let answer = stranger.unverified().await;
    let meaning = Meaning::TerminalInvalid;
    assert_eq!(
        answer,
        Err(Failure::Misconfigured(Fault::Merchant {
            code: -10,
            meaning
        }))
    );
    fs::write(&path, "too-short-to-be-a-merchant").unwrap();
    let error = Zarinpal::new(&world.config).unwrap_err();
    let told = format!(
        "{error} {error:?} {:?} {:?}",
        world.gateway, world.simulator
    );
    for secret in [MERCHANT, TOKEN, "too-short-to-be-a-merchant"] {
        assert!(!told.contains(secret), "{told}");
    }
    world.config.merchant_id_file = world.folder.path().join("merchant");
    world.config.base_url = "http://gateway.example".to_owned();
    assert!(matches!(
        Zarinpal::new(&world.config),
        Err(SecretError::Address {
            setting: "base_url"
        })
    ));
}

#[tokio::test]
async fn a_gateway_that_is_not_reached_was_asked_nothing() {
    let mut world = world().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.config.base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let gateway = Zarinpal::new(&world.config).unwrap();
    assert_eq!(gateway.unverified().await, Err(Failure::NotReached));
}

#[tokio::test]
async fn a_full_simulator_opens_no_more() {
    let world = world().await;
    for _ in 0..50 {
        world.opened().await;
    }
    let answer = world
        .gateway
        .request(&order("http://127.0.0.1:9/back"))
        .await;
    assert_eq!(answer, Err(refused(-13, Meaning::TerminalLimit)));
}

#[test]
fn only_positive_current_rials_and_whole_orders_can_be_sent() {
    let new = Money::new(15, MoneyUnit::IrrNew);
    assert_eq!(Rials::try_from(new), Err(InvalidInput::NotCurrentRials));
    assert_eq!(Rials::try_from(rial(0)), Err(InvalidInput::NotPositive));
    assert_eq!(Money::from(rials(7)), rial(7));
    let cases = [
        (" ", "https://a.example", "1", InvalidInput::Description),
        ("x", "ftp://a.example", "1", InvalidInput::Callback),
        ("x", "https://a.example", "", InvalidInput::Reference),
    ];
    for (text, callback, reference, expected) in cases {
        assert_eq!(
            Order::new(rial(1), text, callback, reference),
            Err(expected)
        );
    }
    for text in [
        "",
        "A1",
        "B00000000000000000000000000000000000",
        "A0000000000000000000000000000000000/",
    ] {
        assert_eq!(text.parse::<Authority>(), Err(InvalidInput::Authority));
    }
    assert!(!format!("{:?}", order("https://a.example/?token=1")).contains("certificate"));
}
