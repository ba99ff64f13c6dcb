//! Claims of request ids: what makes a retry safe.

use std::collections::{HashMap, HashSet};

use sea_orm::sea_query::ArrayType;
use sea_orm::{DatabaseTransaction, EntityTrait, Set};
use uuid::Uuid;

use crate::entity::request_claim;
use crate::rows::{self, Rows};
use crate::{ActContext, Ordered, Store, StoreError};

/// A caller's retry key with what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The caller. The key outlives its certificates.
    pub caller_id: String,
    /// Full name of the RPC.
    pub method: String,
    /// The key.
    pub request_id: Uuid,
    /// Place in a batch; unset outside one.
    pub row: Option<u32>,
    /// SHA-256 over the input without request_id and validate_only.
    pub digest: [u8; 32],
    /// What a ruling ordered, where the act is done under it.
    pub ordered: Option<Ordered>,
}

/// What a request_id already stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The same request: its resource, and what else was answered.
    Replay {
        /// Resource name.
        resource: String,
        /// Outcome beside the resource, empty when there was none.
        outcome: String,
    },
    /// Another request.
    Reused,
}

impl Claim {
    /// The primary key.
    pub(crate) fn key(&self) -> (String, String, Uuid, i32) {
        let row = self
            .row
            .and_then(|row| i32::try_from(row).ok())
            .unwrap_or(-1);
        (
            self.caller_id.clone(),
            self.method.clone(),
            self.request_id,
            row,
        )
    }
}

/// The id in the resource name that a claim keeps.
pub(crate) fn resource_id(resource: &str, collection: &str) -> Result<Uuid, StoreError> {
    resource
        .strip_prefix(collection)
        .and_then(|rest| rest.strip_prefix('/')?.parse().ok())
        .ok_or(StoreError::Corrupt("request_claim.resource"))
}

/// The ids of what acts that were done before stand for, each once.
pub(crate) fn replayed_ids(
    claimed: &[Option<Claimed>],
    collection: &str,
) -> Result<HashSet<Uuid>, StoreError> {
    let resources = claimed
        .iter()
        .flatten()
        .filter_map(|claimed| match claimed {
            Claimed::Replay { resource, .. } => Some(resource),
            Claimed::Reused => None,
        });
    resources
        .map(|resource| resource_id(resource, collection))
        .collect()
}

impl Store {
    /// What the request_id already stands for, if anything.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn claimed(&self, claim: &Claim) -> Result<Option<Claimed>, StoreError> {
        let found = self.read("find_claim", async {
            Ok(request_claim::Entity::find_by_id(claim.key())
                .one(&self.inner.db)
                .await?)
        });
        Ok(found.await?.map(|found| answer(claim, found)))
    }
}

/// Claims the request_id of `context` for `resource` inside the act's
/// transaction; `Some` when it was claimed before. Two transactions with one key
/// wait for each other here. Acts without a claim are always fresh.
pub(crate) async fn claim(
    tx: &DatabaseTransaction,
    context: &ActContext,
    resource: &str,
    outcome: &str,
) -> Result<Option<Claimed>, StoreError> {
    let Some(claim) = &context.claim else {
        return Ok(None);
    };
    let model = model(claim, context, resource, outcome);
    if rows::insert_new(tx, [model]).await? == 1 {
        return Ok(None);
    }
    let found = request_claim::Entity::find_by_id(claim.key())
        .one(tx)
        .await?
        // The one who held the key rolled back in between: try again.
        .ok_or(StoreError::Conflict)?;
    Ok(Some(answer(claim, found)))
}

/// What the request_ids of many acts already stand for, in their order.
pub(crate) async fn earlier(
    tx: &DatabaseTransaction,
    contexts: &[&ActContext],
) -> Result<Vec<Option<Claimed>>, StoreError> {
    let mut keys = Rows::new(&[
        ("caller_id", ArrayType::String),
        ("method", ArrayType::String),
        ("request_id", ArrayType::Uuid),
        ("row", ArrayType::Int),
    ]);
    for claim in contexts.iter().filter_map(|context| context.claim.as_ref()) {
        let (caller_id, method, request_id, row) = claim.key();
        keys.push([
            caller_id.into(),
            method.into(),
            request_id.into(),
            row.into(),
        ]);
    }
    let found = rows::find::<request_claim::Entity>(tx, keys, false).await?;
    let mut found: HashMap<_, _> = found
        .into_iter()
        .map(|row| {
            let key = (
                row.caller_id.clone(),
                row.method.clone(),
                row.request_id,
                row.row,
            );
            (key, row)
        })
        .collect();
    let earlier = contexts.iter().map(|context| {
        let claim = context.claim.as_ref()?;
        found.remove(&claim.key()).map(|row| answer(claim, row))
    });
    Ok(earlier.collect())
}

/// The rows that claim the request_ids of many acts, each for a resource and an
/// outcome.
pub(crate) fn claims<'a>(
    acts: impl IntoIterator<Item = (&'a ActContext, String, &'a str)>,
) -> impl Iterator<Item = request_claim::ActiveModel> {
    let mut models: Vec<_> = acts
        .into_iter()
        .filter_map(|(context, resource, outcome)| {
            let claim = context.claim.as_ref()?;
            Some((claim, model(claim, context, &resource, outcome)))
        })
        .collect();
    // In one order everywhere, so that transactions wait in turn.
    models.sort_by_cached_key(|(claim, _)| claim.key());
    models.into_iter().map(|(_, model)| model)
}

fn model(
    claim: &Claim,
    context: &ActContext,
    resource: &str,
    outcome: &str,
) -> request_claim::ActiveModel {
    let (caller_id, method, request_id, row) = claim.key();
    request_claim::ActiveModel {
        caller_id: Set(caller_id),
        method: Set(method),
        request_id: Set(request_id),
        row: Set(row),
        digest: Set(claim.digest.to_vec()),
        resource: Set(resource.to_owned()),
        outcome: Set(outcome.to_owned()),
        create_time: Set(context.now.as_microsecond()),
    }
}

fn answer(claim: &Claim, found: request_claim::Model) -> Claimed {
    if found.digest == claim.digest {
        Claimed::Replay {
            resource: found.resource,
            outcome: found.outcome,
        }
    } else {
        Claimed::Reused
    }
}
