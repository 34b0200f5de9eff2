//! A naive model of messaging, checked against the real rules over random histories.
//!
//! The model keeps every copy of every message in plain vectors and looks at all of them for each
//! event. The rules must agree with it on what is unread, handed over, owed, and on every receipt; and a
//! state that was saved, or rebuilt from a ledger with redacted messages, must be the same state.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a model that is wrong should fail loudly")]

use std::collections::BTreeSet;
use std::time::Duration;

use cccc_core::command::{AddActor, Command, OpenSession, Outcome, SendMessage};
use cccc_core::event::{
    ActorRemove, ActorUpdate, Body, DeliveryState, Event, GroupMode, GroupSetState, NotIf, Priority, Role,
    RuntimeDelivery, Transport, Witness,
};
use cccc_core::rule::desk::{Desk, event, message, who};
use cccc_core::rule::receipt::{DeliveryWord, ObligationWord};
use cccc_core::rule::{obligation, reading};
use cccc_core::state::{GroupState, ObligationKind};
use cccc_core::{EventId, Principal, Seq, Timestamp};
use proptest::prelude::*;

const ACTORS: [&str; 4] = ["a", "b", "c", "d"];
const PRINCIPALS: [&str; 5] = ["user", "a", "b", "c", "d"];

/// One message's way to one recipient.
#[derive(Debug)]
struct Row {
    seq: Seq,
    sent_at: Timestamp,
    id: EventId,
    by: Principal,
    recipient: Principal,
    /// Who has it: the recipient, or whoever took over what that one left unread.
    holder: Principal,
    moved: bool,
    expires_at: Option<Timestamp>,
    due_at: Option<Timestamp>,
    not_if: Vec<NotIf>,
    broken: bool,
    /// Who has it has not been removed.
    alive: bool,
    unread: bool,
    read: bool,
    handed_ever: bool,
    handed: Option<u64>,
    word: DeliveryWord,
    claim: Option<EventId>,
    /// It was taken back in this session, and then told again.
    back: bool,
    no_more: bool,
    debtor: Option<Principal>,
    /// Acknowledgement and reply.
    owed: [ObligationWord; 2],
}

impl Row {
    fn is_open(&self) -> bool {
        self.owed.contains(&ObligationWord::Open)
    }

    fn end(&mut self, kind: usize, word: ObligationWord) {
        if self.owed[kind] == ObligationWord::Open {
            self.owed[kind] = word;
        }
    }

    fn give(&mut self, kind: usize) {
        if self.owed[kind] == ObligationWord::None {
            self.owed[kind] = ObligationWord::Met;
        }
        self.end(kind, ObligationWord::Met);
    }

    fn end_all(&mut self, word: ObligationWord) {
        (0..2).for_each(|kind| self.end(kind, word));
    }

    fn take(&mut self) {
        if self.alive && self.unread {
            (self.unread, self.read) = (false, true);
        }
    }
}

/// Everything there is, computed from the events alone.
#[derive(Debug, Default)]
struct Model {
    rows: Vec<Row>,
    present: BTreeSet<Principal>,
    generations: Vec<(Principal, u64)>,
    pauses: Vec<(Timestamp, Option<Timestamp>)>,
}

impl Model {
    fn of(events: &[Event]) -> Self {
        let mut model = Self { present: BTreeSet::from([Principal::User]), ..Self::default() };
        events.iter().for_each(|event| model.apply(event));
        model
    }

    fn generation(&self, of: &Principal) -> u64 {
        self.generations.iter().rev().find(|(who, _)| who == of).map_or(0, |(_, generation)| *generation)
    }

