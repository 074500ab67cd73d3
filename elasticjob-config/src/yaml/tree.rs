//! Reads YAML into a tree that remembers where each node stood.
//!
//! The typed YAML crates lose what is needed here: the line of a wrong value, whether a scalar was quoted, and the raw
//! text of a part that is to be kept. Scalars stay text; [`super::resolve`] or the reader of a key gives them a type.
//!
//! A text from the registry may be anybody's. Aliases that repeat each other make a small text a huge tree, and deep
//! nesting exhausts the stack of a caller that walks it; so depth, nodes and what aliases repeat are limited, and counted
//! while the tree is built.

use std::collections::HashMap;

use yaml_rust2::parser::{Event, Parser, Tag};
use yaml_rust2::scanner::{Marker, ScanError, TScalarStyle};

use super::lines::{Lines, Restored};
use super::resolve::{Type, resolve};
use crate::text;

/// Deeper nesting is refused, aliases followed: no real configuration has it, and readers recurse.
pub(crate) const DEEPEST: usize = 64;

/// A file has no more documents: each is a layer of its own.
pub(crate) const MOST_DOCUMENTS: usize = 1_000;

/// How much of a text is read. A text costs more than it weighs if each of its bytes makes a node, or if an alias repeats
/// what stands elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The length of the text; aliases may repeat as much again.
    pub(crate) bytes: usize,
    /// Scalars, lists and maps.
    pub(crate) nodes: usize,
    /// Of these, what aliases may repeat: they cost their writer nothing.
    pub(crate) repeated_nodes: usize,
}

impl Limits {
    /// For a `config` node of the registry.
    pub(crate) const STORED: Self = Self {
        bytes: text::LARGEST_STORED,
        nodes: 100_000,
        repeated_nodes: 100_000,
    };
    /// For a file.
    pub(crate) const FILE: Self = Self {
        bytes: text::LARGEST_FILE,
        nodes: 1_000_000,
        repeated_nodes: 500_000,
    };
}

/// A node and where it starts.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) content: Content,
    /// The tag as in `!!binary`, empty if there is none.
    pub(crate) tag: String,
    /// Where the first token starts.
    pub(crate) start: Position,
    /// Where the last token of a collection starts; `start` for a scalar.
    pub(crate) end: Position,
    /// Where the first of the nodes starts that this one, or one below it, is an alias of.
    pub(crate) refers_to: Option<Position>,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Scalar { text: String, is_plain: bool },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

/// A place in a text.
///
/// The parser has a number for it as well, which is wrong behind a block scalar: that counts bytes there and characters
/// elsewhere. Line and column are right where a token starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// Counted from 1.
    pub(crate) line: usize,
    /// In characters, counted from 0.
    pub(crate) column: usize,
}

/// A text that is not YAML, or more of it than we take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub(crate) struct SyntaxError {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) problem: String,
}

/// The documents of a text; an empty one has a plain, empty scalar for its root.
pub(crate) fn parse(text: &str, limits: Limits) -> Result<Vec<Node>, SyntaxError> {
    read(text, limits).map(|(documents, _)| documents)
}

/// As [`parse`], with the lines that the positions are of.
pub(crate) fn read(text: &str, limits: Limits) -> Result<(Vec<Node>, Lines<'_>), SyntaxError> {
    refuse_length(text, limits)?;
    let lines = Lines::new(text);
    let error = match documents(&lines, limits) {
        Ok(documents) => return Ok((documents, lines)),
        Err(error) => error,
    };
    let lines = Lines::quoted(text).ok_or_else(|| error.clone())?;
    let documents = documents(&lines, limits).map_err(|_| error)?;
    Ok((documents, lines))
}

fn refuse_length(text: &str, limits: Limits) -> Result<(), SyntaxError> {
    if text.len() > limits.bytes {
        let problem = format!("the text has {} bytes, at most {} are read", text.len(), limits.bytes);
        return Err(SyntaxError {
            line: 1,
            column: 1,
            problem,
        });
    }
    Ok(())
}

/// Reads all documents of a text.
fn documents(lines: &Lines<'_>, limits: Limits) -> Result<Vec<Node>, SyntaxError> {
    let text = lines.text();
    refuse_unprintable(text)?;
    let mut parser = Parser::new_from_str(text).keep_tags(true);
    let mut builder = Builder::new(limits, Restored::new(lines));
    loop {
        let (event, mark) = parser.next_token().map_err(|error| with_hint(error.into(), text))?;
        if event == Event::StreamEnd {
            builder.restored.finish()?;
            return Ok(builder.documents);
        }
        builder.accept(event, mark)?;
    }
}

