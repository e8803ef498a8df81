//! Tables: aligned columns, cut to the terminal's width where one column may give way.

use super::Output;
use super::text::printable;
use anstyle::Style;
use std::io::{self, Write};

/// Space between two columns.
const GAP: usize = 3;
/// A column that gives way keeps at least this much.
const NARROWEST: usize = 12;

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// Text.
    Left(&'static str),
    /// Numbers.
    Right(&'static str),
    /// Text that is cut when the terminal is too narrow. The last such column gives way first.
    Flexible(&'static str),
}

/// A table under construction.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

#[derive(Debug)]
struct Cell {
    text: String,
    style: Style,
}

/// A row under construction.
pub(crate) struct Row<'a>(&'a mut Vec<Cell>);

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self {
            columns: columns.into(),
            rows: Vec::new(),
        }
    }

    /// Begins a row; cells follow in the order of the columns.
    pub(crate) fn row(&mut self) -> Row<'_> {
        self.rows.push(Vec::with_capacity(self.columns.len()));
        let last = self.rows.len() - 1;
        Row(&mut self.rows[last])
    }

    /// Writes it. Without a terminal nothing is cut.
    ///
    /// # Errors
    /// When the writer fails.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_within(out, Output::width())
    }

    fn write_within(&self, out: &mut dyn Write, width: Option<usize>) -> io::Result<()> {
        let widths = self.widths(width);
        let header = super::STRONG;
        let cells = self.columns.iter().map(|column| (column.title(), header));
        self.write_row(out, &widths, cells)?;
        for row in &self.rows {
            let cells = row.iter().map(|cell| (cell.text.as_str(), cell.style));
            self.write_row(out, &widths, cells)?;
        }
        Ok(())
    }

    fn widths(&self, terminal: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let cells = self.rows.iter().filter_map(|row| row.get(index));
                cells
                    .map(|cell| cell.text.chars().count())
                    .max()
                    .unwrap_or(0)
                    .max(column.title().chars().count())
            })
            .collect();
        let Some(terminal) = terminal else {
            return widths;
        };
        let total: usize = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let mut excess = total.saturating_sub(terminal);
        for (index, column) in self.columns.iter().enumerate().rev() {
            if matches!(column, Column::Flexible(_)) && excess > 0 {
                let given = excess.min(widths[index].saturating_sub(NARROWEST));
                widths[index] -= given;
                excess -= given;
            }
        }
        widths
    }

    fn write_row<'a>(
        &self,
        out: &mut dyn Write,
        widths: &[usize],
        cells: impl Iterator<Item = (&'a str, Style)>,
    ) -> io::Result<()> {
        let last = widths.len().saturating_sub(1);
        let mut pending = 0;
        for (index, (text, style)) in cells.enumerate() {
            let width = widths[index];
            let shown = cut(text, width);
            let blank = width.saturating_sub(shown.chars().count());
            let right = matches!(self.columns[index], Column::Right(_));
            if right {
                pending += blank;
            }
            if !shown.is_empty() {
                write!(out, "{:pending$}{style}{shown}{style:#}", "")?;
                pending = 0;
            }
            if index < last {
                pending += GAP + if right { 0 } else { blank };
            }
        }
        writeln!(out)
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

impl Row<'_> {
    /// Adds a cell. Control characters are made visible, line breaks become spaces.
    pub(crate) fn cell(self, text: impl AsRef<str>) -> Self {
        self.styled(text, Style::new())
    }

    /// Adds a cell with a style.
    pub(crate) fn styled(self, text: impl AsRef<str>, style: Style) -> Self {
        self.0.push(Cell {
            text: printable(text.as_ref()),
            style,
        });
        self
    }
}

impl Column {
    const fn title(self) -> &'static str {
        match self {
            Self::Left(title) | Self::Right(title) | Self::Flexible(title) => title,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(width: Option<usize>) -> String {
        let mut table = Table::new([
            Column::Left("NAME"),
            Column::Right("TAGS"),
            Column::Flexible("MESSAGE"),
        ]);
        table
            .row()
            .cell("podinfo")
            .cell("12")
            .cell("everything is as it should be here");
        table.row().cell("a").cell("1000").cell("");
        let mut out = Vec::new();
        table.write_within(&mut out, width).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn columns_line_up_and_nothing_trails() {
        assert_eq!(
            written(None),
            "NAME      TAGS   MESSAGE\npodinfo     12   everything is as it should be here\na         1000\n"
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_what_may_give_way() {
        assert_eq!(
            written(Some(30)),
            "NAME      TAGS   MESSAGE\npodinfo     12   everything i…\na         1000\n"
        );
    }
}
