//! The envelope of a line: everything but its data.
//!
//! Lines written by this version have their members in one order, which is read without a JSON parser:
//! opening a ledger and every process that follows another's writes read all of them. Any other spelling
//! (a newer version's members, escapes) goes through serde.

use serde::Deserialize;

use crate::event::Via;
use crate::id::{EventId, GroupId, Principal, Seq};
use crate::time::Timestamp;

/// The members of a line, without the data.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Envelope {
    /// Line format version.
    pub v: u64,
    /// Place.
    pub seq: Seq,
    /// Id.
    pub id: EventId,
    /// Time.
    pub ts: Timestamp,
    /// Kind of the data.
    pub kind: String,
    /// Group.
    pub group_id: GroupId,
    /// Scope.
    pub scope_key: String,
    /// Author.
    pub by: Principal,
    /// Door.
    #[serde(default)]
    pub via: Option<Via>,
    /// Whether readers must know the kind to write.
    #[serde(default)]
    pub must: bool,
    /// How many lines of the same command follow.
    #[serde(default)]
    pub b: u64,
    /// On a batch's first line: how many events before it were not yet known to be durable.
    #[serde(default)]
    pub u: u64,
}

impl Envelope {
    /// Reads the envelope of a whole line, of which `before_data` is the beginning up to the comma before
    /// the data.
    pub(super) fn read(line: &[u8], before_data: &[u8]) -> Result<Self, String> {
        match Self::read_ordered(before_data) {
            Some(envelope) => Ok(envelope),
            None => serde_json::from_slice(line).map_err(|error| format!("is not a JSON event: {error}")),
        }
    }

    /// Reads members in the order in which this version writes them; `None` for anything else.
    fn read_ordered(before_data: &[u8]) -> Option<Self> {
        let mut text = Cursor(std::str::from_utf8(before_data).ok()?);
        let mut envelope = Self {
            v: text.after("{\"v\":")?.number()?,
            seq: Seq(text.after(",\"seq\":")?.number()?),
            id: text.after(",\"id\":")?.string()?.parse().ok()?,
            ts: text.after(",\"ts\":")?.string()?.parse().ok()?,
            kind: text.after(",\"kind\":")?.string()?.into(),
            group_id: text.after(",\"group_id\":")?.string()?.parse().ok()?,
            scope_key: text.after(",\"scope_key\":")?.string()?.into(),
            by: text.after(",\"by\":")?.string()?.parse().ok()?,
            via: None,
            must: false,
            b: 0,
            u: 0,
        };
        if text.after(",\"via\":").is_some() {
            envelope.via = Some(serde_json::from_str(text.object()?).ok()?);
        }
        envelope.must = text.after(",\"must\":true").is_some();
        if text.after(",\"b\":").is_some() {
            envelope.b = text.number()?;
        }
        if text.after(",\"u\":").is_some() {
            envelope.u = text.number()?;
        }
        text.0.is_empty().then_some(envelope)
    }
}

/// What has not been read yet. What does not fit is left where it is.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn after(&mut self, literal: &str) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(literal)?;
        Some(self)
    }

    /// A number as JSON has it: no leading zero.
    fn number(&mut self) -> Option<u64> {
        let len = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at(len);
        if digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        self.0 = rest;
        digits.parse().ok()
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        let (text, rest) = self.0.strip_prefix('"')?.split_once('"')?;
        if text.bytes().any(|b| b == b'\\' || b < b' ') {
            return None;
        }
        self.0 = rest;
        Some(text)
    }

    /// An object with no object and no escape in it.
    fn object(&mut self) -> Option<&'a str> {
        let len = self.0.find('}')? + 1;
        let (text, rest) = self.0.split_at(len);
        if text.matches('{').count() != 1 || text.contains('\\') {
            return None;
        }
        self.0 = rest;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"v":1,"seq":42,"id":"42-bcdfghjk","ts":"2026-11-21T08:38:21.123Z","kind":"x.y","group_id":"g1","scope_key":"","by":"alice","via":{"door":"cli","session":"s"},"must":true,"b":2,"u":7"#;

    fn both(before_data: &str) -> (Option<Envelope>, Option<Envelope>) {
        let line = format!("{before_data},\"data\":{{}},\"chain\":\"00\"}}");
        (Envelope::read_ordered(before_data.as_bytes()), serde_json::from_str(&line).ok())
    }

    #[test]
    fn the_ordered_reader_agrees_with_serde() {
        let mut all = LINE.to_owned();
        for member in
            [r#","u":7"#, r#","b":2"#, r#","must":true"#, r#","via":{"door":"cli","session":"s"}"#, ""]
        {
            let (ordered, serde) = both(&all);
            assert!(ordered.is_some());
            assert_eq!(ordered, serde);
            all = all.replace(member, "");
        }
    }

    #[test]
    fn what_it_does_not_know_is_left_to_serde() {
        for (from, to) in [
            (r#""kind":"x.y""#, r#""kind":"x\u002ey""#),
            (r#","by""#, r#","new":[1],"by""#),
            (r#""v":1"#, r#""v": 1"#),
            (r#","must":true"#, r#","must":false"#),
            (r#""door":"cli""#, r#""door":"a}b""#),
        ] {
            let (ordered, serde) = both(&LINE.replace(from, to));
            assert!(ordered.is_none(), "{to}");
            assert!(serde.is_some(), "{to}");
        }
        for bad in [r#""seq":042"#, r#""seq":-1"#, r#""seq":99999999999999999999"#] {
            assert_eq!(both(&LINE.replace(r#""seq":42"#, bad)), (None, None), "{bad}");
        }
    }
}
