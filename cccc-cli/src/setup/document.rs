//! The tables of `docs/setup.md`, which are the catalog's.

use std::collections::BTreeMap;
use std::path::Path;

use super::catalog::{Catalog, Scope};
use super::hooks::{EVENTS, Files};
use crate::hook::{Event, Form};

/// Where the tables are in the manual.
const MARKS: [&str; 2] = ["<!-- generated from runtimes.toml -->\n", "<!-- end -->\n"];

/// A file as a person knows it: where no variable is set, the first that is looked for.
fn file(dirs: &[String], files: &[String]) -> String {
    let dir = dirs.iter().find(|dir| !dir.starts_with("${")).or(dirs.first());
    let (dir, file) = (dir.map_or("", String::as_str), files.first().map_or("", String::as_str));
    match dir {
        "." => format!("`{file}`"),
        dir => format!("`{dir}/{file}`"),
    }
}

fn tables(catalog: &Catalog) -> String {
    let mut servers = String::from(
        "| agent | `--runtime` | for you | for this directory | by | checked |\n|---|---|---|---|---|---|\n",
    );
    let mut hooks = String::from(
        "| agent | for you | for this directory | moments | form | checked |\n|---|---|---|---|---|---|\n",
    );
    for (name, runtime) in catalog.all().filter(|(_, runtime)| runtime.checked.is_some()) {
        let checked = |checked: &Option<String>| checked.clone().unwrap_or_default();
        let place = |scope| runtime.place(scope);
        let of = |scope| place(scope).map_or_else(String::new, |place| file(&place.dir, &place.file));
        let own =
            [Scope::User, Scope::Project].into_iter().filter_map(place).any(|place| !place.add.is_empty());
        let by = if own { "its own command" } else { "its file" };
        servers += &format!(
            "| {} | `{name}` | {} | {} | {by} | {} |\n",
            runtime.title,
            of(Scope::User),
            of(Scope::Project),
            checked(&runtime.checked)
        );
        let Some(known) = &runtime.hooks else { continue };
        let of = |files: &Option<Files>| {
            files.as_ref().map_or_else(String::new, |files| file(&files.dir, &files.file))
        };
        let moments: Vec<&str> =
            EVENTS.into_iter().filter(|event| known.events.contains_key(*event)).collect();
        hooks += &format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            runtime.title,
            of(&known.user),
            of(&known.project),
            moments.join(", "),
            known.form.as_deref().unwrap_or("claude"),
            checked(&known.checked)
        );
    }
    format!("{servers}\n{hooks}")
}

#[test]
fn the_manual_has_the_catalogs_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/setup.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let [from, to] = MARKS;
    let (head, rest) = text.split_once(from).unwrap();
    let (_, tail) = rest.split_once(to).unwrap();
    let home = tempfile::tempdir().unwrap();
    let should = format!("{head}{from}{}{to}{tail}", tables(&Catalog::load(home.path()).unwrap()));
    if std::env::var_os("CCCC_REFRESH").is_some() {
        std::fs::write(&path, &should).unwrap();
        return;
    }
    assert_eq!(text, should, "stale: run the test with CCCC_REFRESH=1");
}

#[test]
fn every_agent_says_how_it_is_known_and_every_hook_how_it_answers() {
    let home = tempfile::tempdir().unwrap();
    let catalog = Catalog::load(home.path()).unwrap();
    let mut forms = BTreeMap::new();
    for (name, runtime) in catalog.all().filter(|(_, runtime)| !runtime.programs.is_empty()) {
        assert!(runtime.checked.is_some(), "{name}");
        if let Some(hooks) = &runtime.hooks {
            assert!(hooks.checked.is_some() && hooks.events.contains_key("start"), "{name}");
            let form = Form::named(hooks.form.as_deref().unwrap_or("claude")).unwrap();
            for event in ["prompt", "tool", "stop"] {
                let carried = form.carries(Event::named(event).unwrap());
                assert_eq!(
                    hooks.events.contains_key(event),
                    carried,
                    "{name} runs it for nothing, or misses it"
                );
            }
            *forms.entry(hooks.form.clone().unwrap_or_default()).or_insert(0) += 1;
        }
    }
    assert_eq!(EVENTS, crate::hook::EVENTS.map(|(name, _)| name));
    assert_eq!(forms.values().sum::<usize>(), 10, "{forms:?}");
}
