//! JSON → message. Everything that is wrong is found in one go.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gavah_domain::{JalaliDate, TermId, TermKind};
use jiff::Timestamp;
use prost_reflect::{DynamicMessage, EnumDescriptor, Kind, MessageDescriptor, Value as Field};
use serde_json::Value;

use super::prefix;

/// A field that cannot be read. Never quotes its value: it may be about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// `program.entry_term`; empty when the whole message is meant.
    pub(crate) field: String,
    /// What it should be.
    pub(crate) text: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.text)
    }
}

pub(super) fn message(
    descriptor: &MessageDescriptor,
    value: &Value,
) -> Result<DynamicMessage, Vec<Wrong>> {
    let mut wrong = Vec::new();
    let message = read_message(descriptor, value, "", &mut wrong);
    match message {
        Some(message) if wrong.is_empty() => Ok(message),
        _ => Err(wrong),
    }
}

fn refuse<T>(wrong: &mut Vec<Wrong>, field: &str, text: impl Into<String>) -> Option<T> {
    wrong.push(Wrong {
        field: field.to_owned(),
        text: text.into(),
    });
    None
}

fn read_message(
    descriptor: &MessageDescriptor,
    value: &Value,
    path: &str,
    wrong: &mut Vec<Wrong>,
) -> Option<DynamicMessage> {
    match (descriptor.full_name(), value) {
        ("google.protobuf.Timestamp", _) => return read_instant(descriptor, value, path, wrong),
        ("gavah.v1.JalaliDate", Value::String(text)) => {
            return read_date(descriptor, text, path, wrong);
        }
        ("gavah.v1.Term", Value::String(text)) => return read_term(descriptor, text, path, wrong),
        _ => {}
    }
    let Value::Object(object) = value else {
        return refuse(wrong, path, "must be an object");
    };
    let mut message = DynamicMessage::new(descriptor.clone());
    for (name, value) in object {
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        let field = descriptor
            .get_field_by_name(name)
            .or_else(|| descriptor.get_field_by_json_name(name));
        let Some(field) = field else {
            let known: Vec<_> = descriptor
                .fields()
                .map(|field| field.name().to_owned())
                .collect();
            refuse::<()>(
                wrong,
                &path,
                format!("unknown; the fields are {}", known.join(", ")),
            );
            continue;
        };
        if value.is_null() {
            continue;
        }
        let taken = field
            .containing_oneof()
            .and_then(|group| group.fields().find(|other| message.has_field(other)));
        if let Some(other) = taken {
            refuse::<()>(
                wrong,
                &path,
                format!("cannot stand beside {}", other.name()),
            );
            continue;
        }
        let read = if field.is_list() {
            read_list(&field.kind(), value, &path, wrong)
        } else {
            read_value(&field.kind(), value, &path, wrong)
        };
        if let Some(read) = read
            && message.try_set_field(&field, read).is_err()
        {
            refuse::<()>(wrong, &path, "cannot be set");
        }
    }
    Some(message)
}

fn read_list(kind: &Kind, value: &Value, path: &str, wrong: &mut Vec<Wrong>) -> Option<Field> {
    let Value::Array(items) = value else {
        return refuse(wrong, path, "must be a list");
    };
    let read: Vec<_> = items
        .iter()
        .enumerate()
        .map(|(index, item)| read_value(kind, item, &format!("{path}[{index}]"), wrong))
        .collect();
    read.into_iter()
        .collect::<Option<Vec<_>>>()
        .map(Field::List)
}

