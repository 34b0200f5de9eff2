//! How each event changes the state.
//!
//! Total: any event may come, from an older version, a foreign writer or a redacted ledger, and none
//! makes it panic. What speaks of unknown actors or of messages that are not waiting changes nothing.
//!
//! A redacted message can no longer be read when the state is rebuilt, so the `chat.redact` behind it
//! must bring about whatever was left of it: with that event applied, both ways lead to equal states.

use crate::event::{
    ActorAdd, ActorRemove, ActorUpdate, Body, ChatMessage, ChatMove, ChatRedact, DeliveryState, Event,
    GroupMode, GroupSetState, GroupUpdate, NotIf, PersonRemove, Priority, Role, RuntimeDelivery,
    SessionClose, SessionOpen, Transport,
};
use crate::id::{ActorId, Principal, Seq, TaskId};
use crate::ledger::Position;
use crate::time::Timestamp;

use super::{
    Actor, Conditions, Departure, Flight, FlightState, GroupState, Lineage, MARK_EVERY, MAX_MARKS,
    MAX_TOMBSTONES, Mailbox, Obligation, ObligationKind, Session, Tombstone,
};

impl GroupState {
    /// Takes one more event into account; it must be the next. One that was applied before is passed over.
    pub fn apply(&mut self, event: &Event) {
        if event.seq <= self.position.seq {
            return;
        }
        self.position = Position { seq: event.seq, chain: event.chain };
        self.remember(event);
        match &event.body {
            Body::GroupCreate(group) => {
                self.created = true;
                self.title.clone_from(&group.title);
                self.default_to = group.default_to.clone().unwrap_or_default();
                self.join = group.join;
                self.settings.clear();
                self.set_settings(&group.settings);
            }
            Body::GroupUpdate(update) => self.update_group(update),
            Body::GroupAttach(scope) => {
                self.scopes.insert(scope.scope_key.clone(), scope.path.clone());
            }
            Body::GroupDetachScope(scope) => {
                self.scopes.remove(&scope.scope_key);
            }
            Body::GroupSetState(GroupSetState { state, .. }) => self.set_mode(*state, event.ts),
            Body::ActorAdd(add) => self.add_actor(event, add),
            Body::ActorUpdate(update) => self.update_actor(update),
            Body::ActorRemove(remove) => {
                self.note_time(event.seq, event.ts);
                self.remove_actor(event.seq, remove);
            }
            Body::PersonAdd(add) => self.add_person(event, add),
            Body::PersonRemove(remove) => {
                self.note_time(event.seq, event.ts);
                self.remove_person(event.seq, remove);
            }
            Body::SessionOpen(open) => {
                if !self.session_goes_on(event.ts, open) {
                    self.open_session(event.ts, open);
                    self.session_began(&open.actor_id, event.ts);
                }
            }
            Body::SessionClose(close) => self.close_session(event.ts, close),
            Body::ChatMessage(message) => self.message(event, message),
            Body::ChatRead(read) => {
                if let Some(mailbox) = self.mailboxes.get_mut(&read.actor_id) {
                    read.event_ids.iter().for_each(|id| mailbox.leave(id.seq));
                    read.through_seq.into_iter().for_each(|seq| mailbox.leave_through(seq));
                }
            }
            Body::ChatAck(ack) => {
                if let Some(mailbox) = self.mailboxes.get_mut(&ack.actor_id) {
                    mailbox.owed.remove(&(ack.event_id.seq, ObligationKind::Ack));
                }
            }
            Body::ChatCancel(cancel) => {
                for debtor in &cancel.recipients {
                    if let Some(mailbox) = self.mailboxes.get_mut(debtor) {
                        mailbox.release(cancel.event_id.seq);
                    }
                }
                self.settle_question(cancel.event_id.seq);
            }
            Body::ChatMove(moved) => self.move_mail(moved),
            Body::ChatRetract(retract) => {
                self.withdraw(retract.event_id.seq, retract.superseded_by.is_some());
            }
            Body::ChatPin(pin) => self.pin(event, pin),
            Body::ChatUnpin(unpin) => {
                self.pins.remove(&unpin.event_id.seq);
            }
            Body::ChatRedact(redact) => {
                self.rates.redacted();
                self.redact(redact);
            }
            Body::RuntimeDelivery(delivery) => self.delivery(event, delivery),
            Body::ContextSet(set) => self.set_context(event, set),
            Body::AgentState(said) => {
                if said.waiting_for.is_some() {
                    self.note_time(event.seq, event.ts);
                }
                self.set_agent(event, said);
            }
            Body::ReservationTake(take) => self.take_reservation(event, take),
            Body::ReservationExtend(extend) => self.extend_reservation(extend),
            Body::ReservationRelease(release) => {
                self.reservations.remove(&release.reservation_id);
            }
            Body::VoteOpen(open) => {
                self.note_time(event.seq, event.ts);
                self.open_vote(event, open);
            }
            Body::VoteCast(cast) => self.cast_vote(event, cast),
            Body::VoteClose(close) => self.close_vote(close),
            Body::ApprovalOpen(open) => {
                self.note_time(event.seq, event.ts);
                self.open_approval(event, open);
            }
            Body::ApprovalDecide(decide) => self.decide_approval(decide),
            // A notice is never unread, and nothing is owed for it.
            Body::SystemNotify(notice) => self.notified(event, notice),
            Body::SystemSeen(seen) => {
                if let Some(mailbox) = self.mailboxes.get_mut(&seen.actor_id) {
                    mailbox.notices.retain(|notice| *notice > seen.through_seq);
                }
            }
            Body::ScheduleSet(set) => self.set_schedule(event, set),
            Body::ScheduleRemove(remove) => {
                self.schedules.remove(&remove.schedule_id);
            }
            Body::ScheduleFired(fired) => self.schedule_fired(fired),
            // What is wished is for whoever hosts the actor to see.
            Body::ActorStart(_) | Body::ActorStop(_) | Body::ActorRestart(_) => {}
            Body::TaskCreate(create) => {
                self.note_time(event.seq, event.ts);
                self.begin_task(event, create);
            }
            Body::TaskUpdate(update) => {
                if update.change.is_progress() {
                    self.rates.moved(&event.by, event.seq);
                }
                self.change_task(event, update);
            }
            // What it said is not known; that the group began is.
            Body::LedgerGap(_) => {
                self.created = true;
                self.gaps += 1;
            }
            Body::Redacted { kind } => {
                if kind.as_ref() == "chat.message" {
                    self.note_time(event.seq, event.ts);
                    self.person_word(event);
                    self.count_message(event.seq);
                }
            }
            Body::Unknown { kind, .. } => {
                if event.must && self.unsupported.is_none() {
                    self.unsupported = Some((event.seq, kind.to_string()));
                }
            }
        }
        if let Some(actor) = event.by.actor().and_then(|id| self.actors.get_mut(id)) {
            actor.last_seen = actor.last_seen.max(event.ts);
        }
    }

