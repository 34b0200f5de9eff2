//! The state stays small, however much has happened: every byte that it holds is counted.
//!
//! Events are made here and applied, without any ledger, so that a million of them take seconds. A binary of
//! its own, because the allocator that counts takes the place of the program's.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests stop where they fail, and say what they measured"
)]

use std::time::Duration;

use allocation_counter::measure;
use cccc_core::event::{
    ActorAdd, ActorRemove, AgentState, ApprovalDecide, ApprovalOpen, Body, CancelCause, ChatAck, ChatCancel,
    ChatMessage, ChatPin, ChatRead, ChatUnpin, Choice, ContextSet, ContextValue, DeliveryState, Event,
    Evidence, EvidenceKind, FiredResult, Format, Priority, ReservationRelease, ReservationTake, Role,
    RuntimeDelivery, ScheduleAction, ScheduleFired, ScheduleRemove, ScheduleSet, SessionClose, SessionOpen,
    SystemNotify, TaskCreate, TaskOp, TaskUpdate, Transport, Trigger, Verdict, VoteCast, VoteClose, VoteOpen,
    VoteOutcome,
};
use cccc_core::rule::desk::{Desk, who};
use cccc_core::state::GroupState;
use cccc_core::{ActorId, ApprovalId, EventId, Principal, ReservationId, Seq, TaskId, VoteId};

/// What everything may leave that is over: what the issue of this library asks for.
const MAX_LEFT_BYTES: i64 = 5 << 20;
/// What a million unread messages of one actor may cost.
const MAX_UNREAD_BYTES: i64 = 1 << 20;

const ACTORS: [&str; 8] = ["lead", "a", "b", "c", "d", "e", "f", "g"];

/// A group to which events are fed.
struct Feed {
    state: GroupState,
    /// The last event, from which the next one is made.
    last: Event,
}

impl Feed {
    fn new() -> Self {
        let desk = Desk::with(&ACTORS);
        Self { state: GroupState::new(&"g".parse().unwrap()), last: desk.events()[0].clone() }
            .after(desk.events())
    }

    fn after(mut self, events: &[Event]) -> Self {
        events.iter().for_each(|event| self.state.apply(event));
        self.last = events.last().unwrap().clone();
        self
    }

    fn next(&self) -> Seq {
        self.last.seq.next()
    }

    /// Somebody does something, a second after the last.
    fn say(&mut self, by: &Principal, body: impl Into<Body>) -> EventId {
        let seq = self.next();
        self.last.seq = seq;
        self.last.id = EventId { seq, nonce: self.last.id.nonce };
        self.last.ts = self.last.ts.after(Duration::from_secs(1));
        self.last.by = by.clone();
        self.last.body = body.into();
        self.state.apply(&self.last);
        self.last.id
    }

    fn message(&self, to: &[Principal]) -> ChatMessage {
        ChatMessage {
            text: "hello".into(),
            format: Format::Plain,
            to: Vec::new(),
            recipients: to.to_vec(),
            priority: Priority::Normal,
            reply_required: false,
            due_at: None,
            reply_to: None,
            quote: None,
            progress: false,
            intent: None,
            refs: Vec::new(),
            attachments: Vec::new(),
            client_id: None,
            expires_at: None,
            supersedes: None,
            not_if: Vec::new(),
            options: Vec::new(),
            choice: None,
            root: self.next(),
            depth: 0,
            quiet: Vec::new(),
            task_id: None,
            relay_to: Vec::new(),
            src_group_id: None,
            src_group_title: None,
            src_event_id: None,
        }
    }

    fn read(&mut self, by: &Principal, id: EventId) {
        self.say(by, ChatRead { actor_id: by.clone(), event_ids: vec![id], through_seq: None });
    }

    fn delivered(&mut self, to: &Principal, id: EventId, state: DeliveryState) {
        let delivery = RuntimeDelivery {
            delivery_id: None,
            actor_id: to.clone(),
            generation: 0,
            event_ids: vec![id],
            again: Vec::new(),
            state,
            transport: Transport::Push,
        };
        self.say(&who("svc:host"), delivery);
    }
}

/// What a state holds, in bytes, when `change` has happened to an empty group.
fn held(change: impl FnOnce(&mut Feed)) -> (Feed, i64) {
    let mut kept = None;
    let info = measure(|| {
        let mut feed = Feed::new();
        change(&mut feed);
        kept = Some(feed);
    });
    (kept.unwrap(), info.bytes_current)
}

/// The same, beyond what an empty group holds; also when it is saved and loaded.
fn held_besides(change: impl FnOnce(&mut Feed)) -> (Feed, i64) {
    let (_, empty) = held(|_| {});
    let (feed, full) = held(change);
    let bytes = feed.state.to_bytes().unwrap();
    let mut loaded = None;
    let info = measure(|| loaded = Some(GroupState::from_bytes(&bytes).unwrap()));
    assert_eq!(loaded.as_ref(), Some(&feed.state));
    let left = full - empty;
    println!("{left} bytes are held, {} when loaded, {} saved", info.bytes_current, bytes.len());
    (feed, left.max(info.bytes_current - empty))
}

