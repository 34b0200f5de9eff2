//! Messages to other groups of the home: the two appends, and what is tried again.
//!
//! Nothing is decided here; see [`rule::relay`](crate::rule::relay) for what is.

use std::collections::BTreeMap;

use super::Group;
use crate::command::{Command, RelayCopy, RelayOutcome, RemoteAudience, SendMessage};
use crate::engine::Executed;
use crate::error::{Error, ErrorKind, Result};
use crate::event::{ChatMessage, Event, RelayTarget};
use crate::home::Home;
use crate::id::{EventId, GroupId, Principal, Remote, Seq};
use crate::rule::address::{self, split_group};
use crate::rule::receipt::Receipt;
use crate::rule::relay::{self, RelayView};

impl Group {
    /// The messages of this group that have not arrived in the other groups they are for, oldest first.
    pub async fn relays(&self) -> Result<Vec<RelayView>> {
        self.shared.engine.query(relay::list).await
    }

    /// Tries again to copy messages into the other groups they are for: all of them, or one. Answers with
    /// those that have not arrived even so.
    ///
    /// What has arrived is not copied twice, however often this is called and by whom.
    ///
    /// # Errors
    /// `Unavailable` while the group is paused or stopped, `Refused` while it is archived: nothing leaves it
    /// then. A copy that fails is no error; its reason is in the answer.
    pub async fn retry_relays(&self, message: Option<EventId>) -> Result<Vec<RelayView>> {
        self.shared.engine.query(relay::may_leave).await??;
        let mut left = self.relays().await?;
        left.retain(|one| message.is_none_or(|id| id == one.event_id));
        for one in left {
            self.pass_on(one.event_id, &one.group_id).await?;
        }
        let mut left = self.relays().await?;
        left.retain(|one| message.is_none_or(|id| id == one.event_id));
        Ok(left)
    }

    fn home(&self) -> Result<&Home> {
        self.shared.home.as_ref().ok_or_else(|| {
            Error::unsupported("this group is in no home, so there are no other groups")
                .hint("open it with Home::attach or Home::group")
        })
    }

    /// Finds out whom the addresses in other groups mean, and writes them with the groups' ids.
    pub(super) async fn look_up_remote(&self, message: &mut SendMessage) -> Result<()> {
        for text in &mut message.to {
            if let Some((who, named)) = split_group(text) {
                let (who, named) = (who.to_owned(), named.to_owned());
                let group = match self.home()?.group_named(&named).await {
                    Ok(group) => group,
                    // A message that was sent before is known by its key, also when the group has gone.
                    Err(error) => match GroupId::new(&named) {
                        Ok(id) => {
                            message.remote.push(unreachable(text, id, error));
                            continue;
                        }
                        Err(_) => return Err(error),
                    },
                };
                if group.id() == self.id() {
                    *text = who;
                } else {
                    message.remote.push(self.ask(&group, &who).await);
                    *text = message.remote.last().map_or_else(String::new, |found| found.address.clone());
                }
            }
        }
        if message.to.is_empty()
            && let Some(answered) = &message.reply_to
            && let Ok(answered) = self.shared.engine.event(answered).await
        {
            for address in self.answered_elsewhere(&answered) {
                let Some((who, id)) = split_group(&address) else { continue };
                let found = match self.home()?.group(&id.parse()?).await {
                    Ok(group) => self.ask(&group, who).await,
                    Err(error) => unreachable(&address, id.parse()?, error),
                };
                message.remote.push(found);
            }
        }
        Ok(())
    }

    /// The addresses in other groups to which an answer without an address goes.
    fn answered_elsewhere(&self, answered: &Event) -> Vec<String> {
        let spoken_to: &[Principal] = match answered.message() {
            Some(message) if answered.by == self.by => &message.recipients,
            _ => std::slice::from_ref(&answered.by),
        };
        spoken_to.iter().filter_map(address::of_other_group).map(|address| address.to_string()).collect()
    }

    /// Asks another group whom an address means there.
    async fn ask(&self, other: &Self, who: &str) -> RemoteAudience {
        let look_up = async {
            let from = Remote::new(self.by.clone(), self.id().clone())?;
            let look = |state: &_| (relay::look_up(state, &from, who), state.position().seq);
            other.shared.engine.query(look).await
        };
        let (found, seq) = look_up.await.unwrap_or_else(|error| (Err(error), Seq(0)));
        let group = other.id();
        let named_here = |found: Vec<Principal>| {
            found.into_iter().map(|who| Remote::new(who, group.clone()).map(Principal::Remote)).collect()
        };
        // As the rules will write it.
        let address = format!("{who}@{group}");
        let address = address.parse::<address::Address>().map_or(address, |parsed| parsed.to_string());
        let found = found.and_then(named_here).map_err(|error| there(&error, group));
        RemoteAudience { address, group_id: group.clone(), seq, found }
    }

