//! The commands of a history's steps: numbers choose among what there is.

use std::time::Duration;

use cccc_core::command::{
    AddActor, AddPerson, AddSchedule, AddTask, Appendix, Arrival, JoinGroup, OpenSession, SendMessage,
    UpdateTask, When,
};
use cccc_core::event::{
    ActorRemove, ActorUpdate, Choice, ContextValue, Evidence, EvidenceKind, GroupMode, GroupSetState,
    GroupUpdate, JoinPolicy, NotIf, PersonRemove, Priority, Role, ScheduleAction, Service, TaskOp, Transport,
    Wish,
};
use cccc_core::rule::desk::{event, message, who};
use cccc_core::{
    ActorId, ApprovalId, Command, ContextKey, EventRef, PersonId, Principal, Seq, TaskId, VoteId,
};

use super::World;
use super::model_lease::GLOBS;
use super::model_schedule::CRONS;
use super::ops::{ACTORS, Op, PEOPLE, RECEIVERS, What};

fn one_in(k: usize, n: usize) -> bool {
    n.is_multiple_of(k)
}

fn pick<T: Clone>(n: usize, of: &[T]) -> Option<T> {
    of.get(n.checked_rem(of.len())?).cloned()
}

fn label(n: usize) -> cccc_core::Label {
    ["docs", "ui", "review"][n % 3].parse().unwrap()
}

fn seconds(n: usize) -> Duration {
    Duration::from_secs(u64::try_from(n).unwrap() + 1)
}

fn actor(n: usize) -> ActorId {
    ACTORS[n % ACTORS.len()].parse().unwrap()
}

fn person(n: usize) -> PersonId {
    ["p", "q"][n % 2].parse().unwrap()
}

/// Mostly one of the newest, so that things happen to the same.
fn recent<T: Clone>(n: usize, of: &[T]) -> Option<T> {
    let newest = of.len().saturating_sub(1 + n % 7);
    if n.is_multiple_of(3) { pick(n, of) } else { of.get(newest).cloned() }
}

impl World {
    pub(super) fn message(&self, n: usize) -> Option<EventRef> {
        let messages: Vec<Seq> =
            self.model.log.iter().filter(|e| e.message().is_some()).map(|e| e.seq).collect();
        Some(event(recent(n, &messages)?))
    }

    fn a_task(&self, n: usize) -> Option<TaskId> {
        recent(n, &self.model.task_ids().collect::<Vec<_>>())
    }

    fn vote(&self, n: usize) -> Option<VoteId> {
        recent(n, &self.model.votes().map(|(_, open)| open.vote_id).collect::<Vec<_>>())
    }

    fn request(&self, n: usize) -> Option<ApprovalId> {
        recent(n, &self.model.approvals().map(|(_, open)| open.approval_id).collect::<Vec<_>>())
    }

