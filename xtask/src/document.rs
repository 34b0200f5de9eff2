//! What a Markdown document shows: its fenced blocks, and the commands in them with what they print.

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// What stands after the opening fence: `console`, `rust`, `text`...
    pub(crate) info: String,
    /// Line of the document on which its content begins, from 1.
    pub(crate) line: usize,
    pub(crate) content: Vec<String>,
}

/// A command as shown in a `console` block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) line: usize,
    pub(crate) command: String,
    /// What it prints; a line `...` stands for any lines.
    pub(crate) output: Vec<String>,
}

/// The fenced blocks of a document, in order.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (i, line) in text.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), open.as_mut()) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => {
                open = Some(Block { info: info.trim().into(), line: i + 2, content: Vec::new() });
            }
            (None, Some(block)) => block.content.push(line.into()),
            (None, None) => {}
        }
    }
    blocks.extend(open);
    blocks
}

impl Block {
    /// The commands of a `console` block: lines after `$ `, continued on lines after `> `.
    pub(crate) fn commands(&self) -> Vec<Shown> {
        let mut commands: Vec<Shown> = Vec::new();
        for (i, line) in self.content.iter().enumerate() {
            let last = commands.last_mut();
            if let Some(command) = line.strip_prefix("$ ") {
                let shown = Shown { line: self.line + i, command: command.into(), output: Vec::new() };
                commands.push(shown);
            } else if let Some(last) = last {
                match line.strip_prefix("> ") {
                    Some(more) if last.output.is_empty() => {
                        last.command.push('\n');
                        last.command.push_str(more);
                    }
                    _ => last.output.push(line.clone()),
                }
            }
        }
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_with_what_they_print() {
        let text = "a\n```console\n$ one \\\n> two\nout\n...\n$ three\n```\nb\n```rust\n$ no\n```\n";
        let blocks = blocks(text);
        assert_eq!(blocks.len(), 2);
        let commands = blocks[0].commands();
        assert_eq!(commands.len(), 2);
        assert_eq!((commands[0].command.as_str(), commands[0].line), ("one \\\ntwo", 3));
        assert_eq!(commands[0].output, ["out", "..."]);
        assert_eq!((commands[1].command.as_str(), commands[1].line), ("three", 7));
        assert!(commands[1].output.is_empty());
    }
}
