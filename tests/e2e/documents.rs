//! Documents and guides of the services.

use futures_util::{StreamExt, stream};
use gavah_api::v1 as pb;
use gavah_api::v1::upload_service_document_request::Message;
use gavah_testkit::world::{CallerKind, UNIVERSITY, World};
use tonic::{Code, Response};

use crate::harness::soon;
use crate::messages::{apply, issue, record, request_id};
use crate::peer::{Answer, Peer, refused, told};
use crate::raw::Raw;
use pb::ServiceDocumentState as S;

cases! {
    an_upload_that_is_wrong_leaves_nothing,
    every_version_stays_and_requests_name_the_publication_they_ran_under,
    an_upload_sent_again_is_the_same_draft_and_a_publication_is_made_once,
    an_older_draft_does_not_come_into_force_after_a_later_one,
}

cases_of_any_engine! {
    the_guide_of_each_service_is_whole_in_both_languages,
}

fn pdf(text: &str) -> Vec<u8> {
    format!("%PDF-1.7\n%{text}\n%%EOF\n").into_bytes()
}

fn start(key: &str) -> pb::ServiceDocumentStart {
    pb::ServiceDocumentStart {
        request_id: request_id(),
        key: key.to_owned(),
        service: pb::ServiceKind::ValidityCode.into(),
        kind: pb::ServiceDocumentKind::Directive.into(),
        title_fa: "بخشنامه آزمایشی".to_owned(),
        title_en: "A synthetic directive".to_owned(),
        parent: String::new(),
    }
}

async fn send(peer: &Peer, messages: Vec<Message>) -> Answer<pb::UploadServiceDocumentResponse> {
    let messages = messages
        .into_iter()
        .map(|message| pb::UploadServiceDocumentRequest {
            message: Some(message),
        });
    told(
        peer.client()
            .documents()
            .upload_service_document(stream::iter(messages))
            .await,
    )
}

async fn upload(
    peer: &Peer,
    start: pb::ServiceDocumentStart,
    file: &[u8],
) -> Answer<pb::ServiceDocument> {
    let parts = file
        .chunks(32 * 1024)
        .map(|part| Message::Chunk(part.to_vec()));
    let messages = std::iter::once(Message::Start(start))
        .chain(parts)
        .collect();
    Ok(send(peer, messages).await?.document.unwrap())
}

pub(crate) async fn drafted(peer: &Peer, key: &str) -> pb::ServiceDocument {
    upload(peer, start(key), &pdf(&request_id())).await.unwrap()
}

pub(crate) fn publish(draft: &pb::ServiceDocument) -> pb::PublishServiceDocumentRequest {
    pb::PublishServiceDocumentRequest {
        request_id: request_id(),
        validate_only: false,
        name: draft.name.clone(),
        etag: draft.etag.clone(),
    }
}

async fn published(peer: &Peer, draft: &pb::ServiceDocument) -> pb::ServiceDocument {
    peer.publish_service_document(publish(draft))
        .await
        .unwrap()
        .document
        .unwrap()
}

async fn downloaded(peer: &Peer, document: &pb::ServiceDocument) -> Answer<Vec<u8>> {
    let name = document.name.clone();
    let request = pb::DownloadServiceDocumentRequest { name };
    let mut parts = told(
        peer.client()
            .documents()
            .download_service_document(request)
            .await,
    )?;
    let mut file = Vec::new();
    while let Some(part) = parts.next().await {
        let part = told(part.map(Response::new))?;
        if let Some(about) = &part.document {
            assert_eq!(about.name, document.name);
        }
        file.extend(part.chunk);
    }
    Ok(file)
}

/// Keys and versions of what is listed.
async fn listed(peer: &Peer, request: pb::ListServiceDocumentsRequest) -> Vec<(String, i32)> {
    let listed = peer.list_service_documents(request).await.unwrap();
    let of = |document: pb::ServiceDocument| (document.key, document.version);
    listed.documents.into_iter().map(of).collect()
}

