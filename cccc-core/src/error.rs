//! The one error type: a small kind for programs, a sentence for people, a hint on what to do next.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::files::Misplaced;
use crate::id::Seq;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a program should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request is malformed. Correct it; repeating it is useless.
    Invalid,
    /// A group, actor, event or file that was named does not exist.
    NotFound,
    /// A rule forbids it now, for this caller. Nothing was written.
    Refused,
    /// It contradicts what was written meanwhile, or an earlier use of the same key. Look, then decide.
    Conflict,
    /// Beyond a documented bound. Send less, or attach it.
    TooLarge,
    /// The disk, a lock or the group cannot serve now. Retry later.
    Unavailable,
    /// The store did not answer, so it may have been carried out or not. Look; with the same client id repeating it is
    /// safe.
    Unknown,
    /// Stored bytes are not what was written. Stop, and run `cccc ledger verify`.
    Corrupt,
    /// The ledger has another history than the one that was followed: it was cut by a repair, or replaced by a
    /// copy. What is known of it holds no more: start over from where you want.
    Diverged,
    /// Written by a newer version, or this platform cannot do it. Upgrade.
    Unsupported,
}

impl ErrorKind {
    /// The kind as it is written in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
            Self::Corrupt => "corrupt",
            Self::Diverged => "diverged",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Where a ledger is damaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Damage {
    /// The file, as a path; empty for a ledger that is not in files.
    pub file: String,
    /// Byte offset in the file of the line that is not what was written.
    pub offset: u64,
    /// The seq that should stand there.
    pub seq: Seq,
    /// What is wrong with it.
    pub reason: String,
}

/// Any failure of this crate. One line when displayed; [`hint`](Self::hint_text) says what to do next.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Inner>);

#[derive(Debug, thiserror::Error)]
#[error("{message}{}", hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    retry_after: Option<Duration>,
    damage: Option<Damage>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        $($(#[$doc])* #[must_use] pub fn $name(message: impl Into<String>) -> Self {
            Self::new(ErrorKind::$kind, message)
        })*
    };
}

impl Error {
    /// An error of a kind, with one sentence: lower case, no full stop.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            retry_after: None,
            damage: None,
            source: None,
        }))
    }

    constructors! {
        /// [`ErrorKind::Invalid`].
        invalid => Invalid;
        /// [`ErrorKind::NotFound`].
        not_found => NotFound;
        /// [`ErrorKind::Refused`].
        refused => Refused;
        /// [`ErrorKind::Conflict`].
        conflict => Conflict;
        /// [`ErrorKind::TooLarge`].
        too_large => TooLarge;
        /// [`ErrorKind::Unavailable`].
        unavailable => Unavailable;
        /// [`ErrorKind::Unknown`].
        unknown => Unknown;
        /// [`ErrorKind::Diverged`].
        diverged => Diverged;
        /// [`ErrorKind::Unsupported`].
        unsupported => Unsupported;
    }

    /// [`ErrorKind::Corrupt`], with the place.
    #[must_use]
    pub fn corrupt(damage: Damage) -> Self {
        let place = if damage.file.is_empty() {
            String::new()
        } else {
            format!(" in {} at byte {}", damage.file, damage.offset)
        };
        let mut error = Self::new(
            ErrorKind::Corrupt,
            format!("event {} is damaged{place}: {}", damage.seq, damage.reason),
        )
        .hint(
            "restore the file from a copy, or run `cccc ledger repair`, which keeps everything that is sound",
        );
        error.0.damage = Some(damage);
        error
    }

    /// The failure of an operation on a file, with the path in the message.
    ///
    /// A missing file is [`ErrorKind::NotFound`], anything else [`ErrorKind::Unavailable`]. What stands in the place
    /// of a file of this library is to be moved away, and the error says so.
    #[must_use]
    pub fn io(operation: &str, path: &std::path::Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match source.kind() {
            Io::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Unavailable,
        };
        let hint = match source.kind() {
            Io::NotFound => Some("check the path"),
            Io::StorageFull | Io::QuotaExceeded => Some("free space on that disk, then repeat"),
            Io::ReadOnlyFilesystem => Some("the file system is read-only; use another home (CCCC_HOME)"),
            Io::PermissionDenied => Some("check the owner and the permissions of that path"),
            _ if Misplaced::is_why(&source) => {
                Some("move it away, or remove it if it is of no use; then repeat")
            }
            _ => None,
        };
        let mut error = Self::new(kind, format!("cannot {operation} {}: {source}", path.display()));
        error.0.hint = hint.map(Into::into);
        error.source(source)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds when a retry is worth it.
    #[must_use]
    pub fn retry_after(mut self, duration: Duration) -> Self {
        self.0.retry_after = Some(duration);
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong, for programs.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether what was asked is to be done no more, because somebody else did it, or what it was about is gone: to
    /// whoever keeps things in order that is no failure.
    #[must_use]
    pub fn is_done_by_another(&self) -> bool {
        matches!(self.kind(), ErrorKind::Conflict | ErrorKind::NotFound)
    }

    /// Whether nothing can be written where it failed: a file system that is read-only, or no permission.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        use std::io::ErrorKind as Io;
        matches!(self.io_kind(), Some(Io::ReadOnlyFilesystem | Io::PermissionDenied))
    }

    /// The kind of the cause, if that is the operating system's.
    pub(crate) fn io_kind(&self) -> Option<std::io::ErrorKind> {
        let source = std::error::Error::source(self)?;
        source.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
    }

    /// What went wrong, without what to do next.
    #[must_use]
    pub fn message_text(&self) -> &str {
        &self.0.message
    }

    /// What to do next, if there is something.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// After how long a retry is worth it, if it is.
    #[must_use]
    pub fn retry_after_duration(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Where the ledger is damaged, if that is what went wrong.
    #[must_use]
    pub fn damage(&self) -> Option<&Damage> {
        self.0.damage.as_ref()
    }

    /// `{kind, message, hint, retry_after_ms?}`, as every frontend reports it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = serde_json::json!({
            "kind": self.0.kind.as_str(),
            "message": self.0.message,
            "hint": self.0.hint,
        });
        if let (Some(after), Some(map)) = (self.0.retry_after, json.as_object_mut()) {
            map.insert("retry_after_ms".into(), u64::try_from(after.as_millis()).unwrap_or(u64::MAX).into());
        }
        json
    }
}

/// An error to be given to several callers whose commands shared one append.
impl Clone for Error {
    fn clone(&self) -> Self {
        Self(Box::new(Inner {
            kind: self.0.kind,
            message: self.0.message.clone(),
            hint: self.0.hint.clone(),
            retry_after: self.0.retry_after,
            damage: self.0.damage.clone(),
            source: self.0.source.as_ref().map(|source| source.to_string().into()),
        }))
    }
}