    fn set_settings(&mut self, settings: &std::collections::BTreeMap<String, serde_json::Value>) {
        for (name, value) in settings {
            if value.is_null() {
                self.settings.remove(name);
            } else {
                self.settings.insert(name.clone(), value.to_string());
            }
        }
    }

    fn update_group(&mut self, update: &GroupUpdate) {
        if let Some(title) = &update.title {
            self.title.clone_from(title);
        }
        if let Some(default_to) = &update.default_to {
            self.default_to.clone_from(default_to);
        }
        if let Some(join) = update.join {
            self.join = join;
        }
        self.set_settings(&update.settings);
    }

    /// The clocks of obligations stand still between a pause and whatever ends it.
    fn set_mode(&mut self, mode: GroupMode, at: Timestamp) {
        match (self.paused_since, mode) {
            (None, GroupMode::Paused) => self.paused_since = Some(at),
            (Some(since), mode) if mode != GroupMode::Paused => {
                let paused = u64::try_from(at.since(since).as_millis()).unwrap_or(u64::MAX);
                self.paused_total_ms = self.paused_total_ms.saturating_add(paused);
                self.paused_since = None;
            }
            _ => {}
        }
        self.mode = mode;
    }

    fn add_actor(&mut self, event: &Event, add: &ActorAdd) {
        let previous = self.actors.get(&add.actor_id);
        let actor = Actor {
            // Added twice without a removal, it stays who it is and keeps its mail.
            incarnation: previous.map_or(event.seq, |actor| actor.incarnation),
            title: add.title.clone(),
            labels: add.labels.iter().cloned().collect(),
            runtime: add.runtime.clone(),
            runner: add.runner.clone(),
            profile: add.profile.clone(),
            wake: add.wake.clone(),
            ephemeral: add.ephemeral,
            session: previous.and_then(|actor| actor.session.clone()),
            last_seen: event.ts,
        };
        self.actors.insert(add.actor_id.clone(), actor);
        self.mailboxes.entry(add.actor_id.clone().into()).or_default();
        self.set_role(&add.actor_id, add.role);
    }

