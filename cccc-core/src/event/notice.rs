//! Notices: what the library itself has to say to somebody.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{Principal, Seq};

/// `system.notify`: a word from the library. It carries no message's text, and never counts as unread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SystemNotify {
    /// What it is about: the name of a policy (`unread`, `attention`, `reply`, `cycle`...), or of a rule
    /// (`rate`, `schedule`...).
    pub notice: String,
    /// What makes it one of its kind: `notice/target/batch/level`. No two notices have the same.
    pub key: String,
    /// How far it was escalated, from 1.
    pub level: u32,
    /// For whom it is; absent: for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Principal>,
    /// The events it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Seq>,
    /// What the author of a schedule wants said; policies have nothing to add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl SystemNotify {
    /// A notice with its key. `batch` is what it is about, without `/`.
    #[must_use]
    pub fn new(notice: &str, target: Principal, batch: &str, level: u32) -> Self {
        Self {
            notice: notice.to_owned(),
            key: format!("{notice}/{target}/{batch}/{level}"),
            level,
            target: Some(target),
            related: Vec::new(),
            text: None,
        }
    }

    /// What it is about, as its key says.
    #[must_use]
    pub fn batch(&self) -> &str {
        self.key.split('/').nth(2).unwrap_or_default()
    }
}

/// `system.seen`: notices were shown to whom they are for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SystemSeen {
    /// To whom.
    pub actor_id: Principal,
    /// All of its notices up to this one.
    pub through_seq: Seq,
}
