//! Reads YAML into a tree that remembers where each node stood.
//!
//! The typed YAML crates lose what is needed here: the line of a wrong value, whether a scalar was quoted, and the raw
//! text of a part that is to be kept. Scalars stay text; [`super::resolve`] or the reader of a key gives them a type.

use std::borrow::Cow;
use std::collections::HashMap;

use yaml_rust2::parser::{Event, Parser, Tag};
use yaml_rust2::scanner::{Marker, ScanError, TScalarStyle};

/// Deeper nesting is refused: nobody writes it, and readers recurse.
const DEEPEST: usize = 64;

/// More nodes are refused: aliases of aliases can multiply without end.
const MOST_NODES: usize = 100_000;

/// A node and where it starts.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) content: Content,
    /// The tag as in `!!binary`, empty if there is none.
    pub(crate) tag: String,
    pub(crate) span: Span,
    /// Where the first of the nodes starts that this one, or one below it, is an alias of.
    pub(crate) refers_to: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Scalar { text: String, is_plain: bool },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

/// Where a node's first token starts and, for a collection, its last: in characters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
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
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, SyntaxError> {
    refuse_unprintable(text)?;
    let mut parser = Parser::new_from_str(text).keep_tags(true);
    let mut builder = Builder::default();
    loop {
        let (event, mark) = parser.next_token()?;
        if event == Event::StreamEnd {
            return Ok(builder.documents);
        }
        builder.accept(event, mark)?;
    }
}

/// The text with each of its line breaks as a line feed, which says the same in YAML: so lines are what all agree they are.
pub(crate) fn with_line_feeds(text: &str) -> Cow<'_, str> {
    match text.contains('\r') {
        true => Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
        false => Cow::Borrowed(text),
    }
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

    /// Whether this is a scalar without quotes, whose text may stand for something else.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.content, Content::Scalar { is_plain: true, .. }) && self.tag.is_empty()
    }
}

/// Puts a tree together from the parser's events, without recursion.
#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

/// A collection that has not ended.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value, in a mapping.
    key: Option<Node>,
}

impl Builder {
    fn accept(&mut self, event: Event, mark: Marker) -> Result<(), SyntaxError> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart => {
                self.anchors.clear();
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == TScalarStyle::Plain;
                let node = node(Content::Scalar { text, is_plain }, mark, tag);
                self.place(node, anchor, mark)
            }
            Event::SequenceStart(anchor, tag) => self.enter(Content::Sequence(Vec::new()), anchor, mark, tag),
            Event::MappingStart(anchor, tag) => self.enter(Content::Mapping(Vec::new()), anchor, mark, tag),
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.open.pop().expect("the parser ends only what it has started");
                let mut node = open.node;
                node.span.end = mark.index();
                self.place(node, open.anchor, mark)
            }
            Event::Alias(anchor) => {
                let Some((target, size)) = self.anchors.get(&anchor) else {
                    return Err(refused(
                        mark,
                        "an alias names an anchor that does not exist or contains the alias",
                    ));
                };
                let mut node = target.clone();
                node.refers_to = Some(earlier(node.refers_to, node.span.start));
                node.line = mark.line();
                self.nodes += size;
                self.place(node, 0, mark)
            }
        }
    }

    fn enter(&mut self, content: Content, anchor: usize, mark: Marker, tag: Option<Tag>) -> Result<(), SyntaxError> {
        if self.open.len() >= DEEPEST {
            return Err(refused(mark, &format!("nested deeper than {DEEPEST} levels")));
        }
        self.open.push(Open {
            node: node(content, mark, tag),
            anchor,
            key: None,
        });
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node, anchor: usize, mark: Marker) -> Result<(), SyntaxError> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(refused(mark, &format!("more than {MOST_NODES} nodes")));
        }
        if anchor != 0 {
            let size = size(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(parent) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        if let Some(target) = node.refers_to {
            parent.node.refers_to = Some(earlier(parent.node.refers_to, target));
        }
        match (&mut parent.node.content, parent.key.take()) {
            (Content::Sequence(items), _) => items.push(node),
            (Content::Mapping(entries), Some(key)) => entries.push((key, node)),
            (Content::Mapping(_), None) => parent.key = Some(node),
            (Content::Scalar { .. }, _) => unreachable!("only collections are opened"),
        }
        Ok(())
    }
}

fn node(content: Content, mark: Marker, tag: Option<Tag>) -> Node {
    let tag = tag.map_or_else(String::new, |tag| match tag.handle.as_str() {
        "tag:yaml.org,2002:" => format!("!!{}", tag.suffix),
        handle => format!("{handle}{}", tag.suffix),
    });
    let span = Span {
        start: mark.index(),
        end: mark.index(),
    };
    Node {
        line: mark.line(),
        content,
        tag,
        span,
        refers_to: None,
    }
}

fn earlier(known: Option<usize>, position: usize) -> usize {
    known.map_or(position, |known| known.min(position))
}

fn size(node: &Node) -> usize {
    1 + match &node.content {
        Content::Scalar { .. } => 0,
        Content::Sequence(items) => items.iter().map(size).sum(),
        Content::Mapping(entries) => entries.iter().map(|(key, value)| size(key) + size(value)).sum(),
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
