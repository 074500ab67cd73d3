//! How answers look: as tables for people, as JSON for programs.
//!
//! Each command makes one value, which knows both forms. The JSON is that of the report itself, so that it has
//! everything and its names do not change with a title. The text may leave out and shorten. Only answers go to the
//! standard output; failures go to the other.

mod config;
mod copy;
mod explain;
mod history;
mod inspection;
mod job;
mod next;
mod numbers;
mod operations;
mod style;
mod table;
mod time;

use std::io::{self, IsTerminal as _, Write as _};

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::failure::Failure;

pub(crate) use config::{ChangeReport, SettingsReport};
pub(crate) use copy::Copied;
pub(crate) use history::{Counts, Logs, Messages, RunPage, Skips, Took};
pub(crate) use job::Selected;
pub(crate) use operations::{Deed, Done, Instance, Item, Nodes, Paths, said};
pub(crate) use style::{Style, Tone};

/// How answers look.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArguments {
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,

    /// When to colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless the environment has `NO_COLOR`
    Auto,
    Always,
    Never,
}

/// An answer that can be shown. As JSON it is what it serializes to.
pub(crate) trait Show: Serialize {
    /// As text for people, each line ended.
    fn text(&self, style: Style) -> String;

    /// If it shows that the namespace has nothing of what was looked for: that, for an error. It may be the wrong one.
    fn is_nothing(&self) -> Option<&'static str> {
        None
    }

    /// Returns whether something is missing that the registry centre refused.
    fn is_partial(&self) -> bool {
        false
    }
}

/// Where answers go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    is_json: bool,
    is_terminal: bool,
    style: Style,
}

impl OutputArguments {
    /// Returns where answers go, as the arguments and the terminal say.
    pub(crate) fn output(&self) -> Output {
        let is_terminal = io::stdout().is_terminal();
        let is_colored = match self.color {
            Color::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            Color::Always => true,
            Color::Never => false,
        };
        Output {
            is_json: self.json,
            is_terminal,
            style: Style::new(is_colored),
        }
    }
}

impl Output {
    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Shows an answer.
    pub(crate) fn show(&self, answer: &impl Show) -> Result<(), Failure> {
        if self.is_json {
            print(&(json(answer, serde_json::to_string_pretty) + "\n"))
        } else {
            print(&answer.text(self.style))
        }
    }

    /// Shows an answer in place of the one before; JSON in a line each.
    pub(crate) fn show_again(&self, answer: &impl Show) -> Result<(), Failure> {
        match (self.is_json, self.is_terminal) {
            (true, _) => print(&(json(answer, serde_json::to_string) + "\n")),
            // To the first place of a screen that was cleared.
            (false, true) => print(&format!("\x1b[2J\x1b[H{}", answer.text(self.style))),
            (false, false) => print(&(answer.text(self.style) + "\n")),
        }
    }
}

/// Shows a text as it is.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let printed = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    printed.map_err(Failure::Machine)
}

/// Writes an answer as JSON.
fn json<T: Serialize + ?Sized>(answer: &T, write: fn(&T) -> serde_json::Result<String>) -> String {
    write(answer).expect("reports have only texts, numbers and lists, which JSON can hold")
}
