//! Addresses: how they are written, and whom they mean.
//!
//! | written | means |
//! |---|---|
//! | `@all` | every actor, never people |
//! | `@peers` | every actor but the foreman |
//! | `@foreman` | the foreman |
//! | `user` | the user: the home's owner |
//! | `user:bea`, `@user:bea` | that person |
//! | `@users` | the user and every other person of the group |
//! | `alice`, `@alice` | that actor |
//! | `#label`, `role:label` | every actor with that label |
//! | `alice@group` | whom the address means in another group; see [`relay`](crate::rule::relay) |
//!
//! An address that matches nobody is refused with the nearest names. The sender is never among the
//! recipients, and an address that means only the sender is refused if no other is given.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::command::RemoteAudience;
use crate::error::{Error, ErrorKind, Result};
use crate::event::RelayTarget;
use crate::id::{ActorId, GroupId, Label, PersonId, Principal};
use crate::rule::{few, permission, suggest};
use crate::state::GroupState;

/// How many addresses a message may have.
pub const MAX_ADDRESSES: usize = 256;

/// Whom a message is for, as its sender says it. Displayed in its canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// Every actor.
    All,
    /// Every actor but the foreman.
    Peers,
    /// The foreman.
    Foreman,
    /// The user: the home's owner.
    User,
    /// One other person.
    Person(PersonId),
    /// The user and every other person of the group.
    Users,
    /// One actor.
    Actor(ActorId),
    /// Every actor with a label.
    Label(Label),
    /// Somebody in another group of the home.
    Remote {
        /// Whom, there.
        address: Box<Self>,
        /// Where.
        group: GroupId,
    },
}

