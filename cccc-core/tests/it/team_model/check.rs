//! What the library lists, compared with what the model finds; and what a command will come to, foreseen.

use cccc_core::command::{Arrival, OpenSession};
use cccc_core::event::{Body, Event, GroupMode};
use cccc_core::rule::approval::{self, ApprovalStanding};
use cccc_core::rule::desk::{Done, who};
use cccc_core::rule::policy::{self, Effect};
use cccc_core::rule::presence::{self, Condition, Facts, Upkeep};
use cccc_core::rule::question::{self, QuestionStanding};
use cccc_core::rule::task::view::{TaskFilter, list as tasks};
use cccc_core::rule::vote::{self, VoteStanding};
use cccc_core::rule::wait;
use cccc_core::rule::{context, join, label, notice, obligation, reading, reservation, schedule};
use cccc_core::state::GroupState;
use cccc_core::{Command, ErrorKind, Principal, Result, Seq};

use super::World;
use super::model::Member;
use super::model_lease::{PATHS, means};
use super::model_policy::Word;
use super::model_wait::{Edge, expect_circles};
use super::ops::PEOPLE;

impl World {
    pub(super) fn check(&mut self) {
        let state = self.desk.state();
        self.replica = GroupState::from_bytes(&self.replica.to_bytes().unwrap()).unwrap();
        assert_eq!(&self.replica, state, "another process, which saved and loaded what it knew");
        self.check_members();
        self.check_mail();
        self.check_owed();
        self.check_tasks();
        self.check_votes();
        self.check_questions();
        self.check_approvals();
        self.check_leases();
        self.check_context();
        self.check_waits_and_policies();
        self.check_schedules();
        self.expect_sentences();
    }

    fn check_members(&self) {
        let state = self.desk.state();
        let mut members: Vec<_> = self.model.members.iter().collect();
        members.sort_by(|a, b| a.id.cmp(&b.id));
        assert!(state.actors().keys().eq(members.iter().map(|member| &member.id)), "who is in the group");
        assert_eq!(state.foreman().cloned().map(Principal::from), self.model.foreman);
        assert_eq!(state.mode(), self.model.mode);
        for member in members {
            let actor = state.actor(&member.id).unwrap();
            let session = actor
                .session
                .as_ref()
                .map(|session| (session.session.clone(), session.generation, session.open));
            let expected =
                member.session.as_ref().map(|(s, _)| (s.session.clone(), s.generation, member.session_open));
            assert_eq!(session, expected, "session of {}", member.id);
            assert_eq!(actor.incarnation, member.added);
            assert_eq!(actor.ephemeral, member.ephemeral);
            if !self.model.jumps {
                assert_eq!(actor.last_seen, member.last_seen, "when {} was last seen", member.id);
            }
        }
        let topics: Vec<_> = label::list(state).into_iter().map(|view| (view.label, view.actors)).collect();
        let expected = self.model.topics().into_iter().map(|(label, ids)| (label, ids.into_iter().collect()));
        assert_eq!(topics, expected.collect::<Vec<_>>(), "labels");
    }

    fn check_mail(&self) {
        let (state, now) = (self.desk.state(), self.desk.now);
        for text in PEOPLE {
            let who = who(text);
            let rows = self.model.unread_of(&who).filter(|row| !self.model.is_withheld(row));
            let unread: Vec<Seq> = rows.map(|row| row.seq).collect();
            assert_eq!(reading::unread(state, &who, Seq(1), usize::MAX, now), unread, "unread of {text}");
            assert_eq!(notice::unseen(state, &who), self.model.unseen(&who), "notices for {text}");
        }
    }

    fn check_owed(&self) {
        let (state, now) = (self.desk.state(), self.desk.now);
        let listed = obligation::list(state, &obligation::Filter::default(), now);
        let listed: Vec<_> = listed
            .into_iter()
            .map(|view| {
                (
                    view.source,
                    view.kind,
                    view.debtor,
                    view.creditor,
                    view.due_at,
                    view.overdue,
                    view.inherited_from,
                )
            })
            .collect();
        let expected: Vec<_> = self
            .model
            .debts(now)
            .into_iter()
            .map(|debt| {
                let overdue = debt.due.is_some_and(|due| now > due);
                (debt.source, debt.kind, debt.debtor, debt.creditor, debt.due, overdue, debt.inherited_from)
            })
            .collect();
        assert_eq!(listed, expected, "the one list of what is owed");
    }

