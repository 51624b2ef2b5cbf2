//! The one macro that defines a header.

/// Defines a header struct with its wire names, and its [`Fields`](super::Fields) and
/// [`DecodeFields`](super::DecodeFields).
macro_rules! header {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(<$life:lifetime>)? {
            $($(#[$field_meta:meta])* $field:ident: $kind:ty = $wire:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, Eq, PartialEq)]
        pub struct $name $(<$life>)? {
            $($(#[$field_meta])* pub $field: $kind,)+
        }

        $crate::header::macros::header_fields! {
            $name $(<$life>)?, |this| this, |built| built, $name { $($field = $wire,)+ }
        }
    };
}

/// Implements the two traits for `$name`, whose fields are those of `$inner`: `$view` reaches them, `$wrap` wraps them.
macro_rules! header_fields {
    ($name:ident, $($rest:tt)+) => {
        $crate::header::macros::header_fields! { @ ['a] [$name] [$name] $($rest)+ }
    };
    ($name:ident <$life:lifetime>, $($rest:tt)+) => {
        $crate::header::macros::header_fields! { @ [$life] [$name<$life>] [$name<'_>] $($rest)+ }
    };
    (
        @ [$life:lifetime] [$named:ty] [$elided:ty]
        |$this:ident| $view:expr, |$built:ident| $wrap:expr, $inner:ident { $($field:ident = $wire:literal,)+ }
    ) => {
        impl $crate::header::Fields for $elided {
            #[inline(always)]
            fn write(&self, sink: &mut impl $crate::header::FieldSink) {
                let $this = self;
                let fields = $view;
                $($crate::header::FieldValue::write(&fields.$field, $wire, sink);)+
            }
        }

        impl<$life> $crate::header::DecodeFields<$life> for $named {
            fn decode_fields(ext: $crate::command::ExtFields<$life>) -> Result<Self, $crate::header::FieldError> {
                #[inline(always)]
                fn read<$life>(
                    texts: impl Iterator<Item = ($crate::json::Text<$life>, $crate::json::Text<$life>)>,
                ) -> Result<$named, $crate::header::FieldError> {
                    $(let mut $field = None;)+
                    for (key, value) in texts {
                        let key = key.bytes();
                        $(if *key == *$wire.as_bytes() {
                            $field = Some(value);
                            continue;
                        })+
                    }
                    let $built = $inner { $($field: $crate::header::FieldValue::read($wire, $field)?,)+ };
                    Ok($wrap)
                }

                // Compiled twice, so that the usual answers need not ask of each text what is known of it.
                match ext.entries() {
                    Some(entries) => read(entries),
                    None => read(ext.texts()),
                }
            }
        }
    };
}

pub(crate) use {header, header_fields};
