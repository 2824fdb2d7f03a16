//! The macro for hand-written JSON objects, which have the same form as the generated ones.

/// Defines a struct that is a JSON object: fields with their JSON names, constructors, and
/// serialisation.
///
/// The JSON name can be followed by `as text`, `as secret` (setters take any convertible type) or
/// `as seconds`.
macro_rules! object {
    ($(#[$doc:meta])* pub struct $name:ident {
        $(optional { $(
            $(#[$odoc:meta])* $optional:ident: $oty:ty = $owire:literal $(as $okind:ident)?,
        )* })?
    }) => {
        object! { @define [#[derive(Default)]] $(#[$doc])* $name {} {
            $($($(#[$odoc])* $optional: $oty = $owire $(as $okind)?,)*)?
        } }
    };
    ($(#[$doc:meta])* pub struct $name:ident {
        required { $(
            $(#[$rdoc:meta])* $required:ident: $rty:ty = $rwire:literal $(as $rkind:ident)?,
        )* }
        $(optional { $(
            $(#[$odoc:meta])* $optional:ident: $oty:ty = $owire:literal $(as $okind:ident)?,
        )* })?
    }) => {
        object! { @define [] $(#[$doc])* $name {
            $($(#[$rdoc])* $required: $rty = $rwire $(as $rkind)?,)*
        } {
            $($($(#[$odoc])* $optional: $oty = $owire $(as $okind)?,)*)?
        } }

        impl $name {
            /// Creates a value from the required fields.
            pub fn new($($required: object!(@taken $rty $(as $rkind)?)),*) -> Self {
                Self {
                    $($required: object!(@kept $required $(as $rkind)?),)*
                    $($($optional: None,)*)?
                    extra: $crate::Extra::new(),
                }
            }
        }
    };
    (@define [$(#[$derive:meta])*] $(#[$doc:meta])* $name:ident { $(
        $(#[$rdoc:meta])* $required:ident: $rty:ty = $rwire:literal $(as $rkind:ident)?,
    )* } { $(
        $(#[$odoc:meta])* $optional:ident: $oty:ty = $owire:literal $(as $okind:ident)?,
    )* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        $(#[$derive])*
        pub struct $name {
            $($(#[$rdoc])* pub $required: $rty,)*
            $($(#[$odoc])* pub $optional: Option<$oty>,)*
            /// Other fields.
            pub extra: $crate::Extra,
        }

        impl $name {
            $(
                #[doc = concat!("Sets `", $owire, "`.")]
                #[must_use]
                pub fn $optional(mut self, $optional: object!(@taken $oty $(as $okind)?)) -> Self {
                    self.$optional = Some(object!(@kept $optional $(as $okind)?));
                    self
                }
            )*
        }

        impl $crate::codec::Read for $name {
            #[inline]
            fn read(
                from: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::Error> {
                $(let mut $required = None;)*
                $(let mut $optional = None;)*
                let mut extra = $crate::Extra::new();
                from.object()?;
                while let Some(key) = from.key()? {
                    match &*key {
                        $($rwire => $required = object!(@required from, $rwire, $(as $rkind)?),)*
                        $($owire => {
                            $optional = object!(@optional from, $owire, extra, $(as $okind)?);
                        })*
                        _ => extra.read(key, from)?,
                    }
                }
                Ok(Self {
                    $($required: $crate::codec::required($required, $rwire)?,)*
                    $($optional,)*
                    extra,
                })
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::codec::deserialize(from)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                let mut map = to.serialize_map(None)?;
                $(map.serialize_entry($rwire, &object!(@written &self.$required, $(as $rkind)?))?;)*
                $(if let Some(value) = &self.$optional {
                    map.serialize_entry($owire, &object!(@written value, $(as $okind)?))?;
                })*
                let set = [$(($owire, self.$optional.is_some()),)*];
                $crate::codec::extra(&mut map, &self.extra, &set)?;
                map.end()
            }
        }
    };
    (@taken $ty:ty as seconds) => { $ty };
    (@taken $ty:ty as $kind:ident) => { impl Into<$ty> };
    (@taken $ty:ty) => { $ty };
    (@kept $value:ident as seconds) => { $value };
    (@kept $value:ident as $kind:ident) => { $value.into() };
    (@kept $value:ident) => { $value };
    (@required $from:ident, $wire:literal, as seconds) => {
        $from.field($wire)?.map(|$crate::codec::Seconds(time)| time)
    };
    (@required $from:ident, $wire:literal, $(as $kind:ident)?) => { $from.field($wire)? };
    (@optional $from:ident, $wire:literal, $extra:ident, as seconds) => {
        $from.optional($wire, &mut $extra)?.map(|$crate::codec::Seconds(time)| time)
    };
    (@optional $from:ident, $wire:literal, $extra:ident, $(as $kind:ident)?) => {
        $from.optional($wire, &mut $extra)?
    };
    (@written $value:expr, as secret) => { $crate::codec::Exposed($value) };
    (@written $value:expr, as seconds) => { $crate::codec::Seconds(*$value) };
    (@written $value:expr, $(as text)?) => { $value };
}
pub(crate) use object;
