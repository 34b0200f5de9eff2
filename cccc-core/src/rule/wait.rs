//! The wait graph: who waits for whom, for what, and where that goes round in a circle.
//!
//! Whoever is owed something waits for its debtor. Within one thread a wait follows the newest leaf: who
//! owes an answer and has itself asked something further down the same thread is not what is waited
//! for, the answer to that question is. So asking back is no circle, but two that ask each other in
//! two threads, and each wait for the other first, are in one.
//!
//! A task that depends on another waits for who does that one. Who waits for a task to be done waits behind
//! what the task itself waits for. Tasks cannot depend on each other in a circle, so of dependencies alone
//! no circle is made: somebody can always begin.
//!
//! A reservation makes nobody wait by itself: whoever would take the paths is refused, and may do something
//! else. Whoever does wait says so in its agent state (`waiting_for` a reservation, a task, or somebody), which
//! holds until that is over.
//!
//! A question with options and a request for approval wait for any of those who may end them. Whoever is in such a
//! wait is in no circle as long as one of them waits for nobody.
//!
//! A circle is named with everybody who can break it: by giving what is owed, or by no longer asking for
//! it. This decides nothing; [`policy`](crate::rule::policy) has the lead told of circles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Write as _};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::WaitingFor;
use crate::id::{ActorId, Principal, Seq, TaskId};
use crate::rule::permission::{self, Rank};
use crate::state::{AgentWord, GroupState, Obligation, ObligationKind, Task};
use crate::time::Timestamp;

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum WaitKind {
    /// For what is owed.
    Owed(ObligationKind),
    /// For something else.
    Other(OtherWait),
}

/// What somebody waits for that is not owed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OtherWait {
    /// For a task, before its own can be done.
    Dependency,
    /// For the end of a reservation: it says so.
    Reservation,
    /// For a task that it has nothing to do with: it says so.
    TaskOf,
    /// For somebody: it says so.
    Actor,
}

impl WaitKind {
    /// The kind as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owed(kind) => kind.as_str(),
            Self::Other(OtherWait::Dependency) => "dependency",
            Self::Other(OtherWait::Reservation) => "reservation",
            Self::Other(OtherWait::TaskOf) => "task_of",
            Self::Other(OtherWait::Actor) => "actor",
        }
    }

    fn is_owed(self) -> bool {
        matches!(self, Self::Owed(_))
    }
}

/// Somebody waits for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Wait {
    /// Who waits.
    pub waiter: Principal,
    /// For whom.
    pub on: Principal,
    /// For what.
    pub kind: WaitKind,
    /// The event that asked, or that made the task.
    pub source: Seq,
    /// When it is due, moved by the pauses so far; absent: whenever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Whether that is over.
    pub overdue: bool,
    /// What comes first: a question further down the same thread, or a task that this one depends on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Seq>,
}

/// Somebody who can end a circle, and how.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Breaker {
    /// Who.
    pub who: Principal,
    /// With which command.
    pub call: String,
}

/// A circle of waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Cycle {
    /// Who is in it; each waits for the next, and the last for the first.
    pub members: Vec<Principal>,
    /// One wait of each member for the next, the oldest.
    pub waits: Vec<Wait>,
    /// Who can break it.
    pub breakers: Vec<Breaker>,
}

impl Cycle {
    /// What names it: its waits.
    #[must_use]
    pub fn id(&self) -> String {
        let mut sources: Vec<String> = self
            .waits
            .iter()
            .map(|wait| format!("{}-{}-{}", wait.source, wait.kind.as_str(), wait.on))
            .collect();
        sources.sort();
        sources.join(",")
    }
}

/// Who waits for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct WaitGraph {
    /// All waits, oldest first.
    pub waits: Vec<Wait>,
    /// Circles, one of each knot; when it is broken, another may show.
    pub cycles: Vec<Cycle>,
}

/// Who waits for whom now.
#[must_use]
pub fn graph(state: &GroupState, now: Timestamp) -> WaitGraph {
    let waits = waits(state, now);
    let cycles = cycles(state, &waits);
    WaitGraph { waits, cycles }
}

