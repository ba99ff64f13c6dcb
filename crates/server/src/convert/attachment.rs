//! Files and what they belong to.

use gavah_api::v1 as pb;
use gavah_domain::attachment::{ATTACHMENTS_MAX, Attachment, FileDigest};
use gavah_domain::{Reason, Violations};
use gavah_store::StoredAttachment;

use super::enums::{from_pb, to_pb};
use super::time::instant_to_pb;
use super::{check_rules, names, settle, too_many};
use crate::error::AppError;

/// Greatest length of a part of a file, in bytes.
pub const CHUNK_BYTES: usize = 32 * 1024;

/// The bytes of a part.
///
/// # Errors
///
/// [`Reason::FieldRequired`] for an empty one, [`Reason::FieldTooLong`].
pub fn part(chunk: Vec<u8>) -> Result<Vec<u8>, AppError> {
    let mut found = Violations::default();
    match chunk.len() {
        0 => found.push("chunk", Reason::FieldRequired),
        1..=CHUNK_BYTES => return Ok(chunk),
        _ => found.push("chunk", Reason::FieldTooLong),
    }
    Err(found.into())
}

/// Which file is asked for.
///
/// # Errors
///
/// Every violation at once.
pub fn download(request: &pb::DownloadAttachmentRequest) -> Result<FileDigest, AppError> {
    let mut found = Violations::default();
    let file = found.take("name", names::parse_attachment(&request.name));
    settle(check_rules(request), found, file)
}

/// The files that come with an application: the same file at most once.
pub(super) fn attachments(
    given: &[pb::AttachmentRef],
    annotated: &Violations,
    found: &mut Violations,
) -> Option<Vec<Attachment>> {
    if too_many(annotated, "attachments") {
        return None;
    }
    let mut seen = Vec::new();
    let read = given.iter().take(ATTACHMENTS_MAX).enumerate();
    let read = read.map(|(index, given)| {
        let at = format!("attachments[{index}]");
        let kind = from_pb(given.kind).ok_or(Reason::FieldRequired);
        let kind = found.take(&format!("{at}.kind"), kind);
        let file = names::parse_attachment(&given.name).and_then(|file| {
            if seen.contains(&file) {
                return Err(Reason::FieldFormat);
            }
            seen.push(file);
            Ok(file)
        });
        let file = found.take(&format!("{at}.name"), file);
        Some(Attachment {
            kind: kind?,
            file: file?,
        })
    });
    // All of them, so that every violation is found.
    read.collect::<Vec<_>>().into_iter().collect()
}

/// The contract's form of the files of an application.
pub(super) fn attachments_to_pb(attachments: &[Attachment]) -> Vec<pb::AttachmentRef> {
    let to_pb = |attachment: &Attachment| pb::AttachmentRef {
        kind: to_pb(attachment.kind),
        name: names::attachment(attachment.file),
    };
    attachments.iter().map(to_pb).collect()
}

/// The contract's form of a file.
#[must_use]
pub fn attachment_to_pb(stored: &StoredAttachment) -> pb::Attachment {
    pb::Attachment {
        name: names::attachment(stored.file),
        media_type: to_pb(stored.media_type),
        size_bytes: stored.size_bytes,
        create_time: Some(instant_to_pb(stored.create_time)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(kind: i32, name: &str) -> pb::AttachmentRef {
        pb::AttachmentRef {
            kind,
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_file_is_named_by_its_hash_and_given_once() {
        let name = format!("attachments/{}", "0f".repeat(32));
        let mut found = Violations::default();
        let read = attachments(
            &[
                given(1, &name),
                given(2, &name),
                given(0, "attachments/0f"),
                given(99, &name.to_uppercase()),
            ],
            &Violations::default(),
            &mut found,
        );
        assert_eq!(read, None);
        let told: Vec<_> = found.into_iter().map(|v| (v.field, v.reason)).collect();
        let at = |field: &str, reason| (format!("attachments[{field}"), reason);
        assert_eq!(
            told,
            [
                at("1].name", Reason::FieldFormat),
                at("2].kind", Reason::FieldRequired),
                at("2].name", Reason::FieldFormat),
                at("3].kind", Reason::FieldRequired),
                at("3].name", Reason::FieldFormat),
            ]
        );
        let mut found = Violations::default();
        let read = attachments(&[given(1, &name)], &Violations::default(), &mut found);
        assert_eq!(attachments_to_pb(&read.unwrap()), [given(1, &name)]);
    }

    #[test]
    fn a_part_is_neither_empty_nor_long() {
        let part = |bytes| part(vec![7; bytes]);
        assert_eq!(part(CHUNK_BYTES).unwrap().len(), CHUNK_BYTES);
        for wrong in [0, CHUNK_BYTES + 1] {
            assert!(part(wrong).is_err(), "{wrong}");
        }
    }
}
