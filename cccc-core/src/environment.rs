//! What the environment says of where and as whom to work. What is set there and cannot be understood is an error
//! and never as good as not set: an agent whose name is garbled would act as the user.

use std::ffi::OsStr;

use crate::error::{Error, Result};
use crate::id::Principal;

/// A variable of the environment that names something; an empty one is as good as not set.
///
/// # Errors
/// `Invalid` if it is no text or has control characters.
pub fn variable(name: &str) -> Result<Option<String>> {
    match std::env::var_os(name) {
        Some(value) if !value.is_empty() => plain_text(&value, &format!("the variable {name}")).map(Some),
        _ => Ok(None),
    }
}

/// The name that a variable gives an agent. A person who put their own name into their environment has not lent it to
/// the agents that they start there: to those it says nothing.
#[must_use]
pub fn agent_name(name: Option<String>) -> Option<String> {
    name.filter(|name| !name.parse::<Principal>().is_ok_and(|named| named.is_person()))
}

/// What names something, as text; `what` it is stands in the error.
pub(crate) fn plain_text(value: &OsStr, what: &str) -> Result<String> {
    match value.to_str() {
        Some(text) if !text.contains(char::is_control) => Ok(text.to_owned()),
        text => {
            let why = if text.is_none() { "is not UTF-8" } else { "has control characters" };
            Err(Error::invalid(format!("{what} {why}: {value:?}")).hint("correct it, or take it away"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_persons_name_is_no_agents() {
        for (name, agents) in [("alice", true), ("Not Valid", true), ("user", false), ("user:bea", false)] {
            assert_eq!(agent_name(Some(name.into())).is_some(), agents, "{name}");
        }
    }

    #[test]
    fn only_text_without_control_characters_names_something() {
        assert_eq!(plain_text(OsStr::new("grün 1"), "x").unwrap(), "grün 1");
        let wrong = [
            std::ffi::OsString::from("a\nb"),
            "\u{1b}[31m".into(),
            #[cfg(unix)]
            std::os::unix::ffi::OsStringExt::from_vec(vec![b'a', 0xff]),
        ];
        for value in wrong {
            let error = plain_text(&value, "the variable X").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!error.to_string().contains(char::is_control), "{error}");
        }
    }
}