impl Address {
    /// Whether it chooses by a property instead of by name, so that the sender need not know whom.
    #[must_use]
    pub fn is_selector(&self) -> bool {
        match self {
            Self::All | Self::Peers | Self::Users | Self::Label(_) => true,
            Self::Remote { address, .. } => address.is_selector(),
            Self::Foreman | Self::User | Self::Person(_) | Self::Actor(_) => false,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("@all"),
            Self::Peers => f.write_str("@peers"),
            Self::Foreman => f.write_str("@foreman"),
            Self::User => f.write_str("user"),
            Self::Person(name) => write!(f, "user:{name}"),
            Self::Users => f.write_str("@users"),
            Self::Actor(id) => id.fmt(f),
            Self::Label(label) => write!(f, "#{label}"),
            Self::Remote { address, group } => write!(f, "{address}@{group}"),
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let malformed = |reason: Error| {
            Error::invalid(format!("{text:?} is not an address: {reason}")).hint(
                "use @all, @peers, @foreman, @users, user, user:NAME, an actor's id, or #label; with @GROUP in another group",
            )
        };
        let bare = text.strip_prefix('@').unwrap_or(text);
        if let Some((address, group)) = split_group(text) {
            let address = Box::new(address.parse().map_err(malformed)?);
            if matches!(*address, Self::Remote { .. }) {
                return Err(malformed(Error::invalid("it names two groups")));
            }
            return Ok(Self::Remote { address, group: GroupId::new(group).map_err(malformed)? });
        }
        if let Some(label) = text.strip_prefix('#').or_else(|| text.strip_prefix("role:")) {
            return Label::new(label).map(Self::Label).map_err(malformed);
        }
        if let Some(name) = bare.strip_prefix("user:") {
            return PersonId::new(name).map(Self::Person).map_err(malformed);
        }
        match bare {
            "users" => Ok(Self::Users),
            "all" => Ok(Self::All),
            "peers" => Ok(Self::Peers),
            "foreman" => Ok(Self::Foreman),
            "user" => Ok(Self::User),
            id => ActorId::new(id).map(Self::Actor).map_err(malformed),
        }
    }
}

/// An address in another group as the address there, and how the group is called; not checked any further.
#[must_use]
pub fn split_group(text: &str) -> Option<(&str, &str)> {
    // What begins with `@` is not in another group by that.
    let at = text.char_indices().skip(1).filter(|(_, c)| *c == '@').map(|(at, _)| at).last()?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Reads a message's addresses.
pub(super) fn parse_all(texts: &[String]) -> Result<Vec<Address>> {
    few("addresses", texts.len(), MAX_ADDRESSES)?;
    texts.iter().map(|text| text.parse()).collect()
}

/// Whom addresses mean.
#[derive(Debug)]
pub(super) struct Audience {
    /// In order, each once, without the sender.
    pub(super) recipients: Vec<Principal>,
    /// Whether any was found through a selector.
    pub(super) selected: bool,
    /// The other groups that some of them are in.
    pub(super) relay_to: Vec<RelayTarget>,
}

/// Whom `addresses` mean now, when `by` speaks; those in other groups as `remote` says.
pub(super) fn resolve(
    state: &GroupState,
    by: &Principal,
    addresses: &[Address],
    remote: &[RemoteAudience],
) -> Result<Audience> {
    let (mut matched, mut relay_to) = (BTreeSet::new(), Vec::<RelayTarget>::new());
    for address in addresses {
        let Address::Remote { group, .. } = address else {
            matched.extend(matches(state, address)?);
            continue;
        };
        let audience = of_remote(address, remote).ok_or_else(|| elsewhere(address))?;
        matched.extend(audience.found.clone()?);
        match relay_to.iter_mut().find(|target| target.group_id == *group) {
            // What was looked up first was found in both.
            Some(target) => target.seq = target.seq.min(audience.seq),
            None => relay_to.push(RelayTarget { group_id: group.clone(), seq: audience.seq }),
        }
    }
    matched.remove(by);
    if matched.is_empty() {
        let names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        return Err(Error::refused(format!(
            "{} means nobody but {by}, and nobody receives its own message",
            names.join(", ")
        ))
        .hint(somebody_else(state, by)));
    }
    Ok(Audience {
        recipients: matched.into_iter().collect(),
        selected: addresses.iter().any(Address::is_selector),
        relay_to,
    })
}

/// The one whom an address means where one is needed, which may be who speaks.
pub(super) fn one(state: &GroupState, by: &Principal, address: &Address) -> Result<Principal> {
    let mut found = matches(state, address)?;
    // Among several, the speaker means the others.
    if found.len() > 1 {
        found.retain(|principal| principal != by);
    }
    only(found)
}

/// The only one of these, where one is needed.
pub(super) fn only(found: Vec<Principal>) -> Result<Principal> {
    match <[Principal; 1]>::try_from(found) {
        Ok([one]) => Ok(one),
        Err(several) => {
            let names: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(Error::refused(format!("one owner is needed, and this means {}", names.join(", ")))
                .hint("name one of them"))
        }
    }
}

/// Whom one address means; never nobody.
fn matches(state: &GroupState, address: &Address) -> Result<Vec<Principal>> {
    let found: Vec<Principal> = match address {
        Address::User => vec![Principal::User],
        Address::Person(name) if state.person(name).is_some() => vec![name.clone().into()],
        Address::Person(name) => return Err(permission::unknown_person(state, name)),
        Address::Users => {
            std::iter::once(Principal::User).chain(state.people().keys().cloned().map(Into::into)).collect()
        }
        Address::Actor(id) if state.actor(id).is_some() => vec![id.clone().into()],
        Address::Actor(id) => return Err(unknown_address(state, id)),
        Address::Foreman => state.foreman().cloned().map(Into::into).into_iter().collect(),
        Address::All => state.actors().keys().cloned().map(Into::into).collect(),
        Address::Peers => {
            state.actors().keys().filter(|id| state.foreman() != Some(id)).cloned().map(Into::into).collect()
        }
        Address::Label(label) => state.with_label(label).cloned().map(Into::into).collect(),
        Address::Remote { .. } => return Err(elsewhere(address)),
    };
    if found.is_empty() { Err(nobody(state, address)) } else { Ok(found) }
}

/// What was found of an address in another group.
fn of_remote<'a>(address: &Address, remote: &'a [RemoteAudience]) -> Option<&'a RemoteAudience> {
    let text = address.to_string();
    remote.iter().find(|audience| audience.address == text)
}

/// An address in another group, where only one in this group will do.
fn elsewhere(address: &Address) -> Error {
    Error::unsupported(format!("{address} is in another group, and only messages reach other groups"))
        .hint("name somebody in this group, or open that group and do it there")
}

/// An id that is not there, which may be a label or a word misspelt.
fn unknown_address(state: &GroupState, id: &ActorId) -> Error {
    if Label::new(id.as_str()).is_ok_and(|label| state.with_label(&label).next().is_some()) {
        return Error::not_found(format!("there is no actor {id} in this group"))
            .hint(format!("to address everyone with the label, write #{id}"));
    }
    permission::unknown_actor(state, id)
}

/// An address that matches nobody.
fn nobody(state: &GroupState, address: &Address) -> Error {
    if state.actors().is_empty() {
        return Error::refused(format!("{address} means nobody: the group has no actors yet"))
            .hint("add one with `cccc actor add lead`, or address the user with `--to user`");
    }
    match address {
        Address::Foreman => {
            let candidate = state.actors().keys().next().map_or("ID", ActorId::as_str);
            Error::refused("the group has no foreman").hint(format!(
                "name a recipient with `--to`, or make one the foreman: `cccc actor update {candidate} --role foreman`"
            ))
        }
        Address::Label(label) => {
            let labels: BTreeSet<&str> =
                state.actors().values().flat_map(|actor| &actor.labels).map(Label::as_str).collect();
            let error = Error::not_found(format!("nobody has the label {label}"));
            match suggest::did_you_mean(label.as_str(), labels) {
                Some(question) => error.hint(question),
                None => error.hint(format!("give it with `cccc actor update ID --label {label}`")),
            }
        }
        _ => Error::refused(format!("{address} means nobody in this group"))
            .hint("add an actor with `cccc actor add ID`"),
    }
}

