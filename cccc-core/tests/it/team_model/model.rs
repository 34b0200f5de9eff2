//! What the model knows of the group itself: who is in it, what it is doing, how its clocks stand.
//!
//! The other parts (`model_*.rs`) are questions to the list of events, answered by looking through it. Only
//! what a question cannot be asked of the list in a few lines (mail, what messages oblige to) is kept in
//! rows, one for each recipient of each message.

use std::time::Duration;

use cccc_core::event::{ActorUpdate, Body, Event, GroupMode, JoinPolicy, Role, SessionOpen};
use cccc_core::{ActorId, EventId, Label, Principal, Seq, TaskId, Timestamp};
use serde_json::Value;

use super::model_mail::{Mail, Owed};
use super::model_schedule::Plan;

/// An actor that is in the group.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) id: ActorId,
    pub(super) added: Seq,
    pub(super) labels: Vec<Label>,
    pub(super) ephemeral: bool,
    /// Its newest session, and when it began, in running time.
    pub(super) session: Option<(SessionOpen, i64)>,
    pub(super) session_open: bool,
    pub(super) last_seen: Timestamp,
    /// The last thing it did, in running time.
    pub(super) did: Option<(Seq, i64)>,
}

impl Member {
    pub(super) fn who(&self) -> Principal {
        self.id.clone().into()
    }

    pub(super) fn generation(&self) -> u64 {
        self.session.as_ref().map_or(0, |(session, _)| session.generation)
    }

    /// Whether this is the session that it has, known by another id of its program.
    fn is_in(&self, open: &SessionOpen) -> bool {
        let same = |now: &SessionOpen| now.session == open.session && now.generation == open.generation;
        self.session_open && self.session.as_ref().is_some_and(|(session, _)| same(session))
    }

    /// Not if it has ended its session.
    pub(super) fn reachable(&self) -> bool {
        self.session.is_none() || self.session_open
    }
}

/// Everything there is, computed from the events alone.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) log: Vec<Event>,
    /// Where in it notices, tasks and changes of tasks stand: they are looked for often.
    pub(super) said: Vec<Seq>,
    pub(super) made: Vec<TaskId>,
    pub(super) worked: Vec<(TaskId, Seq)>,
    pub(super) members: Vec<Member>,
    /// Those beside the user, and where they were added.
    pub(super) people: Vec<(Principal, Seq)>,
    pub(super) foreman: Option<Principal>,
    /// The event by which that changed last.
    pub(super) lead_changed: Seq,
    pub(super) mode: GroupMode,
    pub(super) pauses: Vec<(Timestamp, Option<Timestamp>)>,
    pub(super) settings: Vec<(String, Value)>,
    /// The last thing that an actor or the user did.
    pub(super) last: (Seq, i64),
    pub(super) mail: Vec<Mail>,
    pub(super) owed: Vec<Owed>,
    pub(super) plans: Vec<Plan>,
    /// Notices that have to follow what was just written: the word, to whom, its batch, and about what.
    pub(super) untold: Vec<(&'static str, Principal, String, Vec<Seq>)>,
    /// Clocks go back as well: then what depends on them is bounded, and not as exact as here.
    pub(super) jumps: bool,
}

