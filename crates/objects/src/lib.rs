//! Files beside the database, each under the SHA-256 of its bytes.
//!
//! Only the hash is authoritative: what is read is hashed again, and bytes that are not those asked for are never given.
//! The files lie in a folder of this machine, or with any store that speaks the protocol of S3.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use gavah_domain::attachment::FileDigest;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig};

/// Time to connect to a store of files, and for one try at it: who waits for a file has a deadline.
const CONNECT: Duration = Duration::from_secs(2);
const TRY: Duration = Duration::from_secs(5);

/// Where the files are.
#[derive(Clone, PartialEq, Eq)]
pub enum ObjectsConfig {
    /// A folder of this machine, made when it is missing.
    Local {
        /// The folder.
        path: PathBuf,
    },
    /// A bucket of a store that speaks the protocol of S3.
    S3 {
        /// Its URL, `https://objects.example.org`.
        endpoint: String,
        /// Its region.
        region: String,
        /// The bucket, which exists.
        bucket: String,
        /// Id of the access key.
        access_key_id: String,
        /// The access key itself.
        secret_access_key: String,
    },
}

/// Tells where, and no secret.
impl fmt::Debug for ObjectsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { path } => f.debug_struct("Local").field("path", path).finish(),
            Self::S3 {
                endpoint, bucket, ..
            } => f
                .debug_struct("S3")
                .field("endpoint", endpoint)
                .field("bucket", bucket)
                .finish_non_exhaustive(),
        }
    }
}

/// Why a file could not be kept or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectsError {
    /// The settings do not make a store.
    #[error("the store of files cannot be used: {0}")]
    Config(String),
    /// It does not answer, or not as it should.
    #[error("the store of files does not answer")]
    Unavailable,
    /// There is no such file.
    #[error("the file is missing")]
    Missing,
    /// The bytes under the hash have another hash.
    #[error("the file is not what it was")]
    Altered,
}

/// The address of these bytes.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> FileDigest {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest(&SHA256, bytes).as_ref());
    FileDigest::new(sha256)
}

/// What files belong to: the same bytes in two areas are two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// Files that come with applications.
    Attachments,
    /// Documents of the services.
    Documents,
}

impl Area {
    /// Two levels of folders keep each of them short.
    fn place(self, file: FileDigest) -> Path {
        let area = match self {
            Self::Attachments => "attachments",
            Self::Documents => "documents",
        };
        let name = file.to_string();
        Path::from_iter([area, &name[..2], &name[2..4], &name])
    }
}

/// The store of files; a clone is the same store.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
}

impl Objects {
    /// Opens the store. A folder is made; of a bucket nothing is asked yet.
    ///
    /// # Errors
    ///
    /// [`ObjectsError::Config`].
    pub fn open(config: &ObjectsConfig) -> Result<Self, ObjectsError> {
        let wrong = |error: &dyn fmt::Display| ObjectsError::Config(error.to_string());
        let store: Arc<dyn ObjectStore> = match config {
            ObjectsConfig::Local { path } => {
                std::fs::create_dir_all(path)
                    .map_err(|error| wrong(&format!("{}: {error}", path.display())))?;
                let folder = LocalFileSystem::new_with_prefix(path).map_err(|e| wrong(&e))?;
                // What is acknowledged is on the disk.
                Arc::new(folder.with_fsync(true))
            }
            ObjectsConfig::S3 {
                endpoint,
                region,
                bucket,
                access_key_id,
                secret_access_key,
            } => {
                let bucket = AmazonS3Builder::new()
                    .with_endpoint(endpoint)
                    .with_region(region)
                    .with_bucket_name(bucket)
                    .with_access_key_id(access_key_id)
                    .with_secret_access_key(secret_access_key)
                    .with_client_options(
                        ClientOptions::new()
                            .with_allow_http(endpoint.starts_with("http://"))
                            .with_connect_timeout(CONNECT)
                            .with_timeout(TRY),
                    )
                    .with_retry(RetryConfig {
                        max_retries: 2,
                        retry_timeout: TRY,
                        ..RetryConfig::default()
                    })
                    .build();
                Arc::new(bucket.map_err(|error| wrong(&error))?)
            }
        };
        Ok(Self { store })
    }

    /// Keeps a file; keeping it again changes nothing.
    ///
    /// # Errors
    ///
    /// [`ObjectsError::Unavailable`].
    pub async fn put(
        &self,
        area: Area,
        file: FileDigest,
        bytes: Bytes,
    ) -> Result<(), ObjectsError> {
        let payload = PutPayload::from_bytes(bytes);
        let put = self.store.put(&area.place(file), payload).await;
        put.map(|_| ()).map_err(|error| failure(&error))
    }