    fn apply(&mut self, event: &Event) {
        match &event.body {
            Body::ActorAdd(add) => {
                self.present.insert(add.actor_id.clone().into());
                self.generations.push((add.actor_id.clone().into(), 0));
            }
            Body::ActorRemove(remove) => {
                let gone: Principal = remove.actor_id.clone().into();
                self.present.remove(&gone);
                let heir = remove.successor.clone().map(Principal::from);
                let heir = heir.filter(|heir| self.present.contains(heir));
                for row in &mut self.rows {
                    if row.by == gone {
                        row.end_all(ObligationWord::Cancelled);
                    }
                    if row.debtor.as_ref() == Some(&gone) {
                        let passes = row.is_open() || heir.as_ref() == Some(&row.holder);
                        row.debtor = heir.clone().filter(|heir| *heir != row.by && passes);
                        if row.debtor.is_none() {
                            row.end_all(ObligationWord::Returned);
                        }
                    }
                    if row.holder == gone && row.alive {
                        row.alive = false;
                        row.word = match row.word {
                            DeliveryWord::Pending
                            | DeliveryWord::Failed
                            | DeliveryWord::Refused
                            | DeliveryWord::Withdrawn => DeliveryWord::Bounced,
                            word if on_its_way(word) => DeliveryWord::Ambiguous,
                            word => word,
                        };
                    }
                }
            }
            Body::SessionOpen(open) => {
                let who: Principal = open.actor_id.clone().into();
                for row in self.rows.iter_mut().filter(|row| row.alive && row.holder == who) {
                    if on_its_way(row.word) && row.unread {
                        row.word = DeliveryWord::Ambiguous;
                    }
                    (row.back, row.no_more) = (false, false);
                }
                self.generations.push((who, open.generation));
            }
            Body::GroupSetState(set) => match (self.pauses.last_mut(), set.state) {
                (Some((_, end @ None)), mode) if mode != GroupMode::Paused => *end = Some(event.ts),
                (None | Some((_, Some(_))), GroupMode::Paused) => self.pauses.push((event.ts, None)),
                _ => {}
            },
            Body::ChatMessage(sent) => {
                if let Some(answered) = sent.reply_to {
                    self.answer(&event.by, answered.seq, sent.progress);
                }
                for recipient in sent.recipients.iter().filter(|recipient| **recipient != event.by) {
                    let asked = |asks| if asks { ObligationWord::Open } else { ObligationWord::None };
                    self.rows.push(Row {
                        seq: event.seq,
                        sent_at: event.ts,
                        id: event.id,
                        by: event.by.clone(),
                        recipient: recipient.clone(),
                        holder: recipient.clone(),
                        moved: false,
                        expires_at: sent.expires_at,
                        due_at: sent.due_at,
                        not_if: sent.not_if.clone(),
                        broken: false,
                        alive: true,
                        unread: true,
                        read: false,
                        handed_ever: false,
                        handed: None,
                        word: DeliveryWord::Pending,
                        claim: None,
                        back: false,
                        no_more: false,
                        debtor: Some(recipient.clone()),
                        owed: [asked(sent.priority == Priority::Attention), asked(sent.reply_required)],
                    });
                }
            }
            Body::ChatRead(read) => {
                for row in self.rows.iter_mut().filter(|row| row.holder == read.actor_id) {
                    if read.event_ids.contains(&row.id) || read.through_seq.is_some_and(|seq| row.seq <= seq)
                    {
                        row.take();
                    }
                }
            }
            Body::ChatMove(moved) => {
                let meant = |row: &&mut Row| row.alive && row.holder == moved.from && row.unread;
                for row in self.rows.iter_mut().filter(meant).filter(|row| moved.event_ids.contains(&row.id))
                {
                    row.holder = moved.to.clone();
                    (row.handed, row.moved) = (None, true);
                    (row.back, row.no_more) = (false, false);
                    if !came(row.word) {
                        (row.word, row.claim) = (DeliveryWord::Pending, None);
                    }
                }
            }
            Body::ChatAck(ack) => {
                for row in self.rows.iter_mut().filter(|row| row.seq == ack.event_id.seq) {
                    if row.debtor.as_ref() == Some(&ack.actor_id) {
                        row.give(0);
                    }
                }
            }
            Body::ChatCancel(cancel) => {
                for row in self.rows.iter_mut().filter(|row| row.seq == cancel.event_id.seq) {
                    if row.debtor.as_ref().is_some_and(|debtor| cancel.recipients.contains(debtor)) {
                        row.end_all(ObligationWord::Cancelled);
                    }
                }
            }
            Body::ChatRetract(retract) => self.withdraw(retract.event_id, retract.superseded_by.is_some()),
            Body::ChatRedact(redact) => self.withdraw(redact.event_id, false),
            Body::RuntimeDelivery(delivery) => {
                let generation = self.generation(&delivery.actor_id);
                let meant = |row: &&mut Row| {
                    row.alive && row.holder == delivery.actor_id && delivery.event_ids.contains(&row.id)
                };
                for row in self.rows.iter_mut().filter(meant) {
                    let of_this_session = delivery.generation == generation;
                    deliver(row, event.id, delivery, of_this_session);
                    use DeliveryState::{Accepted, Answered, Handed, Queued};
                    let in_a_turn = matches!(delivery.state, Accepted { .. } | Answered { .. });
                    row.handed_ever |=
                        row.unread && (in_a_turn || matches!(delivery.state, Handed { .. } | Queued { .. }));
                    if in_a_turn && row.unread && of_this_session {
                        row.handed = Some(generation);
                    }
                }
            }
            _ => {}
        }
    }

