//! The contract of Gavah as Rust types: messages and services of `gavah.v1`, the
//! descriptor set they were made from, and the field checks their
//! `buf.validate` annotations ask for.

/// Messages, services and enums of package `gavah.v1`.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    reason = "generated"
)]
pub mod v1 {
    tonic::include_proto!("gavah.v1");
}

mod codec;
mod rules;

pub use codec::{BoundedCodec, BoundedDecoder};
pub use rules::{FieldPath, Rule, RuleViolation, Validate, is_uuid};

include!(concat!(env!("OUT_DIR"), "/validate.rs"));

/// The guides of the services, in Markdown.
pub mod guides {
    include!(concat!(env!("OUT_DIR"), "/guides.rs"));
}

/// The `google.protobuf.FileDescriptorSet` of the contract and all it imports,
/// with comments.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor_set.binpb"));
