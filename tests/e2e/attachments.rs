//! Files that come with applications: what is taken, who may have it, and when it goes.

use futures_util::{StreamExt, stream};
use gavah_api::v1 as pb;
use gavah_store::{RequiredAttachmentSeed, WorkflowSeed};
use gavah_testkit::fixtures;
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};
use jiff::SignedDuration;
use tonic::Code;

use crate::harness::soon;
use crate::messages::{apply, record};
use crate::peer::{Answer, Peer, refused, told};
use crate::raw::Raw;
use crate::stages::{cancel, drafted, reviewed, submit, under, update};

cases! {
    what_is_no_picture_and_no_document_or_too_large_is_refused_and_leaves_nothing,
    a_file_is_the_same_whoever_sends_it_and_only_they_have_it_back,
    an_application_opens_its_files_to_its_institution_alone,
    a_workflow_requires_files_and_names_those_that_are_missing,
    nobody_attaches_what_they_have_not_sent,
    a_file_that_belongs_to_nothing_goes_after_a_day_and_the_others_stay,
    a_file_whose_bytes_changed_is_not_given,
    a_file_that_is_being_removed_is_sent_again_a_little_later,
}

/// A JPEG of its own with `padding` bytes of comments.
fn jpeg(padding: usize) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    let mut comment = fixtures::id().to_string().into_bytes();
    comment.resize(comment.len().max(padding), b' ');
    for part in comment.chunks(60_000) {
        let length = u16::try_from(part.len() + 2).unwrap().to_be_bytes();
        file.extend([0xff, 0xfe]);
        file.extend(length);
        file.extend(part);
    }
    file.extend([0xff, 0xc0, 0, 3, 8, 0xff, 0xda, 0, 2, 7, 0xff, 0xd9]);
    file
}

/// A PDF of its own with `padding` bytes of comments.
fn pdf(padding: usize) -> Vec<u8> {
    let comment = format!(
        "%PDF-1.7\n%{}{}\n%%EOF\n",
        fixtures::id(),
        " ".repeat(padding)
    );
    comment.into_bytes()
}

async fn send_parts(peer: &Peer, parts: Vec<Vec<u8>>) -> Answer<pb::UploadAttachmentResponse> {
    let parts = parts
        .into_iter()
        .map(|chunk| pb::UploadAttachmentRequest { chunk });
    told(
        peer.client()
            .attachments()
            .upload_attachment(stream::iter(parts))
            .await,
    )
}

async fn send(peer: &Peer, file: &[u8]) -> Answer<pb::UploadAttachmentResponse> {
    send_parts(peer, file.chunks(32 * 1024).map(<[u8]>::to_vec).collect()).await
}

/// The name of a file that is taken.
pub(crate) async fn sent(peer: &Peer, file: &[u8]) -> String {
    send(peer, file).await.unwrap().attachment.unwrap().name
}

/// A fresh picture that the window has sent, as it is attached.
async fn attached(peer: &Peer, kind: pb::AttachmentKind) -> pb::AttachmentRef {
    pb::AttachmentRef {
        kind: kind.into(),
        name: sent(peer, &jpeg(0)).await,
    }
}

async fn received(peer: &Peer, name: &str) -> Answer<(pb::Attachment, Vec<u8>)> {
    let request = pb::DownloadAttachmentRequest {
        name: name.to_owned(),
    };
    let mut parts = told(
        peer.client()
            .attachments()
            .download_attachment(request)
            .await,
    )?;
    let (mut about, mut file) = (None, Vec::new());
    while let Some(part) = parts.next().await {
        let part = told(part.map(tonic::Response::new))?;
        about = about.or(part.attachment);
        file.extend(part.chunk);
    }
    Ok((about.unwrap(), file))
}