    fn answer(&mut self, by: &Principal, answered: Seq, progress: bool) {
        for row in self.rows.iter_mut().filter(|row| row.seq == answered) {
            if row.alive && row.holder == *by {
                (row.unread, row.read) = (false, true);
            }
            if row.debtor.as_ref() == Some(by) {
                row.end(0, ObligationWord::Met);
                if !progress {
                    row.give(1);
                }
            }
        }
    }

    fn withdraw(&mut self, id: EventId, superseded: bool) {
        for row in &mut self.rows {
            if row.id == id {
                if row.unread && row.alive {
                    row.unread = false;
                    if !came(row.word) {
                        row.word = DeliveryWord::Withheld;
                    }
                }
                row.end_all(ObligationWord::Cancelled);
            }
            row.broken |= row.not_if.iter().any(|not_if| match not_if {
                NotIf::Superseded { event_id } => superseded && *event_id == id,
                NotIf::Retracted { event_id } => !superseded && *event_id == id,
                _ => false,
            });
        }
    }

    /// For how long the group was paused between two times.
    fn paused(&self, from: Timestamp, to: Timestamp) -> Duration {
        self.pauses.iter().map(|(start, end)| end.unwrap_or(to).min(to).since((*start).max(from))).sum()
    }

    fn due_at(&self, row: &Row, now: Timestamp) -> Option<Timestamp> {
        row.due_at.map(|due| due.after(self.paused(row.sent_at, now)))
    }

    fn may_be_handed(&self, row: &Row, now: Timestamp) -> bool {
        let late =
            row.not_if.contains(&NotIf::DeadlineOver) && self.due_at(row, now).is_some_and(|due| now > due);
        row.handed_ever || !(row.expires_at.is_some_and(|end| now > end) || late || row.broken)
    }
}

/// Whether a message stands in a turn.
fn came(word: DeliveryWord) -> bool {
    matches!(word, DeliveryWord::Accepted | DeliveryWord::Answered)
}

/// Whether a message may be on its way.
fn on_its_way(word: DeliveryWord) -> bool {
    use DeliveryWord::{Claimed, Handed, Held, Queued};
    matches!(word, Claimed | Handed | Queued | Held)
}

