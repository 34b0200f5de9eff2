//! What deliverers record: who took which messages to whom, and what was really seen of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
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

words_that_grow! {
    /// What a deliverer knows from that messages stand in a turn of the agent.
    Witness {
        /// The agent's own transcript holds them.
        Transcript = "transcript",
        /// The agent's program gave them back when it was asked for the session's messages.
        Replay = "replay",
        /// The agent's program told of the turn that took them.
        NativeEvent = "native_event",
        /// The recipient asked for them, and was answered.
        Pull = "pull",
        /// They stand on the ledger of the group they were copied to. How they get on is said there.
        Ledger = "ledger",
        /// A hook says so, because the agent's program took all that it printed.
        Hook = "hook",
        /// The runtime says so, because the agent's program took them without an error.
        Runtime = "runtime",
    }
}

impl Witness {
    /// Whether it was seen by somebody who would have seen it missing. If not, it is a door's word.
    #[must_use]
    pub fn is_proof(&self) -> bool {
        matches!(self, Self::Transcript | Self::Replay | Self::NativeEvent | Self::Pull)
    }
}

impl Transport {
    /// Who vouches for what went through this door, where nothing else is said.
    #[must_use]
    pub fn witness(self) -> Witness {
        match self {
            Self::Pull => Witness::Pull,
            Self::Hook => Witness::Hook,
            Self::Relay => Witness::Ledger,
            Self::Push | Self::Channel => Witness::Runtime,
        }
    }

    /// The door's name, as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Hook => "hook",
            Self::Channel => "channel",
            Self::Relay => "relay",
        }
    }
}

/// What a `runtime.delivery` event says of its messages. How one may follow another: [`ladder`](crate::rule::ladder).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
#[non_exhaustive]
pub enum DeliveryState {
    /// A deliverer is about to hand them over; nobody else may.
    Claimed,
    /// The transport took them. Whether the agent's program has them is not known yet.
    Handed {
        /// What was really seen of it, for example the transport's own id.
        evidence: Value,
    },
    /// The agent's program holds them, for a later turn.
    Queued {
        /// What was really seen of it.
        evidence: Value,
    },
    /// They stand in a turn of the agent.
    Accepted {
        /// Who vouches for it; absent: the door itself, see [`RuntimeDelivery::witness`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Witness>,
        /// What was really seen: session, turn, transcript position; for a pull, `inbox`.
        evidence: Value,
    },
    /// The model went on from them.
    Answered {
        /// Who vouches for it; absent: the door itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Witness>,
        /// What was really seen, for example the turn that followed.
        evidence: Value,
    },
    /// The door has them and cannot go on by itself.
    Held {
        /// What holds them up, and who can do what about it.
        reason: String,
    },
    /// The door will not take them, and has not. Another door may.
    Refused {
        /// Why.
        reason: String,
    },
    /// They were taken back before the model saw them: by the agent's user, or cleared. They are told once more.
    Withdrawn {
        /// How.
        reason: String,
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
    /// What a later version says, as it was written. They may have been handed over.
    #[serde(untagged)]
    #[schemars(skip)]
    Unknown(LaterState),
}

/// A state that this version does not know, as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LaterState {
    /// Its word.
    #[serde(deserialize_with = "later_word")]
    pub state: String,
    /// What is said with it.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// The words of the states that this version knows.
const STATES: [&str; 13] = [
    "claimed",
    "handed",
    "queued",
    "accepted",
    "answered",
    "held",
    "refused",
    "withdrawn",
    "failed",
    "ambiguous",
    "retried",
    "withheld",
    "bounced",
];

/// A word that this version does not know: what it knows and is not complete is an error.
fn later_word<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let word = String::deserialize(from)?;
    match STATES.contains(&word.as_str()) {
        true => Err(D::Error::custom(format!("the state {word:?} lacks a member"))),
        false => Ok(word),
    }
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
    /// Of a claim: those that the recipient may have got before, in another try.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<EventId>,
    /// Claimed, accepted, failed...
    #[serde(flatten)]
    pub state: DeliveryState,
    /// The door.
    pub transport: Transport,
}

impl RuntimeDelivery {
    /// Who vouches for it that the messages stand in a turn; `None` where that is not said.
    #[must_use]
    pub fn witness(&self) -> Option<Witness> {
        match &self.state {
            DeliveryState::Accepted { by, .. } | DeliveryState::Answered { by, .. } => {
                Some(by.clone().unwrap_or_else(|| self.transport.witness()))
            }
            _ => None,
        }
    }
}
