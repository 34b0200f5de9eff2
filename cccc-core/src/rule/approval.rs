//! Approvals: an agent asks whether it may do something, and one of those who may decide does, once.
//!
//! Only actors ask. The user decides. Where the user has said so, the other people of the group may as well (the
//! setting [`BY_PEOPLE`]), and the foreman ([`BY_FOREMAN`]), though never on its own request. Who may is settled when
//! the request is opened; a person who has left since may no longer, and no foreman that is none any more. The first
//! verdict counts, and a second is refused and told the first.
//!
//! A request has a time. When that is over undecided, nothing is allowed: whoever looks after the group writes that
//! down, and the agent is told. Whoever asked may withdraw its request, and it goes with an actor that is removed.
//! Pauses of the group do not count.
//!
//! A verdict says what was decided, and enforces nothing: that is the agent's program's part.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::event::{ApprovalDecide, ApprovalOpen, Body, Event, SystemNotify, Verdict, key_hash};
use crate::id::{ApprovalId, EventId, Principal};
use crate::ledger::Draft;
use crate::rule::message::{MAX_CLIENT_ID_BYTES, MAX_OWED};
use crate::rule::permission::{self, Rank};
use crate::rule::{Call, Decision, MAX_REASON_BYTES, Needs, Resolved, bounded};
use crate::state::{Approval, GroupState};
use crate::time::Timestamp;

/// Most open requests of a group.
pub const MAX_APPROVALS: usize = 256;
/// Most open requests of one actor.
pub const MAX_APPROVALS_OF_ACTOR: usize = 16;
/// Longest subject, in bytes.
pub const MAX_SUBJECT_BYTES: usize = 4 << 10;
/// Longest name of a tool, in bytes.
pub const MAX_TOOL_BYTES: usize = 256;
/// Longest input of a tool, in bytes.
pub const MAX_INPUT_BYTES: usize = 16 << 10;
/// For how long a request may be open.
pub const MAX_OPEN: Duration = Duration::from_secs(24 * 60 * 60);
/// The setting of a group by which the foreman decides as well as the user: `true`, or not.
pub const BY_FOREMAN: &str = "approval.foreman";
/// The setting of a group by which its other people decide as well as the user: `true`, or not.
pub const BY_PEOPLE: &str = "approval.people";

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ApprovalStanding {
    /// A verdict is waited for.
    Open,
    /// Its time is over, and nobody has written that down yet: nothing is allowed.
    Over,
    /// The agent may.
    Allowed,
    /// It may not.
    Denied,
    /// Its time was over undecided.
    Expired,
    /// It is no longer asked for.
    Withdrawn,
    /// It was decided in a way that only a later version knows: nothing is allowed.
    Unknown,
}

impl ApprovalStanding {
    /// The standing as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Over => "over",
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Unknown => "unknown",
        }
    }
}

impl From<&Verdict> for ApprovalStanding {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Allow => Self::Allowed,
            Verdict::Deny => Self::Denied,
            Verdict::Expired => Self::Expired,
            Verdict::Withdrawn => Self::Withdrawn,
            Verdict::Unknown(_) => Self::Unknown,
        }
    }
}

/// A request as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ApprovalView {
    /// Its id.
    pub approval_id: ApprovalId,
    /// Who asks.
    pub requester: Principal,
    /// What it wants to do.
    pub subject: String,
    /// The tool that it would use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What it would give that tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Who may decide.
    pub deciders: Vec<Principal>,
    /// When it ends undecided, moved by the pauses so far.
    pub ends_at: Timestamp,
    /// Where it stands.
    pub standing: ApprovalStanding,
    /// Whose word that is, if it is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Principal>,
    /// When it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// Why; may be empty.
    pub reason: String,
}