fn deliver(row: &mut Row, fact: EventId, delivery: &RuntimeDelivery, of_this_session: bool) {
    let (delivery_id, state) = (delivery.delivery_id, &delivery.state);
    let current = delivery_id.is_none() || row.claim == delivery_id;
    match state {
        DeliveryState::Accepted { .. } | DeliveryState::Answered { .. } => {
            if delivery_id.is_none() || !current {
                row.claim = None;
            }
            if matches!(state, DeliveryState::Answered { .. }) {
                row.word = DeliveryWord::Answered;
            } else if row.word != DeliveryWord::Answered {
                row.word = DeliveryWord::Accepted;
            }
        }
        DeliveryState::Withdrawn { .. } if current && row.word != DeliveryWord::Answered => {
            if came(row.word) && of_this_session && !row.no_more {
                row.handed = None;
            }
            row.word = DeliveryWord::Withdrawn;
            row.back = of_this_session;
        }
        _ if came(row.word) => {}
        DeliveryState::Claimed => {
            row.no_more |= std::mem::take(&mut row.back);
            (row.word, row.claim) = (DeliveryWord::Claimed, Some(fact));
        }
        DeliveryState::Withheld { .. } => {
            (row.word, row.unread) = (DeliveryWord::Withheld, false);
            if row.debtor.as_ref() == Some(&row.recipient) {
                row.end_all(ObligationWord::Cancelled);
            }
        }
        _ if !current || row.word == DeliveryWord::Withheld => {}
        DeliveryState::Handed { .. } => row.word = DeliveryWord::Handed,
        DeliveryState::Queued { .. } => row.word = DeliveryWord::Queued,
        DeliveryState::Held { .. } => row.word = DeliveryWord::Held,
        DeliveryState::Refused { .. } => row.word = DeliveryWord::Refused,
        DeliveryState::Failed { .. } => row.word = DeliveryWord::Failed,
        DeliveryState::Ambiguous { .. } => row.word = DeliveryWord::Ambiguous,
        DeliveryState::Bounced { .. } => row.word = DeliveryWord::Bounced,
        DeliveryState::Retried => (row.word, row.claim) = (DeliveryWord::Pending, None),
        other => panic!("nobody writes {other:?} here"),
    }
}

/// Something to try. Numbers choose among what there is, modulo how much there is.
#[derive(Clone, Debug)]
enum Op {
    Send { by: usize, to: usize, asks: u8, within: u64, expires: u64, about: usize },
    Answer { by: usize, message: usize, progress: bool },
    Supersede { by: usize, message: usize },
    Ack { by: usize, message: usize },
    Read { by: usize, message: usize },
    Through { by: usize, message: usize },
    Cancel { by: usize, message: usize, whom: usize },
    Retract { by: usize, message: usize },
    Redact { message: usize },
    Pull { by: usize, mark_read: bool },
    Claim { recipient: usize, messages: [usize; 3] },
    Settle { claim: usize, outcome: u8 },
    Retry { message: usize, recipient: usize },
    Add { actor: usize },
    Remove { actor: usize, successor: usize },
    Lead { actor: usize },
    Session { actor: usize },
    Mode { mode: u8 },
    Wait { seconds: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    let who = || 0..PRINCIPALS.len();
    let actor = || 0..ACTORS.len();
    let any = || 0..1_000_usize;
    prop_oneof![
        8 => (who(), 0..9_usize, 0..8_u8, 0..100_u64, 0..100_u64, any())
            .prop_map(|(by, to, asks, within, expires, about)| Op::Send { by, to, asks, within, expires, about }),
        4 => (who(), any(), proptest::bool::ANY).prop_map(|(by, message, progress)| Op::Answer { by, message, progress }),
        1 => (who(), any()).prop_map(|(by, message)| Op::Supersede { by, message }),
        2 => (who(), any()).prop_map(|(by, message)| Op::Ack { by, message }),
        2 => (who(), any()).prop_map(|(by, message)| Op::Read { by, message }),
        1 => (who(), any()).prop_map(|(by, message)| Op::Through { by, message }),
        1 => (who(), any(), 0..=PRINCIPALS.len())
            .prop_map(|(by, message, whom)| Op::Cancel { by, message, whom }),
        1 => (who(), any()).prop_map(|(by, message)| Op::Retract { by, message }),
        2 => any().prop_map(|message| Op::Redact { message }),
        3 => (who(), proptest::bool::ANY).prop_map(|(by, mark_read)| Op::Pull { by, mark_read }),
        4 => (who(), [any(), any(), any()]).prop_map(|(recipient, messages)| Op::Claim { recipient, messages }),
        4 => (any(), 0..11_u8).prop_map(|(claim, outcome)| Op::Settle { claim, outcome }),
        1 => (any(), who()).prop_map(|(message, recipient)| Op::Retry { message, recipient }),
        3 => actor().prop_map(|actor| Op::Add { actor }),
        2 => (actor(), 0..=ACTORS.len()).prop_map(|(actor, successor)| Op::Remove { actor, successor }),
        1 => actor().prop_map(|actor| Op::Lead { actor }),
        2 => actor().prop_map(|actor| Op::Session { actor }),
        2 => (0..6_u8).prop_map(|mode| Op::Mode { mode }),
        3 => (1..60_u64).prop_map(|seconds| Op::Wait { seconds }),
    ]
}

/// A desk, and all events as they were before anything was redacted.
struct World {
    desk: Desk,
    events: Vec<Event>,
    sessions: usize,
}

impl World {
    fn new() -> Self {
        let desk = Desk::with(&ACTORS[..3]);
        let events = desk.events().to_vec();
        Self { desk, events, sessions: 0 }
    }

