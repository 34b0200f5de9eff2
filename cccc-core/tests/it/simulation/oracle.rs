//! What was promised to anybody, and whether it was kept. It knows nothing of files.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use cccc_core::Seq;
use cccc_core::event::Body;
use cccc_core::ledger::{Chain, Page, Position, RawLine, is_redacted};

/// What one run's processes saw, in the order in which it happened.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    /// The chain at each place that anybody was shown or told is durable. It must stay for ever.
    firm: BTreeMap<u64, Chain>,
    /// Events whose data was replaced by its hash.
    redacted: BTreeSet<Seq>,
    /// Commands whose append said that they are not there and will not come back.
    gone: BTreeSet<String>,
    pub(super) counts: Counts,
    pub(super) violations: Vec<String>,
}

/// How often things happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) appended: u64,
    pub(super) lost: u64,
    pub(super) errors: u64,
    pub(super) events: u64,
    pub(super) set_aside: u64,
}

impl Oracle {
    pub(super) fn violation(&mut self, text: String) {
        // The first are the cause, the rest follow from them.
        if self.violations.len() < 8 {
            self.violations.push(text);
        }
    }

    /// Somebody was told that the ledger is durable up to here.
    pub(super) fn firm(&mut self, who: &str, position: Position) {
        let Position { seq, chain } = position;
        if seq.0 == 0 {
            return;
        }
        let known = *self.firm.entry(seq.0).or_insert(chain);
        if known != chain {
            self.violation(format!("{who} was shown {chain} at {seq}, where there had been {known}"));
        }
    }

    /// Somebody was shown durable lines, which follow `previous`. Returns where they end.
    pub(super) fn page(&mut self, who: &str, previous: Position, page: &Page) -> Position {
        let mut position = previous;
        for line in page.lines() {
            match line.check(position) {
                Ok(next) => position = next,
                Err(reason) => {
                    self.violation(format!("{who} was shown event {}: {reason}", position.seq.next()));
                    return position;
                }
            }
            self.firm(who, position);
        }
        position
    }

    /// A redaction returned.
    pub(super) fn redacted(&mut self, seq: Seq) {
        self.redacted.insert(seq);
    }

    /// The chain that must stand at a place.
    pub(super) fn known(&self, seq: Seq) -> Option<Chain> {
        self.firm.get(&seq.0).copied()
    }

    /// An append said that its commands are not there.
    pub(super) fn gone(&mut self, commands: &[String]) {
        self.gone.extend(commands.iter().cloned());
    }

    /// Checks the whole ledger as it is in the end.
    pub(super) fn check_end(&mut self, start: Position, page: &Page) {
        let mut chains = BTreeMap::from([(0, start.chain)]);
        let mut position = start;
        // Commands whose last event is there.
        let mut seen = HashSet::new();
        let mut open: Option<(String, u64)> = None;
        let mut blind = false;
        for line in page.lines() {
            match line.check(position) {
                Ok(next) => position = next,
                Err(reason) => self.violation(format!("at the end, event {}: {reason}", position.seq.next())),
            }
            chains.insert(position.seq.0, position.chain);
            if is_redacted(line.data()) {
                // It may have begun or ended a command, or stood within one.
                (open, blind) = (None, true);
                continue;
            }
            if self.redacted.contains(&position.seq) {
                self.violation(format!("event {} was redacted, and its data is there", position.seq));
            }
            let Some(Mark { command, index, count }) = Mark::of(&line) else { continue };
            let expected = open.take().map_or(0, |(of, next)| if of == command { next } else { u64::MAX });
            if !std::mem::take(&mut blind) && expected != index {
                self.violation(format!("event {}: {command} {index}/{count} is out of place", position.seq));
            }
            if index + 1 < count {
                open = Some((command.clone(), index + 1));
            } else if !seen.insert(command.clone()) {
                self.violation(format!("{command} is there twice"));
            }
            if index == 0 && self.gone.contains(&command) {
                self.violation(format!("{command} is there, and its append said that it is not"));
            }
        }
        if let Some((command, next)) = open {
            self.violation(format!("{command} ends before its event {next}"));
        }
        self.counts.events += page.len() as u64;
        let missing: Vec<String> = self
            .firm
            .iter()
            .filter(|(seq, chain)| chains.get(seq) != Some(chain))
            .map(|(seq, chain)| format!("{seq}:{chain} is now {:?}", chains.get(seq)))
            .collect();
        if let Some(first) = missing.first() {
            self.violation(format!("{} durable events are not there; the first: {first}", missing.len()));
        }
    }
}

/// What the simulation writes into every event: which of how many of which command it is.
pub(super) struct Mark {
    pub(super) command: String,
    pub(super) index: u64,
    pub(super) count: u64,
}

impl Mark {
    fn of(line: &RawLine<'_>) -> Option<Self> {
        let event = line.parse().ok()?;
        let Body::Unknown { data, .. } = &event.body else { return None };
        let value: serde_json::Value = serde_json::from_str(data.get()).ok()?;
        Some(Self {
            command: value.get("command")?.as_str()?.to_owned(),
            index: value.get("index")?.as_u64()?,
            count: value.get("count")?.as_u64()?,
        })
    }
}
