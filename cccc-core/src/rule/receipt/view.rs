//! What a receipt says.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Transport, Witness};
use crate::id::Principal;
use crate::time::Timestamp;

/// How far a message got on its way to one recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryWord {
    /// Nobody has taken it yet, or another try is allowed.
    #[default]
    Pending,
    /// A deliverer is at it.
    Claimed,
    /// The transport took it; nobody has seen it arrive.
    Handed,
    /// The agent's program holds it for a later turn.
    Queued,
    /// It stands in a turn of the agent, as far as the witness and the evidence go.
    Accepted,
    /// The model went on from it.
    Answered,
    /// The door has it and cannot go on by itself.
    Held,
    /// The last door did not take it; another may.
    Refused,
    /// It was taken back before the model saw it.
    Withdrawn,
    /// The last try certainly did not succeed.
    Failed,
    /// The last try may have succeeded.
    Ambiguous,
    /// It will not be handed over.
    Withheld,
    /// There was nobody to hand it to.
    Bounced,
}

/// What became of something a message may ask of a recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObligationWord {
    /// Not asked for, and not given.
    #[default]
    None,
    /// Owed.
    Open,
    /// Given; also where it was not asked for.
    Met,
    /// No longer asked for.
    Cancelled,
    /// Handed back to who asked, because the debtor left.
    Returned,
}

macro_rules! words {
    ($type:ident: $($variant:ident => $word:literal),* $(,)?) => {
        impl $type {
            /// The word, as it is written in JSON.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words!(DeliveryWord:
    Pending => "pending", Claimed => "claimed", Handed => "handed", Queued => "queued",
    Accepted => "accepted", Answered => "answered", Held => "held", Refused => "refused",
    Withdrawn => "withdrawn", Failed => "failed", Ambiguous => "ambiguous", Withheld => "withheld",
    Bounced => "bounced");

impl DeliveryWord {
    /// Whether it stands in a turn of the agent, as far as the witness goes.
    #[must_use]
    pub fn is_delivered(self) -> bool {
        matches!(self, Self::Accepted | Self::Answered)
    }

    /// Whether it may have reached the agent, although nobody has seen that.
    #[must_use]
    pub fn is_in_doubt(self) -> bool {
        matches!(self, Self::Claimed | Self::Handed | Self::Queued | Self::Held | Self::Ambiguous)
    }
}

words!(ObligationWord:
    None => "none", Open => "open", Met => "met", Cancelled => "cancelled", Returned => "returned");

/// A delivery, with what is known about it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Delivery {
    /// How far it got.
    #[serde(rename = "delivery")]
    pub state: DeliveryWord,
    /// Why, where it did not get there.
    #[serde(rename = "delivery_reason", default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    /// Who vouches for it that the message stands in a turn. Only of some it is a proof: see [`Witness::is_proof`].
    #[serde(rename = "accepted_by", default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Witness>,
    /// What was seen of it; `read` where all that is known is that the recipient has read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Value>,
    /// When it got there; absent before anybody took it.
    #[serde(rename = "delivery_at", default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What was seen before that of the same try, oldest first, after the claim.
    #[serde(rename = "delivery_steps", default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<DeliveryStep>,
}

/// A step of a delivery that was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct DeliveryStep {
    /// How far it got by that.
    #[serde(rename = "delivery")]
    pub state: DeliveryWord,
    /// Who vouches for it, if it stands in a turn.
    #[serde(rename = "accepted_by", default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Witness>,
    /// What was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Value>,
    /// When that was written.
    #[serde(rename = "delivery_at")]
    pub at: Timestamp,
}

/// What became of a message for one recipient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Receipt {
    /// Who.
    pub recipient: Principal,
    /// Who has the message now, if the recipient left it unread to somebody: delivery and reading are of that
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<Principal>,
    /// How far the message got.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// Whether it was read.
    pub read: bool,
    /// Whether note was taken of it.
    pub ack: ObligationWord,
    /// Why that ended, if it was not met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack_reason: Option<String>,
    /// Whether it was answered.
    pub reply: ObligationWord,
    /// Why that ended, if it was not met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_reason: Option<String>,
    /// Who owes what is open, if the recipient left it to somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debtor: Option<Principal>,
    /// When what is asked is due, moved by the pauses so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Whether something is open and past due.
    pub overdue: bool,
}

impl Receipt {
    /// Adds what the receipt of a copy in another group says of the same recipient there.
    pub(crate) fn learn(&mut self, there: &Self) {
        self.read |= there.read;
        // An answer that has come here is known without asking.
        let learn = |word: &mut ObligationWord,
                     reason: &mut Option<String>,
                     other: ObligationWord,
                     why: &Option<String>| {
            if matches!(word, ObligationWord::None | ObligationWord::Open) {
                *word = other;
                reason.clone_from(why);
            }
        };
        learn(&mut self.ack, &mut self.ack_reason, there.ack, &there.ack_reason);
        learn(&mut self.reply, &mut self.reply_reason, there.reply, &there.reply_reason);
        let open = [self.ack, self.reply].contains(&ObligationWord::Open);
        self.overdue = open && there.overdue;
        if open {
            self.due_at = there.due_at;
        }
    }
}

/// One line for people: `alice: accepted by pull, read, ack none, reply open (overdue)`.
impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because = |f: &mut fmt::Formatter<'_>, reason: &Option<String>| match reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        };
        write!(f, "{}: ", self.recipient)?;
        if let Some(holder) = &self.moved_to {
            write!(f, "moved to {holder}, ")?;
        }
        write!(f, "{}", self.delivery.state)?;
        match (&self.delivery.by, self.delivery.transport) {
            (Some(by), Some(transport)) if by.as_str() != transport.as_str() => {
                write!(f, " by {by}, through {}", transport.as_str())?;
            }
            (Some(by), _) => write!(f, " by {by}")?,
            (None, Some(transport)) => write!(f, " through {}", transport.as_str())?,
            (None, None) => {}
        }
        because(f, &self.delivery.reason)?;
        write!(f, ", {}, ack {}", if self.read { "read" } else { "unread" }, self.ack)?;
        because(f, &self.ack_reason)?;
        write!(f, ", reply {}", self.reply)?;
        because(f, &self.reply_reason)?;
        if let Some(debtor) = &self.debtor {
            write!(f, ", owed by {debtor}")?;
        }
        f.write_str(if self.overdue { ", overdue" } else { "" })
    }
}
