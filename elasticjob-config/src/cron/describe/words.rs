//! Numbers, lists and ranges in English.

use crate::cron::set::Set;

/// "a", "a and b", "a, b and c".
pub(super) fn join(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// "1st", "2nd", "11th".
pub(super) fn ordinal(number: u16) -> String {
    let ending = match (number % 10, number % 100) {
        (1, tens) if tens != 11 => "st",
        (2, tens) if tens != 12 => "nd",
        (3, tens) if tens != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// The members as runs: "1 to 5, 9 and 12". Runs of two are written as two members.
pub(super) fn runs(set: Set, name: impl Fn(u8) -> String) -> String {
    let parts: Vec<String> = split_runs(set)
        .into_iter()
        .flat_map(|(first, last)| match last - first {
            0 => vec![name(first)],
            1 => vec![name(first), name(last)],
            _ => vec![format!("{} to {}", name(first), name(last))],
        })
        .collect();
    join(&parts)
}

/// The members one by one.
pub(super) fn each(set: Set, name: impl Fn(u8) -> String) -> String {
    join(&set.iter().map(name).collect::<Vec<_>>())
}

/// First and last of each run of members without a hole.
pub(super) fn split_runs(set: Set) -> Vec<(u8, u8)> {
    let mut runs: Vec<(u8, u8)> = Vec::new();
    for member in set.iter() {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == member => *last = member,
            _ => runs.push((member, member)),
        }
    }
    runs
}

/// The distance between members, when it is the same for all and there are at least three.
pub(super) fn step(set: Set) -> Option<u8> {
    let members: Vec<u8> = set.iter().collect();
    let &[first, second, _, ..] = members.as_slice() else {
        return None;
    };
    let step = second - first;
    members.windows(2).all(|pair| pair[1] - pair[0] == step).then_some(step)
}
