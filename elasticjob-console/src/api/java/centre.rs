//! The registry centre: the one that the console was started for.

use serde::{Deserialize, Serialize};

use super::Caller;
use super::envelope::{Body, Failure, Model, Reply};

/// Java's `RegistryCenterConfiguration`. The digest is never shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RegistryCenter {
    name: String,
    zk_address_list: String,
    namespace: String,
    digest: Option<String>,
    activated: bool,
}

#[derive(Deserialize)]
pub(super) struct Named {
    name: String,
}

impl RegistryCenter {
    /// Returns the centre by its description, such as `zookeeper at 10.0.0.1:2181, namespace shop`.
    fn of(described: String) -> Self {
        let (place, namespace) = described.split_once(", namespace ").unwrap_or((&described, ""));
        let address = place.split_once(" at ").map_or(place, |(_, address)| address);
        Self {
            zk_address_list: address.to_owned(),
            namespace: namespace.to_owned(),
            digest: None,
            activated: true,
            name: described,
        }
    }
}

pub(super) async fn activated(caller: Caller) -> Reply<RegistryCenter> {
    Ok(Model(RegistryCenter::of(caller.operations().registry())))
}

pub(super) async fn load(caller: Caller) -> Reply<Vec<RegistryCenter>> {
    Ok(Model(vec![RegistryCenter::of(caller.operations().registry())]))
}

/// Connects to the one centre, to which the console is connected.
pub(super) async fn connect(caller: Caller, Body(Named { name }): Body<Named>) -> Reply<bool> {
    Ok(Model(name == caller.operations().registry()))
}

/// Refuses to add and to remove centres.
pub(super) async fn change(_caller: Caller) -> Reply<bool> {
    Err(Failure::refused(
        "this console serves the registry centre of its application, and no other",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_parts_of_its_description() {
        let centre = RegistryCenter::of("zookeeper at zk1:2181,zk2:2181, namespace shop".to_owned());
        assert_eq!(
            (&*centre.zk_address_list, &*centre.namespace),
            ("zk1:2181,zk2:2181", "shop")
        );
        let centre = RegistryCenter::of("embedded registry, this process only".to_owned());
        assert_eq!(centre.namespace, "");
    }
}