fn read_value(kind: &Kind, value: &Value, path: &str, wrong: &mut Vec<Wrong>) -> Option<Field> {
    match kind {
        Kind::Message(descriptor) => {
            read_message(descriptor, value, path, wrong).map(Field::Message)
        }
        Kind::Enum(descriptor) => match enum_number(descriptor, value) {
            Some(number) => Some(Field::EnumNumber(number)),
            None => refuse(wrong, path, format!("must be one of {}", names(descriptor))),
        },
        Kind::String => match value {
            Value::String(text) => Some(Field::String(text.clone())),
            _ => refuse(wrong, path, "must be a text in quotation marks"),
        },
        Kind::Bool => match value {
            Value::Bool(value) => Some(Field::Bool(*value)),
            _ => refuse(wrong, path, "must be true or false"),
        },
        Kind::Bytes => match value.as_str().and_then(|text| STANDARD.decode(text).ok()) {
            Some(bytes) => Some(Field::Bytes(bytes.into())),
            None => refuse(wrong, path, "must be Base64"),
        },
        Kind::Int32 => {
            let number = whole(value).and_then(|number| i32::try_from(number).ok());
            number
                .map(Field::I32)
                .or_else(|| refuse(wrong, path, "must be a whole number"))
        }
        Kind::Int64 => whole(value)
            .map(Field::I64)
            .or_else(|| refuse(wrong, path, "must be a whole number")),
        _ => refuse(wrong, path, "cannot be given in JSON"),
    }
}

/// Numbers in quotation marks are numbers too: a table has nothing but texts.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        gavah_domain::text::ascii_digits(value.as_str()?)
            .parse()
            .ok()
    })
}

/// With or without the prefix, in either case, with dashes or underscores. Nobody means "unspecified".
fn enum_number(descriptor: &EnumDescriptor, value: &Value) -> Option<i32> {
    let name = value
        .as_str()?
        .trim()
        .to_ascii_uppercase()
        .replace('-', "_");
    let prefix = prefix(descriptor.name());
    let name = name.strip_prefix(&prefix).unwrap_or(&name);
    let value = descriptor.get_value_by_name(&format!("{prefix}{name}"))?;
    (value.number() != 0).then_some(value.number())
}

fn names(descriptor: &EnumDescriptor) -> String {
    let prefix = prefix(descriptor.name());
    let names: Vec<_> = descriptor
        .values()
        .filter(|value| value.number() != 0)
        .map(|value| value.name().replacen(&prefix, "", 1))
        .collect();
    names.join(", ")
}

fn read_instant(
    descriptor: &MessageDescriptor,
    value: &Value,
    path: &str,
    wrong: &mut Vec<Wrong>,
) -> Option<DynamicMessage> {
    let instant = value
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    let Some(instant) = instant else {
        return refuse(
            wrong,
            path,
            "must be an instant such as 2026-05-13T08:30:00Z",
        );
    };
    let mut message = DynamicMessage::new(descriptor.clone());
    // The contract counts nanoseconds forwards from the second before.
    let nanos = instant.as_nanosecond().rem_euclid(1_000_000_000);
    let seconds = instant.as_nanosecond().div_euclid(1_000_000_000);
    message.set_field_by_name("seconds", Field::I64(i64::try_from(seconds).ok()?));
    message.set_field_by_name("nanos", Field::I32(i32::try_from(nanos).ok()?));
    Some(message)
}

fn read_date(
    descriptor: &MessageDescriptor,
    text: &str,
    path: &str,
    wrong: &mut Vec<Wrong>,
) -> Option<DynamicMessage> {
    let Ok(date) = JalaliDate::parse(text) else {
        return refuse(wrong, path, "must be a Jalali date such as 1405/02/23");
    };
    let mut message = DynamicMessage::new(descriptor.clone());
    message.set_field_by_name("year", Field::I32(date.year()));
    message.set_field_by_name("month", Field::I32(date.month().into()));
    message.set_field_by_name("day", Field::I32(date.day().into()));
    Some(message)
}

fn read_term(
    descriptor: &MessageDescriptor,
    text: &str,
    path: &str,
    wrong: &mut Vec<Wrong>,
) -> Option<DynamicMessage> {
    let Ok(term) = text.parse::<TermId>() else {
        let text = "must be a term such as 1404-1 (1 first, 2 second, 3 summer)";
        return refuse(wrong, path, text);
    };
    let kind = match term.kind {
        TermKind::First => 1,
        TermKind::Second => 2,
        TermKind::Summer => 3,
    };
    let mut message = DynamicMessage::new(descriptor.clone());
    message.set_field_by_name("academic_year", Field::I32(term.academic_year));
    message.set_field_by_name("kind", Field::EnumNumber(kind));
    Some(message)
}