    fn set_role(&mut self, id: &ActorId, role: Role) {
        let before = self.foreman.clone();
        match role {
            Role::Foreman => self.foreman = Some(id.clone()),
            Role::Peer if self.foreman.as_ref() == Some(id) => self.foreman = None,
            Role::Peer => {}
        }
        // Who leads no longer decides no longer on what others may do, and does not owe it.
        if let Some(former) = before.filter(|former| self.foreman.as_ref() != Some(former))
            && let Some(mailbox) = self.mailboxes.get_mut(&Principal::Actor(former))
        {
            mailbox.owed.retain(|(_, kind), _| *kind != ObligationKind::Approval);
        }
    }

    fn update_actor(&mut self, update: &ActorUpdate) {
        let Some(actor) = self.actors.get_mut(&update.actor_id) else { return };
        let set = |field: &mut Option<String>, new: &Option<String>| {
            if new.is_some() {
                field.clone_from(new);
            }
        };
        set(&mut actor.runtime, &update.runtime);
        set(&mut actor.runner, &update.runner);
        set(&mut actor.profile, &update.profile);
        set(&mut actor.wake, &update.wake);
        if let Some(title) = &update.title {
            actor.title.clone_from(title);
        }
        if let Some(labels) = &update.labels {
            actor.labels = labels.iter().cloned().collect();
        }
        if let Some(ephemeral) = update.ephemeral {
            actor.ephemeral = ephemeral;
        }
        if let Some(role) = update.role {
            self.set_role(&update.actor_id, role);
        }
    }

    fn remove_actor(&mut self, seq: Seq, remove: &ActorRemove) {
        let Some(actor) = self.actors.remove(&remove.actor_id) else { return };
        if self.foreman.as_ref() == Some(&remove.actor_id) {
            self.foreman = None;
        }
        self.memory.actors.remove(&remove.actor_id);
        self.agents.remove(&remove.actor_id);
        self.depart(seq, actor.incarnation, &remove.into());
    }

    fn remove_person(&mut self, seq: Seq, remove: &PersonRemove) {
        if let Some(person) = self.people.remove(&remove.person_id) {
            self.depart(seq, person.incarnation, &remove.into());
        }
    }

    /// What becomes of what somebody had who was there since `incarnation` and is no longer.
    fn depart(&mut self, seq: Seq, incarnation: Seq, departure: &Departure) {
        let gone = &departure.who;
        self.rates.forget(gone);
        let mut mailbox = self.mailboxes.remove(gone).unwrap_or_default();
        self.tombstones.push_back(Tombstone {
            who: gone.clone(),
            incarnation,
            removed_seq: seq,
            reason: departure.reason.clone(),
            successor: departure.successor.clone(),
            unread: std::mem::take(&mut mailbox.unread),
        });
        if self.tombstones.len() > MAX_TOMBSTONES {
            self.tombstones.pop_front();
        }
        // What it was owed ends; what it owes goes to the successor, unless that is who asked.
        for mailbox in self.mailboxes.values_mut() {
            mailbox.owed.retain(|_, obligation| obligation.creditor != *gone);
        }
        self.pass_on_owed(seq, departure, mailbox);
        self.settle_questions();
        self.wait_no_more(gone);
        let heir = departure.successor.as_ref().filter(|heir| self.mailboxes.contains_key(*heir)).cloned();
        self.leave_reservations(gone, heir.as_ref());
    }