#[test]
fn a_million_messages_that_are_dealt_with_leave_nothing_to_speak_of() {
    let names: Vec<Principal> = ACTORS.iter().map(|name| who(name)).collect();
    let (feed, left) = held_besides(|feed| {
        for n in 0..500_000 {
            let (asker, asked) = (&names[n % 8], &names[(n / 8 + n % 8 + 1) % 8]);
            if asker == asked {
                continue;
            }
            let to = std::slice::from_ref(asked);
            let asking =
                ChatMessage { priority: Priority::Attention, reply_required: true, ..feed.message(to) };
            let sent = feed.say(asker, asking);
            feed.delivered(asked, sent, DeliveryState::Claimed);
            feed.delivered(asked, sent, DeliveryState::Accepted { by: None, evidence: "turn".into() });
            if n % 2 == 0 {
                feed.read(asked, sent);
            }
            feed.say(asked, ChatAck { actor_id: asked.clone(), event_id: sent });
            let answer = ChatMessage {
                reply_to: Some(sent),
                root: sent.seq,
                depth: 1,
                ..feed.message(std::slice::from_ref(asker))
            };
            let answer = feed.say(asked, answer);
            feed.read(asker, answer);
        }
    });
    assert!(feed.state.messages() > 850_000, "{}", feed.state.messages());
    assert!(
        feed.state.mailboxes().values().all(|mailbox| mailbox.unread.is_empty() && mailbox.owed.is_empty())
    );
    assert!(left < MAX_LEFT_BYTES, "{left} bytes are left");
}

#[test]
fn a_million_unread_messages_of_one_actor_are_cheap() {
    let (a, b) = (who("a"), who("b"));
    // The more there is between them, the wider they are spread; what is quiet is remembered as well.
    for (by, between) in [(who("lead"), 0), (who("lead"), 1), (Principal::User, 1), (Principal::User, 3)] {
        let (feed, left) = held_besides(|feed| {
            for n in 0..1_000_000 {
                // Beyond the rate they are quiet, as they would be.
                let quiet = if n < 30 || by == Principal::User { Vec::new() } else { vec![a.clone()] };
                let message = ChatMessage { quiet, ..feed.message(std::slice::from_ref(&a)) };
                feed.say(&by, message);
                for _ in 0..between {
                    let sent =
                        ChatMessage { priority: Priority::Low, ..feed.message(std::slice::from_ref(&b)) };
                    feed.say(&by, sent);
                }
            }
            let through_seq = Some(feed.last.seq);
            feed.say(&b, ChatRead { actor_id: b.clone(), event_ids: Vec::new(), through_seq });
        });
        assert_eq!(feed.state.mailbox(&a).unwrap().unread.len(), 1_000_000);
        assert!(left < MAX_UNREAD_BYTES, "{left} bytes by {by}, with {between} others between two");
    }
}

#[test]
fn work_that_is_over_leaves_nothing_to_speak_of() {
    let (lead, a, b, system) = (who("lead"), who("a"), who("b"), who("system"));
    let guest = |n: usize| -> ActorId { format!("guest-{n}").parse().unwrap() };
    let (feed, left) = held_besides(|feed| {
        for n in 0..20_000 {
            task(feed, &lead, &a);
            vote(feed, &lead, &[a.clone(), b.clone()]);
            question(feed, &a, &[lead.clone(), b.clone()], n % 2 == 0);
            approval(feed, &a);
            let reservation_id = ReservationId(feed.next());
            let until = feed.last.ts.after(Duration::from_secs(60));
            let globs = vec!["src/**".into()];
            feed.say(
                &a,
                ReservationTake { reservation_id, globs, purpose: "x".into(), until, lapsed: Vec::new() },
            );
            feed.say(&a, ReservationRelease { reservation_id, reason: String::new() });
            for value in [Some(ContextValue::Text("text".into())), None] {
                let key = format!("notes/{n}").parse().unwrap();
                feed.say(&a, ContextSet { key, base_version: Seq(0), value });
            }
            feed.say(&a, words(&a, "focus"));
            schedule(feed, &lead, n);
            feed.say(&system, SystemNotify::new("cycle", lead.clone(), &format!("{n}-reply-a"), 1));
            feed.say(&system, SystemNotify::new("rate", Principal::User, &format!("svc:{n},{n}"), 1));
            come_and_go(feed, guest(n));
        }
    });
    assert_eq!((feed.state.live_tasks(), feed.state.votes().len()), (0, 0));
    assert_eq!((feed.state.questions().len(), feed.state.approvals().len()), (0, 0));
    assert!(left < MAX_LEFT_BYTES, "{left} bytes are left");
}

fn task(feed: &mut Feed, asker: &Principal, owner: &Principal) {
    let task_id = TaskId(feed.next());
    let create = TaskCreate {
        title: "Fix it".into(),
        outcome: "It works".into(),
        owner: Some(owner.clone()),
        depends_on: Vec::new(),
        checklist: vec!["look".into(), "do".into()],
        requires: vec![EvidenceKind::Text],
        due_at: None,
        client_id: None,
    };
    feed.say(asker, create);
    let changes = [
        (owner, TaskOp::Start {}),
        (owner, TaskOp::Evidence(Evidence::Text { text: "seen".into() })),
        (owner, TaskOp::Done { text: String::new() }),
        (asker, TaskOp::Accept { text: String::new() }),
    ];
    for (version, (by, change)) in (2..).zip(changes) {
        feed.say(by, TaskUpdate { task_id, version, change });
    }
}

