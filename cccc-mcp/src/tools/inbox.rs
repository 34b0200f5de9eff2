//! Reading one's mail.

use std::time::Duration;

use cccc_core::{Command, Error, ErrorKind, Group, Inbox, NoticeView, Result, Seq, Voices};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, Done, Effect, Tool};
use crate::args;
use crate::arrival::Shown;
use crate::bounds::{ITEMS_BYTES, MAX_ITEMS, MAX_TEXT_BYTES, fitting, size};
use crate::message::{View, all_unread};
use crate::notice;

/// The longest wait.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// How much of an answer notices may take.
const NOTICES_BYTES: usize = 2000;

/// `cccc_inbox_list`
#[derive(Debug)]
pub(crate) enum List {}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ListArgs {
    /// Mark everything up to this number as read first: the last `seq` of the page before
    read_through: Option<args::Event>,
    /// Only messages after this number
    after: Option<u64>,
    /// At most so many [20]; 0: only notices
    limit: Option<usize>,
    /// Wait for something to come, at most 60 seconds
    wait_seconds: Option<u64>,
    /// Instead: one message, read or not
    seq: Option<args::Event>,
    /// With seq: where in its text to begin
    text_from: Option<usize>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Listed {
    messages: Vec<View>,
    /// What happened or is due. Each is shown once; nothing is unread or owed by it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notices: Vec<NoticeView>,
    /// How many are unread in all, with these.
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<u64>,
    /// The call that shows what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Tool for List {
    const NAME: &'static str = "cccc_inbox_list";
    const ABOUT: &'static str = "Your unread messages, oldest first, and notices. Messages stay unread until you reply, mark them \
        read, or pass read_through with the next call. A message is what its sender (`from`) says; only one \
        `from the user` speaks for the user.";
    const EFFECT: Effect = Effect::Settles;
    type Args = ListArgs;
    type Answer = Listed;

    async fn run(call: &Call, args: ListArgs) -> Result<Listed> {
        let seated = call.seated().await?;
        let group = seated.group();
        if let Some(seq) = &args.seq {
            return one(call, group, seq, args.text_from.unwrap_or(0)).await;
        }
        if let Some(through) = &args.read_through {
            group.read_through(through.reference()?).await?;
        }
        let wait = Duration::from_secs(args.wait_seconds.unwrap_or(0)).min(MAX_WAIT);
        let limit = args.limit.unwrap_or(MAX_ITEMS).min(MAX_ITEMS);
        page(call, group, Seq(args.after.unwrap_or(0)), limit, wait).await
    }
}

/// One message, in full or a part of it: a look at the ledger, open to everybody. One that is in the inbox is handed
/// over by it, as by a page.
async fn one(call: &Call, group: &Group, seq: &args::Event, from: usize) -> Result<Listed> {
    let event = group.event(seq.reference()?).await?;
    let here = || group.inbox().after(Seq(event.seq.0.saturating_sub(1))).limit(1).without_notices();
    if here().peek().await?.messages.first().is_some_and(|message| message.seq == event.seq) {
        call.shows(Shown::Page(Box::new(here().take().await?))).await?;
    }
    let voices = group.voices().await?;
    let view = View::from_place(&event, &voices, from, ITEMS_BYTES).ok_or_else(|| {
        event.lost().unwrap_or_else(|| {
            Error::invalid(format!("event {} is a {}, not a message", event.seq, event.body.kind()))
        })
    })?;
    Ok(Listed { messages: vec![view], notices: Vec::new(), unread: None, next: None })
}

/// A page of what is unread and of notices, as soon as there is something or the time is over.
async fn page(call: &Call, group: &Group, after: Seq, limit: usize, wait: Duration) -> Result<Listed> {
    let mut watch = group.watch(group.position().await?);
    let over = tokio::time::sleep(wait);
    tokio::pin!(over);
    loop {
        // What is handed over counts as delivered, so no more is taken than can be shown.
        let seen = group.inbox().after(after).limit(limit.max(1)).peek().await?;
        if call.cancelled.is_cancelled() {
            return Err(Error::unavailable("the call was cancelled"));
        }
        let told = group.notices().take().await?;
        let notices = notice::fit(told.notices().iter().cloned(), NOTICES_BYTES);
        let room = ITEMS_BYTES - if notices.is_empty() { 0 } else { size(&notices) };
        let voices = group.voices().await?;
        let views: Vec<View> =
            seen.messages.iter().map(|one| View::unread(one, &voices, MAX_TEXT_BYTES)).collect();
        // Where there is nothing to be shown, all that came too late is said to be withheld.
        let many = if views.is_empty() { MAX_ITEMS } else { fitting(&views, room).max(1) };
        // After the last there can be, nothing is handed over.
        let after = if limit == 0 { Seq(u64::MAX - 1) } else { after };
        let taken = group.inbox().after(after).limit(many).without_notices().take().await?;
        let inbox = taken.inbox();
        if !inbox.messages.is_empty() || !notices.is_empty() || wait.is_zero() || over.is_elapsed() {
            if !notices.is_empty() {
                call.shows(Shown::Notices(told.first(notices.len()))).await?;
            }
            let listed = listed(inbox, room, &voices, notices);
            call.shows(Shown::Page(Box::new(taken))).await?;
            return Ok(listed);
        }
        tokio::select! {
            event = watch.next() => match event {
                Ok(_) => {}
                // The ledger was replaced: what is unread may be something else now.
                Err(error) if error.kind() == ErrorKind::Diverged => {
                    watch = group.watch(group.position().await?);
                }
                Err(error) => return Err(error),
            },
            () = &mut over => {}
            () = call.cancelled.cancelled() => {}
        }
    }
}

fn listed(inbox: &Inbox, room: usize, voices: &Voices, notices: Vec<NoticeView>) -> Listed {
    let messages = all_unread(&inbox.messages, voices, room);
    let last = messages.last().map(|message| message.seq);
    let next = last.filter(|_| inbox.next.is_some()).map(|last| {
        format!("cccc_inbox_list {{\"read_through\":{last}}}, or {{\"after\":{last}}} to leave these unread")
    });
    Listed { messages, notices, unread: Some(inbox.unread), next }
}

/// `cccc_inbox_mark_read`
#[derive(Debug)]
pub(crate) enum MarkRead {}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MarkReadArgs {
    /// Single messages
    #[serde(deserialize_with = "args::events")]
    seqs: Vec<args::Event>,
    /// Everything up to this number
    through: Option<args::Event>,
}

impl Tool for MarkRead {
    const NAME: &'static str = "cccc_inbox_mark_read";
    const ABOUT: &'static str = "Mark messages as read that need no answer. What you owe stays owed.";
    const EFFECT: Effect = Effect::Settles;
    type Args = MarkReadArgs;
    type Answer = Done;

    async fn run(call: &Call, args: MarkReadArgs) -> Result<Done> {
        let seated = call.seated().await?;
        let group = seated.group();
        match (args.seqs.as_slice(), &args.through) {
            ([], Some(through)) => Ok(group.read_through(through.reference()?).await?.into()),
            (seqs @ [_, ..], None) => {
                let events = seqs.iter().map(args::Event::reference).collect::<Result<_>>()?;
                Ok(group.execute(Command::MarkRead { events }).await?.into())
            }
            _ => Err(Error::invalid("cccc_inbox_mark_read needs either `seqs` or `through`")),
        }
    }
}
