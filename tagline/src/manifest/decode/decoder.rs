//! One node as serde asks for it.

use super::State;
use super::access::{Elements, Fields};
use super::fault::{DecodeError, Fault, Path, Segment};
use crate::manifest::node::{Node, NodeKind, Scalar};
use crate::manifest::resemblance::nearest;
use serde::de::{self, Deserializer, Expected, Unexpected, Visitor};

#[derive(Clone, Copy)]
pub(super) struct Decoder<'a> {
    pub(super) node: &'a Node,
    pub(super) path: &'a Path<'a>,
    pub(super) state: &'a State,
}

impl<'a> Decoder<'a> {
    /// A result whose error has its place.
    pub(super) fn placed<T>(self, result: Result<T, DecodeError>) -> Result<T, DecodeError> {
        result.map_err(|error| error.placed(self.node, self.path, self.state.quoting))
    }

    fn scalar(self) -> Option<&'a Scalar> {
        match &self.node.kind {
            NodeKind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    fn wrong_type<T>(self, expected: &dyn Expected) -> Result<T, DecodeError> {
        let number;
        let found = match &self.node.kind {
            NodeKind::Sequence(_) => Unexpected::Seq,
            NodeKind::Mapping(_) => Unexpected::Map,
            NodeKind::Scalar(scalar) if scalar.is_null() => Unexpected::Unit,
            NodeKind::Scalar(scalar) => {
                if let Some(value) = scalar.as_bool() {
                    Unexpected::Bool(value)
                } else if scalar.as_integer().is_some() || scalar.as_float().is_some() {
                    number = format!("the number {}", scalar.text);
                    Unexpected::Other(&number)
                } else {
                    Unexpected::Str(&scalar.text)
                }
            }
        };
        self.placed(Err(de::Error::invalid_type(found, expected)))
    }

    fn map_access(self, known: Option<&'static [&'static str]>) -> Option<Fields<'a>> {
        let NodeKind::Mapping(entries) = &self.node.kind else {
            return None;
        };
        let mut wanted = Vec::with_capacity(entries.len());
        for entry in entries {
            let path = Path {
                parent: Some(self.path),
                segment: Segment::Key(&entry.key),
            };
            if let Some(known) = known
                && !known.contains(&entry.key.as_str())
            {
                let near = nearest(&entry.key, known.iter().copied());
                self.state.push(Fault {
                    at: entry.key_at,
                    field: path.to_string(),
                    message: "there is no such field".to_owned(),
                    help: Some(match near {
                        Some(name) => format!("did you mean {name:?}?"),
                        None => format!("fields here: {}", known.join(", ")),
                    }),
                });
                continue;
            }
            let set_aside = self.state.set_aside.borrow();
            if !set_aside.is_empty() && set_aside.contains(&path.to_string()) {
                continue;
            }
            wanted.push((entry.key.as_str(), &*entry.value));
        }
        Some(Fields {
            of: self,
            rest: wanted.into_iter(),
            value: None,
        })
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            let number = self.scalar().and_then(Scalar::as_integer);
            match number {
                None => self.wrong_type(&visitor),
                Some(number) => match <$type>::try_from(number) {
                    Ok(number) => self.placed(visitor.$visit(number)),
                    Err(_) => self.placed(Err(de::Error::custom(format!(
                        "{number} is outside {} to {}", <$type>::MIN, <$type>::MAX
                    )))),
                },
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Decoder<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.kind {
            NodeKind::Sequence(_) => self.deserialize_seq(visitor),
            NodeKind::Mapping(_) => self.deserialize_map(visitor),
            NodeKind::Scalar(scalar) => {
                let result = if scalar.is_null() {
                    visitor.visit_unit()
                } else if let Some(value) = scalar.as_bool() {
                    visitor.visit_bool(value)
                } else if let Some(Ok(value)) = scalar.as_integer().map(i64::try_from) {
                    visitor.visit_i64(value)
                } else if let Some(value) = scalar.as_float() {
                    visitor.visit_f64(value)
                } else {
                    visitor.visit_str(&scalar.text)
                };
                self.placed(result)
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.scalar().and_then(Scalar::as_bool) {
            Some(value) => self.placed(visitor.visit_bool(value)),
            None => self.wrong_type(&visitor),
        }
    }

    integers!(
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64
    );

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_f64(visitor)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a whole number where a fraction may stand"
    )]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let number = self
            .scalar()
            .and_then(|s| s.as_integer().map(|n| n as f64).or_else(|| s.as_float()));
        match number {
            Some(value) => self.placed(visitor.visit_f64(value)),
            None => self.wrong_type(&visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.scalar() {
            Some(s)
                if !s.plain
                    || !(s.is_null()
                        || s.as_bool().is_some()
                        || s.as_integer().is_some()
                        || s.as_float().is_some()) =>
            {
                self.placed(visitor.visit_str(&s.text))
            }
            _ => self.wrong_type(&visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.node.is_null() {
            self.placed(visitor.visit_none())
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.node.is_null() {
            self.placed(visitor.visit_unit())
        } else {
            self.wrong_type(&visitor)
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let result = visitor.visit_newtype_struct(self);
        self.placed(result)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.kind {
            NodeKind::Sequence(items) => {
                let result = visitor.visit_seq(Elements {
                    of: self,
                    next: 0,
                    items,
                });
                self.placed(result)
            }
            _ => self.wrong_type(&visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.map_access(None) {
            Some(fields) => {
                let result = visitor.visit_map(fields);
                self.placed(result)
            }
            None => self.wrong_type(&visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.map_access(Some(fields)) {
            Some(access) => {
                let result = visitor.visit_map(access);
                self.placed(result)
            }
            None => self.wrong_type(&"a mapping"),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.scalar() {
            Some(scalar) if !scalar.is_null() => {
                let variant = de::value::StrDeserializer::<DecodeError>::new(&scalar.text);
                self.placed(visitor.visit_enum(variant))
            }
            _ => self.wrong_type(&visitor),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }
}
