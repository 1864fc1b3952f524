//! How one section of the configuration is declared, and printed with its own comments.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::units::{ByteSize, Span};

/// A value that can stand after `key =` in a TOML file.
pub trait TomlValue {
    fn toml(&self) -> String;
}

/// Declares a section: the struct, its defaults, reading (unknown keys refused) and printing. The
/// doc comments of the keys are the comments of the printed file. `tables` are sections within it.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        pub struct $name:ident = $section:literal {
            $( $(#[doc = $doc:literal])+ pub $key:ident: $type:ty = $default:expr, )+
        }
        $( tables { $( $(#[doc = $table_doc:literal])+ pub $table:ident: $table_type:ty, )+ } )?
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $key: $type, )+
            $($( $(#[doc = $table_doc])+ pub $table: $table_type, )+)?
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $( $key: $default, )+ $($( $table: Default::default(), )+)? }
            }
        }

        impl $name {
            /// The section as TOML, each key with what it means.
            pub(super) fn print(&self, out: &mut String) {
                $crate::config::section::print_head(out, $section, &[$($about),*]);
                $(
                    $crate::config::section::print_key(
                        out,
                        stringify!($key),
                        &[$($doc),+],
                        &$crate::config::section::TomlValue::toml(&self.$key),
                    );
                )+
                $($( self.$table.print(out); )+)?
            }
        }
    };
}
pub(super) use section;

pub(super) fn print_head(out: &mut String, section: &str, about: &[&str]) {
    if !out.is_empty() {
        out.push('\n');
    }
    for line in about {
        let _ = writeln!(out, "#{line}");
    }
    let _ = writeln!(out, "[{section}]");
}

pub(super) fn print_key(out: &mut String, key: &str, doc: &[&str], value: &str) {
    for line in doc {
        let _ = writeln!(out, "#{line}");
    }
    let _ = writeln!(out, "{key} = {value}");
}

/// `text` as a TOML basic string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

impl TomlValue for String {
    fn toml(&self) -> String {
        quoted(self)
    }
}
impl TomlValue for std::path::PathBuf {
    fn toml(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}
impl TomlValue for bool {
    fn toml(&self) -> String {
        self.to_string()
    }
}
impl TomlValue for u32 {
    fn toml(&self) -> String {
        self.to_string()
    }
}
impl TomlValue for usize {
    fn toml(&self) -> String {
        self.to_string()
    }
}
impl TomlValue for Span {
    fn toml(&self) -> String {
        quoted(&self.to_string())
    }
}
impl TomlValue for ByteSize {
    fn toml(&self) -> String {
        quoted(&self.to_string())
    }
}
impl TomlValue for SocketAddr {
    fn toml(&self) -> String {
        quoted(&self.to_string())
    }
}
impl<T: TomlValue> TomlValue for Vec<T> {
    fn toml(&self) -> String {
        format!("[{}]", self.iter().map(T::toml).collect::<Vec<_>>().join(", "))
    }
}
