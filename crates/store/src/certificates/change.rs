//! The life of an issued certificate.

use std::marker::PhantomData;

use gavah_domain::ValidityCode;
use gavah_domain::document::DocumentState;
use jiff::Timestamp;
use uuid::Uuid;

use super::rows::read_certificate;
use super::{COLLECTION, StoredCertificate};
use crate::document::{Changing, Document, DocumentChange};
use crate::entity::enrollment_certificate;
use crate::{ActContext, Changed, Store, StoreError, StoredRevocation};

impl Store {
    /// Suspends, reinstates or revokes an issued certificate.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; [`StoreError::Corrupt`] when there is no such certificate.
    pub async fn change_certificate(
        &self,
        context: &ActContext,
        id: Uuid,
        change: &DocumentChange,
    ) -> Result<Changed<StoredCertificate>, StoreError> {
        let changing = Changing {
            context: context.clone(),
            id,
            change: change.clone(),
            document: PhantomData,
        };
        self.inner.changing_certificates.ask(self, changing).await
    }
}

impl Document for StoredCertificate {
    type Entity = enrollment_certificate::Entity;

    const CHANGE: &'static str = "change_certificate";
    const FIND: &'static str = "find_certificates";
    const COLLECTION: &'static str = COLLECTION;
    const ALSO_SET: &'static str = "";
    const MISSING: &'static str = "enrollment_certificate is missing";

    fn read(row: enrollment_certificate::Model) -> Result<Self, StoreError> {
        read_certificate(row)
    }

    fn id(&self) -> Uuid {
        self.id
    }

    fn code(&self) -> ValidityCode {
        self.code
    }

    fn state(&self) -> DocumentState {
        self.state
    }

    fn version(&self) -> i64 {
        self.version
    }

    fn institution_code(&self) -> &str {
        self.content.program.institution.as_str()
    }

    fn is_issued(&self) -> bool {
        self.signed_document.is_some()
    }

    fn set(
        &mut self,
        state: DocumentState,
        revocation: Option<StoredRevocation>,
        time: Timestamp,
        version: i64,
    ) {
        self.state = state;
        self.revocation = revocation;
        self.update_time = time;
        self.version = version;
    }
}
