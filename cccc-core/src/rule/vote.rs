//! Votes: a question, voters that stay the same whoever comes or goes, one decision.
//!
//! Of two voters both must say yes, of three and more the majority of all voters, not of those that voted.
//! A vote is decided as soon as enough said yes or enough can no longer say it, and the event that decides
//! it stands in the same append as the voice that did. What is undecided when its time is over decides
//! nothing; pauses of the group do not count. A voice stands once it is given. Each voter owes its voice to
//! whoever asked, and is told so by a notice, as the asker is of the end. That is an obligation like any
//! other, except that it is the voter's own: it goes to no successor, and a voter that was removed can no
//! longer say yes.
//!
//! A vote to `release <actor>`, or `release <actor> to <successor>`, is of all actors but that one, and
//! removes it when it is accepted. The foreman is not released by vote: that role is the user's to give.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::event::{
    ActorRemove, Body, Choice, Event, Role, SystemNotify, VoteCast, VoteClose, VoteOpen, VoteOutcome,
};
use crate::id::{ActorId, EventId, Principal, Seq, VoteId};
use crate::ledger::Draft;
use crate::rule::message::MAX_OWED;
use crate::rule::permission::{self, Rank};
use crate::rule::{Call, Decision, MAX_REASON_BYTES, Resolved, actor, bounded};
use crate::state::{GroupState, Vote};
use crate::time::Timestamp;

/// Most open votes of a group.
pub const MAX_VOTES: usize = 64;
/// Most open votes that one peer has asked for.
pub const MAX_VOTES_OF_PEER: usize = 4;
/// Fewest voters: one alone does not vote.
pub const MIN_VOTERS: usize = 2;
/// Most voters.
pub const MAX_VOTERS: usize = 256;
/// Longest question, in bytes.
pub const MAX_SUBJECT_BYTES: usize = 4 << 10;
/// For how long a vote may be open.
pub const MAX_OPEN: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Where a vote stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VoteStanding {
    /// Voices are waited for.
    Open,
    /// Its time is over; nothing comes of it, and nobody has written that down yet.
    Over,
    /// Enough said yes.
    Accepted,
    /// Enough can no longer say yes.
    Rejected,
    /// Its time was over.
    Expired,
    /// It was called off.
    Cancelled,
}

impl VoteStanding {
    /// The standing as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Over => "over",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

impl From<VoteOutcome> for VoteStanding {
    fn from(outcome: VoteOutcome) -> Self {
        match outcome {
            VoteOutcome::Accepted => Self::Accepted,
            VoteOutcome::Rejected => Self::Rejected,
            VoteOutcome::Expired => Self::Expired,
            VoteOutcome::Cancelled => Self::Cancelled,
        }
    }
}

/// One voter's voice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Voice {
    /// Whose.
    pub voter: Principal,
    /// What it said; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
}

/// A vote as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct VoteView {
    /// Its id.
    pub vote_id: VoteId,
    /// What is asked.
    pub subject: String,
    /// Who is removed if it is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ActorId>,
    /// Who takes over what that one leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<ActorId>,
    /// Who asked.
    pub opener: Principal,
    /// The voters, by name.
    pub voices: Vec<Voice>,
    /// How many must say yes.
    pub threshold: u32,
    /// When it ends undecided, moved by the pauses so far.
    pub ends_at: Timestamp,
    /// Where it stands.
    pub standing: VoteStanding,
    /// How it came to its end, for people; may be empty.
    pub reason: String,
}

impl VoteView {
    /// How many said this.
    #[must_use]
    pub fn count(&self, choice: Choice) -> usize {
        self.voices.iter().filter(|voice| voice.choice == Some(choice)).count()
    }
}

/// The votes that are not closed, oldest first.
#[must_use]
pub fn list(state: &GroupState, now: Timestamp) -> Vec<VoteView> {
    state.votes().values().map(|vote| view(state, vote, now)).collect()
}

fn view(state: &GroupState, vote: &Vote, now: Timestamp) -> VoteView {
    let voices = vote.voters.iter().map(|(voter, choice)| Voice { voter: voter.clone(), choice: *choice });
    VoteView {
        vote_id: vote.id(),
        subject: vote.subject.clone(),
        release: vote.release.clone(),
        successor: vote.successor.clone(),
        opener: vote.opener.clone(),
        voices: voices.collect(),
        threshold: vote.threshold,
        ends_at: state.vote_ends_at(vote, now),
        standing: if is_over(state, vote, now) { VoteStanding::Over } else { VoteStanding::Open },
        reason: String::new(),
    }
}

