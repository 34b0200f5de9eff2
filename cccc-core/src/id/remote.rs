//! Principals of other groups: who wrote what was relayed here, and who is written to there.

use std::fmt;
use std::sync::Arc;

use super::{GroupId, Principal};
use crate::error::{Error, Result};

/// A principal of another group of the home, written `<principal>@<group id>`.
///
/// No handle is ever bound to one. Only the relay writes in such a name, and it takes it from the envelope
/// of the message it copies; so the name says who spoke, as surely as the other group knows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Remote(Arc<(Principal, GroupId)>);

impl Remote {
    /// The principal `who` of `group`.
    ///
    /// # Errors
    /// `Invalid` for one that is itself of another group: a message is relayed by whoever wrote it.
    pub fn new(who: Principal, group: GroupId) -> Result<Self> {
        match who {
            Principal::Remote(_) => Err(Error::invalid(format!("{who}@{group} names two groups"))
                .hint("name the group in which that principal is")),
            who => Ok(Self(Arc::new((who, group)))),
        }
    }

    /// Who, there; never one of another group.
    #[must_use]
    pub fn who(&self) -> &Principal {
        &self.0.0
    }

    /// Where.
    #[must_use]
    pub fn group(&self) -> &GroupId {
        &self.0.1
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}@{}", self.who(), self.group()))
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_of_another_group_is_written_with_it() {
        for text in ["lead@gabc", "user@gabc", "user:bea@gabc", "svc:bridge@gabc", "system@gabc"] {
            let parsed: Principal = text.parse().unwrap();
            assert_eq!(parsed.to_string(), text);
            assert!(matches!(&parsed, Principal::Remote(remote) if remote.group().as_str() == "gabc"));
            assert!(parsed.actor().is_none(), "nobody here is meant");
        }
        for bad in ["lead@", "@gabc", "lead@gabc@gdef", "all@gabc", "lead@../x"] {
            assert!(bad.parse::<Principal>().is_err(), "{bad}");
        }
    }
}