    fn check_tasks(&self) {
        let (state, now) = (self.desk.state(), self.desk.now);
        let views = tasks(state, &TaskFilter { settled: true, ..TaskFilter::default() }, now);
        assert!(views.iter().map(|view| view.task_id).eq(self.model.task_ids()), "all tasks");
        for view in views {
            let task = self.model.task(view.task_id);
            let waits = self.model.waits_for(&task);
            assert_eq!(view.status, task.status, "{view}");
            assert_eq!((&view.asker, &view.owner), (&task.asker, &task.owner), "{view}");
            assert_eq!((view.accepted, &view.offered_to), (task.accepted, &task.offered_to), "{view}");
            assert_eq!(view.blocked, !task.status.is_closed() && !waits.is_empty(), "{view}");
            assert_eq!(view.waits_for, waits, "{view}");
            assert!(view.depends_on.iter().eq(&task.depends_on), "{view}");
            assert!(view.checklist.iter().map(|item| item.done).eq(task.steps.iter().copied()), "{view}");
            assert_eq!(view.missing, task.missing, "{view}");
            assert_eq!(view.version, task.version, "{view}");
            assert_eq!((view.changed_by.clone(), view.changed_at), task.changed, "{view}");
            let due = task.due.map(|due| self.model.moved(due, task.made_at, now));
            assert_eq!(view.due_at, due, "{view}");
            assert_eq!(view.overdue, !task.status.is_closed() && due.is_some_and(|due| now > due), "{view}");
        }
        let going_on = self.model.tasks().filter(|task| !task.is_over()).count();
        assert_eq!(state.live_tasks(), going_on);
    }

    fn check_votes(&self) {
        let (state, now) = (self.desk.state(), self.desk.now);
        let views = vote::list(state, now);
        assert!(
            views.iter().map(|view| view.vote_id).eq(self.model.open_votes().map(|(_, open)| open.vote_id))
        );
        for (view, (event, open)) in views.iter().zip(self.model.open_votes()) {
            let ends_at = self.model.vote_ends_at(event, open, now);
            let standing = if now > ends_at { VoteStanding::Over } else { VoteStanding::Open };
            assert_eq!((view.ends_at, view.standing), (ends_at, standing), "{open:?}");
            assert_eq!((&view.opener, &view.subject), (&event.by, &open.subject));
            assert!(view.voices.iter().map(|voice| &voice.voter).eq(&open.voters), "the voters are frozen");
            for voice in &view.voices {
                assert_eq!(voice.choice, self.model.voice(open.vote_id, &voice.voter), "{open:?}");
            }
        }
        for (event, open) in self.model.votes() {
            let Some(end) = self.model.ends(open.vote_id).next() else { continue };
            let shown = vote::show(state, event, &self.desk.facts(event.seq), now).unwrap();
            assert_eq!(shown.standing, end.outcome.into(), "{open:?}");
        }
    }

    fn check_questions(&self) {
        let (state, now) = (self.desk.state(), self.desk.now);
        assert!(
            state.questions().keys().copied().eq(self.model.open_questions().map(|(event, _)| event.seq))
        );
        for (asked, question) in self.model.questions() {
            // Of a question that was redacted nobody can say any more what it was.
            let Some(there) = self.desk.event(asked.seq).filter(|event| event.message().is_some()) else {
                continue;
            };
            let view = question::show(state, there, &self.desk.facts(asked.seq), now).unwrap();
            let waiting = self.model.asked_in(asked.seq);
            assert_eq!((&view.waiting, &view.asker, &view.options), (&waiting, &asked.by, &question.options));
            let ends_at = self.model.question_ends_at(asked, question, now);
            let answer = self.model.answers(asked).next();
            let is_there = |seq: Seq| self.desk.event(seq).is_some_and(|event| event.message().is_some());
            let shown = answer.filter(|(event, _)| is_there(event.seq));
            let given = view.answer.as_ref().map(|answer| (answer.event_id, answer.choice.as_str()));
            assert_eq!(given, shown.map(|(event, choice)| (event.id, choice)), "{question:?}");
            match view.standing {
                QuestionStanding::Open => {
                    assert!(!waiting.is_empty() && ends_at.is_none_or(|end| now <= end))
                }
                QuestionStanding::Over => {
                    assert!(!waiting.is_empty() && ends_at.is_some_and(|end| now > end))
                }
                QuestionStanding::Answered => assert!(answer.is_some() && waiting.is_empty()),
                _ => assert!(answer.is_none() && waiting.is_empty(), "{view:?}"),
            }
            if !waiting.is_empty() {
                assert_eq!(view.ends_at, ends_at);
            }
        }
    }

