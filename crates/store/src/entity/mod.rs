//! The tables. Times are UTC microseconds; enums and ids are their stable text names.

pub mod agreement;
pub mod application_step;
pub mod audit_chain;
pub mod audit_entry;
pub mod audit_pending;
pub mod caller;
pub mod certificate_application;
pub mod change_event;
pub mod client_certificate;
pub mod enrollment_certificate;
pub mod enrollment_event;
pub mod enrollment_record;
pub mod expert;
pub mod institution;
pub mod institution_alias;
pub mod issuance_pause;
pub mod registry_version;
pub mod request_claim;
pub mod serial_counter;
pub mod service_call;
pub mod tariff_row;
pub mod tariff_year;
pub mod term;
pub mod validity_code;
pub mod workflow_version;
