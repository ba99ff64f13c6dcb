//! Looking documents up by their digits: what every validation does. Lookups that
//! wait at the same time share one statement.

use std::collections::{HashMap, HashSet};

use gavah_domain::ValidityCode;
use sea_orm::sea_query::ArrayType;

use crate::certificates::read_certificate;
use crate::codes::read_row;
use crate::entity::{enrollment_certificate, validity_code};
use crate::joint::Joint;
use crate::rows::{self, Rows};
use crate::{Store, StoreError, StoredCertificate, StoredCode};

/// A validity code that is asked for.
pub(crate) struct CodeWanted(ValidityCode);

/// An enrollment certificate that is asked for.
pub(crate) struct CertificateWanted(ValidityCode);

impl Store {
    /// A validity code by its digits: one indexed lookup.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find_code(&self, code: &ValidityCode) -> Result<Option<StoredCode>, StoreError> {
        self.inner.codes.ask(self, CodeWanted(*code)).await
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
        let wanted = CertificateWanted(*code);
        self.inner.certificates.ask(self, wanted).await
    }

    /// Many validity codes by their digits, in no order.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find_codes(&self, codes: &[ValidityCode]) -> Result<Vec<StoredCode>, StoreError> {
        self.read("find_codes", async {
            let keys = wanted(codes);
            let rows = rows::find::<validity_code::Entity>(&self.inner.db, keys, false).await?;
            rows.into_iter().map(read_row).collect()
        })
        .await
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
        self.read("find_certificates", async {
            let keys = wanted(codes);
            let db = &self.inner.db;
            let rows = rows::find::<enrollment_certificate::Entity>(db, keys, false).await?;
            rows.into_iter().map(read_certificate).collect()
        })
        .await
    }
}

impl Joint for CodeWanted {
    type Answer = Option<StoredCode>;

    const NAME: &'static str = "find_code";
    const MOST: usize = 256;
    const ACTS: bool = false;

    fn keys(&self) -> Vec<u64> {
        Vec::new()
    }

    async fn run(store: &Store, group: &[&Self]) -> Result<Vec<Self::Answer>, StoreError> {
        let codes: Vec<_> = group.iter().map(|wanted| wanted.0).collect();
        let found = store.find_codes(&codes).await?;
        let found: HashMap<_, _> = found.into_iter().map(|row| (row.code, row)).collect();
        let answers = group.iter().map(|wanted| found.get(&wanted.0).cloned());
        Ok(answers.collect())
    }
}

impl Joint for CertificateWanted {
    type Answer = Option<StoredCertificate>;

    const NAME: &'static str = "find_certificate";
    const MOST: usize = 256;
    const ACTS: bool = false;

    fn keys(&self) -> Vec<u64> {
        Vec::new()
    }

    async fn run(store: &Store, group: &[&Self]) -> Result<Vec<Self::Answer>, StoreError> {
        let codes: Vec<_> = group.iter().map(|wanted| wanted.0).collect();
        let found = store.find_certificates(&codes).await?;
        let found: HashMap<_, _> = found.into_iter().map(|row| (row.code, row)).collect();
        let answers = group.iter().map(|wanted| found.get(&wanted.0).cloned());
        Ok(answers.collect())
    }
}

fn wanted(codes: &[ValidityCode]) -> Rows {
    let mut keys = Rows::new(&[("code", ArrayType::String)]);
    for code in codes.iter().collect::<HashSet<_>>() {
        keys.push([code.as_str().into()]);
    }
    keys
}
