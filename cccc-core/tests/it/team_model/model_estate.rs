//! What becomes of the mail of somebody who leaves, and who is told of what it would not notice.

use std::collections::{BTreeMap, BTreeSet};

use cccc_core::event::{Body, ChatMove, Event, SystemNotify, VoteClose, VoteOpen};
use cccc_core::{Principal, Seq};

use super::model::Model;
use super::model_mail::Mail;

/// How many notices wait for one at most, and how many messages one of them names.
const NOTICES: usize = 20;
const NAMED: usize = 16;

fn newest<T>(most: usize, mut of: Vec<T>) -> Vec<T> {
    of.drain(..of.len().saturating_sub(most));
    of
}

impl Model {
    /// What a successor has not had, nor written, nor answered.
    fn passes(&self, row: &Mail, heir: &Principal) -> bool {
        let sent = self.event(row.seq).expect("a message");
        let named = sent.message().is_some_and(|message| message.recipients.contains(heir));
        let had = named && self.same_since(heir, row.seq);
        let came_or_answered = self.log.iter().any(|event| match &event.body {
            Body::ChatMove(moved) => {
                moved.to == *heir && moved.event_ids.contains(&sent.id) && self.same_since(heir, event.seq)
            }
            Body::ChatMessage(reply) => {
                event.by == *heir && reply.reply_to == Some(sent.id) && !self.redacted(event.seq)
            }
            _ => false,
        });
        sent.by != *heir && !had && !came_or_answered
    }

    fn passing(&self, from: &Principal, to: &Principal) -> Vec<cccc_core::EventId> {
        self.unread_of(from).filter(|row| self.passes(row, to)).map(|row| self.id(row.seq)).collect()
    }

    pub(super) fn expect_moved(&self, moved: &ChatMove) {
        assert!(self.is_here(&moved.from) && self.is_here(&moved.to), "{moved:?}");
        assert_eq!(moved.event_ids, self.passing(&moved.from, &moved.to), "{moved:?}");
    }

    /// What passes to a successor has passed when somebody is removed.
    pub(super) fn expect_nothing_left(&self, gone: &Principal, heir: Option<&Principal>) {
        if let Some(heir) = heir {
            assert_eq!(self.passing(gone, heir), [], "{gone} to {heir}");
        }
    }

    /// Unread and not handed over in any session, but under the same conditions.
    pub(super) fn take_over(&mut self, moved: &ChatMove) {
        for id in &moved.event_ids {
            let from = |row: &&mut Mail| row.alive && row.unread && row.to == moved.from && row.seq == id.seq;
            let Some(row) = self.mail.iter_mut().find(from) else { continue };
            row.alive = false;
            let new = Mail {
                to: moved.to.clone(),
                alive: true,
                handed: None,
                claim: None,
                back: None,
                no_more: None,
                ..row.clone()
            };
            if !self.unread_of(&moved.to).any(|row| row.seq == id.seq) {
                self.mail.push(new);
            }
        }
    }

    /// Whoever wrote what bounces, or is owed what returns, hears of it.
    pub(super) fn tell_of_leaving(&mut self, event: &Event, gone: &Principal, heir: Option<&Principal>) {
        let back = |to: &Principal| heir.is_none_or(|heir| heir == to);
        let unread =
            self.unread_of(gone).map(|row| (self.event(row.seq).expect("a message").by.clone(), row.seq));
        let owed = self.owed.iter().filter(|row| row.open && row.debtor() == gone);
        let owed = owed.map(|row| (row.creditor.clone(), row.source.seq));
        let mut concerned: BTreeMap<Principal, BTreeSet<Seq>> = BTreeMap::new();
        for (who, seq) in unread.chain(owed).filter(|(who, _)| back(who)) {
            concerned.entry(who).or_default().insert(seq);
        }
        concerned.retain(|who, _| *who != event.by && who != gone && self.is_here(who));
        // The batch names the event with which its going began, which is one of a few before this.
        for (who, about) in concerned {
            self.untold.push(("returned", who, gone.to_string(), newest(NAMED, about.into_iter().collect())));
        }
    }

    /// Everybody who may vote hears of it, except who asks.
    pub(super) fn tell_of_vote(&mut self, event: &Event, open: &VoteOpen) {
        for voter in open.voters.iter().filter(|voter| **voter != event.by) {
            let batch = open.vote_id.to_string();
            self.untold.push(("vote_opened", voter.clone(), batch, vec![event.seq]));
        }
    }

    /// Whoever asked for a vote and is still there hears of its end, unless it brought that about.
    pub(super) fn tell_of_end(&mut self, event: &Event, close: &VoteClose) {
        let opened = self.event(close.vote_id.seq()).expect("a vote");
        let opener = opened.by.clone();
        if opener != event.by && self.same_since(&opener, opened.seq) {
            self.untold.push(("vote_closed", opener, close.vote_id.to_string(), vec![opened.seq]));
        }
    }

    /// A notice of these kinds is one that was to follow.
    pub(super) fn told_of(&mut self, said: &SystemNotify) {
        let foreseen = [
            "returned",
            "vote_opened",
            "vote_closed",
            "approval_opened",
            "approval_decided",
            "question_expired",
        ];
        if !foreseen.contains(&said.notice.as_str()) {
            return;
        }
        let means = |(notice, who, batch, about): &(&str, Principal, String, Vec<Seq>)| {
            let begins = said.batch() == batch || said.batch().starts_with(&format!("{batch}."));
            *notice == said.notice && said.target.as_ref() == Some(who) && begins && said.related == *about
        };
        let at = self.untold.iter().position(means);
        let at = at.unwrap_or_else(|| panic!("not expected: {said:?}, but {:?}", self.untold));
        self.untold.remove(at);
    }

    /// What waits to be shown to somebody.
    pub(super) fn unseen(&self, who: &Principal) -> Vec<Seq> {
        if !self.is_here(who) {
            return Vec::new();
        }
        let seen = self.log.iter().filter_map(|event| match &event.body {
            Body::SystemSeen(seen) if seen.actor_id == *who && self.same_since(who, event.seq) => {
                Some(seen.through_seq)
            }
            _ => None,
        });
        let seen = seen.max().unwrap_or_default();
        let theirs = self.notices().filter(|(event, notice)| {
            notice.target.as_ref() == Some(who) && event.seq > seen && self.same_since(who, event.seq)
        });
        newest(NOTICES, theirs.map(|(event, _)| event.seq).collect())
    }
}