async fn what_is_no_picture_and_no_document_or_too_large_is_refused_and_leaves_nothing(
    world: &mut World,
) {
    let window = Peer::of(world, CallerKind::Window).await;
    let before = Raw::to(world).await.everything().await;
    let mut cut = pdf(10);
    cut.truncate(20);
    for wrong in [
        b"\x89PNG\r\n\x1a\n a picture named scan.jpg".to_vec(),
        b"<html><script>alert(1)</script>".to_vec(),
        cut,
    ] {
        refused(
            send(&window, &wrong).await,
            Code::InvalidArgument,
            "ATTACHMENT_TYPE",
        );
    }
    refused(
        send(&window, &[]).await,
        Code::InvalidArgument,
        "ATTACHMENT_TYPE",
    );
    for (large, most) in [(jpeg(300_000), "300000"), (pdf(2_000_000), "2000000")] {
        let refusal = refused(
            send(&window, &large).await,
            Code::InvalidArgument,
            "ATTACHMENT_TOO_LARGE",
        );
        assert_eq!(refusal.metadata["max_bytes"], most);
    }
    // Refused while it is still coming, however much more there is.
    let endless = std::iter::repeat_n(jpeg(30_000), 1000).collect();
    refused(
        send_parts(&window, endless).await,
        Code::InvalidArgument,
        "ATTACHMENT_TOO_LARGE",
    );
    for (part, reason) in [(0, "FIELD_REQUIRED"), (32 * 1024 + 1, "FIELD_TOO_LONG")] {
        let answer = send_parts(&window, vec![vec![b' '; part]]).await;
        let refusal = refused(answer, Code::InvalidArgument, reason);
        assert_eq!(refusal.violations[0].field, "chunk");
    }
    assert_eq!(Raw::to(world).await.everything().await, before);
    // On the bound, both are taken.
    let padding = 300_000 - (jpeg(60_000).len() - 60_000) - 4 * 4;
    let largest = jpeg(padding);
    assert_eq!(largest.len(), 300_000);
    for file in [largest, pdf(2_000_000 - pdf(0).len())] {
        let kept = send(&window, &file).await.unwrap().attachment.unwrap();
        assert_eq!(usize::try_from(kept.size_bytes).unwrap(), file.len());
        let (_, back) = received(&window, &kept.name).await.unwrap();
        assert_eq!(back, file);
    }
}

async fn a_file_is_the_same_whoever_sends_it_and_only_they_have_it_back(world: &mut World) {
    let window = Peer::of(world, CallerKind::Window).await;
    let university = Peer::of(world, CallerKind::University).await;
    let organization = Peer::of(world, CallerKind::Organization).await;
    let file = pdf(100_000);
    let kept = send(&window, &file).await.unwrap().attachment.unwrap();
    assert_eq!(kept.media_type(), pb::MediaType::Pdf);
    for peer in [&university, &organization] {
        let answer = received(peer, &kept.name).await;
        refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    }
    let uploads = "SELECT count(*) FROM audit_entry WHERE action = 'UPLOAD'";
    for peer in [&window, &university] {
        assert_eq!(send(peer, &file).await.unwrap().attachment.unwrap(), kept);
        let (about, back) = received(peer, &kept.name).await.unwrap();
        assert_eq!((about, back), (kept.clone(), file.clone()));
    }
    let mut raw = Raw::to(world).await;
    assert_eq!(raw.number(uploads).await, 2);
    let downloads = "SELECT count(*) FROM audit_entry WHERE action = 'DOWNLOAD'";
    assert_eq!(raw.number(downloads).await, 2);
    for name in ["attachments/00", "attachments/", "validityCodes/1"] {
        let refusal = refused(
            received(&window, name).await,
            Code::InvalidArgument,
            "FIELD_FORMAT",
        );
        assert_eq!(refusal.violations[0].field, "name");
    }
    let nowhere = format!("attachments/{}", "0".repeat(64));
    let answer = received(&window, &nowhere).await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
}

