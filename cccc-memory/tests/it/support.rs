//! A throwaway home with a group of which the clock stands still.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cccc_core::{Clock, Group, Home, HomeOptions, ManualClock, Timestamp, block_on};
use cccc_memory::{Draft, Memory, Query};

pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) home: Home,
    pub(crate) user: Group,
}

impl Place {
    /// A group with the foreman `lead` and the peers `alice` and `bob`.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
        let mut options = HomeOptions::default();
        options.clock = clock.clone();
        let home = block_on(Home::open_with(dir.path().join("home"), options)).unwrap();
        let user = block_on(home.create_group("test")).unwrap();
        for id in ["lead", "alice", "bob"] {
            block_on(user.add_actor(id)).unwrap();
        }
        Self { dir, clock, home, user }
    }

    pub(crate) fn memory(&self, who: &str) -> Memory {
        Memory::of(&block_on(self.user.bind(who)).unwrap()).unwrap()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.user.files().unwrap().path().join(cccc_memory::FILE)
    }

    pub(crate) fn later(&self, seconds: u64) {
        self.clock.set(self.clock.now().after(Duration::from_secs(seconds)));
    }
}

/// A note of the group with tags.
pub(crate) fn tagged(text: &str, tags: &[&str]) -> Draft {
    let mut draft = Draft::new(text);
    draft.tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
    draft
}

/// Adds a note and gives its id.
pub(crate) fn add(memory: &Memory, draft: Draft) -> String {
    block_on(memory.add(draft)).unwrap().note.note_id.to_string()
}

/// The ids that a search finds.
pub(crate) fn found(memory: &Memory, text: &str) -> Vec<String> {
    let found = block_on(memory.search(&Query::text(text))).unwrap();
    found.hits.iter().map(|hit| hit.note.note_id.to_string()).collect()
}

/// The ids of a list.
pub(crate) fn listed(memory: &Memory, query: &Query) -> Vec<String> {
    let page = block_on(memory.list(query)).unwrap();
    page.notes.iter().map(|note| note.note_id.to_string()).collect()
}
