//! What a declared job takes from its props before its own code does: whether it streams.
//!
//! It is checked here so that a misspelt `streaming.` prop of a dataflow job, and streaming for a job that cannot, are
//! faults at start.

use crate::job::{Kind, STREAMING};
use crate::property::{Properties, Reader, accept};

/// The props of dataflow jobs. They read the value themselves, since each run has props of its own.
struct Streaming {
    is_on: bool,
}

impl Properties for Streaming {
    const PREFIXES: &'static [&'static str] = &["streaming."];

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let is_on = reader.with_default(STREAMING, &accept::FLAG, "false")?;
        Some(Self { is_on })
    }
}

/// Returns whether what the props say goes with this kind of job.
pub(super) fn check(kind: Kind, reader: &mut Reader<'_>) -> bool {
    let (streaming, can_stream) = match kind {
        Kind::Dataflow => (reader.read(), true),
        // Other names that begin so are the job's own.
        Kind::Simple => (Streaming::read(reader), false),
    };
    let Some(Streaming { is_on }) = streaming else {
        return false;
    };
    if is_on && !can_stream {
        reader.fault(
            STREAMING,
            "only a dataflow job streams, and this one runs once for each item",
        );
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn fault(kind: Kind, key: &str, value: &str) -> Option<String> {
        let props = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let mut reader = Reader::new(&props);
        let is_right = check(kind, &mut reader);
        let faults = reader.finish(is_right.then_some(())).err();
        faults.map(|faults| faults.to_string())
    }

    #[test]
    fn a_dataflow_job_should_stream_or_not() {
        for value in ["true", "False", ""] {
            assert_eq!(fault(Kind::Dataflow, STREAMING, value), None);
        }
        assert_eq!(
            fault(Kind::Dataflow, STREAMING, "yes").unwrap(),
            "`props.streaming.process` is `yes`: expected `true` or `false`"
        );
        assert_eq!(
            fault(Kind::Dataflow, "streaming.proces", "true").unwrap(),
            "`props.streaming.proces`: unknown property, did you mean `streaming.process`?"
        );
    }

    #[test]
    fn no_other_job_should_stream() {
        assert_eq!(fault(Kind::Simple, STREAMING, "false"), None);
        assert_eq!(fault(Kind::Simple, "streaming.rate", "44100"), None, "its own");
        assert_eq!(
            fault(Kind::Simple, STREAMING, "true").unwrap(),
            "`props.streaming.process` is `true`: only a dataflow job streams, and this one runs once for each item"
        );
    }
}