/// A vote, open or not, from the event that opened it and what later events say of that one.
///
/// # Errors
/// `Invalid` if that event is no `vote.open`.
pub fn show(state: &GroupState, opened: &Event, facts: &[Event], now: Timestamp) -> Result<VoteView> {
    let Body::VoteOpen(open) = &opened.body else { return Err(no_vote(opened)) };
    if let Some(vote) = state.votes().get(&open.vote_id) {
        return Ok(view(state, vote, now));
    }
    let voice = |voter: &Principal| {
        let choice = facts.iter().find_map(|fact| match &fact.body {
            Body::VoteCast(cast) if fact.by == *voter => Some(cast.choice),
            _ => None,
        });
        Voice { voter: voter.clone(), choice }
    };
    let close = closing(facts).map(|(_, close)| close);
    Ok(VoteView {
        vote_id: open.vote_id,
        subject: open.subject.clone(),
        release: open.release.clone(),
        successor: open.successor.clone(),
        opener: opened.by.clone(),
        voices: open.voters.iter().map(voice).collect(),
        threshold: open.threshold,
        ends_at: open.until,
        standing: close.map_or(VoteStanding::Open, |close| close.outcome.into()),
        reason: close.map(|close| close.reason.clone()).unwrap_or_default(),
    })
}

fn no_vote(event: &Event) -> Error {
    event.lost().unwrap_or_else(|| {
        Error::invalid(format!("event {} is a {}, not a vote", event.id, event.body.kind()))
            .hint("`cccc vote list` shows the votes")
    })
}

/// The event that closed a vote.
fn closing(facts: &[Event]) -> Option<(EventId, &VoteClose)> {
    facts.iter().find_map(|fact| match &fact.body {
        Body::VoteClose(close) => Some((fact.id, close)),
        _ => None,
    })
}

fn is_over(state: &GroupState, vote: &Vote, now: Timestamp) -> bool {
    now > state.vote_ends_at(vote, now)
}

/// The first moment at which the time of an open vote is over, as of `now`.
pub(super) fn over_at(state: &GroupState, vote: &Vote, now: Timestamp) -> Timestamp {
    state.vote_ends_at(vote, now).after(Duration::from_millis(1))
}

/// How many of these voters must say yes.
#[must_use]
pub fn threshold(voters: usize) -> u32 {
    let threshold = if voters <= 2 { voters } else { voters / 2 + 1 };
    u32::try_from(threshold).unwrap_or(u32::MAX)
}

/// What a vote comes to, once that is certain. Who is absent will not vote any more.
fn outcome(
    vote: &Vote,
    said: impl Fn(&Principal) -> Option<Choice>,
    absent: impl Fn(&Principal) -> bool,
) -> Option<VoteOutcome> {
    let count = |wanted: &dyn Fn(&Principal) -> bool| {
        u32::try_from(vote.voters.keys().filter(|voter| wanted(voter)).count()).unwrap_or(u32::MAX)
    };
    let yes = count(&|voter| said(voter) == Some(Choice::Yes));
    let waiting = count(&|voter| said(voter).is_none() && !absent(voter));
    if yes >= vote.threshold {
        Some(VoteOutcome::Accepted)
    } else if yes.saturating_add(waiting) < vote.threshold {
        Some(VoteOutcome::Rejected)
    } else {
        None
    }
}

/// What is asked for with [`Command::OpenVote`](crate::Command::OpenVote).
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) subject: &'a str,
    pub(super) voters: &'a [Principal],
    pub(super) within: Duration,
}