    /// What somebody who leaves owes for messages is its successor's from now on.
    fn pass_on_owed(&mut self, seq: Seq, departure: &Departure, mailbox: Mailbox) {
        let Some(successor) = &departure.successor else { return };
        let Some(heir) = self.mailboxes.get_mut(successor) else { return };
        for ((source, kind), mut obligation) in mailbox.owed {
            // A vote is the voter's own, and tasks have changed hands by events of their own before.
            if obligation.creditor != *successor && ObligationKind::OF_MESSAGE.contains(&kind) {
                for lineage in &mut obligation.lineages {
                    lineage.push((successor.clone(), seq));
                }
                // What was said was said to another.
                obligation.told = None;
                heir.owe(source, kind, obligation);
            }
        }
    }

    /// Whether this is no new session but the current one, of which its program now has another id. What was
    /// handed over stays handed over.
    fn session_goes_on(&mut self, at: Timestamp, open: &SessionOpen) -> bool {
        let actor = self.actors.get_mut(&open.actor_id);
        let same = |session: &&mut Session| {
            session.open && session.session == open.session && session.generation == open.generation
        };
        let Some(actor) = actor else { return false };
        let Some(session) = actor.session.as_mut().filter(same) else { return false };
        session.agent_session_id.clone_from(&open.agent_session_id);
        actor.last_seen = actor.last_seen.max(at);
        true
    }

    /// In a new session nothing was handed over yet, and how earlier deliveries ended will not be known.
    fn open_session(&mut self, at: Timestamp, open: &SessionOpen) {
        let Some(actor) = self.actors.get_mut(&open.actor_id) else { return };
        let Some(mailbox) = self.mailboxes.get_mut(&Principal::Actor(open.actor_id.clone())) else { return };
        if open.generation <= mailbox.generation {
            return;
        }
        mailbox.generation = open.generation;
        mailbox.handed.clear();
        mailbox.no_more.clear();
        for flight in mailbox.flights.values_mut() {
            if flight.state.is_in_doubt() {
                flight.state = FlightState::Ambiguous;
            }
        }
        actor.last_seen = actor.last_seen.max(at);
        actor.session = Some(Session {
            session: open.session.clone(),
            generation: open.generation,
            runtime: open.runtime.clone(),
            agent_session_id: open.agent_session_id.clone(),
            cwd: open.cwd.clone(),
            branch: open.branch.clone(),
            open: true,
        });
    }

    fn close_session(&mut self, at: Timestamp, close: &SessionClose) {
        let Some(actor) = self.actors.get_mut(&close.actor_id) else { return };
        if let Some(session) = actor.session.as_mut().filter(|session| session.session == close.session) {
            session.open = false;
            actor.last_seen = actor.last_seen.max(at);
        }
    }

    fn count_message(&mut self, seq: Seq) {
        if self.messages.is_multiple_of(MARK_EVERY) {
            self.marks.push_back(seq);
            if self.marks.len() > MAX_MARKS {
                self.marks.pop_front();
            }
        }
        self.messages += 1;
    }

    /// A word of a person lets everybody talk again.
    fn person_word(&mut self, event: &Event) {
        if event.by.at_home().is_person() {
            self.rates.person_spoke(event.seq);
        }
    }

