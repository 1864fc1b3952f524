//! Seeing every shape of a service, for tests over all of them.

use std::fmt;

use crate::value::Value;

/// Sees every shape that an operation takes or gives.
pub trait ShapeVisitor {
    fn input<T: Value + fmt::Debug + PartialEq>(&mut self, operation: &'static str);
    fn output<T: Value + fmt::Debug + PartialEq>(&mut self, operation: &'static str);
}
