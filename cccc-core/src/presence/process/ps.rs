//! What macOS and the BSDs say of processes: what their program `ps` prints.
//!
//! Each column is asked for with an option of its own: there, `-o pid=,ppid=` is one column with the title
//! `,ppid=`. `-ww` keeps lines from being cut at the width of a terminal that is not there.

use std::collections::HashMap;
use std::process::{Command, Stdio};

use super::Stat;

/// Where `ps` is; not looked for in `PATH`, where anything may be.
const PROGRAMS: [&str; 2] = ["/bin/ps", "/usr/bin/ps"];
/// Words of a time as `lstart` prints it: `Tue Nov  3 10:15:00 2026`.
const TIME_WORDS: usize = 5;
/// What names a machine, and its boot where there is such a thing: macOS, FreeBSD, any. A process that started
/// before the last boot is told by its time.
const PLACES: [&str; 3] = ["kern.bootsessionuuid", "kern.hostuuid", "kern.hostname"];

/// The processes that `ps` named.
#[derive(Debug, Default)]
pub(super) struct Table(HashMap<u32, Row>);

#[derive(Debug)]
struct Row {
    stat: Stat,
    arguments: Vec<String>,
}

impl Table {
    /// One process, or all; none where there is no such program.
    pub(super) fn of(pid: Option<u32>) -> Self {
        let mut options = vec!["-ww".to_owned()];
        match pid {
            Some(pid) => options.extend(["-p".to_owned(), pid.to_string()]),
            None => options.push("-A".to_owned()),
        }
        for column in ["pid=", "ppid=", "stat=", "lstart=", "args="] {
            options.extend(["-o".to_owned(), column.to_owned()]);
        }
        let said = PROGRAMS.iter().find_map(|program| output(program, &options));
        said.map(|text| Self::parse(&text)).unwrap_or_default()
    }

    /// A line that cannot be understood is passed over: of its process nothing is known.
    fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(row).collect())
    }

    pub(super) fn stat(&self, pid: u32) -> Option<Stat> {
        self.0.get(&pid).map(|row| row.stat.clone())
    }

    pub(super) fn arguments(&self, pid: u32) -> Option<Vec<String>> {
        self.0.get(&pid).map(|row| row.arguments.clone())
    }
}

fn row(line: &str) -> Option<(u32, Row)> {
    let mut words = line.split_whitespace();
    let pid = words.next()?.parse().ok()?;
    let parent = words.next()?.parse().ok()?;
    let ended = words.next()?.starts_with('Z');
    let time: Vec<&str> = words.by_ref().take(TIME_WORDS).collect();
    if time.len() < TIME_WORDS {
        return None;
    }
    let stat = Stat { parent, started: time.join(" "), ended };
    Some((pid, Row { stat, arguments: words.map(str::to_owned).collect() }))
}

/// See [`PLACES`].
pub(super) fn place() -> String {
    let ask = |name: &&str| {
        output("/sbin/sysctl", &["-n".into(), (*name).into()])
            .or_else(|| output("/usr/sbin/sysctl", &["-n".into(), (*name).into()]))
    };
    let said = PLACES.iter().filter_map(ask).map(|text| text.trim().to_owned());
    said.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

/// What a program of the system prints, always in the same words, so that times can be compared.
fn output(program: &str, options: &[String]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(options).env("LC_ALL", "C").env("TZ", "UTC").stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok()?;
    // `ps` fails where it finds no such process, and has printed nothing then.
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACOS: &str = "\
    1     0 Ss   Mon Nov 23 08:00:12 2026     /sbin/launchd
  612     1 S    Mon Nov 23 08:02:40 2026     /System/Applications/Utilities/Terminal.app/Contents/MacOS/Terminal
  640   612 Ss   Sat Nov 28 05:41:03 2026     login -pf ada
  641   640 S    Sat Nov 28 05:41:03 2026     -zsh
 9120   641 S+   Sat Nov 28 05:44:19 2026     node /usr/local/bin/claude --resume
 9177  9120 Z    Sat Nov 28 05:44:21 2026     (cccc)
";

    const FREEBSD: &str = "\
   0    0 DLs  Tue Nov  3 10:15:00 2026     [kernel]
   1    0 ILs  Tue Nov  3 10:15:01 2026     /sbin/init
 812    1 Is   Tue Nov  3 10:15:09 2026     /usr/sbin/cron -s
2204  812 R+   Sat Nov 28 04:00:00 2026     sh -c cccc join --id alice
";

    #[test]
    fn the_lines_of_macos_and_freebsd_are_understood() {
        let table = Table::parse(MACOS);
        let stat = |parent, started: &str, ended| Some(Stat { parent, started: started.into(), ended });
        assert_eq!(table.stat(9120), stat(641, "Sat Nov 28 05:44:19 2026", false));
        assert_eq!(table.stat(9177), stat(9120, "Sat Nov 28 05:44:21 2026", true));
        assert_eq!(table.arguments(9120).unwrap(), ["node", "/usr/local/bin/claude", "--resume"]);
        assert_eq!(table.stat(2), None);
        let table = Table::parse(FREEBSD);
        assert_eq!(table.stat(812), stat(1, "Tue Nov 3 10:15:09 2026", false));
        assert_eq!(table.arguments(2204).unwrap()[..2], ["sh", "-c"]);
        assert_eq!(table.stat(1).unwrap().parent, 0);
    }

    #[test]
    fn what_is_not_understood_says_nothing() {
        for text in
            ["", "\n", "ps: no such option", "12", "12 1 S Mon Nov 23", "x 1 S Mon Nov 23 08:00:12 2026 a"]
        {
            assert!(Table::parse(text).0.is_empty(), "{text:?}");
        }
        let kernel = Table::parse("4 0 S Mon Nov 23 08:00:12 2026");
        assert_eq!(kernel.arguments(4).unwrap(), Vec::<String>::new());
    }
}
