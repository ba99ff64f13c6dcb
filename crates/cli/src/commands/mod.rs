//! One module for each command.

pub(crate) mod agreement;
pub(crate) mod attachment;
pub(crate) mod audit;
mod batch;
pub(crate) mod bench;
pub(crate) mod calendar;
pub(crate) mod call;
pub(crate) mod caller;
pub(crate) mod certificate;
pub(crate) mod changes;
pub(crate) mod check_config;
pub(crate) mod code;
pub(crate) mod dispute;
mod document;
pub(crate) mod guide;
pub(crate) mod incident;
pub(crate) mod inquiry;
pub(crate) mod issuance;
pub(crate) mod keys;
pub(crate) mod migrate;
pub(crate) mod payment;
mod person;
pub(crate) mod pki;
pub(crate) mod record;
pub(crate) mod sandbox;
pub(crate) mod seed;
pub(crate) mod serve;
pub(crate) mod service_document;
pub(crate) mod sla;
mod table;
pub(crate) mod tariff;

pub(crate) mod whoami;

use clap::builder::PossibleValuesParser;
use gavah_domain::TextEnum;

/// The names of an enum as the values of a flag.
fn one_of<T: TextEnum>() -> PossibleValuesParser {
    PossibleValuesParser::new(T::ALL.iter().map(|value| value.as_str()))
}
