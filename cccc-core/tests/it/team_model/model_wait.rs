//! Who waits for whom, and circles of it, found by trying all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use cccc_core::event::{GroupMode, WaitingFor};
use cccc_core::rule::wait::{OtherWait, Wait, WaitGraph, WaitKind};
use cccc_core::{ObligationKind, Principal, Seq, TaskId, Timestamp};

use super::model::Model;

/// Somebody waits for somebody.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edge {
    pub(super) waiter: Principal,
    pub(super) on: Principal,
    pub(super) kind: WaitKind,
    pub(super) source: Seq,
    pub(super) due: Option<Timestamp>,
    pub(super) behind: Option<Seq>,
}

impl Edge {
    pub(super) fn of(wait: &Wait) -> Self {
        Self {
            waiter: wait.waiter.clone(),
            on: wait.on.clone(),
            kind: wait.kind,
            source: wait.source,
            due: wait.due_at,
            behind: wait.behind,
        }
    }
}

impl Model {
    pub(super) fn waits(&self, now: Timestamp) -> Vec<Edge> {
        let debts = self.debts(now);
        let mut edges = Vec::new();
        for debt in &debts {
            // A question further down the thread, by who is waited for, that is still open.
            let questions =
                debts.iter().filter(|other| other.thread == debt.thread && other.creditor == debt.debtor);
            let question = questions.map(|other| other.source.seq).max().filter(|seq| *seq > debt.source.seq);
            let task = (debt.kind == ObligationKind::Task).then(|| self.task(TaskId(debt.source.seq)));
            let blocker = task.and_then(|task| self.waits_for(&task).first().copied()).map(TaskId::seq);
            edges.push(Edge {
                waiter: debt.creditor.clone(),
                on: debt.debtor.clone(),
                kind: WaitKind::Owed(debt.kind),
                source: debt.source.seq,
                due: debt.due,
                behind: question.or(blocker),
            });
        }
        for task in self.tasks().filter(|task| !task.status.is_closed()) {
            for first in self.waits_for(&task).into_iter().map(|id| self.task(id)) {
                let owed = debts.iter().find(|debt| {
                    debt.kind == ObligationKind::Task
                        && debt.source.seq == first.id.seq()
                        && debt.debtor == first.doer()
                });
                edges.push(Edge {
                    waiter: task.doer(),
                    on: first.doer(),
                    kind: WaitKind::Other(OtherWait::Dependency),
                    source: first.id.seq(),
                    due: owed.and_then(|debt| debt.due),
                    behind: self.waits_for(&first).first().copied().map(TaskId::seq),
                });
            }
        }
        edges.extend(self.said_waits(now));
        edges.retain(|edge| edge.waiter != edge.on);
        edges.sort_by(|a, b| (a.source, &a.on, a.kind).cmp(&(b.source, &b.on, b.kind)));
        edges
    }

    /// When the next word or reservation ends for which somebody waits, where circles are told of.
    pub(super) fn next_lapse(&self, now: Timestamp) -> Option<Timestamp> {
        if self.mode != GroupMode::Active || self.period("cycle").is_none() {
            return None;
        }
        let waiting = |at| self.said_waits(at).into_iter().filter(|edge| edge.waiter != edge.on).count();
        let words = self.words().into_iter().filter_map(|(_, (_, said))| said.until);
        let words = words.map(|until| until.after(Duration::from_millis(1)));
        let ends = words.chain(self.leases().into_iter().map(|lease| lease.until));
        ends.filter(|end| *end > now && waiting(*end) != waiting(now)).min()
    }

    /// Those who say that they wait, while their word holds and what they wait for is not over.
    fn said_waits(&self, now: Timestamp) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (id, (event, said)) in self.words() {
            if said.until.is_some_and(|until| now > until) {
                continue;
            }
            let (on, kind, source, due) = match self.awaited(event.seq, said) {
                Some(WaitingFor::Reservation(id)) => {
                    let Some(lease) = self.leases().into_iter().find(|lease| lease.id == id) else {
                        continue;
                    };
                    if now >= lease.until {
                        continue;
                    }
                    (lease.holder, OtherWait::Reservation, id.seq(), Some(lease.until))
                }
                Some(WaitingFor::Task(id)) => {
                    let task = self.task(id);
                    if task.status.is_closed() {
                        continue;
                    }
                    (task.doer(), OtherWait::TaskOf, id.seq(), None)
                }
                Some(WaitingFor::Actor(who)) => (who, OtherWait::Actor, event.seq, None),
                None => continue,
            };
            let kind = WaitKind::Other(kind);
            edges.push(Edge { waiter: id.into(), on, kind, source, due, behind: None });
        }
        edges
    }
}

