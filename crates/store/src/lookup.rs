//! Looking documents up by their digits: what every validation does. Lookups that
//! wait at the same time share one statement.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;

use gavah_domain::ValidityCode;
use sea_orm::sea_query::ArrayType;

use crate::document::Document;
use crate::joint::Joint;
use crate::rows::{self, Rows};
use crate::{Store, StoreError, StoredCertificate, StoredCode};

/// A document that is asked for.
pub(crate) struct Wanted<D> {
    code: ValidityCode,
    document: PhantomData<D>,
}

impl Store {
    /// A validity code by its digits: one indexed lookup.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find_code(&self, code: &ValidityCode) -> Result<Option<StoredCode>, StoreError> {
        self.inner.codes.ask(self, wanted(code)).await
    }

    /// An enrollment certificate by its digits, signed or not: one indexed lookup.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find_certificate(
        &self,
        code: &ValidityCode,
    ) -> Result<Option<StoredCertificate>, StoreError> {
        self.inner.certificates.ask(self, wanted(code)).await
    }

    /// Many validity codes by their digits, in no order.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find_codes(&self, codes: &[ValidityCode]) -> Result<Vec<StoredCode>, StoreError> {
        self.find_documents(codes).await
    }

    /// Many certificates by their digits, in no order.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find_certificates(
        &self,
        codes: &[ValidityCode],
    ) -> Result<Vec<StoredCertificate>, StoreError> {
        self.find_documents(codes).await
    }

    async fn find_documents<D: Document>(
        &self,
        codes: &[ValidityCode],
    ) -> Result<Vec<D>, StoreError> {
        self.read(D::FIND, async {
            let mut keys = Rows::new(&[("code", ArrayType::String)]);
            for code in codes.iter().collect::<HashSet<_>>() {
                keys.push([code.as_str().into()]);
            }
            let rows = rows::find::<D::Entity>(&self.inner.db, keys, false).await?;
            rows.into_iter().map(D::read).collect()
        })
        .await
    }
}

impl<D: Document> Joint for Wanted<D> {
    type Answer = Option<D>;

    const NAME: &'static str = D::FIND;
    const MOST: usize = 256;
    const ACTS: bool = false;

    fn keys(&self) -> Vec<u64> {
        Vec::new()
    }

    async fn run(store: &Store, group: &[&Self]) -> Result<Vec<Self::Answer>, StoreError> {
        let mut askers: HashMap<_, Vec<usize>> = HashMap::new();
        for (place, wanted) in group.iter().enumerate() {
            askers.entry(wanted.code).or_default().push(place);
        }
        let codes: Vec<_> = askers.keys().copied().collect();
        let mut answers: Vec<_> = group.iter().map(|_| None).collect();
        for found in store.find_documents::<D>(&codes).await? {
            let Some((last, others)) = askers.get(&found.code()).and_then(|of| of.split_last())
            else {
                return Err(StoreError::Corrupt("a document that nobody asked for"));
            };
            for other in others {
                answers[*other] = Some(found.clone());
            }
            answers[*last] = Some(found);
        }
        Ok(answers)
    }
}

fn wanted<D>(code: &ValidityCode) -> Wanted<D> {
    Wanted {
        code: *code,
        document: PhantomData,
    }
}
