//! Sending and answering.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::relay::Withdrawal;
use super::{Group, Message, appended};
use crate::command::{Command, SendMessage};
use crate::engine::Executed;
use crate::error::{Error, Result};
use crate::event::{Attachment, Event, Format, NotIf, Priority};
use crate::id::{EventId, EventRef, Principal, Seq};
use crate::ledger::{Chain, Durability, Position};
use crate::rule::permission;
use crate::rule::pin::PinView;
use crate::rule::question::QuestionView;
use crate::rule::relay::RelayView;
use crate::time::Timestamp;

/// Anything that names an event: an id, a seq, a message, `"42"`.
pub trait IntoEventRef {
    /// The event that is meant.
    fn into_event_ref(self) -> Result<EventRef>;
}

macro_rules! into_event_ref {
    ($($type:ty: |$value:ident| $reference:expr;)*) => {
        $(impl IntoEventRef for $type {
            fn into_event_ref(self) -> Result<EventRef> {
                let $value = self;
                $reference
            }
        })*
    };
}

into_event_ref! {
    EventRef: |reference| Ok(reference);
    &EventRef: |reference| Ok(reference.clone());
    EventId: |id| Ok(id.into());
    Seq: |seq| Ok(seq.into());
    u64: |seq| Ok(Seq(seq).into());
    &str: |text| text.parse();
    &Event: |event| Ok(event.id.into());
    &Message: |message| Ok(message.event_id.into());
    &Sent: |sent| Ok(sent.event_id.into());
    &QuestionView: |question| Ok(question.event_id.into());
    &PinView: |pin| Ok(pin.event_id.into());
}

/// A message that is on the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Sent {
    /// Its id.
    pub event_id: EventId,
    /// Its place.
    pub seq: Seq,
    /// To whom it went.
    pub recipients: Vec<Principal>,
    /// Whether it had been sent before under the same client_id.
    pub duplicate: bool,
    /// The other groups it is for that it has not reached yet, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relays: Vec<RelayView>,
    /// The chain there, which with its place is the position to watch from.
    pub chain: Chain,
}

impl Sent {
    pub(super) fn of(event: &Event, duplicate: bool) -> Self {
        Self {
            event_id: event.id,
            seq: event.seq,
            recipients: event.message().map(|m| m.recipients.clone()).unwrap_or_default(),
            duplicate,
            relays: Vec::new(),
            chain: event.chain,
        }
    }

    /// The place right after it, from which [`Group::watch`] shows what follows.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { seq: self.seq, chain: self.chain }
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.recipients.iter().map(ToString::to_string).collect();
        write!(f, "{} to {}", self.event_id, names.join(", "))
    }
}

/// A message being written; awaiting it sends it. Made by [`Group::send`] and [`Group::reply`].
#[derive(Debug)]
#[must_use = "nothing is sent until this is awaited"]
pub struct SendRequest<'a> {
    group: &'a Group,
    message: SendMessage,
    files: Vec<PathBuf>,
    durability: Durability,
    /// The first malformed argument, reported when awaited.
    invalid: Option<Error>,
}

impl Group {
    /// Writes a message: `group.send("Review src/auth.rs").to("#reviewer").await?`.
    ///
    /// # Errors
    /// `Invalid` or `TooLarge` for its text or fields; `NotFound` with the nearest names for an address
    /// that matches nobody; `Refused` if this principal may not; `Conflict` for a reused client_id.
    pub fn send(&self, text: impl Into<String>) -> SendRequest<'_> {
        SendRequest {
            group: self,
            message: SendMessage { text: text.into(), ..SendMessage::default() },
            files: Vec::new(),
            durability: Durability::Durable,
            invalid: None,
        }
    }

    /// Answers a message, by default to whoever sent it. Meets what this principal owes for it, unless
    /// marked as [`progress`](SendRequest::progress).
    pub fn reply(&self, message: impl IntoEventRef, text: impl Into<String>) -> SendRequest<'_> {
        self.send(text).reply_to(message)
    }

    /// Lets a message be handed to a recipient once more although it may have been: for a delivery that ended
    /// `ambiguous`, which nobody tries again unasked. Whoever delivers does it; asking twice changes nothing.
    ///
    /// # Errors
    /// `Refused` unless the delivery is ambiguous, and for anyone but the sender, the recipient, the foreman and
    /// the user; `NotFound` for a message that is not there; `Invalid` for a malformed name.
    pub async fn retry(&self, message: impl IntoEventRef, recipient: impl AsRef<str>) -> Result<Executed> {
        let (event, recipient) = (message.into_event_ref()?, recipient.as_ref().parse()?);
        self.execute(Command::Retry { event, recipient }).await
    }
}