    fn check_approvals(&self) {
        let (state, now) = (self.desk.state(), self.desk.now);
        let open = self.model.open_approvals().map(|(_, open)| open.approval_id);
        assert!(state.approvals().keys().copied().eq(open));
        for (event, open) in self.model.approvals() {
            let view = approval::show(state, event, &self.desk.facts(event.seq), now).unwrap();
            let ends_at = self.model.approval_ends_at(event, open, now);
            let expected = match self.model.verdicts(open.approval_id).next() {
                Some((_, decide)) => (&decide.verdict).into(),
                None if now > ends_at => ApprovalStanding::Over,
                None => ApprovalStanding::Open,
            };
            assert_eq!((view.standing, &view.requester), (expected, &event.by), "{open:?}");
        }
        let pins: Vec<_> = state.pins().iter().map(|(seq, pin)| (*seq, pin.pinned_by_event.seq)).collect();
        assert_eq!(pins, self.model.pinned().into_iter().collect::<Vec<_>>(), "what is pinned");
    }

    fn check_leases(&self) {
        let (state, now) = (self.desk.state(), self.desk.now);
        let listed: Vec<_> = reservation::list(state, true, now)
            .into_iter()
            .map(|view| (view.reservation_id, view.holder, view.globs, view.until, view.lapsed))
            .collect();
        let leases = self.model.leases();
        let expected: Vec<_> = leases
            .iter()
            .map(|one| (one.id, one.holder.clone(), one.globs.clone(), one.until, now >= one.until))
            .collect();
        assert_eq!(listed, expected, "reservations");
        for path in PATHS {
            let held = reservation::holder_of(state, path, now).into_iter().map(|view| view.reservation_id);
            let held: Vec<_> = held.collect();
            let expected =
                leases.iter().filter(|one| now < one.until && one.globs.iter().any(|glob| means(glob, path)));
            assert_eq!(held, expected.map(|one| one.id).collect::<Vec<_>>(), "who holds {path}");
        }
    }

    fn check_context(&self) {
        let (state, now) = (self.desk.state(), self.desk.now);
        let listed =
            context::list(state, None).into_iter().map(|view| (view.key, view.version, view.value, view.by));
        let expected = self.model.entries().into_iter().map(|(key, (event, set))| {
            (key, event.seq, set.value.clone().expect("a value"), event.by.clone())
        });
        assert_eq!(listed.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "the shared context");
        let words = context::agents(state, now).into_iter().map(|view| {
            let said = (view.focus, view.next, view.blocker, view.waiting_for, view.until);
            (view.actor_id, said, view.stale, view.version)
        });
        let expected = self.model.words().into_iter().map(|(id, (event, said))| {
            let stale = said.until.is_some_and(|until| now > until);
            let awaited = self.model.awaited(event.seq, said);
            let text = (said.focus.clone(), said.next.clone(), said.blocker.clone(), awaited, said.until);
            (id, text, stale, event.seq)
        });
        assert_eq!(words.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "what agents are doing");
    }

    fn check_waits_and_policies(&self) {
        let (state, now) = (self.desk.state(), self.desk.now);
        let graph = wait::graph(state, now);
        let edges = self.model.waits(now);
        assert_eq!(graph.waits.iter().map(Edge::of).collect::<Vec<_>>(), edges, "who waits for whom");
        expect_circles(&self.model, &graph, &edges);
        if self.model.jumps {
            return;
        }
        let expected = self.model.words_due(&graph.cycles, now);
        let due: Vec<Word> = expected.iter().filter(|word| word.at <= now).cloned().collect();
        let mut found: Vec<Word> = policy::due(state, now)
            .iter()
            .filter_map(|effect| match effect {
                Effect::Notify(reminder) => Some(Word::of(reminder)),
                _ => None,
            })
            .collect();
        found.sort();
        assert_eq!(found, due, "what is due at {now}; expected at all: {expected:#?}");
        let plans =
            self.model.plans.iter().filter(|_| self.schedules_run()).filter_map(|plan| plan.next(now));
        let lapse = self.model.next_lapse(now).filter(|_| !graph.cycles.is_empty());
        let next =
            expected.iter().map(|word| word.at).chain(plans).chain(self.model.next_upkeep(now)).chain(lapse);
        let next = next.min();
        assert_eq!(policy::next_deadline(state, now), next, "when something is due next");
    }

