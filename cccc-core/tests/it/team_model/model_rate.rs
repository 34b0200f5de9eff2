//! How much is pushed: every message of the log is counted anew.

use std::time::Duration;

use cccc_core::event::{Body, ChatMessage, Event, Priority, TaskOp};
use cccc_core::{ObligationKind, Principal, Seq};

use super::model::Model;

const RATE: usize = 30;
const WINDOW: Duration = Duration::from_secs(600);
const MAX_DEPTH: u32 = 40;

impl Model {
    fn is_limited(who: &Principal) -> bool {
        matches!(who, Principal::Actor(_) | Principal::Service(_))
    }

    /// Since when counting has begun anew for somebody: a person said something, or it got on with a task.
    fn counts_since(&self, who: &Principal) -> Seq {
        let begins = self.log.iter().rev().find(|event| match &event.body {
            Body::ChatMessage(_) => event.by.is_person(),
            Body::TaskUpdate(update) => {
                let progress = matches!(
                    update.change,
                    TaskOp::Start {}
                        | TaskOp::Check { done: true, .. }
                        | TaskOp::Evidence(_)
                        | TaskOp::Done { .. }
                );
                event.by == *who && progress && self.same_since(who, event.seq)
            }
            _ => false,
        });
        begins.map_or(Seq(0), |event| event.seq)
    }

    pub(super) fn redacted(&self, seq: Seq) -> bool {
        self.log.iter().any(|event| match &event.body {
            Body::ChatRedact(redact) => redact.event_id.seq == seq,
            _ => false,
        })
    }

    /// How many messages of one to another were pushed, or may be, in the window before `now`.
    fn pushed(&self, by: &Principal, to: &Principal, at: &Event) -> usize {
        let redacted = self.log.iter().rev().find(|event| matches!(event.body, Body::ChatRedact(_)));
        let since = self.counts_since(by).max(self.counts_since(to));
        let since = since.max(redacted.map_or(Seq(0), |event| event.seq));
        let counts = |event: &&Event| match &event.body {
            Body::ChatMessage(message) => {
                event.by == *by
                    && message.recipients.contains(to)
                    && message.priority != Priority::Low
                    && !message.quiet.contains(to)
                    && event.seq > since
                    && at.ts.since(event.ts) < WINDOW
                    && self.same_since(by, event.seq)
                    && self.same_since(to, event.seq)
            }
            _ => false,
        };
        self.log.iter().filter(counts).count()
    }

    /// A message is held back from those to whom too much was sent, and nobody else; and a rate is never
    /// exceeded by pushes.
    pub(super) fn expect_rate(&self, event: &Event, message: &ChatMessage) {
        let answered =
            message.reply_to.and_then(|id| self.event(id.seq)?.message().map(|sent| (id.seq, sent)));
        let depth = match answered {
            Some((seq, _)) if seq < self.counts_since(&event.by) => 1,
            Some((_, sent)) => sent.depth + 1,
            None => 0,
        };
        let limited = Self::is_limited(&event.by);
        assert_eq!(message.depth, if limited { depth } else { 0 }, "{message:?}");
        if !limited || message.priority == Priority::Low {
            assert!(message.quiet.is_empty(), "{message:?}");
            return;
        }
        let asks = message.reply_required || message.priority == Priority::Attention;
        let owed_to = |to: &Principal| {
            let owed = self.debts(event.ts).into_iter().any(|debt| {
                debt.kind == ObligationKind::Reply
                    && Some(debt.source) == message.reply_to
                    && debt.debtor == event.by
                    && debt.creditor == *to
            });
            owed && !asks && !message.progress
        };
        let over = |to: &&Principal| {
            (message.depth > MAX_DEPTH || self.pushed(&event.by, to, event) >= RATE) && !owed_to(to)
        };
        let quiet: Vec<Principal> = message.recipients.iter().filter(over).cloned().collect();
        assert_eq!(message.quiet, quiet, "event {} by {}: {message:?}", event.seq, event.by);
    }

    /// The user is told of each sender over a limit, once since counting began anew for it.
    pub(super) fn expect_rate_notices(&self) {
        for message in self.log.iter().filter(|event| event.message().is_some_and(|m| !m.quiet.is_empty())) {
            let told = self.notices().filter(|(event, notice)| {
                notice.notice == "rate"
                    && notice.batch().split(',').next() == Some(&message.by.to_string())
                    && event.seq <= message.seq.next().next()
            });
            assert!(told.count() > 0, "nobody was told of {}, event {}", message.by, message.seq);
        }
    }
}
