//! Questions with options, requests for approval and pins, found by looking at all events.

use std::collections::BTreeMap;

use cccc_core::event::{
    ApprovalDecide, ApprovalOpen, Body, CancelCause, ChatCancel, ChatMessage, Event, Verdict,
};
use cccc_core::{ApprovalId, ObligationKind, Principal, Seq, Timestamp};

use super::model::Model;
use super::model_mail::Debt;
use super::model_wait::Edge;
use cccc_core::rule::wait::WaitKind;

impl Model {
    pub(super) fn questions(&self) -> impl Iterator<Item = (&Event, &ChatMessage)> {
        let asks = |event: &'_ Event| event.message().is_some_and(|message| !message.options.is_empty());
        self.log.iter().filter(move |event| asks(event)).filter_map(|event| Some((event, event.message()?)))
    }

    /// Who still owes an answer to a question.
    pub(super) fn asked_in(&self, question: Seq) -> Vec<Principal> {
        let rows = self
            .owed
            .iter()
            .filter(|row| row.open && row.kind == ObligationKind::Reply && row.source.seq == question);
        let mut asked: Vec<Principal> = rows.map(|row| row.debtor().clone()).collect();
        asked.sort();
        asked.dedup();
        asked
    }

    pub(super) fn open_questions(&self) -> impl Iterator<Item = (&Event, &ChatMessage)> {
        self.questions().filter(|(event, _)| !self.asked_in(event.seq).is_empty())
    }

    pub(super) fn question_ends_at(
        &self,
        event: &Event,
        question: &ChatMessage,
        now: Timestamp,
    ) -> Option<Timestamp> {
        question.due_at.map(|due| self.moved(due, event.ts, now))
    }

    /// The answers to a question; there should be one at most.
    pub(super) fn answers(&self, question: &Event) -> impl Iterator<Item = (&Event, &str)> {
        self.log.iter().filter_map(|event| {
            let message = event.message().filter(|message| message.reply_to == Some(question.id))?;
            Some((event, message.choice.as_deref()?))
        })
    }

    /// An answer is the first, in time, one of the options, and by somebody who was asked.
    pub(super) fn expect_answer(&self, event: &Event, reply: &ChatMessage) {
        let Some(choice) = &reply.choice else { return };
        let asked = self.event(reply.reply_to.expect("a question").seq).expect("an event");
        let question = asked.message().expect("a message");
        assert!(question.options.contains(choice), "{reply:?} of {question:?}");
        assert_eq!(self.answers(asked).count(), 0, "{question:?} is answered twice: {reply:?}");
        assert!(!self.asked_in(asked.seq).is_empty(), "{question:?} is over: {reply:?}");
        let late = self.question_ends_at(asked, question, event.ts).is_some_and(|end| event.ts > end);
        assert!(!late || self.jumps, "{question:?} is answered too late: {reply:?}");
        assert_ne!(event.by, asked.by);
    }

    /// Whoever asked, and who had not answered, hears that the time of a question was over.
    pub(super) fn tell_of_expiry(&mut self, event: &Event, cancel: &ChatCancel) {
        if cancel.cause != Some(CancelCause::Expired) {
            return;
        }
        let asked = self.event(cancel.event_id.seq).expect("a question").clone();
        let question = asked.message().expect("a message");
        let over = self.question_ends_at(&asked, question, event.ts).is_some_and(|end| event.ts > end);
        assert!(over || self.jumps, "{cancel:?}");
        let asker = Some(asked.by.clone()).filter(|asker| self.same_since(asker, asked.seq));
        for whom in asker.into_iter().chain(self.asked_in(asked.seq)) {
            if whom != event.by && self.is_here(&whom) {
                self.untold.push(("question_expired", whom, asked.seq.to_string(), vec![asked.seq]));
            }
        }
    }

    pub(super) fn approvals(&self) -> impl Iterator<Item = (&Event, &ApprovalOpen)> {
        self.log.iter().filter_map(|event| match &event.body {
            Body::ApprovalOpen(open) => Some((event, open)),
            _ => None,
        })
    }

    /// Every verdict on a request; there should be one at most.
    pub(super) fn verdicts(&self, approval: ApprovalId) -> impl Iterator<Item = (&Event, &ApprovalDecide)> {
        self.log.iter().filter_map(move |event| match &event.body {
            Body::ApprovalDecide(decide) if decide.approval_id == approval => Some((event, decide)),
            _ => None,
        })
    }

    pub(super) fn open_approvals(&self) -> impl Iterator<Item = (&Event, &ApprovalOpen)> {
        self.approvals().filter(|(_, open)| self.verdicts(open.approval_id).next().is_none())
    }

    pub(super) fn approval_ends_at(&self, event: &Event, open: &ApprovalOpen, now: Timestamp) -> Timestamp {
        self.moved(open.until, event.ts, now)
    }

