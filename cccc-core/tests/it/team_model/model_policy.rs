//! What is due, by a look at everything that could be.

use std::collections::BTreeSet;

use cccc_core::event::GroupMode;
use cccc_core::rule::policy::Reminder;
use cccc_core::rule::wait::Cycle;
use cccc_core::{ObligationKind, Principal, Seq, Timestamp};

use super::model::{Member, Model};
use super::model_mail::{Debt, Mail};

/// What should be said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word {
    pub(super) at: Timestamp,
    pub(super) policy: String,
    pub(super) level: u32,
    pub(super) to: BTreeSet<Principal>,
    pub(super) about: Vec<Seq>,
}

impl Word {
    pub(super) fn of(reminder: &Reminder) -> Self {
        Self {
            at: reminder.due_at,
            policy: reminder.policy.clone(),
            level: reminder.level,
            to: reminder.targets.iter().cloned().collect(),
            about: reminder.related.clone(),
        }
    }
}

impl Model {
    /// A policy's time in milliseconds; nothing if it is off.
    pub(super) fn period(&self, policy: &str) -> Option<i64> {
        let default = match policy {
            "unread" | "reply" => 15 * 60_000,
            "attention" => 5 * 60_000,
            "cycle" => 60_000,
            _ => 0,
        };
        let name = format!("policy.{policy}_ms");
        let set = self.settings.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value);
        let period = set.filter(|value| !value.is_null()).map_or(Some(default), serde_json::Value::as_i64);
        period.filter(|period| *period > 0)
    }

    /// The foreman, if that is somebody else, or the user.
    fn lead(&self, besides: Option<&Principal>) -> Principal {
        self.foreman.clone().filter(|foreman| Some(foreman) != besides).unwrap_or(Principal::User)
    }

    /// Everything that will be said if nothing happens. The circles are the library's, checked elsewhere.
    pub(super) fn words_due(&self, cycles: &[Cycle], now: Timestamp) -> Vec<Word> {
        if self.mode != GroupMode::Active {
            return Vec::new();
        }
        let mut words = Vec::new();
        let debts = self.debts(now);
        words.extend(self.members.iter().filter_map(|member| self.of_unread(member, now)));
        let shown = |debt: &&Debt| {
            let held_back = |row: &Mail| row.seq == debt.source.seq && self.is_withheld(row);
            !self.unread_of(&debt.debtor).any(held_back)
        };
        // A voice, a verdict and an answer count until their time ends; and nobody is reminded of what it will never
        // be shown.
        let ends = |debt: &&Debt| match debt.kind {
            ObligationKind::Vote | ObligationKind::Approval => true,
            ObligationKind::Reply => self.open_questions().any(|(asked, _)| asked.id == debt.source),
            _ => false,
        };
        let reminded = debts.iter().filter(|debt| !ends(debt)).filter(shown);
        words.extend(reminded.filter_map(|debt| match debt.kind {
            ObligationKind::Ack => self.of_attention(debt, now),
            _ => self.of_deadline(debt, now),
        }));
        words.extend(cycles.iter().filter_map(|cycle| self.of_cycle(cycle, now)));
        words.extend(self.members.iter().flat_map(|member| self.of_idleness(member, &debts, now)));
        words.extend(self.of_silence(now));
        words.retain(|word| !word.to.is_empty());
        words.sort();
        words
    }

    /// When something is next to be put in order that only takes time.
    pub(super) fn next_upkeep(&self, now: Timestamp) -> Option<Timestamp> {
        let awaited = matches!(self.mode, GroupMode::Active | GroupMode::Idle);
        let away = self.members.iter().filter(|member| awaited && member.ephemeral && !member.session_open);
        let day = std::time::Duration::from_secs(24 * 60 * 60);
        let retired = away.map(|member| member.last_seen.after(day));
        let may_end = !matches!(self.mode, GroupMode::Paused | GroupMode::Archived);
        let votes =
            self.open_votes().filter(|_| may_end).map(|(event, open)| self.vote_over_at(event, open, now));
        let requests = self.open_approvals().map(|(event, open)| self.approval_ends_at(event, open, now));
        let questions =
            self.open_questions().filter_map(|(event, asks)| self.question_ends_at(event, asks, now));
        let ends = requests.chain(questions).filter(|_| may_end);
        let over = ends.map(|end| Timestamp::from_millis(end.as_millis() + 1));
        retired.chain(votes).chain(over).min()
    }

    fn of_unread(&self, member: &Member, now: Timestamp) -> Option<Word> {
        let period = self.period("unread").filter(|_| member.reachable())?;
        let who = member.who();
        let opened = member.session.as_ref().map_or(i64::MIN, |(_, opened)| *opened);
        // Its first event: a session that goes on in another one of its program begins no generation.
        let generation_began = self.log.iter().filter(|event| event.seq > member.added).find(|event| {
            matches!(&event.body, cccc_core::event::Body::SessionOpen(open)
                if open.actor_id == member.id && open.generation == member.generation())
        });
        let began = generation_began.map_or(Seq(0), |event| event.seq).max(member.added);
        let told = self.notices().filter(|(event, notice)| {
            notice.notice == "unread" && notice.target.as_ref() == Some(&who) && event.seq > began
        });
        let through = told.map(|(event, _)| event.seq).max().unwrap_or_default();
        let first = self.unread_of(&who).find(|row| {
            row.handed != Some(member.generation())
                && !row.quiet
                && row.seq > through
                && !self.is_withheld(row)
        })?;
        let sent = self.running(self.event(first.seq)?.ts);
        Some(Word {
            at: self.wall(sent.max(opened) + period, now),
            policy: "unread".into(),
            level: 1,
            to: [who.clone()].into(),
            about: vec![first.seq],
        })
    }

    fn of_attention(&self, debt: &Debt, now: Timestamp) -> Option<Word> {
        let period = self.period("attention")?;
        let debtor = self.member(&debt.debtor)?;
        let asked = self.running(self.event(debt.since.1)?.ts);
        let others = BTreeSet::from([self.lead(Some(&debt.debtor))]);
        let (level, at, to) = match self.told("attention", debt) {
            None if debtor.reachable() => (1, asked + period, [debt.debtor.clone()].into()),
            None => (2, asked + 2 * period, others),
            Some((1, told)) => (2, told + period, others),
            Some(_) => return None,
        };
        let about = vec![debt.source.seq];
        Some(Word { at: self.wall(at, now), policy: "attention".into(), level, to, about })
    }

    fn of_deadline(&self, debt: &Debt, now: Timestamp) -> Option<Word> {
        let period = self.period("reply")?;
        let late = Timestamp::from_millis(debt.due?.as_millis() + 1);
        let after = |at: Timestamp| Timestamp::from_millis(at.as_millis() + period);
        let others = [Some(debt.creditor.clone()), self.foreman.clone()].into_iter().flatten();
        let others = others.filter(|other| *other != debt.debtor && self.is_here(other)).collect();
        let (level, at, to) = match (self.member(&debt.debtor), self.told("reply", debt)) {
            (Some(debtor), None) if debtor.reachable() => (1, late, [debt.debtor.clone()].into()),
            (Some(_), None) => (2, after(late), others),
            (Some(_), Some((1, told))) => (2, after(self.wall(told, now)), others),
            (None, None) => (2, late, [debt.creditor.clone()].into()),
            _ => return None,
        };
        Some(Word { at, policy: "reply".into(), level, to, about: vec![debt.source.seq] })
    }

    fn of_cycle(&self, cycle: &Cycle, now: Timestamp) -> Option<Word> {
        let period = self.period("cycle")?;
        if self.notices().any(|(_, notice)| notice.notice == "cycle" && notice.batch() == cycle.id()) {
            return None;
        }
        let about: Vec<Seq> = cycle.waits.iter().map(|wait| wait.source).collect();
        let newest = about.iter().max().copied()?;
        let at = self.wall(self.running(self.event(newest)?.ts) + period, now);
        Some(Word { at, policy: "cycle".into(), level: 1, to: [self.lead(None)].into(), about })
    }

    fn of_idleness(&self, member: &Member, debts: &[Debt], now: Timestamp) -> Vec<Word> {
        let who = member.who();
        let mut words = Vec::new();
        let Some((did, at)) = member.did.filter(|_| member.session_open) else { return words };
        let at = at.max(member.session.as_ref().map_or(i64::MIN, |(_, opened)| *opened));
        let batch = format!("{},{did}", member.id);
        let owes = debts.iter().any(|debt| debt.debtor == who);
        for (policy, to, wanted) in [("idle", self.lead(Some(&who)), true), ("keepalive", who.clone(), owes)]
        {
            let said = self.notices().any(|(_, notice)| notice.notice == policy && notice.batch() == batch);
            if let Some(period) = self.period(policy).filter(|_| wanted && !said) {
                let at = self.wall(at + period, now);
                words.push(Word { at, policy: policy.into(), level: 1, to: [to].into(), about: vec![did] });
            }
        }
        words
    }

    fn of_silence(&self, now: Timestamp) -> Option<Word> {
        let period = self.period("silence")?;
        let (seq, last) = self.last;
        let said = self.notices().any(|(event, notice)| notice.notice == "silence" && event.seq >= seq);
        let to = [self.lead(None)].into();
        let at = self.wall(last + period, now);
        (!said).then(|| Word { at, policy: "silence".into(), level: 1, to, about: vec![seq] })
    }
}
