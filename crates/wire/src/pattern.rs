//! The models' patterns: a small matcher for the part of Java's regular expressions they use.
//!
//! Whole-text matching only. Each pattern is compiled once per process. Matching takes time linear in
//! the text's length for a given pattern: a state is tried at most once per position, so that no
//! pattern and no text can make it run away.
//!
//! Of Unicode's classes, `\p{L}` and `\p{N}` are Rust's alphabetic and numeric characters, and
//! `\p{M}`, `\p{P}`, `\p{S}` anything else that is neither white space nor control.

mod compile;
mod run;
#[cfg(feature = "test-support")]
mod sample;

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

pub use compile::PatternError;
use compile::Program;
#[cfg(feature = "test-support")]
pub use sample::{Random, sample};

/// Whether the whole of `text` matches the Java regular expression `java`.
///
/// A pattern that we cannot compile matches everything; a test over all models proves that there is
/// none.
pub fn matches(java: &'static str, text: &str) -> bool {
    program(java).is_none_or(|program| run::matches(&program, text))
}

/// Whether `java` can be compiled.
///
/// # Errors
/// [`PatternError`] with the place.
pub fn check(java: &str) -> Result<(), PatternError> {
    compile::compile(java).map(drop)
}

type Cache = HashMap<&'static str, Option<Arc<Program>>>;

/// Bounded by the number of distinct patterns in the models, which are constants.
static CACHE: RwLock<Option<Cache>> = RwLock::new(None);

fn program(java: &'static str) -> Option<Arc<Program>> {
    let cache = CACHE.read().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(known) = cache.as_ref().and_then(|cache| cache.get(java)) {
        return known.clone();
    }
    drop(cache);
    let program = compile::compile(java).ok().map(Arc::new);
    let mut cache = CACHE.write().unwrap_or_else(|poisoned| poisoned.into_inner());
    cache.get_or_insert_default().insert(java, program.clone());
    program
}