/// Whom a sender could address instead of itself.
fn somebody_else(state: &GroupState, by: &Principal) -> String {
    let other = state.actors().keys().find(|id| by.actor() != Some(id));
    match (other, by) {
        (Some(id), _) => format!("name somebody else, for example `--to {id}`"),
        (None, Principal::User) => "add an actor with `cccc actor add lead`".into(),
        (None, _) => "address the user with `--to user`".into(),
    }
}

/// Whom a message without an address is for: whoever is answered, else the group's default, else the
/// foreman. An answer to one's own message goes to those who had received that.
pub(super) fn defaults(
    state: &GroupState,
    by: &Principal,
    answered: Option<(&Principal, &[Principal])>,
    remote: &[RemoteAudience],
) -> Result<Vec<Address>> {
    // Nobody in another group who is known to have gone.
    let is_there = |address: &Address| match of_remote(address, remote).map(|audience| &audience.found) {
        Some(Err(error)) => error.kind() != ErrorKind::NotFound,
        _ => true,
    };
    if let Some((asker, recipients)) = answered {
        let spoken_to = if asker == by { recipients } else { std::slice::from_ref(asker) };
        let present = spoken_to.iter().filter(|principal| *principal != by);
        let addresses: Vec<Address> =
            present.filter_map(|principal| of_principal(state, principal)).filter(is_there).collect();
        if !addresses.is_empty() {
            return Ok(addresses);
        }
    }
    if state.default_to().is_empty() { Ok(vec![Address::Foreman]) } else { parse_all(state.default_to()) }
}

/// The address of somebody who can receive.
fn of_principal(state: &GroupState, principal: &Principal) -> Option<Address> {
    match principal {
        Principal::User => Some(Address::User),
        Principal::Person(name) => state.person(name).map(|_| Address::Person(name.clone())),
        Principal::Actor(id) => state.actor(id).map(|_| Address::Actor(id.clone())),
        Principal::System | Principal::Service(_) => None,
        Principal::Remote(_) => of_other_group(principal),
    }
}

