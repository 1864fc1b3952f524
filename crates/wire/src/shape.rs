//! The macros that a service is declared with; they read like an IDL.

/// Declares a structure. A member without `Option` is required; brackets hold its constraints.
///
/// ```
/// use millstream_wire::prelude::*;
///
/// shape! {
///     pub struct Tag {
///         key: String = "Key" [length(1, 128)],
///         value: Option<String> = "Value" [length(0, 256)],
///     }
/// }
/// ```
#[macro_export]
macro_rules! shape {
    ($(#[$meta:meta])* pub struct $Name:ident {
        $($field:ident : $type:ty = $wire:literal $([$($check:expr),* $(,)?])?),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $Name { $(pub $field: $type),* }

        const _: () = {
            #[allow(unused_imports)]
            use $crate::hidden::build::*;

            #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
            enum __Field { $($field,)* __COUNT }

            impl $crate::hidden::Structure for $Name {
                const NAME: &'static str = stringify!($Name);
                const MEMBERS: &'static [$crate::hidden::MemberInfo] = &[
                    $($crate::hidden::MemberInfo {
                        name: $wire,
                        required: <$type as $crate::hidden::Member>::REQUIRED,
                        checks: &[$($($check),*)?],
                    }),*
                ];

                fn present(&self) -> usize {
                    0 $(+ usize::from($crate::hidden::Member::is_present(&self.$field)))*
                }

                fn encode_members(&self, _e: &mut dyn $crate::hidden::Encoder) {
                    $($crate::hidden::Member::encode_member(&self.$field, $wire, _e);)*
                }
            }

            impl $crate::hidden::Value for $Name {
                const SCALAR: bool = false;
                const MEMBER_COUNT: usize = __Field::__COUNT as usize;

                fn encode(&self, e: &mut dyn $crate::hidden::Encoder) {
                    e.structure($crate::hidden::Structure::present(self));
                    $crate::hidden::Structure::encode_members(self, e);
                    e.structure_end();
                }

                #[allow(unused_mut, unused_variables, clippy::never_loop)]
                fn decode(d: &mut dyn $crate::hidden::Decoder) -> Result<Self, $crate::hidden::DecodeError> {
                    const { assert!((__Field::__COUNT as usize) <= 128, "one bit per member") };
                    let mut value = Self::default();
                    let mut seen = 0_u128;
                    d.structure()?;
                    while let Some(index) = d.member(<Self as $crate::hidden::Structure>::MEMBERS)? {
                        seen |= 1 << index;
                        $(if index == __Field::$field as usize {
                            value.$field = $crate::hidden::Member::decode_member(d)?;
                            continue;
                        })*
                    }
                    $(if <$type as $crate::hidden::Member>::REQUIRED && seen & (1 << __Field::$field as usize) == 0 {
                        d.absent($wire);
                    })*
                    Ok(value)
                }

                fn validate(&self, _v: &mut $crate::hidden::Validator<'_>, _: &'static [$crate::hidden::Check]) {
                    $($crate::hidden::Member::validate_member(&self.$field, &<Self as $crate::hidden::Structure>::MEMBERS[__Field::$field as usize], _v);)*
                }

                fn show(&self, out: &mut $crate::hidden::Shown) {
                    out.structure(<Self as $crate::hidden::Structure>::NAME, $crate::hidden::object_hash(self));
                }
            }
        };
    };
}

/// Declares an open enum: unknown strings survive as `Other` so that validation can report them.
#[macro_export]
macro_rules! enumeration {
    ($(#[$meta:meta])* pub enum $Name:ident { $($Variant:ident = $wire:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $Name {
            $($Variant,)*
            /// A value that the model does not know.
            Other(String),
        }

        impl $Name {
            /// The known values, in the order of the service's sentences.
            pub const VALUES: &'static [&'static str] = &[$($wire),*];

            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$Variant => $wire,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl Default for $Name {
            fn default() -> Self {
                Self::Other(String::new())
            }
        }

        impl From<String> for $Name {
            fn from(text: String) -> Self {
                match text.as_str() {
                    $($wire => Self::$Variant,)*
                    _ => Self::Other(text),
                }
            }
        }

        impl From<&str> for $Name {
            fn from(text: &str) -> Self {
                Self::from(text.to_owned())
            }
        }

        impl std::fmt::Display for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        const _: () = {
            impl $crate::hidden::Value for $Name {
                const VALUES: Option<&'static [&'static str]> = Some($Name::VALUES);

                fn encode(&self, e: &mut dyn $crate::hidden::Encoder) {
                    e.string(self.as_str());
                }

                fn decode(d: &mut dyn $crate::hidden::Decoder) -> Result<Self, $crate::hidden::DecodeError> {
                    d.enumeration($Name::VALUES).map(Self::from)
                }

                fn validate(&self, v: &mut $crate::hidden::Validator<'_>, checks: &'static [$crate::hidden::Check]) {
                    v.check_text(self, self.as_str(), checks);
                    if matches!(self, Self::Other(_)) {
                        v.violated(self, &$crate::hidden::constraint_enum($Name::VALUES));
                    }
                }

                fn show(&self, out: &mut $crate::hidden::Shown) {
                    out.push(self.as_str());
                }
            }
        };
    };
}

/// Declares the modelled errors of a service: one constructor each.
///
/// `resource_not_found = "ResourceNotFoundException" 400;` yields
/// `fn resource_not_found(message: impl Into<String>) -> ServiceError`. A third part names the shape
/// where that is not the code.
#[macro_export]
macro_rules! errors {
    ($($name:ident = $code:literal $status:literal $($shape:literal)?;)*) => {
        /// The service's modelled errors: constructors, and the codes as constants.
        pub mod errors {
            $(
                #[doc = concat!("`", $code, "`, status ", stringify!($status), ".")]
                pub fn $name(message: impl Into<String>) -> $crate::ServiceError {
                    $crate::ServiceError::new($code, $status, message)
                }
            )*

            /// Every modelled error with its status.
            pub const ALL: &[(&str, u16)] = &[$(($code, $status)),*];

            /// The codes of errors whose shape has another name, and that name.
            pub const SHAPES: &[(&str, &str)] = &[$($(($code, $shape),)?)*];
        }
    };
}

/// Declares the events of an event stream; exceptions travel as [`ServiceError`](crate::ServiceError).
#[macro_export]
macro_rules! events {
    ($(#[$meta:meta])* pub enum $Name:ident {
        $($Variant:ident ( $Shape:ty ) = $wire:literal),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $Name { $($Variant($Shape)),* }

        const _: () = {
            impl $crate::hidden::Event for $Name {
                fn event_type(&self) -> &'static str {
                    match self { $(Self::$Variant(_) => $wire),* }
                }

                fn encode_payload(&self, codec: $crate::hidden::Codec) -> $crate::hidden::Bytes {
                    match self { $(Self::$Variant(event) => codec.encode(event)),* }
                }

                fn decode(kind: &str, codec: $crate::hidden::Codec, payload: &$crate::hidden::Bytes) -> Result<Self, $crate::hidden::DecodeError> {
                    match kind {
                        $($wire => Ok(Self::$Variant(codec.decode::<$Shape>(payload)?.0)),)*
                        other => Err($crate::hidden::DecodeError::Mismatch(format!("unknown event type {other}"))),
                    }
                }

                fn visit_shapes(visitor: &mut impl $crate::hidden::ShapeVisitor, operation: &'static str) {
                    $(visitor.output::<$Shape>(operation);)*
                }
            }
        };
    };
}
