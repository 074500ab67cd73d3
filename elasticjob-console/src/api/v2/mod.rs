//! Our own API: ordinary statuses, problems in words, pages by key, and a dry run of each change.
//!
//! [`ENDPOINTS`] is the one list of its requests. The routes, the OpenAPI document and the reference page are made of it.

mod endpoint;
mod paging;
mod plan;
mod problem;
mod reads;
pub(crate) mod reference;
mod writes;

use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use elasticjob::operation::{
    CancelReport, Drained, Explanation, InstanceReport, ItemReport, JobBrief, JobOnServer, JobReport, NextFirings,
    ServerBrief, Switched,
};

use crate::access::Rights;
use crate::gate::Refusal;
use crate::table::{Needs, get, post, row};

use endpoint::{Query, listed, named, paged, whole};
use problem::Problem;

pub(crate) use endpoint::Endpoint;
pub(crate) use reads::no_such_path;

const VIEWER: Needs = Needs::Rights(Rights::Viewer);
const OPERATOR: Needs = Needs::Rights(Rights::Operator);
const EDITOR: Needs = Needs::Rights(Rights::Editor);
const ADMIN: Needs = Needs::Rights(Rights::Admin);

/// All requests.
pub(crate) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        route: get("/api/v2/openapi.json", Needs::Nothing, |method| {
            on(method, reads::document)
        }),
        about: "Returns this description.",
        query: &[],
        body: None,
        answer: whole::<serde_json::Value>,
    },
    Endpoint {
        route: get("/api/v2/jobs", VIEWER, |method| on(method, reads::jobs)),
        about: "Lists the jobs in short, by name.",
        query: paging::QUERY,
        body: None,
        answer: paged::<JobBrief>,
    },
    Endpoint {
        route: get("/api/v2/jobs/{job}", VIEWER, |method| on(method, reads::job)),
        about: "Returns a job in full.",
        query: &[],
        body: None,
        answer: named::<JobReport>,
    },
    Endpoint {
        route: get("/api/v2/jobs/{job}/items", VIEWER, |method| on(method, reads::items)),
        about: "Lists the items of a job with their newest runs, by number.",
        query: paging::QUERY,
        body: None,
        answer: paged::<ItemReport>,
    },
    Endpoint {
        route: get("/api/v2/jobs/{job}/items/{item}", VIEWER, |method| {
            on(method, reads::item)
        }),
        about: "Returns an item with its newest run.",
        query: &[],
        body: None,
        answer: named::<ItemReport>,
    },
    Endpoint {
        route: get("/api/v2/jobs/{job}/instances", VIEWER, |method| {
            on(method, reads::instances)
        }),
        about: "Lists the instances of a job.",
        query: &[],
        body: None,
        answer: listed::<InstanceReport>,
    },
    Endpoint {
        route: get("/api/v2/jobs/{job}/explain", VIEWER, |method| {
            on(method, reads::explain)
        }),
        about: "Says why a job and its items run or not.",
        query: &[],
        body: None,
        answer: named::<Explanation>,
    },
    Endpoint {
        route: get("/api/v2/jobs/{job}/next", VIEWER, |method| on(method, reads::next)),
        about: "Computes the next scheduled times.",
        query: &[Query::number("count", "How many: 10 unless it is said, 1000 at most.")],
        body: None,
        answer: named::<NextFirings>,
    },
    Endpoint {
        route: get("/api/v2/jobs/{job}/firings", VIEWER, |method| {
            on(method, reads::firings)
        }),
        about: "Lists the newest firings that the console has seen, the oldest first.",
        query: &[],
        body: None,
        answer: listed::<reads::FiringReport>,
    },
    Endpoint {
        route: get("/api/v2/jobs/{job}/config", VIEWER, |method| {
            on(method, reads::configuration)
        }),
        about: "Returns the configuration in the registry, with secrets masked.",
        query: &[],
        body: None,
        answer: named::<reads::Configuration>,
    },
    Endpoint {
        route: row(Method::PATCH, "/api/v2/jobs/{job}/config", EDITOR, |method| {
            on(method, writes::configure)
        }),
        about: "Changes settings of a job.",
        query: &[],
        body: Some(named::<writes::Settings>),
        answer: named::<writes::Changed>,
    },
    Endpoint {
        route: row(Method::DELETE, "/api/v2/jobs/{job}", ADMIN, |method| {
            on(method, writes::remove)
        }),
        about: "Removes a job that no instance serves, with all that the registry has of it.",
        query: &[],
        body: None,
        answer: named::<writes::Removed>,
    },
    Endpoint {
        route: post("/api/v2/jobs/{job}/trigger", OPERATOR, |method| {
            on(method, writes::trigger)
        }),
        about: "Runs a job, or one of its items, once.",
        query: &[],
        body: Some(named::<writes::Trigger>),
        answer: named::<writes::Triggered>,
    },
    Endpoint {
        route: post("/api/v2/jobs/{job}/cancel", OPERATOR, |method| {
            on(method, writes::cancel)
        }),
        about: "Cancels the runs of a job, or of one item.",
        query: &[],
        body: Some(named::<writes::Cancel>),
        answer: named::<CancelReport>,
    },
    Endpoint {
        route: post("/api/v2/jobs/{job}/disable", OPERATOR, |method| {
            on(method, writes::disable)
        }),
        about: "Pauses a job: nothing of it starts until it is enabled.",
        query: &[],
        body: Some(named::<writes::Off>),
        answer: listed::<Switched>,
    },
    Endpoint {
        route: post("/api/v2/jobs/{job}/enable", OPERATOR, |method| {
            on(method, writes::enable)
        }),
        about: "Ends the pause of a job.",
        query: &[],
        body: None,
        answer: listed::<Switched>,
    },
    Endpoint {
        route: post("/api/v2/jobs/{job}/shutdown", OPERATOR, |method| {
            on(method, writes::shut_down)
        }),
        about: "Shuts the instances of a job down.",
        query: &[],
        body: None,
        answer: listed::<Switched>,
    },
    Endpoint {
        route: post("/api/v2/jobs/{job}/items/{item}/disable", OPERATOR, |method| {
            on(method, writes::disable_item)
        }),
        about: "Switches an item off.",
        query: &[],
        body: Some(named::<writes::Off>),
        answer: whole::<()>,
    },
    Endpoint {
        route: post("/api/v2/jobs/{job}/items/{item}/enable", OPERATOR, |method| {
            on(method, writes::enable_item)
        }),
        about: "Switches an item on.",
        query: &[],
        body: None,
        answer: whole::<()>,
    },
    Endpoint {
        route: post("/api/v2/jobs/{job}/servers/{server}/disable", OPERATOR, |method| {
            on(method, writes::disable_on_server)
        }),
        about: "Switches a server off for one job.",
        query: &[],
        body: Some(named::<writes::Off>),
        answer: listed::<Switched>,
    },
    Endpoint {
        route: post("/api/v2/jobs/{job}/servers/{server}/enable", OPERATOR, |method| {
            on(method, writes::enable_on_server)
        }),
        about: "Switches a server on for one job.",
        query: &[],
        body: None,
        answer: listed::<Switched>,
    },
    Endpoint {
        route: get("/api/v2/servers", VIEWER, |method| on(method, reads::servers)),
        about: "Lists the servers, by address.",
        query: paging::QUERY,
        body: None,
        answer: paged::<ServerBrief>,
    },
    Endpoint {
        route: get("/api/v2/servers/{server}/jobs", VIEWER, |method| {
            on(method, reads::jobs_on)
        }),
        about: "Lists the jobs of a server.",
        query: &[],
        body: None,
        answer: listed::<JobOnServer>,
    },
    Endpoint {
        route: post("/api/v2/servers/{server}/disable", OPERATOR, |method| {
            on(method, writes::disable_server)
        }),
        about: "Switches a server off in its jobs.",
        query: &[],
        body: Some(named::<writes::Off>),
        answer: listed::<Switched>,
    },
    Endpoint {
        route: post("/api/v2/servers/{server}/enable", OPERATOR, |method| {
            on(method, writes::enable_server)
        }),
        about: "Switches a server on in its jobs.",
        query: &[],
        body: None,
        answer: listed::<Switched>,
    },
    Endpoint {
        route: post("/api/v2/servers/{server}/shutdown", OPERATOR, |method| {
            on(method, writes::shut_down_server)
        }),
        about: "Shuts the instances on a server down.",
        query: &[],
        body: None,
        answer: listed::<Switched>,
    },
    Endpoint {
        route: row(Method::DELETE, "/api/v2/servers/{server}", ADMIN, |method| {
            on(method, writes::remove_server)
        }),
        about: "Shuts the instances on a server down, and removes it from its jobs.",
        query: &[],
        body: None,
        answer: listed::<Switched>,
    },
    Endpoint {
        route: post("/api/v2/instances/{instance}/drain", OPERATOR, |method| {
            on(method, writes::drain)
        }),
        about: "Has an instance give its items away, and take no new ones.",
        query: &[],
        body: None,
        answer: listed::<Drained>,
    },
    Endpoint {
        route: post("/api/v2/instances/{instance}/undrain", OPERATOR, |method| {
            on(method, writes::undrain)
        }),
        about: "Ends the draining of an instance.",
        query: &[],
        body: None,
        answer: listed::<Drained>,
    },
    Endpoint {
        route: post("/api/v2/instances/{instance}/shutdown", OPERATOR, |method| {
            on(method, writes::shut_down_instance)
        }),
        about: "Shuts an instance down in its jobs.",
        query: &[],
        body: None,
        answer: whole::<Vec<String>>,
    },
];