    /// The user decides, and people and the foreman where the user has said so; nobody on its own request.
    pub(super) fn expect_request(&self, event: &Event, open: &ApprovalOpen) {
        let is_set = |wanted: &str| {
            let set = self.settings.iter().rev().find(|(name, _)| name == wanted);
            set.is_some_and(|(_, value)| *value == serde_json::Value::Bool(true))
        };
        let by_foreman = is_set("approval.foreman");
        let foreman = self.foreman.clone().filter(|foreman| by_foreman && *foreman != event.by);
        let people =
            self.people.iter().filter(|_| is_set("approval.people")).map(|(person, _)| person.clone());
        let mut deciders: Vec<Principal> =
            [Principal::User].into_iter().chain(people).chain(foreman).collect();
        deciders.sort();
        assert_eq!(open.deciders, deciders);
        assert!(event.by.actor().is_some() && open.approval_id.seq() == event.seq);
    }

    /// A request is decided once, by who may; and in time, unless that is what is said.
    pub(super) fn expect_verdict(&self, event: &Event, decide: &ApprovalDecide) {
        let opened = self.approvals().find(|(_, open)| open.approval_id == decide.approval_id);
        let (opened, open) = opened.unwrap_or_else(|| panic!("{decide:?} of no request"));
        assert_eq!(self.verdicts(decide.approval_id).count(), 0, "decided twice: {open:?} {decide:?}");
        let over = event.ts > self.approval_ends_at(opened, open, event.ts);
        match decide.verdict {
            Verdict::Allow | Verdict::Deny => {
                assert!(!over || self.jumps, "{decide:?} came too late");
                assert!(open.deciders.contains(&event.by), "{decide:?}");
                let leads = event.by == Principal::User
                    || self.foreman.as_ref() == Some(&event.by)
                    || (event.by.is_person() && self.same_since(&event.by, opened.seq));
                assert!(leads, "{decide:?}");
            }
            Verdict::Expired => assert!(over || self.jumps, "{decide:?}"),
            _ => assert!(!self.same_since(&opened.by, opened.seq) || opened.by == event.by, "{decide:?}"),
        }
    }

    pub(super) fn tell_of_request(&mut self, event: &Event, open: &ApprovalOpen) {
        for decider in open.deciders.iter().filter(|decider| **decider != event.by) {
            let batch = open.approval_id.to_string();
            self.untold.push(("approval_opened", decider.clone(), batch, vec![event.seq]));
        }
    }

    pub(super) fn tell_of_verdict(&mut self, event: &Event, decide: &ApprovalDecide) {
        let opened = self.event(decide.approval_id.seq()).expect("a request");
        let requester = opened.by.clone();
        if requester != event.by && self.same_since(&requester, opened.seq) {
            let about = vec![opened.seq];
            self.untold.push(("approval_decided", requester, decide.approval_id.to_string(), about));
        }
    }

    /// Whether somebody may decide, and might since an event: people always may what was asked of them.
    fn leads_since(&self, who: &Principal, seq: Seq) -> bool {
        who.is_person() || self.foreman.as_ref() == Some(who) && self.lead_changed <= seq
    }

    pub(super) fn approval_debts(&self, now: Timestamp) -> Vec<Debt> {
        let mut debts = Vec::new();
        for (event, open) in self.open_approvals() {
            let owes = |decider: &&Principal| {
                self.is_here(decider)
                    && self.same_since(decider, event.seq)
                    && self.leads_since(decider, event.seq)
            };
            debts.extend(open.deciders.iter().filter(owes).map(|decider| Debt {
                source: event.id,
                kind: ObligationKind::Approval,
                debtor: decider.clone(),
                creditor: event.by.clone(),
                due: Some(self.approval_ends_at(event, open, now)),
                since: (event.seq, event.seq),
                thread: event.seq,
                inherited_from: Vec::new(),
            }));
        }
        debts
    }

    /// Whether any of those who owe it can end a wait.
    pub(super) fn is_anyones(&self, edge: &Edge) -> bool {
        match edge.kind {
            WaitKind::Owed(ObligationKind::Approval) => true,
            WaitKind::Owed(ObligationKind::Reply) => {
                let asked = self.event(edge.source).and_then(Event::message);
                asked.is_some_and(|message| !message.options.is_empty())
            }
            _ => false,
        }
    }

    /// What is pinned, and by which event.
    pub(super) fn pinned(&self) -> BTreeMap<Seq, Seq> {
        let mut pinned = BTreeMap::new();
        for event in &self.log {
            match &event.body {
                Body::ChatPin(pin) => drop(pinned.entry(pin.event_id.seq).or_insert(event.seq)),
                Body::ChatUnpin(unpin) => drop(pinned.remove(&unpin.event_id.seq)),
                Body::ChatRetract(retract) => drop(pinned.remove(&retract.event_id.seq)),
                Body::ChatRedact(redact) => drop(pinned.remove(&redact.event_id.seq)),
                _ => {}
            }
        }
        pinned
    }
}
