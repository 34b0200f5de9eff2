//! Questions with options that nobody has answered yet.

use serde::{Deserialize, Serialize};

use super::{GroupState, ObligationKind};
use crate::event::{ChatMessage, Event};
use crate::id::{EventId, Principal, Seq};
use crate::time::Timestamp;

/// A question that somebody still owes an answer to. Its text and its options are on the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Question {
    /// The message that asks.
    pub event_id: EventId,
    /// Who asks.
    pub asker: Principal,
    /// When it ends unanswered, not counting pauses since it was asked; absent: it does not end by itself. See
    /// [`question_ends_at`](GroupState::question_ends_at).
    pub until: Option<Timestamp>,
    /// For how long the group had been paused before.
    pub paused_before_ms: u64,
}

impl GroupState {
    /// When a question ends unanswered, as of `now`: each moment of pause moves it by that much.
    #[must_use]
    pub fn question_ends_at(&self, question: &Question, now: Timestamp) -> Option<Timestamp> {
        question.until.map(|until| self.after_pauses(until, question.paused_before_ms, now))
    }

    /// Who still owes an answer to the question at `seq`, in order of name.
    pub fn asked_in(&self, seq: Seq) -> impl Iterator<Item = &Principal> {
        let owes = move |kind| (seq, kind);
        let waits = self
            .mailboxes
            .iter()
            .filter(move |(_, mailbox)| mailbox.owed.contains_key(&owes(ObligationKind::Reply)));
        waits.map(|(principal, _)| principal)
    }

    pub(super) fn ask(&mut self, event: &Event, message: &ChatMessage, paused_before_ms: u64) {
        if message.options.is_empty() {
            return;
        }
        let question =
            Question { event_id: event.id, asker: event.by.clone(), until: message.due_at, paused_before_ms };
        self.questions.insert(event.seq, question);
        self.settle_question(event.seq);
    }

    /// A question is over when nobody owes an answer to it any more, however that came about.
    pub(super) fn settle_question(&mut self, seq: Seq) {
        if self.questions.contains_key(&seq) && self.asked_in(seq).next().is_none() {
            self.questions.remove(&seq);
        }
    }

    /// As [`settle_question`](Self::settle_question), where what many owed may have ended.
    pub(super) fn settle_questions(&mut self) {
        let open: Vec<Seq> = self.questions.keys().copied().collect();
        open.into_iter().for_each(|seq| self.settle_question(seq));
    }
}
