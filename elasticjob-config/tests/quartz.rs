//! Everything that the real Quartz answered to.

use elasticjob_config::cron::Expression;
use elasticjob_config::zone::Zone;
use jiff::Timestamp;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    valid: Vec<Answer>,
    invalid: Vec<Refusal>,
    surprising_accepted: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    expr: String,
    zone: Option<String>,
    from: Option<String>,
    next: Option<Vec<String>>,
    #[serde(default)]
    exhausted: bool,
}

#[derive(Deserialize)]
struct Refusal {
    expr: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors/quartz.json")).expect("the file of vectors is well formed")
}

fn instant(text: &str) -> Timestamp {
    text.parse().expect("a time with an offset")
}

/// The fire times of `answer`.
fn theirs(answer: &Answer) -> Option<Vec<Timestamp>> {
    Some(answer.next.as_ref()?.iter().map(|text| instant(text)).collect())
}

/// The fire times that we compute where Quartz gave those of `answer`, and one more if it had no more.
fn ours(expression: &Expression, answer: &Answer) -> Vec<Timestamp> {
    let zone = Zone::parse(answer.zone.as_deref().expect("has a zone")).expect("a zone of the vectors");
    let mut after = instant(answer.from.as_deref().expect("has a start"));
    let count = answer.next.as_ref().map_or(0, Vec::len) + usize::from(answer.exhausted);
    std::iter::from_fn(|| {
        after = expression.next_after(after, zone.time_zone())?;
        Some(after)
    })
    .take(count)
    .collect()
}

#[test]
fn fire_times_should_be_those_of_quartz() {
    let vectors = vectors();
    assert!(vectors.valid.len() > 700);
    for answer in &vectors.valid {
        let expression = Expression::parse(&answer.expr).unwrap_or_else(|errors| panic!("{errors}"));
        let expected = theirs(answer).expect("valid ones have times");
        assert_eq!(
            ours(&expression, answer),
            expected,
            "{} in {:?} from {:?}",
            answer.expr,
            answer.zone,
            answer.from
        );
    }
}

#[test]
fn what_quartz_refuses_should_be_refused() {
    let vectors = vectors();
    assert!(vectors.invalid.len() > 40);
    for refusal in &vectors.invalid {
        assert!(Expression::parse(&refusal.expr).is_err(), "{}", refusal.expr);
    }
}

#[test]
fn accidents_of_quartz_are_refused_or_read_alike() {
    let vectors = vectors();
    let mut refused = 0;
    for answer in &vectors.surprising_accepted {
        match (Expression::parse(&answer.expr), theirs(answer)) {
            (Ok(expression), Some(next)) => assert_eq!(ours(&expression, answer), next, "{}", answer.expr),
            (Ok(_), None) => panic!("Quartz cannot compute `{}`", answer.expr),
            (Err(_), _) => refused += 1,
        }
    }
    assert!(refused > 30, "{refused}");
}
