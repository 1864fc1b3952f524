//! Answers in XML, as trees of elements.

use bytes::Bytes;

/// Most elements of an answer that are read.
const ELEMENTS_MAX: u32 = 1_000_000;
/// Deepest nesting that is read.
const DEPTH_MAX: usize = 64;

/// An element of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    /// Its own text, without that of its children.
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// The first child of this name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of a child; empty if it is not there.
    pub fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| &child.text)
    }

    /// The members of a list.
    pub fn list(&self, name: &str) -> &[Element] {
        self.child(name).map_or(&[], |list| &list.children)
    }

    /// Reads a document.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Element, String> {
        let bounds = roxmltree::ParsingOptions { nodes_limit: ELEMENTS_MAX, ..Default::default() };
        let document = roxmltree::Document::parse_with_options(text, bounds);
        let document = document.map_err(|error| error.to_string())?;
        Element::of(document.root_element(), 0)
    }

    fn of(node: roxmltree::Node<'_, '_>, depth: usize) -> Result<Element, String> {
        if depth > DEPTH_MAX {
            return Err(format!("elements nest deeper than {DEPTH_MAX}"));
        }
        let text = node.children().filter(|child| child.is_text()).filter_map(|child| child.text());
        let children = node.children().filter(roxmltree::Node::is_element);
        Ok(Element {
            name: node.tag_name().name().to_owned(),
            text: text.collect(),
            children: children
                .map(|child| Element::of(child, depth + 1))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// The code and sentence of an error, if `body` is one.
pub(crate) fn error_of(body: &Bytes) -> Option<(String, String)> {
    let root = Element::parse(std::str::from_utf8(body).ok()?).ok()?;
    let error = root.child("Error")?;
    Some((error.text_of("Code").to_owned(), error.text_of("Message").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_trees() {
        let text = "<?xml version=\"1.0\"?><R xmlns=\"x\"><Users><member><Name>a &lt;&#38; b</Name>\
                    </member><member/></Users><Done>true</Done></R>";
        let root = Element::parse(text).unwrap();
        assert_eq!(root.name, "R");
        assert_eq!(root.list("Users").len(), 2);
        assert_eq!(root.list("Users")[0].text_of("Name"), "a <& b");
        assert_eq!((root.text_of("Done"), root.text_of("None")), ("true", ""));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in ["", "a", "<a>", "<a></b>", "</a>", "<a/><b/>", "<a>&x;</a>", "< />", "<a"] {
            assert!(Element::parse(text).is_err(), "{text}");
        }
        let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
        assert!(Element::parse(&deep).is_err());
    }
}
