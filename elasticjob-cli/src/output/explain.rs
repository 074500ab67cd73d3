use elasticjob::operation::{Explanation, Finding, ItemExplanation};

use super::numbers::ranges;
use super::{Show, Style, Tone};

impl Show for Explanation {
    fn text(&self, style: Style) -> String {
        let mut text = style.paint(Tone::Strong, &format!("job {}", self.job_name)) + "\n";
        text.push_str(&findings(style, &self.findings));
        // Items with the same findings are printed together.
        // Of items of a job that is held up as a whole there may be nothing to say.
        for alike in groups(&self.items)
            .into_iter()
            .filter(|alike| !alike[0].findings.is_empty())
        {
            let items: Vec<u32> = alike.iter().map(|item| item.item).collect();
            let title = match &items[..] {
                [item] => format!("item {item}"),
                _ => format!("items {}", ranges(&items)),
            };
            text.push_str(&style.paint(Tone::Strong, &title));
            text.push('\n');
            text.push_str(&findings(style, &alike[0].findings));
        }
        text
    }
}

/// Items of which the same is so, in the order of the first of each.
fn groups(items: &[ItemExplanation]) -> Vec<Vec<&ItemExplanation>> {
    let mut groups: Vec<Vec<&ItemExplanation>> = Vec::new();
    for item in items {
        match groups.iter_mut().find(|group| group[0].findings == item.findings) {
            Some(group) => group.push(item),
            None => groups.push(vec![item]),
        }
    }
    groups
}

/// Returns findings in a line each: a cross for what holds the job up, a tick for what is in order, a dot for what is
/// to be known.
fn findings(style: Style, findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let (sign, tone) = match finding {
            finding if finding.is_obstacle() => ("✗", Tone::Bad),
            Finding::Waits { .. } | Finding::Running { .. } | Finding::OneOff => ("✓", Tone::Good),
            _ => ("·", Tone::Notable),
        };
        format!("  {} {finding}\n", style.paint(tone, sign))
    };
    findings.iter().map(line).collect()
}
