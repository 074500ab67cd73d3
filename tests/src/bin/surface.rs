//! Reads the public interface of the libraries from rustdoc's JSON: which types of other crates it names, and which traits and
//! builders have no example.
//!
//!     scripts/surface
//!
//! The types have to be those that `docs/decisions.md` lists: each is a promise to stay with a version of its crate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// The heading in `docs/decisions.md` below which the table of types stands.
const HEADING: &str = "## Types of other crates";

/// Crates with types that need no reason.
const OURS: [&str; 6] = [
    "alloc",
    "core",
    "elasticjob",
    "elasticjob_config",
    "elasticjob_macros",
    "std",
];

/// A builder has as many methods that take and return it.
const SETTERS_OF_A_BUILDER: usize = 2;

fn main() -> anyhow::Result<ExitCode> {
    let mut types = Types::new();
    let mut problems = Vec::new();
    for path in env::args().skip(1) {
        let surface = Surface::read(Path::new(&path)).with_context(|| path.clone())?;
        for (name, of_crate) in surface.foreign_types() {
            types.entry(name).or_default().extend(of_crate);
        }
        problems.extend(
            surface
                .without_example()
                .into_iter()
                .map(|name| format!("{name} has no example")),
        );
    }
    if types.is_empty() {
        bail!("no type of another crate was found: the format of rustdoc's JSON has changed");
    }
    problems.extend(differences(&listed(&fs::read_to_string("docs/decisions.md")?)?, &types));
    for problem in &problems {
        println!("{problem}");
    }
    Ok(ExitCode::from(u8::from(!problems.is_empty())))
}

/// Types by their crates.
type Types = BTreeMap<String, BTreeSet<String>>;

/// Reads the table: crates in the first column, types in the second, all in backticks.
fn listed(document: &str) -> anyhow::Result<Types> {
    let (_, section) = document
        .split_once(HEADING)
        .context("docs/decisions.md has no table of types")?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let quoted = |cell: &str| -> BTreeSet<String> {
        let parts = cell.split('`').skip(1).step_by(2);
        parts.map(str::to_owned).collect()
    };
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let types = rows.filter_map(|row| {
        let mut cells = row.split('|').skip(1);
        let name = quoted(cells.next()?).pop_first()?;
        Some((name, quoted(cells.next()?)))
    });
    Ok(types.collect())
}

/// Names each type that is in one of the two and not in the other.
fn differences(listed: &Types, found: &Types) -> Vec<String> {
    let flat = |types: &Types| -> BTreeSet<String> {
        let of_crate = |(name, types): (&String, &BTreeSet<String>)| {
            types.iter().map(|of| format!("{name}::{of}")).collect::<Vec<_>>()
        };
        types.iter().flat_map(of_crate).collect()
    };
    let (listed, found) = (flat(listed), flat(found));
    let new = found.difference(&listed);
    let gone = listed.difference(&found);
    new.map(|name| format!("`{name}` is part of the public interface, and docs/decisions.md does not list it"))
        .chain(gone.map(|name| format!("docs/decisions.md lists `{name}`, which the public interface does not name")))
        .collect()
}

/// The public interface of a crate, as rustdoc writes it.
struct Surface(Value);

impl Surface {
    fn read(path: &Path) -> anyhow::Result<Self> {
        Ok(Self(serde_json::from_str(&fs::read_to_string(path)?)?))
    }

    /// Returns the item of this id, if it is public and of this crate.
    fn item(&self, id: &Value) -> Option<&Value> {
        self.0["index"].get(id.to_string())
    }

    /// Returns all items that can be reached from the root, each once.
    fn items(&self) -> Vec<&Value> {
        let mut items = Vec::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![&self.0["root"]];
        while let Some(id) = open.pop() {
            if !seen.insert(id.to_string()) {
                continue;
            }
            if let Some(item) = self.item(id)
                && !is_of_the_compiler(item)
            {
                items.push(item);
                open.extend(children(item));
            }
        }
        items
    }

    /// Returns the types, traits and functions of other crates that public items name.
    fn foreign_types(&self) -> Types {
        let mut types = Types::new();
        for item in self.items() {
            references(&item["inner"], &mut |id| {
                let path = &self.0["paths"][id.to_string()];
                let of = self.0["external_crates"][path["crate_id"].to_string()]["name"].as_str();
                let name = path["path"].as_array().and_then(|path| path.last()?.as_str());
                if let (Some(of), Some(name)) = (of, name)
                    && !OURS.contains(&of)
                {
                    types.entry(of.to_owned()).or_default().insert(name.to_owned());
                }
            });
        }
        types
    }

    /// Returns the names of traits and builders without code in their documentation.
    fn without_example(&self) -> Vec<String> {
        let without = self.items().into_iter().filter(|item| {
            let has_example = item["docs"].as_str().is_some_and(|docs| docs.contains("```"));
            !has_example && (item["inner"].get("trait").is_some() || self.is_builder(item))
        });
        let mut names: Vec<String> = without.filter_map(|item| self.path(item)).collect();
        names.sort();
        names
    }

    /// Returns whether a struct has several methods that take it and return it.
    fn is_builder(&self, item: &Value) -> bool {
        let itself = serde_json::json!({"generic": "Self"});
        let impls = item["inner"]["struct"]["impls"].as_array().into_iter().flatten();
        let inherent = impls
            .filter_map(|id| self.item(id))
            .filter(|of| of["inner"]["impl"]["trait"].is_null());
        let methods = inherent.flat_map(|of| of["inner"]["impl"]["items"].as_array().into_iter().flatten());
        let setters = methods.filter_map(|id| self.item(id)).filter(|method| {
            let signature = &method["inner"]["function"]["sig"];
            signature["inputs"][0][1] == itself && signature["output"] == itself
        });
        setters.count() >= SETTERS_OF_A_BUILDER
    }

    fn path(&self, item: &Value) -> Option<String> {
        let path = self.0["paths"][item["id"].to_string()]["path"].as_array()?;
        let names: Vec<&str> = path.iter().filter_map(Value::as_str).collect();
        Some(names.join("::"))
    }
}

/// Returns whether an `impl` is one that the compiler adds, or that another crate has for all types.
fn is_of_the_compiler(item: &Value) -> bool {
    let of = &item["inner"]["impl"];
    of["is_synthetic"] == true || of.get("blanket_impl").is_some_and(|blanket| !blanket.is_null())
}

/// Returns the ids of what an item is made of.
fn children(item: &Value) -> impl Iterator<Item = &Value> {
    let inner = &item["inner"];
    let lists = [
        &inner["module"]["items"],
        &inner["struct"]["impls"],
        &inner["struct"]["kind"]["plain"]["fields"],
        &inner["struct"]["kind"]["tuple"],
        &inner["enum"]["variants"],
        &inner["enum"]["impls"],
        &inner["variant"]["kind"]["struct"]["fields"],
        &inner["variant"]["kind"]["tuple"],
        &inner["trait"]["items"],
        &inner["trait"]["implementations"],
        &inner["impl"]["items"],
    ];
    let ids = lists.into_iter().filter_map(Value::as_array).flatten();
    ids.chain([&inner["use"]["id"]]).filter(|id| id.is_number())
}

/// Calls `found` with the id of each path below `value`.
fn references(value: &Value, found: &mut impl FnMut(&Value)) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key("path") || fields.contains_key("source") {
                found(&value["id"]);
            }
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}