    /// Copies a message into the groups it is for and has not reached, as far as that can be done now.
    pub(super) async fn relay_now(&self, message: EventId) -> Result<Vec<RelayView>> {
        let mine = |mut list: Vec<RelayView>| {
            list.retain(|one| one.event_id == message);
            list
        };
        let (left, open) =
            self.shared.engine.query(|state| (relay::list(state), relay::may_leave(state).is_ok())).await?;
        let left = mine(left);
        if left.is_empty() || !open {
            return Ok(left);
        }
        for one in &left {
            self.pass_on(message, &one.group_id).await?;
        }
        Ok(mine(self.relays().await?))
    }

    /// Copies one message into one group, and says in this one how that ended.
    pub(super) async fn pass_on(&self, message: EventId, to: &GroupId) -> Result<Executed> {
        let event = self.shared.engine.event(&message.into()).await?;
        let now = self.shared.engine.clock().now();
        let outcome = match event.message() {
            // Redacted meanwhile, and so withdrawn.
            None => return Ok(Executed::default()),
            Some(content) => match relay::withheld(content, now) {
                Some(reason) => RelayOutcome::Withheld(reason),
                None => match self.home()?.group(to).await {
                    Ok(other) => self.copy_to(&other, &event, content).await,
                    Err(error) => RelayOutcome::Failed(error.to_string()),
                },
            },
        };
        let settle = Command::SettleRelay { event: message.into(), group: to.clone(), outcome };
        Self { by: Principal::System, ..self.clone() }.execute(settle).await
    }

    async fn copy_to(&self, other: &Self, event: &Event, content: &ChatMessage) -> RelayOutcome {
        match self.try_copy(other, event, content).await {
            Ok(outcome) => outcome,
            Err(error) => RelayOutcome::Failed(there(&error, other.id()).to_string()),
        }
    }

    async fn try_copy(&self, other: &Self, event: &Event, content: &ChatMessage) -> Result<RelayOutcome> {
        let target = content.relay_to.iter().find(|target| target.group_id == *other.id());
        let RelayTarget { seq, .. } = target
            .cloned()
            .ok_or_else(|| Error::invalid(format!("{} is not for {}", event.id, other.id())))?;
        let sent: Vec<&Remote> = content
            .recipients
            .iter()
            .filter_map(|recipient| match recipient {
                Principal::Remote(remote) if remote.group() == other.id() => Some(remote),
                _ => None,
            })
            .collect();
        for attachment in &content.attachments {
            self.blobs().copy_to(other.blobs(), attachment).await?;
        }
        let to_there = |address: &String| {
            let (who, group) = split_group(address)?;
            (group == other.id().as_str()).then(|| who.to_owned())
        };
        let copy = RelayCopy {
            src_group_id: self.id().clone(),
            src_group_title: self.title().await?,
            src_event_id: event.id,
            message: content.clone(),
            to: content.to.iter().filter_map(to_there).collect(),
            recipients: sent.iter().map(|remote| remote.who().clone()).collect(),
            seq,
            reply_to: self.answered_there(other.id(), content).await?,
            supersedes: match content.supersedes {
                Some(replaced) => self.copy_in(replaced, other.id()).await?,
                None => None,
            },
        };
        let by = Principal::Remote(Remote::new(event.by.clone(), self.id().clone())?);
        let writer = Self { by, via: event.via.clone(), ..other.clone() };
        let done = match writer.execute(Command::Relay(Box::new(copy))).await {
            Ok(done) => done,
            Err(error) => return Ok(relay::outcome_of(&there(&error, other.id()))),
        };
        let stands = super::appended(&done)?;
        let reached = stands.message().map(|message| message.recipients.as_slice());
        let missed = sent
            .into_iter()
            .filter(|remote| reached.is_some_and(|reached| !reached.contains(remote.who())))
            .map(|remote| Principal::Remote(remote.clone()))
            .collect();
        Ok(RelayOutcome::Copied { event_id: stands.id, missed })
    }

    /// The event of the other group that a message answers: the original of what it answers here, or its
    /// copy.
    async fn answered_there(&self, other: &GroupId, content: &ChatMessage) -> Result<Option<EventId>> {
        let Some(answered) = content.reply_to else { return Ok(None) };
        let event = self.shared.engine.event(&answered.into()).await?;
        let Some(message) = event.message() else { return Ok(None) };
        if message.src_group_id.as_deref() == Some(other.as_str()) {
            return Ok(message.src_event_id.as_deref().and_then(|id| id.parse().ok()));
        }
        self.copy_in(answered, other).await
    }

