use std::time::Duration;

use elasticjob::registry::inspection::{Inspection, Latency, Level};

use super::table::{Table, plain};
use super::{Show, Style, Tone};

impl Show for Inspection {
    fn text(&self, style: Style) -> String {
        let mut text = style.paint(Tone::Strong, &self.registry) + "\n\n";
        let mut table = Table::new(style, &["", "P50", "P99"]);
        let measured = [("transactions", self.writes), ("reads", self.reads)];
        for (name, latency) in measured {
            if let Some(Latency { p50, p99, .. }) = latency {
                table.row([plain(name), plain(short(p50)), plain(short(p99))]);
            }
        }
        text += &table.text("Nothing could be measured.");
        text += &format!("session timeout  {:?}\n", self.session_timeout);
        if let Some(ahead) = self.clock_ahead {
            text += &format!("clock ahead      {} ms\n", ahead.as_millis());
        }
        text.push('\n');
        for finding in &self.findings {
            let (sign, tone) = match finding.level {
                Level::Good => ("\u{2713}", Tone::Good),
                Level::Unsafe => ("\u{2717}", Tone::Bad),
                _ => ("\u{b7}", Tone::Notable),
            };
            text += &format!("{} {}: {}\n", style.paint(tone, sign), finding.subject, finding.text);
            if let Some(advice) = &finding.advice {
                text += &format!("    {}\n", style.paint(Tone::Quiet, advice));
            }
        }
        text
    }
}

/// A time in milliseconds, to the hundredth.
fn short(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
