//! What goes out: answers on standard output (JSON lines or text for people), failures on standard error.

use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use cccc_core::Error;
use serde::Serialize;
use serde_json::json;

/// Why a command did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Core, or this program, says why.
    Error(Error),
    /// The answer itself said what is wrong, for example `ledger verify`; nothing more is to be said.
    Answered,
    /// Nobody reads standard output any more.
    ClosedPipe,
}

impl Failure {
    /// The failure of a command whose output is not printed again by itself: that its reader went away early is no
    /// good end.
    pub(crate) fn of_what_is_shown_once(self, hint: &str) -> Self {
        let why = match self {
            Self::ClosedPipe => {
                Error::unavailable("cannot write to standard output: nobody reads it any more")
            }
            Self::Error(error) => error,
            Self::Answered => return Self::Answered,
        };
        Self::Error(why.hint(hint))
    }
}

/// How a command ends.
pub(crate) type Outcome = std::result::Result<(), Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Error(Error::unavailable(format!(
                "cannot write to standard output: {}",
                in_words(&error)
            ))),
        }
    }
}

/// Why something could not be written.
pub(crate) fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => format!("the disk is full ({error})"),
        io::ErrorKind::QuotaExceeded => format!("the quota of the disk is used up ({error})"),
        _ => error.to_string(),
    }
}

/// Styles for a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Cyan => "36",
        }
    }
}

/// Standard output, buffered. Styled only on a terminal, and not where `NO_COLOR` is set.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    styled: bool,
    stdout: RefCell<Option<BufWriter<Stdout>>>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let stdout = io::stdout();
        let styled = !json && !no_colour && !dumb && stdout.is_terminal();
        Self { json, styled, stdout: RefCell::new(Some(BufWriter::new(stdout))) }
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// One answer: as a JSON object on one line, or as text for people.
    pub(crate) fn answer<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> Outcome {
        if self.json { self.json(value) } else { self.line(text()) }
    }

    /// Several answers: one JSON object a line, or one text for people about all of them.
    pub(crate) fn answers<T: Serialize>(&self, values: &[T], text: impl FnOnce() -> String) -> Outcome {
        if self.json { values.iter().try_for_each(|value| self.json(value)) } else { self.line(text()) }
    }

    /// A JSON object on a line.
    pub(crate) fn json<T: Serialize>(&self, value: &T) -> Outcome {
        let text = serde_json::to_string(value)
            .map_err(|e| Error::invalid("the answer cannot be written as JSON").source(e))?;
        self.line(text)
    }

    /// A line, whatever was asked for.
    pub(crate) fn line(&self, text: impl Display) -> Outcome {
        match self.stdout.borrow_mut().as_mut() {
            Some(stdout) => Ok(writeln!(stdout, "{text}")?),
            None => Err(Failure::ClosedPipe),
        }
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Outcome {
        match self.stdout.borrow_mut().as_mut() {
            Some(stdout) => Ok(stdout.write_all(bytes)?),
            None => Err(Failure::ClosedPipe),
        }
    }

    /// Sends out what is buffered.
    pub(crate) fn flush(&self) -> Outcome {
        match self.stdout.borrow_mut().as_mut() {
            Some(stdout) => Ok(stdout.flush()?),
            None => Ok(()),
        }
    }

    /// Forgets what is buffered, because nobody would read it.
    pub(crate) fn discard(&self) {
        if let Some(stdout) = self.stdout.borrow_mut().take() {
            // The parts are the stream and the unwritten bytes; dropping them writes nothing.
            let _ = stdout.into_parts();
        }
    }

    /// Text in a style, where there are styles.
    pub(crate) fn style(&self, style: Style, text: impl Display) -> String {
        match style {
            Style::Plain => text.to_string(),
            _ if !self.styled => text.to_string(),
            _ => format!("\x1b[{}m{text}\x1b[0m", style.code()),
        }
    }

    /// Reports a failure on standard error.
    pub(crate) fn report(&self, failure: &Failure) {
        let Failure::Error(error) = failure else { return };
        if self.json {
            report_line(&json!({ "error": error.to_json() }).to_string());
            return;
        }
        let json = error.to_json();
        let message = json.get("message").and_then(|message| message.as_str()).unwrap_or_default();
        report_line(&format!("error: {}", clean(message)));
        if let Some(hint) = error.hint_text() {
            report_line(&format!("  hint: {}", clean(hint)));
        }
    }

    /// Reports wrong usage as JSON on standard error.
    pub(crate) fn report_usage(error: &clap::Error) {
        let text = error.to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let message = lines.next().map_or("wrong usage", |line| line.trim_start_matches("error: "));
        let hint: Vec<&str> = lines.collect();
        let hint = if hint.is_empty() { None } else { Some(hint.join("; ")) };
        report_line(&json!({"error": {"kind": "invalid", "message": message, "hint": hint}}).to_string());
    }
}

/// A line on standard error; if that is closed, nobody is to be told.
pub(crate) fn report_line(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Text from a ledger made harmless for a terminal: control characters other than newline and tab are
/// shown as what they are instead of being obeyed.
pub(crate) fn clean(text: &str) -> String {
    let harmless = |c: char| c == '\n' || c == '\t' || !c.is_control();
    if text.chars().all(harmless) {
        return text.to_owned();
    }
    text.chars().map(|c| if harmless(c) { c.to_string() } else { c.escape_default().to_string() }).collect()
}

/// The first line of a text, at most `width` characters, for a table.
pub(crate) fn first_line(text: &str, width: usize) -> String {
    let text = clean(text);
    let line = text.lines().next().unwrap_or_default().replace('\t', " ");
    let more = text.lines().count() > 1 || line.chars().count() > width;
    let mut short: String = line.chars().take(if more { width.saturating_sub(1) } else { width }).collect();
    if more {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_command_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\u{9b}c\nd\te"), "a\\u{1b}[2Jb\\u{9b}c\nd\te");
        assert_eq!(clean("Grüße 漢"), "Grüße 漢");
    }

    #[test]
    fn a_long_text_is_cut_with_a_sign() {
        assert_eq!(first_line("short", 10), "short");
        assert_eq!(first_line("one\ntwo", 10), "one…");
        assert_eq!(first_line("0123456789a", 10), "012345678…");
    }
}