/// Says that a value has to be quoted, if the line of the fault has one that cannot stand without: `cron: * * * * * ?`.
fn with_hint(mut error: SyntaxError, text: &str) -> SyntaxError {
    let line = text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default();
    let value = line
        .split_once(": ")
        .or_else(|| line.split_once("- "))
        .map_or("", |(_, value)| value.trim());
    if value.starts_with(['*', '@', '`', '%']) {
        let first = &value[..1];
        let quoted = format!("\"{}\"", value.replace('"', "\\\""));
        error.problem = format!(
            "a value that begins with `{first}` has to stand in quotes: `{quoted}` ({})",
            error.problem
        );
    }
    error
}

/// YAML knows no control characters but in escapes, and the parser takes a NUL for the end of the text.
fn refuse_unprintable(text: &str) -> Result<(), SyntaxError> {
    for (index, line) in text.split('\n').enumerate() {
        let found = line.chars().enumerate().find(|(_, c)| !is_printable(*c));
        if let Some((column, c)) = found {
            let problem = format!("the character {c:?} must be written as an escape, in double quotes");
            return Err(SyntaxError {
                line: index + 1,
                column: column + 1,
                problem,
            });
        }
    }
    Ok(())
}

fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..) && !matches!(c, '\u{fffe}' | '\u{ffff}')
}

impl Node {
    /// The entries of a mapping, none for any other node.
    pub(crate) fn entries(&self) -> &[(Node, Node)] {
        match &self.content {
            Content::Mapping(entries) => entries,
            Content::Scalar { .. } | Content::Sequence(_) => &[],
        }
    }

    /// The text of a scalar.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            Content::Sequence(_) | Content::Mapping(_) => None,
        }
    }

    /// Whether this says the same as another node, wherever and in whichever notation either stands.
    pub(crate) fn says_the_same_as(&self, other: &Self) -> bool {
        if self.tag != other.tag {
            return false;
        }
        match (&self.content, &other.content) {
            (Content::Scalar { text, .. }, Content::Scalar { text: others, .. }) => match (self.kind(), other.kind()) {
                (Type::Null, Type::Null) => true,
                (kind, others_kind) => kind == others_kind && text == others,
            },
            (Content::Sequence(items), Content::Sequence(others)) => {
                items.len() == others.len()
                    && items
                        .iter()
                        .zip(others)
                        .all(|(item, other)| item.says_the_same_as(other))
            }
            (Content::Mapping(entries), Content::Mapping(others)) => {
                let is_same = |((key, value), (others_key, others_value)): (&(Self, Self), &(Self, Self))| {
                    key.says_the_same_as(others_key) && value.says_the_same_as(others_value)
                };
                entries.len() == others.len() && entries.iter().zip(others).all(is_same)
            }
            _ => false,
        }
    }

    /// What a scalar means in YAML 1.1; a collection is no special text either.
    pub(crate) fn kind(&self) -> Type {
        match &self.content {
            Content::Scalar { text, .. } if self.is_plain() => resolve(text),
            _ => Type::Text,
        }
    }

    /// Whether this is a scalar without quotes, whose text may stand for something else.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.content, Content::Scalar { is_plain: true, .. }) && self.tag.is_empty()
    }
}

/// Puts a tree together from the parser's events, without recursion.
struct Builder<'a> {
    limits: Limits,
    restored: Restored<'a>,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    /// What aliases repeat.
    repeated: Weight,
}

/// A collection that has not ended.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value, in a mapping.
    key: Option<Node>,
    /// The largest height of the nodes in it.
    height: usize,
}

/// A node that aliases can repeat, and what each of them costs.
struct Anchored {
    node: Node,
    weight: Weight,
    height: usize,
}

/// What a node and all below it hold.
#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
}

impl<'a> Builder<'a> {
    fn new(limits: Limits, restored: Restored<'a>) -> Self {
        Self {
            limits,
            restored,
            documents: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            repeated: Weight::default(),
        }
    }