fn waits(state: &GroupState, now: Timestamp) -> Vec<Wait> {
    let owed = || {
        let of = |(debtor, mailbox): (&'_ Principal, &'_ crate::state::Mailbox)| {
            let debtor = debtor.clone();
            mailbox
                .owed
                .iter()
                .map(move |((_, kind), owed)| (debtor.clone(), *kind, owed.clone()))
                .collect::<Vec<_>>()
        };
        state.mailboxes().iter().flat_map(of)
    };
    // Per thread and asker: the newest question that is open.
    let mut asked: BTreeMap<(Seq, Principal), Seq> = BTreeMap::new();
    for (_, _, Obligation { thread, creditor, source, .. }) in owed() {
        let newest = asked.entry((thread, creditor)).or_default();
        *newest = source.seq.max(*newest);
    }
    let wait = |(on, kind, owed): (Principal, ObligationKind, Obligation)| {
        let due_at = state.due_at(&owed, now);
        let question = asked.get(&(owed.thread, on.clone())).copied();
        let question = question.filter(|question| *question > owed.source.seq);
        let task = state.task(TaskId(owed.source.seq)).filter(|_| kind == ObligationKind::Task);
        let blocker = task.and_then(|task| task.waits_for.first().copied()).map(TaskId::seq);
        Wait {
            waiter: owed.creditor,
            kind: WaitKind::Owed(kind),
            source: owed.source.seq,
            due_at,
            overdue: due_at.is_some_and(|due| now > due),
            behind: question.or(blocker),
            on,
        }
    };
    // Whoever asks for a vote may be among the voters, and does not wait for itself.
    let mut waits: Vec<Wait> = owed().map(wait).filter(|wait| wait.waiter != wait.on).collect();
    waits.extend(dependencies(state, now));
    waits.extend(said(state, now));
    waits.sort_by(|a, b| (a.source, &a.on, a.kind).cmp(&(b.source, &b.on, b.kind)));
    waits
}

/// Who is to do a task waits for who is to do what it depends on.
fn dependencies(state: &GroupState, now: Timestamp) -> Vec<Wait> {
    let doer = |task: &Task| task.owner.clone().unwrap_or_else(|| task.asker.clone());
    let blocked = state.tasks().filter(|task| task.is_blocked());
    let pairs =
        blocked.flat_map(|task| task.waits_for.iter().filter_map(move |id| Some((task, state.task(*id)?))));
    let wait = |(task, first): (&Task, &Task)| {
        let mailbox = state.mailbox(&doer(first));
        let owed = mailbox.and_then(|mailbox| mailbox.owed.get(&(first.id.seq(), ObligationKind::Task)));
        let due_at = owed.and_then(|owed| state.due_at(owed, now));
        Wait {
            waiter: doer(task),
            on: doer(first),
            kind: WaitKind::Other(OtherWait::Dependency),
            source: first.id.seq(),
            due_at,
            overdue: due_at.is_some_and(|due| now > due),
            behind: first.waits_for.first().copied().map(TaskId::seq),
        }
    };
    pairs.map(wait).filter(|wait| wait.waiter != wait.on).collect()
}

/// Whoever says that it waits waits, until what it waits for is over, or its word no longer holds.
fn said(state: &GroupState, now: Timestamp) -> impl Iterator<Item = Wait> {
    said_until(state, now).map(|(wait, _)| wait)
}

/// The same, with when each ends by itself.
fn said_until(state: &GroupState, now: Timestamp) -> impl Iterator<Item = (Wait, Option<Timestamp>)> {
    let holds = move |word: &AgentWord| word.until.is_none_or(|until| now <= until);
    let words = state.agents().iter().filter(move |(_, word)| holds(word));
    let wait = move |(id, word): (&ActorId, &AgentWord)| {
        let (on, kind, source, due_at) = match word.waiting_for.as_ref()? {
            WaitingFor::Reservation(id) => {
                let held = state.reservations().get(id).filter(|one| !one.has_lapsed(now))?;
                (held.holder.clone(), OtherWait::Reservation, id.seq(), Some(held.until))
            }
            WaitingFor::Task(id) => {
                let task = state.task(*id).filter(|task| !task.status.is_closed())?;
                let doer = task.owner.clone().unwrap_or_else(|| task.asker.clone());
                (doer, OtherWait::TaskOf, id.seq(), None)
            }
            WaitingFor::Actor(other) => {
                state.mailbox(other)?;
                (other.clone(), OtherWait::Actor, word.set_by_event.seq, None)
            }
        };
        let waiter = Principal::from(id.clone());
        let kind = WaitKind::Other(kind);
        // A word holds in the moment until which it does; a reservation does not.
        let end =
            word.until.map(|until| until.after(Duration::from_millis(1))).into_iter().chain(due_at).min();
        let wait = Wait { waiter, on, kind, source, due_at, overdue: false, behind: None };
        (wait.on != wait.waiter).then_some((wait, end))
    };
    words.filter_map(wait)
}

/// When the next of those who say that they wait no longer does, because its word or the reservation lapses. A circle
/// may hide another, which shows then.
pub(super) fn next_lapse(state: &GroupState, now: Timestamp) -> Option<Timestamp> {
    said_until(state, now).filter_map(|(_, end)| end).min()
}

