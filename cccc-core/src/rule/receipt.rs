//! Receipts: for a message and each of its recipients, what became of it.
//!
//! Computed when asked, from the message, the events that target it, and the state (which knows who has
//! left, what is unread, and what is open). Nothing is stored for it, so receipts of any message of any
//! age cost the same, and never disagree with the ledger.
//!
//! A condition of a message that no longer holds shows here once a deliverer has met it and recorded
//! that the message is withheld; until then the message is `pending`.

mod view;

use serde_json::Value;

pub use view::{Delivery, DeliveryStep, DeliveryWord, ObligationWord, Receipt};

use crate::event::{Body, ChatMessage, DeliveryState, Event, RuntimeDelivery, Transport, WithholdReason};
use crate::id::{Principal, Seq};
use crate::rule::ladder;
use crate::state::{FlightState, GroupState, ObligationKind, Tombstone, asked_by, met_by_reply};
use crate::time::Timestamp;

/// One receipt for each recipient of `message`, in their order; none for what is not a message any more.
///
/// `facts` are the events that target the message, ascending.
#[must_use]
pub fn receipts(state: &GroupState, message: &Event, facts: &[Event], now: Timestamp) -> Vec<Receipt> {
    let Some(content) = message.message() else { return Vec::new() };
    let history = History::of(state, message, content, facts);
    content.recipients.iter().map(|recipient| history.receipt(recipient, now)).collect()
}

/// Something that happened to a message, at its place.
#[derive(Clone, Copy)]
enum Step<'a> {
    /// An event that says something of it.
    Fact(&'a Event),
    /// An answer whose content was redacted since.
    Answer { by: &'a Principal, progress: bool },
    /// Somebody left the group.
    Gone(&'a Tombstone),
}

struct History<'a> {
    state: &'a GroupState,
    event: &'a Event,
    content: &'a ChatMessage,
    steps: Vec<(Seq, Step<'a>)>,
}

/// Somebody who had a message for a while.
struct Holder<'a> {
    who: Principal,
    /// From here on, exclusively: the message, or the event by which it passed to this one.
    since: Seq,
    /// Up to here, exclusively.
    until: Seq,
    /// How it left the group, if it did.
    removal: Option<&'a Tombstone>,
}

impl Holder<'_> {
    fn had(&self, at: Seq) -> bool {
        self.since < at && at < self.until
    }
}

/// What became of one kind of obligation of one recipient.
#[derive(Default)]
struct End {
    word: ObligationWord,
    reason: Option<String>,
}

impl End {
    /// An obligation ends once; what was not asked for can still be given.
    fn end(&mut self, word: ObligationWord, reason: impl Into<Option<String>>) {
        let given = self.word == ObligationWord::None && word == ObligationWord::Met;
        if given || self.word == ObligationWord::Open {
            *self = Self { word, reason: reason.into() };
        }
    }
}

impl<'a> History<'a> {
    fn of(state: &'a GroupState, event: &'a Event, content: &'a ChatMessage, facts: &'a [Event]) -> Self {
        let of_fact = |fact: &'a Event| match &fact.body {
            // The answer stands at its own place, whether or not it can still be read there.
            Body::ChatRedact(redact) if redact.event_id != event.id => {
                let by = redact.author.as_ref()?;
                Some((redact.event_id.seq, Step::Answer { by, progress: redact.progress }))
            }
            _ => Some((fact.seq, Step::Fact(fact))),
        };
        let gone = state.tombstones().iter().map(|tombstone| (tombstone.removed_seq, Step::Gone(tombstone)));
        let steps = facts.iter().filter_map(of_fact).chain(gone);
        let mut steps: Vec<(Seq, Step<'a>)> = steps.filter(|(seq, _)| *seq > event.seq).collect();
        steps.sort_by_key(|(seq, _)| *seq);
        Self { state, event, content, steps }
    }

