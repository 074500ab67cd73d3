use elasticjob::configuration::zone::Zone;
use elasticjob::operation::NextFirings;
use jiff::tz::TimeZone;

use super::table::{Table, plain};
use super::time::{in_zone, local};
use super::{Show, Style, Tone};

impl Show for NextFirings {
    fn text(&self, style: Style) -> String {
        let Some(cron) = &self.cron else {
            return "It has no schedule: it runs when it is triggered.\n".to_owned();
        };
        let mut text = style.paint(Tone::Strong, cron) + "\n";
        if let Some(schedule) = &self.schedule {
            text.push_str(&format!("{schedule}\n"));
        }
        if self.is_zone_of_instance {
            let remark = "The job has no zone of its own: these times are in the zone of this machine.";
            text.push_str(&format!("{}\n", style.paint(Tone::Notable, remark)));
        }
        let zone = Zone::parse(&self.zone).map_or_else(|_| TimeZone::system(), |zone| zone.time_zone().clone());
        // Where it is another than ours, the times by our clocks on the wall, too.
        let is_elsewhere = zone != TimeZone::system();
        let titles = [self.zone.to_uppercase(), "HERE".to_owned()];
        let mut table = Table::new(style, &titles[..if is_elsewhere { 2 } else { 1 }]);
        for time in &self.times {
            let here = is_elsewhere.then(|| plain(local(*time)));
            table.row([plain(in_zone(*time, &zone))].into_iter().chain(here));
        }
        format!("{text}\n{}", table.text("It never fires."))
    }
}
