//! The inbox: what a principal has not read, handed over to it by its asking.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use schemars::JsonSchema;
use serde::Serialize;

use super::Group;
use crate::command::Command;
use crate::error::Result;
use crate::event::{Body, ChatMessage, DeliveryState, Event, RuntimeDelivery};
use crate::id::{EventId, Principal, Seq};
use crate::rule::notice::{self, NoticeView};
use crate::rule::receipt::DeliveryWord;
use crate::rule::{delivery, obligation, reading, session};
use crate::state::{FlightState, GroupState, ObligationKind};
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
    /// What the one who asks owes for it: `ack`, `reply`.
    pub owed: Vec<ObligationKind>,
    /// The message.
    #[serde(flatten)]
    pub content: ChatMessage,
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
    /// The notices for this principal that were not shown before, oldest first, at most 20; they are shown by
    /// this if `seen`. [`inbox`](Self::inbox) shows them too.
    ///
    /// # Errors
    /// `Unavailable` while the group is paused, unless they are only looked at.
    pub async fn notices(&self, seen: bool) -> Result<Vec<NoticeView>> {
        let unseen = self.shared.engine.query(|state| notice::unseen(state, &self.by)).await?;
        let notices = self.notices_at(unseen).await?;
        if let Some(newest) = notices.last().filter(|_| seen) {
            self.execute(Command::SeeNotices { through: newest.seq }).await?;
        }
        Ok(notices)
    }

    /// The notices at these places.
    async fn notices_at(&self, seqs: Vec<Seq>) -> Result<Vec<NoticeView>> {
        let mut notices = Vec::with_capacity(seqs.len());
        for seq in seqs {
            notices.extend(self.shared.engine.event_at(seq).await?.as_ref().and_then(notice::view));
        }
        Ok(notices)
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
        self.shared.engine.query(|state| delivery::may_push(state, &self.by, message)).await
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

    async fn run(self) -> Result<Inbox> {
        let (mut inbox, over) = self.look().await?;
        if self.peek {
            return Ok(inbox);
        }
        let takes = inbox.messages.iter().any(|m| m.delivery != DeliveryWord::Accepted) || !over.is_empty();
        if takes || (self.mark_read && !inbox.messages.is_empty()) {
            inbox = self.take(inbox, over).await?;
        }
        if let Some(newest) = inbox.notices.last() {
            self.group.execute(Command::SeeNotices { through: newest.seq }).await?;
        }
        Ok(inbox)
    }

    /// The page as it is, nothing handed over; and what may no longer be handed over, which is not in it.
    async fn look(&self) -> Result<(Inbox, Vec<EventId>)> {
        let (by, engine) = (&self.group.by, &self.group.shared.engine);
        let now = engine.clock().now();
        let look = |state: &GroupState| {
            if !self.peek {
                delivery::open_group(state, *by != Principal::User)?;
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
        let mut messages = Vec::with_capacity(facts.len());
        for (seq, delivery, owed) in facts {
            if let Some(event) = engine.event_at(seq).await?
                && let Body::ChatMessage(content) = event.body
            {
                let Event { id: event_id, ts, by, .. } = event;
                messages.push(Message { event_id, seq, ts, by, delivery, owed, content });
            }
        }
        let notices = self.group.notices_at(told).await?;
        let mut over_ids = Vec::new();
        for seq in over {
            over_ids.extend(engine.event_at(seq).await?.map(|event| event.id));
        }
        Ok((Inbox { messages, unread, notices, next }, over_ids))
    }

    /// Hands the page over, and keeps of it what really was. What came too late is said to be withheld, so
    /// that its sender learns of it.
    async fn take(&self, mut inbox: Inbox, over: Vec<EventId>) -> Result<Inbox> {
        let events =
            inbox.messages.iter().map(|m| m.event_id).chain(over).take(reading::MAX_EVENTS).collect();
        let done = self.group.execute(Command::Pull { events, mark_read: self.mark_read }).await?;
        // Withheld, or another door's: neither is the caller's to have.
        let refused: Vec<EventId> = done
            .events
            .iter()
            .filter_map(|event| match &event.body {
                Body::RuntimeDelivery(RuntimeDelivery {
                    state: DeliveryState::Withheld { .. },
                    event_ids,
                    ..
                }) => Some(event_ids.clone()),
                _ => None,
            })
            .flatten()
            .collect();
        let elsewhere = |m: &Message| m.delivery == DeliveryWord::Claimed;
        inbox.messages.retain(|m| !refused.contains(&m.event_id) && !elsewhere(m));
        for message in &mut inbox.messages {
            message.delivery = DeliveryWord::Accepted;
        }
        Ok(inbox)
    }
}

/// How far an unread message has come on its way to a principal's current session.
fn of_unread(state: &GroupState, principal: &Principal, seq: Seq) -> DeliveryWord {
    let Some(mailbox) = state.mailbox(principal) else { return DeliveryWord::Pending };
    match mailbox.flights.get(&seq).map(|flight| flight.state) {
        Some(FlightState::Claimed) => DeliveryWord::Claimed,
        Some(FlightState::Failed) => DeliveryWord::Failed,
        Some(FlightState::Ambiguous) => DeliveryWord::Ambiguous,
        Some(FlightState::Bounced) => DeliveryWord::Bounced,
        None if mailbox.handed.contains(seq.0) => DeliveryWord::Accepted,
        None => DeliveryWord::Pending,
    }
}

impl<'a> IntoFuture for InboxRequest<'a> {
    type Output = Result<Inbox>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Inbox>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
