//! The table in docs/agents.md is what the catalog says.
//!
//! After a wanted change: `CCCC_REFRESH=1 cargo test -p cccc-agents document`.

use std::fs;
use std::path::Path as File;

use crate::catalog::{Agent, Drive, Path, agents};

const BEGIN: &str = "<!-- agents: written by xtask/agents/src/document.rs -->\n";
const END: &str = "<!-- end of agents -->\n";

fn table() -> String {
    let mut table =
        "| agent | package, version | set up by us | lists our server | calls our tools | told through |\n\
        |---|---|---|---|---|---|\n"
            .to_owned();
    for (name, agent) in agents().unwrap() {
        table.push_str(&row(&name, &agent));
    }
    table
}

fn row(name: &str, agent: &Agent) -> String {
    let runs = agent.drive != Drive::None;
    let yes = |does: bool, otherwise: &'static str| if does { "yes" } else { otherwise };
    let paths: Vec<&str> = agent.paths.iter().copied().map(Path::name).collect();
    format!(
        "| `{name}` | `{}` {} | yes | {} | {} | {} |\n",
        agent.package,
        agent.version,
        yes(agent.list.is_some(), "no list that starts it"),
        yes(runs, "needs an account"),
        paths.join(", "),
    )
}

#[test]
fn the_table_of_agents_is_as_the_catalog_says() {
    let path = File::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/agents.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let fresh = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("CCCC_REFRESH").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == fresh, "see the head of this file for how to refresh it");
}