    fn schedules_run(&self) -> bool {
        matches!(self.model.mode, GroupMode::Active | GroupMode::Idle)
    }

    fn check_schedules(&self) {
        let (state, now) = (self.desk.state(), self.desk.now);
        assert!(state.schedules().keys().eq(self.model.plans.iter().map(|plan| &plan.id)), "schedules");
        let due =
            schedule::due(state, now).into_iter().map(|firing| (firing.schedule_id, firing.scheduled_at));
        let plans = self.model.plans.iter().filter(|_| self.schedules_run());
        let expected = plans.filter_map(|plan| Some((plan.id.clone(), plan.next(now)?)));
        assert_eq!(
            due.collect::<Vec<_>>(),
            expected.filter(|(_, at)| *at <= now).collect::<Vec<_>>(),
            "at {now}"
        );
        for plan in &self.model.plans {
            let schedule = &state.schedules()[&plan.id];
            assert_eq!((schedule.completed, schedule.enabled), (plan.completed, plan.enabled), "{plan:?}");
            assert_eq!(schedule.next_at(now), plan.next(now), "{plan:?} at {now}");
        }
    }

    /// What follows from who is present.
    pub(super) fn check_presence(&self, facts: &Facts, due: &[Upkeep]) {
        let mut members: Vec<_> = self.model.members.iter().collect();
        members.sort_by(|a, b| a.id.cmp(&b.id));
        members.retain(|_| self.model.mode != GroupMode::Archived);
        let day = std::time::Duration::from_secs(24 * 60 * 60);
        let gone = |session: &Option<String>| {
            session.as_ref().is_some_and(|session| facts.condition(session) == Condition::Absent)
        };
        let claims = self.model.claims().filter(|(_, session)| gone(session)).map(|(id, _)| *id);
        let mut claims: Vec<_> = claims.filter(|_| self.model.mode != GroupMode::Archived).collect();
        claims.sort_unstable();
        claims.dedup();
        let mut expected: Vec<Upkeep> =
            claims.into_iter().map(|delivery| Upkeep::LoseClaim { delivery }).collect();
        let now = self.desk.now;
        let may_end = !matches!(self.model.mode, GroupMode::Paused | GroupMode::Archived);
        let over =
            self.model.open_votes().filter(|(event, open)| self.model.vote_ends_at(event, open, now) < now);
        expected.extend(over.filter(|_| may_end).map(|(_, open)| Upkeep::EndVote { vote: open.vote_id }));
        let over = self.model.open_approvals().filter(|_| may_end);
        let over = over.filter(|(event, open)| self.model.approval_ends_at(event, open, now) < now);
        expected.extend(over.map(|(_, open)| Upkeep::EndApproval { approval: open.approval_id }));
        let over = self.model.open_questions().filter(|_| may_end);
        let over = over.filter(|(event, asks)| {
            self.model.question_ends_at(event, asks, now).is_some_and(|end| end < now)
        });
        expected.extend(over.map(|(event, _)| Upkeep::EndQuestion { question: event.id }));
        for member in &members {
            if let Some((session, _)) = member.session.as_ref().filter(|_| member.session_open)
                && facts.condition(&session.session) == Condition::Absent
            {
                expected.push(Upkeep::CloseSession { session: session.session.clone() });
            }
        }
        for member in members.iter().filter(|_| self.schedules_run()) {
            let away = self.desk.now.since(member.last_seen) >= day;
            if member.ephemeral && !member.session_open && away {
                expected.push(Upkeep::Retire { actor_id: member.id.clone() });
            }
        }
        assert_eq!(due, expected, "what follows from {facts:?}");
    }