impl Model {
    pub(super) fn apply(&mut self, event: &Event) {
        let at = self.running(event.ts);
        if matches!(event.by, Principal::User | Principal::Person(_) | Principal::Actor(_)) {
            self.last = (event.seq, at);
            if let Some(member) = self.member_mut(&event.by) {
                member.did = Some((event.seq, at));
            }
        }
        self.expect_of(event);
        let foreman = self.foreman.clone();
        match &event.body {
            Body::GroupUpdate(update) => self.settings.extend(update.settings.clone()),
            Body::GroupSetState(set) => self.set_mode(set.state, event.ts),
            Body::ActorAdd(add) => {
                self.members.push(Member {
                    id: add.actor_id.clone(),
                    added: event.seq,
                    labels: add.labels.clone(),
                    ephemeral: add.ephemeral,
                    session: None,
                    session_open: false,
                    last_seen: event.ts,
                    did: None,
                });
                self.set_role(&add.actor_id, add.role);
            }
            Body::ActorUpdate(update) => self.update(update),
            Body::ActorRemove(remove) => {
                let gone: Principal = remove.actor_id.clone().into();
                let heir = remove.successor.clone().map(Principal::from);
                self.tell_of_leaving(event, &gone, heir.as_ref());
                self.members.retain(|member| member.id != remove.actor_id);
                if self.foreman.as_ref() == Some(&gone) {
                    self.foreman = None;
                }
                let heir = heir.filter(|heir| self.is_here(heir));
                self.leave(event.seq, &gone, heir.as_ref());
            }
            Body::PersonAdd(add) => {
                let person: Principal = add.person_id.clone().into();
                if !self.is_here(&person) {
                    self.people.push((person, event.seq));
                }
            }
            Body::PersonRemove(remove) => {
                let gone: Principal = remove.person_id.clone().into();
                self.tell_of_leaving(event, &gone, remove.successor.as_ref());
                self.people.retain(|(person, _)| *person != gone);
                let heir = remove.successor.clone().filter(|heir| self.is_here(heir));
                self.leave(event.seq, &gone, heir.as_ref());
            }
            Body::SessionOpen(open)
                if self.members.iter().any(|member| member.id == open.actor_id && member.is_in(open)) =>
            {
                if let Some(member) = self.member_mut(&open.actor_id.clone().into()) {
                    member.session = member.session.take().map(|(_, opened)| (open.clone(), opened));
                    member.last_seen = event.ts;
                }
            }
            Body::SessionOpen(open) => {
                self.lose_claims(&open.actor_id.clone().into());
                if let Some(member) = self.member_mut(&open.actor_id.clone().into()) {
                    member.session = Some((open.clone(), at));
                    member.session_open = true;
                    member.last_seen = event.ts;
                }
            }
            Body::SessionClose(close) => {
                if let Some(member) = self.member_mut(&close.actor_id.clone().into()) {
                    member.session_open = false;
                    member.last_seen = event.ts;
                }
            }
            Body::ScheduleSet(set) => self.set_plan(event, set),
            Body::ScheduleRemove(gone) => self.plans.retain(|plan| plan.id != gone.schedule_id),
            Body::ScheduleFired(fired) => self.plan_fired(fired),
            Body::SystemNotify(notice) => {
                self.said.push(event.seq);
                self.told_of(notice);
            }
            Body::VoteOpen(open) => self.tell_of_vote(event, open),
            Body::VoteClose(close) => self.tell_of_end(event, close),
            Body::ApprovalOpen(open) => self.tell_of_request(event, open),
            Body::ApprovalDecide(decide) => self.tell_of_verdict(event, decide),
            Body::ChatCancel(cancel) => {
                self.tell_of_expiry(event, cancel);
                self.mail(event);
            }
            Body::TaskCreate(_) => self.made.push(TaskId(event.seq)),
            Body::TaskUpdate(update) => self.worked.push((update.task_id, event.seq)),
            _ => self.mail(event),
        }
        if self.foreman != foreman {
            self.lead_changed = event.seq;
        }
        if let Some(member) = self.member_mut(&event.by) {
            member.last_seen = member.last_seen.max(event.ts);
        }
        self.log.push(event.clone());
    }

    /// What the rules have put into an event, compared with what they should have.
    fn expect_of(&self, event: &Event) {
        match &event.body {
            Body::ChatMessage(message) => {
                self.expect_answer(event, message);
                if !self.jumps {
                    self.expect_rate(event, message);
                }
            }
            Body::ApprovalOpen(open) => self.expect_request(event, open),
            Body::ApprovalDecide(decide) => self.expect_verdict(event, decide),
            Body::VoteOpen(open) => self.expect_voters(event, open),
            Body::VoteClose(close) => self.expect_outcome(event, close),
            Body::ReservationTake(take) => self.expect_lapsed(event, take),
            Body::TaskUpdate(update) => self.expect_change(update),
            Body::ChatMove(moved) => self.expect_moved(moved),
            Body::ActorRemove(remove) => {
                let heir = remove.successor.clone().map(Principal::from);
                self.expect_nothing_left(&remove.actor_id.clone().into(), heir.as_ref());
            }
            Body::PersonRemove(remove) => {
                self.expect_nothing_left(&remove.person_id.clone().into(), remove.successor.as_ref());
            }
            Body::ScheduleFired(fired) if !self.jumps => self.expect_firing(event.ts, fired),
            _ => {}
        }
    }

