//! Removing attachments that no message names.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::Group;
use crate::blobs::{Candidate, Digest, digests_in, named_by};
use crate::blocking::aside;
use crate::error::Result;
use crate::event::{Body, Event};
use crate::id::Seq;
use crate::rule::permission;

/// What was found of attachments that no message names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Collected {
    /// Those that were removed, or would be, by their SHA-256.
    pub removed: Vec<String>,
    /// How many copies were removed, or would be, that were broken off: by processes that died.
    pub broken_off: u64,
    /// How many bytes that is in all.
    pub bytes: u64,
    /// How many old ones stay because messages name them.
    pub named: u64,
    /// How many stay because somebody has stored or used them within a day, or is storing them.
    pub young: u64,
}

impl Group {
    /// Removes the attachments that no message names and nobody has touched for a day: files that were stored
    /// and never sent. What a message names stays, also if the message was retracted. Copies that were broken off go
    /// as well, however young.
    ///
    /// Others may go on storing and sending: what is about to be named is not removed.
    ///
    /// # Errors
    /// `Refused` for anyone but the user, and in an archived group; `Corrupt` if the ledger is damaged, as then
    /// nobody knows what is named; `Unsupported` if a newer version wrote to it, or if attachments are not
    /// files.
    pub async fn collect_blobs(&self) -> Result<Collected> {
        self.collect(true).await
    }

    /// What [`collect_blobs`](Self::collect_blobs) would remove. Anybody may ask.
    ///
    /// # Errors
    /// As for it, but for who may.
    pub async fn collectable_blobs(&self) -> Result<Collected> {
        self.collect(false).await
    }

    async fn collect(&self, remove: bool) -> Result<Collected> {
        if remove {
            let by = self.by.clone();
            self.shared.engine.query(|state| permission::may_collect(state, &by)).await??;
        }
        let lying = self.blobs().lying().await?;
        let group = self.clone();
        let named = aside("reading the ledger", async move { group.named_blobs().await }).await?;
        let is_named = |one: &Candidate| one.digest.is_some_and(|digest| named.contains(&digest));
        let (stay, mut go): (Vec<Candidate>, Vec<Candidate>) = lying.old.into_iter().partition(is_named);
        if remove {
            go = self.blobs().remove_untouched(go).await?;
        }
        let broken_off = go.iter().filter(|one| one.digest.is_none()).count();
        Ok(Collected {
            broken_off: u64::try_from(broken_off).unwrap_or(u64::MAX),
            bytes: go.iter().map(|one| one.bytes).sum(),
            removed: go.into_iter().filter(|one| one.digest.is_some()).map(|one| one.name).collect(),
            named: u64::try_from(stay.len()).unwrap_or(u64::MAX),
            young: lying.young,
        })
    }

    /// The attachments that anything on the ledger names.
    async fn named_blobs(&self) -> Result<BTreeSet<Digest>> {
        let mut named = BTreeSet::new();
        let note = |event: &Event| {
            named.extend(named_by(event));
            // Whatever a newer version means by it.
            if let Body::Unknown { data, .. } = &event.body {
                named.extend(digests_in(data.get()));
            }
        };
        self.each_event(Seq(1), note).await?;
        Ok(named)
    }
}
