//! Which program a client is, by how it names itself when it connects.
//!
//! Which programs there are is told by whoever starts the server: this knows none.

use std::sync::{Arc, LazyLock};

/// The variable that names the program, for clients that do not.
pub(crate) const VARIABLE: &str = "CCCC_RUNTIME";

/// The longest name that is made of a client's own.
const LONGEST: usize = 64;

/// A program that agents are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// Its name, in one word.
    pub name: String,
    /// Words by which its clients name themselves, in lower case.
    pub clients: Vec<String>,
    /// Whether each process of it is one session. Of the others, one process may start the servers of several
    /// sessions, so the process does not tell who it is.
    pub one_session: bool,
}

/// The programs that are known. Looked up when somebody first joins, because a server must start at once.
#[derive(Clone, Debug)]
pub struct Runtimes(Arc<LazyLock<Vec<Runtime>, Box<dyn FnOnce() -> Vec<Runtime> + Send>>>);

impl Runtimes {
    /// As this will say, once.
    #[must_use]
    pub fn lazily(known: impl FnOnce() -> Vec<Runtime> + Send + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(known))))
    }

    /// The program, in one word: the known one that the client's name contains, else as the environment's marks
    /// say, else the name itself.
    pub(crate) fn of_client(&self, name: &str, marked: Option<&str>) -> String {
        let lower = name.to_lowercase();
        let words: Vec<&str> =
            lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let known = self
            .0
            .iter()
            .find(|program| program.clients.iter().any(|client| words.contains(&client.as_str())));
        match known.map(|program| program.name.as_str()).or(marked) {
            Some(program) => program.to_owned(),
            None => words.join("-").chars().take(LONGEST).collect(),
        }
    }

    /// Whether each process of this program is one session.
    pub(crate) fn is_one_session(&self, name: &str) -> bool {
        self.0.iter().any(|program| program.name == name && program.one_session)
    }
}

impl Default for Runtimes {
    /// None is known: every client is what it says it is.
    fn default() -> Self {
        Self::lazily(Vec::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Runtimes {
        let runtime = |name: &str, clients: &[&str], one_session| Runtime {
            name: name.to_owned(),
            clients: clients.iter().map(|client| (*client).to_owned()).collect(),
            one_session,
        };
        Runtimes::lazily(move || {
            vec![
                runtime("claude", &["claude"], true),
                runtime("codex", &["codex"], false),
                runtime("kilo", &["kilo", "kilocode"], false),
            ]
        })
    }

    #[test]
    fn a_client_is_known_by_a_word_of_its_name() {
        for (name, program) in [
            ("claude-code", "claude"),
            ("codex-mcp-client", "codex"),
            ("Kilocode 7", "kilo"),
            ("an-example", "an-example"),
            ("My Client 2.0", "my-client-2-0"),
            ("", ""),
        ] {
            assert_eq!(known().of_client(name, None), program, "{name}");
        }
        assert_eq!(known().of_client(&"x".repeat(1000), None).len(), LONGEST);
        assert_eq!(known().of_client("mcp", Some("hermes")), "hermes");
        assert_eq!(known().of_client("codex-mcp-client", Some("claude")), "codex");
        assert_eq!(Runtimes::default().of_client("claude-code", None), "claude-code");
    }

    #[test]
    fn which_processes_are_one_session_is_asked_of_the_table() {
        assert!(known().is_one_session("claude"));
        assert!(!known().is_one_session("codex") && !known().is_one_session("other"));
    }
}
