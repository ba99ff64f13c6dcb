//! A gateway for demos and tests: Zarinpal's protocol over real HTTP on loopback, with faults on demand.

mod http;
mod ledger;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::order::{Authority, SessionId};
use ledger::Ledger;

/// Where the simulator takes the time from.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the simulator knows of its merchant.
#[derive(Clone)]
pub struct SimulatorConfig {
    /// The only merchant it serves.
    pub merchant_id: String,
    /// The token that refunds need.
    pub access_token: String,
    /// How many payments it holds; more are refused with code -13.
    pub capacity: usize,
    /// Its clock.
    pub now: Now,
}

/// Without the merchant id and the token.
impl fmt::Debug for SimulatorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorConfig")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// Something that goes wrong once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimulatedFault {
    /// The answer comes later.
    Delay(Duration),
    /// Nothing is done, and HTTP says this status.
    Status(u16),
    /// Nothing is done, and no answer comes within half a minute.
    Silence,
    /// Everything is done, and the connection ends within the answer.
    AnswerLost,
    /// Everything is done, and the answer is no JSON.
    Unreadable,
    /// Everything is done, and the answer has no end in sight.
    TooLong,
    /// Nothing is done, and this code is answered.
    Code(i32),
    /// A verification is answered as if there had been an earlier one.
    VerifiedAlready,
    /// The payer is charged this amount instead.
    WrongAmount(i64),
    /// The callback is called once by the gateway itself before the payer is sent there.
    DuplicateCallback,
}

impl SimulatedFault {
    /// Whether it strikes at the payer's page and not in a call of the merchant.
    const fn is_of_page(self) -> bool {
        matches!(self, Self::WrongAmount(_) | Self::DuplicateCallback)
    }
}

#[derive(Debug)]
struct Shared {
    config: SimulatorConfig,
    ledger: Mutex<Ledger>,
}

impl Shared {
    /// A panic while the ledger was held leaves it whole: every change is one assignment.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A simulator that runs until it is dropped.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Simulator {
    /// Listens on a port of loopback; 0 takes any that is free.
    ///
    /// # Errors
    ///
    /// What the operating system says of the port.
    pub async fn start(config: SimulatorConfig, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            config,
            ledger: Mutex::default(),
        });
        let router = http::router(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // It ends only with this task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// The address for `base_url`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address for `refund_url`.
    #[must_use]
    pub fn refund_url(&self) -> String {
        format!("http://{}/api/v4/graphql", self.address)
    }

    /// Lets the next fitting call or payment go wrong; false when too many faults wait already.
    pub fn next(&self, fault: SimulatedFault) -> bool {
        self.shared.ledger().plan(None, fault)
    }

    /// Lets the next fitting call or payment of this authority go wrong; false when too many faults wait already.
    pub fn on(&self, authority: &Authority, fault: SimulatedFault) -> bool {
        self.shared.ledger().plan(Some(authority.as_str()), fault)
    }

    /// The session of a payment, which the real gateway shows in its panel.
    #[must_use]
    pub fn session(&self, authority: &Authority) -> Option<SessionId> {
        let ledger = self.shared.ledger();
        let payment = ledger.payment(authority.as_str())?;
        payment.session.to_string().parse().ok()
    }

    /// The day file: every payment that was changed on this day (in Tehran), in the order of their opening, as CSV.
    #[must_use]
    pub fn day_file(&self, day: jiff::civil::Date) -> String {
        self.shared.ledger().day_file(day)
    }
}

/// Decides at a payer's page as the payer's browser does, and gives the address that it sends the browser to: the callback
/// with the gateway's parameters.
///
/// # Errors
///
/// The page cannot be reached, or sends the browser nowhere.
pub async fn decide(redirect_url: &str, approve: bool) -> io::Result<String> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .map_err(io::Error::other)?;
    let choice = if approve { "approve" } else { "cancel" };
    let page = client.get(format!("{redirect_url}?as={choice}")).send();
    let page = page.await.map_err(io::Error::other)?;
    let location = page.headers().get(reqwest::header::LOCATION);
    let location = location.and_then(|location| location.to_str().ok());
    location
        .map(str::to_owned)
        .ok_or_else(|| io::Error::other("the page sends the browser nowhere"))
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}
