//! Reservations, with patterns compared by trying sample paths.

use cccc_core::event::{Body, Event, ReservationTake};
use cccc_core::{Principal, ReservationId, Timestamp};

use super::model::Model;

/// Patterns of the histories...
pub(super) const GLOBS: [&str; 10] = [
    "src/**",
    "src/a.rs",
    "src/*.rs",
    "docs/**",
    "docs/?.md",
    "**/*.md",
    "**",
    "SRC/b.rs",
    "a*b/c",
    "tests/it/*",
];

/// ... and paths of which any two patterns that overlap have one in common.
pub(super) const PATHS: [&str; 15] = [
    "src/a.rs",
    "src/b.rs",
    "src/x/y.rs",
    "src/x/n.md",
    "docs/a.md",
    "docs/ab.md",
    "docs/x/z.md",
    "readme.md",
    "axb/c",
    "tests/it/m.rs",
    "tests/it/n.md",
    "other/z",
    "src/a.rs/x.md",
    "src/b.rs/x.md",
    "axb/c/x.md",
];

/// Whether a pattern means a path, by trying everything.
pub(super) fn means(glob: &str, path: &str) -> bool {
    let lower = |text: &str| text.to_lowercase().split('/').map(str::to_owned).collect::<Vec<_>>();
    path_means(&lower(glob), &lower(path))
}

fn path_means(glob: &[String], path: &[String]) -> bool {
    match (glob.split_first(), path.split_first()) {
        (None, None) => true,
        // What is named without wildcards may be a directory, and is meant with all that is in it.
        (Some((first, [])), Some((name, _))) if !first.contains(['*', '?']) => first == name,
        (Some((first, rest)), _) if first == "**" => {
            path_means(rest, path) || (!path.is_empty() && path_means(glob, &path[1..]))
        }
        (Some((first, rest)), Some((name, names))) => {
            let (first, name): (Vec<char>, Vec<char>) = (first.chars().collect(), name.chars().collect());
            name_means(&first, &name) && path_means(rest, names)
        }
        _ => false,
    }
}

fn name_means(glob: &[char], name: &[char]) -> bool {
    match (glob.split_first(), name.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => {
            name_means(rest, name) || (!name.is_empty() && name_means(glob, &name[1..]))
        }
        (Some((c, rest)), Some((n, names))) => (*c == '?' || c == n) && name_means(rest, names),
        _ => false,
    }
}

/// Whether two sets of patterns mean a sample path in common.
pub(super) fn overlap(a: &[String], b: &[String]) -> bool {
    let any = |globs: &[String], path| globs.iter().any(|glob| means(glob, path));
    PATHS.iter().any(|path| any(a, path) && any(b, path))
}

/// A reservation that nobody ended.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) id: ReservationId,
    pub(super) holder: Principal,
    pub(super) globs: Vec<String>,
    pub(super) until: Timestamp,
}

impl Model {
    /// The reservations that nobody ended, oldest first.
    pub(super) fn leases(&self) -> Vec<Lease> {
        let takes = self.log.iter().filter_map(|event| match &event.body {
            Body::ReservationTake(take) => Some((event, take)),
            _ => None,
        });
        takes.filter_map(|(event, take)| self.lease(event, take)).collect()
    }

    /// What became of a reservation, unless that is its end.
    fn lease(&self, event: &Event, take: &ReservationTake) -> Option<Lease> {
        let id = take.reservation_id;
        let (mut holder, mut until) = (event.by.clone(), take.until);
        for later in self.log.iter().filter(|later| later.seq > event.seq) {
            match &later.body {
                Body::ReservationTake(other) if other.lapsed.contains(&id) => return None,
                Body::ReservationRelease(release) if release.reservation_id == id => return None,
                Body::ReservationExtend(extend) if extend.reservation_id == id => until = extend.until,
                Body::PersonRemove(remove) if holder == remove.person_id.clone().into() => {
                    holder = remove.successor.clone()?;
                }
                Body::ActorRemove(remove) if holder.actor() == Some(&remove.actor_id) => {
                    holder = remove.successor.clone()?.into();
                }
                _ => {}
            }
        }
        Some(Lease { id, holder, globs: take.globs.clone(), until })
    }

    /// Who keeps somebody from reserving these at `now`.
    pub(super) fn in_the_way(&self, of: &Principal, globs: &[String], now: Timestamp) -> Vec<Lease> {
        let mut leases = self.leases();
        leases.retain(|one| one.holder != *of && now < one.until && overlap(&one.globs, globs));
        leases
    }

    /// Whoever takes something ends what has lapsed, and takes nothing that is held.
    pub(super) fn expect_lapsed(&self, event: &Event, take: &ReservationTake) {
        let lapsed: Vec<ReservationId> =
            self.leases().into_iter().filter(|one| event.ts >= one.until).map(|one| one.id).collect();
        assert_eq!(take.lapsed, lapsed, "{take:?}");
        let others = self.in_the_way(&event.by, &take.globs, event.ts);
        assert!(others.is_empty(), "{take:?} by {} is held: {others:?}", event.by);
    }

    /// A reservation never has two holders, whatever the clock says.
    pub(super) fn expect_one_holder(&self) {
        let leases = self.leases();
        for path in PATHS {
            let mut holders: Vec<&Principal> = leases
                .iter()
                .filter(|one| one.globs.iter().any(|glob| means(glob, path)))
                .map(|one| &one.holder)
                .collect();
            holders.dedup();
            assert!(
                holders.windows(2).all(|pair| pair[0] == pair[1]),
                "{path} is held by {holders:?}: {leases:?}"
            );
            assert!(
                holders.iter().all(|holder| self.is_here(holder) || matches!(holder, Principal::Service(_))),
                "{holders:?}"
            );
        }
    }
}

#[test]
fn the_sample_paths_tell_which_patterns_overlap() {
    use cccc_core::rule::glob::Glob;
    for a in GLOBS {
        for path in PATHS {
            assert_eq!(Glob::parse(a).unwrap().matches(path), means(a, path), "{a} {path}");
        }
        for b in GLOBS {
            let overlaps = Glob::parse(a).unwrap().overlaps(&Glob::parse(b).unwrap());
            assert_eq!(overlaps, overlap(&[a.into()], &[b.into()]), "{a} {b}");
        }
    }
}
