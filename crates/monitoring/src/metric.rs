//! What is measured: a name in a namespace, dimensions, a unit.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A metric's whole name within an account and region. Ordered by namespace, name, dimensions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Metric {
    pub namespace: Box<str>,
    pub name: Box<str>,
    /// By name.
    dimensions: Vec<(Box<str>, Box<str>)>,
}

impl Metric {
    /// The order of `dimensions` does not matter; of doubled ones the last counts.
    pub fn new<'a>(
        namespace: &str,
        name: &str,
        dimensions: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let by_name: std::collections::BTreeMap<_, _> = dimensions.into_iter().collect();
        let dimensions = by_name.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        Metric { namespace: namespace.into(), name: name.into(), dimensions }
    }

    /// Names and values, by name.
    pub fn dimensions(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.dimensions.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.namespace, self.name)?;
        self.dimensions().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

/// The units that CloudWatch knows, in the order of its model. Written to disk by place: only ever
/// add at the end.
const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// What a metric's values count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Unit(u8);

impl Unit {
    pub const BYTES: Unit = Unit(3);
    pub const MILLISECONDS: Unit = Unit(2);
    pub const COUNT: Unit = Unit(14);
    pub const NONE: Unit = Unit(26);

    /// `None`: no unit has this name.
    pub fn named(name: &str) -> Option<Unit> {
        UNITS.iter().position(|unit| *unit == name).map(|at| Unit(at as u8))
    }

    pub fn as_str(self) -> &'static str {
        UNITS[usize::from(self.0)]
    }
}

impl TryFrom<String> for Unit {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Unit::named(&name).ok_or(name)
    }
}

impl From<Unit> for String {
    fn from(unit: Unit) -> String {
        unit.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_have_no_order() {
        let one = Metric::new("N", "m", [("b", "2"), ("a", "1")]);
        assert_eq!(one, Metric::new("N", "m", [("a", "1"), ("b", "2")]));
        assert_eq!(one.to_string(), "N m a=1 b=2");
    }

    #[test]
    fn units_have_their_names() {
        for (unit, name) in [(Unit::BYTES, "Bytes"), (Unit::COUNT, "Count"), (Unit::NONE, "None")] {
            assert_eq!((unit.as_str(), Unit::named(name)), (name, Some(unit)));
        }
        assert_eq!(Unit::MILLISECONDS.as_str(), "Milliseconds");
        assert_eq!(Unit::named("Parsecs"), None);
    }
}