/// Returns the answer to a request that may not reach its route.
pub(super) fn refused(refusal: Refusal, jobs: &[String]) -> Response {
    Problem::of_refusal(refusal, jobs).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::http::Method;
    use serde_json::Value;

    use super::*;
    use crate::table;

    fn document() -> Value {
        endpoint::as_json(ENDPOINTS, "/ops/console")
    }

    /// Returns the methods and paths that the document describes.
    fn described(document: &Value) -> BTreeSet<String> {
        let paths = document["paths"].as_object().unwrap().iter();
        paths
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys();
                methods.map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect()
    }

    #[test]
    fn describes_the_routes_that_there_are() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["servers"][0]["url"], "/ops/console");
        let routes = table::all().filter(|route| route.path.starts_with("/api/v2/"));
        let routes: BTreeSet<String> = routes.map(|route| format!("{} {}", route.method, route.path)).collect();
        assert_eq!(described(&document), routes);
    }

    #[test]
    fn describes_each_name_and_parameter() {
        let document = document();
        for endpoint in ENDPOINTS {
            let method = endpoint.route.method.as_str().to_lowercase();
            let operation = &document["paths"][endpoint.route.path][&method];
            let row = format!("{method} {}", endpoint.route.path);
            let parameters: Vec<(&str, &str)> = operation["parameters"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default()
                .iter()
                .map(|parameter| (parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap()))
                .collect();
            let names = endpoint.names().map(|name| ("path", name));
            let expected: Vec<_> = names
                .chain(endpoint.queries().map(|query| ("query", query.name)))
                .collect();
            assert_eq!(parameters, expected, "{row}");
            let has_dry_run = parameters.contains(&("query", "dryRun"));
            assert_eq!(has_dry_run, endpoint.route.method != Method::GET, "{row}");
            assert!(
                operation["summary"].as_str().is_some_and(|text| text.ends_with('.')),
                "{row}"
            );
            assert!(
                operation["responses"]["200"]["content"]["application/json"]["schema"].is_object(),
                "{row}"
            );
            assert!(operation["responses"]["default"].is_object(), "{row}");
            assert_eq!(operation["requestBody"].is_object(), endpoint.body.is_some(), "{row}");
        }
    }

    #[test]
    fn refers_to_schemas_that_there_are() {
        fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
            match value {
                Value::Object(fields) => {
                    found.extend(fields.get("$ref").and_then(Value::as_str));
                    fields.values().for_each(|value| references(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
