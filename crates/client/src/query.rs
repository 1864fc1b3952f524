//! Calls in AWS's query protocol: a form goes out, XML comes back as a tree of elements.
//!
//! For services whose shapes nobody needs as types: IAM and STS, as people manage identities.

use bytes::Bytes;

use crate::client::Client;
use crate::error::Error;

/// Deepest nesting of an answer that is read.
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
    /// What is wrong with it. Only what AWS's answers are made of is known: elements, attributes
    /// (which are passed over), text, the five entities and numbered ones.
    pub fn parse(text: &str) -> Result<Element, &'static str> {
        let mut open: Vec<Element> = vec![Element::default()];
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            let top = open.last_mut().expect("the root stays");
            top.text.push_str(&unescaped(&rest[..at])?);
            rest = &rest[at + 1..];
            let end = rest.find('>').ok_or("an element that does not end")?;
            let (tag, after) = (&rest[..end], &rest[end + 1..]);
            rest = after;
            if tag.starts_with(['?', '!']) {
                continue;
            }
            if let Some(name) = tag.strip_prefix('/') {
                let done = open.pop().expect("the root stays");
                if done.name != name.trim() {
                    return Err("elements that do not nest");
                }
                open.last_mut().ok_or("an end without a beginning")?.children.push(done);
                continue;
            }
            let (tag, is_empty) = match tag.strip_suffix('/') {
                Some(tag) => (tag, true),
                None => (tag, false),
            };
            let name = tag.split_ascii_whitespace().next().ok_or("an element without a name")?;
            let element = Element { name: name.to_owned(), ..Element::default() };
            match is_empty {
                true => top.children.push(element),
                false => open.push(element),
            }
            if open.len() > DEPTH_MAX {
                return Err("elements too deep");
            }
        }
        let mut root = open.pop().expect("the root stays");
        match (open.is_empty(), root.children.len()) {
            (true, 1) => Ok(root.children.remove(0)),
            _ => Err("not one whole element"),
        }
    }
}

impl Client {
    /// Calls an operation of a service that speaks the query protocol, and returns its result
    /// element. Repeats as [`Client::send`] does.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn query(
        &self,
        version: &str,
        operation: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Element, Error> {
        let mut form = format!("Action={operation}&Version={version}");
        for (name, value) in parameters {
            form.push('&');
            encode(&mut form, name);
            form.push('=');
            encode(&mut form, value);
        }
        let request = http::Request::post("/")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("user-agent", crate::client::USER_AGENT)
            .body(Bytes::from(form))
            .expect("constants are header values");
        let answer = self.exchange(&request).await?;
        let text = std::str::from_utf8(answer.body())
            .map_err(|_| Error::Decode(format!("{operation}: not UTF-8")))?;
        let root = Element::parse(text).map_err(|e| Error::Decode(format!("{operation}: {e}")))?;
        let result = root.child(&format!("{operation}Result")).cloned();
        Ok(result.unwrap_or_default())
    }
}

/// The code and sentence of an error, if `body` is one.
pub(crate) fn error_of(body: &Bytes) -> Option<(String, String)> {
    let root = Element::parse(std::str::from_utf8(body).ok()?).ok()?;
    let error = root.child("Error")?;
    Some((error.text_of("Code").to_owned(), error.text_of("Message").to_owned()))
}

fn encode(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

fn unescaped(text: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let end = rest[at..].find(';').ok_or("an entity that does not end")? + at;
        let entity = &rest[at + 1..end];
        out.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let digits = entity.strip_prefix('#').ok_or("an unknown entity")?;
                let code = match digits.strip_prefix('x') {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => digits.parse(),
                };
                let code = code.map_err(|_| "an unknown entity")?;
                char::from_u32(code).ok_or("an unknown entity")?
            }
        });
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
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
        assert!(Element::parse(&"<a>".repeat(100)).is_err());
    }

    #[test]
    fn parameters_are_encoded() {
        let mut out = String::new();
        encode(&mut out, "a b&ä=/");
        assert_eq!(out, "a%20b%26%C3%A4%3D%2F");
    }
}
