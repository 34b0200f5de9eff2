//! Permissions that agents ask for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{ApprovalId, Principal};
use crate::time::Timestamp;

/// `approval.open`: an agent asks whether it may do something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalOpen {
    /// Its id, from the number of this event.
    pub approval_id: ApprovalId,
    /// What it wants to do, for people.
    pub subject: String,
    /// The tool that it would use, as its program names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What it would give that tool, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The agent's own key: the same key with the same content is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Who may decide, in order of name; one of them does.
    pub deciders: Vec<Principal>,
    /// When it ends undecided, which allows nothing; not counting time the group is paused.
    pub until: Timestamp,
}

words_that_grow! {
    /// What became of a request. Whatever is not `allow` allows nothing.
    Verdict {
        /// The agent may.
        Allow = "allow",
        /// It may not.
        Deny = "deny",
        /// Nobody had decided when its time was over.
        Expired = "expired",
        /// It is no longer asked for.
        Withdrawn = "withdrawn",
    }
}

/// `approval.decide`: what became of a request, once and for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalDecide {
    /// Which.
    pub approval_id: ApprovalId,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, for people and for the agent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}