async fn an_application_opens_its_files_to_its_institution_alone(world: &mut World) {
    let window = Peer::of(world, CallerKind::Window).await;
    let photo = attached(&window, pb::AttachmentKind::Photo).await;
    let draft = drafted(world, UNIVERSITY).await;
    let attach = pb::UpdateEnrollmentCertificateApplicationRequest {
        attachments: vec![photo.clone()],
        ..update(&draft)
    };
    let trial = pb::UpdateEnrollmentCertificateApplicationRequest {
        validate_only: true,
        ..attach.clone()
    };
    window
        .update_enrollment_certificate_application(trial)
        .await
        .unwrap();
    let university = Peer::of(world, CallerKind::University).await;
    let answer = received(&university, &photo.name).await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    let changed = window
        .update_enrollment_certificate_application(attach)
        .await;
    let changed = changed.unwrap().application.unwrap();
    assert_eq!(changed.attachments, std::slice::from_ref(&photo));
    for (kind, may) in [
        (CallerKind::University, true),
        (CallerKind::Organization, true),
        (CallerKind::OtherUniversity, false),
        (CallerKind::CentralBody, false),
    ] {
        let answer = received(&Peer::of(world, kind).await, &photo.name).await;
        match may {
            true => assert!(answer.is_ok(), "{kind:?}"),
            false => drop(refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND")),
        }
    }
    // Taken off again, it is the institution's no longer.
    let without = pb::UpdateEnrollmentCertificateApplicationRequest {
        attachments: Vec::new(),
        ..update(&changed)
    };
    window
        .update_enrollment_certificate_application(without)
        .await
        .unwrap();
    let answer = received(&university, &photo.name).await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    received(&window, &photo.name).await.unwrap();
}

async fn a_workflow_requires_files_and_names_those_that_are_missing(world: &mut World) {
    world
        .reseed(|seed| {
            let plain = seed.workflow[1].clone();
            let mut rules = plain.rules.clone();
            rules.university_review = true;
            let require = |kind: &str, only_for: Option<&str>| RequiredAttachmentSeed {
                kind: kind.to_owned(),
                only_for: only_for.map(str::to_owned),
            };
            rules.required_attachments = vec![
                require("PHOTO", None),
                require("IDENTITY_DOCUMENT", None),
                require("EXISTING_DOCUMENT", Some("CONFIRM_EXISTING")),
            ];
            let id = "with-files".to_owned();
            seed.workflow.push(WorkflowSeed { id, rules, ..plain });
        })
        .await;
    under(world, "with-files").await;
    let window = Peer::of(world, CallerKind::Window).await;
    let request = apply(&record(world, UNIVERSITY));
    let answer = window
        .create_enrollment_certificate_application(request.clone())
        .await;
    let refusal = refused(answer, Code::FailedPrecondition, "ATTACHMENT_REQUIRED");
    assert_eq!(refusal.metadata["missing_kinds"], "PHOTO,IDENTITY_DOCUMENT");

    let photo = attached(&window, pb::AttachmentKind::Photo).await;
    let identity = attached(&window, pb::AttachmentKind::IdentityDocument).await;
    let draft = pb::CreateEnrollmentCertificateApplicationRequest {
        draft: true,
        attachments: vec![photo.clone()],
        ..request
    };
    let draft = window
        .create_enrollment_certificate_application(draft)
        .await;
    let draft = draft.unwrap().application.unwrap();
    let answer = window
        .submit_enrollment_certificate_application(submit(&draft))
        .await;
    let refusal = refused(answer, Code::FailedPrecondition, "ATTACHMENT_REQUIRED");
    assert_eq!(refusal.metadata["missing_kinds"], "IDENTITY_DOCUMENT");

    let complete = pb::UpdateEnrollmentCertificateApplicationRequest {
        attachments: vec![photo, identity],
        ..update(&draft)
    };
    window
        .update_enrollment_certificate_application(complete)
        .await
        .unwrap();
    let handed_in = window
        .submit_enrollment_certificate_application(submit(&draft))
        .await;
    let handed_in = handed_in.unwrap().application.unwrap();
    assert_eq!(handed_in.state(), pb::ApplicationState::UniversityReview);
    assert_eq!(handed_in.attachments.len(), 2);
}

async fn nobody_attaches_what_they_have_not_sent(world: &mut World) {
    let window = Peer::of(world, CallerKind::Window).await;
    let university = Peer::of(world, CallerKind::University).await;
    let foreign = attached(&university, pb::AttachmentKind::Photo).await;
    let request = pb::CreateEnrollmentCertificateApplicationRequest {
        draft: true,
        attachments: vec![foreign.clone()],
        ..apply(&record(world, UNIVERSITY))
    };
    let before = Raw::to(world).await.everything().await;
    let answer = window
        .create_enrollment_certificate_application(request.clone())
        .await;
    let refusal = refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    assert_eq!(refusal.metadata["resource"], foreign.name);
    let twice = pb::CreateEnrollmentCertificateApplicationRequest {
        attachments: vec![foreign.clone(), foreign.clone()],
        ..request.clone()
    };
    let answer = window
        .create_enrollment_certificate_application(twice)
        .await;
    let refusal = refused(answer, Code::InvalidArgument, "FIELD_FORMAT");
    assert_eq!(refusal.violations[0].field, "attachments[1].name");
    let many = pb::CreateEnrollmentCertificateApplicationRequest {
        attachments: vec![foreign; 11],
        ..request
    };
    let answer = window.create_enrollment_certificate_application(many).await;
    refused(answer, Code::InvalidArgument, "BATCH_TOO_LARGE");
    assert_eq!(Raw::to(world).await.everything().await, before);
}

async fn a_file_that_belongs_to_nothing_goes_after_a_day_and_the_others_stay(world: &mut World) {
    reviewed(world).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let loose = attached(&window, pb::AttachmentKind::Photo).await;
    let fresh = pdf(7);
    let (used, left) = (
        attached(&window, pb::AttachmentKind::Photo).await,
        attached(&window, pb::AttachmentKind::Other).await,
    );
    let request = pb::CreateEnrollmentCertificateApplicationRequest {
        attachments: vec![used.clone(), left.clone()],
        draft: true,
        ..apply(&record(world, UNIVERSITY))
    };
    let made = window
        .create_enrollment_certificate_application(request)
        .await;
    let made = made.unwrap().application.unwrap();
    let fewer = pb::UpdateEnrollmentCertificateApplicationRequest {
        attachments: vec![used.clone()],
        ..update(&made)
    };
    window
        .update_enrollment_certificate_application(fewer)
        .await
        .unwrap();
    // What was handed in keeps its files, also when it is taken back.
    window
        .cancel_enrollment_certificate_application(cancel(&made))
        .await
        .unwrap();

    world.clock().advance(SignedDuration::from_hours(25));
    let fresh = sent(&window, &fresh).await;
    soon("the sweep", async || {
        let gone = received(&window, &loose.name).await.is_err();
        (gone && received(&window, &left.name).await.is_err()).then_some(())
    })
    .await;
    for name in [&used.name, &fresh] {
        received(&window, name).await.unwrap();
    }
    let mut raw = Raw::to(world).await;
    soon("the end of the sweep", async || {
        let mut raw = Raw::to(world).await;
        let rows = raw.number("SELECT count(*) FROM attachment").await;
        (rows == 2).then_some(())
    })
    .await;
    let swept = "SELECT count(*) FROM audit_entry WHERE action = 'SWEEP'";
    assert_eq!(raw.number(swept).await, 2);
}

async fn a_file_whose_bytes_changed_is_not_given(world: &mut World) {
    let window = Peer::of(world, CallerKind::Window).await;
    let name = sent(&window, &pdf(1)).await;
    let digest = name.strip_prefix("attachments/").unwrap();
    let file = world.dir().join("objects/attachments");
    let file = file.join(&digest[..2]).join(&digest[2..4]).join(digest);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let answer = received(&window, &name).await;
    refused(answer, Code::Unavailable, "STORE_UNAVAILABLE");
}

async fn a_file_that_is_being_removed_is_sent_again_a_little_later(world: &mut World) {
    let window = Peer::of(world, CallerKind::Window).await;
    let file = pdf(3);
    let name = sent(&window, &file).await;
    // As a sweep leaves it that was cut off in the middle.
    let swept = "UPDATE attachment SET state = 'SWEPT', loose_since = 0";
    Raw::to(world).await.run(swept).await;
    let failure = refused(
        send(&window, &file).await,
        Code::Aborted,
        "CONCURRENT_UPDATE",
    );
    assert!(failure.retry_after.is_some());
    let answer = received(&window, &name).await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    let kept = soon("the end of the sweep", async || {
        send(&window, &file).await.ok()
    })
    .await;
    assert_eq!(kept.attachment.unwrap().name, name);
    assert_eq!(received(&window, &name).await.unwrap().1, file);
}
