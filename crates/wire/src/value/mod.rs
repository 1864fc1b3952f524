//! What every type that travels can do: be written, be read, be checked, be shown.

mod validator;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::coding::{DecodeError, Decoder, Encoder};
use crate::constraint::{Check, MemberInfo};
use crate::text::Text;
use crate::time::Time;

pub use validator::{
    SHOWN_BYTES_MAX, Shown, VIOLATIONS_MAX, Validator, constraint_enum, constraints_listed,
};

/// A type that travels: scalars, lists, maps, enums and structures.
pub trait Value: Sized {
    /// Scalars in a list are checked at the list's own path.
    const SCALAR: bool = true;
    /// Whether a sentence about this value repeats it; blobs are not repeated.
    const SHOWN: bool = true;
    /// The known values of an enum.
    const VALUES: Option<&'static [&'static str]> = None;
    /// How many members a structure has.
    const MEMBER_COUNT: usize = 0;

    fn encode(&self, e: &mut dyn Encoder);

    /// # Errors
    /// [`DecodeError`] when what comes next is of another type.
    fn decode(d: &mut dyn Decoder) -> Result<Self, DecodeError>;

    /// Reports each violated constraint to `v`.
    fn validate(&self, v: &mut Validator<'_>, checks: &'static [Check]);

    /// The text of this value in a sentence about it.
    fn show(&self, out: &mut Shown);
}

/// A structure: its members can also be written into one that is already open.
pub trait Structure: Value {
    const NAME: &'static str;
    const MEMBERS: &'static [MemberInfo];

    /// How many members are present.
    fn present(&self) -> usize;
    fn encode_members(&self, e: &mut dyn Encoder);
}

/// A member of a structure: a plain value is required, an `Option` is not.
pub trait Member: Sized {
    const REQUIRED: bool;
    fn is_present(&self) -> bool;
    fn encode_member(&self, name: &'static str, e: &mut dyn Encoder);
    /// # Errors
    /// As [`Value::decode`].
    fn decode_member(d: &mut dyn Decoder) -> Result<Self, DecodeError>;
    fn validate_member(&self, info: &'static MemberInfo, v: &mut Validator<'_>);
}

impl<T: Value> Member for T {
    const REQUIRED: bool = true;

    fn is_present(&self) -> bool {
        true
    }

    fn encode_member(&self, name: &'static str, e: &mut dyn Encoder) {
        e.member(name);
        self.encode(e);
    }

    fn decode_member(d: &mut dyn Decoder) -> Result<Self, DecodeError> {
        T::decode(d)
    }

    fn validate_member(&self, info: &'static MemberInfo, v: &mut Validator<'_>) {
        v.in_member(info.name, |v| {
            if !v.reports_missing() {
                self.validate(v, info.checks);
            }
        });
    }
}

impl<T: Value> Member for Option<T> {
    const REQUIRED: bool = false;

    fn is_present(&self) -> bool {
        self.is_some()
    }

    fn encode_member(&self, name: &'static str, e: &mut dyn Encoder) {
        if let Some(value) = self {
            value.encode_member(name, e);
        }
    }

    fn decode_member(d: &mut dyn Decoder) -> Result<Self, DecodeError> {
        T::decode(d).map(Some)
    }

    fn validate_member(&self, info: &'static MemberInfo, v: &mut Validator<'_>) {
        if let Some(value) = self {
            v.in_member(info.name, |v| value.validate(v, info.checks));
        }
    }
}

impl Value for String {
    fn encode(&self, e: &mut dyn Encoder) {
        e.string(self);
    }

    fn decode(d: &mut dyn Decoder) -> Result<Self, DecodeError> {
        d.string()
    }

    fn validate(&self, v: &mut Validator<'_>, checks: &'static [Check]) {
        v.check_text(self, self, checks);
    }

    fn show(&self, out: &mut Shown) {
        out.push(self);
    }
}

impl Value for Text {
    fn encode(&self, e: &mut dyn Encoder) {
        e.string(self);
    }

    fn decode(d: &mut dyn Decoder) -> Result<Self, DecodeError> {
        d.shared_text()
    }

    fn validate(&self, v: &mut Validator<'_>, checks: &'static [Check]) {
        v.check_text(self, self, checks);
    }

    fn show(&self, out: &mut Shown) {
        out.push(self);
    }
}

impl Value for Bytes {
    const SHOWN: bool = false;

    fn encode(&self, e: &mut dyn Encoder) {
        e.blob(self);
    }

    fn decode(d: &mut dyn Decoder) -> Result<Self, DecodeError> {
        d.blob()
    }

    fn validate(&self, v: &mut Validator<'_>, checks: &'static [Check]) {
        v.check_size(self, self.len(), checks);
    }