    /// The n-th event that `wanted` wants, if there is any.
    fn nth(&self, n: usize, wanted: impl Fn(&Event) -> bool) -> Option<Seq> {
        let found: Vec<Seq> =
            self.events.iter().filter(|event| wanted(event)).map(|event| event.seq).collect();
        found.get(n.checked_rem(found.len())?).copied()
    }

    fn message(&self, n: usize) -> Option<Seq> {
        // Mostly one of the newest, so that things happen to the same messages.
        let messages = self.events.iter().filter(|event| event.message().is_some()).count();
        let back = n % 7;
        self.nth(if n.is_multiple_of(3) { n } else { messages.saturating_sub(1 + back) }, |event| {
            event.message().is_some()
        })
    }

    fn try_op(&mut self, op: &Op) -> Option<()> {
        let (by, command) = match op {
            Op::Send { by, to, asks, within, expires, about } => {
                let to = ["a", "b", "c", "d", "user", "@all", "@peers", "@foreman", ""][*to];
                let mut send = message("hello", if to.is_empty() { &[] } else { std::slice::from_ref(&to) });
                send.priority = if asks & 1 == 1 { Priority::Attention } else { Priority::Normal };
                send.reply_required = asks & 2 == 2;
                send.reply_within = (*within < 30).then(|| Duration::from_secs(within + 1));
                send.expires_at =
                    (*expires < 20).then(|| self.desk.now.after(Duration::from_secs(expires + 1)));
                if asks & 4 == 4
                    && let Some(about) = self.message(*about)
                {
                    let event_id = self.events[usize::try_from(about.0 - 1).ok()?].id;
                    send.not_if.push(match expires % 2 {
                        0 => NotIf::Superseded { event_id },
                        _ => NotIf::Retracted { event_id },
                    });
                    if send.reply_within.is_some() {
                        send.not_if.push(NotIf::DeadlineOver);
                    }
                }
                (PRINCIPALS[*by], Command::Send(send))
            }
            Op::Answer { by, message: n, progress } => {
                let reply_to = Some(event(self.message(*n)?));
                let send = SendMessage { reply_to, progress: *progress, ..message("re", &[]) };
                (PRINCIPALS[*by], Command::Send(send))
            }
            Op::Supersede { by, message: n } => {
                let supersedes = Some(event(self.message(*n)?));
                let send = SendMessage { supersedes, reply_required: true, ..message("new", &["a", "b"]) };
                (PRINCIPALS[*by], Command::Send(send))
            }
            Op::Ack { by, message } => {
                (PRINCIPALS[*by], Command::Ack { event: event(self.message(*message)?) })
            }
            Op::Read { by, message } => {
                (PRINCIPALS[*by], Command::MarkRead { events: vec![event(self.message(*message)?)] })
            }
            Op::Through { by, message } => {
                (PRINCIPALS[*by], Command::MarkReadThrough { event: event(self.message(*message)?) })
            }
            Op::Cancel { by, message, whom } => {
                let recipients = PRINCIPALS.get(*whom).map(|text| who(text)).into_iter().collect();
                let event = event(self.message(*message)?);
                (PRINCIPALS[*by], Command::Cancel { event, recipients, reason: String::new() })
            }
            Op::Retract { by, message } => {
                let event = event(self.message(*message)?);
                (PRINCIPALS[*by], Command::Retract { event, reason: String::new() })
            }
            Op::Redact { message } => {
                let event = event(self.message(*message)?);
                ("user", Command::Redact { event, reason: String::new() })
            }
            Op::Pull { by, mark_read } => {
                let events =
                    self.events.iter().filter(|event| event.message().is_some()).map(|event| event.id);
                (PRINCIPALS[*by], Command::Pull { events: events.collect(), mark_read: *mark_read })
            }
            Op::Claim { recipient, messages } => {
                let events = messages.iter().filter_map(|n| Some(event(self.message(*n)?))).collect();
                let recipient = who(PRINCIPALS[*recipient]);
                ("svc:host", Command::Claim { recipient, events, transport: Transport::Push })
            }
            Op::Settle { claim, outcome } => {
                let claim = self.nth(*claim, |event| {
                    matches!(&event.body, Body::RuntimeDelivery(d) if d.state == DeliveryState::Claimed)
                })?;
                let delivery = self.events[usize::try_from(claim.0 - 1).ok()?].id;
                let outcome = match outcome {
                    0 => Outcome::accepted("turn 1"),
                    1 => Outcome::Failed("no".into()),
                    2 => Outcome::Ambiguous("perhaps".into()),
                    3 => Outcome::Handed("m1".into()),
                    4 => Outcome::Queued("q1".into()),
                    5 => Outcome::Accepted { by: Some(Witness::Transcript), evidence: "entry 1".into() },
                    6 => Outcome::Answered { by: None, evidence: "turn 2".into() },
                    7 => Outcome::Held("a dialog".into()),
                    8 => Outcome::Refused("too long".into()),
                    9 => Outcome::Withdrawn("cleared".into()),
                    _ => Outcome::Bounced("nobody".into()),
                };
                ("svc:host", Command::Settle { delivery, outcome })
            }
            Op::Retry { message, recipient } => {
                let event = event(self.message(*message)?);
                ("user", Command::Retry { event, recipient: who(PRINCIPALS[*recipient]) })
            }
            Op::Add { actor } => ("user", Command::AddActor(AddActor::new(ACTORS[*actor].parse().ok()?))),
            Op::Remove { actor, successor } => {
                let remove = ActorRemove {
                    actor_id: ACTORS[*actor].parse().ok()?,
                    reason: String::new(),
                    successor: ACTORS.get(*successor).map(|id| id.parse().expect("an id")),
                };
                ("user", Command::RemoveActor(remove))
            }
            Op::Lead { actor } => {
                let update = ActorUpdate {
                    role: Some(Role::Foreman),
                    ..ActorUpdate::of(ACTORS[*actor].parse().ok()?)
                };
                ("user", Command::UpdateActor(update))
            }
            Op::Session { actor } => {
                self.sessions += 1;
                let open = OpenSession { session: self.sessions.to_string(), ..OpenSession::default() };
                (ACTORS[*actor], Command::OpenSession(open))
            }
            Op::Mode { mode } => {
                let state = match mode {
                    0 | 1 => GroupMode::Paused,
                    2 => GroupMode::Stopped,
                    _ => GroupMode::Active,
                };
                ("user", Command::SetState(GroupSetState { state, reason: String::new() }))
            }
            Op::Wait { seconds } => {
                self.desk.wait(*seconds);
                return None;
            }
        };
        let before = self.desk.state().clone();
        match self.desk.run(by, command) {
            Err(error) => {
                assert_eq!(self.desk.state(), &before, "a refusal writes nothing: {error}");
                assert!(!error.to_string().is_empty());
            }
            Ok(done) => {
                self.events.extend(done.events.iter().cloned());
                if let (Op::Redact { message }, Some(_)) = (op, done.events.first()) {
                    let redacted = done.events.iter().find_map(|event| match &event.body {
                        Body::ChatRedact(redact) => Some(redact.event_id.seq),
                        _ => None,
                    });
                    self.desk.forget(redacted.unwrap_or_else(|| panic!("message {message}")));
                }
            }
        }
        Some(())
    }

