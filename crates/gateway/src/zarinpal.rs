//! Zarinpal's protocol REST v4, and its refunds over GraphQL.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode, redirect, retry};
use serde_json::{Value, json};
use url::Url;

use crate::failure::{Failure, Fault, Meaning, Uncertainty};
use crate::order::{Authority, Order, Refund, Rials};
use crate::secret::{self, Secret, SecretError};
use crate::{Answer, Gateway, Receipt, Refunded, Settlement, Standing, Unverified};

/// The longest answer is a list of a hundred payments.
const MAX_ANSWER: usize = 256 * 1024;

/// The refund, as the gateway publishes its mutation.
const ADD_REFUND: &str = "mutation AddRefund($session_id: ID!, $amount: BigInteger!, $description: String, \
    $method: InstantPayoutActionTypeEnum, $reason: RefundReasonEnum) { resource: AddRefund(session_id: $session_id, \
    amount: $amount, description: $description, method: $method, reason: $reason) { id amount } }";

/// Where the gateway is, and which files hold what it knows us by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZarinpalConfig {
    /// `https://payment.zarinpal.com`, or the simulator's address.
    pub base_url: String,
    /// `https://next.zarinpal.com/api/v4/graphql`, or the simulator's.
    pub refund_url: String,
    /// A file with the merchant id of 36 characters.
    pub merchant_id_file: PathBuf,
    /// A file with the access token that refunds need.
    pub access_token_file: Option<PathBuf>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a whole call may take.
    pub timeout: Duration,
}

/// The client of Zarinpal.
#[derive(Debug)]
pub struct Zarinpal {
    client: Client,
    base_url: String,
    refund_url: String,
    merchant_id: Secret,
    authorization: Option<HeaderValue>,
}

/// https, or http on this very machine.
fn address(text: &str, setting: &'static str) -> Result<String, SecretError> {
    let wrong = SecretError::Address { setting };
    let Ok(url) = Url::parse(text) else {
        return Err(wrong);
    };
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    let is_loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if is_loopback => {}
        _ => return Err(wrong),
    }
    Ok(text.trim_end_matches('/').to_owned())
}

impl Zarinpal {
    /// Reads the secrets and builds the client; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// [`SecretError`] for files that are missing, open to others or hold something else, and for addresses without TLS.
    pub fn new(config: &ZarinpalConfig) -> Result<Self, SecretError> {
        let merchant_id = secret::read(&config.merchant_id_file)?;
        if merchant_id.expose().len() != 36 {
            return Err(SecretError::Malformed {
                path: config.merchant_id_file.clone(),
                problem: "holds no merchant id of 36 characters",
            });
        }
        let bearer = |path: &PathBuf| {
            let text = format!("Bearer {}", secret::read(path)?.expose());
            let mut value = HeaderValue::try_from(text).map_err(|_| SecretError::Malformed {
                path: path.clone(),
                problem: "holds no access token",
            })?;
            value.set_sensitive(true);
            Ok(value)
        };
        let authorization = config.access_token_file.as_ref().map(bearer).transpose()?;
        // Asking again by itself could charge or refund twice.
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .connect_timeout(config.connect_timeout)
            .timeout(config.timeout)
            .build()
            .map_err(|_| SecretError::Client)?;
        Ok(Self {
            client,
            base_url: address(&config.base_url, "base_url")?,
            refund_url: address(&config.refund_url, "refund_url")?,
            merchant_id,
            authorization,
        })
    }

    /// One call of REST v4: its code and data.
    async fn call(&self, name: &str, mut body: Value) -> Result<(i64, Value), Failure> {
        body["merchant_id"] = json!(self.merchant_id.expose());
        let url = format!("{}/pg/v4/payment/{name}.json", self.base_url);
        let (status, answer) = send(self.client.post(url), &body).await?;
        match integer(&answer["data"]["code"]).or_else(|| integer(&answer["errors"]["code"])) {
            Some(code @ (100 | 101)) if status.is_success() => Ok((code, answer["data"].clone())),
            // Success under a status of failure contradicts itself.
            Some(100 | 101) => Err(Failure::Unknown(Uncertainty::Status(status.as_u16()))),
            Some(code) => Err(i32::try_from(code).map_or(UNREADABLE, Failure::of_code)),
            None => Err(without_code(status)),
        }
    }
}

const UNREADABLE: Failure = Failure::Unknown(Uncertainty::Unreadable);

/// What an answer without a code of the protocol stands for.
fn without_code(status: StatusCode) -> Failure {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Failure::Misconfigured(Fault::NotAuthorized)
        }
        status if status.is_success() => UNREADABLE,
        status => Failure::Unknown(Uncertainty::Status(status.as_u16())),
    }
}

/// A failed exchange, without the client's words for it, which name the address.
fn lost(error: &reqwest::Error) -> Failure {
    if error.is_connect() {
        Failure::NotReached
    } else if error.is_timeout() {
        Failure::Unknown(Uncertainty::TimedOut)
    } else {
        Failure::Unknown(Uncertainty::ConnectionLost)
    }
}

