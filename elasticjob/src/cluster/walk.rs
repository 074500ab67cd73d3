//! Reading a subtree node by node, in requests with small answers.
//!
//! It goes down before it goes on, so that of a job's items only the names are held, and not what is below all of them.
//!
//! How many nodes are read in one request follows from the size of the last answers: nodes of unknown size are read a
//! few at a time, small ones up to [`MOST`].

use crate::registry::{Answer, Error, Read, Session, Stat};

/// Most nodes that are read in a request of which nothing is known: the data of each may be large.
const FIRST: usize = 50;

/// Most nodes that are read in any request, and as many if each is large.
const MOST: usize = 400;
const FEWEST: usize = 8;

/// A full request is followed by one of so many times as many nodes at most.
const GROWTH: usize = 4;

/// What the answers of one request are to come to, in bytes.
const ANSWERS: usize = 256 * 1024;

/// A node as it was found.
#[derive(Debug)]
pub(crate) struct Visited {
    pub(crate) path: String,
    pub(crate) data: Vec<u8>,
    pub(crate) stat: Stat,
    /// The paths of its children, sorted.
    pub(crate) children: Vec<String>,
}

/// Reads `root` and what is below it, each node before its children. `visit` takes each node that is there and returns those of
/// its children that are to be read, too.
///
/// Nodes that others create meanwhile may be missed.
///
/// # Errors
/// That of a read, and that of `visit`, which ends the walk.
pub(crate) async fn walk<E: From<Error>>(
    session: &dyn Session,
    root: String,
    mut visit: impl FnMut(Visited) -> Result<Vec<String>, E>,
) -> Result<(), E> {
    let mut waiting = vec![root];
    let mut count = FIRST;
    while !waiting.is_empty() {
        let paths = waiting.split_off(waiting.len().saturating_sub(count));
        let both = |path: &String| [Read::Data(path.clone()), Read::Children(path.clone())];
        let mut answers = session.read(paths.iter().flat_map(both).collect()).await?.into_iter();
        let (mut bytes, read) = (1, paths.len());
        for path in paths {
            let (data, names) = (answers.next(), answers.next());
            let Some(Answer::Data(Some((data, stat)))) = data else {
                continue;
            };
            let names = match names {
                Some(Answer::Children(Some(names))) => names,
                _ => Vec::new(),
            };
            bytes += data.len() + names.iter().map(String::len).sum::<usize>();
            let children = names.into_iter().map(|name| format!("{path}/{name}")).collect();
            let visited = Visited {
                path,
                data,
                stat,
                children,
            };
            waiting.extend(visit(visited)?);
        }
        let most = if read == count { count * GROWTH } else { count };
        count = (read * ANSWERS / bytes).min(most).clamp(FEWEST, MOST);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::registry::memory::MemoryRegistry;
    use crate::registry::metered::Metered;
    use crate::registry::{CreateMode, Registry, Step};

    async fn session_with(paths: &[String]) -> (Metered<MemoryRegistry>, Arc<dyn Session>) {
        let registry = Metered::new(MemoryRegistry::new());
        let session = registry.connect().await.unwrap();
        for path in paths {
            let (path, data) = (path.clone(), b"data".to_vec());
            let mode = CreateMode::Persistent;
            session.write(vec![Step::Create { path, data, mode }]).await.unwrap();
        }
        (registry, session)
    }

    #[tokio::test]
    async fn visits_each_node_once_and_parents_first() {
        let items = (0..1_000).flat_map(|item| [format!("/job/{item}"), format!("/job/{item}/owner")]);
        let all: Vec<String> = ["/job".to_owned()].into_iter().chain(items).collect();
        let (registry, session) = session_with(&all).await;
        let before = registry.counts();
        let mut seen = Vec::new();
        walk::<Error>(&*session, "/job".to_owned(), |node| {
            assert_eq!(node.data, b"data");
            seen.push(node.path);
            Ok(node.children)
        })
        .await
        .unwrap();
        let place = |path: &str| seen.iter().position(|seen| seen == path).unwrap();
        assert!((0..1_000).all(|item| place(&format!("/job/{item}")) < place(&format!("/job/{item}/owner"))));
        seen.sort();
        let mut all = all;
        all.sort();
        assert_eq!(seen, all);
        let counts = registry.counts() - before;
        assert!(counts.reads < 15, "{counts:?}");
    }

    #[tokio::test]
    async fn reads_fewer_at_a_time_where_data_is_large() {
        let all: Vec<String> = ["/job".to_owned()]
            .into_iter()
            .chain((0..200).map(|node| format!("/job/{node}")))
            .collect();
        let (registry, session) = session_with(&all).await;
        for path in &all[1..] {
            let (path, data, version) = (path.clone(), vec![0; 64 * 1024], None);
            session.write(vec![Step::Set { path, data, version }]).await.unwrap();
        }
        let before = registry.counts();
        walk::<Error>(&*session, "/job".to_owned(), |node| Ok(node.children))
            .await
            .unwrap();
        // The root, fifty of which nothing is known, and the others.
        assert_eq!(
            (registry.counts() - before).reads,
            2 + (200 - 50_u64).div_ceil(FEWEST as u64)
        );
    }

    #[tokio::test]
    async fn reads_what_is_asked_for_alone() {
        let (_registry, session) = session_with(&["/job".to_owned(), "/job/a".to_owned(), "/job/b".to_owned()]).await;
        let mut seen = Vec::new();
        walk::<Error>(&*session, "/job".to_owned(), |node| {
            seen.push(node.path);
            Ok(node.children.into_iter().filter(|path| path.ends_with('b')).collect())
        })
        .await
        .unwrap();
        assert_eq!(seen, ["/job", "/job/b"]);
        walk::<Error>(&*session, "/none".to_owned(), |_| panic!("there is none"))
            .await
            .unwrap();
    }
}
