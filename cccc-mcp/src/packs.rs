//! Which packs of tools an actor has: a packaged default, and over it what the home says.
//!
//! Tools that few agents need are off, since every tool costs every agent its schema. `mcp.json` in the home
//! may narrow or widen who may switch a pack on, and switch packs on for good:
//!
//! ```json
//! {"allow": {"diagnostics": ["lead"], "files": []}, "on": {"alice": ["history"], "*": ["labels"]}}
//! ```
//!
//! Names are actors' ids, `foreman`, `peer`, or `*`. What the home does not mention stays as packaged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cccc_core::event::Role;
use cccc_core::{Error, ErrorKind, Result};
use serde::Deserialize;

/// The file in the home.
const FILE: &str = "mcp.json";
/// The largest such file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;
/// What is packaged.
const PACKAGED: &str = include_str!("packs.json");

/// Who may have which packs, and who has them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Packs {
    /// By pack: who may switch it on.
    #[serde(default)]
    allow: BTreeMap<String, Vec<String>>,
    /// By actor: what is on for it.
    #[serde(default)]
    on: BTreeMap<String, Vec<String>>,
}

/// For whom packs are looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    pub(crate) actor: &'a str,
    pub(crate) role: Role,
}

impl Who<'_> {
    fn is_among(&self, names: &[String]) -> bool {
        let role = match self.role {
            Role::Foreman => "foreman",
            Role::Peer => "peer",
        };
        names.iter().any(|name| name == "*" || name == self.actor || name == role)
    }
}

impl Packs {
    /// As packaged and as the home says.
    ///
    /// # Errors
    /// `Invalid`, with the place, if the home's file is malformed; `Unavailable` if it cannot be read.
    pub(crate) fn of_home(home: &Path) -> Result<Self> {
        let mut packs = Self::packaged()?;
        let path = home.join(FILE);
        let text = match cccc_core::read_file(&path, MAX_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(packs),
            Err(error) => return Err(error),
        };
        let overlay: Self = serde_json::from_slice(&text)
            .map_err(|error| Error::invalid(format!("{} is malformed: {error}", path.display())))?;
        packs.allow.extend(overlay.allow);
        packs.on.extend(overlay.on);
        Ok(packs)
    }

    pub(crate) fn packaged() -> Result<Self> {
        serde_json::from_str(PACKAGED)
            .map_err(|error| Error::invalid(format!("the packaged packs are malformed: {error}")))
    }

    /// Whether somebody may switch a pack on.
    pub(crate) fn may(&self, who: Who<'_>, pack: &str) -> bool {
        self.allow.get(pack).is_some_and(|names| who.is_among(names))
    }

    /// The packs that are on for somebody who has switched these on.
    pub(crate) fn on(&self, who: Who<'_>, switched: &BTreeSet<String>) -> BTreeSet<String> {
        let given = self.on.iter().filter(|(name, _)| who.is_among(std::slice::from_ref(name)));
        let all = given.flat_map(|(_, packs)| packs).chain(switched);
        all.filter(|pack| self.may(who, pack)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_narrows_widens_and_switches_on() {
        let home = tempfile::tempdir().unwrap();
        let who = |actor| Who { actor, role: if actor == "lead" { Role::Foreman } else { Role::Peer } };
        let switched = BTreeSet::from(["history".to_owned(), "nothing".to_owned()]);
        let on = |actor| {
            let packs = Packs::of_home(home.path()).unwrap().on(who(actor), &switched);
            packs.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(on("alice"), "history");
        let overlay = r#"{"allow": {"history": ["foreman"], "diagnostics": ["bob"]},
                          "on": {"*": ["labels"], "bob": ["diagnostics", "files"], "alice": ["diagnostics"]}}"#;
        std::fs::write(home.path().join(FILE), overlay).unwrap();
        assert_eq!(on("alice"), "labels");
        assert_eq!(on("bob"), "diagnostics files labels");
        assert_eq!(on("lead"), "history labels");
        std::fs::write(home.path().join(FILE), r#"{"alow": {}}"#).unwrap();
        let error = Packs::of_home(home.path()).unwrap_err();
        assert!(error.to_string().contains("mcp.json is malformed: unknown field `alow`"), "{error}");
    }
}
