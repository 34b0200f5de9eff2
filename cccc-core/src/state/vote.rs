//! Votes that are open.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{GroupState, Obligation, ObligationKind};
use crate::event::{Choice, Event, VoteCast, VoteClose, VoteOpen};
use crate::id::{ActorId, EventId, Principal, Seq, VoteId};
use crate::time::Timestamp;

/// How many closed votes are remembered, newest first to stay; what became of them is on the ledger.
pub const MAX_CLOSED_VOTES: usize = 100;

/// A vote that has not been closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Vote {
    /// The event that opened it.
    pub opened_by_event: EventId,
    /// Who did.
    pub opener: Principal,
    /// What is asked.
    pub subject: String,
    /// Who is removed from the group if it is accepted.
    pub release: Option<ActorId>,
    /// Who takes over what that one leaves.
    pub successor: Option<ActorId>,
    /// Who may vote, and what they have said.
    pub voters: BTreeMap<Principal, Option<Choice>>,
    /// How many must say yes.
    pub threshold: u32,
    /// When it ends, not counting pauses since it was opened; see [`vote_ends_at`](GroupState::vote_ends_at).
    pub until: Timestamp,
    /// For how long the group had been paused before.
    pub paused_before_ms: u64,
}

impl Vote {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> VoteId {
        VoteId(self.opened_by_event.seq)
    }
}

impl GroupState {
    /// When an open vote ends undecided, as of `now`: each moment of pause moves it by that much.
    #[must_use]
    pub fn vote_ends_at(&self, vote: &Vote, now: Timestamp) -> Timestamp {
        self.after_pauses(vote.until, vote.paused_before_ms, now)
    }

    pub(super) fn open_vote(&mut self, event: &Event, open: &VoteOpen) {
        let paused_ms = u64::try_from(self.paused_until(event.ts).as_millis()).unwrap_or(u64::MAX);
        let vote = Vote {
            opened_by_event: event.id,
            opener: event.by.clone(),
            subject: open.subject.clone(),
            release: open.release.clone(),
            successor: open.successor.clone(),
            voters: open.voters.iter().map(|voter| (voter.clone(), None)).collect(),
            threshold: open.threshold,
            until: open.until,
            paused_before_ms: paused_ms,
        };
        for voter in &open.voters {
            let Some(mailbox) = self.mailboxes.get_mut(voter) else { continue };
            let obligation = Obligation {
                source: event.id,
                creditor: event.by.clone(),
                due_at: Some(open.until),
                paused_before_ms: paused_ms,
                lineages: vec![vec![(voter.clone(), event.seq)]],
                thread: event.seq,
                told: None,
            };
            mailbox.owed.insert((event.seq, ObligationKind::Vote), obligation);
        }
        self.votes.insert(vote.id(), vote);
    }

    pub(super) fn cast_vote(&mut self, event: &Event, cast: &VoteCast) {
        if let Some(said) = self.votes.get_mut(&cast.vote_id).and_then(|vote| vote.voters.get_mut(&event.by))
        {
            *said = Some(cast.choice);
        }
        if let Some(mailbox) = self.mailboxes.get_mut(&event.by) {
            mailbox.owed.remove(&(cast.vote_id.seq(), ObligationKind::Vote));
        }
    }

    pub(super) fn close_vote(&mut self, close: &VoteClose) {
        if self.votes.remove(&close.vote_id).is_some() {
            self.closed_votes.push_back(close.vote_id);
            if self.closed_votes.len() > MAX_CLOSED_VOTES {
                self.closed_votes.pop_front();
            }
        }
        self.release_voters(close.vote_id.seq());
    }

    fn release_voters(&mut self, vote: Seq) {
        for mailbox in self.mailboxes.values_mut() {
            mailbox.owed.remove(&(vote, ObligationKind::Vote));
        }
    }
}