    /// The copy of a message in another group, if it has arrived there.
    async fn copy_in(&self, message: EventId, other: &GroupId) -> Result<Option<EventId>> {
        let find = |_: &_, facts: &[Event]| relay::copied_to(facts, message.seq, other);
        self.shared.engine.query_facts(message.seq, find).await
    }

    /// Does to the copies of a message what was done to the message. Doing it again changes nothing.
    ///
    /// # Errors
    /// The first failure, after all were tried: the message itself is withdrawn, and a copy is not.
    pub(super) async fn withdraw_copies(&self, message: &Event, withdrawal: &Withdrawal) -> Result<()> {
        let mut failed = None;
        for RelayTarget { group_id, .. } in message.message().map_or(&[][..], |content| &content.relay_to) {
            if let Err(error) = self.withdraw_copy(message, group_id, withdrawal).await {
                failed.get_or_insert_with(|| {
                    Error::new(
                        error.kind(),
                        format!("done here, but not with the copy in group {group_id}: {error}"),
                    )
                    .hint("do it again when that group can be written to")
                });
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn withdraw_copy(&self, message: &Event, to: &GroupId, withdrawal: &Withdrawal) -> Result<()> {
        let Some(copy) = self.copy_in(message.id, to).await? else { return Ok(()) };
        let other = self.home()?.group(to).await?;
        let by = Principal::Remote(Remote::new(message.by.clone(), self.id().clone())?);
        let sender = Self { by, ..other.clone() };
        let event = copy.into();
        match withdrawal {
            Withdrawal::Cancel { recipients, reason } => {
                let there = recipients.iter().filter_map(|recipient| match recipient {
                    Principal::Remote(remote) if remote.group() == to => Some(remote.who().clone()),
                    _ => None,
                });
                let there: Vec<Principal> = there.collect();
                if there.is_empty() && !recipients.is_empty() {
                    return Ok(());
                }
                sender.execute(Command::Cancel { event, recipients: there, reason: reason.clone() }).await?;
            }
            Withdrawal::Retract { reason } => {
                sender.execute(Command::Retract { event, reason: reason.clone() }).await?;
            }
            Withdrawal::Replace { reason, by } => {
                let goes_too = by.message().is_some_and(|m| m.relay_to.iter().any(|t| t.group_id == *to));
                // Then its copy replaces this one.
                if !goes_too {
                    sender.execute(Command::Retract { event, reason: reason.clone() }).await?;
                }
            }
            // The same person is the user of both groups.
            Withdrawal::Redact { reason } => {
                other.redact_here(event, reason).await?;
            }
        }
        Ok(())
    }

    /// Adds to the receipts of a message what is known of it in the groups to which it was copied: read,
    /// acknowledged, answered. A group that cannot be read adds nothing.
    pub(super) async fn look_there(&self, message: &Event, receipts: &mut [Receipt]) -> Result<()> {
        let mut copies: BTreeMap<GroupId, Vec<Receipt>> = BTreeMap::new();
        for receipt in receipts {
            let Principal::Remote(remote) = &receipt.recipient else { continue };
            if !receipt.delivery.state.is_delivered() {
                continue;
            }
            let group = remote.group();
            if !copies.contains_key(group) {
                let found = self.receipts_there(message, group).await.unwrap_or_default();
                copies.insert(group.clone(), found);
            }
            let there = copies.get(group).into_iter().flatten().find(|of| of.recipient == *remote.who());
            if let Some(there) = there {
                receipt.learn(there);
            }
        }
        Ok(())
    }

    async fn receipts_there(&self, message: &Event, group: &GroupId) -> Result<Vec<Receipt>> {
        let Some(copy) = self.copy_in(message.id, group).await? else { return Ok(Vec::new()) };
        self.home()?.group(group).await?.receipts_here(copy.into()).await.map(|(_, receipts)| receipts)
    }
}

/// How a message is taken back.
#[derive(Debug)]
pub(super) enum Withdrawal {
    Cancel { recipients: Vec<Principal>, reason: String },
    Retract { reason: String },
    Replace { reason: String, by: Box<Event> },
    Redact { reason: String },
}

/// An address in a group that cannot be asked.
fn unreachable(address: &str, group_id: GroupId, error: Error) -> RemoteAudience {
    RemoteAudience { address: address.to_owned(), group_id, seq: Seq(0), found: Err(error) }
}

/// An error of another group, with where it came from.
fn there(error: &Error, group: &GroupId) -> Error {
    let same = Error::new(error.kind(), format!("in group {group}: {}", error.message_text()));
    match (error.kind(), error.hint_text()) {
        (ErrorKind::Unavailable | ErrorKind::Unknown, _) => same.hint("`cccc relay retry` tries it again"),
        (_, Some(hint)) => same.hint(hint),
        (_, None) => same,
    }
}
