//! Log entries about numbers that grow, such as dropped events: one at once, and then one a minute at most.

use std::time::Duration;

use tokio::time::Instant;

/// How often it is said, at most.
const INTERVAL: Duration = Duration::from_secs(60);

/// What was last said of a number that grows: it is said at once, then once a minute at most, and in the end.
#[derive(Debug, Default)]
pub(super) struct Damped {
    said: u64,
    at: Option<Instant>,
}

impl Damped {
    /// By how much it has grown since it was last said, if it is time to say so.
    pub(super) fn news(&mut self, total: u64, is_end: bool) -> Option<u64> {
        let is_time = is_end || self.at.is_none_or(|at| at.elapsed() >= INTERVAL);
        if !is_time || total <= self.said {
            return None;
        }
        let news = total - self.said;
        self.said = total;
        self.at = Some(Instant::now());
        Some(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn reports_at_once_each_minute_and_at_the_end() {
        let mut damped = Damped::default();
        assert_eq!(damped.news(0, true), None);
        assert_eq!(damped.news(3, false), Some(3));
        assert_eq!(damped.news(5, false), None);
        tokio::time::advance(INTERVAL).await;
        assert_eq!(damped.news(7, false), Some(4));
        assert_eq!(damped.news(8, false), None);
        assert_eq!(damped.news(8, true), Some(1));
        assert_eq!(damped.news(8, true), None);
    }
}
