//! Files in a bucket: a real server of the S3 protocol on loopback, which checks signatures.
#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use gavah_objects::{Area, Objects, ObjectsConfig, ObjectsError, digest_of};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

const MOST: u64 = 3_000_000;
const AREA: Area = Area::Attachments;

/// A server with the bucket `gavah` in a folder, for the key `id` with the secret `secret`.
async fn server(folder: &Path) -> SocketAddr {
    std::fs::create_dir(folder.join("gavah")).unwrap();
    let mut service = S3ServiceBuilder::new(FileSystem::new(folder).unwrap());
    service.set_auth(SimpleAuth::from_single("id", "secret"));
    let service = service.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let builder = Builder::new(TokioExecutor::new());
                // The client ends connections as it likes.
                let _ = builder
                    .serve_connection(TokioIo::new(socket), service)
                    .await;
            });
        }
    });
    address
}

fn objects(address: SocketAddr, secret: &str) -> Objects {
    Objects::open(&ObjectsConfig::S3 {
        endpoint: format!("http://{address}"),
        region: "local".to_owned(),
        bucket: "gavah".to_owned(),
        access_key_id: "id".to_owned(),
        secret_access_key: secret.to_owned(),
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_keeps_reads_and_removes_files_as_a_folder_does() {
    let folder = tempfile::tempdir().unwrap();
    let objects = objects(server(folder.path()).await, "secret");
    for size in [1, 300_000, 2_000_000] {
        let bytes = Bytes::from(vec![u8::try_from(size % 251).unwrap(); size]);
        let digest = digest_of(&bytes);
        let missing = objects.get(AREA, digest, MOST).await;
        assert_eq!(missing, Err(ObjectsError::Missing));
        for _ in 0..2 {
            objects.put(AREA, digest, bytes.clone()).await.unwrap();
            assert_eq!(objects.get(AREA, digest, MOST).await.unwrap(), bytes);
        }
        for _ in 0..2 {
            objects.delete(AREA, digest).await.unwrap();
        }
        let missing = objects.get(AREA, digest, MOST).await;
        assert_eq!(missing, Err(ObjectsError::Missing));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_changed_in_the_bucket_is_not_given() {
    let folder = tempfile::tempdir().unwrap();
    let objects = objects(server(folder.path()).await, "secret");
    let bytes = Bytes::from_static(b"%PDF-1.7 a scan %%EOF");
    let digest = digest_of(&bytes);
    objects.put(AREA, digest, bytes).await.unwrap();
    let name = digest.to_string();
    let place = format!("gavah/attachments/{}/{}/{name}", &name[..2], &name[2..4]);
    std::fs::write(folder.path().join(place), b"%PDF-1.7 a fake %%EOF").unwrap();
    let altered = objects.get(AREA, digest, MOST).await;
    assert_eq!(altered, Err(ObjectsError::Altered));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_and_a_server_that_is_not_there_are_told_without_a_word_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let address = server(folder.path()).await;
    let bytes = Bytes::from_static(b"%PDF-1.7");
    let digest = digest_of(&bytes);
    let refused = objects(address, "another")
        .put(AREA, digest, bytes.clone())
        .await;
    assert_eq!(refused, Err(ObjectsError::Unavailable));
    assert!(!refused.unwrap_err().to_string().contains("another"));
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let unanswered = objects(nobody, "secret").get(AREA, digest, MOST).await;
    assert_eq!(unanswered, Err(ObjectsError::Unavailable));
}