    fn check(&self) {
        let (state, now) = (self.desk.state(), self.desk.now);
        let model = Model::of(&self.events);
        assert_eq!(&GroupState::from_bytes(&state.to_bytes().unwrap()).unwrap(), state, "saved and loaded");
        assert_eq!(&self.desk.rebuilt(), state, "rebuilt from the lines as they are now");
        for text in PRINCIPALS {
            let principal = who(text);
            let rows = || model.rows.iter().filter(|row| row.alive && row.holder == principal);
            let unread: Vec<Seq> =
                rows().filter(|row| row.unread && model.may_be_handed(row, now)).map(|row| row.seq).collect();
            assert_eq!(
                reading::unread(state, &principal, Seq(1), usize::MAX, now),
                unread,
                "unread of {text}"
            );
            assert_eq!(reading::unread_count(state, &principal, now), u64::try_from(unread.len()).unwrap());
            let first = rows().filter(|row| row.unread).map(|row| row.seq.0).min();
            let cursor = first.map_or(state.position().seq.0, |first| first - 1);
            assert_eq!(reading::cursor(state, &principal), Seq(cursor), "cursor of {text}");
            let handed: Vec<u64> = rows()
                .filter(|row| row.unread && row.handed == Some(model.generation(&principal)))
                .map(|row| row.seq.0)
                .collect();
            if let Some(mailbox) = state.mailbox(&principal) {
                assert_eq!(mailbox.handed.iter().collect::<Vec<_>>(), handed, "handed to {text}");
                let unread = |seq: &Seq| mailbox.unread.contains(seq.0);
                assert!(mailbox.flights.keys().all(unread) && mailbox.waiting.keys().all(unread));
                assert!(mailbox.flights.keys().all(|seq| !mailbox.handed.contains(seq.0)) || text != "user");
            }
        }
        self.check_obligations(&model);
        self.check_receipts(&model);
    }

