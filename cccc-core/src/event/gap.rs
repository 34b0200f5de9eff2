//! The event that stands where another one was lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
