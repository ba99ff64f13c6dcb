//! The life of a code after it was issued.

use std::marker::PhantomData;

use gavah_domain::ValidityCode;
use gavah_domain::document::DocumentState;
use jiff::Timestamp;
use uuid::Uuid;

use super::rows::read_row;
use super::{COLLECTION, StoredCode, StoredRevocation};
use crate::document::{Changing, Document, DocumentChange};
use crate::entity::validity_code;
use crate::{ActContext, Changed, Store, StoreError};

impl Store {
    /// Suspends, reinstates or revokes a code. A revoked code gives up its key.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; [`StoreError::Corrupt`] when there is no such code.
    pub async fn change_code(
        &self,
        context: &ActContext,
        id: Uuid,
        change: &DocumentChange,
    ) -> Result<Changed<StoredCode>, StoreError> {
        let changing = Changing {
            context: context.clone(),
            id,
            change: change.clone(),
            document: PhantomData,
        };
        self.inner.changing_codes.ask(self, changing).await
    }
}

impl Document for StoredCode {
    type Entity = validity_code::Entity;

    const CHANGE: &'static str = "change_code";
    const FIND: &'static str = "find_codes";
    const COLLECTION: &'static str = COLLECTION;
    const ALSO_SET: &'static str =
        ", live_key = CASE WHEN changed.live THEN validity_code.live_key END";
    const MISSING: &'static str = "validity_code is missing";

    fn read(row: validity_code::Model) -> Result<Self, StoreError> {
        read_row(row)
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
        true
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
