//! Pure rules of Gavah: identity, text, calendar, codes, records, verdicts.
//!
//! Nothing here waits, reads or writes: time and randomness are parameters ([`Clock`], [`Entropy`]), every input is parsed
//! once into a type whose existence proves that it is well formed, and every refusal is a [`Reason`].

pub mod agreement;
pub mod application;
pub mod attachment;
pub mod calendar;
pub mod caller;
pub mod certificate;
pub mod clock;
pub mod code;
pub mod code_application;
pub mod country;
pub mod disclosure;
pub mod dispute;
pub mod document;
pub mod enums;
pub mod identity;
pub mod incident;
pub mod institution;
pub mod job;
pub mod matching;
pub mod money;
pub mod payment;
pub mod program;
pub mod reason;
pub mod record;
pub mod service;
pub mod service_document;
pub mod sla;
pub mod tariff;
pub mod term;
pub mod text;
pub mod validity;
pub mod verdict;
pub mod violation;
pub mod working_calendar;

pub use calendar::JalaliDate;
pub use clock::{
    Clock, Entropy, EntropyError, FixedClock, MovableClock, SystemClock, SystemEntropy, new_uuid,
};
pub use code::{CodeScheme, MalformedCode, ValidityCode};
pub use enums::TextEnum;
pub use identity::{
    ForeignCode, ForeignCodeKind, LegalEntityId, NationalCode, Passport, PersonId, PersonName,
};
pub use money::{Money, MoneyError, MoneyUnit};
pub use reason::{Category, Reason};
pub use term::{Term, TermId, TermKind, TermTable};
pub use text::{DisplayText, MatchKey};
pub use violation::{Violation, Violations};
pub use working_calendar::{CalendarYear, WorkingCalendar};