/// Sends a question once, and reads an answer no longer than the protocol's.
async fn send(request: RequestBuilder, body: &Value) -> Result<(StatusCode, Value), Failure> {
    let request = request
        .header(CONTENT_TYPE, "application/json")
        .body(body.to_string());
    let mut response = request.send().await.map_err(|error| lost(&error))?;
    let status = response.status();
    if status.is_server_error() || status.is_redirection() {
        return Err(Failure::Unknown(Uncertainty::Status(status.as_u16())));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(Failure::Unknown(Uncertainty::TooLong));
        }
        bytes.extend_from_slice(&chunk);
    }
    let answer = serde_json::from_slice(&bytes).map_err(|_| without_code(status))?;
    Ok((status, answer))
}

/// A number, which the gateway writes as such or as text.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// A number or a word of the gateway that is kept as text.
fn word(value: &Value) -> Option<String> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let is_word =
        (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then_some(text)
}

fn rials(value: &Value) -> Option<Rials> {
    use gavah_domain::{Money, MoneyUnit};
    Money::new(integer(value)?, MoneyUnit::IrrCurrent)
        .try_into()
        .ok()
}

fn unverified(entry: &Value) -> Option<Unverified> {
    Some(Unverified {
        authority: entry["authority"].as_str()?.parse().ok()?,
        amount: rials(&entry["amount"])?,
        paid_at: entry["date"].as_str()?.to_owned(),
    })
}

/// What the errors of a refund stand for. Only categories that precede the act are believed to be refusals.
fn refund_failure(errors: &Value) -> Failure {
    match errors[0]["extensions"]["category"].as_str() {
        Some("authentication" | "authorization") => Failure::Misconfigured(Fault::NotAuthorized),
        Some("validation") => Failure::Refused {
            code: None,
            meaning: Meaning::RefundRefused,
        },
        _ => UNREADABLE,
    }
}

impl Gateway for Zarinpal {
    fn request<'a>(&'a self, order: &'a Order) -> Answer<'a, Authority> {
        Box::pin(async move {
            // The unit is always said: without it, the gateway takes a default of its own.
            let body = json!({
                "amount": order.amount.get(),
                "currency": "IRR",
                "description": order.description,
                "callback_url": order.callback_url,
                "metadata": { "order_id": order.reference },
            });
            let (_, data) = self.call("request", body).await?;
            let authority = data["authority"]
                .as_str()
                .and_then(|text| text.parse().ok());
            authority.ok_or(UNREADABLE)
        })
    }

    fn redirect_url(&self, authority: &Authority) -> String {
        format!("{}/pg/StartPay/{}", self.base_url, authority.as_str())
    }

    fn verify<'a>(&'a self, authority: &'a Authority, amount: Rials) -> Answer<'a, Settlement> {
        Box::pin(async move {
            let body = json!({ "authority": authority.as_str(), "amount": amount.get() });
            let (code, data) = self.call("verify", body).await?;
            let receipt = Receipt {
                ref_id: word(&data["ref_id"]).ok_or(UNREADABLE)?,
                fee: integer(&data["fee"]),
            };
            Ok(match code {
                101 => Settlement::DoneEarlier(receipt),
                _ => Settlement::Done(receipt),
            })
        })
    }

    fn unverified(&self) -> Answer<'_, Vec<Unverified>> {
        Box::pin(async move {
            let (_, data) = self.call("unVerified", json!({})).await?;
            let entries = data["authorities"].as_array().ok_or(UNREADABLE)?;
            let entries: Option<_> = entries.iter().map(unverified).collect();
            entries.ok_or(UNREADABLE)
        })
    }

    fn inquire<'a>(&'a self, authority: &'a Authority) -> Answer<'a, Standing> {
        Box::pin(async move {
            let body = json!({ "authority": authority.as_str() });
            let (_, data) = self.call("inquiry", body).await?;
            match data["status"].as_str() {
                Some("IN_BANK") => Ok(Standing::InBank),
                Some("PAID") => Ok(Standing::Paid),
                Some("VERIFIED") => Ok(Standing::Verified),
                Some("FAILED") => Ok(Standing::Failed),
                Some("REVERSED") => Ok(Standing::Reversed),
                _ => Err(UNREADABLE),
            }
        })
    }

    fn reverse<'a>(&'a self, authority: &'a Authority) -> Answer<'a, ()> {
        Box::pin(async move {
            let body = json!({ "authority": authority.as_str() });
            self.call("reverse", body).await.map(|_| ())
        })
    }

    fn refund<'a>(&'a self, refund: &'a Refund) -> Answer<'a, Refunded> {
        Box::pin(async move {
            let Some(authorization) = &self.authorization else {
                return Err(Failure::Misconfigured(Fault::NoAccessToken));
            };
            let body = json!({
                "query": ADD_REFUND,
                "variables": {
                    "session_id": refund.session.as_str(),
                    "amount": refund.amount.get(),
                    "description": refund.description,
                    "method": "PAYA",
                    "reason": "CUSTOMER_REQUEST",
                },
            });
            let request = self.client.post(&self.refund_url);
            let request = request.header(AUTHORIZATION, authorization.clone());
            let (status, answer) = send(request, &body).await?;
            if !status.is_success() {
                return Err(without_code(status));
            }
            let resource = &answer["data"]["resource"];
            if resource.is_null() {
                return Err(refund_failure(&answer["errors"]));
            }
            let amount = rials(&resource["amount"]).filter(|amount| *amount == refund.amount);
            Ok(Refunded {
                id: word(&resource["id"]).ok_or(UNREADABLE)?,
                amount: amount.ok_or(UNREADABLE)?,
            })
        })
    }
}
