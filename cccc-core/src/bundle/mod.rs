//! A group as one file: ledger and attachments, checked when it is written and when it is read.
//!
//! The file is a tar archive with these entries, in this order and no others; `docs/ledger-format.md`
//! describes them for others:
//!
//! ```text
//! cccc-group.json                the format's version, and which group it is
//! ledger/<first seq>.jsonl       the lines of the ledger, in order, in as many pieces as are convenient
//! blobs/<sha256>                 attachments that messages name, in order of their names
//! cccc-end.json                  how much there was: without it, the file was cut short
//! ```
//!
//! Nothing that belongs to a machine or a process goes along: no locks, pages, checkpoints or indexes.
//! Here is neither read nor written where a group lies; that is [`home`](crate::Home)'s.

mod read;
mod write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{GroupId, Seq};
use crate::ledger::Position;

pub(crate) use read::{Contents, Whole, read};
pub(crate) use write::write;

/// The version of the format.
const FORMAT: u32 = 1;

/// Name of the first entry.
const BEGIN: &str = "cccc-group.json";

/// Name of the last entry.
const END: &str = "cccc-end.json";

/// Longest first or last entry, in bytes.
const MAX_NOTE_BYTES: u64 = 64 << 10;

/// What the first entry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begin {
    /// Version of the format.
    pub(crate) cccc_group: u32,
    /// The group.
    pub(crate) group_id: GroupId,
    /// The end of its ledger.
    pub(crate) head: Position,
}

/// What the last entry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    /// How many events there were.
    events: Seq,
    /// How many attachments.
    blobs: u64,
}

/// What was exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Exported {
    /// The group.
    pub group_id: GroupId,
    /// The end of its ledger in the file.
    pub head: Position,
    /// How many events.
    pub events: u64,
    /// How many of them are gaps: lost, and marked as such by a repair.
    pub gaps: u64,
    /// How many attachments.
    pub blobs: u64,
    /// How many attachments messages name that are not there because they were redacted.
    pub missing_blobs: u64,
    /// Those that messages name and that are not there although nobody redacted them, by their SHA-256.
    pub lost_blobs: Vec<String>,
}