/// A request, decided or not, from the event that opened it and what later events say of that one.
///
/// # Errors
/// `Invalid` if that event is no `approval.open`.
pub fn show(state: &GroupState, opened: &Event, facts: &[Event], now: Timestamp) -> Result<ApprovalView> {
    let Body::ApprovalOpen(open) = &opened.body else { return Err(no_approval(opened)) };
    let pending = state.approvals().get(&open.approval_id);
    let decided = decision(facts).filter(|_| pending.is_none());
    let standing = match (pending, &decided) {
        (Some(approval), _) if is_over(state, approval, now) => ApprovalStanding::Over,
        (_, Some((_, decide))) => ApprovalStanding::from(&decide.verdict),
        _ => ApprovalStanding::Open,
    };
    Ok(ApprovalView {
        approval_id: open.approval_id,
        requester: opened.by.clone(),
        subject: open.subject.clone(),
        tool: open.tool.clone(),
        input: open.input.clone(),
        deciders: open.deciders.clone(),
        ends_at: pending.map_or(open.until, |approval| state.approval_ends_at(approval, now)),
        standing,
        decided_by: decided.map(|(fact, _)| fact.by.clone()),
        decided_at: decided.map(|(fact, _)| fact.ts),
        reason: decided.map(|(_, decide)| decide.reason.clone()).unwrap_or_default(),
    })
}

fn no_approval(event: &Event) -> Error {
    event.lost().unwrap_or_else(|| {
        Error::invalid(format!("event {} is a {}, not a request for approval", event.id, event.body.kind()))
            .hint("`cccc approval list` shows the requests")
    })
}

/// The event that decided a request.
fn decision(facts: &[Event]) -> Option<(&Event, &ApprovalDecide)> {
    facts.iter().find_map(|fact| match &fact.body {
        Body::ApprovalDecide(decide) => Some((fact, decide)),
        _ => None,
    })
}

fn is_over(state: &GroupState, approval: &Approval, now: Timestamp) -> bool {
    now > state.approval_ends_at(approval, now)
}

/// The first moment at which the time of an open request is over, as of `now`.
pub(super) fn over_at(state: &GroupState, approval: &Approval, now: Timestamp) -> Timestamp {
    state.approval_ends_at(approval, now).after(Duration::from_millis(1))
}

/// Refuses a setting of approvals that has no meaning, or that the caller may not change.
pub(super) fn check_setting(state: &GroupState, call: &Call, name: &str, value: &Value) -> Result<()> {
    if !name.starts_with("approval.") {
        return Ok(());
    }
    if ![BY_FOREMAN, BY_PEOPLE].contains(&name) {
        return Err(Error::invalid(format!("there is no setting {name}"))
            .hint(format!("there are {BY_FOREMAN} and {BY_PEOPLE}")));
    }
    if !value.is_null() && !value.is_boolean() {
        return Err(
            Error::invalid(format!("{name} is true or false")).hint("null gives it its default: false")
        );
    }
    permission::owner(state, call, "say who decides on approvals")
}

/// Who may decide on a request of this actor.
fn deciders(state: &GroupState, requester: &Principal) -> Vec<Principal> {
    let settings = state.settings();
    let is_set = |name: &str| settings.get(name) == Some(&Value::Bool(true));
    let foreman = state.foreman().cloned().map(Principal::Actor);
    let foreman = foreman.filter(|foreman| is_set(BY_FOREMAN) && foreman != requester);
    let people = state.people().keys().filter(|_| is_set(BY_PEOPLE)).cloned().map(Principal::Person);
    let mut deciders: Vec<Principal> =
        std::iter::once(Principal::User).chain(people).chain(foreman).collect();
    deciders.sort();
    deciders
}

/// What is asked for with [`Command::OpenApproval`](crate::Command::OpenApproval).
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) subject: &'a str,
    pub(super) tool: Option<&'a str>,
    pub(super) input: Option<&'a str>,
    pub(super) within: Duration,
    pub(super) client_id: Option<&'a str>,
}

pub(super) fn needs_of_new(call: &Call, client_id: Option<&str>) -> Needs {
    Needs { key: client_id.map(|client_id| key_hash(&call.by, client_id)), ..Needs::default() }
}

