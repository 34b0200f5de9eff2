//! What deliverers record: who took which messages to whom, and what was really seen of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{EventId, Principal};

/// The door a message goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Transport {
    /// The recipient asked for its inbox.
    Pull,
    /// The host pushed it into a session it runs.
    Push,
    /// A hook of the agent's program printed it.
    Hook,
    /// A notification over a channel of the agent's program.
    Channel,
    /// It was copied to another group.
    Relay,
}

/// Why a message is not handed over, or was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WithholdReason {
    /// `expires_at` has passed.
    Expired,
    /// The sender withdrew it.
    Retracted,
    /// The sender replaced it.
    Superseded,
    /// One of `not_if` held.
    Precondition,
}

/// What a `runtime.delivery` event says of its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum DeliveryState {
    /// A deliverer is about to hand them over; nobody else may.
    Claimed,
    /// They were handed over; the evidence says what was seen of it.
    Accepted {
        /// What was really seen: session, turn, transcript position; for a pull, `inbox`.
        evidence: Value,
    },
    /// They were certainly not handed over; another try is allowed.
    Failed {
        /// Why.
        reason: String,
    },
    /// They may or may not have been; never tried again by itself.
    Ambiguous {
        /// What is not known.
        reason: String,
    },
    /// Somebody asked for another try after `ambiguous`.
    Retried,
    /// They will not be handed over.
    Withheld {
        /// Why.
        reason: WithholdReason,
    },
    /// There is nobody to hand them to.
    Bounced {
        /// Why.
        reason: String,
    },
}

/// `runtime.delivery`: a deliverer says how far it has got with some messages to one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuntimeDelivery {
    /// Joins a claim with its outcome: the id of the claiming event, or absent where nothing was claimed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<EventId>,
    /// The recipient.
    pub actor_id: Principal,
    /// The recipient's generation at the time of the claim.
    #[serde(default)]
    pub generation: u64,
    /// The messages.
    pub event_ids: Vec<EventId>,
    /// Claimed, accepted, failed...
    #[serde(flatten)]
    pub state: DeliveryState,
    /// The door.
    pub transport: Transport,
}
