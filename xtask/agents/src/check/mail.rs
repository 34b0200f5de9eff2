//! The other side of a proof: mail that is sent to an agent, what the ledger says became of it, and what the agent
//! sent.

use std::sync::Arc;

use serde_json::Value;

use super::ensure;
use crate::Failure;
use crate::model::Model;
use crate::model::log::{First, Reached};
use crate::model::request::From;
use crate::place::Place;

/// Who sends the mail of the proofs.
pub(crate) const LEAD: &str = "lead";

/// A message that was sent to an agent.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    /// Nothing else contains it.
    pub(crate) text: String,
    pub(crate) seq: u64,
}

impl Mail {
    /// Sends a message as the lead.
    pub(crate) fn send(place: &Arc<Place>, to: &str, word: &str, more: &[&str]) -> Result<Self, Failure> {
        let text = format!("word-{word}-{:08x}", unlikely(place, word));
        let sent = place.json(&[&["--as", LEAD, "send", "--to", to, &text], more].concat())?;
        let seq =
            sent.first().and_then(|sent| sent.get("seq")?.as_u64()).ok_or("the message has no number")?;
        Ok(Self { text, seq })
    }

    /// That it reached the model once, and where; and that the ledger says the same. `copies`: how often the agent
    /// shows what it is told once.
    pub(crate) fn arrived_once(
        &self,
        place: &Place,
        model: &Model,
        door: &str,
        copies: usize,
    ) -> Result<First, Failure> {
        let Reached { times, copies: shown, first } = model.log(|log| log.reached(&self.text));
        ensure(times == 1, || format!("{} reached the model {times} times, not once", self.text))?;
        ensure(shown == copies, || format!("{} was shown {shown} times, not {copies}", self.text))?;
        let first = first.ok_or("it reached the model nowhere")?;
        let receipt = self.receipt(place)?;
        let word = |key: &str| receipt.get(key).and_then(Value::as_str).unwrap_or_default();
        ensure(word("delivery") == "accepted", || format!("the model saw it, but its receipt is {receipt}"))?;
        ensure(word("transport") == door, || {
            format!("it came through {door}, but its receipt is {receipt}")
        })?;
        ensure(receipt.get("evidence").is_some_and(|evidence| !evidence.is_null()), || {
            format!("its receipt has no evidence: {receipt}")
        })?;
        Ok(first)
    }

    /// What became of it, as the ledger says.
    pub(crate) fn receipt(&self, place: &Place) -> Result<Value, Failure> {
        let receipts = place.json(&["receipts", &self.seq.to_string()])?;
        receipts.into_iter().next().ok_or_else(|| format!("message {} has no receipt", self.seq))
    }
}

/// That a text first reached the model as what a tool answered.
pub(crate) fn from_a_tool(first: &First) -> Result<(), Failure> {
    ensure(first.from == From::Tool, || format!("it came from {:?}, not from a tool", first.from))
}

/// The messages of the group with a text, with who sent them.
pub(crate) fn sent_with(place: &Place, text: &str) -> Result<Vec<(String, Value)>, Failure> {
    let events = place.json(&["ledger", "export"])?;
    let matches = |event: &Value| {
        event.get("kind")?.as_str().filter(|kind| *kind == "chat.message")?;
        let found = event.pointer("/data/text")?.as_str()?;
        let by = event.get("by")?.as_str()?.to_owned();
        (found == text).then(|| (by, event.clone()))
    };
    Ok(events.iter().filter_map(matches).collect())
}

/// A number that differs from run to run and from word to word.
fn unlikely(place: &Place, word: &str) -> u32 {
    let bytes = place.root().as_os_str().as_encoded_bytes();
    bytes
        .iter()
        .chain(word.as_bytes())
        .fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
