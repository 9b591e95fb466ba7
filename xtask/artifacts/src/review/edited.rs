//! Reads a value back from its serialisation with one part of it changed on the way. Pure.

use std::cell::Cell;

use serde::Deserializer;
use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Value};

use super::part::Step;

/// What is done to the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit<'a> {
    /// It is left out of its list.
    LeaveOut,
    /// The list becomes empty.
    Empty,
    /// These elements are left out of the list; positions from 0.
    Thin(&'a [usize]),
    /// It becomes none where it may be, and else another value of the same shape; the number counts the tries,
    /// from 0.
    Change(usize),
}

/// A serialised value, read with an edit somewhere in it.
#[derive(Clone, Copy)]
pub struct Edited<'a> {
    value: &'static Value,
    /// The way to the edited part; none when that is not in here.
    edit: Option<(&'a [Step], Edit<'a>)>,
    /// Set when the part became none.
    none: &'a Cell<bool>,
}

impl<'a> Edited<'a> {
    /// `none` is set when the part becomes none.
    pub fn new(value: &'static Value, steps: &'a [Step], edit: Edit<'a>, none: &'a Cell<bool>) -> Self {
        Self { value, edit: Some((steps, edit)), none }
    }

    /// The edit, if it is of this very value.
    fn here(self) -> Option<Edit<'a>> {
        self.edit.filter(|(steps, _)| steps.is_empty()).map(|(_, edit)| edit)
    }

    fn child(self, step: Step, value: &'static Value) -> Self {
        let inside = self.edit.and_then(|(steps, edit)| {
            let (first, rest) = steps.split_first()?;
            (*first == step).then_some((rest, edit))
        });
        Self { value, edit: inside, none: self.none }
    }

    fn fields(self) -> impl Iterator<Item = (BorrowedStrDeserializer<'static, Error>, Edited<'a>)> + use<'a> {
        let fields = self.value.as_object().into_iter().flatten();
        fields.map(move |(name, value)| {
            (BorrowedStrDeserializer::new(name), self.child(Step::Field(name), value))
        })
    }

    fn items(self) -> impl Iterator<Item = Edited<'a>> + use<'a> {
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items
            .map(move |(at, value)| (at, self.child(Step::Item(at), value)))
            .filter(move |(at, _)| !matches!(self.here(), Some(Edit::Thin(gone)) if gone.contains(at)))
            .map(|(_, item)| item)
            .filter(|item| item.here() != Some(Edit::LeaveOut))
    }
}