    /// Reads a file of at most `most` bytes.
    ///
    /// # Errors
    ///
    /// [`ObjectsError::Missing`], [`ObjectsError::Altered`] also when it is longer,
    /// [`ObjectsError::Unavailable`].
    pub async fn get(
        &self,
        area: Area,
        file: FileDigest,
        most: u64,
    ) -> Result<Bytes, ObjectsError> {
        let found = self.store.get(&area.place(file)).await;
        let found = found.map_err(|error| failure(&error))?;
        if found.meta.size > most {
            return Err(ObjectsError::Altered);
        }
        let bytes = found.bytes().await.map_err(|error| failure(&error))?;
        if digest_of(&bytes) == file {
            Ok(bytes)
        } else {
            Err(ObjectsError::Altered)
        }
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    ///
    /// [`ObjectsError::Unavailable`].
    pub async fn delete(&self, area: Area, file: FileDigest) -> Result<(), ObjectsError> {
        match self.store.delete(&area.place(file)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    }
}

/// What it was is not told further: it may name paths and hosts.
fn failure(error: &object_store::Error) -> ObjectsError {
    match error {
        object_store::Error::NotFound { .. } => ObjectsError::Missing,
        _ => ObjectsError::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 1000;
    const AREA: Area = Area::Attachments;

    fn local(dir: &std::path::Path) -> Objects {
        let path = dir.join("objects");
        Objects::open(&ObjectsConfig::Local { path }).unwrap()
    }

    #[test]
    fn an_address_is_the_hash() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest_of(b"").to_string(), empty);
    }

    #[tokio::test]
    async fn bytes_that_are_not_those_asked_for_are_never_given() {
        let dir = tempfile::tempdir().unwrap();
        let objects = local(dir.path());
        let digest = digest_of(b"what was kept");
        assert_eq!(
            objects.get(AREA, digest, MOST).await,
            Err(ObjectsError::Missing)
        );
        objects
            .put(AREA, digest, Bytes::from_static(b"what was kept"))
            .await
            .unwrap();
        let file = dir.path().join("objects").join(AREA.place(digest).as_ref());
        assert_eq!(std::fs::read(&file).unwrap(), b"what was kept");
        assert_eq!(
            objects.get(AREA, digest, 12).await,
            Err(ObjectsError::Altered)
        );
        std::fs::write(&file, b"something else").unwrap();
        assert_eq!(
            objects.get(AREA, digest, MOST).await,
            Err(ObjectsError::Altered)
        );
    }

    #[tokio::test]
    async fn a_file_is_kept_read_and_removed_any_number_of_times() {
        let dir = tempfile::tempdir().unwrap();
        let objects = local(dir.path());
        let bytes = Bytes::from_static(b"a scan");
        let digest = digest_of(&bytes);
        for _ in 0..2 {
            objects.put(AREA, digest, bytes.clone()).await.unwrap();
            assert_eq!(objects.get(AREA, digest, MOST).await.unwrap(), bytes);
        }
        for _ in 0..2 {
            objects.delete(AREA, digest).await.unwrap();
            assert_eq!(
                objects.get(AREA, digest, MOST).await,
                Err(ObjectsError::Missing)
            );
        }
    }

    #[tokio::test]
    async fn the_same_bytes_in_two_areas_are_two_files() {
        let dir = tempfile::tempdir().unwrap();
        let objects = local(dir.path());
        let bytes = Bytes::from_static(b"%PDF-1.7");
        let digest = digest_of(&bytes);
        for area in [Area::Attachments, Area::Documents] {
            objects.put(area, digest, bytes.clone()).await.unwrap();
        }
        objects.delete(Area::Attachments, digest).await.unwrap();
        let gone = objects.get(Area::Attachments, digest, MOST).await;
        assert_eq!(gone, Err(ObjectsError::Missing));
        assert_eq!(
            objects.get(Area::Documents, digest, MOST).await.unwrap(),
            bytes
        );
    }

    #[test]
    fn settings_that_make_no_store_are_refused_and_no_secret_is_printed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "").unwrap();
        let refused = Objects::open(&ObjectsConfig::Local { path });
        assert!(matches!(refused, Err(ObjectsError::Config(_))));
        let s3 = ObjectsConfig::S3 {
            endpoint: "https://objects.example.org".to_owned(),
            region: "local".to_owned(),
            bucket: "gavah".to_owned(),
            access_key_id: "id".to_owned(),
            secret_access_key: "very secret".to_owned(),
        };
        assert!(!format!("{s3:?}").contains("very secret"));
    }
}
