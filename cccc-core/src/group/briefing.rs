//! What a principal is told at a moment of its work, with the messages that are to be handed over.

use super::{Group, Message};
use crate::error::Result;
use crate::event::GroupMode;
use crate::id::Seq;
use crate::rule::briefing::{self, Chosen, Moment, Said};
use crate::rule::delivery;
use crate::rule::obligation::{self, ObligationView};
use crate::rule::receipt::DeliveryWord;

/// What a principal is told at a moment. Made by [`Group::briefing`]; nothing is handed over by it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Briefing {
    /// Messages to hand over, in the order in which they are to be shown; claim them first.
    pub messages: Vec<Message>,
    /// Messages that are only named, because they were handed over before or may have been.
    pub again: Vec<Message>,
    /// What is owed and worth naming, the most urgent first.
    pub owed: Vec<ObligationView>,
    /// How many unread messages were not handed over to this session, with those that shall be.
    pub waiting: u64,
    /// Whether a tool is to wait until that is read.
    pub denies: bool,
    /// The newest message that is unread and may be pushed: for what tools are denied.
    pub newest: Option<Seq>,
    /// What the group is doing.
    pub state: GroupMode,
}

impl Briefing {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.messages.is_empty() && self.again.is_empty() && self.owed.is_empty() && !self.denies
    }
}

impl Group {
    /// What this principal is told at a moment, given what was said before.
    ///
    /// # Errors
    /// As for reading the ledger.
    pub async fn briefing(&self, moment: Moment, said: &Said) -> Result<Briefing> {
        let (by, engine) = (&self.by, &self.shared.engine);
        let now = engine.clock().now();
        let look = |state: &crate::state::GroupState| {
            let chosen = briefing::choose(state, by, moment, said, now);
            let mailbox = state.mailbox(by);
            let told = |seq| mailbox.is_some_and(|mailbox| delivery::is_perhaps_told(mailbox, seq));
            let known =
                |word| move |seq: &Seq| (*seq, (word, told(*seq)), obligation::owed_by(state, by, *seq));
            let hand: Vec<_> = chosen.hand.iter().map(known(DeliveryWord::Pending)).collect();
            let again: Vec<_> = chosen.again.iter().map(known(DeliveryWord::Accepted)).collect();
            (chosen, hand, again, briefing::denied_for(state, by), state.mode())
        };
        let (Chosen { owed, waiting, denies, .. }, hand, again, newest, state) = engine.query(look).await?;
        let mut events = engine.events_at(hand.iter().chain(&again).map(|(seq, ..)| *seq)).await?;
        let (mut messages, mut named) = (Vec::new(), Vec::new());
        for (list, seqs) in [(&mut messages, hand), (&mut named, again)] {
            for (seq, delivery, owed) in seqs {
                list.extend(events.remove(&seq).and_then(|event| Message::of(event, delivery, owed)));
            }
        }
        Ok(Briefing { messages, again: named, owed, waiting, denies, newest, state })
    }
}