pub(super) fn open(state: &GroupState, call: &Call, question: &Question<'_>) -> Result<Decision> {
    let subject = question.subject.trim();
    bounded("the question", subject, MAX_SUBJECT_BYTES)?;
    if subject.is_empty() {
        return Err(
            Error::invalid("a vote needs a question").hint("for example `cccc vote open \"Merge now?\"`")
        );
    }
    if question.within.is_zero() || question.within > MAX_OPEN {
        return Err(Error::invalid("a vote is open for more than nothing and at most thirty days"));
    }
    let rank = permission::rank(state, &call.by);
    if rank == Rank::Service {
        return Err(Error::refused(format!("{} is a service, and services ask for no votes", call.by)));
    }
    let (release, successor) = released(subject);
    if let Some(successor) = &successor {
        permission::member(state, successor)?;
        if release.as_ref() == Some(successor) {
            return Err(Error::invalid(format!("{successor} cannot succeed itself")));
        }
    }
    let voters = voters(state, call, release.as_ref(), question.voters)?;
    // What has ended undecided makes room, and is closed for good whatever the clock says later.
    let (over, live): (Vec<&Vote>, Vec<&Vote>) =
        state.votes().values().partition(|vote| is_over(state, vote, call.now));
    if let Some(decision) = asked_before(call, subject, release.as_ref(), &voters, &live)? {
        return Ok(decision);
    }
    let own = live.iter().filter(|vote| vote.opener == call.by).count();
    if live.len() >= MAX_VOTES || (rank == Rank::Peer && own >= MAX_VOTES_OF_PEER) {
        let most = if live.len() >= MAX_VOTES {
            format!("the group has {MAX_VOTES} open votes")
        } else {
            format!("{} has asked for {MAX_VOTES_OF_PEER} votes that are open", call.by)
        };
        return Err(Error::refused(format!("{most}, which is the most"))
            .hint("wait for their end, or close one with `cccc vote close`"));
    }
    for voter in &voters {
        if state.mailbox(voter).is_some_and(|mailbox| mailbox.owed.len() >= MAX_OWED) {
            return Err(Error::refused(format!("{voter} owes {MAX_OWED} things already, which is the most")));
        }
    }
    let mut drafts: Vec<Draft> = over.iter().map(|vote| expired(vote.id())).collect();
    let before = state.position().seq.0.saturating_add(u64::try_from(drafts.len()).unwrap_or(u64::MAX));
    let vote_id = VoteId(Seq(before).next());
    let asked: Vec<Draft> =
        voters.iter().filter_map(|voter| tell(state, call, "vote_opened", voter, vote_id)).collect();
    drafts.push(Draft::from(VoteOpen {
        vote_id,
        subject: subject.to_owned(),
        release,
        successor,
        threshold: threshold(voters.len()),
        voters,
        until: call.now.after(question.within),
    }));
    drafts.extend(asked);
    drafts.extend(over.iter().filter_map(|vote| tell_opener(state, call, vote)));
    Ok(Decision::write(drafts))
}

/// Whom a question is about to release, and who would take over what that one leaves.
fn released(subject: &str) -> (Option<ActorId>, Option<ActorId>) {
    let id = |text: &str| ActorId::new(text.trim()).ok();
    let Some(rest) = subject.strip_prefix("release ") else { return (None, None) };
    match rest.split_once(" to ").map(|(gone, heir)| (id(gone), id(heir))) {
        Some((Some(gone), Some(heir))) => (Some(gone), Some(heir)),
        _ => (id(rest), None),
    }
}

/// Who votes, in order: whoever is named, else every actor; of a release every actor but the one concerned.
fn voters(
    state: &GroupState,
    call: &Call,
    release: Option<&ActorId>,
    named: &[Principal],
) -> Result<Vec<Principal>> {
    if let Some(id) = release {
        permission::member(state, id)?;
        if state.role(id) == Role::Foreman {
            return Err(Error::refused(format!("{id} is the foreman, and only peers are released by vote"))
                .hint("the user replaces the foreman; ask with `cccc send --to user`"));
        }
        if call.by.actor() == Some(id) {
            return Err(
                Error::refused(format!("{id} needs no vote to go")).hint(format!("`cccc actor remove {id}`"))
            );
        }
        if !named.is_empty() {
            return Err(Error::refused("of a release every actor votes but the one concerned")
                .hint("leave the voters out"));
        }
    }
    let mut voters: Vec<Principal> = if named.is_empty() {
        state.actors().keys().filter(|id| release != Some(*id)).cloned().map(Principal::Actor).collect()
    } else {
        named.to_vec()
    };
    voters.sort();
    voters.dedup();
    for voter in &voters {
        match voter {
            Principal::Actor(_) | Principal::Person(_) => permission::present(state, voter)?,
            Principal::User => {}
            Principal::System | Principal::Service(_) | Principal::Remote(_) => {
                return Err(Error::invalid(format!("{voter} cannot vote: only actors and people can")));
            }
        }
    }
    if voters.len() < MIN_VOTERS {
        return Err(Error::refused(format!(
            "a vote needs two voters at least, and there would be {}",
            voters.len()
        ))
        .hint("ask the user to decide: `cccc send --to user --reply-required`"));
    }
    if voters.len() > MAX_VOTERS {
        return Err(Error::too_large(format!(
            "{} voters are too many; at most {MAX_VOTERS} fit",
            voters.len()
        ))
        .hint("name those who shall vote"));
    }
    Ok(voters)
}

