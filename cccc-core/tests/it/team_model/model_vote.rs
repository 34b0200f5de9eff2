//! Votes, counted by looking at all events.

use cccc_core::event::{Body, Choice, Event, VoteClose, VoteOpen, VoteOutcome};
use cccc_core::{Principal, Timestamp, VoteId};

use super::model::Model;

impl Model {
    pub(super) fn votes(&self) -> impl Iterator<Item = (&Event, &VoteOpen)> {
        self.log.iter().filter_map(|event| match &event.body {
            Body::VoteOpen(open) => Some((event, open)),
            _ => None,
        })
    }

    /// Every end of a vote; there should be one at most.
    pub(super) fn ends(&self, vote: VoteId) -> impl Iterator<Item = &VoteClose> {
        self.log.iter().filter_map(move |event| match &event.body {
            Body::VoteClose(close) if close.vote_id == vote => Some(close),
            _ => None,
        })
    }

    pub(super) fn open_votes(&self) -> impl Iterator<Item = (&Event, &VoteOpen)> {
        self.votes().filter(|(_, open)| self.ends(open.vote_id).next().is_none())
    }

    /// What somebody said first.
    pub(super) fn voice(&self, vote: VoteId, voter: &Principal) -> Option<Choice> {
        self.log.iter().find_map(|event| match &event.body {
            Body::VoteCast(cast) if cast.vote_id == vote && event.by == *voter => Some(cast.choice),
            _ => None,
        })
    }

    pub(super) fn vote_ends_at(&self, event: &Event, open: &VoteOpen, now: Timestamp) -> Timestamp {
        self.moved(open.until, event.ts, now)
    }

    pub(super) fn vote_over_at(&self, event: &Event, open: &VoteOpen, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(self.vote_ends_at(event, open, now).as_millis() + 1)
    }

    /// What a vote comes to by the voices so far, if nobody who can still speak can change it.
    pub(super) fn decided(&self, event: &Event, open: &VoteOpen) -> Option<VoteOutcome> {
        let said_yes = |voter: &&Principal| self.voice(open.vote_id, voter) == Some(Choice::Yes);
        let may_speak = |voter: &&Principal| {
            self.voice(open.vote_id, voter).is_none() && self.same_since(voter, event.seq)
        };
        let yes = open.voters.iter().filter(said_yes).count();
        let may = open.voters.iter().filter(may_speak).count();
        let needed = match open.voters.len() {
            2 => 2,
            voters => voters / 2 + 1,
        };
        if yes >= needed {
            Some(VoteOutcome::Accepted)
        } else if yes + may < needed {
            Some(VoteOutcome::Rejected)
        } else {
            None
        }
    }

    /// Whoever may vote is settled when a vote is opened.
    pub(super) fn expect_voters(&self, event: &Event, open: &VoteOpen) {
        let needed = if open.voters.len() == 2 { 2 } else { open.voters.len() / 2 + 1 };
        assert_eq!(usize::try_from(open.threshold).unwrap(), needed, "{open:?}");
        assert!(open.voters.iter().all(|voter| self.is_here(voter)), "{open:?}");
        if let Some(released) = &open.release {
            let everybody_else = self.members.iter().filter(|member| member.id != *released);
            let mut voters: Vec<Principal> = everybody_else.map(super::model::Member::who).collect();
            voters.sort();
            assert_eq!(open.voters, voters, "of a release everybody else votes");
            assert!(self.member(&released.clone().into()).is_some());
        }
        assert!(open.successor.as_ref().is_none_or(|heir| self.is_here(&heir.clone().into())), "{open:?}");
        assert_eq!(open.vote_id.seq(), event.seq);
    }

    /// A vote decides exactly once, and as its voices say.
    pub(super) fn expect_outcome(&self, event: &Event, close: &VoteClose) {
        let opened = self.votes().find(|(_, open)| open.vote_id == close.vote_id);
        let (opened, open) = opened.unwrap_or_else(|| panic!("{close:?} of no vote"));
        assert_eq!(self.ends(close.vote_id).count(), 0, "a vote decides exactly once: {open:?} {close:?}");
        let over = event.ts > self.vote_ends_at(opened, open, event.ts);
        match close.outcome {
            VoteOutcome::Expired => assert!(over || self.jumps, "{close:?}"),
            VoteOutcome::Cancelled => {}
            outcome => assert_eq!(self.decided(opened, open), Some(outcome), "{open:?}"),
        }
    }

    /// Every vote that is open can still go either way.
    pub(super) fn expect_undecided(&self) {
        for (event, open) in self.open_votes() {
            assert_eq!(self.decided(event, open), None, "{open:?} is decided and not closed");
            assert!(self.same_since(&event.by, event.seq), "who asked for {open:?} has gone");
            let released = open.release.clone().map(Principal::from);
            assert!(released.is_none_or(|who| self.same_since(&who, event.seq)), "{open:?}");
        }
    }
}
