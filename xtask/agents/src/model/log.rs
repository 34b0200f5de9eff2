//! What the model was asked, and the questions that a proof asks of it: how often a text reached the model, and where
//! it first did.

use std::path::PathBuf;

use super::request::{From, Request};
use crate::Failure;

/// The most requests that are kept.
const MAX_REQUESTS: usize = 400;
/// The most bytes of each that are written down.
const MAX_BYTES: usize = 1 << 20;
/// The most lines on what came besides.
const MAX_ASIDES: usize = 200;

/// The log of one model.
pub(crate) struct Log {
    dir: PathBuf,
    requests: Vec<Request>,
    sides: Vec<Request>,
    asides: Vec<String>,
    written: usize,
}

/// Where a text first reached the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct First {
    /// The number of the request, from 0.
    pub(crate) request: usize,
    pub(crate) from: From,
}

/// How a text reached the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// With how many requests it newly came, not counting that history is sent again with each.
    pub(crate) times: usize,
    /// How often it stood in what newly came, in all.
    pub(crate) copies: usize,
    pub(crate) first: Option<First>,
}

impl Log {
    /// An empty one, that writes what comes into a directory.
    pub(crate) fn new(dir: PathBuf) -> Result<Self, Failure> {
        std::fs::create_dir_all(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
        Ok(Self { dir, requests: Vec::new(), sides: Vec::new(), asides: Vec::new(), written: 0 })
    }

    /// A request of the session itself; its number, from 0.
    pub(super) fn asked(&mut self, request: &Request, text: &str) -> usize {
        self.write("asked.json", text);
        let number = self.requests.len();
        if self.requests.len() < MAX_REQUESTS {
            self.requests.push(request.clone());
        }
        number
    }

    /// A request on the side.
    pub(super) fn side(&mut self, path: &str, request: &Request, text: &str) {
        self.write("side.json", text);
        self.aside(&format!("{path} on the side, with {} tools", request.tools.len()));
        if self.sides.len() < MAX_REQUESTS {
            self.sides.push(request.clone());
        }
    }

    pub(super) fn said(&mut self, text: &str) {
        self.write("said.txt", text);
    }

    /// Anything else.
    pub(super) fn aside(&mut self, line: &str) {
        if self.asides.len() < MAX_ASIDES {
            self.asides.push(line.to_owned());
        }
    }

    fn write(&mut self, what: &str, text: &str) {
        self.written += 1;
        if self.written <= 2 * MAX_REQUESTS {
            let end =
                (0..=text.len().min(MAX_BYTES)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            let path = self.dir.join(format!("{:04}-{what}", self.written));
            // It is for people who look for a fault; the proofs don't read it.
            let _ = std::fs::write(path, text.get(..end).unwrap_or_default());
        }
    }

    /// How many requests the session made.
    pub(crate) fn requests(&self) -> usize {
        self.requests.len()
    }

    /// What came besides, for people.
    pub(crate) fn asides(&self) -> &[String] {
        &self.asides
    }

    /// How a text reached the model.
    pub(crate) fn reached(&self, text: &str) -> Reached {
        let mut reached = Reached::default();
        let mut before = 0;
        for (number, request) in self.requests.iter().enumerate() {
            let now = request.count(text);
            reached.times += usize::from(now > before);
            reached.copies += now.saturating_sub(before);
            before = now;
            if reached.first.is_none() {
                let part =
                    request.parts.iter().find(|part| part.from != From::Model && part.text.contains(text));
                reached.first = part.map(|part| First { request: number, from: part.from });
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::request::Api;
    use super::*;

    #[test]
    fn history_is_no_second_time_but_a_repetition_is() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::new(dir.path().join("log")).unwrap();
        let mut ask = |texts: &[(&str, &str)]| {
            let messages: Vec<_> =
                texts.iter().map(|(role, text)| json!({"role": role, "content": text})).collect();
            log.asked(&Request::of(Api::Chat, &json!({"messages": messages})), "{}");
        };
        ask(&[("user", "begin")]);
        ask(&[("user", "begin"), ("assistant", "word"), ("tool", "a word")]);
        ask(&[("user", "begin"), ("assistant", "word"), ("tool", "a word"), ("user", "go on")]);
        assert_eq!(
            log.reached("word"),
            Reached { times: 1, copies: 1, first: Some(First { request: 1, from: From::Tool }) }
        );
        let ask = |log: &mut Log, text: &str| {
            log.asked(
                &Request::of(Api::Chat, &json!({"messages": [{"role": "tool", "content": text}]})),
                "{}",
            );
        };
        ask(&mut log, "a word and a word");
        assert_eq!((log.reached("word").times, log.reached("word").copies), (2, 2));
        ask(&mut log, "a word, a word, and two more: word word");
        assert_eq!((log.reached("word").times, log.reached("word").copies), (3, 4));
        assert_eq!(log.reached("silence"), Reached::default());
    }
}