/// Which way waits go, without those that are behind others; of each pair the
/// oldest that is owed, else the oldest that was said, else the oldest.
type Arrows<'a> = BTreeMap<&'a Principal, BTreeMap<&'a Principal, &'a Wait>>;

fn cycles(state: &GroupState, waits: &[Wait]) -> Vec<Cycle> {
    let mut arrows = Arrows::new();
    // Who has asked for a vote and is among the voters waits for nobody else by that.
    let in_the_way = |wait: &&Wait| wait.behind.is_none() && wait.waiter != wait.on;
    // Where any of several can end a wait, nobody is in its way while one of them waits for nobody.
    let waiters: BTreeSet<&Principal> = waits.iter().filter(in_the_way).map(|wait| &wait.waiter).collect();
    let anyones = waits.iter().filter(|wait| is_anyones(state, wait));
    let free: BTreeSet<Seq> =
        anyones.filter(|wait| !waiters.contains(&wait.on)).map(|wait| wait.source).collect();
    let blocks = |wait: &&Wait| !(is_anyones(state, wait) && free.contains(&wait.source));
    let mut in_order: Vec<&Wait> = waits.iter().filter(in_the_way).filter(blocks).collect();
    // A dependency that both have in common must not hide what makes a circle of it.
    in_order.sort_by_key(|wait| (!wait.kind.is_owed(), wait.kind == WaitKind::Other(OtherWait::Dependency)));
    for wait in in_order {
        arrows.entry(&wait.waiter).or_default().entry(&wait.on).or_insert(wait);
    }
    let mut done: BTreeSet<&Principal> = BTreeSet::new();
    let mut cycles = Vec::new();
    for start in arrows.keys() {
        if done.contains(start) {
            continue;
        }
        let Some(shortest) = way_between(&arrows, start, start, &done) else { continue };
        let binds = |wait: &&&Wait| wait.kind != WaitKind::Other(OtherWait::Dependency);
        let holds = |circle: &Vec<&Wait>| circle.iter().any(|wait| binds(&wait));
        let circle = Some(shortest).filter(holds).or_else(|| {
            // Of dependencies alone somebody can begin, but a longer way may go over more than that.
            let others = arrows.get(start)?.values().filter(binds).filter(|wait| !done.contains(&wait.on));
            let back = others.filter_map(|first| {
                let mut circle = vec![*first];
                circle.extend(way_between(&arrows, &first.on, start, &done)?);
                Some(circle)
            });
            back.min_by_key(Vec::len)
        });
        if let Some(circle) = circle {
            done.extend(circle.iter().map(|wait| &wait.waiter));
            cycles.push(named(state, &circle));
        }
    }
    cycles
}

/// Whether any of those who owe it can end a wait for all.
fn is_anyones(state: &GroupState, wait: &Wait) -> bool {
    match wait.kind {
        WaitKind::Owed(ObligationKind::Reply) => state.questions().contains_key(&wait.source),
        WaitKind::Owed(kind) => kind == ObligationKind::Approval,
        WaitKind::Other(_) => false,
    }
}

/// The shortest way from `start` to `end`, which may be itself, that touches nobody of `besides`.
fn way_between<'a>(
    arrows: &Arrows<'a>,
    start: &'a Principal,
    end: &'a Principal,
    besides: &BTreeSet<&'a Principal>,
) -> Option<Vec<&'a Wait>> {
    let mut came_by: BTreeMap<&Principal, &'a Wait> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for (next, wait) in arrows.get(at).into_iter().flatten() {
            if *next == end {
                let mut way = vec![*wait];
                while let Some(step) = way.last().filter(|step| step.waiter != *start) {
                    way.push(came_by.get(&step.waiter)?);
                }
                way.reverse();
                return Some(way);
            }
            if !besides.contains(next) && *next != start && !came_by.contains_key(next) {
                came_by.insert(next, wait);
                queue.push_back(next);
            }
        }
    }
    None
}