    /// Who has had the message, one after another: the recipient, then whoever took over what it left unread.
    fn holders(&self, recipient: &Principal) -> Vec<Holder<'a>> {
        let mut holders = Vec::new();
        let (mut who, mut since) = (recipient.clone(), self.event.seq);
        loop {
            // What was done under the name after it was removed is another incarnation's.
            let removal = self.state.removal_after(&who, since);
            let end = removal.map_or(Seq(u64::MAX), |tombstone| tombstone.removed_seq);
            let moved = self.steps.iter().find_map(|(at, step)| match step {
                Step::Fact(Event { body: Body::ChatMove(moved), .. })
                    if moved.from == who && since < *at && *at < end =>
                {
                    Some((*at, moved.to.clone()))
                }
                _ => None,
            });
            let until = moved.as_ref().map_or(end, |(at, _)| *at);
            holders.push(Holder { who, since, until, removal });
            match moved {
                Some((at, next)) => (who, since) = (next, at),
                None => return holders,
            }
        }
    }

    fn receipt(&self, recipient: &Principal, now: Timestamp) -> Receipt {
        let holders = self.holders(recipient);
        let (read, read_at) = holders.last().map_or((false, None), |last| self.read(last));
        let delivery = self.delivery(&holders, (read, read_at));
        let moved_to = holders.last().filter(|_| holders.len() > 1).map(|last| last.who.clone());
        let (debtor, [ack, reply]) = self.obligations(recipient);
        let open: Vec<_> = self
            .state
            .mailbox(&debtor)
            .into_iter()
            .flat_map(|mailbox| {
                ObligationKind::OF_MESSAGE.map(|kind| mailbox.owed.get(&(self.event.seq, kind)))
            })
            .flatten()
            .collect();
        let is_open = [&ack, &reply].iter().any(|end| end.word == ObligationWord::Open);
        let due_at = match open.first() {
            Some(obligation) if is_open => self.state.due_at(obligation, now),
            _ => self.content.due_at,
        };
        Receipt {
            recipient: recipient.clone(),
            moved_to,
            delivery,
            read,
            ack: ack.word,
            ack_reason: ack.reason,
            reply: reply.word,
            reply_reason: reply.reason,
            debtor: (is_open && debtor != *recipient).then_some(debtor),
            due_at,
            overdue: is_open && due_at.is_some_and(|due| now > due),
        }
    }

    /// Whether whoever has the message has read it, and when, if an event says so of this message alone.
    fn read(&self, holder: &Holder<'_>) -> (bool, Option<Timestamp>) {
        let seq = self.event.seq;
        let recipient = &holder.who;
        let mut withdrawn = false;
        for (_, step) in self.steps.iter().filter(|(at, _)| holder.had(*at)) {
            match step {
                Step::Answer { by, .. } if *by == recipient => return (true, None),
                Step::Answer { .. } | Step::Gone(_) => {}
                Step::Fact(fact) => match &fact.body {
                    Body::ChatRead(read)
                        if read.actor_id == *recipient && read.event_ids.iter().any(|id| id.seq == seq) =>
                    {
                        return (!withdrawn, (!withdrawn).then_some(fact.ts));
                    }
                    Body::ChatMessage(reply)
                        if fact.by == *recipient && reply.reply_to.is_some_and(|id| id.seq == seq) =>
                    {
                        return (true, Some(fact.ts));
                    }
                    Body::ChatRetract(retract) if retract.event_id.seq == seq => {
                        withdrawn |= retract.recipients.contains(recipient);
                    }
                    Body::RuntimeDelivery(delivery) if delivery.actor_id == *recipient => {
                        withdrawn |= matches!(delivery.state, DeliveryState::Withheld { .. });
                    }
                    _ => {}
                },
            }
        }
        // Reading through a place leaves no event at each message, but it leaves the set of unread ones.
        let unread = match holder.removal {
            Some(tombstone) => tombstone.unread.contains(seq.0),
            None if !self.state.present_since(recipient, holder.since) => true,
            None => self.state.mailbox(recipient).is_none_or(|mailbox| mailbox.unread.contains(seq.0)),
        };
        let own = *recipient == self.event.by;
        (!unread && !withdrawn && !own, None)
    }

    fn delivery(&self, holders: &[Holder<'_>], (read, read_at): (bool, Option<Timestamp>)) -> Delivery {
        let mut delivery = Delivery::default();
        let mut doubt = None;
        for holder in holders {
            if delivery.state.is_delivered() {
                break;
            }
            if delivery.state.is_in_doubt() {
                doubt = Some(format!("somebody who left may have got it before {}", holder.who));
            }
            delivery = self.delivery_to(holder);
        }
        let Some(Holder { who: recipient, removal, .. }) = holders.last() else { return delivery };
        if delivery.state.is_delivered() {
            // It came, and nobody is there any more to read it.
            delivery.reason = removal.filter(|_| !read).map(removed);
            return delivery;
        }
        if read {
            let evidence = Some(Value::from("read"));
            return Delivery { state: DeliveryWord::Accepted, evidence, at: read_at, ..Delivery::default() };
        }
        let flight = self.state.mailbox(recipient).and_then(|mailbox| mailbox.flights.get(&self.event.seq));
        let lapsed = flight.is_some_and(|flight| flight.state == FlightState::Ambiguous);
        match (delivery.state, *removal) {
            (
                DeliveryWord::Pending
                | DeliveryWord::Failed
                | DeliveryWord::Refused
                | DeliveryWord::Withdrawn,
                Some(tombstone),
            ) => {
                delivery.state = DeliveryWord::Bounced;
                delivery.reason = Some(removed(tombstone));
            }
            (DeliveryWord::Ambiguous, _) => {}
            (word, Some(tombstone)) if word.is_in_doubt() => {
                delivery.state = DeliveryWord::Ambiguous;
                delivery.reason = Some(removed(tombstone));
            }
            (word, None) if lapsed && word.is_in_doubt() => {
                delivery.state = DeliveryWord::Ambiguous;
                delivery.reason = Some("a new session began before the outcome was known".into());
            }
            (DeliveryWord::Pending, None)
                if holders.first().is_some_and(|first| self.content.quiet.contains(&first.who)) =>
            {
                delivery.reason =
                    Some("beyond the rate or depth of what is pushed; it waits to be read".into());
            }
            (DeliveryWord::Pending, None) => delivery.reason = doubt,
            _ => {}
        }
        delivery
    }

    /// How far the message got with one of those who had it.
    fn delivery_to(&self, holder: &Holder<'_>) -> Delivery {
        let recipient = &holder.who;
        let (mut delivery, mut claim) = (Delivery::default(), None);
        for (_, step) in self.steps.iter().filter(|(at, _)| holder.had(*at)) {
            let Step::Fact(fact) = step else { continue };
            match &fact.body {
                Body::RuntimeDelivery(of) if of.actor_id == *recipient => {
                    follow(&mut delivery, &mut claim, fact, of);
                }
                Body::ChatRetract(retract)
                    if retract.event_id.seq == self.event.seq
                        && retract.recipients.contains(recipient)
                        && !delivery.state.is_delivered() =>
                {
                    let reason = match retract.superseded_by {
                        Some(_) => WithholdReason::Superseded,
                        None => WithholdReason::Retracted,
                    };
                    delivery = withheld(reason, fact.ts);
                }
                _ => {}
            }
        }
        delivery
    }

    /// Who owes for the recipient in the end, and what became of the acknowledgement and the reply.
    fn obligations(&self, recipient: &Principal) -> (Principal, [End; 2]) {
        let seq = self.event.seq;
        let mut debtor = recipient.clone();
        let mut ends = [End::default(), End::default()];
        if *recipient != self.event.by && self.could_receive(recipient) {
            for kind in asked_by(self.content).into_iter().flatten() {
                select(&mut ends, &[kind]).for_each(|end| end.word = ObligationWord::Open);
            }
        }
        use ObligationWord::{Cancelled, Met, Returned};
        let all = &ObligationKind::OF_MESSAGE;
        let mut passed = false;
        for (at, step) in &self.steps {
            match step {
                Step::Answer { by, progress } => {
                    if **by == debtor {
                        meet_by_reply(&mut ends, *progress);
                    }
                }
                Step::Gone(tombstone) => {
                    if self.event.by == tombstone.who {
                        let reason = format!("who asked {}", removed_only(tombstone));
                        select(&mut ends, all).for_each(|end| end.end(Cancelled, reason.clone()));
                    } else if debtor == tombstone.who {
                        // Where nothing is open, and the mail was read, there is nothing to take over.
                        let open = ends.iter().any(|end| end.word == ObligationWord::Open);
                        let heir = tombstone.successor.as_ref().filter(|_| open || passed);
                        passed = false;
                        match heir.filter(|heir| self.inherits(heir, *at)) {
                            Some(heir) => debtor = heir.clone(),
                            None => {
                                select(&mut ends, all).for_each(|end| end.end(Returned, removed(tombstone)));
                                break;
                            }
                        }
                    }
                }
                Step::Fact(fact) => match &fact.body {
                    Body::ChatMessage(reply)
                        if fact.by == debtor && reply.reply_to.is_some_and(|id| id.seq == seq) =>
                    {
                        meet_by_reply(&mut ends, reply.progress);
                    }
                    Body::ChatMove(moved) => passed |= moved.from == debtor,
                    Body::ChatAck(ack) if ack.actor_id == debtor => {
                        select(&mut ends, &[ObligationKind::Ack]).for_each(|end| end.end(Met, None));
                    }
                    Body::ChatCancel(cancel) if cancel.recipients.contains(&debtor) => {
                        let reason = if cancel.reason.is_empty() {
                            format!("by {}", fact.by)
                        } else {
                            cancel.reason.clone()
                        };
                        select(&mut ends, all).for_each(|end| end.end(Cancelled, reason.clone()));
                    }
                    Body::ChatRetract(retract) if retract.event_id.seq == seq => {
                        let reason = if retract.superseded_by.is_some() { "superseded" } else { "retracted" };
                        select(&mut ends, all).for_each(|end| end.end(Cancelled, reason.to_owned()));
                    }
                    Body::ChatRedact(_) => {
                        select(&mut ends, all).for_each(|end| end.end(Cancelled, "redacted".to_owned()));
                    }
                    Body::RuntimeDelivery(delivery)
                        if delivery.actor_id == *recipient && debtor == *recipient =>
                    {
                        if let DeliveryState::Withheld { reason } = delivery.state {
                            let reason = reason_word(reason).to_owned();
                            select(&mut ends, all).for_each(|end| end.end(Cancelled, reason.clone()));
                        }
                        // Nobody is there who could owe it.
                        if let (DeliveryState::Bounced { reason }, Transport::Relay) =
                            (&delivery.state, delivery.transport)
                        {
                            select(&mut ends, all).for_each(|end| end.end(Returned, reason.clone()));
                        }
                    }
                    _ => {}
                },
            }
        }
        self.forgotten(&debtor, &mut ends);
        (debtor, ends)
    }

    /// Whether a recipient was there to receive the message, as far as is remembered.
    fn could_receive(&self, recipient: &Principal) -> bool {
        match recipient {
            Principal::User => true,
            Principal::Actor(_) | Principal::Person(_) => {
                let seq = self.event.seq;
                self.state.present_since(recipient, seq)
                    || self.state.removal_after(recipient, seq).is_some()
                    || self.forgets()
            }
            // Who is there was found out in the other group.
            Principal::Remote(_) => true,
            Principal::System | Principal::Service(_) => false,
        }
    }

    /// Whether removals after the message may have been forgotten.
    fn forgets(&self) -> bool {
        let tombstones = self.state.tombstones();
        tombstones.len() >= crate::state::MAX_TOMBSTONES
            && tombstones.front().is_some_and(|oldest| oldest.removed_seq > self.event.seq)
    }

    /// Whether a named successor was there to take over, and is not who asked.
    fn inherits(&self, heir: &Principal, at: Seq) -> bool {
        let there = self.state.present_since(heir, at) || self.state.removal_after(heir, at).is_some();
        there && *heir != self.event.by
    }

    /// What the state no longer holds, for a removal that is no longer remembered, was returned.
    fn forgotten(&self, debtor: &Principal, ends: &mut [End; 2]) {
        if matches!(debtor, Principal::Remote(_)) {
            return;
        }
        let mailbox = self.state.mailbox(debtor);
        for (kind, end) in ObligationKind::OF_MESSAGE.iter().zip(ends.iter_mut()) {
            let held = mailbox.is_some_and(|mailbox| mailbox.owed.contains_key(&(self.event.seq, *kind)));
            if end.word == ObligationWord::Open && !held {
                end.end(ObligationWord::Returned, format!("{debtor} is no longer in the group"));
            }
        }
    }
}