pub(super) fn open(
    state: &GroupState,
    call: &Call,
    request: &Request<'_>,
    resolved: &Resolved,
) -> Result<Decision> {
    let subject = request.subject.trim();
    check(request, subject)?;
    if !matches!(call.by, Principal::Actor(_)) {
        return Err(Error::refused(format!("{} asks nobody for approval: only actors do", call.by)));
    }
    if let Some(earlier) = earlier(state, call, request, subject, resolved)? {
        return Ok(Decision::done_by(earlier));
    }
    let own = state.approvals().values().filter(|approval| approval.requester == call.by).count();
    if own >= MAX_APPROVALS_OF_ACTOR || state.approvals().len() >= MAX_APPROVALS {
        let most = if own >= MAX_APPROVALS_OF_ACTOR {
            format!("{} has {MAX_APPROVALS_OF_ACTOR} open requests", call.by)
        } else {
            format!("the group has {MAX_APPROVALS} open requests")
        };
        return Err(Error::refused(format!("{most}, which is the most"))
            .hint("wait for a verdict, or withdraw one with `cccc approval close`"));
    }
    let deciders = deciders(state, &call.by);
    for decider in &deciders {
        if state.mailbox(decider).is_some_and(|mailbox| mailbox.owed.len() >= MAX_OWED) {
            return Err(Error::refused(format!(
                "{decider} owes {MAX_OWED} things already, which is the most"
            )));
        }
    }
    let approval_id = ApprovalId(state.position().seq.next());
    let asked: Vec<Draft> = deciders
        .iter()
        .filter_map(|decider| tell(state, call, "approval_opened", decider, approval_id))
        .collect();
    let open = ApprovalOpen {
        approval_id,
        subject: subject.to_owned(),
        tool: request.tool.map(str::to_owned),
        input: request.input.map(str::to_owned),
        client_id: request.client_id.map(str::to_owned),
        deciders,
        until: call.now.after(request.within),
    };
    Ok(Decision::write(std::iter::once(Draft::from(open)).chain(asked)))
}

/// What depends on the command alone.
fn check(request: &Request<'_>, subject: &str) -> Result<()> {
    bounded("the subject", subject, MAX_SUBJECT_BYTES)?;
    if subject.is_empty() {
        return Err(Error::invalid("a request for approval says what it is about")
            .hint("for example `cccc approval open \"Run the migration\"`"));
    }
    bounded("the name of the tool", request.tool.unwrap_or_default(), MAX_TOOL_BYTES)?;
    bounded("the input of the tool", request.input.unwrap_or_default(), MAX_INPUT_BYTES)?;
    if let Some(client_id) = request.client_id {
        bounded("the client_id", client_id, MAX_CLIENT_ID_BYTES)?;
        if client_id.is_empty() {
            return Err(Error::invalid("the client_id is empty").hint("leave it out, or give it a value"));
        }
    }
    if request.within.is_zero() || request.within > MAX_OPEN {
        return Err(Error::invalid("a request is open for more than nothing and at most a day"));
    }
    Ok(())
}

/// The request for which the caller's key was used.
fn earlier(
    state: &GroupState,
    call: &Call,
    request: &Request<'_>,
    subject: &str,
    resolved: &Resolved,
) -> Result<Option<EventId>> {
    let Some(key) = request.client_id else { return Ok(None) };
    let found = resolved.keyed.iter().find_map(|event| match &event.body {
        Body::ApprovalOpen(open) if open.client_id.as_deref() == Some(key) => Some((event, open)),
        _ => None,
    });
    let own = |event: &Event| event.by == call.by && state.present_since(&call.by, event.seq);
    match found.filter(|(event, _)| own(event)) {
        Some((event, open))
            if open.subject == subject
                && open.tool.as_deref() == request.tool
                && open.input.as_deref() == request.input =>
        {
            Ok(Some(event.id))
        }
        Some((event, open)) => Err(Error::conflict(format!(
            "client_id {key:?} was used for another request, in event {}",
            event.id
        ))
        .hint(format!("use another client_id; `cccc approval show {}` shows that one", open.approval_id))),
        None => Ok(None),
    }
}

/// A request that is not decided; else how it was.
fn live<'a>(state: &'a GroupState, id: ApprovalId, resolved: &Resolved) -> Result<&'a Approval> {
    if let Some(approval) = state.approvals().get(&id) {
        return Ok(approval);
    }
    let unknown = || {
        Error::not_found(format!("there is no request {id} in this group"))
            .hint("`cccc approval list` shows the requests")
    };
    let opened = &resolved.events.get(&id.seq()).ok_or_else(unknown)?.event;
    if !matches!(opened.body, Body::ApprovalOpen(_)) {
        return Err(no_approval(opened));
    }
    Err(match decision(resolved.facts_of(id.seq())) {
        Some((fact, decide)) => {
            let standing = ApprovalStanding::from(&decide.verdict).as_str();
            let (by, at, event) = (&fact.by, fact.ts, fact.id);
            Error::conflict(format!("{id} was decided before, by {by} at {at}: {standing} (event {event})"))
                .hint(format!("the first verdict stands: `cccc approval show {id}`"))
        }
        None => unknown(),
    })
}