impl<'a> SendRequest<'a> {
    pub(super) fn group(&self) -> &'a Group {
        self.group
    }

    fn with(mut self, change: impl FnOnce(&mut SendMessage)) -> Self {
        change(&mut self.message);
        self
    }

    fn with_ref(
        mut self,
        reference: Result<EventRef>,
        change: impl FnOnce(&mut SendMessage, EventRef),
    ) -> Self {
        match reference {
            Ok(reference) => change(&mut self.message, reference),
            Err(error) => self.invalid = self.invalid.or(Some(error)),
        }
        self
    }

    /// Adds an address: `@all`, `@peers`, `@foreman`, `user`, an actor id, `#label`; with `@` and the id, the
    /// beginning of the id, or the title of another group of the home, whom it means there.
    ///
    /// Default: whoever is answered, else the group's default address, else the foreman.
    pub fn to(self, address: impl Into<String>) -> Self {
        self.with(|m| m.to.push(address.into()))
    }

    /// How the text is written. Default: plain.
    pub fn format(self, format: Format) -> Self {
        self.with(|m| m.format = format)
    }

    /// Low is never pushed; attention may interrupt and asks for an acknowledgement. Default: normal.
    pub fn priority(self, priority: Priority) -> Self {
        self.with(|m| m.priority = priority)
    }

    /// Each recipient owes a reply, without a time.
    pub fn reply_required(self) -> Self {
        self.with(|m| m.reply_required = true)
    }

    /// Each recipient owes a reply within this time, not counting time the group is paused.
    pub fn reply_within(self, time: Duration) -> Self {
        self.with(|m| m.reply_within = Some(time))
    }

    /// Answers a message.
    pub fn reply_to(self, message: impl IntoEventRef) -> Self {
        self.with_ref(message.into_event_ref(), |m, reference| m.reply_to = Some(reference))
    }

    /// What of the answered message this is about; at most 4 KiB.
    pub fn quote(self, text: impl Into<String>) -> Self {
        self.with(|m| m.quote = Some(text.into()))
    }

    /// Not the answer yet, only word that it is being worked on: meets an acknowledgement, not a reply.
    pub fn progress(self) -> Self {
        self.with(|m| m.progress = true)
    }

    /// What the message is for: free; `task result question ack ping` are known.
    pub fn intent(self, intent: impl Into<String>) -> Self {
        self.with(|m| m.intent = Some(intent.into()))
    }

    /// Adds something the message refers to: a path, a URL.
    pub fn reference(self, reference: impl Into<String>) -> Self {
        self.with(|m| m.refs.push(reference.into()))
    }

    /// Attaches a file, up to 64 MiB; it is copied into the group's blobs before the message is sent.
    pub fn attach(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Attaches something that already lies in the group's blobs.
    pub fn attachment(self, attachment: Attachment) -> Self {
        self.with(|m| m.attachments.push(attachment))
    }

    /// A key of the sender's own, which makes a retry safe: the same key with the same content gives the
    /// first message again. Remembered for 24 hours and at least 100,000 messages.
    pub fn client_id(self, key: impl Into<String>) -> Self {
        self.with(|m| m.client_id = Some(key.into()))
    }

    /// After this it is no longer handed over.
    pub fn expires_at(self, at: Timestamp) -> Self {
        self.with(|m| m.expires_at = Some(at))
    }

    /// After this time from now it is no longer handed over.
    pub fn expires_in(self, time: Duration) -> Self {
        let at = self.group.shared.engine.clock().now().after(time);
        self.expires_at(at)
    }

    /// Replaces an own earlier message, which is withdrawn from those who have not read it.
    pub fn supersedes(self, message: impl IntoEventRef) -> Self {
        self.with_ref(message.into_event_ref(), |m, reference| m.supersedes = Some(reference))
    }

    /// A precondition at handoff: if it holds then, the message is withheld.
    pub fn not_if(self, condition: NotIf) -> Self {
        self.with(|m| m.not_if.push(condition))
    }

    /// Adds an option, at least 2 and at most 16 of 256 bytes: the message asks to choose one of them, which is a
    /// reply that is required. The first recipient that [answers](Group::answer) does so for all. With
    /// [`reply_within`](Self::reply_within) the question ends unanswered when that time is over.
    pub fn option(self, option: impl Into<String>) -> Self {
        self.with(|m| m.options.push(option.into()))
    }

    /// On a reply: chooses an option of the question, by its text or its number. The reply needs no text of its own
    /// then.
    pub fn choosing(self, choice: impl Into<String>) -> Self {
        self.with(|m| m.choice = Some(choice.into()))
    }

    /// Returns as soon as the message is ordered; a power cut may still lose it.
    pub fn buffered(mut self) -> Self {
        self.durability = Durability::Buffered;
        self
    }

    /// The message with its files stored, ready to be sent.
    pub(super) async fn ready(mut self) -> Result<(SendMessage, Durability)> {
        if let Some(error) = self.invalid {
            return Err(error);
        }
        if !self.files.is_empty() {
            // A file is not stored for a message that could not be sent anyway.
            self.group.shared.engine.query(permission::may_change).await??;
        }
        for attachment in &self.message.attachments {
            self.group.blobs().check(attachment).await?;
        }
        for path in std::mem::take(&mut self.files) {
            self.message.attachments.push(self.group.blobs().put_file(path).await?);
        }
        Ok((self.message, self.durability))
    }

    async fn run(self) -> Result<Sent> {
        let group = self.group;
        let (mut message, mut durability) = self.ready().await?;
        group.look_up_remote(&mut message).await?;
        if !message.remote.is_empty() {
            // A copy must not outlive what it is a copy of.
            durability = Durability::Durable;
        }
        let done = group.execute_with(Command::Send(message), durability).await?;
        let event = appended(&done)?;
        let mut sent = Sent::of(event, done.events.is_empty());
        if let Some(replaced) = event.message().and_then(|message| message.supersedes) {
            let reason = format!("replaced by event {} in group {}", event.id, group.id());
            let withdrawal = Withdrawal::Replace { reason, by: Box::new(event.clone()) };
            // What fails here can be had by retracting the other one.
            let _ = group.withdraw_copies(&group.event(replaced).await?, &withdrawal).await;
        }
        if event.message().is_some_and(|message| !message.relay_to.is_empty()) {
            // What fails now is on the ledger to be tried again; sent it is.
            sent.relays = group.relay_now(event.id).await.unwrap_or_default();
        }
        Ok(sent)
    }
}

impl<'a> IntoFuture for SendRequest<'a> {
    type Output = Result<Sent>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Sent>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