/// The same question of the same asker is the same vote; the release of somebody is asked once at a time.
fn asked_before(
    call: &Call,
    subject: &str,
    release: Option<&ActorId>,
    voters: &[Principal],
    live: &[&Vote],
) -> Result<Option<Decision>> {
    let same =
        |vote: &&&Vote| vote.opener == call.by && vote.subject == subject && vote.voters.keys().eq(voters);
    if let Some(vote) = live.iter().find(same) {
        return Ok(Some(Decision::done_by(vote.opened_by_event)));
    }
    match live.iter().find(|vote| release.is_some() && vote.release.as_ref() == release) {
        Some(vote) => Err(Error::conflict(format!("{} asks that already, in {}", vote.opener, vote.id()))
            .hint(format!("`cccc vote cast {} yes`", vote.id()))),
        None => Ok(None),
    }
}

/// Has whoever asked told of the end, unless it brought that about itself.
fn tell_opener(state: &GroupState, call: &Call, vote: &Vote) -> Option<Draft> {
    let there = state.present_since(&vote.opener, vote.id().seq());
    there.then(|| tell(state, call, "vote_closed", &vote.opener, vote.id())).flatten()
}

fn tell(state: &GroupState, call: &Call, notice: &str, whom: &Principal, about: VoteId) -> Option<Draft> {
    let concerned = *whom != call.by && state.mailbox(whom).is_some();
    let notice = SystemNotify::new(notice, whom.clone(), &about.to_string(), 1);
    concerned.then(|| Draft::from(SystemNotify { related: vec![about.seq()], ..notice }))
}

fn expired(vote: VoteId) -> Draft {
    close_draft(vote, VoteOutcome::Expired, "its time was over")
}

fn close_draft(vote_id: VoteId, outcome: VoteOutcome, reason: impl Into<String>) -> Draft {
    Draft::from(VoteClose { vote_id, outcome, reason: reason.into() })
}

/// A vote that is not closed; else how it ended.
fn live<'a>(state: &'a GroupState, id: VoteId, resolved: &Resolved) -> Result<&'a Vote> {
    if let Some(vote) = state.votes().get(&id) {
        return Ok(vote);
    }
    let unknown = || {
        Error::not_found(format!("there is no vote {id} in this group"))
            .hint("`cccc vote list` shows the votes")
    };
    let opened = &resolved.events.get(&id.seq()).ok_or_else(unknown)?.event;
    if !matches!(opened.body, Body::VoteOpen(_)) {
        return Err(no_vote(opened));
    }
    Err(match closing(resolved.facts_of(id.seq())) {
        Some((by, close)) => Error::conflict(format!("{id} was {} before, by event {by}", close.outcome))
            .hint(format!("`cccc vote show {id}` shows how it went; open another vote to ask again")),
        None => unknown(),
    })
}

pub(super) fn cast(
    state: &GroupState,
    call: &Call,
    id: VoteId,
    choice: Choice,
    reason: &str,
    resolved: &Resolved,
) -> Result<Decision> {
    bounded("the reason", reason, MAX_REASON_BYTES)?;
    let before = resolved.facts_of(id.seq()).iter().find_map(|fact| match &fact.body {
        Body::VoteCast(cast) if fact.by == call.by && state.present_since(&call.by, fact.seq) => {
            Some((fact.id, cast.choice))
        }
        _ => None,
    });
    match before {
        // Also when that decided the vote: a retry gets its first answer.
        Some((event, said)) if said == choice => return Ok(Decision::done_by(event)),
        Some((_, said)) => {
            return Err(Error::conflict(format!("{} has voted {said} on {id}, and a voice stands", call.by))
                .hint("say in a message what has changed"));
        }
        None => {}
    }
    let vote = live(state, id, resolved)?;
    if !vote.voters.contains_key(&call.by) || !state.present_since(&call.by, id.seq()) {
        let names: Vec<String> = vote.voters.keys().map(ToString::to_string).collect();
        return Err(Error::refused(format!("{} is not among the voters of {id}", call.by))
            .hint(format!("they were settled when it was opened: {}", names.join(", "))));
    }
    if is_over(state, vote, call.now) {
        return Err(Error::refused(format!(
            "the time of {id} was over at {}, and it was not decided by then",
            state.vote_ends_at(vote, call.now)
        ))
        .hint("open another vote to ask again"));
    }
    let mut drafts = vec![Draft::from(VoteCast { vote_id: id, choice, reason: reason.to_owned() })];
    let said = |voter: &Principal| {
        if *voter == call.by { Some(choice) } else { vote.voters.get(voter).copied().flatten() }
    };
    if let Some(outcome) = outcome(vote, said, |voter| !state.present_since(voter, id.seq())) {
        drafts.extend(ended(state, call, vote, outcome, resolved));
        // Who was released by it need not hear of it any more.
        let released = vote.release.as_ref().filter(|_| outcome == VoteOutcome::Accepted);
        let told =
            tell_opener(state, call, vote).filter(|_| released.is_none() || vote.opener.actor() != released);
        drafts.extend(told);
    }
    Ok(Decision::write(drafts))
}