impl IntoDeserializer<'static, Error> for Edited<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl Deserializer<'static> for Edited<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        match (self.here(), self.value) {
            (None | Some(Edit::Thin(_)), Value::Array(_)) => {
                SeqDeserializer::new(self.items()).deserialize_any(visitor)
            }
            (None, Value::Object(_)) => MapDeserializer::new(self.fields()).deserialize_any(visitor),
            (None, other) => other.deserialize_any(visitor),
            (Some(Edit::Empty), _) => {
                SeqDeserializer::new(std::iter::empty::<Edited<'_>>()).deserialize_any(visitor)
            }
            (Some(Edit::Change(0)), Value::Bool(value)) => visitor.visit_bool(!value),
            (Some(Edit::Change(0)), Value::String(text)) => {
                // The model's texts live as long as the program: a few bytes for each question asked.
                visitor.visit_borrowed_str(Box::leak(another_text(text).into_boxed_str()))
            }
            (Some(Edit::Change(tried)), Value::Number(number)) => match another_number(number, tried) {
                Some(Value::Number(number)) => number.deserialize_any(visitor),
                _ => Err(exhausted()),
            },
            (Some(Edit::Change(_) | Edit::LeaveOut | Edit::Thin(_)), _) => Err(exhausted()),
        }
    }

    fn deserialize_option<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.here() {
            Some(Edit::Change(_) | Edit::Empty) => {
                self.none.set(true);
                visitor.visit_none()
            }
            _ if self.value.is_null() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'static>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match (self.here(), self.value) {
            (Some(Edit::Change(tried)), Value::String(text)) => {
                let mut others = variants.iter().copied().filter(|variant| variant != text);
                let other = others.nth(tried).ok_or_else(exhausted)?;
                visitor.visit_enum(IntoDeserializer::<Error>::into_deserializer(other))
            }
            (Some(_), _) => Err(exhausted()),
            (None, Value::Object(_)) => MapAccessDeserializer::new(MapDeserializer::new(self.fields()))
                .deserialize_enum(name, variants, visitor),
            (None, other) => other.deserialize_enum(name, variants, visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'static>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        <V: Visitor<'static>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

fn exhausted() -> Error {
    Error::custom("no other value is left to try")
}

/// Another text of the same length and kind of characters, so that what must be hexadecimal, lower-case or a
/// version stays so; an empty one or one that ends in a mark gets a letter more.
fn another_text(text: &str) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    match characters.last_mut() {
        Some(last @ '0'..='8') => *last = char::from(*last as u8 + 1),
        Some(last @ '9') => *last = '0',
        Some(last @ 'a') => *last = 'b',
        Some(last @ 'A') => *last = 'B',
        Some(last) if last.is_ascii_lowercase() => *last = 'a',
        Some(last) if last.is_ascii_uppercase() => *last = 'A',
        _ => characters.push('a'),
    }
    characters.into_iter().collect()
}

/// First far away, so that rounding does not hide it, then near, where the type holds no more.
fn another_number(number: &serde_json::Number, tried: usize) -> Option<Value> {
    let integer = |number: u64| match tried {
        0 => number.checked_mul(2)?.checked_add(1),
        1 => number.checked_add(1),
        2 => number.checked_sub(1),
        _ => None,
    };
    match number.as_u64() {
        Some(number) => integer(number).map(Value::from),
        None => (tried == 0).then(|| Value::from(number.as_f64().unwrap_or_default() * 2.0 + 1.0)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::{Edit, Edited};
    use crate::review::part::Step;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Thing {
        name: &'static str,
        small: u8,
        maybe: Option<&'static str>,
        list: Vec<Shape>,
        on: bool,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Shape {
        Point,
        Sized { width: f64 },
        Other,
    }

    fn value() -> &'static Value {
        Box::leak(Box::new(json!({
            "name": "a9", "small": 200, "maybe": "x", "on": true,
            "list": ["point", { "sized": { "width": 1.5 } }],
        })))
    }

    fn read(steps: &[Step], edit: Edit<'_>) -> Result<Thing, String> {
        Thing::deserialize(Edited::new(value(), steps, edit, &Cell::new(false)))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn one_part_changes_and_the_rest_stays() {
        use Step::{Field, Item};
        let whole = || Thing::deserialize(value()).unwrap();
        for (steps, edit, expected) in [
            (&[Field("name")][..], Edit::Change(0), Ok(Thing { name: "a0", ..whole() })),
            (&[Field("small")], Edit::Change(0), Err("invalid value: integer `401`, expected u8")),
            (&[Field("small")], Edit::Change(1), Ok(Thing { small: 201, ..whole() })),
            (&[Field("on")], Edit::Change(0), Ok(Thing { on: false, ..whole() })),
            (&[Field("maybe")], Edit::Change(0), Ok(Thing { maybe: None, ..whole() })),
            (&[Field("list")], Edit::Thin(&[1]), Ok(Thing { list: vec![Shape::Point], ..whole() })),
            (&[Field("list")], Edit::Empty, Ok(Thing { list: vec![], ..whole() })),
            (
                &[Field("list"), Item(0)],
                Edit::LeaveOut,
                Ok(Thing { list: vec![Shape::Sized { width: 1.5 }], ..whole() }),
            ),
            (
                &[Field("list"), Item(1), Field("sized"), Field("width")],
                Edit::Change(0),
                Ok(Thing { list: vec![Shape::Point, Shape::Sized { width: 4.0 }], ..whole() }),
            ),
            (
                &[Field("list"), Item(0)],
                Edit::Change(1),
                Ok(Thing { list: vec![Shape::Other, Shape::Sized { width: 1.5 }], ..whole() }),
            ),
            (&[Field("list"), Item(0)], Edit::Change(2), Err("no other value is left to try")),
        ] {
            assert_eq!(read(steps, edit), expected.map_err(str::to_owned), "{steps:?} {edit:?}");
        }
        assert!(
            read(&[Field("list"), Item(0)], Edit::Change(0)).is_err(),
            "a variant with data has none to give"
        );
    }
}