fn select<'e>(ends: &'e mut [End; 2], kinds: &'e [ObligationKind]) -> impl Iterator<Item = &'e mut End> {
    let wanted = |(kind, _): &(&ObligationKind, &mut End)| kinds.contains(kind);
    ObligationKind::OF_MESSAGE.iter().zip(ends.iter_mut()).filter(wanted).map(|(_, end)| end)
}

/// An answer that nobody asked for is still an answer; it does not acknowledge what asked for no note.
fn meet_by_reply(ends: &mut [End; 2], progress: bool) {
    for kind in met_by_reply(progress) {
        let asked_or_reply = |end: &End| end.word == ObligationWord::Open || *kind == ObligationKind::Reply;
        let kinds = [*kind];
        select(ends, &kinds)
            .filter(|end| asked_or_reply(end))
            .for_each(|end| end.end(ObligationWord::Met, None));
    }
}

/// Follows one delivery event. `accepted` is the best that can be said and stays; the end of a claim
/// that another has followed is of no interest unless it succeeded.
fn follow(delivery: &mut Delivery, claim: &mut Option<Seq>, fact: &Event, of: &RuntimeDelivery) {
    let current = of.delivery_id.is_none_or(|id| Some(id.seq) == *claim);
    let delivered = delivery.state.is_delivered();
    let (state, reason, evidence) = match &of.state {
        DeliveryState::Accepted { evidence, .. } | DeliveryState::Answered { evidence, .. } => {
            if delivered && !ladder::says_more((delivery.state, delivery.by.as_ref()), of) {
                return;
            }
            if !current || of.delivery_id.is_none() {
                // What befalls a try that was overtaken says nothing of what came.
                *claim = None;
            }
            let word = match &of.state {
                DeliveryState::Answered { .. } => DeliveryWord::Answered,
                _ => DeliveryWord::Accepted,
            };
            (word, None, Some(evidence))
        }
        DeliveryState::Withdrawn { reason } if current && delivery.state != DeliveryWord::Answered => {
            (DeliveryWord::Withdrawn, Some(reason), None)
        }
        // That it came is not taken back by another try.
        _ if delivered => return,
        DeliveryState::Claimed => {
            *claim = Some(fact.seq);
            (DeliveryWord::Claimed, None, None)
        }
        _ if !current || delivery.state == DeliveryWord::Withheld => return,
        DeliveryState::Withheld { reason } => {
            *delivery = withheld(*reason, fact.ts);
            return;
        }
        DeliveryState::Retried => {
            *delivery = Delivery::default();
            *claim = None;
            return;
        }
        DeliveryState::Handed { evidence } => (DeliveryWord::Handed, None, Some(evidence)),
        DeliveryState::Queued { evidence } => (DeliveryWord::Queued, None, Some(evidence)),
        DeliveryState::Held { reason } => (DeliveryWord::Held, Some(reason), None),
        DeliveryState::Refused { reason } => (DeliveryWord::Refused, Some(reason), None),
        DeliveryState::Withdrawn { reason } => (DeliveryWord::Withdrawn, Some(reason), None),
        DeliveryState::Failed { reason } => (DeliveryWord::Failed, Some(reason), None),
        DeliveryState::Ambiguous { reason } => (DeliveryWord::Ambiguous, Some(reason), None),
        DeliveryState::Bounced { reason } => (DeliveryWord::Bounced, Some(reason), None),
        DeliveryState::Unknown(_) => (DeliveryWord::Ambiguous, None, None),
    };
    let mut steps = std::mem::take(&mut delivery.steps);
    match (state, delivery.at) {
        (DeliveryWord::Claimed, _) => steps.clear(),
        (_, Some(at)) if current && delivery.state != DeliveryWord::Claimed => {
            let Delivery { state, by, evidence, .. } = std::mem::take(delivery);
            steps.push(DeliveryStep { state, by, evidence, at });
        }
        _ => {}
    }
    *delivery = Delivery {
        state,
        reason: reason.cloned(),
        transport: Some(of.transport),
        by: of.witness(),
        evidence: evidence.cloned(),
        at: Some(fact.ts),
        steps,
    };
}