    /// Who somebody was before, and a name for somebody new.
    pub(super) fn check_arrival(&self, facts: &Facts, open: &OpenSession, seed: u64) {
        let state = self.desk.state();
        let was_it = |member: &&Member| {
            member.session.as_ref().is_some_and(|(session, _)| {
                let ended = !member.session_open || facts.condition(&session.session) == Condition::Absent;
                session.runtime == open.runtime
                    && session.cwd == open.cwd
                    && session.agent_session_id == open.agent_session_id
                    && (open.agent_session_id.is_some() || ended)
            })
        };
        let candidates: Vec<&Member> = self.model.members.iter().filter(was_it).collect();
        let newest = candidates.iter().map(|member| member.last_seen).max();
        let newest = candidates.iter().filter(|member| Some(member.last_seen) == newest);
        let newest: Vec<_> = newest.map(|member| &member.id).collect();
        match join::returning(state, facts, open) {
            Some(found) => assert!(newest.contains(&found), "{found}, of {newest:?}: {open:?}"),
            None => assert!(newest.is_empty(), "{newest:?}: {open:?}"),
        }
        let name = join::fresh_name(state, seed).unwrap();
        let had = self.model.log.iter().any(|event| match &event.body {
            Body::ActorAdd(add) => add.actor_id == name,
            _ => false,
        });
        assert!(!had, "{name} was somebody else's");
        let now = self.desk.now;
        assert_eq!(presence::next_deadline(state, now), self.model.next_upkeep(now));
    }

    /// What the model says a command will come to, where it can say that.
    pub(super) fn foresee(&self, by: &str, command: &Command) -> Foreseen {
        let (by, now) = (who(by), self.desk.now);
        if let Command::Join(join) = command
            && self.model.mode != GroupMode::Archived
        {
            let known = self.model.member(&by).is_some();
            return match join.arrival {
                _ if by.actor().is_none() => Foreseen::Refused(ErrorKind::Refused, true),
                Arrival::New if known => Foreseen::Refused(ErrorKind::Conflict, true),
                Arrival::Returning if !known => Foreseen::Refused(ErrorKind::NotFound, true),
                _ => Foreseen::Refused(ErrorKind::Refused, !known && !self.model.is_open_to_all()),
            };
        }
        let is_elsewhere = matches!(by, Principal::Service(_) | Principal::System);
        if !(self.model.is_here(&by) || is_elsewhere) || self.model.mode == GroupMode::Archived {
            return Foreseen::Anything;
        }
        match command {
            Command::Reserve { globs, .. } => {
                let held = !self.model.in_the_way(&by, globs, now).is_empty();
                Foreseen::Refused(ErrorKind::Conflict, held)
            }
            Command::SetContext { key, base, value } => {
                let entries = self.model.entries();
                let present = entries.get(key);
                let same = present.map_or(value.is_none(), |(_, set)| set.value == *value);
                let version = present.map_or(Seq(0), |(event, _)| event.seq);
                let own = |event: &Event| event.by == by && self.model.same_since(&by, event.seq);
                let seen = match base {
                    Some(base) => *base == version,
                    None => present.is_none_or(|(event, _)| own(event)),
                };
                if same { Foreseen::Nothing } else { Foreseen::Refused(ErrorKind::Conflict, !seen) }
            }
            Command::AddPerson(add) if by == Principal::User && add.title.is_none() => {
                match self.model.is_here(&add.person_id.clone().into()) {
                    true => Foreseen::Nothing,
                    false => Foreseen::Anything,
                }
            }
            Command::AddActor(add) if by == Principal::User => {
                let known = self.model.is_here(&add.actor_id.clone().into());
                Foreseen::Refused(ErrorKind::Conflict, known)
            }
            _ => Foreseen::Anything,
        }
    }
}

/// What a command will come to.
#[derive(Debug)]
pub(super) enum Foreseen {
    /// The model does not say.
    Anything,
    /// Nothing is written.
    Nothing,
    /// It is refused in this way, or not in this way.
    Refused(ErrorKind, bool),
}

impl Foreseen {
    pub(super) fn compare(&self, shown: &str, done: &Result<Done>) {
        match (self, done) {
            (Self::Nothing, Ok(done)) => assert!(done.events.is_empty(), "{shown}: {:?}", done.events),
            (Self::Refused(kind, true), done) => {
                assert_eq!(done.as_ref().err().map(cccc_core::Error::kind), Some(*kind), "{shown}: {done:?}");
            }
            (Self::Refused(kind, false), Err(error)) => assert_ne!(error.kind(), *kind, "{shown}: {error}"),
            _ => {}
        }
    }
}
