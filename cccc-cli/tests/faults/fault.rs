//! What is done to a program, and how: by a library that is compiled here and loaded before the C library.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// One fault at one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Killed instead of the call.
    Kill,
    /// Killed when half of a write was done.
    Half,
    /// Stopped before the call, and let go on when others have been at work.
    Stop,
    /// The disk refuses the call.
    Eio,
    /// There is no room for it, and then there is.
    Enospc,
    /// There is no room, and there will be none.
    Full,
}

impl Fault {
    pub(crate) const ALL: [Self; 6] =
        [Self::Kill, Self::Half, Self::Stop, Self::Eio, Self::Enospc, Self::Full];

    /// As the library is told.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Half => "half",
            Self::Stop => "stop",
            Self::Eio => "eio",
            Self::Enospc => "enospc",
            Self::Full => "full",
        }
    }

    /// Whether it is one at this call: some calls cannot meet some faults.
    pub(crate) fn fits(self, call: &Call) -> bool {
        let writes = call.name.starts_with("write") || call.name.starts_with("pwrite");
        match self {
            Self::Kill | Self::Stop | Self::Eio => true,
            Self::Half => writes,
            Self::Enospc | Self::Full => {
                writes
                    || ["open", "mkdir", "fsync", "fdatasync"].iter().any(|name| call.name.starts_with(name))
            }
        }
    }

    /// Arms the library for a command: at the `at`-th call below a directory; 0 only counts. What it counts
    /// goes to the file `log`.
    pub(crate) fn arm(command: &mut Command, fault: Option<Self>, at: usize, below: &Path, log: &Path) {
        command.env("LD_PRELOAD", library()).env("CCCC_FAULT_BELOW", below).env("CCCC_FAULT_LOG", log);
        command.env("CCCC_FAULT_AT", at.to_string()).env("CCCC_FAULT", fault.map_or("", Self::name));
    }
}

/// A call that was counted.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Its number, from 1 on.
    pub(crate) at: usize,
    pub(crate) name: String,
    /// What it was about, where it named a path.
    pub(crate) path: String,
}

/// The calls that were counted so far.
pub(crate) fn calls(log: &Path) -> Vec<Call> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let call = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let at = words.next()?.parse().ok()?;
        Some(Call { at, name: words.next()?.to_owned(), path: words.next().unwrap_or_default().to_owned() })
    };
    text.lines().filter_map(call).collect()
}

/// The library, compiled once for all tests of this run.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.rs");
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        // Another run may be doing the same: whoever is last wins, with the same content.
        let (made, library) =
            (dir.join(format!("faults-{}.so", std::process::id())), dir.join("libcccc_faults.so"));
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut compile = Command::new(rustc);
        compile.args([
            "--edition",
            "2024",
            "-O",
            "--crate-type",
            "cdylib",
            "--crate-name",
            "cccc_faults",
            "-o",
        ]);
        let output = compile.arg(&made).arg(source).output().expect("the Rust compiler runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::rename(made, &library).unwrap();
        library
    })
}
