//! A request of the API: its row in the table of routes, and its description. The OpenAPI document is made of these, so it cannot say anything
//! that is not served.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::json;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ComponentsBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ContentBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, PathsBuilder, Ref, RefOr, Required,
    ResponseBuilder, Server,
};
use utoipa::{PartialSchema, ToSchema};

use crate::table::{Needs, Route};

use super::paging::Page;
use super::plan::Plan;
use super::problem::Problem;

/// The schemas that others refer to, by name.
pub(super) type Schemas = Vec<(String, RefOr<Schema>)>;

/// A request of the API.
pub(crate) struct Endpoint {
    pub(crate) route: Route,
    /// What it does, in a sentence.
    pub(super) about: &'static str,
    pub(super) query: &'static [Query],
    pub(super) body: Option<fn(&mut Schemas) -> RefOr<Schema>>,
    pub(super) answer: fn(&mut Schemas) -> RefOr<Schema>,
}

/// A parameter behind the question mark.
pub(super) struct Query {
    pub(super) name: &'static str,
    about: &'static str,
    kind: Type,
}

impl Query {
    pub(super) const fn text(name: &'static str, about: &'static str) -> Self {
        let kind = Type::String;
        Self { name, about, kind }
    }

    pub(super) const fn number(name: &'static str, about: &'static str) -> Self {
        let kind = Type::Integer;
        Self { name, about, kind }
    }
}

/// The parameter of each request that changes something.
const DRY_RUN: Query = Query {
    name: "dryRun",
    about: "With `true` nothing is changed, and the answer says what would be.",
    kind: Type::Boolean,
};

/// Returns a reference to the schema of a type, which is added to those that are there.
pub(super) fn named<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    T::schemas(schemas);
    let name = T::name().into_owned();
    schemas.push((name.clone(), T::schema()));
    Ref::from_schema_name(name).into()
}

/// Returns the schema of a list.
pub(super) fn listed<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    ArrayBuilder::new().items(named::<T>(schemas)).into()
}

/// Returns the schema of a page of a list.
pub(super) fn paged<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    named::<T>(schemas);
    Page::<T>::schema()
}

/// Returns the schema of a type that has no name of its own.
pub(super) fn whole<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    T::schemas(schemas);
    T::schema()
}

impl Endpoint {
    pub(super) fn changes(&self) -> bool {
        self.route.method != Method::GET
    }

    /// Returns the parameters behind the question mark.
    pub(super) fn queries(&self) -> impl Iterator<Item = &Query> {
        let dry_run = self.changes().then_some(&DRY_RUN);
        self.query.iter().chain(dry_run)
    }

    /// Returns the names in the path.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let parts = self.route.path.split('/');
        parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Returns the rights that it needs, in a word.
    pub(super) fn needs(&self) -> &'static str {
        match self.route.needs {
            Needs::Nothing => "nobody in particular",
            Needs::Own => "a visitor without a token",
            Needs::Rights(rights) => rights.name(),
        }
    }

    fn parameters(&self) -> Vec<Parameter> {
        let of = |name: &str, kind: Type, within, required, about: &str| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(within)
                .required(required)
                .description((!about.is_empty()).then_some(about))
                .schema(Some(ObjectBuilder::new().schema_type(kind)))
                .build()
        };
        let path = self.names().map(|name| {
            let kind = if name == "item" { Type::Integer } else { Type::String };
            of(name, kind, ParameterIn::Path, Required::True, "")
        });
        let query = self.queries().map(|query| {
            of(
                query.name,
                query.kind.clone(),
                ParameterIn::Query,
                Required::False,
                query.about,
            )
        });
        path.chain(query).collect()
    }

    fn method(&self) -> HttpMethod {
        match self.route.method {
            Method::POST => HttpMethod::Post,
            Method::PATCH => HttpMethod::Patch,
            Method::DELETE => HttpMethod::Delete,
            _ => HttpMethod::Get,
        }
    }

    /// Adds the description to a document.
    fn describe(&self, schemas: &mut Schemas) -> (HttpMethod, OperationBuilder) {
        let json = |schema: RefOr<Schema>| ContentBuilder::new().schema(Some(schema)).build();
        let answer = (self.answer)(schemas);
        let answer = if self.changes() {
            RefOr::T(Schema::from(
                OneOfBuilder::new().item(answer).item(named::<Plan>(schemas)),
            ))
        } else {
            answer
        };
        let done = ResponseBuilder::new()
            .description("What there is, or what was done.")
            .content("application/json", json(answer));
        let problem = ResponseBuilder::new()
            .description("Why nothing was done.")
            .content("application/problem+json", json(named::<Problem>(schemas)));
        let mut operation = OperationBuilder::new()
            .summary(Some(self.about))
            .description(Some(format!("Needs the rights of: {}.", self.needs())))
            .parameters(Some(self.parameters()))
            .response("200", done)
            .response("default", problem);
        if let Some(body) = self.body {
            let body = json(body(schemas));
            operation = operation.request_body(Some(
                RequestBodyBuilder::new().content("application/json", body).build(),
            ));
        }
        if self.route.needs == Needs::Nothing {
            operation = operation.securities(Some([]));
        }
        (self.method(), operation)
    }
}

/// Returns the OpenAPI document of these requests, for a console below `base`.
pub(super) fn document(endpoints: &[Endpoint], base: &str) -> OpenApi {
    let mut schemas = Schemas::new();
    let mut items: BTreeMap<&str, PathItem> = BTreeMap::new();
    for endpoint in endpoints {
        let (method, operation) = endpoint.describe(&mut schemas);
        let item = PathItem::new(method, operation);
        match items.get_mut(endpoint.route.path) {
            Some(known) => known.merge_operations(item),
            None => drop(items.insert(endpoint.route.path, item)),
        }
    }
    let paths = items
        .into_iter()
        .fold(PathsBuilder::new(), |paths, (path, item)| paths.path(path, item));
    let components = schemas
        .into_iter()
        .fold(ComponentsBuilder::new(), |components, (name, schema)| {
            components.schema(name, schema)
        })
        .security_scheme(
            "bearer",
            SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
        )
        .security_scheme(
            "accessToken",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("Access-Token"))),
        );
    let none: [&str; 0] = [];
    OpenApiBuilder::new()
        .info(InfoBuilder::new().title("ElasticJob").version("2"))
        .servers(Some([Server::new(if base.is_empty() { "/" } else { base })]))
        .paths(paths)
        .components(Some(components.build()))
        .security(Some([
            SecurityRequirement::new("bearer", none),
            SecurityRequirement::new("accessToken", none),
        ]))
        .build()
}

/// Returns the document as it is served.
pub(super) fn as_json(endpoints: &[Endpoint], base: &str) -> serde_json::Value {
    serde_json::to_value(document(endpoints, base)).unwrap_or_else(|error| json!({"error": error.to_string()}))
}