    fn message(&mut self, event: &Event, message: &ChatMessage) {
        self.note_time(event.seq, event.ts);
        self.person_word(event);
        self.count_message(event.seq);
        if let Some(answered) = message.reply_to.filter(|answered| answered.seq < event.seq)
            && let Some(mailbox) = self.mailboxes.get_mut(&event.by)
        {
            mailbox.leave(answered.seq);
            for kind in met_by_reply(message.progress) {
                mailbox.owed.remove(&(answered.seq, *kind));
            }
            self.settle_question(answered.seq);
        }
        let paused_ms = u64::try_from(self.paused_until(event.ts).as_millis()).unwrap_or(u64::MAX);
        let conditions = conditions(message, paused_ms);
        let kinds = asked_by(message);
        self.send_away(event, message);
        for recipient in message.recipients.iter().filter(|recipient| **recipient != event.by) {
            let Some(mailbox) = self.mailboxes.get_mut(recipient) else { continue };
            mailbox.unread.insert(event.seq.0);
            if message.priority == Priority::Low || message.quiet.contains(recipient) {
                mailbox.quiet.insert(event.seq.0);
            } else if matches!(event.by.at_home(), Principal::Actor(_) | Principal::Service(_)) {
                self.rates.count(&event.by, recipient, event.ts, event.seq);
            }
            if !conditions.is_empty() {
                mailbox.waiting.insert(event.seq, conditions.clone());
            }
            for kind in kinds.iter().flatten() {
                let obligation = Obligation {
                    source: event.id,
                    creditor: event.by.clone(),
                    due_at: message.due_at,
                    paused_before_ms: paused_ms,
                    lineages: vec![vec![(recipient.clone(), event.seq)]],
                    thread: message.root,
                    told: None,
                };
                mailbox.owed.insert((event.seq, *kind), obligation);
            }
        }
        self.ask(event, message, paused_ms);
    }

    /// What was not read passes to somebody else, with the conditions under which it may be handed over.
    fn move_mail(&mut self, moved: &ChatMove) {
        if moved.from == moved.to || !self.mailboxes.contains_key(&moved.to) {
            return;
        }
        let Some(from) = self.mailboxes.get_mut(&moved.from) else { return };
        let listed = moved.event_ids.iter().map(|id| id.seq);
        let taken: Vec<_> = listed.filter_map(|seq| Some((seq, from.take(seq)?))).collect();
        if let Some(to) = self.mailboxes.get_mut(&moved.to) {
            for (seq, (quiet, conditions)) in taken {
                to.receive(seq, quiet, conditions);
            }
        }
    }

    /// Takes a message from everybody who has not read it, with what is owed for it.
    fn withdraw(&mut self, seq: Seq, superseded: bool) {
        self.keep_here(seq);
        for mailbox in self.mailboxes.values_mut() {
            mailbox.leave(seq);
            mailbox.release(seq);
            for conditions in mailbox.waiting.values_mut() {
                if conditions.not_if.contains(&(seq, superseded)) {
                    conditions.broken = true;
                }
            }
        }
        self.settle_question(seq);
        self.pins.remove(&seq);
    }

    fn redact(&mut self, redact: &ChatRedact) {
        let seq = redact.event_id.seq;
        self.withdraw(seq, false);
        for tombstone in &mut self.tombstones {
            tombstone.unread.remove(seq.0);
        }
        let (Some(author), Some(answered)) = (&redact.author, redact.answered.map(|id| id.seq)) else {
            return;
        };
        // What it had answered stays answered, also where the state was rebuilt without it.
        if let Some(mailbox) = self.mailboxes.get_mut(author) {
            mailbox.leave(answered);
        }
        for tombstone in self.tombstones.iter_mut().filter(|t| t.who == *author) {
            if tombstone.removed_seq > seq {
                tombstone.unread.remove(answered.0);
            }
        }
        for mailbox in self.mailboxes.values_mut() {
            for kind in met_by_reply(redact.progress) {
                mailbox.prune(answered, *kind, |lineage| held_at(lineage, seq) == Some(author));
            }
        }
        self.settle_question(answered);
    }

    fn delivery(&mut self, event: &Event, delivery: &RuntimeDelivery) {
        if let Principal::Remote(recipient) = &delivery.actor_id {
            return self.passed(event, recipient, delivery);
        }
        let Some(mailbox) = self.mailboxes.get_mut(&delivery.actor_id) else { return };
        for seq in delivery.event_ids.iter().map(|id| id.seq) {
            if mailbox.unread.contains(seq.0) {
                deliver(mailbox, event, delivery, seq);
            }
        }
        if let DeliveryState::Withheld { .. } = delivery.state {
            delivery.event_ids.iter().for_each(|id| self.settle_question(id.seq));
        }
    }
}

