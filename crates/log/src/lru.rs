//! A map that forgets what was not used for longest when it weighs too much.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

pub(crate) struct Lru<K, V> {
    weight_max: usize,
    weight: usize,
    tick: u64,
    values: HashMap<K, (V, usize, u64)>,
    by_age: BTreeMap<u64, K>,
}

impl<K: Copy + Eq + Hash, V: Clone> Lru<K, V> {
    pub(crate) fn new(weight_max: usize) -> Self {
        Lru { weight_max, weight: 0, tick: 0, values: HashMap::new(), by_age: BTreeMap::new() }
    }

    pub(crate) fn get(&mut self, key: K) -> Option<V> {
        let (value, _, age) = self.values.get_mut(&key)?;
        self.by_age.remove(age);
        self.tick += 1;
        *age = self.tick;
        self.by_age.insert(self.tick, key);
        Some(value.clone())
    }

    pub(crate) fn insert(&mut self, key: K, value: V, weight: usize) {
        self.remove(key);
        self.tick += 1;
        self.weight += weight;
        self.values.insert(key, (value, weight, self.tick));
        self.by_age.insert(self.tick, key);
        while self.weight > self.weight_max
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            if let Some((_, weight, _)) = self.values.remove(&oldest) {
                self.weight -= weight;
            }
        }
    }

    pub(crate) fn remove(&mut self, key: K) {
        if let Some((_, weight, age)) = self.values.remove(&key) {
            self.weight -= weight;
            self.by_age.remove(&age);
        }
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        let gone: Vec<K> = self.values.keys().filter(|k| !keep(k)).copied().collect();
        for key in gone {
            self.remove(key);
        }
    }

    pub(crate) fn weight(&self) -> usize {
        self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_used_goes_first_and_the_weight_is_bounded() {
        let mut lru = Lru::new(10);
        for k in 0..5 {
            lru.insert(k, k, 2);
        }
        assert_eq!(lru.get(0), Some(0), "used: now the youngest");
        lru.insert(5, 5, 2);
        assert_eq!((lru.get(1), lru.get(0), lru.weight()), (None, Some(0), 10));
        lru.insert(6, 6, 20);
        assert_eq!((lru.get(6), lru.weight()), (None, 0), "too heavy for the whole map");
    }
}
