//! Where nodes are among etcd's keys. Pure.
//!
//! A namespace is a prefix: `/shop/=/`. All keys of a job begin with that and the job's name, so that one watch sees them all
//! and no other job's, be its name the beginning of another. Behind the name comes the depth of the node, so that the children of
//! a node stand side by side, sorted, without what is below them:
//!
//! ```text
//! /shop/=/n/settle/1                         the node /settle
//! /shop/=/n/settle/2/sharding                /settle/sharding
//! /shop/=/n/settle/3/sharding/0              /settle/sharding/0
//! /shop/=/n/settle/c/4/leader/election/latch how many sequential nodes were created below that node
//! /shop/=/n/settle/t/6a1f                    the tick of session 6a1f
//! /shop/=/j/settle                           there is such a job
//! /shop/=/s/6a1f                             session 6a1f lives
//! ```
//!
//! The namespace itself is the node of the job without a name.

use crate::registry::path;

/// What no part of a namespace may begin with, so that namespaces within another do not mix with its nodes.
pub(super) const MARK: char = '=';

/// The keys of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    /// Ends with a slash.
    root: String,
}

/// A node, as a key names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// The first segment of the path; empty for the namespace itself.
    pub(super) job: &'a str,
    /// What comes behind: empty, or with a slash in front.
    rest: &'a str,
}

/// From a key, to before another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
}

impl<'a> Place<'a> {
    /// Returns the place of a valid path.
    pub(super) fn of(path: &'a str) -> Self {
        let relative = path.strip_prefix('/').unwrap_or(path);
        let end = relative.find('/').unwrap_or(relative.len());
        let (job, rest) = relative.split_at(end);
        Self { job, rest }
    }

    /// Returns whether this is the namespace itself.
    pub(super) fn is_root(self) -> bool {
        self.job.is_empty()
    }

    /// Returns whether this is a job's topmost node.
    pub(super) fn is_job(self) -> bool {
        !self.is_root() && self.rest.is_empty()
    }

    fn depth(self) -> usize {
        if self.is_root() {
            0
        } else {
            1 + self.rest.matches('/').count()
        }
    }
}

impl Keys {
    /// The keys of a namespace, which is the path `/shop`, or `/` for none.
    pub(super) fn of_namespace(namespace: &str) -> Self {
        let namespace = namespace.trim_end_matches('/');
        Self {
            root: format!("{namespace}/{MARK}/"),
        }
    }

    /// Returns the key of a node.
    pub(super) fn node(&self, path: &str) -> Vec<u8> {
        let place = Place::of(path);
        format!("{}n/{}/{}{}", self.root, place.job, place.depth(), place.rest).into_bytes()
    }

    /// Returns the keys of a node's children.
    pub(super) fn children(&self, path: &str) -> Range {
        let place = Place::of(path);
        let prefix = if place.is_root() {
            format!("{}j/", self.root)
        } else {
            format!("{}n/{}/{}{}/", self.root, place.job, place.depth() + 1, place.rest)
        };
        Range::of_prefix(prefix)
    }

    /// Returns the name of the child with this key, of a node with these children.
    pub(super) fn child<'k>(children: &Range, key: &'k [u8]) -> Option<&'k str> {
        std::str::from_utf8(key.strip_prefix(&*children.from)?).ok()
    }

    /// Returns the key that says that a job is there.
    pub(super) fn job(&self, job: &str) -> Vec<u8> {
        format!("{}j/{job}", self.root).into_bytes()
    }

    /// Returns the key that counts the sequential nodes which were created below a node.
    pub(super) fn counter(&self, path: &str) -> Vec<u8> {
        let place = Place::of(path);
        format!("{}n/{}/c/{}{}", self.root, place.job, place.depth(), place.rest).into_bytes()
    }

    /// Returns the key that a session sets to see that it has all events of a job; of all jobs for the job without a name.
    pub(super) fn tick(&self, job: &str, session: i64) -> Vec<u8> {
        format!("{}n/{job}/t/{session:x}", self.root).into_bytes()
    }

    /// Returns the key that lives as long as a session.
    pub(super) fn session(&self, session: i64) -> Vec<u8> {
        format!("{}s/{session:x}", self.root).into_bytes()
    }

    /// Returns the key by which members agree on who compacts.
    pub(super) fn compaction(&self) -> Vec<u8> {
        format!("{}compaction", self.root).into_bytes()
    }

    /// Returns all keys of a job; those of all jobs for the job without a name.
    pub(super) fn all_of(&self, job: &str) -> Range {
        Range::of_prefix(match job {
            "" => format!("{}n/", self.root),
            job => format!("{}n/{job}/", self.root),
        })
    }

    /// Returns the path of the node with this key; `None` for a key that is no node's.
    pub(super) fn path(&self, key: &[u8]) -> Option<String> {
        let key = std::str::from_utf8(key).ok()?;
        let (job, rest) = key.strip_prefix(&*self.root)?.strip_prefix("n/")?.split_once('/')?;
        let end = rest.find('/').unwrap_or(rest.len());
        let (depth, rest) = rest.split_at(end);
        // A tick, or a counter.
        depth.parse::<usize>().ok()?;
        Some(format!("/{job}{rest}"))
    }
}

