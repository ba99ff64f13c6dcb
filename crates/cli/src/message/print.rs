//! Message → JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, ReflectMessage, Value as Field,
};
use serde_json::{Map, Value, json};

use super::prefix;

pub(super) fn message(message: &DynamicMessage) -> Value {
    match message.descriptor().full_name() {
        "google.protobuf.Timestamp" => instant(message),
        "gavah.v1.JalaliDate" => date(message),
        _ => object(message),
    }
}

fn object(message: &DynamicMessage) -> Value {
    let mut object = Map::new();
    for field in message.descriptor().fields() {
        let set = message.has_field(&field);
        if !set && (field.supports_presence() || !is_told_when_unset(&field)) {
            continue;
        }
        let value = value(&message.get_field(&field), &field.kind());
        object.insert(field.name().to_owned(), value);
    }
    Value::Object(object)
}

/// Zero, false and an empty list say something; an empty text and an unspecified enum do not.
fn is_told_when_unset(field: &FieldDescriptor) -> bool {
    field.is_list() || !matches!(field.kind(), Kind::String | Kind::Bytes | Kind::Enum(_))
}

fn value(value: &Field, kind: &Kind) -> Value {
    match value {
        Field::Bool(value) => json!(value),
        Field::I32(value) => json!(value),
        Field::I64(value) => json!(value),
        Field::U32(value) => json!(value),
        Field::U64(value) => json!(value),
        Field::F32(value) => json!(value),
        Field::F64(value) => json!(value),
        Field::String(value) => json!(value),
        Field::Bytes(value) => json!(STANDARD.encode(value)),
        Field::EnumNumber(number) => match kind {
            Kind::Enum(kind) => enum_value(kind, *number),
            _ => json!(number),
        },
        Field::Message(value) => message(value),
        Field::List(items) => items.iter().map(|item| self::value(item, kind)).collect(),
        Field::Map(entries) => entries
            .iter()
            .map(|(key, entry)| {
                let key = match key {
                    prost_reflect::MapKey::String(key) => key.clone(),
                    other => format!("{other:?}"),
                };
                (key, self::value(entry, kind))
            })
            .collect(),
    }
}

/// A value this binary does not know stays a number.
fn enum_value(kind: &EnumDescriptor, number: i32) -> Value {
    let Some(value) = kind.get_value(number) else {
        return json!(number);
    };
    let name = value.name();
    json!(name.strip_prefix(&prefix(kind.name())).unwrap_or(name))
}

fn number(message: &DynamicMessage, field: &str) -> i64 {
    let value = message.get_field_by_name(field);
    value
        .and_then(|value| value.as_i64().or_else(|| value.as_i32().map(i64::from)))
        .unwrap_or_default()
}

/// An instant outside the calendar is not one; it is shown as it came.
fn instant(message: &DynamicMessage) -> Value {
    let nanos = i32::try_from(number(message, "nanos")).unwrap_or_default();
    match Timestamp::new(number(message, "seconds"), nanos) {
        Ok(instant) => json!(instant.to_string()),
        Err(_) => object(message),
    }
}

fn date(message: &DynamicMessage) -> Value {
    let [year, month, day] = ["year", "month", "day"].map(|part| number(message, part));
    json!(format!("{year:04}/{month:02}/{day:02}"))
}