async fn an_upload_that_is_wrong_leaves_nothing(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let draft = drafted(&organization, "directive-1").await;
    let before = Raw::to(world).await.everything().await;
    let file = Message::Chunk(pdf("1"));
    for (messages, field, reason) in [
        (vec![], "start", "FIELD_REQUIRED"),
        (vec![file.clone()], "start", "FIELD_REQUIRED"),
        (
            vec![Message::Start(start("a")), Message::Start(start("a"))],
            "chunk",
            "FIELD_REQUIRED",
        ),
        (
            vec![Message::Start(start("A b"))],
            "start.key",
            "FIELD_FORMAT",
        ),
        (
            vec![Message::Start(pb::ServiceDocumentStart {
                parent: "validityCodes/1".to_owned(),
                ..start("a")
            })],
            "start.parent",
            "FIELD_FORMAT",
        ),
        (
            vec![
                Message::Start(start("a")),
                Message::Chunk(vec![0; 32 * 1024 + 1]),
            ],
            "chunk",
            "FIELD_TOO_LONG",
        ),
    ] {
        let refusal = refused(
            send(&organization, messages).await,
            Code::InvalidArgument,
            reason,
        );
        assert_eq!(refusal.violations[0].field, field);
    }
    for wrong in [&b"MZ a program"[..], b"\xff\xd8\xff a picture", b""] {
        let answer = upload(&organization, start("a"), wrong).await;
        refused(answer, Code::InvalidArgument, "ATTACHMENT_TYPE");
    }
    let large = pdf(&" ".repeat(10_000_001));
    let answer = upload(&organization, start("a"), &large).await;
    let refusal = refused(answer, Code::InvalidArgument, "ATTACHMENT_TOO_LARGE");
    assert_eq!(refusal.metadata["max_bytes"], "10000000");
    let orphan = pb::ServiceDocumentStart {
        parent: format!("serviceDocuments/{}", request_id()),
        ..start("a")
    };
    let answer = upload(&organization, orphan, &pdf("2")).await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    let other_kind = pb::ServiceDocumentStart {
        kind: pb::ServiceDocumentKind::ByLaw.into(),
        ..start("directive-1")
    };
    let answer = upload(&organization, other_kind, &pdf("3")).await;
    refused(answer, Code::AlreadyExists, "RESOURCE_ALREADY_EXISTS");
    let both = pb::ListServiceDocumentsRequest {
        as_of_publication: Some(1),
        all_versions: true,
        ..Default::default()
    };
    let answer = organization.list_service_documents(both).await;
    refused(answer, Code::InvalidArgument, "FIELD_FORMAT");
    let stale = pb::PublishServiceDocumentRequest {
        etag: "9".to_owned(),
        ..publish(&draft)
    };
    let answer = organization.publish_service_document(stale).await;
    refused(answer, Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(Raw::to(world).await.everything().await, before);
}

async fn every_version_stays_and_requests_name_the_publication_they_ran_under(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let university = Peer::of(world, CallerKind::University).await;
    let window = Peer::of(world, CallerKind::Window).await;
    let issued = async || {
        let issued = university
            .issue_validity_code(issue(world, UNIVERSITY))
            .await;
        issued.unwrap().validity_code.unwrap()
    };
    assert_eq!(issued().await.documents_publication, 0);
    let general = pb::ServiceDocumentStart {
        service: 0,
        kind: pb::ServiceDocumentKind::GeneralRegulations.into(),
        ..start("general-regulations")
    };
    let general = upload(&organization, general, &pdf("general"))
        .await
        .unwrap();
    let first_file = pdf("one");
    let directive = pb::ServiceDocumentStart {
        parent: general.name.clone(),
        ..start("directive-1")
    };
    let first = upload(&organization, directive, &first_file).await.unwrap();
    assert_eq!(
        (first.state(), first.version, first.publication),
        (S::Draft, 1, 0)
    );
    assert_eq!(first.parent, general.name);
    let name = first.name.clone();
    let answer = university
        .get_service_document(pb::GetServiceDocumentRequest { name })
        .await;
    refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND");
    refused(
        downloaded(&university, &first).await,
        Code::NotFound,
        "RESOURCE_NOT_FOUND",
    );
    let everything = || pb::ListServiceDocumentsRequest {
        all_versions: true,
        ..Default::default()
    };
    assert!(listed(&university, everything()).await.is_empty());
    assert_eq!(listed(&organization, everything()).await.len(), 2);

    assert_eq!(published(&organization, &general).await.publication, 1);
    let first = published(&organization, &first).await;
    assert_eq!((first.state(), first.publication), (S::Published, 2));
    assert_eq!(downloaded(&university, &first).await.unwrap(), first_file);
    let code = soon("the publication on the node", async || {
        let code = issued().await;
        (code.documents_publication == 2).then_some(code)
    })
    .await;
    // The certificates' service knows only what is for all services.
    let draft = pb::CreateEnrollmentCertificateApplicationRequest {
        draft: true,
        ..apply(&record(world, UNIVERSITY))
    };
    let draft = window
        .create_enrollment_certificate_application(draft)
        .await;
    assert_eq!(draft.unwrap().application.unwrap().documents_publication, 1);

    let second = drafted(&organization, "directive-1").await;
    let second = published(&organization, &second).await;
    assert_eq!((second.version, second.publication), (2, 3));
    let read = university
        .get_service_document(pb::GetServiceDocumentRequest {
            name: first.name.clone(),
        })
        .await;
    let read = read.unwrap().document.unwrap();
    assert_eq!(
        (read.state(), read.superseded_by_publication),
        (S::Superseded, 3)
    );
    assert_eq!(downloaded(&university, &read).await.unwrap(), first_file);
    let as_of = |publication| pb::ListServiceDocumentsRequest {
        service: pb::ServiceKind::ValidityCode.into(),
        as_of_publication: publication,
        all_versions: false,
    };
    let of = |version| ("directive-1".to_owned(), version);
    let general = || ("general-regulations".to_owned(), 1);
    let then = listed(&university, as_of(Some(code.documents_publication))).await;
    assert_eq!(then, [of(1), general()]);
    assert_eq!(listed(&university, as_of(None)).await, [of(2), general()]);
    assert_eq!(listed(&university, as_of(Some(1))).await, [general()]);
    assert_eq!(listed(&university, as_of(Some(0))).await, []);
    // Of a published one nothing changes any more.
    let answer = organization.publish_service_document(publish(&first)).await;
    refused(
        answer,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
}

async fn an_upload_sent_again_is_the_same_draft_and_a_publication_is_made_once(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let (start, file) = (start("by-law-2"), pdf("text"));
    let draft = upload(&organization, start.clone(), &file).await.unwrap();
    let before = Raw::to(world).await.everything().await;
    assert_eq!(
        upload(&organization, start.clone(), &file).await.unwrap(),
        draft
    );
    let other = upload(&organization, start.clone(), &pdf("another")).await;
    refused(other, Code::AlreadyExists, "REQUEST_ID_REUSED");
    assert_eq!(Raw::to(world).await.everything().await, before);
    let request = publish(&draft);
    let first = organization
        .publish_service_document(request.clone())
        .await
        .unwrap();
    let again = organization
        .publish_service_document(request)
        .await
        .unwrap();
    assert_eq!(again, first);
    // The key under which it was uploaded stands for it still.
    let replayed = upload(&organization, start, &file).await.unwrap();
    assert_eq!(replayed, first.document.unwrap());
}

async fn the_guide_of_each_service_is_whole_in_both_languages(world: &mut World) {
    let hub = Peer::of(world, CallerKind::Hub).await;
    for (service, field) in [
        (pb::ServiceKind::EnrollmentCertificate, "window_reference"),
        (pb::ServiceKind::ValidityCode, "double_major_declared"),
    ] {
        let mut seen = Vec::new();
        for language in [pb::GuideLanguage::Fa, pb::GuideLanguage::En] {
            let request = pb::GetServiceGuideRequest {
                service: service.into(),
                language: language.into(),
            };
            let guide = hub.get_service_guide(request).await.unwrap();
            assert!(
                guide.markdown.contains(&format!("| `{field}` |")),
                "{service:?}"
            );
            let tables = guide.markdown.lines().filter(|line| line.starts_with('|'));
            let rows: Vec<_> = tables.map(|line| line.split(" | ").count()).collect();
            assert!(rows.len() > 80);
            assert!(
                rows.iter().all(|cells| matches!(cells, 1 | 2 | 5)),
                "{service:?}"
            );
            seen.push(guide.sha256);
        }
        assert_ne!(seen[0], seen[1]);
    }
    let nothing = pb::GetServiceGuideRequest::default();
    let refusal = refused(
        hub.get_service_guide(nothing).await,
        Code::InvalidArgument,
        "FIELD_REQUIRED",
    );
    let fields: Vec<_> = refusal
        .violations
        .iter()
        .map(|v| v.field.as_str())
        .collect();
    assert_eq!(fields, ["service", "language"]);
}

async fn an_older_draft_does_not_come_into_force_after_a_later_one(world: &mut World) {
    let organization = Peer::of(world, CallerKind::Organization).await;
    let older = upload(&organization, start("by-law-3"), &pdf("older")).await;
    let later = upload(&organization, start("by-law-3"), &pdf("later")).await;
    published(&organization, &later.unwrap()).await;
    let before = Raw::to(world).await.everything().await;
    let late = organization
        .publish_service_document(publish(&older.unwrap()))
        .await;
    refused(
        late,
        Code::FailedPrecondition,
        "STATE_TRANSITION_NOT_ALLOWED",
    );
    assert_eq!(Raw::to(world).await.everything().await, before);
}
