//! Pictures of firings, as SVG: the bars of a row, and the matrix of a job.
//!
//! Each outcome has a shape of its own, so that it is legible without colour: a bar from the bottom succeeded, and its height is the
//! duration; a full cell with a cross failed, and with a bolt it was lost; two strokes were skipped; a dashed frame runs; a dot did
//! not run; nothing on a pale ground was not observed. A chevron above is a take-over, a ring was made up.

use std::fmt::Write as _;

use elasticjob::operation::world::{Cell, Firing, Outcome};
use elasticjob::run::{Source, Verdict};

/// The width and height of a cell of the matrix, in pixels.
const CELL: (usize, usize) = (10, 18);

/// The space to the next cell.
const SPACE: usize = 2;

/// The width and height of a bar of a row.
const BAR: (usize, usize) = (4, 16);

/// What is drawn of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    Failed,
    Lost,
    Running,
    Skipped,
    Idle,
    Succeeded,
    Unseen,
}

impl Shape {
    /// All shapes, in the order of the legend.
    pub(crate) const ALL: [Self; 7] = [
        Self::Succeeded,
        Self::Failed,
        Self::Lost,
        Self::Skipped,
        Self::Running,
        Self::Idle,
        Self::Unseen,
    ];

    pub(crate) fn of(cell: Option<&Cell>) -> Self {
        let Some(cell) = cell else { return Self::Unseen };
        match cell.outcome {
            Outcome::Running => Self::Running,
            Outcome::Passed => Self::Idle,
            Outcome::Ended(Verdict::Succeeded) => Self::Succeeded,
            Outcome::Ended(Verdict::Failed) => Self::Failed,
            Outcome::Ended(Verdict::Lost) => Self::Lost,
            Outcome::Ended(_) => Self::Skipped,
            _ => Self::Unseen,
        }
    }

    /// Returns its class in the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Running => "running",
            Self::Skipped => "skipped",
            Self::Idle => "idle",
            Self::Succeeded => "succeeded",
            Self::Unseen => "unseen",
        }
    }

    /// Returns its sign in texts.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Failed => "✗",
            Self::Lost => "⚡",
            Self::Running => "▶",
            Self::Skipped => "◆",
            Self::Idle => "·",
            Self::Succeeded => "✓",
            Self::Unseen => "◌",
        }
    }
}

/// Returns a height between 2 and `most` for a duration, by its logarithm.
fn height(took: u64, longest: u64, most: usize) -> usize {
    let log = |millis: u64| f64::from(u32::try_from(millis).unwrap_or(u32::MAX)).ln_1p();
    let part = if longest == 0 { 0.0 } else { log(took) / log(longest) };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "from 0 to a few pixels"
    )]
    let pixels = (part * (most - 2) as f64).round() as usize;
    2 + pixels.min(most - 2)
}

/// Returns the longest duration among firings, in milliseconds.
pub(crate) fn longest(firings: &[&Firing]) -> u64 {
    let cells = firings.iter().flat_map(|firing| firing.cells());
    cells.filter_map(|(_, cell)| cell.took_millis).max().unwrap_or(0)
}

/// Draws a bar for each firing: the worst outcome of its items, as high as the longest took. `title` names the picture.
pub(crate) fn bars(firings: &[&Firing], title: &str) -> String {
    let longest = longest(firings);
    let (width, most) = BAR;
    let mut paths: Vec<(Shape, String)> = Vec::new();
    for (index, firing) in firings.iter().enumerate() {
        let shape = firing
            .cells()
            .map(|(_, cell)| Shape::of(Some(cell)))
            .min()
            .unwrap_or(Shape::Unseen);
        let took = firing
            .cells()
            .filter_map(|(_, cell)| cell.took_millis)
            .max()
            .unwrap_or(0);
        let high = match shape {
            Shape::Failed | Shape::Lost => most,
            Shape::Idle | Shape::Unseen | Shape::Skipped => 2,
            Shape::Running => most / 2,
            Shape::Succeeded => height(took, longest, most),
        };
        let x = index * (width + 1);
        let bar = format!("M{x} {}h{width}v{high}h-{width}z", most - high);
        match paths.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, path)) => path.push_str(&bar),
            None => paths.push((shape, bar)),
        }
    }
    let all = firings.len() * (width + 1);
    let mut svg = format!("<svg class=\"bars\" width=\"{all}\" height=\"{most}\" role=\"img\" aria-label=\"{title}\">");
    for (shape, path) in paths {
        let _ = write!(svg, "<path class=\"{}\" d=\"{path}\"/>", shape.class());
    }
    svg.push_str("</svg>");
    svg
}