    /// The command of a step, and who gives it; nothing where a step needs what is not there, or is more
    /// than one command.
    pub(super) fn command(&self, op: &Op) -> Option<(String, Command)> {
        let [x, y, z] = op.n;
        let by = PEOPLE[op.by].to_owned();
        let user = || "user".to_owned();
        let somebody = |n: usize| PEOPLE[n % RECEIVERS].to_owned();
        Some(match op.what {
            What::Send => (by, Command::Send(self.sending(x, y, z))),
            What::Answer => {
                let reply_to = Some(self.message(x)?);
                let send = SendMessage { reply_to, progress: one_in(3, y), ..message("re", &[]) };
                (self.addressee(x).filter(|_| !one_in(5, z)).unwrap_or(by), Command::Send(send))
            }
            What::Ack => {
                let by = self.addressee(x).filter(|_| !one_in(5, z)).unwrap_or(by);
                (by, Command::Ack { event: self.message(x)? })
            }
            What::Read if one_in(4, y) => (by, Command::MarkReadThrough { event: self.message(x)? }),
            What::Read => (by, Command::MarkRead { events: vec![self.message(x)?] }),
            What::Cancel => {
                let recipients = if one_in(2, y) { vec![] } else { vec![who(&somebody(z))] };
                (by, Command::Cancel { event: self.message(x)?, recipients, reason: String::new() })
            }
            What::Retract => (by, Command::Retract { event: self.message(x)?, reason: String::new() }),
            What::Pull => {
                let events =
                    self.model.unread_of(&who(&by)).map(|row| self.model.id(row.seq)).take(1_000).collect();
                (by.clone(), Command::Pull { events, mark_read: one_in(2, x) })
            }
            What::Take => {
                let events = self.model.unread_of(&who(&by)).map(|row| self.model.id(row.seq)).collect();
                (by.clone(), Command::Take { events })
            }
            What::LoseClaims => {
                let sessions = self.model.claims().filter_map(|(_, session)| session.clone());
                let sessions = sessions
                    .filter(|session| (session.bytes().map(usize::from).sum::<usize>() + x).is_multiple_of(2))
                    .collect();
                (
                    ["system".to_owned(), by][usize::from(one_in(5, y))].clone(),
                    Command::LoseClaims { sessions },
                )
            }
            What::AddTask => (by, Command::AddTask(self.adding(x, y, z, true))),
            What::TrackedSend => {
                let to = somebody(z);
                let message = SendMessage { reply_required: one_in(7, y), ..message("do it", &[&to]) };
                (by, Command::TrackedSend { task: self.adding(x, y, z, false), message })
            }
            What::Task => {
                let task_id = self.a_task(x)?;
                let task = self.model.task(task_id);
                let op = self.task_op(task_id, y, z)?;
                let asker =
                    if self.model.is_here(&task.asker) { task.asker.clone() } else { Principal::User };
                // Mostly somebody who may.
                let by = match &op {
                    TaskOp::Checked { .. } => who("svc:host"),
                    _ if one_in(5, z) => who(&by),
                    TaskOp::Take {} | TaskOp::Keep { .. } => task.offered_to.unwrap_or(who(&by)),
                    TaskOp::Accept { .. } | TaskOp::Cancel { .. } | TaskOp::Assign { .. } => asker,
                    TaskOp::Edit { .. } | TaskOp::Reopen { .. } => asker,
                    _ => task.doer(),
                };
                let update = UpdateTask { task_id, base_version: None, changes: vec![op] };
                (by.to_string(), Command::UpdateTask(update))
            }
            What::Finish => {
                let task_id = self.a_task(x)?;
                let task = self.model.task(task_id);
                let mut changes: Vec<TaskOp> =
                    task.missing.iter().map(|kind| TaskOp::Evidence(evidence(*kind, y))).collect();
                let open = (1..).zip(&task.steps).filter(|(_, done)| !**done).map(|(item, _)| item);
                changes.extend(open.map(|item| TaskOp::Check { item, done: true }));
                changes.push(TaskOp::Done { text: String::new() });
                (
                    task.doer().to_string(),
                    Command::UpdateTask(UpdateTask { task_id, base_version: None, changes }),
                )
            }
            What::OpenVote => {
                let released = actor(y);
                let subject = match x % 6 {
                    0 => format!("release {released}"),
                    3 => format!("release {released} to {}", actor(z)),
                    _ => format!("Question {}?", x % 5),
                };
                let named =
                    [vec![], vec!["user", "a", "b"], vec!["a", "b"], vec!["user", "lead", "c", "user:p"]];
                let voters = named[if one_in(3, x) { 0 } else { z % 4 }].iter().map(|id| who(id)).collect();
                (by, Command::OpenVote { subject, voters, within: seconds(y * [1, 300][z % 2]) })
            }
            What::Cast => {
                let vote = self.vote(x)?;
                let waits = |debt: &super::model_mail::Debt| debt.source.seq == vote.seq();
                let voters =
                    self.model.debts(self.desk.now).into_iter().filter(waits).map(|debt| debt.debtor);
                let by = pick(z, &voters.collect::<Vec<_>>())
                    .filter(|_| !one_in(7, z))
                    .map_or(by, |voter| voter.to_string());
                let choice = [Choice::Yes, Choice::Yes, Choice::No, Choice::Abstain][y % 4];
                (by, Command::CastVote { vote, choice, reason: String::new() })
            }
            What::CloseVote => (by, Command::CloseVote { vote: self.vote(x)?, reason: String::new() }),
            What::Ask => {
                let options = [&["yes", "no"][..], &["1", "2", "3"]][x % 2];
                let to = [
                    &["a"][..],
                    &["a", "b"],
                    &["user", "c"],
                    &["user"],
                    &["lead", "user:q"],
                    &["@all"],
                    &["@users"],
                ];
                let asks = SendMessage {
                    options: options.iter().map(|option| (*option).to_owned()).collect(),
                    reply_within: (one_in(2, y)).then(|| seconds(z * 2)),
                    priority: [Priority::Normal, Priority::Attention][usize::from(one_in(5, z))],
                    reply_to: if one_in(7, z) { self.message(z) } else { None },
                    ..message("which?", to[y % 7])
                };
                (by, Command::Send(asks))
            }
            What::Choose => {
                let asked: Vec<Seq> = self.model.questions().map(|(event, _)| event.seq).collect();
                let question = recent(x, &asked)?;
                let by = pick(y, &self.model.asked_in(question)).filter(|_| !one_in(5, z));
                let by = by.map_or(PEOPLE[op.by].to_owned(), |debtor| debtor.to_string());
                let choice = ["yes", "no", "1", "2", "maybe"][y % 5].to_owned();
                let answers = SendMessage {
                    reply_to: Some(event(question)),
                    choice: Some(choice),
                    ..message(["", "because"][z % 2], &[])
                };
                (by, Command::Send(answers))
            }
            What::CloseQuestion => {
                let asked: Vec<Seq> = self.model.questions().map(|(event, _)| event.seq).collect();
                (by, Command::CloseQuestion { question: event(recent(x, &asked)?) })
            }
            What::OpenApproval => {
                let request = Command::OpenApproval {
                    subject: format!("Do {}", x % 4),
                    tool: None,
                    input: None,
                    within: seconds(y),
                    client_id: (one_in(3, z)).then(|| format!("k{}", x % 4)),
                };
                (if one_in(5, z) { by } else { actor(y).to_string() }, request)
            }
            What::Decide => {
                let approval = self.request(x)?;
                let by = [user(), user(), "lead".to_owned(), by, "user:p".to_owned()][z % 5].clone();
                (by, Command::DecideApproval { approval, allow: one_in(2, y), reason: String::new() })
            }
            What::CloseApproval => {
                let approval = self.request(x)?;
                let by = if one_in(3, y) { by } else { self.model.event(approval.seq())?.by.to_string() };
                (by, Command::CloseApproval { approval, reason: String::new() })
            }
            What::Pin => (by, Command::Pin { event: self.message(x)?, note: String::new() }),
            What::Unpin => {
                let pinned: Vec<Seq> = self.model.pinned().into_keys().collect();
                (by, Command::Unpin { event: event(pick(x, &pinned)?), reason: String::new() })
            }
            What::Reserve => {
                let globs =
                    [x, y].iter().take(1 + z % 2).map(|n| GLOBS[n % GLOBS.len()].to_owned()).collect();
                (by, Command::Reserve { globs, purpose: String::new(), lease: seconds(z * 5) })
            }
            What::Extend => {
                let lease = recent(x, &self.model.leases())?;
                let by = if one_in(4, y) { by } else { lease.holder.to_string() };
                (by, Command::ExtendReservation { reservation: lease.id, lease: seconds(z * 3) })
            }
            What::Release => {
                let lease = recent(x, &self.model.leases())?;
                (by, Command::ReleaseReservation { reservation: lease.id, reason: String::new() })
            }
            What::Labels => {
                let actor_id = (one_in(4, x)).then(|| actor(y));
                let (add, remove) = (vec![label(y)], vec![label(z)]);
                (by, Command::ChangeLabels { actor_id, add, remove })
            }
            What::SetContext => {
                let known: Vec<ContextKey> = self.model.entries().into_keys().collect();
                let fixed = ["brief", "vision", "services/api"][y % 3].parse().unwrap();
                let key = if one_in(3, x) { pick(y, &known).unwrap_or(fixed) } else { fixed };
                let version = self.model.entries().get(&key).map_or(Seq(0), |(event, _)| event.seq);
                let base =
                    [None, Some(version), Some(Seq(version.0.saturating_sub(1))), Some(version)][z % 4];
                let text = ContextValue::Text(format!("text {}", z % 5));
                let owner = (one_in(2, z)).then(|| actor(z));
                let service = Service { kind: "http".into(), address: format!("port {}", z % 3), owner };
                let value = if key.section() == "services" { ContextValue::Service(service) } else { text };
                (by, Command::SetContext { key, base, value: Some(value).filter(|_| !one_in(5, x)) })
            }
            What::Append => {
                let section = if one_in(2, x) { Appendix::Decision } else { Appendix::Note };
                (by, Command::AppendContext { section, text: format!("word {}", y % 4) })
            }
            What::AgentState => {
                let actor_id = (one_in(4, x)).then(|| actor(y));
                let said =
                    |n: usize, text: &str| [None, Some(String::new()), Some(text.to_owned())][n % 3].clone();
                let until = (one_in(3, z)).then(|| self.desk.now.after(seconds(y)));
                let (focus, next, blocker) = (said(x, "focus"), said(y, "next"), said(z, "blocker"));
                let waiting_for = match z % 7 {
                    0 => Some(String::new()),
                    1 => self.a_task(x).map(|task| task.to_string()),
                    2 => recent(x, &self.model.leases()).map(|lease| lease.id.to_string()),
                    3 | 4 => Some(somebody(x)),
                    _ => None,
                };
                let word =
                    Command::SetAgentState { actor_id, focus, next, blocker, waiting_for, until, base: None };
                (by, word)
            }
            What::See => {
                let unseen = self.model.unseen(&who(&by));
                (by, Command::SeeNotices { through: pick(x, &unseen)? })
            }
            What::Join => {
                let session = OpenSession {
                    session: if one_in(5, x) { "same".into() } else { format!("s{}", self.model.log.len()) },
                    runtime: "claude".into(),
                    agent_session_id: (one_in(2, y)).then(|| format!("c{}", y % 3)),
                    cwd: ["/a", "/b"][z % 2].into(),
                    branch: None,
                };
                if one_in(3, x) {
                    return Some((actor(y).to_string(), Command::OpenSession(session)));
                }
                let arrival = [Arrival::Named, Arrival::Returning, Arrival::New][z % 3];
                let join = JoinGroup { session, title: String::new(), labels: vec![label(x)], arrival };
                (actor(y).to_string(), Command::Join(join))
            }
            What::CloseSession => {
                let member = pick(x, &self.model.members)?;
                let session = member.session.as_ref()?.0.session.clone();
                (member.id.to_string(), Command::CloseSession { session, reason: None })
            }
            What::Add => {
                let add =
                    AddActor { ephemeral: one_in(3, y), labels: vec![label(z)], ..AddActor::new(actor(x)) };
                (if one_in(3, z) { by } else { user() }, Command::AddActor(add))
            }
            What::Remove => {
                let successor = (one_in(2, y)).then(|| actor(z));
                let remove = ActorRemove { actor_id: actor(x), reason: "tired".into(), successor };
                (if one_in(3, y) { by } else { user() }, Command::RemoveActor(remove))
            }
            What::AddPerson => {
                let title = one_in(3, y).then(|| format!("Person {}", z % 2));
                let add = AddPerson { person_id: person(x), title };
                (if one_in(5, z) { by } else { user() }, Command::AddPerson(add))
            }
            What::RemovePerson => {
                let successor = (one_in(2, y)).then(|| who(&somebody(z)));
                let remove = PersonRemove { person_id: person(x), reason: "tired".into(), successor };
                (if one_in(3, y) { by } else { user() }, Command::RemovePerson(remove))
            }
            What::Lead => {
                let role = Some(if one_in(4, y) { Role::Peer } else { Role::Foreman });
                (user(), Command::UpdateActor(ActorUpdate { role, ..ActorUpdate::of(actor(x)) }))
            }
            What::Mode => {
                let state = match (self.model.mode, x % 8) {
                    (GroupMode::Active, 0..2) => GroupMode::Paused,
                    (GroupMode::Active, 4) => GroupMode::Idle,
                    (GroupMode::Active, 5) => GroupMode::Stopped,
                    (GroupMode::Active, 6) if one_in(3, y) => GroupMode::Archived,
                    _ => GroupMode::Active,
                };
                (user(), Command::SetState(GroupSetState { state, reason: String::new() }))
            }
            What::JoinPolicy => {
                let join = Some([JoinPolicy::Open, JoinPolicy::Ask, JoinPolicy::Closed][x % 3]);
                (user(), Command::UpdateGroup(GroupUpdate { join, ..GroupUpdate::default() }))
            }
            What::Setting if one_in(5, z) => {
                let name = ["approval.foreman", "approval.people"][y % 2];
                let settings = [(name.to_owned(), (!one_in(3, x)).into())].into();
                let update = GroupUpdate { settings, ..GroupUpdate::default() };
                (if one_in(5, y) { by } else { user() }, Command::UpdateGroup(update))
            }
            What::Setting => {
                let policy = ["unread", "attention", "reply", "cycle", "idle", "keepalive", "silence"][x % 7];
                let value = [0.into(), serde_json::Value::Null, 1_000.into(), (60_000 * (1 + z % 60)).into()]
                    [y % 4]
                    .clone();
                let settings = [(format!("policy.{policy}_ms"), value)].into();
                (user(), Command::UpdateGroup(GroupUpdate { settings, ..GroupUpdate::default() }))
            }
            What::AddSchedule => self.scheduling(by, x, y, z),
            What::EnableSchedule => {
                let plan = pick(x, &self.model.plans)?;
                let by = if one_in(3, z) { by } else { user() };
                (by, Command::EnableSchedule { schedule_id: plan.id, enabled: one_in(2, y) })
            }
            What::RemoveSchedule => {
                (by, Command::RemoveSchedule { schedule_id: pick(x, &self.model.plans)?.id })
            }
            What::ClearSchedules => (by, Command::ClearSchedules),
            What::Claim => {
                let recipient = if one_in(5, z) { person(x).into() } else { Principal::from(actor(x)) };
                let rows: Vec<EventRef> =
                    self.model.unread_of(&recipient).map(|row| event(row.seq)).collect();
                let events = vec![recent(y, &rows)?];
                ("svc:host".into(), Command::Claim { recipient, events, transport: Transport::Push })
            }
            What::Burst
            | What::Chat
            | What::Redact
            | What::Upkeep
            | What::Due
            | What::Wait
            | What::WaitLong
            | What::WaitUntilDue
            | What::Jump => return None,
        })
    }

