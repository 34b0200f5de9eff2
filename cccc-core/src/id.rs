//! Identifiers, parsed at the boundary: whoever holds one of these types holds a well-formed value.

mod numbered;
mod remote;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use numbered::{ApprovalId, ReservationId, TaskId, VoteId};
pub use remote::Remote;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::text::text_serde;

/// Longest id of a group, actor, label or service, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// Names that address more than one principal or that are principals themselves; no actor may bear them.
pub const RESERVED: [&str; 5] = ["all", "foreman", "peers", "system", "user"];

/// Checks the grammar shared by every name: `[a-z0-9][a-z0-9._-]*`, at most [`MAX_NAME_BYTES`].
///
/// Lower case only, so that an id is also a safe file name on case-insensitive file systems.
fn check_name(what: &'static str, text: &str) -> Result<()> {
    let fits = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.len() <= MAX_NAME_BYTES
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b));
    if fits {
        return Ok(());
    }
    let error = Error::invalid(format!("{text:?} is not a valid {what}")).hint(format!(
        "use 1 to {MAX_NAME_BYTES} of a-z, 0-9, '.', '_', '-', starting with a letter or digit"
    ));
    Err(error)
}

/// One name, or a name within a section: `brief`, `decisions/57`.
fn check_key(what: &'static str, text: &str) -> Result<()> {
    match text.split_once('/') {
        Some((section, item)) => check_name(what, section).and_then(|()| check_name(what, item)),
        None => check_name(what, text),
    }
}

/// Declares a name type: a cheap-to-clone string that parsed.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
        #[schemars(with = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses a name; the error says which characters are allowed.
            pub fn new(text: impl AsRef<str>) -> Result<Self> {
                let text = text.as_ref();
                $check($what, text)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        text_serde!($name, $what);
    };
}

/// [`check_name`], and not one of the [`RESERVED`] words.
fn check_actor(what: &'static str, text: &str) -> Result<()> {
    check_unreserved(what, "an actor", text)
}

/// As [`check_actor`], for people.
fn check_person(what: &'static str, text: &str) -> Result<()> {
    check_unreserved(what, "a person", text)
}

fn check_unreserved(what: &'static str, whom: &str, text: &str) -> Result<()> {
    check_name(what, text)?;
    if RESERVED.contains(&text) {
        return Err(Error::invalid(format!("{text:?} is reserved and cannot name {whom}"))
            .hint(format!("reserved: {}", RESERVED.join(", "))));
    }
    Ok(())
}

name_type!(
    /// The id of a group; also the name of its directory.
    GroupId, "group id", check_name
);
name_type!(
    /// The durable identity of an actor within a group.
    ActorId, "actor id", check_actor
);
name_type!(
    /// The name of a person beside the home's owner, without the `user:` of its [`Principal`].
    PersonId, "person's name", check_person
);
name_type!(
    /// A label of actors; `#label` addresses all who have it, so it is also a topic.
    Label, "label", check_name
);

name_type!(
    /// What an entry of the shared context is found under: `brief`, or `services/api` within a section.
    ContextKey, "context key", check_key
);

impl ContextKey {
    /// The part before the slash, or all of it.
    #[must_use]
    pub fn section(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(section, _)| section)
    }

    /// The part behind the slash.
    #[must_use]
    pub fn item(&self) -> Option<&str> {
        self.0.split_once('/').map(|(_, item)| item)
    }
}

name_type!(
    /// The name of a schedule within a group.
    ScheduleId, "schedule id", check_name
);

/// Who speaks or is spoken to. Written `user`, `user:<name>`, `system`, `svc:<name>`, or as a bare actor id; where
/// it is one of another group, with `@` and that group's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String")]
pub enum Principal {
    /// The person the home belongs to.
    User,
    /// Another person.
    Person(PersonId),
    /// The library itself: notices, policies, recovery.
    System,
    /// An actor of the group.
    Actor(ActorId),
    /// A service that writes to the group (a bridge, a scheduler).
    Service(Label),
    /// Somebody in another group of the home.
    Remote(Remote),
}

impl Principal {
    /// The actor's id, if this is an actor.
    #[must_use]
    pub fn actor(&self) -> Option<&ActorId> {
        match self {
            Self::Actor(id) => Some(id),
            Self::User | Self::Person(_) | Self::System | Self::Service(_) | Self::Remote(_) => None,
        }
    }

    /// Whether this is a person here: the home's owner or another.
    #[must_use]
    pub fn is_person(&self) -> bool {
        matches!(self, Self::User | Self::Person(_))
    }

    /// The principal in its own group: of one of another group, who it is there.
    #[must_use]
    pub fn at_home(&self) -> &Self {
        match self {
            Self::Remote(remote) => remote.who(),
            here => here,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.pad("user"),
            Self::Person(name) => f.pad(&format!("user:{name}")),
            Self::System => f.pad("system"),
            Self::Actor(id) => f.pad(id.as_str()),
            Self::Service(name) => f.pad(&format!("svc:{name}")),
            Self::Remote(remote) => remote.fmt(f),
        }
    }
}

impl FromStr for Principal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some((who, group)) = text.rsplit_once('@') {
            return Remote::new(who.parse()?, GroupId::new(group)?).map(Self::Remote);
        }
        match text {
            "user" => Ok(Self::User),
            "system" => Ok(Self::System),
            _ => match text.split_once(':') {
                Some(("svc", name)) => Label::new(name).map(Self::Service),
                Some(("user", name)) => PersonId::new(name).map(Self::Person),
                _ => ActorId::new(text).map(Self::Actor),
            },
        }
    }
}

text_serde!(Principal, "a principal");

