//! Every path of a serialised type, found by reading one: each field, one element of each list, and each variant of
//! each enum in its turn. For the test that demands a class for all of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, Error};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, SeqAccess, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::difference::Segment;

pub type Path = Vec<Segment>;

pub fn paths<T: Deserialize<'static>>() -> BTreeSet<Path> {
    let mut found = Found::default();
    while found.paths.is_empty() || found.enums.values().any(|(variants, seen)| seen < variants) {
        T::deserialize(At { path: vec![], inside: vec![], found: &mut found }).unwrap();
    }
    found.paths
}

#[derive(Default)]
struct Found {
    paths: BTreeSet<Path>,
    /// How many variants an enum has, and how many were seen there.
    enums: BTreeMap<Path, (usize, usize)>,
}

/// Reads the value at a path.
struct At<'a> {
    path: Path,
    /// The enums around it.
    inside: Vec<&'static str>,
    found: &'a mut Found,
}

impl At<'_> {
    fn below(&mut self, segment: Segment) -> At<'_> {
        let path = self.path.iter().cloned().chain([segment]).collect();
        At { path, inside: self.inside.clone(), found: &mut *self.found }
    }
}

impl Deserializer<'static> for At<'_> {
    type Error = Error;

    /// Numbers; whatever else the model does not have yet refuses one.
    fn deserialize_any<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        self.found.paths.insert(self.path);
        visitor.visit_u64(1)
    }

    fn deserialize_bool<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        self.found.paths.insert(self.path);
        visitor.visit_bool(true)
    }

    /// A text that is a reference to a port and to a volume, too.
    fn deserialize_str<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        self.found.paths.insert(self.path);
        visitor.visit_borrowed_str("a.b/c")
    }

    fn deserialize_string<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        self.found.paths.insert(self.path.clone());
        visitor.visit_seq(Parts { parts: vec![Segment::Item("1".to_owned())], at: self })
    }

    fn deserialize_struct<V: Visitor<'static>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.found.paths.insert(self.path.clone());
        let parts = fields.iter().rev().map(|field| Segment::Field((*field).to_owned())).collect();
        visitor.visit_seq(Parts { parts, at: self })
    }

    fn deserialize_enum<V: Visitor<'static>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.found.paths.insert(self.path.clone());
        // In itself it has the same paths once more, without end: there the first variant will do.
        let variant = if self.inside.contains(&name) {
            variants[0]
        } else {
            let (_, seen) = self.found.enums.entry(self.path.clone()).or_insert((variants.len(), 0));
            *seen += 1;
            variants[(*seen - 1) % variants.len()]
        };
        self.inside.push(name);
        visitor.visit_enum(Variant { name: variant, at: self })
    }

    forward_to_deserialize_any! {
        <W: Visitor<'static>>
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct map identifier ignored_any
    }
}

/// The parts of a value, the last first.
struct Parts<'a> {
    parts: Vec<Segment>,
    at: At<'a>,
}

impl SeqAccess<'static> for Parts<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'static>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(part) = self.parts.pop() else { return Ok(None) };
        seed.deserialize(self.at.below(part)).map(Some)
    }
}

struct Variant<'a> {
    name: &'static str,
    at: At<'a>,
}

impl<'a> EnumAccess<'static> for Variant<'a> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'static>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        Ok((seed.deserialize(BorrowedStrDeserializer::new(self.name))?, self))
    }
}

impl VariantAccess<'static> for Variant<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'static>>(mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.at.below(Segment::Field(self.name.to_owned())))
    }

    fn tuple_variant<V: Visitor<'static>>(mut self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.at.below(Segment::Field(self.name.to_owned())).deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'static>>(
        mut self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.at.below(Segment::Field(self.name.to_owned())).deserialize_struct("", fields, visitor)
    }
}
