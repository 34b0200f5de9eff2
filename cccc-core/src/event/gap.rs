//! The event that stands where another one was lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::id::Seq;
use crate::ledger::Chain;

/// `ledger.gap`: the event that stood here was damaged beyond restoring; a repair put this in its place, so that
/// what follows keeps its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerGap {
    /// What was wrong.
    pub reason: String,
    /// Where the bytes lie that stood here, perhaps together with those of gaps beside it: a path in the
    /// group's directory. Under `torn/` after a repair; until then, in a segment.
    pub file: String,
    /// Where they begin in that file.
    pub offset: u64,
    /// How many they are; 0 if nothing was left.
    pub bytes: u64,
    /// Holds the line to its place and to the chain it states; see `docs/ledger-format.md`. Always last.
    pub seal: Chain,
}

impl LedgerGap {
    /// Whether a repair has put it there. Until then it is only shown in the place of the damaged event, and names a
    /// segment of the ledger.
    #[must_use]
    pub fn is_repaired(&self) -> bool {
        !self.file.starts_with("ledger/")
    }

    /// The error for whoever asks for the event that stood here.
    pub(super) fn lost(&self, seq: Seq) -> Error {
        if !self.is_repaired() {
            return Error::not_found(format!("event {seq} is lost; not repaired yet"))
                .hint("restore its file from a copy, or run `cccc ledger repair`");
        }
        let left = match self.file.as_str() {
            "" => String::new(),
            file => format!("; what is left of it lies in {file} of the group's directory"),
        };
        Error::not_found(format!("event {seq} was lost and repaired away (gap)"))
            .hint(format!("nobody knows any more who wrote it: if it was yours, send it again{left}"))
    }
}
