//! Mail and obligations, by rows: one for each recipient of a message, one for each thing it asks of one.

use cccc_core::event::{Body, ChatMessage, DeliveryState, Event, NotIf, Priority, SystemNotify, TaskOp};
use cccc_core::{EventId, ObligationKind, Principal, Seq, TaskId, TaskStatus, Timestamp};

use super::model::Model;

/// One message's way to one recipient.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    pub(super) seq: Seq,
    pub(super) to: Principal,
    pub(super) quiet: bool,
    /// Not to be handed over for the first time when one of these is closed.
    pub(super) tasks: Vec<TaskId>,
    /// The recipient has not been removed since.
    pub(super) alive: bool,
    pub(super) unread: bool,
    pub(super) handed_ever: bool,
    pub(super) handed: Option<u64>,
    /// That deliverer cannot go on, and whoever asks gets it.
    pub(super) held: bool,
    /// In which generation it was taken back, and in which it was told again after that.
    pub(super) back: Option<u64>,
    pub(super) no_more: Option<u64>,
    /// The claim of a deliverer that is still at it, and the session in whose name it is.
    pub(super) claim: Option<(EventId, Option<String>)>,
}

/// One thing that a message asks of one recipient.
#[derive(Clone, Debug)]
pub(super) struct Owed {
    pub(super) source: EventId,
    pub(super) kind: ObligationKind,
    /// Who has owed it since when; the last is the debtor.
    pub(super) holders: Vec<(Principal, Seq)>,
    pub(super) creditor: Principal,
    pub(super) due: Option<Timestamp>,
    pub(super) asked: Timestamp,
    pub(super) thread: Seq,
    pub(super) open: bool,
}

impl Owed {
    pub(super) fn debtor(&self) -> &Principal {
        &self.holders.last().expect("a holder").0
    }
}

/// Something owed now, whatever it is.
#[derive(Clone, Debug)]
pub(super) struct Debt {
    pub(super) source: EventId,
    pub(super) kind: ObligationKind,
    pub(super) debtor: Principal,
    pub(super) creditor: Principal,
    pub(super) due: Option<Timestamp>,
    /// The event by which the debtor came to owe it: the first, and the last.
    pub(super) since: (Seq, Seq),
    pub(super) thread: Seq,
    pub(super) inherited_from: Vec<Principal>,
}