    fn set_mode(&mut self, mode: GroupMode, at: Timestamp) {
        let rests = matches!(self.pauses.last(), Some((_, None)));
        if mode == GroupMode::Paused && !rests {
            self.pauses.push((at, None));
        } else if mode != GroupMode::Paused
            && rests
            && let Some((_, end)) = self.pauses.last_mut()
        {
            *end = Some(at);
        }
        self.mode = mode;
    }

    fn set_role(&mut self, id: &ActorId, role: Role) {
        let who = Principal::from(id.clone());
        match role {
            Role::Foreman => self.foreman = Some(who),
            Role::Peer if self.foreman.as_ref() == Some(&who) => self.foreman = None,
            Role::Peer => {}
        }
    }

    fn update(&mut self, update: &ActorUpdate) {
        if let Some(role) = update.role {
            self.set_role(&update.actor_id, role);
        }
        if let Some(labels) = &update.labels
            && let Some(member) = self.member_mut(&update.actor_id.clone().into())
        {
            member.labels.clone_from(labels);
        }
    }

    /// Whether anybody may join by itself.
    pub(super) fn is_open_to_all(&self) -> bool {
        let last = self.log.iter().rev().find_map(|event| match &event.body {
            Body::GroupUpdate(update) => update.join,
            _ => None,
        });
        last.is_none_or(|join| join == JoinPolicy::Open)
    }

    pub(super) fn member(&self, who: &Principal) -> Option<&Member> {
        self.members.iter().find(|member| who.actor() == Some(&member.id))
    }

    fn member_mut(&mut self, who: &Principal) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| who.actor() == Some(&member.id))
    }

    /// Since when a person beside the user is there.
    fn person_since(&self, who: &Principal) -> Option<Seq> {
        self.people.iter().find(|(person, _)| person == who).map(|(_, added)| *added)
    }

    /// Whether somebody has an inbox.
    pub(super) fn is_here(&self, who: &Principal) -> bool {
        *who == Principal::User || self.member(who).is_some() || self.person_since(who).is_some()
    }

    /// Whether somebody was there at `seq`, and is still the same.
    pub(super) fn same_since(&self, who: &Principal, seq: Seq) -> bool {
        match who {
            Principal::Actor(_) => self.member(who).is_some_and(|member| member.added < seq),
            Principal::Person(_) => self.person_since(who).is_some_and(|added| added < seq),
            _ => true,
        }
    }

    pub(super) fn event(&self, seq: Seq) -> Option<&Event> {
        self.log.get(usize::try_from(seq.0.checked_sub(1)?).ok()?)
    }

    pub(super) fn id(&self, seq: Seq) -> EventId {
        self.event(seq).expect("an event").id
    }

    /// For how long the group was paused between two times.
    pub(super) fn paused(&self, from: Timestamp, to: Timestamp) -> Duration {
        self.pauses.iter().map(|(start, end)| end.unwrap_or(to).min(to).since((*start).max(from))).sum()
    }

    /// A time in milliseconds of which the pauses before it are taken out.
    pub(super) fn running(&self, at: Timestamp) -> i64 {
        let paused = self.paused(Timestamp::from_millis(0), at).as_millis();
        at.as_millis() - i64::try_from(paused).unwrap()
    }

    /// When a running time comes, or came, by the pauses until `now`.
    pub(super) fn wall(&self, running: i64, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(running).after(self.paused(Timestamp::from_millis(0), now))
    }

    /// When something that was due is due after the pauses since it was asked for.
    pub(super) fn moved(&self, due: Timestamp, asked: Timestamp, now: Timestamp) -> Timestamp {
        due.after(self.paused(asked, now))
    }
}
