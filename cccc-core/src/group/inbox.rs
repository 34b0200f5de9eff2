//! The inbox: what a principal has not read, handed over to it by its asking.

use std::collections::BTreeSet;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Group, LiveSession, handing};
use crate::command::{Command, Outcome};
use crate::engine::Executed;
use crate::error::Result;
use crate::event::{Body, ChatMessage, DeliveryState, Event, RuntimeDelivery, Transport};
use crate::id::{EventId, Principal, Seq};
use crate::rule::notice::{self, NoticeView};
use crate::rule::presence::Condition;
use crate::rule::receipt::DeliveryWord;
use crate::rule::{delivery, ladder, obligation, reading, session};
use crate::state::{GroupState, ObligationKind};
use crate::time::Timestamp;

/// Messages in one answer unless another number is asked for.
const DEFAULT_LIMIT: usize = 20;

/// The most messages in one answer.
const MAX_LIMIT: usize = 1000;

/// A message as its recipient sees it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Message {
    /// Its id.
    pub event_id: EventId,
    /// Its place.
    pub seq: Seq,
    /// When it was sent.
    pub ts: Timestamp,
    /// Who sent it.
    pub by: Principal,
    /// How far its delivery to the one who asks has come.
    pub delivery: DeliveryWord,
    /// Whether the one who asks may have got it before, in another try that nobody saw arrive.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// What the one who asks owes for it: `ack`, `reply`.
    pub owed: Vec<ObligationKind>,
    /// The message.
    #[serde(flatten)]
    pub content: ChatMessage,
}

impl Message {
    /// An event as it is shown to its recipient, if it is a message.
    pub(super) fn of(
        event: Event,
        (delivery, again): (DeliveryWord, bool),
        owed: Vec<ObligationKind>,
    ) -> Option<Self> {
        let Event { id: event_id, seq, ts, by, body: Body::ChatMessage(content), .. } = event else {
            return None;
        };
        Some(Self { event_id, seq, ts, by, delivery, again, owed, content })
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}: {}", self.seq, self.by, self.content.text)
    }
}

/// What was in an inbox.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Inbox {
    /// The unread messages, oldest first.
    pub messages: Vec<Message>,
    /// How many are unread in all, with these.
    pub unread: u64,
    /// Notices for this principal that were not shown before, oldest first; at most 20. They are not messages:
    /// nothing is unread or owed by them.
    pub notices: Vec<NoticeView>,
    /// Pass this to [`InboxRequest::after`] to see what follows; `None` at the end.
    pub next: Option<Seq>,
}

/// A look into an inbox; awaiting it looks. Made by [`Group::inbox`].
#[derive(Debug)]
#[must_use = "nothing is read until this is awaited"]
pub struct InboxRequest<'a> {
    group: &'a Group,
    limit: usize,
    after: Seq,
    mark_read: bool,
    peek: bool,
    notices: bool,
}

impl Group {
    /// This principal's unread messages, oldest first.
    ///
    /// Looking hands them over: a delivery with the evidence `inbox` is recorded for those that had not
    /// reached this principal's current session. They stay unread until they are read or answered.
    ///
    /// Awaited, it records that before its caller has the answer, which is right where the caller is the
    /// principal itself: a program that goes on from what is returned. A caller that has to pass the answer
    /// on (prints it, sends it) [takes](InboxRequest::take) it instead, and settles when it has arrived.
    ///
    /// # Errors
    /// `Unavailable` while the group is paused: nothing is handed over then.
    pub fn inbox(&self) -> InboxRequest<'_> {
        InboxRequest {
            group: self,
            limit: DEFAULT_LIMIT,
            after: Seq(0),
            mark_read: false,
            peek: false,
            notices: true,
        }
    }
}

impl Group {
    /// Whether a message is one that may interrupt this principal now: unread, not handed over yet, neither of low
    /// priority nor beyond the rate, through no other door, and in a group in which anything is handed over. For
    /// doors that only tell of a message; whoever delivers it claims it instead.
    ///
    /// # Errors
    /// As for any look at the ledger.
    pub async fn may_interrupt(&self, message: &Event) -> Result<bool> {
        self.shared
            .engine
            .query(|state| delivery::may_push(state, &self.by, message, Transport::Channel))
            .await
    }
}

