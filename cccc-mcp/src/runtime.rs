//! Which program a client is, by how it names itself when it connects.

/// The variable that names the program, for clients that do not.
pub(crate) const VARIABLE: &str = "CCCC_RUNTIME";

/// The programs that are known, by the words by which their clients name themselves.
const KNOWN: [(&str, &str); 21] = [
    ("claude", "claude"),
    ("codex", "codex"),
    ("gemini", "gemini"),
    ("qwen", "qwen"),
    ("copilot", "copilot"),
    ("opencode", "opencode"),
    ("kilo", "kilo"),
    ("kilocode", "kilo"),
    ("kimi", "kimi"),
    ("hermes", "hermes"),
    ("droid", "droid"),
    ("factory", "droid"),
    ("auggie", "auggie"),
    ("augment", "auggie"),
    ("amp", "amp"),
    ("grok", "grok"),
    ("cursor", "cursor"),
    ("devin", "devin"),
    ("kiro", "kiro"),
    ("antigravity", "antigravity"),
    ("goose", "goose"),
];

/// Programs of which each process is one session. Of the others, one process may start the servers of several
/// sessions, so the process does not tell who it is.
const ONE_SESSION_EACH: [&str; 3] = ["claude", "gemini", "qwen"];

/// The program, in one word: the known one that the client's name contains, else as the environment's marks say,
/// else the name itself.
pub(crate) fn of_client(name: &str, marked: Option<&str>) -> String {
    let lower = name.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let known = KNOWN.iter().find(|(word, _)| words.contains(word));
    match known.map(|(_, program)| *program).or(marked) {
        Some(program) => program.to_owned(),
        None => words.join("-").chars().take(64).collect(),
    }
}

/// Whether each process of this program is one session.
#[must_use]
pub fn is_one_session(program: &str) -> bool {
    ONE_SESSION_EACH.contains(&program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_by_a_word_of_its_name() {
        for (name, program) in [
            ("claude-code", "claude"),
            ("codex-mcp-client", "codex"),
            ("gemini-cli-mcp-client-cccc", "gemini"),
            ("GitHub Copilot CLI", "copilot"),
            ("opencode", "opencode"),
            ("an-example", "an-example"),
            ("My Client 2.0", "my-client-2-0"),
            ("", ""),
        ] {
            assert_eq!(of_client(name, None), program, "{name}");
        }
        assert_eq!(of_client(&"x".repeat(1000), None).len(), 64);
        assert_eq!(of_client("mcp", Some("hermes")), "hermes");
        assert_eq!(of_client("codex-mcp-client", Some("claude")), "codex");
    }
}