impl Range {
    pub(super) fn of_prefix(prefix: impl Into<Vec<u8>>) -> Self {
        let from = prefix.into();
        let mut to = from.clone();
        // Each of our prefixes ends with a slash.
        if let Some(last) = to.last_mut() {
            *last += 1;
        }
        Self { from, to }
    }

    /// Returns what is left of the range without these keys, which are sorted.
    pub(super) fn without<'k>(self, keys: impl IntoIterator<Item = &'k Vec<u8>>) -> Vec<Self> {
        let (mut gaps, mut from) = (Vec::new(), self.from);
        for key in keys {
            if from < *key {
                gaps.push(Self { from, to: key.clone() });
            }
            from = key.clone();
            // The next of all keys.
            from.push(0);
        }
        gaps.push(Self { from, to: self.to });
        gaps
    }
}

/// Returns the path of a node's parent.
pub(super) fn parent(path: &str) -> &str {
    path::split(path).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key: Vec<u8>) -> String {
        String::from_utf8(key).unwrap()
    }

    fn keys() -> Keys {
        Keys::of_namespace("/shop")
    }

    mod keys_of_nodes {
        use super::*;

        #[test]
        fn say_their_job_and_depth_and_give_the_path_back() {
            for (path, key) in [
                ("/", "/shop/=/n//0"),
                ("/settle", "/shop/=/n/settle/1"),
                ("/settle/sharding", "/shop/=/n/settle/2/sharding"),
                ("/任务/a/b 1", "/shop/=/n/任务/3/a/b 1"),
                ("/1/2/3", "/shop/=/n/1/3/2/3"),
            ] {
                assert_eq!(text(keys().node(path)), key);
                assert_eq!(keys().path(key.as_bytes()).as_deref(), Some(path));
            }
        }

        #[test]
        fn are_told_from_other_keys() {
            for key in [
                keys().tick("settle", 26),
                keys().tick("", 26),
                keys().counter("/settle/leader"),
                keys().session(26),
                keys().job("settle"),
                keys().compaction(),
                b"/shop/x".to_vec(),
                vec![0xff],
            ] {
                assert_eq!(keys().path(&key), None, "{key:?}");
            }
        }

        #[test]
        fn stand_with_those_of_their_job_alone() {
            let of_job = keys().all_of("job1");
            let is_in = |key: &[u8]| *of_job.from <= *key && *key < *of_job.to;
            for key in [
                keys().node("/job1"),
                keys().node("/job1/config"),
                keys().tick("job1", 1),
                keys().counter("/job1/a"),
            ] {
                assert!(is_in(&key));
            }
            for key in [
                keys().node("/job10"),
                keys().node("/job"),
                keys().node("/job10/config"),
                keys().node("/"),
                keys().job("job1"),
            ] {
                assert!(!is_in(&key), "{}", text(key));
            }
            let of_all = keys().all_of("");
            assert!(of_all.from <= keys().node("/") && keys().node("/job10/a") < of_all.to);
        }
    }

    mod children {
        use super::*;

        #[test]
        fn stand_side_by_side_without_what_is_below_them() {
            let of = keys().children("/settle/sharding");
            let is_in = |path: &str| of.from <= keys().node(path) && keys().node(path) < of.to;
            assert!(is_in("/settle/sharding/0") && is_in("/settle/sharding/任务"));
            for other in [
                "/settle/sharding",
                "/settle/sharding/0/running",
                "/settle/shardings/0",
                "/settle2/sharding/0",
            ] {
                assert!(!is_in(other), "{other}");
            }
            let key = keys().node("/settle/sharding/0");
            assert_eq!(Keys::child(&of, &key), Some("0"));
            let jobs = keys().children("/");
            assert_eq!(Keys::child(&jobs, &keys().job("settle")), Some("settle"));
        }

        #[test]
        fn are_all_but_those_left_out() {
            let of = keys().children("/a");
            let [b, c] = ["/a/b", "/a/c"].map(|path| keys().node(path));
            let gaps = of.clone().without([&b, &c]);
            let is_in = |path: &str| {
                let key = keys().node(path);
                gaps.iter().any(|gap| gap.from <= key && key < gap.to)
            };
            assert_eq!(gaps.len(), 3);
            assert!(is_in("/a/a") && is_in("/a/b1") && is_in("/a/bb") && is_in("/a/d"));
            assert!(!is_in("/a/b") && !is_in("/a/c"));
            assert_eq!(of.clone().without([]), [of]);
        }
    }
}