    /// Somebody to whom a message was addressed.
    fn addressee(&self, n: usize) -> Option<String> {
        let sent = self.model.event(self.message(n)?.seq())?.message()?;
        pick(n, &sent.recipients).map(|to| to.to_string())
    }

    fn sending(&self, x: usize, y: usize, z: usize) -> SendMessage {
        let to = [
            "a", "b", "c", "lead", "user", "@all", "@peers", "@foreman", "#docs", "d", "user:p", "user:q",
            "@users", "",
        ][x % 14];
        let not_if = (one_in(6, z)).then(|| self.a_task(y)).flatten();
        SendMessage {
            priority: [Priority::Normal, Priority::Attention, Priority::Low, Priority::Normal][y % 4],
            reply_required: one_in(3, y),
            reply_within: (one_in(3, y) && one_in(2, z)).then(|| seconds(z)),
            not_if: not_if.map(|task| NotIf::TaskClosed { task_id: task.to_string() }).into_iter().collect(),
            reply_to: if one_in(7, z) { self.message(z) } else { None },
            ..message("hello", if to.is_empty() { &[] } else { std::slice::from_ref(&to) })
        }
    }

    fn adding(&self, x: usize, y: usize, z: usize, owned: bool) -> AddTask {
        let kinds =
            [vec![], vec![], vec![EvidenceKind::Commit], vec![EvidenceKind::Text, EvidenceKind::Command]];
        AddTask {
            title: format!("Task {x}"),
            outcome: String::new(),
            owner: (owned && !one_in(5, y)).then(|| PEOPLE[y % RECEIVERS].to_owned()),
            depends_on: [self.a_task(x), self.a_task(z)].into_iter().flatten().take(z % 3).collect(),
            checklist: (0..z % 3).map(|n| format!("step {n}")).collect(),
            requires: kinds[x % 4].clone(),
            due_within: (one_in(2, y)).then(|| seconds(z * 2)),
            client_id: None,
        }
    }