    fn show(&self, out: &mut Shown) {
        out.push(&format!("java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]", self.len()));
    }
}

macro_rules! number {
    ($($type:ty: $encode:ident as $wire:ty, $decode:ident;)+) => { $(
        impl Value for $type {
            fn encode(&self, e: &mut dyn Encoder) {
                e.$encode(<$wire>::from(*self));
            }

            fn decode(d: &mut dyn Decoder) -> Result<Self, DecodeError> {
                d.$decode()
            }

            fn validate(&self, v: &mut Validator<'_>, checks: &'static [Check]) {
                v.check_number(self, *self as f64, checks);
            }

            fn show(&self, out: &mut Shown) {
                out.push(&self.to_string());
            }
        }
    )+ };
}

number! {
    i32: long as i64, integer;
    i64: long as i64, long;
    f64: double as f64, double;
}

macro_rules! plain {
    ($($type:ty: $method:ident;)+) => { $(
        impl Value for $type {
            fn encode(&self, e: &mut dyn Encoder) {
                e.$method(*self);
            }

            fn decode(d: &mut dyn Decoder) -> Result<Self, DecodeError> {
                d.$method()
            }

            fn validate(&self, _: &mut Validator<'_>, _: &'static [Check]) {}

            fn show(&self, out: &mut Shown) {
                out.push(&self.to_string());
            }
        }
    )+ };
}

plain! {
    bool: boolean;
    Time: time;
}

impl<T: Value> Value for Vec<T> {
    const SCALAR: bool = false;

    fn encode(&self, e: &mut dyn Encoder) {
        e.list(self.len());
        for item in self {
            e.item();
            item.encode(e);
        }
        e.list_end();
    }

    fn decode(d: &mut dyn Decoder) -> Result<Self, DecodeError> {
        let mut items = Vec::new();
        d.list()?;
        while d.item()? {
            items.push(T::decode(d)?);
        }
        Ok(items)
    }

    fn validate(&self, v: &mut Validator<'_>, checks: &'static [Check]) {
        v.check_size(self, self.len(), checks);
        let inner = inner_checks(checks, |c| if let Check::Items(i) = c { Some(*i) } else { None });
        if !T::SCALAR {
            for (i, item) in self.iter().enumerate() {
                if v.is_full() {
                    break;
                }
                v.in_item(i, |v| item.validate(v, inner));
            }
        } else if self.iter().any(|item| v.violates(item, inner)) {
            let listed = constraints_listed(inner, T::VALUES);
            v.violated(self, &format!("Member must satisfy constraint: {listed}"));
        }
    }

    fn show(&self, out: &mut Shown) {
        out.list(self);
    }
}

impl<T: Value> Value for BTreeMap<String, T> {
    const SCALAR: bool = false;

    fn encode(&self, e: &mut dyn Encoder) {
        e.map(self.len());
        for (key, value) in self {
            e.key(key);
            value.encode(e);
        }
        e.map_end();
    }

    fn decode(d: &mut dyn Decoder) -> Result<Self, DecodeError> {
        let mut entries = BTreeMap::new();
        d.map()?;
        while let Some(key) = d.key()? {
            entries.insert(key, T::decode(d)?);
        }
        Ok(entries)
    }

    fn validate(&self, v: &mut Validator<'_>, checks: &'static [Check]) {
        v.check_size(self, self.len(), checks);
        let keys = inner_checks(checks, |c| if let Check::Keys(k) = c { Some(*k) } else { None });
        if self.keys().any(|key| v.violates(key, keys)) {
            let listed = constraints_listed(keys, None);
            v.violated(self, &format!("Map keys must satisfy constraint: {listed}"));
        }
        let inner =
            inner_checks(checks, |c| if let Check::Values(i) = c { Some(*i) } else { None });
        if !T::SCALAR {
            for (key, value) in self {
                if v.is_full() {
                    break;
                }
                v.in_key(key, |v| value.validate(v, inner));
            }
        } else if self.values().any(|value| v.violates(value, inner)) {
            let listed = constraints_listed(inner, T::VALUES);
            v.violated(self, &format!("Map value must satisfy constraint: {listed}"));
        }
    }

    fn show(&self, out: &mut Shown) {
        out.map(self.iter());
    }
}

fn inner_checks(
    checks: &'static [Check],
    pick: impl Fn(&'static Check) -> Option<&'static [Check]>,
) -> &'static [Check] {
    checks.iter().find_map(pick).unwrap_or_default()
}

/// Structures that contain themselves do so through a box.
impl<T: Value> Value for Box<T> {
    const SCALAR: bool = T::SCALAR;
    const SHOWN: bool = T::SHOWN;
    const VALUES: Option<&'static [&'static str]> = T::VALUES;

    fn encode(&self, e: &mut dyn Encoder) {
        (**self).encode(e);
    }

    fn decode(d: &mut dyn Decoder) -> Result<Self, DecodeError> {
        T::decode(d).map(Box::new)
    }

    fn validate(&self, v: &mut Validator<'_>, checks: &'static [Check]) {
        (**self).validate(v, checks);
    }

    fn show(&self, out: &mut Shown) {
        (**self).show(out);
    }
}