/// Draws the row of an item in the matrix. `title` names the picture.
pub(crate) fn row(firings: &[&Firing], item: u32, longest: u64, title: &str) -> String {
    let (width, most) = CELL;
    let step = width + SPACE;
    let all = firings.len() * step;
    let mut svg = format!(
        "<svg class=\"cells\" width=\"{all}\" height=\"{}\" role=\"img\" aria-label=\"{title}\">",
        most + 4
    );
    for (index, firing) in firings.iter().enumerate() {
        let cell = firing.cell(item);
        let shape = Shape::of(cell);
        cell_at(&mut svg, index * step, shape, cell, longest);
    }
    svg.push_str("</svg>");
    svg
}

/// Draws one cell of each shape, for the legend.
pub(crate) fn sample(shape: Shape) -> String {
    let (width, most) = CELL;
    let mut svg = format!(
        "<svg class=\"cells\" width=\"{width}\" height=\"{}\" aria-hidden=\"true\">",
        most + 4
    );
    cell_at(&mut svg, 0, shape, None, 0);
    svg.push_str("</svg>");
    svg
}

/// Draws one cell with its left edge at `x`.
fn cell_at(svg: &mut String, x: usize, shape: Shape, cell: Option<&Cell>, longest: u64) {
    let (width, most) = CELL;
    let (top, bottom) = (4, 4 + most);
    let (middle, right) = (x + width / 2, x + width);
    let class = shape.class();
    let _ = match shape {
        Shape::Unseen => write!(
            svg,
            "<rect class=\"ground\" x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{most}\"/>"
        ),
        Shape::Succeeded => {
            // A sample has no duration.
            let high = cell.map_or(most * 2 / 3, |cell| {
                height(cell.took_millis.unwrap_or(0), longest, most)
            });
            write!(
                svg,
                "<path class=\"{class}\" d=\"M{x} {}h{width}v{high}h-{width}z\"/>",
                bottom - high
            )
        }
        Shape::Failed => write!(
            svg,
            "<path class=\"{class}\" d=\"M{x} {top}h{width}v{most}h-{width}z\"/>\
             <path class=\"mark\" d=\"M{} {}l6 6m0 -6l-6 6\"/>",
            x + 2,
            top + 6
        ),
        Shape::Lost => write!(
            svg,
            "<path class=\"{class}\" d=\"M{x} {top}h{width}v{most}h-{width}z\"/>\
             <path class=\"mark\" d=\"M{} {}l-4 6h5l-3 6\"/>",
            middle + 1,
            top + 3
        ),
        Shape::Skipped => write!(
            svg,
            "<path class=\"{class}\" d=\"M{x} {bottom}l5 -{most}m0 {most}l5 -{most}\"/>"
        ),
        Shape::Running => write!(
            svg,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            x + 1,
            top + 1,
            width - 2,
            most - 2
        ),
        Shape::Idle => write!(
            svg,
            "<circle class=\"{class}\" cx=\"{middle}\" cy=\"{}\" r=\"1.5\"/>",
            top + most / 2
        ),
    };
    let Some(cell) = cell else { return };
    if cell.attempt > 1 || cell.source == Some(Source::Failover) {
        let _ = write!(svg, "<path class=\"chevron\" d=\"M{x} 3l5 -3l5 3\"/>");
    }
    if cell.source == Some(Source::Misfire) {
        let _ = write!(
            svg,
            "<rect class=\"ring\" x=\"{x}\" y=\"{top}\" width=\"{}\" height=\"{most}\" rx=\"3\"/>",
            right - x
        );
    }
}
