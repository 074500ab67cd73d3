//! What unit tests of the cluster are made of.

use crate::registry::Stat;

use super::instance::InstanceId;
use super::view::View;

/// Returns the id of an instance.
pub(crate) fn id(text: &str) -> InstanceId {
    InstanceId::parse(text).expect("an id")
}

/// Returns the view of the job `job` with these nodes, each as `path` or `path=data`. Paths are below the job.
pub(crate) fn view<'n>(nodes: impl IntoIterator<Item = &'n str>) -> View {
    let mut view = View::new("job");
    for node in nodes {
        let (path, data) = node.split_once('=').unwrap_or((node, ""));
        let found = (data.as_bytes().to_vec(), Stat::default());
        view.read(&format!("/job{path}"), Some(found));
    }
    view
}
