//! Finds the elements of ElasticJob, and the beans, in Spring's XML.
//!
//! Files are not trusted: entities that grow and files of more than a million nodes are refused by the parser, and
//! nothing that a file refers to is opened.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::{Document, Node, ParsingOptions};

use super::{Remark, Source};

/// Beginnings of the namespaces that Java's versions have had: 3.x, the first candidates of 3.0, and 1.x and 2.x.
const NAMESPACES: [&str; 3] = [
    "http://shardingsphere.apache.org/schema/elasticjob",
    "http://elasticjob.shardingsphere.apache.org/schema/elasticjob",
    "http://www.dangdang.com/schema/ddframe/",
];

/// The namespace of attributes that are properties of a bean.
const PROPERTY_NAMESPACE: &str = "http://www.springframework.org/schema/p";

/// Elements and attributes at most. A real context has some thousands.
const MOST_NODES: u32 = 1_000_000;

/// Parses each file.
///
/// # Errors
/// Lists the files that are not well-formed, with the place.
pub(super) fn parse(sources: &[Source]) -> Result<Vec<Document<'_>>, Vec<String>> {
    let mut documents = Vec::new();
    let mut faults = Vec::new();
    for source in sources {
        // Files of Spring 2 begin with a document type.
        let options = ParsingOptions {
            allow_dtd: true,
            nodes_limit: MOST_NODES,
            ..ParsingOptions::default()
        };
        match Document::parse_with_options(&source.text, options) {
            Ok(document) => documents.push(document),
            Err(error) => faults.push(format!("{}: is no well-formed XML: {error}", source.name)),
        }
    }
    if faults.is_empty() { Ok(documents) } else { Err(faults) }
}

/// An element, with the place where it stands.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) node: Node<'a, 'a>,
    file: &'a File<'a>,
    /// The profiles that `<beans profile="..">` around it asks for; empty for always.
    pub(super) profile: &'a str,
}

impl<'a> Element<'a> {
    /// Returns the name of the element, without its namespace.
    pub(super) fn tag(&self) -> &'a str {
        self.node.tag_name().name()
    }

    /// Returns an attribute's value, without the blanks around it.
    pub(super) fn attribute(&self, name: &str) -> Option<&'a str> {
        self.node.attribute(name).map(str::trim)
    }

    /// Names its file and line.
    pub(super) fn place(&self) -> (String, usize) {
        (self.file.name.to_owned(), self.file.line(self.node.range().start))
    }

    /// Returns a remark with the place of this element.
    pub(super) fn remark(&self, text: impl Into<String>) -> Remark {
        let (file, line) = self.place();
        let text = text.into();
        Remark { file, line, text }
    }

    /// A fault at this element.
    pub(super) fn fault(&self, text: &str) -> String {
        self.remark(text).to_string()
    }

    /// Returns the elements directly below.
    pub(super) fn children(self) -> impl Iterator<Item = Self> {
        self.node
            .children()
            .filter(Node::is_element)
            .map(move |node| Self { node, ..self })
    }

    /// Returns whether this is an element of Java's ElasticJob.
    fn is_ours(&self) -> bool {
        let namespace = self.node.tag_name().namespace().unwrap_or_default();
        NAMESPACES.iter().any(|ours| namespace.starts_with(ours))
    }
}

struct File<'a> {
    name: &'a str,
    /// The byte at which each line starts.
    lines: Vec<usize>,
}

impl File<'_> {
    /// Returns the line that a byte stands in, from 1.
    fn line(&self, byte: usize) -> usize {
        self.lines.partition_point(|start| *start <= byte)
    }
}

/// What stands in the files, in their order.
pub(super) struct Files<'a> {
    files: Vec<File<'a>>,
    documents: &'a [Document<'a>],
}

/// The elements that matter.
#[derive(Default)]
pub(super) struct Found<'a> {
    pub(super) ours: Vec<Element<'a>>,
    /// Beans by name or alias. A bean may be there once in each profile.
    pub(super) beans: BTreeMap<&'a str, Vec<Element<'a>>>,
    pub(super) remarks: Vec<Remark>,
}