/// The end of a decided vote, with what comes of it.
fn ended(
    state: &GroupState,
    call: &Call,
    vote: &Vote,
    outcome: VoteOutcome,
    resolved: &Resolved,
) -> Vec<Draft> {
    let id = vote.id();
    let released = vote.release.as_ref().filter(|_| outcome == VoteOutcome::Accepted);
    let Some(actor_id) = released else { return vec![close_draft(id, outcome, "")] };
    if !state.present_since(&actor_id.clone().into(), id.seq()) {
        return vec![close_draft(id, VoteOutcome::Cancelled, format!("{actor_id} had gone before"))];
    }
    if state.role(actor_id) == Role::Foreman {
        return vec![close_draft(id, VoteOutcome::Cancelled, format!("{actor_id} had become the foreman"))];
    }
    // A successor that has left meanwhile takes nothing over.
    let there = |heir: &&ActorId| state.present_since(&(*heir).clone().into(), id.seq());
    let successor = vote.successor.as_ref().filter(there).cloned();
    let remove =
        ActorRemove { actor_id: actor_id.clone(), reason: format!("released by vote {id}"), successor };
    let mut drafts = vec![close_draft(id, outcome, format!("{actor_id} is released"))];
    drafts.extend(actor::departure(state, call, remove, Some(id), resolved));
    drafts
}

/// Whoever asked calls a vote off, and the user and the foreman; when its time is over anyone says so.
pub(super) fn close(
    state: &GroupState,
    call: &Call,
    id: VoteId,
    reason: &str,
    resolved: &Resolved,
) -> Result<Decision> {
    bounded("the reason", reason, MAX_REASON_BYTES)?;
    if let Some((event, close)) = closing(resolved.facts_of(id.seq()))
        && matches!(close.outcome, VoteOutcome::Expired | VoteOutcome::Cancelled)
    {
        return Ok(Decision::done_by(event));
    }
    let vote = live(state, id, resolved)?;
    if is_over(state, vote, call.now) {
        return Ok(Decision::write([expired(id)].into_iter().chain(tell_opener(state, call, vote))));
    }
    let allowed = vote.opener == call.by && state.present_since(&call.by, id.seq())
        || matches!(permission::rank(state, &call.by), Rank::Owner | Rank::Foreman);
    if !allowed {
        return Err(Error::refused(format!(
            "{id} is {}'s to call off, or the foreman's, or the user's",
            vote.opener
        ))
        .hint(format!("vote against it: `cccc vote cast {id} no`")));
    }
    let closed = close_draft(id, VoteOutcome::Cancelled, reason);
    Ok(Decision::write([closed].into_iter().chain(tell_opener(state, call, vote))))
}

/// The votes that the removal of somebody ends: those they had asked for, those about them, and those that they
/// alone could still have decided. `but` is being closed already.
pub(super) fn ended_by_removal(
    state: &GroupState,
    call: &Call,
    gone: &Principal,
    but: Option<VoteId>,
) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for vote in state.votes().values().filter(|vote| Some(vote.id()) != but) {
        let id = vote.id();
        let cancelled = |reason: String| close_draft(id, VoteOutcome::Cancelled, reason);
        let before = drafts.len();
        if vote.opener == *gone {
            drafts.push(cancelled(format!("who asked, {gone}, was removed")));
        } else if vote.release.is_some() && vote.release.as_ref() == gone.actor() {
            drafts.push(cancelled(format!("{gone} was removed")));
        } else if vote.voters.get(gone).is_some_and(Option::is_none) {
            let said = |voter: &Principal| vote.voters.get(voter).copied().flatten();
            let absent = |voter: &Principal| voter == gone || !state.present_since(voter, id.seq());
            if let Some(outcome) = outcome(vote, said, absent) {
                drafts.push(close_draft(id, outcome, format!("{gone}, who had not voted, was removed")));
            }
        }
        if drafts.len() > before && vote.opener != *gone {
            drafts.extend(tell_opener(state, call, vote));
        }
    }
    drafts
}

#[cfg(test)]
mod tests;
