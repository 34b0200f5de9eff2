//! What a process says of itself in the lock files that it holds, and what the system tells of another one.

use cccc_fork::Own;

use super::holder::{Condition, Holder, record};
use super::{DiskFile, holder};
use crate::clock::{Clock, SystemClock};

/// The record of the calling process, as of now.
pub(super) fn signature() -> Vec<u8> {
    static REST: Own<String> = Own::new();
    let rest = || Holder::new(None, std::process::id(), &program(), host()).rest();
    record(SystemClock.now(), REST.get_or_make(rest))
}

fn program() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(unix)]
fn host() -> &'static str {
    static HOST: Own<String> = Own::new();
    HOST.get_or_make(|| holder::short(&rustix::system::uname().nodename().to_string_lossy()))
}

#[cfg(not(unix))]
fn host() -> &'static str {
    static HOST: Own<String> = Own::new();
    HOST.get_or_make(|| holder::short(&std::env::var("COMPUTERNAME").unwrap_or_default()))
}

/// See [`Disk::holder`](super::Disk::holder).
pub(super) fn holder_of(file: &dyn DiskFile) -> Option<Holder> {
    let written = Holder::read(file);
    if let Some(process_id) = system::lock_owner(file) {
        // The kernel knows; the record adds since when, if it is of that process.
        let written = written.filter(|holder| holder.process_id == process_id && holder.host == host());
        let name = || system::program(process_id).unwrap_or_default();
        let mut holder = written.unwrap_or_else(|| Holder::new(None, process_id, &name(), host()));
        holder.condition = system::condition(process_id);
        return Some(holder);
    }
    let mut holder = written?;
    if holder.host != host() {
        holder.condition = Condition::Elsewhere;
    } else if let Some(alive) = system::runs(holder.process_id, &holder.program) {
        if !alive {
            return None;
        }
        holder.condition = system::condition(holder.process_id);
    }
    Some(holder)
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs;

    use super::super::DiskFile;
    use super::super::holder::{Condition, short};

    /// The process that took the lock (`flock`) on a file, if it is of this container.
    pub(super) fn lock_owner(file: &dyn DiskFile) -> Option<u32> {
        let (device, inode) = file.stat().ok()?.identity;
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        owner_in(&fs::read_to_string("/proc/locks").ok()?, &format!("{major:02x}:{minor:02x}:{inode}"))
    }

    /// Lines are `3: FLOCK  ADVISORY  WRITE 7992 fe:00:10010657 0 EOF`, with `->` before `FLOCK` for those that wait.
    pub(super) fn owner_in(locks: &str, place: &str) -> Option<u32> {
        locks.lines().find_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let held = words.next()? == "FLOCK" && words.nth(1)? == "WRITE";
            let process_id = words.next()?.parse().ok().filter(|id| *id > 0)?;
            (held && words.next()? == place).then_some(process_id)
        })
    }

    /// The file name of a process's program.
    pub(super) fn program(process_id: u32) -> Option<String> {
        let path = fs::read_link(format!("/proc/{process_id}/exe")).ok()?;
        Some(short(&path.file_name()?.to_string_lossy()))
    }

    /// Whether a process is there that runs this program.
    pub(super) fn runs(process_id: u32, name: &str) -> Option<bool> {
        if !fs::exists("/proc/self").ok()? {
            return None;
        }
        Some(match program(process_id) {
            // A program that was replaced meanwhile is shown as "name (deleted)".
            Some(program) => program.starts_with(name),
            None => fs::exists(format!("/proc/{process_id}")).ok()?,
        })
    }

    pub(super) fn condition(process_id: u32) -> Condition {
        // The state comes after the name, which may hold anything but ends with the last parenthesis.
        let stat = fs::read_to_string(format!("/proc/{process_id}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        if matches!(state, Some('T' | 't')) || is_frozen(process_id).unwrap_or(false) {
            return Condition::Stopped;
        }
        Condition::Unknown
    }

    /// Whether a process is in a control group that is frozen (`docker pause`, `systemctl freeze`).
    fn is_frozen(process_id: u32) -> Option<bool> {
        let groups = fs::read_to_string(format!("/proc/{process_id}/cgroup")).ok()?;
        let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        let events = fs::read_to_string(format!("/sys/fs/cgroup{group}/cgroup.events")).ok()?;
        Some(events.lines().any(|line| line == "frozen 1"))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::super::DiskFile;
    use super::super::holder::Condition;

    pub(super) fn lock_owner(_: &dyn DiskFile) -> Option<u32> {
        None
    }

    pub(super) fn program(_: u32) -> Option<String> {
        None
    }

    pub(super) fn runs(_: u32, _: &str) -> Option<bool> {
        None
    }

    pub(super) fn condition(_: u32) -> Condition {
        Condition::Unknown
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::disk::{Disk, OpenMode, RealDisk};

    #[test]
    fn the_kernel_names_who_holds_and_not_who_waits() {
        let locks = "1: POSIX  ADVISORY  WRITE 5 fe:00:77 0 EOF\n\
            2: -> FLOCK  ADVISORY  WRITE 6 fe:00:77 0 EOF\n\
            3: FLOCK  ADVISORY  WRITE 7 fe:00:770 0 EOF\n\
            4: FLOCK  ADVISORY  WRITE 8 fe:00:77 0 EOF\n";
        assert_eq!(system::owner_in(locks, "fe:00:77"), Some(8));
        assert_eq!(system::owner_in(locks, "fe:00:78"), None);
    }

    #[test]
    fn a_holder_is_found_and_a_past_one_is_not_blamed() {
        let (disk, home) = (RealDisk::new(), tempfile::tempdir().unwrap());
        let path = home.path().join("lock");
        let file = disk.open(&path, OpenMode::Create).unwrap();
        assert!(file.lock_within(std::time::Duration::from_secs(20)).unwrap());
        let holder = disk.holder(&*disk.open(&path, OpenMode::Read).unwrap()).unwrap();
        assert_eq!((holder.process_id, holder.condition), (std::process::id(), Condition::Unknown));
        assert!(holder.since.is_some() && !holder.program.is_empty());
        file.unlock().unwrap();
        // Whoever wrote this is not there any more: no process has so high a number.
        file.write_at(&Holder::new(None, 1 << 30, "gone", host()).encode(), 0).unwrap();
        assert_eq!(disk.holder(&*file), None);
        file.write_at(&Holder::new(None, 1 << 30, "far", "another-host").encode(), 0).unwrap();
        assert_eq!(disk.holder(&*file).unwrap().condition, Condition::Elsewhere);
    }
}
