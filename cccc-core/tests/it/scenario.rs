//! All scenarios through the library, and whether they leave a refusal out.

mod arguments;
mod door;
mod message;
mod page;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use cccc_core::testing::scenario::{Scenario, Site, VERBS, Verb, sites};

pub(crate) use door::LibraryDoor;

/// Where the scenarios lie, for all frontends.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Runs scenarios side by side; gives the messages of all refusals, or panics with all that went wrong.
pub(crate) fn run_all(scenarios: &[Scenario], door: impl Fn() -> LibraryDoor + Sync) -> Vec<String> {
    let next = Mutex::new(scenarios.iter());
    let (refusals, wrong) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(scenario) = next.lock().unwrap().next() else { break };
                    match scenario.run(&mut door()) {
                        Ok(seen) => refusals.lock().unwrap().extend(seen.refusals),
                        Err(error) => wrong.lock().unwrap().push(error),
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(wrong.is_empty(), "{} scenarios fail:\n\n{}", wrong.len(), wrong.join("\n\n"));
    refusals.into_inner().unwrap()
}

#[test]
fn every_scenario_holds_and_every_refusal_is_in_one() {
    let scenarios = Scenario::all(&directory()).unwrap_or_else(|error| panic!("{error}"));
    let through: Vec<Scenario> =
        scenarios.iter().filter(|one| !one.not_through.contains_key("library")).cloned().collect();
    let messages = run_all(&through, || LibraryDoor::new(None));
    let missing = refusals_left_out(&messages);
    assert!(missing.is_empty(), "no scenario meets these refusals:\n{}", missing.join("\n"));
    assert!(scenarios.len() >= 60, "there are {} scenarios", scenarios.len());
}

#[test]
fn every_operation_is_in_a_scenario() {
    let scenarios = Scenario::all(&directory()).unwrap_or_else(|error| panic!("{error}"));
    let mut used: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for step in scenarios.iter().flat_map(|scenario| &scenario.steps) {
        used.entry(step.verb.name).or_default().extend(step.with.keys().map(String::as_str));
    }
    let unused = |verb: &Verb| -> Vec<String> {
        let Some(arguments) = used.get(verb.name) else { return vec![verb.name.to_owned()] };
        let left_out = verb.arguments.iter().filter(|argument| !arguments.contains(argument.name));
        left_out.map(|argument| format!("{}: {}", verb.name, argument.name)).collect()
    };
    let unused: Vec<String> = VERBS.iter().flat_map(unused).collect();
    assert!(unused.is_empty(), "no scenario uses\n{}", unused.join("\n"));
}

/// The refusals that rules can give and that were not met, except for those in `refusals.json`, each with
/// the reason why no scenario can show it. That list must not grow stale either.
fn refusals_left_out(messages: &[String]) -> Vec<String> {
    let listed = std::fs::read_to_string(directory().join("../fixtures/refusals-elsewhere.json")).unwrap();
    let elsewhere: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&listed).unwrap();
    let mut left_out = Vec::new();
    let mut excused: BTreeSet<(String, String)> = BTreeSet::new();
    let all_sites = all_sites();
    let mut met_sites = BTreeSet::new();
    for message in messages {
        // A message counts for the places that fit it best, so that a broad template is not met by others.
        let fitting = all_sites.iter().filter(|site| site.may_have_said(message));
        let best = fitting.clone().map(Site::fixed_bytes).max().unwrap_or_default();
        met_sites.extend(fitting.filter(|site| site.fixed_bytes() == best).cloned());
    }
    for site in all_sites {
        let met = met_sites.contains(&site);
        let excuse = elsewhere.get(&site.file).is_some_and(|file| file.contains_key(&site.template));
        match (met, excuse) {
            (false, false) => left_out.push(site.to_string()),
            (true, true) => left_out.push(format!("{site} (met, and listed as not to be met)")),
            (false, true) => {
                excused.insert((site.file, site.template));
            }
            (true, false) => {}
        }
    }
    for (file, template) in elsewhere.iter().flat_map(|(file, all)| all.keys().map(move |one| (file, one))) {
        if !excused.contains(&(file.clone(), template.clone())) {
            left_out.push(format!("{file}: {template:?} is listed, and there is no such refusal"));
        }
    }
    left_out
}

/// All refusals of the rules, of what is parsed at the border, and of the handle.
fn all_sites() -> Vec<Site> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for part in ["rule", "group", "id", "id.rs", "engine/mod.rs", "event/vote.rs", "event/chat.rs"] {
        rust_files(&source.join(part), &mut files);
    }
    files.sort();
    let found = files.iter().flat_map(|path| {
        let name = path.strip_prefix(&source).unwrap().to_str().unwrap().replace('\\', "/");
        sites(&name, &std::fs::read_to_string(path).unwrap())
    });
    found.collect()
}

fn rust_files(path: &Path, into: &mut Vec<PathBuf>) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| rust_files(&entry.unwrap().path(), into));
    } else if name.ends_with(".rs") && name != "tests.rs" && name != "desk.rs" {
        into.push(path.to_owned());
    }
}
