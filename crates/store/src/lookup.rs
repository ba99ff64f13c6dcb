//! Looking documents up by their digits: what every validation does. Lookups that
//! wait at the same time share one statement.
//!
//! A thread that answers calls by itself gathers its own lookups: whoever asks and
//! whoever looks up then take turns on one thread, instead of waking each other on
//! two for every answer.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::sync::{Arc, Weak};

use gavah_domain::ValidityCode;
use sea_orm::sea_query::ArrayType;

use crate::document::Document;
use crate::joint::{Joint, Queue, Workers};
use crate::rows::{self, Rows};
use crate::{Inner, Store, StoreError, StoredCertificate, StoredCode};

/// A document that is asked for.
pub(crate) struct Wanted<D> {
    code: ValidityCode,
    document: PhantomData<D>,
}

/// Where lookups wait.
pub(crate) struct Lookups {
    codes: Queue<Wanted<StoredCode>>,
    certificates: Queue<Wanted<StoredCertificate>>,
}

/// Those who do the lookups, not at work yet.
pub(crate) struct LookupWorkers {
    codes: Workers<Wanted<StoredCode>>,
    certificates: Workers<Wanted<StoredCertificate>>,
}

impl Lookups {
    pub(crate) fn new() -> (Arc<Self>, LookupWorkers) {
        let (codes, code_workers) = Queue::new();
        let (certificates, certificate_workers) = Queue::new();
        let workers = LookupWorkers {
            codes: code_workers,
            certificates: certificate_workers,
        };
        let lookups = Self {
            codes,
            certificates,
        };
        (Arc::new(lookups), workers)
    }
}

impl LookupWorkers {
    /// Starts them on the current runtime: while one group is at the database, the
    /// next is made ready.
    pub(crate) fn start(self, inner: &Arc<Inner>) {
        self.codes.start(2, inner);
        self.certificates.start(2, inner);
    }
}

thread_local! {
    /// The lookups gathered on this thread, and of which store.
    static HERE: RefCell<Option<(Weak<Inner>, Arc<Lookups>)>> = const { RefCell::new(None) };
}

/// Lookups are gathered on the thread until it is dropped, on the same thread.
#[derive(Debug)]
pub struct GatheredHere(());

impl Drop for GatheredHere {
    fn drop(&mut self) {
        // A thread that is ending has forgotten it already.
        let _ = HERE.try_with(|here| here.borrow_mut().take());
    }
}

impl Store {
    /// Gathers the lookups asked for on this thread on it, apart from those of other
    /// threads. To be called in the current-thread runtime that the thread runs; the
    /// connections stay with the runtime in which the store was opened.
    #[must_use = "lookups are gathered until it is dropped"]
    pub fn gather_lookups_here(&self) -> GatheredHere {
        let (lookups, workers) = Lookups::new();
        workers.start(&self.inner);
        HERE.set(Some((Arc::downgrade(&self.inner), lookups)));
        GatheredHere(())
    }

    fn lookups(&self) -> Arc<Lookups> {
        HERE.with_borrow(|here| match here {
            Some((store, lookups)) if store.as_ptr() == Arc::as_ptr(&self.inner) => {
                Arc::clone(lookups)
            }
            _ => Arc::clone(&self.inner.lookups),
        })
    }

    /// A validity code by its digits: one indexed lookup.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn find_code(&self, code: &ValidityCode) -> Result<Option<StoredCode>, StoreError> {
        self.lookups().codes.ask(self, wanted(code)).await
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
        self.lookups().certificates.ask(self, wanted(code)).await
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
