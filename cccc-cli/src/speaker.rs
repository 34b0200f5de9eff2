//! Who is speaking: `--as`, else the environment, else the user, but only where no agent is at work.
//!
//! A program that an agent runs inherits the agent's environment, and that may be the one of the person who started
//! the agent. Were it taken for the person, an agent that forgot to say who it is would give orders in the person's
//! name.

use cccc_core::{Error, Principal, Result};
use schemars::JsonSchema;
use serde::Serialize;

/// The variable that names the actor.
pub(crate) const ACTOR_VARIABLE: &str = "CCCC_ACTOR_ID";

/// A variable that a program which runs agents sets for the commands they run.
///
/// Variables that people set to configure such a program (`CODEX_HOME`, `CLAUDE_CODE_USE_BEDROCK`, API
/// keys) are no marks and do not belong here.
struct Mark {
    variable: &'static str,
    /// Only this value is a mark; `None`: any but the empty one.
    value: Option<&'static str>,
    program: &'static str,
}

const fn mark(variable: &'static str, program: &'static str) -> Mark {
    Mark { variable, value: None, program }
}

const MARKS: &[Mark] = &[
    mark("CLAUDECODE", "Claude Code"),
    mark("CLAUDE_CODE_ENTRYPOINT", "Claude Code"),
    mark("CODEX_THREAD_ID", "Codex"),
    mark("CODEX_SANDBOX", "Codex"),
    mark("CODEX_SANDBOX_NETWORK_DISABLED", "Codex"),
    mark("CODEX_CI", "Codex"),
    mark("GEMINI_CLI", "Gemini CLI"),
    mark("QWEN_CODE", "Qwen Code"),
    mark("OPENCODE", "OpenCode"),
    mark("CURSOR_AGENT", "Cursor"),
    mark("COPILOT_CLI", "Copilot CLI"),
    mark("GOOSE_TERMINAL", "Goose"),
    mark("CLINE_ACTIVE", "Cline"),
    mark("AUGMENT_AGENT", "Augment"),
    Mark { variable: "AGENT", value: Some("amp"), program: "Amp" },
    Mark { variable: "AGENT", value: Some("goose"), program: "Goose" },
    Mark { variable: "AGENT", value: Some("1"), program: "an agent" },
    mark("AI_AGENT", "an agent"),
];

/// Who speaks, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Speaker {
    pub(crate) principal: Principal,
    pub(crate) source: Source,
}

/// How it is known who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// `--as` said so.
    Flag,
    /// `CCCC_ACTOR_ID` said so.
    Environment,
    /// A process above this one has joined the group.
    Session,
    /// Nothing said so, and no agent is at work.
    Assumed,
}

type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Who speaks.
///
/// # Errors
/// `Invalid` for a malformed name; `Refused` where an agent has not said who it is.
pub(crate) fn speaker(flag: Option<&str>, variable: &Lookup<'_>) -> Result<Speaker> {
    if let Some(name) = flag {
        return Ok(Speaker { principal: name.parse()?, source: Source::Flag });
    }
    let (principal, source) = match variable(ACTOR_VARIABLE) {
        Some(name) => (name.parse()?, Source::Environment),
        None => (Principal::User, Source::Assumed),
    };
    match found(variable).filter(|_| principal.is_person()) {
        None => Ok(Speaker { principal, source }),
        Some(mark) => {
            let person = if principal == Principal::User { "the user".into() } else { principal.to_string() };
            Err(Error::refused(format!(
                "{} is set, so this is {} and not {person}; say who is speaking",
                mark.variable, mark.program
            ))
            .hint(format!("--as ID or {ACTOR_VARIABLE}=ID with your actor id (`cccc who` lists them)")))
        }
    }
}

/// Whether, as far as the environment tells, a person is at work.
pub(crate) fn is_person(variable: &Lookup<'_>) -> bool {
    cccc_core::agent_name(variable(ACTOR_VARIABLE)).is_none() && found(variable).is_none()
}

/// The agent's program, as far as the environment tells, in one word.
pub(crate) fn program(variable: &Lookup<'_>) -> Option<String> {
    let program = found(variable)?.program;
    let word = program.split(' ').next().filter(|word| *word != "an")?;
    Some(word.to_lowercase())
}

/// The first mark of an agent in the environment.
fn found(variable: &Lookup<'_>) -> Option<&'static Mark> {
    MARKS.iter().find(|mark| match (variable(mark.variable), mark.value) {
        (Some(value), Some(wanted)) => value == wanted,
        (Some(_), None) => true,
        (None, _) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_both_over_marks() {
        let set = [("CCCC_ACTOR_ID", "bob"), ("CLAUDECODE", "1")];
        let by_flag = speaker(Some("alice"), &with(&set)).unwrap();
        assert_eq!((by_flag.principal.to_string().as_str(), by_flag.source), ("alice", Source::Flag));
        let by_environment = speaker(None, &with(&set)).unwrap();
        assert_eq!(by_environment.principal.to_string(), "bob");
        assert_eq!(by_environment.source, Source::Environment);
        assert_eq!(program(&with(&set)).as_deref(), Some("claude"));
    }

    #[test]
    fn every_mark_makes_silence_a_refusal_and_nothing_else_does() {
        for mark in MARKS {
            let set = [(mark.variable, mark.value.unwrap_or("1"))];
            let error = speaker(None, &with(&set)).unwrap_err();
            assert_eq!(error.kind(), cccc_core::ErrorKind::Refused);
            assert!(error.to_string().contains("--as"), "{error}");
            assert!(!is_person(&with(&set)));
            assert_ne!(program(&with(&set)).as_deref(), Some("an"));
        }
        let set = [("CODEX_HOME", "x"), ("AGENT", "x"), ("ANTHROPIC_API_KEY", "x")];
        assert_eq!(speaker(None, &with(&set)).unwrap().source, Source::Assumed);
        assert!(is_person(&with(&set)));
    }

    #[test]
    fn a_persons_environment_makes_no_person_of_an_agent() {
        for name in ["user", "user:bea"] {
            let person = [("CCCC_ACTOR_ID", name)];
            let speaks = speaker(None, &with(&person)).unwrap();
            assert_eq!((speaks.principal.to_string().as_str(), speaks.source), (name, Source::Environment));
            assert!(is_person(&with(&person)));
            let agent = [("CCCC_ACTOR_ID", name), ("CLAUDECODE", "1")];
            let error = speaker(None, &with(&agent)).unwrap_err();
            assert_eq!(error.kind(), cccc_core::ErrorKind::Refused, "{error}");
            assert!(!is_person(&with(&agent)));
            let flagged = speaker(Some(name), &with(&agent)).unwrap();
            assert_eq!(flagged.source, Source::Flag, "whoever says so means it");
        }
    }

    #[test]
    fn every_mark_is_in_the_manual() {
        use clap::CommandFactory;
        let mut cli = crate::cli::Cli::command();
        let manual = cli.find_subcommand_mut("whoami").unwrap().render_long_help().to_string();
        for mark in MARKS {
            assert!(manual.contains(mark.variable), "{}", mark.variable);
            assert!(mark.value.is_none_or(|value| manual.contains(value)), "{}", mark.variable);
        }
    }

    #[test]
    fn a_malformed_name_is_an_error_wherever_it_comes_from() {
        assert!(speaker(Some("Not An Id"), &with(&[])).is_err());
        assert!(speaker(None, &with(&[("CCCC_ACTOR_ID", "../x")])).is_err());
    }
}