fn withheld(reason: WithholdReason, at: Timestamp) -> Delivery {
    Delivery {
        state: DeliveryWord::Withheld,
        reason: Some(reason_word(reason).to_owned()),
        at: Some(at),
        ..Delivery::default()
    }
}

fn reason_word(reason: WithholdReason) -> &'static str {
    match reason {
        WithholdReason::Expired => "expired",
        WithholdReason::Retracted => "retracted",
        WithholdReason::Superseded => "superseded",
        WithholdReason::Precondition => "precondition",
    }
}

fn removed_only(tombstone: &Tombstone) -> String {
    match tombstone.reason.as_str() {
        "" => "was removed".into(),
        reason => format!("was removed: {reason}"),
    }
}

fn removed(tombstone: &Tombstone) -> String {
    format!("{} {}", tombstone.who, removed_only(tombstone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::SendMessage;
    use crate::rule::desk::{Desk, message};

    #[test]
    fn the_words_of_the_json() {
        let mut desk = Desk::with(&["lead", "alice"]);
        let asks = SendMessage {
            reply_within: Some(std::time::Duration::from_secs(60)),
            ..message("x", &["alice"])
        };
        let sent = desk.send("lead", asks);
        desk.pull("alice", false).unwrap();
        desk.wait(61);
        let json = serde_json::to_value(&desk.receipts(sent)[0]).unwrap();
        let at = desk.event(sent).unwrap().ts;
        assert_eq!(
            json,
            serde_json::json!({
                "recipient": "alice", "delivery": "accepted", "transport": "pull", "accepted_by": "pull",
                "evidence": "inbox",
                "delivery_at": at, "read": false, "ack": "none", "reply": "open",
                "due_at": at.after(std::time::Duration::from_secs(60)), "overdue": true,
            })
        );
        let back: Receipt = serde_json::from_value(json).unwrap();
        assert_eq!(back, desk.receipts(sent)[0]);
        assert_eq!(back.to_string(), "alice: accepted by pull, unread, ack none, reply open, overdue");
        let ws =
            [DeliveryWord::Pending, DeliveryWord::Bounced].map(|word| serde_json::to_value(word).unwrap());
        assert_eq!(ws, [DeliveryWord::Pending.as_str(), DeliveryWord::Bounced.as_str()]);
    }

    #[test]
    fn only_messages_have_receipts() {
        let mut desk = Desk::with(&["lead", "alice"]);
        assert!(desk.receipts(Seq(1)).is_empty());
        let sent = desk.send("lead", message("x", &["alice", "user"]));
        let recipients: Vec<String> = desk.receipts(sent).iter().map(|r| r.recipient.to_string()).collect();
        assert_eq!(recipients, ["user", "alice"]);
        desk.forget(sent);
        assert!(desk.receipts(sent).is_empty());
    }
}