    /// Takes the next event of the parser.
    fn accept(&mut self, event: Event, mark: Marker) -> Result<(), SyntaxError> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart => {
                self.anchors.clear();
                if self.documents.len() == MOST_DOCUMENTS {
                    Err(refused(mark, &format!("more than {MOST_DOCUMENTS} documents")))
                } else {
                    Ok(())
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == TScalarStyle::Plain;
                let text = self.restored.scalar(text, style, position(mark))?;
                let node = node(Content::Scalar { text, is_plain }, mark, tag);
                self.finish(node, 1, anchor, mark)
            }
            Event::SequenceStart(anchor, tag) => self.enter(Content::Sequence(Vec::new()), anchor, mark, tag),
            Event::MappingStart(anchor, tag) => self.enter(Content::Mapping(Vec::new()), anchor, mark, tag),
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop().expect("the parser ends only what it has started");
                let mut node = open.node;
                node.end = position(mark);
                self.finish(node, open.height + 1, open.anchor, mark)
            }
            Event::Alias(anchor) => self.repeat(anchor, mark),
        }
    }

    /// Begins a collection.
    fn enter(&mut self, content: Content, anchor: usize, mark: Marker, tag: Option<Tag>) -> Result<(), SyntaxError> {
        self.refuse_depth(1, mark)?;
        self.open.push(Open {
            node: node(content, mark, tag),
            anchor,
            key: None,
            height: 0,
        });
        Ok(())
    }

    /// Puts what an alias stands for in its place, if that is not too much.
    fn repeat(&mut self, anchor: usize, mark: Marker) -> Result<(), SyntaxError> {
        let Some(target) = self.anchors.get(&anchor) else {
            return Err(refused(
                mark,
                "an alias names an anchor that does not exist or contains the alias",
            ));
        };
        let (weight, height) = (target.weight, target.height);
        self.repeated.bytes += weight.bytes;
        self.repeated.nodes += weight.nodes;
        let Limits {
            bytes, repeated_nodes, ..
        } = self.limits;
        if self.repeated.bytes > bytes {
            return Err(refused(mark, &format!("aliases repeat more than {bytes} bytes")));
        }
        if self.repeated.nodes > repeated_nodes {
            return Err(refused(
                mark,
                &format!("aliases repeat more than {repeated_nodes} nodes"),
            ));
        }
        self.count(weight.nodes, mark)?;
        self.refuse_depth(height, mark)?;
        let mut node = self.anchors[&anchor].node.clone();
        node.refers_to = Some(earlier(node.refers_to, node.start));
        node.start = position(mark);
        self.place(node, height);
        Ok(())
    }

    /// Takes a node whose parts are all there.
    fn finish(&mut self, node: Node, height: usize, anchor: usize, mark: Marker) -> Result<(), SyntaxError> {
        self.count(1, mark)?;
        if anchor != 0 {
            let weight = weight(&node);
            // Each level of nested anchors holds all below it once more.
            self.repeated.bytes += weight.bytes;
            self.count(weight.nodes, mark)?;
            let node = node.clone();
            self.anchors.insert(anchor, Anchored { node, weight, height });
        }
        self.place(node, height);
        Ok(())
    }

    /// Counts nodes, up to the limit.
    fn count(&mut self, nodes: usize, mark: Marker) -> Result<(), SyntaxError> {
        self.nodes += nodes;
        if self.nodes > self.limits.nodes {
            return Err(refused(mark, &format!("more than {} nodes", self.limits.nodes)));
        }
        Ok(())
    }

    /// Refuses a node of this height if it would be nested too deep here.
    fn refuse_depth(&self, height: usize, mark: Marker) -> Result<(), SyntaxError> {
        if self.open.len() + height > DEEPEST {
            return Err(refused(mark, &format!("nested deeper than {DEEPEST} levels")));
        }
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node, height: usize) {
        let Some(parent) = self.open.last_mut() else {
            self.documents.push(node);
            return;
        };
        parent.height = parent.height.max(height);
        if let Some(target) = node.refers_to {
            parent.node.refers_to = Some(earlier(parent.node.refers_to, target));
        }
        match (&mut parent.node.content, parent.key.take()) {
            (Content::Sequence(items), _) => items.push(node),
            (Content::Mapping(entries), Some(key)) => entries.push((key, node)),
            (Content::Mapping(_), None) => parent.key = Some(node),
            (Content::Scalar { .. }, _) => unreachable!("only collections are opened"),
        }
    }
}

fn node(content: Content, mark: Marker, tag: Option<Tag>) -> Node {
    let tag = tag.map_or_else(String::new, |tag| match tag.handle.as_str() {
        "tag:yaml.org,2002:" => format!("!!{}", tag.suffix),
        handle => format!("{handle}{}", tag.suffix),
    });
    Node {
        content,
        tag,
        start: position(mark),
        end: position(mark),
        refers_to: None,
    }
}

fn position(mark: Marker) -> Position {
    Position {
        line: mark.line(),
        column: mark.col(),
    }
}

fn earlier(known: Option<Position>, position: Position) -> Position {
    known.map_or(position, |known| known.min(position))
}

/// Returns what a node and all below it hold.
fn weight(node: &Node) -> Weight {
    let own = Weight {
        nodes: 1,
        bytes: node.tag.len() + node.scalar().map_or(0, str::len),
    };
    let add = |sum: Weight, part: &Node| {
        let part = weight(part);
        Weight {
            nodes: sum.nodes + part.nodes,
            bytes: sum.bytes + part.bytes,
        }
    };
    match &node.content {
        Content::Scalar { .. } => own,
        Content::Sequence(items) => items.iter().fold(own, add),
        Content::Mapping(entries) => entries.iter().fold(own, |sum, (key, value)| add(add(sum, key), value)),
    }
}

fn refused(mark: Marker, problem: &str) -> SyntaxError {
    SyntaxError {
        line: mark.line(),
        column: mark.col() + 1,
        problem: problem.to_owned(),
    }
}

impl From<ScanError> for SyntaxError {
    fn from(error: ScanError) -> Self {
        refused(*error.marker(), error.info())
    }
}
