//! Calls of IAM and STS, and how their answers are shown.

use anyhow::Context;
use millstream_client::{Client, Element, Endpoint};
use serde_json::{Map, Value, json};

use crate::args::{Global, Output};
use crate::{connect, output};

const IAM_VERSION: &str = "2010-05-08";
const STS_VERSION: &str = "2011-06-15";
/// AWS's IAM is one, for all regions.
const AWS_IAM: &str = "https://iam.amazonaws.com";
/// The region that requests to IAM are signed for.
const IAM_REGION: &str = "us-east-1";

/// IAM at the endpoint of the options.
pub(super) struct Iam {
    client: Client,
    pub(super) format: Output,
}

impl Iam {
    pub(super) async fn new(global: &Global) -> anyhow::Result<Iam> {
        let mut global = Global { region: Some(IAM_REGION.to_owned()), ..global.clone() };
        if global.endpoint_url.as_deref() == Some("aws") {
            global.endpoint_url = Some(AWS_IAM.to_owned());
        }
        let client = connect::from(&global, Client::builder().service("iam")).await?;
        Ok(Iam { client, format: global.output })
    }

    pub(super) async fn call(
        &self,
        operation: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<Element> {
        Ok(self.client.query(IAM_VERSION, operation, parameters).await?)
    }

    /// The members of all pages of a list.
    pub(super) async fn list(
        &self,
        operation: &str,
        list: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<Vec<Element>> {
        let mut all = Vec::new();
        let mut marker = String::new();
        loop {
            let mut parameters = parameters.to_vec();
            if !marker.is_empty() {
                parameters.push(("Marker", &marker));
            }
            let page = self.call(operation, &parameters).await?;
            all.extend_from_slice(page.list(list));
            if page.text_of("IsTruncated") != "true" {
                return Ok(all);
            }
            marker = page.text_of("Marker").to_owned();
        }
    }

    /// Shows a list: a table of `columns`, or JSON with all members.
    pub(super) fn show_list<const N: usize>(
        &self,
        name: &str,
        all: &[Element],
        columns: [(&str, &str); N],
    ) {
        if self.format == Output::Json {
            let all: Vec<Value> = all.iter().map(value_of).collect();
            output::print_json(&json!({ name: all }));
            return;
        }
        let mut table = output::table(columns.map(|(head, _)| head));
        for one in all {
            table.add_row(columns.map(|(_, member)| match member {
                "" => one.text.as_str(),
                member => one.text_of(member),
            }));
        }
        output::print_table(&table);
    }

    /// Shows one thing: its members line by line, or JSON.
    pub(super) fn show(&self, name: &str, one: &Element) {
        if self.format == Output::Json {
            output::print_json(&json!({ name: value_of(one) }));
            return;
        }
        for member in &one.children {
            if member.children.is_empty() {
                println!("{:<24} {}", member.name, member.text);
            }
        }
    }

    /// Says in one line that something was done.
    pub(super) fn done(&self, text: &str) {
        match self.format {
            Output::Json => output::print_json(&json!({ "done": text })),
            Output::Text => println!("{text}"),
        }
    }
}

/// # Errors
/// The service's, or no connection.
pub(super) async fn whoami(global: &Global) -> anyhow::Result<()> {
    let region = global.region.clone().unwrap_or_else(|| IAM_REGION.to_owned());
    let mut builder = Client::builder().service("sts");
    let mut global = Global { region: Some(region.clone()), ..global.clone() };
    if global.endpoint_url.as_deref() == Some("aws") {
        builder = builder.endpoint(Endpoint::aws("sts", &region).context("the region")?);
        global.endpoint_url = Some(format!("https://sts.{region}.amazonaws.com"));
    }
    let client = connect::from(&global, builder).await?;
    let me = client.query(STS_VERSION, "GetCallerIdentity", &[]).await?;
    match global.output {
        Output::Json => output::print_json(&value_of(&me)),
        Output::Text => println!("{}", me.text_of("Arn")),
    }
    Ok(())
}

/// Lists are arrays, structures are objects, all else is text.
pub(super) fn value_of(element: &Element) -> Value {
    if element.children.is_empty() {
        return Value::from(element.text.trim());
    }
    if element.children.iter().all(|child| child.name == "member") {
        return element.children.iter().map(value_of).collect();
    }
    let members = element.children.iter().map(|child| (child.name.clone(), value_of(child)));
    Value::Object(members.collect::<Map<String, Value>>())
}

/// A document as IAM's answers have it, decoded.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The ARN of a policy that is named by its ARN, or by its name among those that every account has,
/// or among the account's own.
///
/// # Errors
/// The service's, or no connection.
pub(super) async fn policy_arn(iam: &Iam, name: &str) -> anyhow::Result<String> {
    if name.starts_with("arn:") {
        return Ok(name.to_owned());
    }
    let all = iam.list("ListPolicies", "Policies", &[]).await?;
    let mut named: Vec<&Element> =
        all.iter().filter(|policy| policy.text_of("PolicyName") == name).collect();
    // The account's own first.
    named.sort_by_key(|policy| policy.text_of("Arn").starts_with("arn:aws:iam::aws:"));
    let first = named.first().with_context(|| format!("there is no policy {name}"))?;
    Ok(first.text_of("Arn").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_decoded() {
        assert_eq!(decoded("%7B%22a%22%3A%C3%A4%7D%"), "{\"a\":ä}%");
    }
}