fn named(state: &GroupState, circle: &[&Wait]) -> Cycle {
    let mut breakers = BTreeSet::new();
    for wait in circle {
        let Wait { source, on, waiter, kind, .. } = wait;
        if let WaitKind::Other(OtherWait::Reservation | OtherWait::TaskOf | OtherWait::Actor) = kind {
            breakers
                .insert(Breaker { who: waiter.clone(), call: "cccc agent-state --waiting-for ''".into() });
        }
        let (give, cancel) = match kind {
            WaitKind::Owed(ObligationKind::Ack) => {
                (format!("cccc ack {source}"), format!("cccc cancel {source}"))
            }
            WaitKind::Owed(ObligationKind::Reply) if state.questions().contains_key(source) => {
                (format!("cccc answer {source} CHOICE"), format!("cccc cancel {source}"))
            }
            WaitKind::Owed(ObligationKind::Reply) => {
                (format!("cccc reply {source} TEXT"), format!("cccc cancel {source}"))
            }
            WaitKind::Owed(ObligationKind::Acceptance) => {
                breakers.insert(Breaker { who: on.clone(), call: format!("cccc task accept t{source}") });
                continue;
            }
            WaitKind::Owed(ObligationKind::Approval) => {
                // Only whoever asked withdraws it.
                let call = format!("cccc approval close a{source}");
                breakers.insert(Breaker { who: waiter.clone(), call });
                breakers.insert(Breaker { who: on.clone(), call: format!("cccc approval deny a{source}") });
                continue;
            }
            WaitKind::Owed(ObligationKind::Vote) => {
                (format!("cccc vote cast v{source} CHOICE"), format!("cccc vote close v{source}"))
            }
            WaitKind::Other(OtherWait::Reservation) => {
                (format!("cccc release r{source}"), format!("cccc release r{source}"))
            }
            WaitKind::Other(OtherWait::Actor) => {
                let call = format!("cccc send --to {waiter} TEXT");
                breakers.insert(Breaker { who: on.clone(), call });
                continue;
            }
            WaitKind::Owed(ObligationKind::Task)
            | WaitKind::Other(OtherWait::Dependency | OtherWait::TaskOf) => {
                (format!("cccc task done t{source}"), format!("cccc task cancel t{source}"))
            }
        };
        breakers.insert(Breaker { who: on.clone(), call: give });
        if !kind.is_owed() {
            // Who depends on a task has not asked for it.
            let foreman = state.foreman().cloned().map(Principal::Actor);
            let foreman = foreman.filter(|_| *kind == WaitKind::Other(OtherWait::Reservation));
            for who in [Principal::User].into_iter().chain(foreman) {
                breakers.insert(Breaker { who, call: cancel.clone() });
            }
            continue;
        }
        // The foreman may end what a peer asked of a peer.
        let peer = |who: &Principal| {
            matches!(who, Principal::Actor(_)) && permission::rank(state, who) == Rank::Peer
        };
        let foreman = state.foreman().cloned().map(Principal::Actor).filter(|_| peer(waiter) && peer(on));
        for who in [Principal::User, waiter.clone()].into_iter().chain(foreman) {
            breakers.insert(Breaker { who, call: cancel.clone() });
        }
    }
    Cycle {
        members: circle.iter().map(|wait| wait.waiter.clone()).collect(),
        waits: circle.iter().map(|wait| (*wait).clone()).collect(),
        breakers: breakers.into_iter().collect(),
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} waits for {}: {} {}", self.waiter, self.on, self.kind.as_str(), self.source)?;
        match self.due_at {
            Some(due) if self.overdue => write!(f, ", overdue since {due}")?,
            Some(due) => write!(f, ", due {due}")?,
            None => {}
        }
        match self.behind {
            Some(question) => write!(f, ", behind {question}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> =
            self.members.iter().chain(self.members.first()).map(ToString::to_string).collect();
        write!(f, "cycle: {}", names.join(" -> "))?;
        for Breaker { who, call } in &self.breakers {
            write!(f, "\n  {who} can break it: {call}")?;
        }
        Ok(())
    }
}

/// As lines of text: every wait, then the circles.
impl fmt::Display for WaitGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = self.waits.iter().map(ToString::to_string);
        let lines: Vec<String> = waits.chain(self.cycles.iter().map(ToString::to_string)).collect();
        f.write_str(if lines.is_empty() { "nobody waits" } else { "" })?;
        f.write_str(&lines.join("\n"))
    }
}

impl WaitGraph {
    /// As a Graphviz digraph: waits in a circle are red, those behind others dashed.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let circles: Vec<&Wait> = self.cycles.iter().flat_map(|cycle| &cycle.waits).collect();
        let mut dot = String::from("digraph waits {\n");
        for wait in &self.waits {
            let mut style = String::new();
            if circles.contains(&wait) {
                style.push_str(", color=red");
            }
            if wait.behind.is_some() {
                style.push_str(", style=dashed");
            }
            let overdue = if wait.overdue { " overdue" } else { "" };
            // Names have no quotes in them, so nothing needs to be escaped. Writing to a string succeeds.
            let _ = writeln!(
                dot,
                "  \"{}\" -> \"{}\" [label=\"{} {}{overdue}\"{style}];",
                wait.waiter,
                wait.on,
                wait.kind.as_str(),
                wait.source
            );
        }
        dot.push_str("}\n");
        dot
    }
}

#[cfg(test)]
mod tests;