    fn task_op(&self, task: TaskId, y: usize, z: usize) -> Option<TaskOp> {
        let reason = String::new();
        let somebody = || Some(who(PEOPLE[z / 3 % RECEIVERS]));
        Some(match y % 24 {
            0..3 => TaskOp::Start {},
            3 => TaskOp::Plan {},
            4 | 5 => TaskOp::Assign { owner: somebody().filter(|_| !one_in(4, z)), reason },
            6 => TaskOp::AddItem { text: "more".into() },
            7 => TaskOp::Check { item: u32::try_from(1 + z % 3).ok()?, done: !one_in(4, z) },
            8 => TaskOp::Note { text: "note".into() },
            9 => TaskOp::Evidence(evidence(EvidenceKind::ALL[[0, 3, 4][z % 3]], z)),
            10 | 11 => TaskOp::Offer { to: somebody()? },
            12 | 13 => TaskOp::Take {},
            14 => TaskOp::Keep { reason },
            15 => TaskOp::Depend { on: self.a_task(z).filter(|on| *on != task)? },
            16 => TaskOp::Undepend {
                on: pick(z, &self.model.task(task).depends_on.into_iter().collect::<Vec<_>>())?,
            },
            17 => TaskOp::Decline { reason },
            18 => TaskOp::Accept { text: String::new() },
            19 => TaskOp::Reopen { reason },
            20 => TaskOp::Cancel { reason },
            21 | 22 => {
                let given = self.model.updates(task).filter(|(_, op)| matches!(op, TaskOp::Evidence(_)));
                let given: Vec<Seq> = given.map(|(event, _)| event.seq).collect();
                TaskOp::Checked { evidence: recent(z, &given)?, holds: one_in(3, z), found: String::new() }
            }
            _ => TaskOp::Edit {
                title: None,
                outcome: None,
                requires: Some(vec![EvidenceKind::ALL[[0, 3, 4][z % 3]]]),
            },
        })
    }

