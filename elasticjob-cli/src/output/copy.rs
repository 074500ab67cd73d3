use elasticjob::operation::CopyReport;
use serde::Serialize;

use super::table::{Table, plain};
use super::{Show, Style, Tone};

/// What a copy did, or would do.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Copied {
    #[serde(flatten)]
    pub(crate) report: CopyReport,
    pub(crate) is_dry_run: bool,
}

impl Show for Copied {
    fn text(&self, style: Style) -> String {
        let CopyReport { from, to, jobs, .. } = &self.report;
        let mut table = Table::new(
            style,
            &["JOB", "NODES", if self.is_dry_run { "TO WRITE" } else { "WRITTEN" }],
        );
        for job in jobs {
            table.row([plain(&job.job), plain(job.nodes), plain(job.changes)]);
        }
        let mut text = format!("from {from}\nto   {to}\n\n{}", table.text("There are no jobs."));
        for left_out in &self.report.left_out {
            text += &format!("not copied: {}\n", style.paint(Tone::Quiet, left_out));
        }
        if self.report.are_tokens_lower == Some(true) {
            let remark = "Fencing tokens begin lower in this registry than they were: a system that remembers the largest token \
                          refuses our runs until it has forgotten it.";
            text += &format!("{}\n", style.paint(Tone::Notable, remark));
        }
        text
    }
}