impl From<ActorId> for Principal {
    fn from(id: ActorId) -> Self {
        Self::Actor(id)
    }
}

impl From<PersonId> for Principal {
    fn from(name: PersonId) -> Self {
        Self::Person(name)
    }
}

/// The place of an event in its group's ledger: 1 for the first, dense.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The seq after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Length of the random part of an [`EventId`].
pub const NONCE_CHARS: usize = 8;

/// The alphabet of nonces: no vowels, so no words, and nothing that reads like another character.
const NONCE_ALPHABET: &[u8; 32] = b"0123456789bcdfghjklmnpqrstvwxyz_";

/// The random part of an id: 40 bits as 8 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce([u8; NONCE_CHARS]);

impl Nonce {
    /// Spells the low 40 bits.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        let mut text = [0; NONCE_CHARS];
        for (i, c) in text.iter_mut().enumerate() {
            let digit = usize::try_from((bits >> (5 * i)) & 31).unwrap_or(0);
            *c = NONCE_ALPHABET.get(digit).copied().unwrap_or(b'0');
        }
        Self(text)
    }

    /// The eight characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; NONCE_CHARS] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(|b| NONCE_ALPHABET.contains(b)).then_some(Self(bytes))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The id of an event, `<seq>-<nonce>`: looking it up is looking up the seq, then comparing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String")]
pub struct EventId {
    /// Where the event stands.
    pub seq: Seq,
    /// What tells it from an event that stood there before a recovery.
    pub nonce: Nonce,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}", self.seq, self.nonce.as_str()))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}

impl FromStr for EventId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.split_once('-')
            .and_then(|(seq, nonce)| Some(Self { seq: parse_seq(seq)?, nonce: Nonce::parse(nonce)? }))
            .ok_or_else(|| Error::invalid(format!("{text:?} is not an event id")))
    }
}

text_serde!(EventId, "an event id");

/// A seq as people write it: digits only, not zero, no leading zero.
fn parse_seq(text: &str) -> Option<Seq> {
    if text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().map(Seq)
}

/// An event as a caller names it: `42`, `42-b7`, or the whole id.
///
/// The seq alone is enough because models copy short numbers well; whatever of the nonce is given
/// must match, so that a reference into another group's ledger is noticed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String")]
pub struct EventRef {
    seq: Seq,
    nonce_prefix: String,
}

impl EventRef {
    /// The seq that is meant.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Whether `id` is the event that is meant.
    #[must_use]
    pub fn matches(&self, id: EventId) -> bool {
        id.seq == self.seq && id.nonce.as_str().starts_with(&self.nonce_prefix)
    }
}

impl From<EventId> for EventRef {
    fn from(id: EventId) -> Self {
        Self { seq: id.seq, nonce_prefix: id.nonce.as_str().into() }
    }
}

impl From<Seq> for EventRef {
    fn from(seq: Seq) -> Self {
        Self { seq, nonce_prefix: String::new() }
    }
}

impl fmt::Display for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dash = if self.nonce_prefix.is_empty() { "" } else { "-" };
        f.pad(&format!("{}{dash}{}", self.seq, self.nonce_prefix))
    }
}

impl fmt::Debug for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventRef({self})")
    }
}

impl FromStr for EventRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (seq, nonce) = text.split_once('-').unwrap_or((text, ""));
        let nonce_fits = nonce.len() <= NONCE_CHARS && nonce.bytes().all(|b| NONCE_ALPHABET.contains(&b));
        match parse_seq(seq) {
            Some(seq) if nonce_fits => Ok(Self { seq, nonce_prefix: nonce.into() }),
            _ => Err(Error::invalid(format!("{text:?} does not name an event"))
                .hint("give its number (42), its id (42-bcdfghjk), or the start of its id")),
        }
    }
}

text_serde!(EventRef, "an event's number or id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_where_they_enter() {
        for good in ["a", "alice", "gpt-5.1_codex", "7up"] {
            assert_eq!(ActorId::new(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(65);
        for bad in ["", "Alice", "-a", ".a", "a b", "a/b", "ä", long.as_str(), "user", "all", "svc:x"] {
            assert!(ActorId::new(bad).is_err(), "{bad:?}");
        }
        assert!(serde_json::from_str::<ActorId>("\"../x\"").is_err());
    }

    #[test]
    fn principals_round_trip() {
        for text in ["user", "user:bea", "system", "svc:bridge", "alice"] {
            assert_eq!(text.parse::<Principal>().unwrap().to_string(), text);
        }
        for bad in ["svc:", "all", "user:", "user:user", "user:Bea", "user:a:b", "users:bea", "user:all"] {
            assert!(bad.parse::<Principal>().is_err(), "{bad}");
        }
        for (text, person) in [("user", true), ("user:bea", true), ("system", false), ("bea", false)] {
            assert_eq!(text.parse::<Principal>().unwrap().is_person(), person, "{text}");
        }
    }

    #[test]
    fn an_event_is_named_by_number_prefix_or_id() {
        let id = EventId { seq: Seq(42), nonce: Nonce::from_bits(0x12_3456_789a) };
        assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
        let whole = id.to_string();
        for text in ["42", "42-", &whole[..5], whole.as_str()] {
            assert!(text.parse::<EventRef>().unwrap().matches(id), "{text}");
        }
        assert!(!"42-zzz".parse::<EventRef>().unwrap().matches(id));
        assert!(!"43".parse::<EventRef>().unwrap().matches(id));
        for bad in ["", "0", "042", "-1", "x", "42-A", "42-bcdfghjkl", "4 2", "99999999999999999999"] {
            assert!(bad.parse::<EventRef>().is_err(), "{bad:?}");
        }
    }
}
