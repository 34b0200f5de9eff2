//! The memory against a model of it: a list of notes.

use cccc_core::block_on;
use cccc_memory::{Change, Draft, Memory, Query};
use proptest::prelude::*;

use crate::support::Place;

/// What somebody does.
#[derive(Clone, Debug)]
enum Step {
    Add { who: usize, own: bool, text: u8 },
    Edit { who: usize, note: usize, text: u8 },
    Forget { who: usize, note: usize },
    Supersede { who: usize, note: usize, text: u8 },
    Purge,
}

/// A note of the model.
#[derive(Clone, Debug)]
struct Simple {
    id: usize,
    author: usize,
    own: bool,
    text: String,
    holds: bool,
    forgotten: bool,
}

const NAMES: [&str; 4] = ["user", "lead", "alice", "bob"];

impl Simple {
    fn seen_by(&self, who: usize) -> bool {
        let told = !self.forgotten || who == 0 || (who == 1 && !self.own);
        told && (!self.own || who == 0 || who == self.author)
    }

    fn changed_by(&self, who: usize) -> bool {
        self.seen_by(who) && (who == 0 || who == self.author || (who == 1 && !self.own))
    }
}

#[derive(Debug, Default)]
struct Model(Vec<Simple>);

impl Model {
    fn twin(&self, text: &str, owner: Option<usize>, but: usize) -> Option<usize> {
        let same = |note: &&Simple| {
            note.holds && note.id != but && note.text == text && note.own.then_some(note.author) == owner
        };
        self.0.iter().find(same).map(|note| note.id)
    }

    fn get(&mut self, id: usize) -> Option<&mut Simple> {
        self.0.iter_mut().find(|note| note.id == id)
    }

    /// Adds as the memory would; gives the id.
    fn add(&mut self, who: usize, own: bool, text: &str, next: &mut usize) -> usize {
        if let Some(twin) = self.twin(text, own.then_some(who), 0) {
            return twin;
        }
        *next += 1;
        self.0.push(Simple {
            id: *next,
            author: who,
            own,
            text: text.to_owned(),
            holds: true,
            forgotten: false,
        });
        *next
    }
}

fn word(n: u8) -> String {
    format!("word{}", n % 8)
}

fn step() -> impl Strategy<Value = Step> {
    let (who, note) = (0..NAMES.len(), 1..12usize);
    prop_oneof![
        4 => (who.clone(), any::<bool>(), any::<u8>()).prop_map(|(who, own, text)| Step::Add { who, own, text }),
        2 => (who.clone(), note.clone(), any::<u8>()).prop_map(|(who, note, text)| Step::Edit { who, note, text }),
        2 => (who.clone(), note.clone()).prop_map(|(who, note)| Step::Forget { who, note }),
        2 => (who, note, any::<u8>()).prop_map(|(who, note, text)| Step::Supersede { who, note, text }),
        1 => Just(Step::Purge),
    ]
}

fn apply(memories: &[Memory], model: &mut Model, next: &mut usize, step: &Step) {
    match *step {
        Step::Add { who, own, text } => {
            // The user has no notes of its own.
            let own = own && who > 0;
            let draft = if own { Draft::own(word(text)) } else { Draft::new(word(text)) };
            let id = block_on(memories[who].add(draft)).unwrap().note.note_id;
            assert_eq!(id.to_string(), format!("n{}", model.add(who, own, &word(text), next)));
        }
        Step::Edit { who, note, text } => {
            let id = format!("n{note}").parse().unwrap();
            let mut change = Change::default();
            change.text = Some(word(text));
            change.base = block_on(memories[0].get(id)).ok().map(|note| note.version);
            let done = block_on(memories[who].edit(id, change)).is_ok();
            let twin = model.get(note).cloned().and_then(|note| {
                (note.text != word(text))
                    .then(|| model.twin(&word(text), note.own.then_some(note.author), note.id))?
            });
            let expected = match model.get(note) {
                Some(note) if note.holds && note.changed_by(who) && twin.is_none() => {
                    note.text = word(text);
                    true
                }
                _ => false,
            };
            assert_eq!(done, expected, "{step:?}");
        }
        Step::Forget { who, note } => {
            let done = block_on(memories[who].forget(format!("n{note}").parse().unwrap(), None));
            let done = done.is_ok_and(|done| done.changed);
            let expected = match model.get(note) {
                Some(note) if !note.forgotten && note.changed_by(who) => {
                    (note.holds, note.forgotten) = (false, true);
                    true
                }
                _ => false,
            };
            assert_eq!(done, expected, "{step:?}");
        }
        Step::Supersede { who, note, text } => {
            let mut draft = Draft::new(word(text));
            draft.supersedes = vec![format!("n{note}").parse().unwrap()];
            let done = block_on(memories[who].add(draft)).map(|added| added.note.note_id.to_string());
            let itself = model.twin(&word(text), None, 0) == Some(note);
            let may =
                model.get(note).is_some_and(|old| old.changed_by(who) && old.holds && !old.own && !itself);
            if !may {
                // It may have given way to that very note before, which is no error.
                if let Ok(id) = done {
                    let id = model.get(id[1..].parse().unwrap()).unwrap();
                    assert!(id.holds && id.text == word(text), "{step:?}");
                }
                return;
            }
            let id = model.add(who, false, &word(text), next);
            model.get(note).unwrap().holds = false;
            assert_eq!(done.unwrap(), format!("n{id}"), "{step:?}");
        }
        Step::Purge => {
            let purged = block_on(memories[1].purge(std::time::Duration::ZERO)).unwrap();
            let before = model.0.len();
            model.0.retain(|note| !note.forgotten);
            assert_eq!(usize::try_from(purged.notes).unwrap(), before - model.0.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn it_does_what_a_list_would(steps in prop::collection::vec(step(), 1..40)) {
        let place = Place::new();
        let memories = NAMES.map(|who| place.memory(who));
        let (mut model, mut next) = (Model::default(), 0);
        for step in &steps {
            apply(&memories, &mut model, &mut next, step);
        }
        for (who, memory) in memories.iter().enumerate() {
            let mut query = Query::new();
            query.limit = 1000;
            let mut listed: Vec<(String, String)> = block_on(memory.list(&query)).unwrap().notes.into_iter()
                .map(|note| (note.note_id.to_string(), note.text)).collect();
            listed.sort();
            let mut expected: Vec<(String, String)> = model.0.iter()
                .filter(|note| note.holds && note.seen_by(who))
                .map(|note| (format!("n{}", note.id), note.text.clone())).collect();
            expected.sort();
            prop_assert_eq!(&listed, &expected, "{}", NAMES[who]);
            for n in 0..8 {
                let found = block_on(memory.search(&Query::text(word(n)))).unwrap().hits.len();
                let expected = expected.iter().filter(|(_, text)| *text == word(n)).count();
                prop_assert_eq!(found, expected, "{} of {}", word(n), NAMES[who]);
            }
        }
        prop_assert!(block_on(memories[0].verify()).unwrap().ok);
    }
}
