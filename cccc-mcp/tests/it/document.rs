//! The table of tools in docs/mcp.md is what the code says.
//!
//! After a wanted change: `CCCC_REFRESH=1 cargo test -p cccc-mcp document`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- tools: written by cccc-mcp/tests/it/document.rs -->\n";
const END: &str = "<!-- end of tools -->\n";

fn table() -> String {
    let mut table = "| tool | for | what it is for |\n|---|---|---|\n".to_owned();
    for tool in cccc_mcp::catalogue() {
        let about = tool.schema.description.clone().unwrap_or_default();
        let first = about.split(". ").next().unwrap_or_default().trim_end_matches('.');
        let offered = match tool.offered_to {
            "everyone" => "everyone".to_owned(),
            "foreman" => "the foreman".to_owned(),
            pack => format!("pack `{pack}`"),
        };
        writeln!(table, "| `{}` | {offered} | {} |", tool.schema.name, first.replace('|', "\\|")).unwrap();
    }
    table
}

#[test]
fn the_table_of_tools_is_as_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mcp.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let fresh = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("CCCC_REFRESH").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == fresh, "see the head of this file for how to refresh it");
}
