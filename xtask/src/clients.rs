//! `cargo xtask clients`: the MCP server, driven by the protocol's official client libraries and inspector.
//!
//! They are installed under `target/clients`, in the versions that stand here, and run against the program of this
//! tree, each in a home of its own. The scripts say one line for each check; this counts them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::steps::{Scratch, cargo, clean, target};
use crate::{Failure, print};

/// The client library for Python.
const PYTHON: [&str; 1] = ["mcp==2.3.0"];
/// The client libraries for TypeScript, the inspector, and a Node.js that is new enough for it.
const NPM: &str = r#"{
  "private": true,
  "dependencies": {
    "@modelcontextprotocol/sdk": "1.32.2",
    "@modelcontextprotocol/client": "2.4.0",
    "@modelcontextprotocol/inspector": "2.12.0",
    "node": "22.23.3"
  }
}
"#;
/// How long all checks of one language may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Installs what is missing, then drives the server with each.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let tools =
        [("npm", "Node.js with npm, 20 or newer"), ("python3", "Python 3.10 or newer with venv and pip")];
    let missing: Vec<&str> = tools.iter().filter(|(name, _)| !answers(name)).map(|(_, what)| *what).collect();
    if !missing.is_empty() {
        return Err(format!(
            "the clients of the protocol need {}; then run this again",
            missing.join(" and ")
        ));
    }
    let place = target(root).join("clients");
    let python = install(&place)?;
    cargo(root, &["build", "--package", "cccc-cli"], &[])?;
    let program = target(root).join("debug").join("cccc");
    let scripts = root.join("cccc-mcp/tests/clients");
    let node = place.join("node_modules/node/bin/node");
    let (mut passed, mut failed) = (0, 0);
    for (interpreter, script) in [(&python, "drive.py"), (&node, "drive.mjs")] {
        let scratch = Scratch::new(script)?;
        let mut command = Command::new(interpreter);
        command.arg(scripts.join(script));
        let counts = drive(&mut command, &program, &place, scratch.path())?;
        passed += counts.0;
        failed += counts.1;
    }
    print(&format!("\n{passed} passed, {failed} failed\n"));
    if failed == 0 && passed > 0 { Ok(()) } else { Err("the server and a client disagree; see above".into()) }
}

fn answers(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Installs the packages, unless just these are there; answers the Python that has its own.
fn install(place: &Path) -> Result<PathBuf, Failure> {
    let python = place.join("venv/bin/python3");
    let wanted = format!("{NPM}{}\n", PYTHON.join("\n"));
    let stamp = place.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(python);
    }
    let failure = |e: std::io::Error| format!("cannot write {}: {e}", place.display());
    fs::create_dir_all(place).map_err(failure)?;
    fs::write(place.join("package.json"), NPM).map_err(failure)?;
    run_in(place, "npm", &["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"])?;
    run_in(place, "python3", &["-m", "venv", "--clear", "venv"])?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run_in(place, &python.display().to_string(), &[&pip[..], &PYTHON[..]].concat())?;
    fs::write(&stamp, wanted).map_err(failure)?;
    Ok(python)
}

fn run_in(place: &Path, program: &str, arguments: &[&str]) -> Result<(), Failure> {
    print(&format!("   {program} {}\n", arguments.join(" ")));
    let status = Command::new(program)
        .args(arguments)
        .current_dir(place)
        .status()
        .map_err(|e| format!("cannot run {program}: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{program} ended with {status}; is its registry there?"))
    }
}

/// Runs a script in a home with a group of three; counts its checks.
fn drive(command: &mut Command, program: &Path, place: &Path, home: &Path) -> Result<(u32, u32), Failure> {
    let project = home.join("project");
    fs::create_dir(&project).map_err(|e| format!("cannot make {}: {e}", project.display()))?;
    for arguments in
        [&["attach"][..], &["actor", "add", "lead"], &["actor", "add", "alice"], &["actor", "add", "bob"]]
    {
        let mut cccc = Command::new(program);
        let cccc = clean(&mut cccc, home, &[]).args(["--as", "user"]).args(arguments);
        let output = cccc.current_dir(&project).output().map_err(|e| format!("cannot run cccc: {e}"))?;
        if !output.status.success() {
            return Err(format!("cccc {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)));
        }
    }
    let command = clean(command, home, &[]).current_dir(&project).stdout(Stdio::piped());
    command.env("CCCC_PROGRAM", program).env("CCCC_CLIENTS", place);
    let mut child = command.spawn().map_err(|e| format!("cannot start {command:?}: {e}"))?;
    let lines = BufReader::new(child.stdout.take().ok_or("a script without output")?).lines();
    let watch = std::thread::spawn(move || {
        let (mut passed, mut failed) = (0, 0);
        for line in lines.map_while(Result::ok) {
            print(&format!("   {line}\n"));
            passed += u32::from(line.starts_with("ok "));
            failed += u32::from(line.starts_with("not ok "));
        }
        (passed, failed)
    });
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|e| format!("cannot wait for a script: {e}"))? {
            Some(status) => break status,
            None if begun.elapsed() > PATIENCE => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("a script did not end within {} s", PATIENCE.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let (passed, mut failed) = watch.join().map_err(|_| "reading a script's output failed".to_owned())?;
    if !status.success() && failed == 0 {
        print(&format!("   not ok: the script ended with {status}\n"));
        failed = 1;
    }
    Ok((passed, failed))
}