    fn check_obligations(&self, model: &Model) {
        let listed = obligation::list(self.desk.state(), &obligation::Filter::default(), self.desk.now);
        let listed: Vec<_> = listed
            .iter()
            .map(|view| (view.source.seq, view.kind, view.debtor.clone(), view.overdue))
            .collect();
        let mut expected = BTreeSet::new();
        for row in &model.rows {
            for (kind, word) in ObligationKind::ALL.into_iter().zip(row.owed) {
                if word == ObligationWord::Open {
                    let debtor = row.debtor.clone().expect("who owes");
                    let overdue = model.due_at(row, self.desk.now).is_some_and(|due| self.desk.now > due);
                    expected.insert((row.seq, kind, debtor, overdue));
                }
            }
        }
        assert_eq!(listed, expected.into_iter().collect::<Vec<_>>(), "what is owed");
    }

    fn check_receipts(&self, model: &Model) {
        for event in self.desk.events().iter().filter(|event| event.message().is_some()) {
            let receipts = self.desk.receipts(event.seq);
            let rows: Vec<&Row> = model.rows.iter().filter(|row| row.seq == event.seq).collect();
            assert_eq!(receipts.len(), rows.len());
            for (receipt, row) in receipts.iter().zip(rows) {
                // What somebody who left had not read is with a successor, has bounced, or was withdrawn.
                assert!(row.alive || receipt.delivery.state != DeliveryWord::Pending, "{receipt}");
                // Reading implies delivery.
                let word = match row.read && !came(row.word) {
                    true => DeliveryWord::Accepted,
                    false => row.word,
                };
                assert_eq!(receipt.recipient, row.recipient);
                let moved_to = row.moved.then_some(&row.holder);
                assert_eq!(receipt.moved_to.as_ref(), moved_to, "{receipt} of {}: {row:?}", event.seq);
                assert_eq!(receipt.delivery.state, word, "{receipt} of {}: {row:?}", event.seq);
                assert_eq!(receipt.read, row.read, "{receipt} of {}: {row:?}", event.seq);
                assert_eq!([receipt.ack, receipt.reply], row.owed, "{receipt} of {}: {row:?}", event.seq);
                let overdue = model.due_at(row, self.desk.now).is_some_and(|due| self.desk.now > due);
                assert_eq!(receipt.overdue, overdue && row.is_open());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_agree_with_the_model(ops in proptest::collection::vec(op(), 1..90)) {
        let mut world = World::new();
        for (n, op) in ops.iter().enumerate() {
            world.try_op(op);
            if n % 5 == 0 {
                world.check();
            }
        }
        world.check();
    }
}
