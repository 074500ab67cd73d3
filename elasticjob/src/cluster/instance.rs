//! Who we are: the id of an instance, and the text of its node.
//!
//! That an id is never used again is what the rest relies on: an id that is not among the instances and members is
//! dead, and stays so. An instance that loses its session and comes back is another one, with nothing to claim from the
//! first.

use std::fmt;
use std::sync::Arc;

use super::ids::Ids;
use super::mutation::Mutation;

/// Stands between the address and the rest of an id. Java cuts ids at the first one.
const DELIMITER: &str = "@-@";

/// The id of one instance of a job, ours or a Java member's: `{ip}@-@{anything}`.
///
/// Ours are `{ip}@-@{pid}-{6 of base 36}`, a new one for each session, so that an id which is not among the
/// instances is dead for ever.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InstanceId(Arc<str>);

impl InstanceId {
    /// Returns a new id for this process on `ip`.
    pub(crate) fn fresh(ip: &str, pid: u32, ids: &mut Ids) -> Self {
        let suffix = if Mutation::ReuseInstanceId.is_on() {
            "000000".to_owned()
        } else {
            ids.suffix()
        };
        Self(format!("{ip}{DELIMITER}{pid}-{suffix}").into())
    }

    /// Returns a new id for the process of this one.
    pub(crate) fn renewed(&self, ids: &mut Ids) -> Self {
        let process = self.0.rsplit_once('-').map_or(&*self.0, |(process, _)| process);
        Self(format!("{process}-{}", ids.suffix()).into())
    }

    /// Returns an id as found in the registry.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// Returns the name of the node below `servers` that switches this instance on and off.
    pub(crate) fn server(&self) -> &str {
        self.0.split_once(DELIMITER).map_or(&*self.0, |(server, _)| server)
    }

    /// Returns whether it is a Java member's: these end with the number of the process.
    pub(crate) fn is_of_java(&self) -> bool {
        let process = self.0.split_once(DELIMITER).map_or("", |(_, process)| process);
        !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Returns the text, shared with this id.
    pub(crate) fn into_text(self) -> Arc<str> {
        self.0
    }

    /// Returns the id as it stands in paths and in the data of nodes.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the data of the instance's node, byte for byte as Java writes it.
    pub(crate) fn to_yaml(&self) -> String {
        format!("jobInstanceId: {}\nserverIp: {}\n", self.0, self.server())
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_text_should_be_what_java_writes() {
        let id = InstanceId::parse("192.0.2.2@-@9901").expect("an id");
        assert_eq!(id.to_yaml(), "jobInstanceId: 192.0.2.2@-@9901\nserverIp: 192.0.2.2\n");
        assert_eq!(id.to_yaml().len(), 52);
    }

    #[test]
    fn begins_with_its_server_and_never_repeats() {
        let mut ids = Ids::seeded(7);
        let first = InstanceId::fresh("10.0.0.1", 42, &mut ids);
        let second = InstanceId::fresh("10.0.0.1", 42, &mut ids);
        assert_eq!(first.server(), "10.0.0.1");
        assert!(first.as_str().starts_with("10.0.0.1@-@42-"), "{first}");
        assert_ne!(first, second);
        let renewed = second.renewed(&mut ids);
        assert!(renewed.as_str().starts_with("10.0.0.1@-@42-"), "{renewed}");
        assert!(renewed != first && renewed != second && !renewed.is_of_java());
    }
}