impl<'a> InboxRequest<'a> {
    /// At most so many messages, up to 1,000. Default: 20.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: limit.clamp(1, MAX_LIMIT), ..self }
    }

    /// Only messages after this place.
    pub fn after(self, seq: Seq) -> Self {
        Self { after: seq, ..self }
    }

    /// Marks what is returned as read.
    pub fn mark_read(self) -> Self {
        Self { mark_read: true, ..self }
    }

    /// Looks without recording anything, even in a paused group.
    pub fn peek(self) -> Self {
        Self { peek: true, ..self }
    }

    /// Leaves the notices for another time. Default: they are shown, once.
    pub fn without_notices(self) -> Self {
        Self { notices: false, ..self }
    }

    /// Takes the messages without saying yet that they arrived: they are claimed for whoever holds what is
    /// returned, and no other door hands them over meanwhile. With nothing new to hand over nothing is
    /// written.
    ///
    /// ```
    /// # use cccc_core::{Group, block_on};
    /// # block_on(async {
    /// # let user = Group::in_memory("scratch").await?;
    /// # user.add_actor("lead").await?;
    /// # let lead = user.bind("lead").await?;
    /// # user.send("Hello").to("lead").await?;
    /// let taken = lead.inbox().mark_read().take().await?;
    /// for message in &taken.inbox().messages {
    ///     println!("{message}"); // and make sure that it went out
    /// }
    /// taken.settle().await?;
    /// # Ok::<(), cccc_core::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As for [`Group::inbox`].
    pub async fn take(self) -> Result<Taken> {
        let (mut inbox, over) = self.look_freed().await?;
        let mut held = None;
        if !self.peek && (!over.is_empty() || is_new(&inbox)) {
            self.group.sweep().await?;
            let events = named(&inbox, over);
            let mut command = Command::Take { events };
            if let Some(session) = self.group.via.as_ref().and_then(|via| via.session.clone())
                && self.group.by.actor().is_some()
            {
                command = Command::InSession { session, command: Box::new(command) };
            }
            let (deliverer, done) = handing::claim(self.group.deliverer()?, command).await?;
            let withheld = withheld(&done);
            let claim = done.events.iter().find_map(|event| match &event.body {
                Body::RuntimeDelivery(claim) if claim.state == DeliveryState::Claimed => {
                    Some((event.id, claim.event_ids.as_slice()))
                }
                _ => None,
            });
            let claimed = claim.map_or(&[] as &[EventId], |(_, events)| events);
            // What is neither there from before nor claimed now is another door's.
            let mine = |m: &Message| m.delivery == DeliveryWord::Accepted || claimed.contains(&m.event_id);
            inbox.messages.retain(|m| mine(m) && !withheld.contains(&m.event_id));
            match claim {
                Some((delivery, _)) => held = Some((delivery, deliverer)),
                None => deliverer.withdraw()?,
            }
        }
        let (mut read, mut notices) = (Vec::new(), None);
        if !self.peek {
            inbox.messages.iter_mut().for_each(|message| message.delivery = DeliveryWord::Accepted);
            notices = inbox.notices.last().map(|newest| newest.seq);
        }
        if self.mark_read {
            read = inbox.messages.iter().map(|message| message.event_id).collect();
        }
        Ok(Taken { group: self.group.clone(), inbox, claim: held, read, notices })
    }

    async fn run(self) -> Result<Inbox> {
        let (mut inbox, over) = self.look_freed().await?;
        if self.peek {
            return Ok(inbox);
        }
        if is_new(&inbox) || !over.is_empty() || (self.mark_read && !inbox.messages.is_empty()) {
            inbox = self.pull(inbox, over).await?;
        }
        if let Some(newest) = inbox.notices.last() {
            self.group.execute(Command::SeeNotices { through: newest.seq }).await?;
        }
        Ok(inbox)
    }

    /// As [`look`](Self::look), when what dead deliverers hold up has been freed.
    async fn look_freed(&self) -> Result<(Inbox, Vec<EventId>)> {
        let found = self.look().await?;
        let held_up = |m: &Message| m.delivery == DeliveryWord::Claimed;
        if self.peek || !found.0.messages.iter().any(held_up) {
            return Ok(found);
        }
        let facts = self.group.presence_facts().await?;
        let dead = |state: &GroupState| {
            let flights = state.mailbox(&self.group.by).into_iter().flat_map(|m| m.flights.values());
            let claimed = flights.filter(|flight| flight.state.is_open());
            let sessions: BTreeSet<String> = claimed.filter_map(|flight| flight.session.clone()).collect();
            sessions.into_iter().filter(|one| facts.condition(one) == Condition::Absent).collect::<Vec<_>>()
        };
        let dead = self.group.shared.engine.query(dead).await?;
        if dead.is_empty() {
            return Ok(found);
        }
        // Their records stay: more may have to be said of them.
        self.group.lose_claims(&dead).await?;
        self.look().await
    }

    /// The page as it is, nothing handed over; and what may no longer be handed over, which is not in it.
    async fn look(&self) -> Result<(Inbox, Vec<EventId>)> {
        let (by, engine) = (&self.group.by, &self.group.shared.engine);
        let now = engine.clock().now();
        let look = |state: &GroupState| {
            if !self.peek {
                delivery::open_group(state, !by.is_person())?;
                if let Some(session) = self.group.via.as_ref().and_then(|via| via.session.as_deref()) {
                    session::current(state, by, session)?;
                }
            }
            let seqs = reading::unread(state, by, self.after.next(), self.limit, now);
            let next = seqs.last().copied().filter(|_| seqs.len() == self.limit);
            let facts = seqs
                .into_iter()
                .map(|seq| (seq, of_unread(state, by, seq), obligation::owed_by(state, by, seq)));
            let notices = if self.notices { notice::unseen(state, by) } else { Vec::new() };
            let over = reading::withheld(state, by, self.limit, now);
            Ok((facts.collect::<Vec<_>>(), over, reading::unread_count(state, by, now), next, notices))
        };
        let (facts, over, unread, next, told) = engine.query(look).await??;
        let mut events = engine.events_at(facts.iter().map(|(seq, ..)| *seq)).await?;
        let mut messages = Vec::with_capacity(facts.len());
        for (seq, delivery, owed) in facts {
            messages.extend(events.remove(&seq).and_then(|event| Message::of(event, delivery, owed)));
        }
        let notices = super::notices::at(self.group, told).await?;
        let over_ids = engine.events_at(over).await?.into_values().map(|event| event.id).collect();
        Ok((Inbox { messages, unread, notices, next }, over_ids))
    }

    /// Hands the page over, and keeps of it what really was. What came too late is said to be withheld, so
    /// that its sender learns of it.
    async fn pull(&self, mut inbox: Inbox, over: Vec<EventId>) -> Result<Inbox> {
        let events = named(&inbox, over);
        let done = self.group.execute(Command::Pull { events, mark_read: self.mark_read }).await?;
        // Withheld, or another door's: neither is the caller's to have.
        let withheld = withheld(&done);
        let elsewhere = |m: &Message| m.delivery == DeliveryWord::Claimed;
        inbox.messages.retain(|m| !withheld.contains(&m.event_id) && !elsewhere(m));
        for message in &mut inbox.messages {
            message.delivery = DeliveryWord::Accepted;
        }
        Ok(inbox)
    }
}

