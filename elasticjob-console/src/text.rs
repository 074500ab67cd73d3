//! Texts from outside, and times, as pages show them.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Most characters of a text that are shown in a row.
const ROW: usize = 300;

/// Returns a text that others wrote with everything visible that could mislead: control characters, and those that change the
/// direction of what follows, are shown by their names. It is cut to the length of a row.
pub(crate) fn shown(text: &str) -> String {
    cut(text, ROW)
}

/// As [`shown`], with the whole text, lines and all.
pub(crate) fn whole(text: &str) -> String {
    let lines = text.lines().map(|line| cut(line, usize::MAX));
    lines.collect::<Vec<_>>().join("\n")
}

fn cut(text: &str, most: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(most));
    for (index, letter) in text.chars().enumerate() {
        if index == most {
            shown.push('…');
            break;
        }
        match letter {
            '\n' | '\r' | '\t' => shown.push(' '),
            '\u{1b}' => shown.push('␛'),
            letter if is_misleading(letter) => shown.push_str(&format!("⟨{:04X}⟩", u32::from(letter))),
            letter => shown.push(letter),
        }
    }
    shown
}

fn is_misleading(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Returns a span of time in its largest units: `3 s`, `2 min`, `8 h`, `5 d`.
pub(crate) fn span(time: SignedDuration) -> String {
    let seconds = time.as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => match seconds / 60 % 60 {
            0 => format!("{} h", seconds / 3_600),
            minutes => format!("{} h {minutes} min", seconds / 3_600),
        },
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Returns a duration of work: `12 ms`, `1.5 s`, `3 min`.
pub(crate) fn millis(millis: u64) -> String {
    match millis {
        0 => "<1 ms".to_owned(),
        1..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        _ => span(SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))),
    }
}

/// Returns a time as a clock in a zone shows it, with the date if it is not within half a day of `now`.
pub(crate) fn clock(time: Timestamp, zone: &TimeZone, now: Timestamp) -> String {
    let is_near = time.duration_since(now).abs() < SignedDuration::from_hours(12);
    let format = if is_near { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    time.to_zoned(zone.clone()).strftime(format).to_string()
}

/// Returns a time with its date and offset, for the title of what shows it.
pub(crate) fn full(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M:%S%.3f %:z")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_would_mislead() {
        assert_eq!(shown("a\r\n\ndata: x"), "a   data: x");
        assert_eq!(shown("\u{1b}[31mred"), "␛[31mred");
        assert_eq!(shown("a\u{202e}gpj.exe"), "a⟨202E⟩gpj.exe");
        assert_eq!(shown("\0\u{feff}"), "⟨0000⟩⟨FEFF⟩");
        assert_eq!(shown("备份任务 👩‍👩‍👧"), "备份任务 👩‍👩‍👧");
        assert_eq!(shown(&"é".repeat(100_000)).chars().count(), ROW + 1);
        assert_eq!(whole("a: 1\n\u{7}b\r\nc"), "a: 1\n⟨0007⟩b\nc");
    }

    #[test]
    fn rounds_times_to_what_one_reads() {
        let seconds = SignedDuration::from_secs;
        for (time, text) in [
            (-5, "0 s"),
            (59, "59 s"),
            (61, "1 min"),
            (3_600, "1 h"),
            (30_000, "8 h 20 min"),
            (200_000, "2 d"),
        ] {
            assert_eq!(span(seconds(time)), text);
        }
        for (time, text) in [
            (0, "<1 ms"),
            (999, "999 ms"),
            (1_500, "1.5 s"),
            (61_000, "1 min"),
            (u64::MAX, "106751991167 d"),
        ] {
            assert_eq!(millis(time), text);
        }
    }

    #[test]
    fn has_the_date_where_it_is_another() {
        let (now, zone) = (
            "2026-03-01T10:00:00Z".parse().unwrap(),
            TimeZone::get("Asia/Shanghai").unwrap(),
        );
        assert_eq!(clock("2026-03-01T10:00:05Z".parse().unwrap(), &zone, now), "18:00:05");
        assert_eq!(
            clock("2026-03-02T10:00:05Z".parse().unwrap(), &zone, now),
            "2026-03-02 18:00:05"
        );
        assert_eq!(
            full("2026-03-01T10:00:05.5Z".parse().unwrap(), &zone),
            "2026-03-01 18:00:05.500 +08:00"
        );
    }
}
