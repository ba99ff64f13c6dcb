//! Reading the annotations of one field.

use protox::prost_reflect::{DynamicMessage, ExtensionDescriptor, FieldDescriptor, Value};

use crate::RulesError;

/// One check on one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    /// String of at least so many characters.
    MinLen(u64),
    /// String of at most so many characters.
    MaxLen(u64),
    /// String of exactly so many characters.
    Len(u64),
    /// String that is a UUID in its hyphenated text form.
    Uuid,
    /// Integer at least.
    Gte(i64),
    /// Integer at most.
    Lte(i64),
    /// Enum number known to the contract.
    DefinedOnly,
    /// Enum number that is refused.
    NotIn(i32),
    /// List of at least so many items.
    MinItems(u64),
    /// List of at most so many items.
    MaxItems(u64),
}

/// The rules of one field.
#[derive(Debug, Default)]
pub(crate) struct FieldRules {
    /// The message must be present.
    pub(crate) required: bool,
    /// Neither the value nor what it contains is checked.
    pub(crate) ignore: bool,
    /// Checks on the value itself.
    pub(crate) checks: Vec<Check>,
    /// Rules of each item of a list.
    pub(crate) items: Option<Box<FieldRules>>,
}

/// The rules annotated on `field`, empty when there are none.
pub(crate) fn field_rules(
    field: &FieldDescriptor,
    extension: &ExtensionDescriptor,
) -> Result<FieldRules, RulesError> {
    let options = field.options();
    if !options.has_extension(extension) {
        return Ok(FieldRules::default());
    }
    match options.get_extension(extension).as_ref() {
        Value::Message(rules) => read(rules, field.full_name()),
        _ => Err(RulesError::NoExtensions),
    }
}

fn read(rules: &DynamicMessage, field: &str) -> Result<FieldRules, RulesError> {
    let mut read_rules = FieldRules::default();
    for (rule, value) in rules.fields() {
        match (rule.name(), value) {
            ("required", Value::Bool(required)) => read_rules.required = *required,
            ("ignore", Value::EnumNumber(3)) => read_rules.ignore = true,
            ("string" | "int32" | "int64" | "enum", Value::Message(checks)) => {
                read_checks(checks, rule.name(), field, &mut read_rules.checks)?;
            }
            ("repeated", Value::Message(list)) => {
                read_list(list, field, &mut read_rules)?;
            }
            (other, _) => return Err(unsupported(field, other)),
        }
    }
    Ok(read_rules)
}

fn read_list(list: &DynamicMessage, field: &str, into: &mut FieldRules) -> Result<(), RulesError> {
    for (rule, value) in list.fields() {
        match (rule.name(), value) {
            ("min_items", Value::U64(count)) => into.checks.push(Check::MinItems(*count)),
            ("max_items", Value::U64(count)) => into.checks.push(Check::MaxItems(*count)),
            ("items", Value::Message(items)) => into.items = Some(Box::new(read(items, field)?)),
            (other, _) => return Err(unsupported(field, &format!("repeated.{other}"))),
        }
    }
    Ok(())
}

fn read_checks(
    checks: &DynamicMessage,
    kind: &str,
    field: &str,
    into: &mut Vec<Check>,
) -> Result<(), RulesError> {
    for (rule, value) in checks.fields() {
        match (kind, rule.name(), value) {
            ("string", "min_len", Value::U64(length)) => into.push(Check::MinLen(*length)),
            ("string", "max_len", Value::U64(length)) => into.push(Check::MaxLen(*length)),
            ("string", "len", Value::U64(length)) => into.push(Check::Len(*length)),
            ("string", "uuid", Value::Bool(true)) => into.push(Check::Uuid),
            ("int32", "gte", Value::I32(bound)) => into.push(Check::Gte(i64::from(*bound))),
            ("int32", "lte", Value::I32(bound)) => into.push(Check::Lte(i64::from(*bound))),
            ("int64", "gte", Value::I64(bound)) => into.push(Check::Gte(*bound)),
            ("int64", "lte", Value::I64(bound)) => into.push(Check::Lte(*bound)),
            ("enum", "defined_only", Value::Bool(true)) => into.push(Check::DefinedOnly),
            ("enum", "not_in", Value::List(numbers)) => {
                for number in numbers {
                    match number {
                        Value::I32(number) => into.push(Check::NotIn(*number)),
                        _ => return Err(unsupported(field, "enum.not_in")),
                    }
                }
            }
            (_, other, _) => return Err(unsupported(field, &format!("{kind}.{other}"))),
        }
    }
    Ok(())
}

fn unsupported(field: &str, rule: &str) -> RulesError {
    RulesError::Unsupported {
        field: field.to_owned(),
        rule: rule.to_owned(),
    }
}