/// Whether a page has something that did not reach the principal's current session yet.
fn is_new(inbox: &Inbox) -> bool {
    inbox.messages.iter().any(|message| message.delivery != DeliveryWord::Accepted)
}

/// A page's messages, and those that came too late, as many as one command may name.
fn named(inbox: &Inbox, over: Vec<EventId>) -> Vec<EventId> {
    inbox.messages.iter().map(|m| m.event_id).chain(over).take(reading::MAX_EVENTS).collect()
}

/// What a command found to have come too late.
fn withheld(done: &Executed) -> Vec<EventId> {
    let withheld = done.events.iter().filter_map(|event| match &event.body {
        Body::RuntimeDelivery(RuntimeDelivery {
            state: DeliveryState::Withheld { .. }, event_ids, ..
        }) => Some(event_ids),
        _ => None,
    });
    withheld.flatten().copied().collect()
}

/// An inbox that was [taken](InboxRequest::take), and has to be settled when it has arrived. Dropped, or when
/// its process ends before, what was new in it may have arrived or not: its delivery is then `ambiguous`, it is
/// still unread, and the next look into the inbox shows it again.
#[derive(Debug)]
#[must_use = "what is taken and not settled stays unread, and becomes ambiguous"]
pub struct Taken {
    group: Group,
    inbox: Inbox,
    /// The claim, and what holds the lock that tells that somebody is at it.
    claim: Option<(EventId, LiveSession)>,
    read: Vec<EventId>,
    notices: Option<Seq>,
}

impl Taken {
    /// What was in the inbox. The messages' deliveries are shown as they are once this is settled.
    #[must_use]
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Says that it arrived: what was new is delivered, with the evidence `inbox`; the messages are read, if
    /// that was asked for; the notices were shown.
    ///
    /// # Errors
    /// As for [`Group::execute`].
    pub async fn settle(self) -> Result<()> {
        let (delivery, deliverer) = self.claim.unzip();
        if delivery.is_some() || !self.read.is_empty() || self.notices.is_some() {
            let settle = Command::SettleTaken { delivery, read: self.read, notices: self.notices };
            self.group.execute(settle).await?;
        }
        deliverer.map_or(Ok(()), LiveSession::withdraw)
    }

    /// Says that it did not arrive, or not as a whole: what was new becomes ambiguous for this reason at once,
    /// and not only when somebody sees that nobody is at it any more. Nothing is read or seen by it.
    ///
    /// # Errors
    /// As for [`Group::execute`].
    pub async fn abandon(self, reason: impl Into<String>) -> Result<()> {
        let Some((delivery, deliverer)) = self.claim else { return Ok(()) };
        let outcome = Outcome::Ambiguous(reason.into());
        self.group.execute(Command::Settle { delivery, outcome }).await?;
        deliverer.withdraw()
    }
}

/// How far an unread message has come on its way to a principal's current session, and whether it may have come before.
fn of_unread(state: &GroupState, principal: &Principal, seq: Seq) -> (DeliveryWord, bool) {
    let Some(mailbox) = state.mailbox(principal) else { return (DeliveryWord::Pending, false) };
    let word = match mailbox.flights.get(&seq) {
        Some(flight) => ladder::word(flight.state),
        None if mailbox.handed.contains(seq.0) => DeliveryWord::Accepted,
        None => DeliveryWord::Pending,
    };
    (word, delivery::is_perhaps_told(mailbox, seq))
}

impl<'a> IntoFuture for InboxRequest<'a> {
    type Output = Result<Inbox>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Inbox>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
