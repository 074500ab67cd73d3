use comfy_table::{Cell, Row, presets};

use super::{Style, Tone};

/// Between two columns.
const GAP: u16 = 2;

/// Rows below titles, without lines, so that other programs can take it apart, too.
pub(super) struct Table {
    table: comfy_table::Table,
    columns: usize,
}

impl Table {
    pub(super) fn new(style: Style, titles: &[impl AsRef<str>]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(titles.iter().map(|title| Tone::Strong.cell(title.as_ref())));
        // It would look at the terminal by itself, and not know what was asked for. Rows are left as long as they are: ids
        // that are broken in two cannot be copied.
        table.force_no_tty();
        if style.is_colored() {
            table.enforce_styling();
        }
        Self {
            table,
            columns: titles.len(),
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.table.add_row(Row::from(cells));
    }

    /// The rows, each ended; `nothing` where there are none.
    pub(super) fn text(mut self, nothing: &str) -> String {
        if self.table.is_empty() {
            return format!("{nothing}\n");
        }
        for column in 0..self.columns {
            if let Some(column) = self.table.column_mut(column) {
                column.set_padding((0, GAP));
            }
        }
        self.table.trim_fmt() + "\n"
    }
}

/// A text that nothing is to be said of.
pub(super) fn plain(text: impl ToString) -> Cell {
    Cell::new(text)
}

/// A text, or that there is none.
pub(super) fn optional(text: Option<impl ToString>) -> Cell {
    match text {
        Some(text) => plain(text),
        None => Tone::Quiet.cell("-"),
    }
}