/// Whether a circle with such a wait holds: of dependencies alone somebody can begin.
fn binds(kind: WaitKind) -> bool {
    kind != WaitKind::Other(OtherWait::Dependency)
}

/// Circles of the library against all circles that there are.
pub(super) fn expect_circles(model: &Model, graph: &WaitGraph, edges: &[Edge]) {
    let in_front = |edge: &&Edge| edge.behind.is_none();
    let waits = |who: &Principal| edges.iter().filter(in_front).any(|edge| edge.waiter == *who);
    // Nobody is in the way where one of those who can end the wait waits for nobody.
    let is_free = |edge: &Edge| {
        let alike = |other: &&Edge| other.source == edge.source && other.kind == edge.kind;
        model.is_anyones(edge) && edges.iter().filter(alike).any(|other| !waits(&other.on))
    };
    let blocking: Vec<&Edge> = edges.iter().filter(in_front).filter(|edge| !is_free(edge)).collect();
    // Per pair whether more than a dependency is among what the one waits for the other.
    let mut pairs: BTreeMap<(&Principal, &Principal), bool> = BTreeMap::new();
    for edge in blocking.iter().filter(|edge| edge.waiter != edge.on) {
        *pairs.entry((&edge.waiter, &edge.on)).or_default() |= binds(edge.kind);
    }
    for cycle in &graph.cycles {
        let members = cycle.members.len();
        assert!(members > 1, "nobody waits for itself in a circle: {cycle}");
        for (at, wait) in cycle.waits.iter().enumerate() {
            assert!(blocking.contains(&&Edge::of(wait)), "{cycle}");
            assert_eq!(wait.waiter, cycle.members[at], "{cycle}");
            assert_eq!(wait.on, cycle.members[(at + 1) % members], "{cycle}");
        }
        assert!(!cycle.breakers.is_empty() && cycle.waits.len() == members, "{cycle}");
        assert!(cycle.waits.iter().any(|wait| binds(wait.kind)), "{cycle}");
    }
    let named: Vec<&Principal> = graph.cycles.iter().flat_map(|cycle| &cycle.members).collect();
    for (at, member) in named.iter().enumerate() {
        assert!(!named[..at].contains(member), "two circles with {member}: {graph}");
    }
    let mut people: Vec<&Principal> = pairs.keys().flat_map(|(waiter, on)| [*waiter, *on]).collect();
    people.sort();
    people.dedup();
    let free: Vec<&Principal> = people.into_iter().filter(|who| !named.contains(who)).collect();
    let mut missed = Vec::new();
    for start in &free {
        walk(&pairs, &free, &mut vec![start], &mut missed);
    }
    assert!(missed.is_empty(), "circles that nobody names: {missed:?}\n{graph}");
}

/// All simple ways among `free` that come back to where they began, if more than dependencies is on them.
fn walk<'a>(
    pairs: &BTreeMap<(&'a Principal, &'a Principal), bool>,
    free: &[&'a Principal],
    way: &mut Vec<&'a Principal>,
    found: &mut Vec<Vec<Principal>>,
) {
    let (first, last) = (way[0], way[way.len() - 1]);
    if pairs.contains_key(&(last, first)) {
        let steps = way.windows(2).map(|step| (step[0], step[1])).chain([(last, first)]);
        if steps.into_iter().any(|step| pairs[&step]) {
            found.push(way.iter().map(|who| (*who).clone()).collect());
        }
    }
    for next in free {
        if !way.contains(next) && pairs.contains_key(&(last, *next)) {
            way.push(next);
            walk(pairs, free, way, found);
            way.pop();
        }
    }
}
