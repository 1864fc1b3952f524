//! Hash maps whose order depends on nothing but what was done to them, so that a simulated run can be
//! repeated. The keys are numbers that this store gives, not a stranger's bytes.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher};

pub(crate) type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;
pub(crate) type Set<K> = HashSet<K, BuildHasherDefault<DefaultHasher>>;
