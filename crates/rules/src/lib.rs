//! Build-time generator of field checks: reads the `buf.validate` annotations of
//! the contract from its descriptors and writes one `impl Validate` per message.
//!
//! Only the rules the contract uses are known here. An annotation this crate
//! does not understand is an error that stops the build, so that no rule is ever
//! published and silently not enforced.

mod generate;
mod guide;
mod read;

use protox::prost_reflect::{DescriptorPool, MessageDescriptor};

pub use generate::validators;
pub use guide::{Guide, Language};

/// Why checks could not be generated.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The descriptors do not know the `buf.validate` extensions.
    #[error("the contract does not import buf/validate/validate.proto")]
    NoExtensions,
    /// A guide would not be whole.
    #[error("the guide lacks the meaning of: {0}")]
    Guide(String),
    /// An annotation uses a rule this generator does not know.
    #[error("{field}: rule `{rule}` is not supported by the generator")]
    Unsupported {
        /// Full name of the annotated field.
        field: String,
        /// Path of the rule, for example `string.email`.
        rule: String,
    },
}

/// All messages of `package`, nested ones included, in the order of the files.
#[must_use]
pub fn messages(pool: &DescriptorPool, package: &str) -> Vec<MessageDescriptor> {
    pool.all_messages()
        .filter(|message| message.package_name() == package && !message.is_map_entry())
        .collect()
}
