//! An expression in Chinese: years, months, days, then the time of day.

use super::time::{Part, Phrase, Unit};
use super::words;
use crate::cron::days::Days;
use crate::cron::field;
use crate::cron::schedule::Schedule;
use crate::cron::set::Set;
use crate::cron::years::{Progression, Years};

/// The whole sentence, without a full stop.
pub(super) fn describe(schedule: &Schedule) -> String {
    let time = Phrase::of(&schedule.times);
    let mut text = String::new();
    if !schedule.years.is_every() {
        text.push_str(&years(&schedule.years));
    }
    match days(&schedule.days, schedule.months) {
        Some(days) => text.push_str(&days),
        // "每 5 秒" says it all, "02:00" does not.
        None if time.is_repeated() => {}
        None => text.push_str("每天"),
    }
    let is_spaced = !text.is_empty();
    let time = self::time(&time);
    if is_spaced { format!("{text} {time}") } else { time }
}

fn name(unit: Unit) -> &'static str {
    match unit {
        Unit::Second => "秒",
        Unit::Minute => "分钟",
        Unit::Hour => "小时",
    }
}

fn time(phrase: &Phrase) -> String {
    match phrase {
        Phrase::At(times) => listed(times.iter().map(ToString::to_string)),
        Phrase::Every { step, unit, span } => {
            let span = span
                .as_ref()
                .map_or_else(String::new, |(first, last)| format!("{first} 至 {last} "));
            format!("{span}{}", every(*step, *unit))
        }
        Phrase::Fields(parts) => {
            // From the widest to the narrowest.
            let parts = parts.iter().rev().map(|(unit, part)| field(*unit, *part));
            parts.collect::<Vec<_>>().join(" ")
        }
    }
}

fn every(step: u8, unit: Unit) -> String {
    match step {
        1 => format!("每{}", name(unit)),
        _ => format!("每 {step} {}", name(unit)),
    }
}

fn field(unit: Unit, part: Part) -> String {
    let place = match unit {
        Unit::Second => "秒",
        Unit::Minute => "分",
        Unit::Hour => "时",
    };
    match part {
        Part::All => every(1, unit),
        Part::Step(step) => every(step, unit),
        Part::StepWithin { step, first, last } => format!("第 {first} 至 {last} {place}每 {step} {}", name(unit)),
        Part::Values(set) => format!("第 {} {place}", runs(set, |value| value.to_string())),
    }
}

/// None for every day.
fn days(days: &Days, months: Set) -> Option<String> {
    let month = match months.len() {
        12 => "每月".to_owned(),
        _ => format!("每年{}", runs(months, |month| format!("{month}月"))),
    };
    if days.is_every() {
        return (months.len() != 12).then(|| format!("{month}每天"));
    }
    Some(match *days {
        Days::OfMonth(days) => match words::step(days) {
            Some(step) if step > 1 && days.len() > 4 => {
                let (first, last) = (days.first().unwrap_or_default(), days.last().unwrap_or_default());
                format!("{month}{first}日至{last}日每 {step} 天")
            }
            _ => format!("{month}{}", runs(days, |day| format!("{day}日"))),
        },
        Days::Last { before: 0 } => format!("{month}最后一天"),
        Days::Last { before } => format!("{month}最后一天的前 {before} 天"),
        Days::NearestWeekday { day } => format!("{month}最接近{day}日的工作日"),
        Days::LastNearestWeekday { before: 0 } => format!("{month}最后一个工作日"),
        Days::LastNearestWeekday { before } => format!("{month}最接近最后一天前 {before} 天的工作日"),
        Days::OfWeek(days) => {
            let of = if months.len() == 12 { String::new() } else { month };
            format!("{of}每{}", weekdays(days))
        }
        Days::LastOfWeek { weekday: day } => format!("{month}最后一个{}", weekday(day)),
        Days::NthOfWeek { weekday: day, nth } => format!("{month}第 {nth} 个{}", weekday(day)),
    })
}

/// The week may go on around its end.
fn weekdays(days: Set) -> String {
    let week_around = days.or(days.shift(7));
    let run = words::split_runs(week_around).into_iter().find(|&(first, last)| {
        let length = last - first + 1;
        (3..7).contains(&length) && u32::from(length) == days.len()
    });
    match run {
        Some((first, last)) => format!("{}至{}", weekday(first), weekday(last)),
        None => listed(days.iter().map(|day| weekday(day).to_owned())),
    }
}

/// Names a weekday; 8 is Sunday again.
fn weekday(day: u8) -> &'static str {
    ["周日", "周一", "周二", "周三", "周四", "周五", "周六"][usize::from(day - 1) % 7]
}

fn years(years: &Years) -> String {
    listed(years.parts().iter().map(|part| progression(*part)))
}

fn progression(Progression { first, last, step }: Progression) -> String {
    let open = last == field::YEARS.1;
    match step {
        _ if first == last => format!("{first}年"),
        1 if open => format!("{first}年起"),
        1 => format!("{first}年至{last}年"),
        _ if open => format!("{first}年起每 {step} 年"),
        _ => format!("{first}年至{last}年每 {step} 年"),
    }
}

fn listed(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("、")
}

/// The members as runs. Runs of two are written as two members.
fn runs(set: Set, name: impl Fn(u8) -> String) -> String {
    let parts = words::split_runs(set)
        .into_iter()
        .flat_map(|(first, last)| match last - first {
            0 => vec![name(first)],
            1 => vec![name(first), name(last)],
            _ => vec![format!("{}至{}", name(first), name(last))],
        });
    listed(parts)
}

#[cfg(test)]
mod tests {
    use crate::cron::Expression;

    #[test]
    fn says_when_it_fires() {
        for (cron, text) in [
            ("0/5 * * * * ?", "每 5 秒"),
            ("0 0 2 * * ?", "每天 02:00"),
            ("0 0 9,12,18 * * ?", "每天 09:00、12:00、18:00"),
            ("0 0/15 9-17 * * ?", "09:00 至 17:45 每 15 分钟"),
            ("0 0 2 ? * MON-FRI", "每周一至周五 02:00"),
            ("0 0 2 ? * TUE,THU", "每周二、周四 02:00"),
            ("0 0 2 1,15 * ?", "每月1日、15日 02:00"),
            ("0 0 2 L * ?", "每月最后一天 02:00"),
            ("0 0 2 L-3 * ?", "每月最后一天的前 3 天 02:00"),
            ("0 0 2 LW * ?", "每月最后一个工作日 02:00"),
            ("0 0 2 15W * ?", "每月最接近15日的工作日 02:00"),
            ("0 0 2 ? * 6L", "每月最后一个周五 02:00"),
            ("0 0 2 ? 1-3 2#1", "每年1月至3月第 1 个周一 02:00"),
            ("0 0 2 * 6 ?", "每年6月每天 02:00"),
            ("0 0 2 * * ? 2030-2040", "2030年至2040年每天 02:00"),
            ("30 0-5 9,17 * * ?", "第 9、17 时 第 0至5 分 第 30 秒"),
            ("0 * * * * ?", "每分钟"),
        ] {
            assert_eq!(Expression::parse(cron).unwrap().describe_in_chinese(), text, "{cron}");
        }
    }
}
