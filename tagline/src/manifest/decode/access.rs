//! The fields of a mapping and the elements of a sequence, one by one; those that were set aside are passed over.

use super::decoder::Decoder;
use super::fault::{DecodeError, Path, Segment};
use crate::manifest::node::Node;
use serde::de::{self, DeserializeSeed};

pub(super) struct Fields<'a> {
    pub(super) of: Decoder<'a>,
    pub(super) rest: std::vec::IntoIter<(&'a str, &'a Node)>,
    pub(super) value: Option<(&'a str, &'a Node)>,
}

impl<'de> de::MapAccess<'de> for Fields<'_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let Some((key, node)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some((key, node));
        seed.deserialize(de::value::StrDeserializer::<DecodeError>::new(key))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let path = Path {
            parent: Some(self.of.path),
            segment: Segment::Key(key),
        };
        let decoder = Decoder {
            node,
            path: &path,
            state: self.of.state,
        };
        decoder.placed(seed.deserialize(decoder))
    }
}

pub(super) struct Elements<'a> {
    pub(super) of: Decoder<'a>,
    pub(super) next: usize,
    pub(super) items: &'a [std::rc::Rc<Node>],
}

impl<'de> de::SeqAccess<'de> for Elements<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        loop {
            let Some(node) = self.items.get(self.next) else {
                return Ok(None);
            };
            let path = Path {
                parent: Some(self.of.path),
                segment: Segment::Index(self.next),
            };
            self.next += 1;
            let skipped = {
                let set_aside = self.of.state.set_aside.borrow();
                !set_aside.is_empty() && set_aside.contains(&path.to_string())
            };
            if !skipped {
                let decoder = Decoder {
                    node,
                    path: &path,
                    state: self.of.state,
                };
                return decoder.placed(seed.deserialize(decoder)).map(Some);
            }
        }
    }
}
