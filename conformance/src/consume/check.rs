//! What has been seen, against what was put.
//!
//! A record's data is `<key>/<number>`; the numbers of a key rise in the order of its puts.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Names of missing records in a message.
const NAMED_MAX: usize = 8;

/// Records in the order they were printed, repetitions included.
#[derive(Debug, Default)]
pub struct Seen {
    order: Vec<String>,
    known: HashSet<String>,
}

impl Seen {
    /// Takes a printed line.
    ///
    /// # Errors
    /// It is no JSON or has no text `data`.
    pub fn add(&mut self, line: &str) -> Result<()> {
        let value: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let data = value["data"].as_str().with_context(|| format!("no data in {line}"))?;
        self.order.push(data.to_owned());
        self.known.insert(data.to_owned());
        Ok(())
    }

    /// Records printed so far, repetitions included.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none was printed.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether each of `put` has come.
    pub fn has_all(&self, put: &BTreeSet<String>) -> bool {
        self.known.len() >= put.len() && put.iter().all(|data| self.known.contains(data))
    }

    /// Those of `put` that have not come, in words.
    pub fn missing(&self, put: &BTreeSet<String>) -> String {
        let missing: Vec<&str> =
            put.iter().filter(|data| !self.known.contains(*data)).map(String::as_str).collect();
        let named = missing.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
        format!("{} of {}: {named} …", missing.len(), put.len())
    }

    /// Fails when one of `records` came again after the first `earlier` ones.
    ///
    /// # Errors
    /// Names it.
    pub fn none_again(&self, records: &BTreeSet<String>, earlier: usize) -> Result<()> {
        let again = self.order[earlier..].iter().filter(|data| records.contains(*data)).count();
        ensure!(
            again == 0,
            "{again} records of before the reshard came again after the restart: the checkpoint \
             was lost"
        );
        Ok(())
    }

    /// Fails when a key's records came in another order than they were put; a repetition is none.
    ///
    /// # Errors
    /// Names the two records.
    pub fn in_order(&self) -> Result<()> {
        let mut known = HashSet::new();
        let mut last: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
        for data in self.order.iter().filter(|data| known.insert(*data)) {
            let (key, number) = data.split_once('/').with_context(|| data.clone())?;
            let number: u64 = number.parse().with_context(|| data.clone())?;
            if let Some((before, text)) = last.insert(key, (number, data)) {
                ensure!(before < number, "{data} came after {text}");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(records: &[&str]) -> Seen {
        let mut seen = Seen::default();
        for data in records {
            seen.add(&serde_json::json!({"data": data}).to_string()).unwrap();
        }
        seen
    }

    #[test]
    fn a_repetition_keeps_the_order_and_a_late_first_sight_breaks_it() {
        seen(&["a/0", "b/5", "a/1", "a/0", "a/1", "b/6"]).in_order().unwrap();
        let error = seen(&["a/0", "a/2", "a/1"]).in_order().unwrap_err();
        assert_eq!(error.to_string(), "a/1 came after a/2");
    }

    #[test]
    fn missing_and_repeated_records_are_told() {
        let put = BTreeSet::from(["a/0".to_owned(), "a/1".to_owned()]);
        let all = seen(&["a/0", "a/1", "a/0"]);
        assert!(all.has_all(&put));
        all.none_again(&put, 3).unwrap();
        all.none_again(&put, 2).unwrap_err();
        let some = seen(&["a/0", "a/0"]);
        assert!(!some.has_all(&put));
        assert_eq!(some.missing(&put), "1 of 2: a/1 …");
    }
}
