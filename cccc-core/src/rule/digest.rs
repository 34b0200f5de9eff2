//! The shared context as one text for an agent's prompt, within a size given.
//!
//! First what the group is about, then what was decided, who is doing what, what can be used, and notes.
//! If not everything fits, what is short stays whole and what is long is cut, each with the call that
//! shows the rest; of decisions and notes the newest stay. Never longer than asked for.

use crate::id::Principal;
use crate::rule::context::{self, DECISIONS, NOTES, SERVICES};
use crate::state::GroupState;
use crate::time::Timestamp;

/// Sections in their order; others come after, by name.
const ORDER: [&str; 7] = ["brief", "vision", "sketch", "milestones", DECISIONS, SERVICES, NOTES];

/// A part of the text.
#[derive(Debug)]
struct Block {
    heading: String,
    /// Whole lines, the most important first.
    items: Vec<String>,
    /// How to see all of it.
    call: String,
}

/// The shared context in at most `max_bytes`; empty if there is nothing to say or no room to say it.
#[must_use]
pub fn digest(state: &GroupState, max_bytes: usize, now: Timestamp) -> String {
    let blocks = blocks(state, now);
    let mut shares = shares(&blocks.iter().map(Block::size).collect::<Vec<_>>(), max_bytes);
    let mut text = String::new();
    let mut left_over = 0;
    for (block, share) in blocks.iter().zip(shares.drain(..)) {
        let room = share + left_over;
        let part = block.within(room);
        left_over = room - part.len();
        text.push_str(&part);
    }
    text
}

fn blocks(state: &GroupState, now: Timestamp) -> Vec<Block> {
    let mut sections: Vec<&str> = state.context().keys().map(|key| key.section()).collect();
    sections.dedup();
    let others: Vec<&str> = sections.iter().filter(|section| !ORDER.contains(section)).copied().collect();
    let mut blocks = Vec::new();
    for section in ORDER.into_iter().chain(others) {
        if section == SERVICES {
            blocks.extend(agents(state, now));
        }
        blocks.extend(of_section(state, section));
    }
    blocks
}

fn of_section(state: &GroupState, section: &str) -> Option<Block> {
    let mut entries: Vec<_> = state.context().iter().filter(|(key, _)| key.section() == section).collect();
    if matches!(section, DECISIONS | NOTES) {
        // The newest first: by number, not by how the number is spelt.
        entries.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.author.1));
    }
    let line = |(key, entry): &(&crate::id::ContextKey, &crate::state::Entry)| {
        let words = context::words(&entry.value);
        match (key.section(), key.item()) {
            (DECISIONS | NOTES, Some(item)) => format!("- {words} ({}, {item})", entry.author.0),
            (_, Some(item)) => format!("- {item}: {words}"),
            (_, None) => words,
        }
    };
    let items: Vec<String> = entries.iter().map(line).collect();
    let call = format!("cccc context show {section}");
    let heading = match entries.as_slice() {
        [(key, entry)] if key.item().is_none() => {
            format!("## {section} (set by {}, version {})", entry.by, entry.version())
        }
        _ => format!("## {section}"),
    };
    (!items.is_empty()).then_some(Block { heading, items, call })
}

fn agents(state: &GroupState, now: Timestamp) -> Option<Block> {
    let items: Vec<String> = context::agents(state, now)
        .into_iter()
        .map(|agent| {
            let mut words: Vec<String> = [("next", &agent.next), ("blocked by", &agent.blocker)]
                .into_iter()
                .filter(|(_, text)| !text.is_empty())
                .map(|(what, text)| format!("{what}: {text}"))
                .collect();
            if let Some(what) = &agent.waiting_for {
                words.push(format!("waits for {what}"));
            }
            if !agent.focus.is_empty() {
                words.insert(0, agent.focus);
            }
            if let Some(until) = agent.until {
                let over = if agent.stale { " (over)" } else { "" };
                words.push(format!("until {until}{over}"));
            }
            format!("- {}: {}", Principal::from(agent.actor_id), words.join("; "))
        })
        .collect();
    (!items.is_empty()).then(|| Block {
        heading: "## who is at what".to_owned(),
        items,
        call: "cccc agent-state".to_owned(),
    })
}

impl Block {
    /// All of it, in bytes.
    fn size(&self) -> usize {
        self.heading.len() + 1 + self.items.iter().map(|item| item.len() + 1).sum::<usize>()
    }

    /// As much of it as fits; nothing at all if not even a beginning does.
    fn within(&self, room: usize) -> String {
        let mut text = format!("{}\n", self.heading);
        let size = self.size();
        if size <= room {
            self.items.iter().for_each(|item| text = format!("{text}{item}\n"));
            return text;
        }
        let rest = format!("(more: `{}`)\n", self.call);
        let Some(free) = room.checked_sub(text.len() + rest.len()) else { return String::new() };
        let mut free = free;
        for item in &self.items {
            if item.len() < free {
                free -= item.len() + 1;
                text = format!("{text}{item}\n");
                continue;
            }
            // A few words of something are better than none.
            if free > 32 {
                text = format!("{text}{}\n", context::clipped(item, free - 1));
            }
            break;
        }
        text + &rest
    }
}

/// Divides `total` among parts that want these sizes: none gets more than it wants, and what the small
/// ones leave goes to the large ones in equal parts.
fn shares(sizes: &[usize], total: usize) -> Vec<usize> {
    let mut shares = vec![0; sizes.len()];
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|at| sizes.get(*at).copied());
    let (mut left, mut parts) = (total, sizes.len());
    for at in order {
        let fair = left / parts.max(1);
        let share = sizes.get(at).copied().unwrap_or(0).min(fair);
        if let Some(slot) = shares.get_mut(at) {
            *slot = share;
        }
        left -= share;
        parts -= 1;
    }
    shares
}

#[cfg(test)]
mod tests;