    fn scheduling(&self, by: String, x: usize, y: usize, z: usize) -> (String, Command) {
        let at = self.desk.now.after(seconds(z % 40 * 30));
        let (expr, tz, _) = CRONS[z % CRONS.len()];
        let when = match x % 3 {
            0 => When::Every(seconds(59 + z)),
            1 => When::Cron { expr: expr.into(), tz: Some(tz.into()) },
            _ => When::At(at),
        };
        let notify = ScheduleAction::Notify {
            to: vec![["a", "@all", "user", "@users"][y % 4].into()],
            text: "now".into(),
        };
        let wish = [Wish::Start, Wish::Stop, Wish::Restart][z / 5 % 3];
        let action = match y % 5 {
            0 if x % 3 == 2 => {
                ScheduleAction::SetState { state: [GroupMode::Idle, GroupMode::Active][z % 2] }
            }
            1..4 if x % 3 == 2 => ScheduleAction::Control { actor_id: actor(z), wish },
            _ => notify,
        };
        let schedule_id =
            Some(["one", "two", "three", "four"][z % 4].parse().unwrap()).filter(|_| one_in(2, y));
        let by = if one_in(3, z) { by } else { "user".to_owned() };
        (by, Command::AddSchedule(AddSchedule { schedule_id, when, action }))
    }
}

fn evidence(kind: EvidenceKind, n: usize) -> Evidence {
    match kind {
        EvidenceKind::Commit => Evidence::Commit { commit: "abcdef0".into() },
        EvidenceKind::Command => {
            let exit_code = i32::from(one_in(3, n));
            Evidence::Command { command: "test".into(), exit_code, output: String::new() }
        }
        _ => Evidence::Text { text: "seen".into() },
    }
}
