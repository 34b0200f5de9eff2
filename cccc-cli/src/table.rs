//! Tables for people: columns as wide as their widest cell, the last one unbounded.

use crate::output::{Output, Style};

/// Rows of cells. The first row is the header.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    out: &'a Output,
    rows: Vec<Vec<(String, Style)>>,
}

impl<'a> Table<'a> {
    /// A table with these column heads.
    pub(crate) fn new(out: &'a Output, heads: &[&str]) -> Self {
        let header = heads.iter().map(|head| ((*head).to_owned(), Style::Dim)).collect();
        Self { out, rows: vec![header] }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [(String, Style); N]) {
        self.rows.push(cells.into());
    }

    /// Whether there is no row but the header.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// The table as text, without a newline at its end.
    pub(crate) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(text, _)| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width_of).collect();
        let line = |row: &Vec<(String, Style)>| {
            let last = row.len().saturating_sub(1);
            let cells = row.iter().zip(&widths).enumerate().map(|(i, ((text, style), width))| {
                let gap = if i == last { 0 } else { width - text.chars().count() };
                format!("{}{}", self.out.style(*style, text), " ".repeat(gap))
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// A cell without a style.
pub(crate) fn plain(text: impl ToString) -> (String, Style) {
    (text.to_string(), Style::Plain)
}