/// The address of somebody in another group who can receive, if that is there.
pub(crate) fn of_other_group(principal: &Principal) -> Option<Address> {
    let Principal::Remote(remote) = principal else { return None };
    let address = match remote.who() {
        Principal::User => Address::User,
        Principal::Person(name) => Address::Person(name.clone()),
        Principal::Actor(id) => Address::Actor(id.clone()),
        Principal::System | Principal::Service(_) | Principal::Remote(_) => return None,
    };
    Some(Address::Remote { address: Box::new(address), group: remote.group().clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{AddActor, Command, SendMessage};
    use crate::error::ErrorKind;
    use crate::event::{ActorRemove, ActorUpdate, GroupUpdate};
    use crate::rule::desk::{Desk, event, message, who};

    fn labelled(desk: &mut Desk, id: &str, label: &str) {
        let labels = Some(vec![label.parse().unwrap()]);
        let update = ActorUpdate { labels, ..ActorUpdate::of(id.parse().unwrap()) };
        desk.run("user", Command::UpdateActor(update)).unwrap();
    }

    #[test]
    fn every_form_has_one_canonical_form() {
        for (written, canonical) in [
            ("@all", "@all"),
            ("all", "@all"),
            ("@peers", "@peers"),
            ("@foreman", "@foreman"),
            ("foreman", "@foreman"),
            ("user", "user"),
            ("@user", "user"),
            ("user:bea", "user:bea"),
            ("@user:bea", "user:bea"),
            ("@users", "@users"),
            ("users", "@users"),
            ("user:bea@other", "user:bea@other"),
            ("@users@other", "@users@other"),
            ("alice", "alice"),
            ("@alice", "alice"),
            ("#reviewer", "#reviewer"),
            ("role:reviewer", "#reviewer"),
            ("alice@other", "alice@other"),
            ("@foreman@other", "@foreman@other"),
        ] {
            let parsed: Address = written.parse().unwrap();
            assert_eq!(parsed.to_string(), canonical, "{written}");
            assert_eq!(canonical.parse::<Address>().unwrap(), parsed, "{written}");
        }
        for bad in
            ["", "@", "#", "role:", "Alice", "a b", "@@all@", "alice@", "@x@", "#a b", "system", "svc:x", "*"]
        {
            let error = bad.parse::<Address>().expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{bad}");
        }
    }

    #[test]
    fn addresses_mean_those_who_are_there() {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        labelled(&mut desk, "bob", "reviewer");
        for (by, to, meant) in [
            ("user", &["@all"][..], "alice bob lead"),
            ("alice", &["@all"], "bob lead"),
            ("lead", &["@peers"], "alice bob"),
            ("alice", &["@peers"], "bob"),
            ("alice", &["@foreman"], "lead"),
            ("alice", &["user"], "user"),
            ("alice", &["bob", "@bob", "#reviewer", "role:reviewer"], "bob"),
            ("alice", &["alice", "bob", "user"], "user bob"),
            ("alice", &[], "lead"),
            ("user", &[], "lead"),
        ] {
            let sent = desk.send(by, message("x", to));
            let recipients = &desk.event(sent).unwrap().message().unwrap().recipients;
            let names: Vec<String> = recipients.iter().map(ToString::to_string).collect();
            assert_eq!(names.join(" "), meant, "{by} to {to:?}");
        }
    }

    #[test]
    fn nobody_is_refused_with_the_way_on() {
        use ErrorKind::{NotFound, Refused, Unsupported};
        let mut desk = Desk::with(&["lead", "alice"]);
        labelled(&mut desk, "alice", "reviewer");
        for (by, to, kind, word) in [
            ("user", "alcie", NotFound, "did you mean alice?"),
            ("user", "zed", NotFound, "cccc actor list"),
            ("user", "#reviwer", NotFound, "did you mean reviewer?"),
            ("user", "#frontend", NotFound, "--label frontend"),
            ("user", "reviewer", NotFound, "write #reviewer"),
            ("user", "user", Refused, "nobody receives its own message"),
            ("alice", "#reviewer", Refused, "--to lead"),
            ("lead", "", Refused, "nobody receives its own message"),
            ("user", "alice@other", Unsupported, "other groups"),
        ] {
            let to: &[&str] = if to.is_empty() { &[] } else { std::slice::from_ref(&to) };
            let error = desk.run(by, Command::Send(message("x", to))).expect_err("to be refused");
            assert!(error.kind() == kind && error.to_string().contains(word), "{to:?}: {error}");
        }
        let mut empty = Desk::with(&[]);
        for to in [&[][..], &["@all"], &["@foreman"], &["@peers"]] {
            let error = empty.run("user", Command::Send(message("x", to))).expect_err("to be refused");
            assert!(error.to_string().contains("cccc actor add"), "{error}");
        }
        let remove = ActorRemove {
            actor_id: "lead".parse().unwrap(),
            reason: "done".into(),
            successor: Some("alice".parse().unwrap()),
        };
        desk.run("user", Command::RemoveActor(remove)).unwrap();
        for (to, word) in
            [("lead", "removed from the group (done) (alice took over)"), ("@foreman", "--role foreman")]
        {
            let error = desk.run("user", Command::Send(message("x", &[to]))).expect_err("to be refused");
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn without_an_address_an_answer_goes_to_who_asked() {
        let mut desk = Desk::with(&["lead", "alice", "bob"]);
        let asked = desk.send("alice", message("x", &["bob", "user"]));
        let recipients = |desk: &Desk, seq| desk.event(seq).unwrap().message().unwrap().recipients.clone();
        for (by, to) in [("bob", vec!["alice"]), ("lead", vec!["alice"]), ("alice", vec!["user", "bob"])] {
            let answer = desk.reply(by, asked, false);
            assert_eq!(recipients(&desk, answer), to.into_iter().map(who).collect::<Vec<_>>(), "{by}");
        }
        let default_to = Some(vec!["bob".to_owned(), "#x".to_owned()]);
        desk.run("user", Command::UpdateGroup(GroupUpdate { default_to, ..GroupUpdate::default() })).unwrap();
        labelled(&mut desk, "lead", "x");
        let sent = desk.send("user", message("x", &[]));
        assert_eq!(recipients(&desk, sent), [who("bob"), who("lead")]);
        // Whoever asked is gone, so the default it is.
        let from_service = desk.send("svc:bridge", message("x", &["alice"]));
        let answer = SendMessage { reply_to: Some(event(from_service)), ..message("re", &[]) };
        let answer = desk.send("alice", answer);
        assert_eq!(recipients(&desk, answer), [who("bob"), who("lead")]);
        // Addresses mean what they meant then, whoever came since.
        desk.run("user", Command::AddActor(AddActor::new("late".parse().unwrap()))).unwrap();
        assert_eq!(recipients(&desk, sent), [who("bob"), who("lead")]);
        assert!(desk.unread("late").is_empty());
    }
}