/// The first of those who may decide does.
pub(super) fn decide(
    state: &GroupState,
    call: &Call,
    id: ApprovalId,
    allow: bool,
    reason: &str,
    resolved: &Resolved,
) -> Result<Decision> {
    bounded("the reason", reason, MAX_REASON_BYTES)?;
    let verdict = if allow { Verdict::Allow } else { Verdict::Deny };
    if let Some((fact, decide)) = decision(resolved.facts_of(id.seq()))
        && fact.by == call.by
        && decide.verdict == verdict
        && state.present_since(&call.by, fact.seq)
    {
        return Ok(Decision::done_by(fact.id));
    }
    let approval = live(state, id, resolved)?;
    let leads = matches!(permission::rank(state, &call.by), Rank::Owner | Rank::Person | Rank::Foreman);
    let may = approval.deciders.contains(&call.by) && leads && state.present_since(&call.by, id.seq());
    if !may {
        let names: Vec<String> = approval.deciders.iter().map(ToString::to_string).collect();
        return Err(Error::refused(format!("{id} is not {}'s to decide", call.by))
            .hint(format!("that is for {}", names.join(", "))));
    }
    if is_over(state, approval, call.now) {
        return Err(Error::refused(format!(
            "the time of {id} was over at {}, and it was not decided by then",
            state.approval_ends_at(approval, call.now)
        ))
        .hint(format!("{} may ask again", approval.requester)));
    }
    Ok(Decision::write(decided(state, call, approval, verdict, reason)))
}

/// Whoever asked withdraws its request; when its time is over anybody says so.
pub(super) fn close(
    state: &GroupState,
    call: &Call,
    id: ApprovalId,
    reason: &str,
    resolved: &Resolved,
) -> Result<Decision> {
    bounded("the reason", reason, MAX_REASON_BYTES)?;
    if let Some((fact, decide)) = decision(resolved.facts_of(id.seq()))
        && matches!(decide.verdict, Verdict::Expired | Verdict::Withdrawn)
    {
        return Ok(Decision::done_by(fact.id));
    }
    let approval = live(state, id, resolved)?;
    if is_over(state, approval, call.now) {
        let reason = "its time was over, and nobody had decided";
        return Ok(Decision::write(decided(state, call, approval, Verdict::Expired, reason)));
    }
    if approval.requester != call.by || !state.present_since(&call.by, id.seq()) {
        return Err(Error::refused(format!("{id} is {}'s to withdraw", approval.requester))
            .hint(format!("whoever may decide says no: `cccc approval deny {id}`")));
    }
    Ok(Decision::write(decided(state, call, approval, Verdict::Withdrawn, reason)))
}

/// The end of a request, of which whoever asked is told.
fn decided(
    state: &GroupState,
    call: &Call,
    approval: &Approval,
    verdict: Verdict,
    reason: &str,
) -> impl Iterator<Item = Draft> {
    let id = approval.id();
    let there = state.present_since(&approval.requester, id.seq());
    let told = there.then(|| tell(state, call, "approval_decided", &approval.requester, id)).flatten();
    let decide = ApprovalDecide { approval_id: id, verdict, reason: reason.to_owned() };
    std::iter::once(Draft::from(decide)).chain(told)
}

fn tell(state: &GroupState, call: &Call, notice: &str, whom: &Principal, about: ApprovalId) -> Option<Draft> {
    let concerned = *whom != call.by && state.mailbox(whom).is_some();
    let notice = SystemNotify::new(notice, whom.clone(), &about.to_string(), 1);
    concerned.then(|| Draft::from(SystemNotify { related: vec![about.seq()], ..notice }))
}

/// The requests that go with whoever is removed.
pub(super) fn ended_by_removal(state: &GroupState, gone: &Principal) -> Vec<Draft> {
    let own = state.approvals().values().filter(|approval| approval.requester == *gone);
    own.map(|approval| {
        Draft::from(ApprovalDecide {
            approval_id: approval.id(),
            verdict: Verdict::Withdrawn,
            reason: format!("{gone}, who asked, was removed"),
        })
    })
    .collect()
}

#[cfg(test)]
mod tests;