fn vote(feed: &mut Feed, opener: &Principal, voters: &[Principal]) {
    let vote_id = VoteId(feed.next());
    let until = feed.last.ts.after(Duration::from_secs(60));
    let (voters_now, subject) = (voters.to_vec(), "Merge?".to_owned());
    let (release, successor, threshold) = (None, None, 2);
    feed.say(opener, VoteOpen { vote_id, subject, release, successor, voters: voters_now, threshold, until });
    for voter in voters {
        feed.say(voter, VoteCast { vote_id, choice: Choice::Yes, reason: String::new() });
    }
    feed.say(opener, VoteClose { vote_id, outcome: VoteOutcome::Accepted, reason: String::new() });
}

/// A question that one of several answers, or nobody; it is pinned for a while.
fn question(feed: &mut Feed, asker: &Principal, of: &[Principal], answered: bool) {
    let options = vec!["yes".to_owned(), "no".to_owned()];
    let asking = ChatMessage { options, reply_required: true, ..feed.message(of) };
    let asked = feed.say(asker, asking);
    feed.say(asker, ChatPin { event_id: asked, note: "which?".into() });
    of.iter().for_each(|reader| feed.read(reader, asked));
    let (first, others) = of.split_first().unwrap();
    let (cause, recipients) = if answered {
        let to = feed.message(std::slice::from_ref(asker));
        let answer = feed.say(
            first,
            ChatMessage { reply_to: Some(asked), choice: Some("yes".into()), root: asked.seq, ..to },
        );
        feed.read(asker, answer);
        (CancelCause::Answered, others.to_vec())
    } else {
        (CancelCause::Expired, of.to_vec())
    };
    let reason = String::new();
    feed.say(first, ChatCancel { event_id: asked, recipients, cause: Some(cause), reason });
    feed.say(asker, ChatUnpin { event_id: asked, reason: String::new() });
}

fn approval(feed: &mut Feed, requester: &Principal) {
    let approval_id = ApprovalId(feed.next());
    let until = feed.last.ts.after(Duration::from_secs(60));
    let open = ApprovalOpen {
        approval_id,
        subject: "Run it".into(),
        tool: Some("Bash".into()),
        input: Some("make".into()),
        client_id: None,
        deciders: vec![Principal::User, who("lead")],
        until,
    };
    feed.say(requester, open);
    let verdict = Verdict::Allow;
    feed.say(&Principal::User, ApprovalDecide { approval_id, verdict, reason: String::new() });
}

fn words(of: &Principal, focus: &str) -> AgentState {
    AgentState {
        actor_id: of.actor().unwrap().clone(),
        focus: focus.into(),
        next: String::new(),
        blocker: String::new(),
        waiting_for: None,
        until: None,
    }
}

fn schedule(feed: &mut Feed, by: &Principal, n: usize) {
    let schedule_id: cccc_core::ScheduleId = format!("s{n}").parse().unwrap();
    let at = feed.last.ts;
    let action = ScheduleAction::Notify { to: vec!["lead".into()], text: "now".into() };
    let trigger = Trigger::Once { at };
    feed.say(by, ScheduleSet { schedule_id: schedule_id.clone(), trigger, action, enabled: true });
    let result = FiredResult::Done;
    feed.say(by, ScheduleFired { schedule_id: schedule_id.clone(), scheduled_at: at, result });
    feed.say(by, ScheduleRemove { schedule_id });
}

/// Somebody joins, is written to, says something, and goes.
fn come_and_go(feed: &mut Feed, actor_id: ActorId) {
    let own = Principal::from(actor_id.clone());
    let add = ActorAdd {
        actor_id: actor_id.clone(),
        title: String::new(),
        labels: vec!["guest".parse().unwrap()],
        role: Role::Peer,
        runtime: None,
        runner: None,
        profile: None,
        wake: None,
        ephemeral: true,
    };
    feed.say(&own, add);
    let session = format!("session of {actor_id}");
    let open = SessionOpen {
        actor_id: actor_id.clone(),
        session: session.clone(),
        generation: 1,
        runtime: "x".into(),
        agent_session_id: None,
        cwd: "/a".into(),
        branch: None,
    };
    feed.say(&own, open);
    feed.say(&own, words(&own, "looking"));
    let asking = ChatMessage { reply_required: true, ..feed.message(std::slice::from_ref(&own)) };
    feed.say(&who("lead"), asking);
    let asking = feed.message(&[who("lead")]);
    let sent = feed.say(&own, asking);
    feed.read(&who("lead"), sent);
    feed.say(&own, SessionClose { actor_id: actor_id.clone(), session, generation: 1, reason: None });
    feed.say(&Principal::User, ActorRemove { actor_id, reason: String::new(), successor: None });
}