impl<'a> Files<'a> {
    pub(super) fn new(sources: &'a [Source], documents: &'a [Document<'a>]) -> Self {
        let files = sources.iter().map(|source| File {
            name: &source.name,
            lines: std::iter::once(0)
                .chain(source.text.match_indices('\n').map(|(end, _)| end + 1))
                .collect(),
        });
        Self {
            files: files.collect(),
            documents,
        }
    }

    /// Goes through all files.
    pub(super) fn find(&'a self) -> Found<'a> {
        let mut found = Found::default();
        for (file, document) in self.files.iter().zip(self.documents) {
            let root = Element {
                node: document.root_element(),
                file,
                profile: "",
            };
            let root = Element {
                profile: root.attribute("profile").unwrap_or_default(),
                ..root
            };
            self.visit(root, &mut found);
        }
        found
    }

    /// Takes what is below one `<beans>`.
    fn visit(&self, beans: Element<'a>, found: &mut Found<'a>) {
        for element in beans.children() {
            if element.is_ours() {
                found.ours.push(element);
                continue;
            }
            match element.tag() {
                "bean" => {
                    let names = element.attribute("name").unwrap_or_default();
                    let aliases = names.split([',', ';', ' ']).filter(|name| !name.is_empty());
                    let names: BTreeSet<&str> = element.attribute("id").into_iter().chain(aliases).collect();
                    for name in names {
                        found.beans.entry(name).or_default().push(element);
                    }
                    found.remarks.extend(placeholder_files(&element));
                }
                "beans" => match (element.attribute("profile"), beans.profile) {
                    (Some(profile), "") => self.visit(Element { profile, ..element }, found),
                    (None, _) => self.visit(element, found),
                    (Some(profile), around) => found.remarks.push(element.remark(format!(
                        "what is in force if both `{around}` and `{profile}` are active is not carried over"
                    ))),
                },
                "import" => found.remarks.extend(self.missing(&element)),
                _ => found.remarks.extend(placeholder_files(&element)),
            }
        }
    }

    /// An import of a file that was not given.
    fn missing(&self, import: &Element<'_>) -> Option<Remark> {
        let resource = import.attribute("resource").unwrap_or_default();
        let last = |path: &str| path.rsplit(['/', '\\', ':']).next().unwrap_or_default().to_owned();
        let is_given = self.files.iter().any(|file| last(file.name) == last(resource));
        let text = || format!("`{resource}` is imported here: give that file, too, if it configures jobs");
        (!is_given).then(|| import.remark(text()))
    }
}

/// The files that placeholders get their values from, which the program has to read itself.
fn placeholder_files(element: &Element<'_>) -> Option<Remark> {
    let is_configurer =
        |class: &str| class.contains("PlaceholderConfigurer") || class.ends_with("PropertiesFactoryBean");
    let files: Vec<String> = match element.tag() {
        "property-placeholder" => element
            .attribute("location")
            .map(ToOwned::to_owned)
            .into_iter()
            .collect(),
        "bean" if element.attribute("class").is_some_and(is_configurer) => {
            let is_location = |name: &str| name == "location" || name == "locations";
            let values = element
                .node
                .descendants()
                .filter_map(|node| match node.tag_name().name() {
                    "property" if node.attribute("name").is_some_and(is_location) => node.attribute("value"),
                    "value" => node.text(),
                    _ => None,
                });
            values.map(|value| value.trim().to_owned()).collect()
        }
        _ => return None,
    };
    (!files.is_empty()).then(|| {
        let files = files.join("`, `");
        element.remark(format!(
            "placeholders have their values from `{files}`: put these keys into application.properties or application.yaml"
        ))
    })
}

/// Returns the properties of a bean: `<property name value>`, `<property name><value>`, and `p:name`.
pub(super) fn properties<'a>(bean: &Element<'a>) -> BTreeMap<&'a str, &'a str> {
    let elements = bean.children().filter(|child| child.tag() == "property");
    let written = elements.filter_map(|property| {
        let value = property.node.attribute("value").or_else(|| {
            let value = property.children().find(|child| child.tag() == "value")?;
            Some(value.node.text().unwrap_or_default())
        });
        Some((property.attribute("name")?, value?.trim()))
    });
    let attributes = bean.node.attributes();
    let attributes = attributes.filter(|attribute| attribute.namespace() == Some(PROPERTY_NAMESPACE));
    written
        .chain(attributes.map(|attribute| (attribute.name(), attribute.value().trim())))
        .collect()
}
