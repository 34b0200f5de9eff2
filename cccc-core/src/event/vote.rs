//! Votes.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::id::{ActorId, Principal, VoteId};
use crate::time::Timestamp;

/// `vote.open`: a question is put to voters who stay the same whoever comes or goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VoteOpen {
    /// Its id, from the number of this event.
    pub vote_id: VoteId,
    /// What is asked.
    pub subject: String,
    /// Who is removed from the group if it is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ActorId>,
    /// Who takes over what that one leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<ActorId>,
    /// Who may vote, in order of id.
    pub voters: Vec<Principal>,
    /// How many must say yes.
    pub threshold: u32,
    /// When it ends undecided, not counting time the group is paused.
    pub until: Timestamp,
}

/// What a voter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// For it.
    Yes,
    /// Against it.
    No,
    /// Neither; counts as not being for it.
    Abstain,
}

impl Choice {
    /// The choice as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Abstain => "abstain",
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Choice {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "yes" => Ok(Self::Yes),
            "no" => Ok(Self::No),
            "abstain" => Ok(Self::Abstain),
            _ => Err(Error::invalid(format!("{text:?} is no choice")).hint("vote yes, no or abstain")),
        }
    }
}

/// `vote.cast`: whoever wrote this event has voted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VoteCast {
    /// On what.
    pub vote_id: VoteId,
    /// How.
    pub choice: Choice,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// How a vote ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VoteOutcome {
    /// Enough said yes.
    Accepted,
    /// Enough can no longer say yes.
    Rejected,
    /// Its time was over before it was decided; nothing comes of it.
    Expired,
    /// It was called off.
    Cancelled,
}

impl VoteOutcome {
    /// The outcome as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for VoteOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `vote.close`: a vote is over, once and for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VoteClose {
    /// Which.
    pub vote_id: VoteId,
    /// How it ended.
    pub outcome: VoteOutcome,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}
