//! Runs for other programs.

use std::fmt::Write as _;

use super::Run;

/// The columns of the table.
const COLUMNS: &str =
    "job,item,outcome,source,startedAt,endedAt,tookMillis,server,instance,attempt,retries,scheduledTime,runId,failure";

/// Writes runs as JSON, an array.
pub(crate) fn json(runs: &[Run]) -> String {
    serde_json::to_string_pretty(runs).expect("texts and numbers are JSON")
}

/// Writes runs as CSV, by RFC 4180 and in UTF-8 with its mark, since spreadsheets take it for another encoding otherwise.
pub(crate) fn csv(runs: &[Run]) -> String {
    let mut table = format!("\u{feff}{COLUMNS}\r\n");
    for run in runs {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let cells = [
            Some(run.job.clone()),
            Some(run.item.to_string()),
            Some(run.outcome.to_string()),
            Some(format!("{:?}", run.source).to_lowercase()),
            Some(run.started_at.to_string()),
            run.ended_at.map(|ended| ended.to_string()),
            number(run.took_millis),
            Some(run.server.clone()),
            run.instance.clone(),
            number(run.attempt.map(u64::from)),
            number(run.retries.map(u64::from)),
            run.scheduled_time.map(|time| time.to_string()),
            run.run_id.clone(),
            run.failure.clone(),
        ];
        let cells = cells.map(|cell| quoted(&cell.unwrap_or_default()));
        // Writing into a string cannot fail.
        let _ = write!(table, "{}\r\n", cells.join(","));
    }
    table
}

/// Returns a cell in quotes. A spreadsheet takes one that begins with certain signs for a formula, which the apostrophe forbids.
fn quoted(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let apostrophe = if is_formula { "'" } else { "" };
    format!("\"{apostrophe}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;

    #[test]
    fn has_no_formulas() {
        let mut hostile = run(1);
        hostile.job = "=cmd|' /C calc'!A0".to_owned();
        hostile.failure = Some("+1\n\"two\"".to_owned());
        let table = csv(&[hostile]);
        let row = table.split_once("\r\n").unwrap().1;
        assert!(
            row.starts_with("\"'=cmd|' /C calc'!A0\",\"0\",\"succeeded\",\"schedule\","),
            "{row}"
        );
        assert!(row.ends_with(",\"'+1\n\"\"two\"\"\"\r\n"), "{row}");
        for begin in ["-1", "@a", "\tx", "\rx"] {
            assert!(quoted(begin).starts_with("\"'"), "{begin:?}");
        }
        let columns = COLUMNS.split(',').count();
        assert_eq!(csv(&[run(1)]).lines().last().unwrap().split("\",\"").count(), columns);
    }

    #[test]
    fn is_json_with_all_that_is_known() {
        let runs: serde_json::Value = serde_json::from_str(&json(&[run(1)])).unwrap();
        assert_eq!(runs[0]["outcome"], "succeeded");
        assert_eq!(runs[0]["startedAt"], "1970-01-01T00:00:01Z");
    }
}
