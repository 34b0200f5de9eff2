//! What is to be copied into other groups, and how far that got.
//!
//! A message leaves an entry for every other group that it is for, until it has arrived there or never
//! will. How far it got is on the ledger as `runtime.delivery` events of the transport `relay`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::GroupState;
use crate::event::{ChatMessage, DeliveryState, Event, RuntimeDelivery};
use crate::id::{EventId, GroupId, Principal, Remote, Seq};
use crate::time::Timestamp;

/// A message on its way to another group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Passage {
    /// The message.
    pub event_id: EventId,
    /// Whom it is for there and has not reached, as they are named here.
    pub recipients: BTreeSet<Principal>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// After this it is not copied any more.
    pub expires_at: Option<Timestamp>,
    /// How often copying it failed.
    pub tries: u32,
    /// When and why the last time.
    pub failed: Option<(Timestamp, String)>,
}

impl GroupState {
    /// What is to be copied into other groups, oldest message first.
    #[must_use]
    pub fn relays(&self) -> &BTreeMap<Seq, BTreeMap<GroupId, Passage>> {
        &self.relays
    }

    /// What of one message is to be copied into other groups.
    pub fn relays_of(&self, seq: Seq) -> impl Iterator<Item = (&GroupId, &Passage)> {
        self.relays.get(&seq).into_iter().flatten()
    }

    pub(super) fn send_away(&mut self, event: &Event, message: &ChatMessage) {
        for recipient in &message.recipients {
            let Principal::Remote(remote) = recipient else { continue };
            let groups = self.relays.entry(event.seq).or_default();
            let passage = groups.entry(remote.group().clone()).or_insert_with(|| Passage {
                event_id: event.id,
                recipients: BTreeSet::new(),
                sent_at: event.ts,
                expires_at: message.expires_at,
                tries: 0,
                failed: None,
            });
            passage.recipients.insert(recipient.clone());
        }
    }

    /// A message was withdrawn: what has not gone stays.
    pub(super) fn keep_here(&mut self, seq: Seq) {
        self.relays.remove(&seq);
    }

    pub(super) fn passed(&mut self, event: &Event, recipient: &Remote, delivery: &RuntimeDelivery) {
        for seq in delivery.event_ids.iter().map(|id| id.seq) {
            let Some(groups) = self.relays.get_mut(&seq) else { continue };
            let Some(passage) = groups.get_mut(recipient.group()) else { continue };
            match &delivery.state {
                // A try fails for all of them, in one event each.
                DeliveryState::Failed { reason }
                    if passage.recipients.first() == Some(&delivery.actor_id) =>
                {
                    passage.tries = passage.tries.saturating_add(1);
                    passage.failed = Some((event.ts, reason.clone()));
                }
                DeliveryState::Accepted { .. }
                | DeliveryState::Withheld { .. }
                | DeliveryState::Bounced { .. } => {
                    passage.recipients.remove(&delivery.actor_id);
                    if passage.recipients.is_empty() {
                        groups.remove(recipient.group());
                    }
                }
                // A copy is made or not; no other step is one of a relay.
                _ => {}
            }
            if groups.is_empty() {
                self.relays.remove(&seq);
            }
        }
    }
}
