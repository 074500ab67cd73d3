use comfy_table::{Attribute, Cell, Color};

/// Whether texts are coloured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    is_colored: bool,
}

/// The meaning of a text for an operator who looks for trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// All is well.
    Good,
    /// An operator should know about it.
    Notable,
    /// Something does not work.
    Bad,
    /// Of less interest than what is around it.
    Quiet,
    /// A title.
    Strong,
}

impl Style {
    pub(super) fn new(is_colored: bool) -> Self {
        Self { is_colored }
    }

    pub(super) fn is_colored(self) -> bool {
        self.is_colored
    }

    /// A text in its tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Notable => "33",
            Tone::Bad => "31",
            Tone::Quiet => "2",
            Tone::Strong => "1",
        };
        if self.is_colored {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

impl Tone {
    /// A cell of a table in this tone.
    pub(super) fn cell(self, text: impl ToString) -> Cell {
        let cell = Cell::new(text);
        match self {
            Self::Good => cell.fg(Color::DarkGreen),
            Self::Notable => cell.fg(Color::DarkYellow),
            Self::Bad => cell.fg(Color::DarkRed),
            Self::Quiet => cell.add_attribute(Attribute::Dim),
            Self::Strong => cell.add_attribute(Attribute::Bold),
        }
    }
}