impl Model {
    pub(super) fn mail(&mut self, event: &Event) {
        match &event.body {
            Body::ChatMessage(message) => {
                if let Some(answered) = message.reply_to {
                    self.answered(&event.by, answered.seq, message.progress);
                }
                self.sent(event, message);
            }
            Body::ChatRead(read) => {
                let through = read.through_seq.unwrap_or_default();
                let means = |seq: Seq| seq <= through || read.event_ids.iter().any(|id| id.seq == seq);
                self.take_from(&read.actor_id, means);
            }
            Body::ChatMove(moved) => self.take_over(moved),
            Body::ChatAck(ack) => self.meet(&ack.actor_id, ack.event_id.seq, &[ObligationKind::Ack]),
            Body::ChatCancel(cancel) => {
                for row in self.owed.iter_mut().filter(|row| row.source.seq == cancel.event_id.seq) {
                    row.open &= !cancel.recipients.contains(row.debtor());
                }
            }
            Body::ChatRetract(retract) => self.withdraw(retract.event_id.seq),
            Body::ChatRedact(redact) => self.withdraw(redact.event_id.seq),
            Body::RuntimeDelivery(delivery) => {
                let generation = self.member(&delivery.actor_id).map_or(0, super::model::Member::generation);
                let ids = &delivery.event_ids;
                let meant = |row: &&mut Mail| {
                    row.alive
                        && row.unread
                        && row.to == delivery.actor_id
                        && ids.iter().any(|id| id.seq == row.seq)
                };
                let session = event.via.as_ref().and_then(|via| via.session.clone());
                for row in self.mail.iter_mut().filter(meant) {
                    // How a claim ended says nothing of a newer one.
                    let ends = |(id, _): &(EventId, _)| delivery.delivery_id.is_none_or(|ended| ended == *id);
                    row.held = matches!(delivery.state, DeliveryState::Held { .. });
                    if !row.held {
                        row.claim = row.claim.take().filter(|claim| !ends(claim));
                    }
                    match &delivery.state {
                        DeliveryState::Claimed => {
                            row.claim = Some((event.id, session.clone()));
                            if row.back.take() == Some(generation) {
                                row.no_more = Some(generation);
                            }
                        }
                        DeliveryState::Handed { .. } | DeliveryState::Queued { .. } => row.handed_ever = true,
                        DeliveryState::Accepted { .. } => {
                            row.handed_ever = true;
                            row.handed = Some(generation).filter(|now| *now == delivery.generation);
                        }
                        DeliveryState::Withdrawn { .. } => {
                            row.back = Some(delivery.generation);
                            row.handed = row.handed.filter(|of| row.no_more == Some(*of));
                        }
                        DeliveryState::Withheld { .. } => {
                            row.unread = false;
                            let own = |owed: &&mut Owed| {
                                owed.source.seq == row.seq
                                    && owed.holders.len() == 1
                                    && *owed.debtor() == row.to
                            };
                            self.owed.iter_mut().filter(own).for_each(|owed| owed.open = false);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn sent(&mut self, event: &Event, message: &ChatMessage) {
        let tasks = message.not_if.iter().filter_map(|not_if| match not_if {
            NotIf::TaskClosed { task_id } => task_id.parse().ok(),
            _ => None,
        });
        let tasks: Vec<TaskId> = tasks.collect();
        for to in message.recipients.iter().filter(|to| **to != event.by) {
            self.mail.push(Mail {
                seq: event.seq,
                to: to.clone(),
                quiet: message.priority == Priority::Low || message.quiet.contains(to),
                tasks: tasks.clone(),
                alive: true,
                unread: true,
                handed_ever: false,
                handed: None,
                claim: None,
                held: false,
                back: None,
                no_more: None,
            });
            let asks = [
                (message.priority == Priority::Attention, ObligationKind::Ack),
                (message.reply_required, ObligationKind::Reply),
            ];
            for (_, kind) in asks.into_iter().filter(|(asks, _)| *asks) {
                self.owed.push(Owed {
                    source: event.id,
                    kind,
                    holders: vec![(to.clone(), event.seq)],
                    creditor: event.by.clone(),
                    due: message.due_at,
                    asked: event.ts,
                    thread: message.root,
                    open: true,
                });
            }
        }
    }

    fn take_from(&mut self, who: &Principal, means: impl Fn(Seq) -> bool) {
        for row in self.mail.iter_mut().filter(|row| row.alive && row.to == *who && means(row.seq)) {
            row.unread = false;
        }
    }

    fn meet(&mut self, who: &Principal, source: Seq, kinds: &[ObligationKind]) {
        for row in self.owed.iter_mut().filter(|row| row.source.seq == source && row.debtor() == who) {
            row.open &= !kinds.contains(&row.kind);
        }
    }

    fn answered(&mut self, by: &Principal, answered: Seq, progress: bool) {
        self.take_from(by, |seq| seq == answered);
        let all = [ObligationKind::Ack, ObligationKind::Reply];
        self.meet(by, answered, if progress { &all[..1] } else { &all });
    }

    fn withdraw(&mut self, seq: Seq) {
        self.mail.iter_mut().filter(|row| row.seq == seq).for_each(|row| row.unread = false);
        self.owed.iter_mut().filter(|row| row.source.seq == seq).for_each(|row| row.open = false);
    }

    /// Somebody goes, and leaves what it owes to somebody or nobody.
    pub(super) fn leave(&mut self, seq: Seq, gone: &Principal, heir: Option<&Principal>) {
        self.mail.iter_mut().filter(|row| row.to == *gone).for_each(|row| row.alive = false);
        for row in self.owed.iter_mut().filter(|row| row.open) {
            if row.creditor == *gone {
                row.open = false;
            } else if row.debtor() == gone {
                match heir.filter(|heir| **heir != row.creditor) {
                    Some(heir) => row.holders.push((heir.clone(), seq)),
                    None => row.open = false,
                }
            }
        }
    }

    /// Whether a message may no longer be handed over for the first time.
    pub(super) fn is_withheld(&self, row: &Mail) -> bool {
        !row.handed_ever && row.tasks.iter().any(|task| self.task(*task).status.is_closed())
    }

    /// How what others have begun to deliver to somebody ended, will not be known.
    pub(super) fn lose_claims(&mut self, to: &Principal) {
        self.mail.iter_mut().filter(|row| row.to == *to).for_each(|row| row.claim = None);
    }

    /// Claims that are not settled, with the sessions in whose names they are.
    pub(super) fn claims(&self) -> impl Iterator<Item = &(EventId, Option<String>)> {
        self.mail.iter().filter(|row| row.alive && row.unread).filter_map(|row| row.claim.as_ref())
    }

    /// What somebody has not read, oldest first, with what may not be handed over.
    pub(super) fn unread_of<'a>(&'a self, who: &'a Principal) -> impl Iterator<Item = &'a Mail> {
        let mut rows: Vec<&Mail> =
            self.mail.iter().filter(|row| row.alive && row.unread && row.to == *who).collect();
        rows.sort_by_key(|row| row.seq);
        rows.into_iter()
    }

    /// The one list of what is owed, in order.
    pub(super) fn debts(&self, now: Timestamp) -> Vec<Debt> {
        let mut debts = self.message_debts(now);
        debts.extend(self.vote_debts(now));
        debts.extend(self.approval_debts(now));
        debts.extend(self.task_debts(now));
        debts.sort_by_key(|debt| (debt.source.seq, debt.kind, debt.debtor.clone()));
        debts
    }

    /// Two ways by which one came to owe the same are one debt.
    fn message_debts(&self, now: Timestamp) -> Vec<Debt> {
        let mut debts: Vec<Debt> = Vec::new();
        for row in self.owed.iter().filter(|row| row.open) {
            let (debtor, since) = row.holders.last().expect("a holder").clone();
            let former = row.holders[..row.holders.len() - 1].iter().map(|(holder, _)| holder.clone());
            let same = |debt: &&mut Debt| {
                debt.source == row.source && debt.kind == row.kind && debt.debtor == debtor
            };
            if let Some(debt) = debts.iter_mut().find(same) {
                debt.since = (debt.since.0.min(since), debt.since.1.max(since));
                debt.inherited_from.extend(former);
                debt.inherited_from.sort();
                debt.inherited_from.dedup();
                continue;
            }
            let mut inherited_from: Vec<Principal> = former.collect();
            inherited_from.sort();
            inherited_from.dedup();
            debts.push(Debt {
                source: row.source,
                kind: row.kind,
                debtor,
                creditor: row.creditor.clone(),
                due: row.due.map(|due| self.moved(due, row.asked, now)),
                since: (since, since),
                thread: row.thread,
                inherited_from,
            });
        }
        debts
    }

    fn vote_debts(&self, now: Timestamp) -> Vec<Debt> {
        let mut debts = Vec::new();
        for (event, open) in self.open_votes() {
            let waits = |voter: &&Principal| {
                self.voice(open.vote_id, voter).is_none()
                    && self.is_here(voter)
                    && self.same_since(voter, event.seq)
            };
            debts.extend(open.voters.iter().filter(waits).map(|voter| Debt {
                source: event.id,
                kind: ObligationKind::Vote,
                debtor: voter.clone(),
                creditor: event.by.clone(),
                due: Some(self.moved(open.until, event.ts, now)),
                since: (event.seq, event.seq),
                thread: event.seq,
                inherited_from: Vec::new(),
            }));
        }
        debts
    }

    fn task_debts(&self, now: Timestamp) -> Vec<Debt> {
        let mut debts = Vec::new();
        for task in self.tasks() {
            let Some((debtor, kind, creditor)) = task.debt() else { continue };
            let due = task.due.filter(|_| kind == ObligationKind::Task);
            let since = self.owes_task_since(task.id);
            debts.push(Debt {
                source: self.id(task.id.seq()),
                kind,
                debtor,
                creditor,
                due: due.map(|due| self.moved(due, task.made_at, now)),
                since: (since, since),
                thread: task.id.seq().next(),
                inherited_from: Vec::new(),
            });
        }
        debts
    }

    /// How far a debtor was told of what it owes, since it owes it; with the running time.
    pub(super) fn told(&self, policy: &str, debt: &Debt) -> Option<(u32, i64)> {
        let about = format!("{},{},{}", debt.source.seq, debt.kind.as_str(), debt.debtor);
        let about_it = |notice: &SystemNotify| {
            let rest = notice.batch().strip_prefix(&about);
            notice.notice == policy && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
        };
        let levels = self.notices().filter(|(event, notice)| event.seq > debt.since.0 && about_it(notice));
        // Of several targets at one time the first counts; they have the same time.
        levels.map(|(event, notice)| (notice.level, self.running(event.ts))).max_by_key(|(level, _)| *level)
    }

    pub(super) fn notices(&self) -> impl Iterator<Item = (&Event, &SystemNotify)> {
        self.said.iter().filter_map(|seq| match self.event(*seq)? {
            event @ Event { body: Body::SystemNotify(notice), .. } => Some((event, notice)),
            _ => None,
        })
    }

    /// Since when somebody owes what it owes for a task.
    fn owes_task_since(&self, id: TaskId) -> Seq {
        let mut since = id.seq();
        let mut before = self.task_at(id, id.seq()).debt();
        for (event, _) in self.updates(id) {
            let debt = self.task_at(id, event.seq).debt();
            if debt != before {
                (since, before) = (event.seq, debt);
            }
        }
        since
    }

    pub(super) fn updates(&self, id: TaskId) -> impl Iterator<Item = (&Event, &TaskOp)> {
        self.worked.iter().filter(move |(task, _)| *task == id).filter_map(|(_, seq)| {
            match self.event(*seq)? {
                event @ Event { body: Body::TaskUpdate(update), .. } => Some((event, &update.change)),
                _ => None,
            }
        })
    }

    pub(super) fn is_done(&self, id: TaskId) -> bool {
        self.task(id).status == TaskStatus::Done
    }
}