/// One unread message's part in a delivery.
fn deliver(mailbox: &mut Mailbox, event: &Event, delivery: &RuntimeDelivery, seq: Seq) {
    // An outcome that belongs to a claim which is over leaves a newer one alone.
    let current = match delivery.delivery_id {
        Some(id) => mailbox.flights.get(&seq).is_some_and(|flight| flight.delivery == id),
        None => true,
    };
    let of_this_session = delivery.generation == mailbox.generation;
    match &delivery.state {
        DeliveryState::Withheld { .. } => {
            mailbox.leave(seq);
            for kind in ObligationKind::OF_MESSAGE {
                // What a removed recipient left to this one is owed all the same.
                mailbox.prune(seq, kind, |lineage| lineage.len() == 1);
            }
            return;
        }
        DeliveryState::Accepted { .. } | DeliveryState::Answered { .. } if of_this_session => {
            mailbox.handed.insert(seq.0);
        }
        _ => {}
    }
    // It stood in a turn, so no flight tells of it any more.
    let taken_back = matches!(delivery.state, DeliveryState::Withdrawn { .. })
        && of_this_session
        && !mailbox.flights.contains_key(&seq)
        && !mailbox.no_more.contains(seq.0)
        && mailbox.handed.remove(seq.0);
    let before = mailbox.flights.get(&seq);
    let told_again = delivery.state == DeliveryState::Claimed
        && before.is_some_and(|flight| {
            flight.state == FlightState::Withdrawn && flight.generation == mailbox.generation
        });
    let pulled = delivery.transport == Transport::Pull && before.is_some();
    if told_again || pulled {
        mailbox.no_more.insert(seq.0);
    }
    match FlightState::after(&delivery.state) {
        Some(state) if current || taken_back => {
            // Who claimed it is at it, whoever says how far it got.
            let claimed = before.filter(|_| delivery.delivery_id.is_some());
            let (by, session) = match claimed {
                Some(flight) => (flight.by.clone(), flight.session.clone()),
                None => (event.by.clone(), event.via.as_ref().and_then(|via| via.session.clone())),
            };
            let flight = Flight {
                state,
                delivery: delivery.delivery_id.unwrap_or(event.id),
                generation: delivery.generation,
                transport: delivery.transport,
                by,
                session,
            };
            mailbox.flights.insert(seq, flight);
        }
        None if current => {
            mailbox.flights.remove(&seq);
        }
        _ => {}
    }
    let is_handed = matches!(
        delivery.state,
        DeliveryState::Handed { .. }
            | DeliveryState::Queued { .. }
            | DeliveryState::Accepted { .. }
            | DeliveryState::Answered { .. }
    );
    if is_handed {
        // Conditions are of the first handoff.
        mailbox.waiting.remove(&seq);
    }
}

/// Who held an obligation when the event at `seq` was written.
fn held_at(lineage: &Lineage, seq: Seq) -> Option<&Principal> {
    lineage.iter().rev().find(|(_, since)| *since <= seq).map(|(holder, _)| holder)
}

/// What a message obliges its recipients to.
pub(crate) fn asked_by(message: &ChatMessage) -> [Option<ObligationKind>; 2] {
    [
        (message.priority == Priority::Attention).then_some(ObligationKind::Ack),
        message.reply_required.then_some(ObligationKind::Reply),
    ]
}

/// What a reply ends that its sender owed for the message it answers.
pub(crate) fn met_by_reply(progress: bool) -> &'static [ObligationKind] {
    if progress { &[ObligationKind::Ack] } else { &[ObligationKind::Ack, ObligationKind::Reply] }
}

fn conditions(message: &ChatMessage, paused_ms: u64) -> Conditions {
    let mut conditions = Conditions { expires_at: message.expires_at, ..Conditions::default() };
    for not_if in &message.not_if {
        match not_if {
            // What names no task was never accepted from a caller.
            NotIf::TaskClosed { task_id } => conditions.tasks.extend(task_id.parse::<TaskId>()),
            NotIf::Superseded { event_id } => conditions.not_if.push((event_id.seq, true)),
            NotIf::Retracted { event_id } => conditions.not_if.push((event_id.seq, false)),
            NotIf::DeadlineOver => conditions.deadline = message.due_at.map(|due| (due, paused_ms)),
        }
    }
    conditions
}
