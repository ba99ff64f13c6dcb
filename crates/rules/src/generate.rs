//! Writing the Rust code.

use std::fmt::Write;

use protox::prost_reflect::{
    DescriptorPool, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor,
    Value,
};

use crate::RulesError;
use crate::read::{Check, FieldRules, field_rules};

/// Rust code with `impl crate::Validate` and a `Debug` that prints nothing but
/// the type's name, for every message of `package`.
///
/// The code names the messages as `crate::v1::…`.
///
/// # Errors
///
/// [`RulesError`] when an annotation is not understood.
pub fn validators(pool: &DescriptorPool, package: &str) -> Result<String, RulesError> {
    let field_extension = pool
        .get_extension_by_name("buf.validate.field")
        .ok_or(RulesError::NoExtensions)?;
    let oneof_extension = pool
        .get_extension_by_name("buf.validate.oneof")
        .ok_or(RulesError::NoExtensions)?;
    let mut code = String::new();
    for message in crate::messages(pool, package) {
        let body = message_body(&message, &field_extension, &oneof_extension)?;
        let name = rust_path(&message);
        let short = message.name();
        let unused = if body.is_empty() { "_" } else { "" };
        let _ = write!(
            code,
            "impl crate::Validate for {name} {{\n    fn check(&self, {unused}path: crate::FieldPath<'_>, {unused}out: &mut Vec<crate::RuleViolation>) {{\n{body}    }}\n}}\n\
             impl std::fmt::Debug for {name} {{\n    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{\n        f.write_str(\"{short}(…)\")\n    }}\n}}\n",
        );
    }
    Ok(code)
}

fn message_body(
    message: &MessageDescriptor,
    field_extension: &ExtensionDescriptor,
    oneof_extension: &ExtensionDescriptor,
) -> Result<String, RulesError> {
    let mut body = String::new();
    for field in message.fields() {
        let rules = field_rules(&field, field_extension)?;
        if rules.ignore {
            continue;
        }
        match field
            .containing_oneof()
            .filter(|oneof| !is_synthetic(oneof))
        {
            Some(oneof) => oneof_member(&mut body, message, &oneof, &field, &rules)?,
            None => plain_field(&mut body, message, &field, &rules)?,
        }
    }
    for oneof in message.oneofs().filter(|oneof| !is_synthetic(oneof)) {
        if oneof_required(&oneof, oneof_extension) {
            let name = oneof.name();
            let _ = writeln!(
                body,
                "        if self.{name}.is_none() {{ out.push(path.violation(\"{name}\", crate::Rule::Required)); }}"
            );
        }
    }
    Ok(body)
}

fn oneof_required(oneof: &OneofDescriptor, extension: &ExtensionDescriptor) -> bool {
    let options = oneof.options();
    if !options.has_extension(extension) {
        return false;
    }
    match options.get_extension(extension).as_ref() {
        Value::Message(rules) => rules
            .get_field_by_name("required")
            .is_some_and(|required| matches!(required.as_ref(), Value::Bool(true))),
        _ => false,
    }
}

/// proto3 `optional` is a oneof of one member in the descriptor.
fn is_synthetic(oneof: &OneofDescriptor) -> bool {
    oneof.fields().len() == 1 && oneof.name().starts_with('_')
}

fn plain_field(
    body: &mut String,
    message: &MessageDescriptor,
    field: &FieldDescriptor,
    rules: &FieldRules,
) -> Result<(), RulesError> {
    let name = field.name();
    let member = rust_field(name);
    if field.is_list() {
        for check in &rules.checks {
            let condition = condition(check, &Operand::place(&member), field)?;
            violation(body, &condition, name, check);
        }
        let items = rules.items.as_deref();
        if items.is_some_and(|items| items.ignore) {
            return Ok(());
        }
        let mut inner = String::new();
        if let Some(items) = items {
            for check in &items.checks {
                let condition = condition(check, &Operand::reference("item"), field)?;
                let rule = rule_name(check);
                let _ = writeln!(
                    inner,
                    "            if {condition} {{ out.push(path.item_violation(\"{name}\", index, crate::Rule::{rule})); }}"
                );
            }
        }
        if is_ours(field, message) {
            let _ = writeln!(
                inner,
                "            crate::Validate::check(item, path.item(\"{name}\", index), out);"
            );
        }
        if !inner.is_empty() {
            // A list that is too long is refused as a whole: its items are not
            // looked at, however many there are.
            let most = rules.checks.iter().find_map(|check| match check {
                Check::MaxItems(count) => Some(format!(".take({count})")),
                _ => None,
            });
            let most = most.unwrap_or_default();
            let _ = write!(
                body,
                "        for (index, item) in self.{member}.iter(){most}.enumerate() {{\n{inner}        }}\n"
            );
        }
        return Ok(());
    }
    if matches!(field.kind(), Kind::Message(_)) {
        if rules.required {
            let _ = writeln!(
                body,
                "        if self.{member}.is_none() {{ out.push(path.violation(\"{name}\", crate::Rule::Required)); }}"
            );
        }
        if is_ours(field, message) {
            let _ = writeln!(
                body,
                "        if let Some(value) = &self.{member} {{ crate::Validate::check(value, path.field(\"{name}\"), out); }}"
            );
        }
        return Ok(());
    }
    let optional = field.containing_oneof().is_some();
    for check in &rules.checks {
        if optional {
            let condition = condition(check, &Operand::reference("value"), field)?;
            let condition = format!("self.{member}.as_ref().is_some_and(|value| {condition})");
            violation(body, &condition, name, check);
        } else {
            let condition = condition(check, &Operand::place(&member), field)?;
            violation(body, &condition, name, check);
        }
    }
    Ok(())
}

fn oneof_member(
    body: &mut String,
    message: &MessageDescriptor,
    oneof: &OneofDescriptor,
    field: &FieldDescriptor,
    rules: &FieldRules,
) -> Result<(), RulesError> {
    let variant = format!(
        "crate::v1::{}::{}::{}",
        snake(message.name()),
        pascal(oneof.name()),
        pascal(field.name())
    );
    let (name, member) = (field.name(), oneof.name());
    let mut inner = String::new();
    for check in &rules.checks {
        let condition = condition(check, &Operand::reference("value"), field)?;
        let rule = rule_name(check);
        let _ = writeln!(
            inner,
            "            if {condition} {{ out.push(path.violation(\"{name}\", crate::Rule::{rule})); }}"
        );
    }
    if is_ours(field, message) {
        let _ = writeln!(
            inner,
            "            crate::Validate::check(value, path.field(\"{name}\"), out);"
        );
    }
    if !inner.is_empty() {
        let _ = write!(
            body,
            "        if let Some({variant}(value)) = &self.{member} {{\n{inner}        }}\n"
        );
    }
    Ok(())
}

fn violation(body: &mut String, condition: &str, name: &str, check: &Check) {
    let rule = rule_name(check);
    let _ = writeln!(
        body,
        "        if {condition} {{ out.push(path.violation(\"{name}\", crate::Rule::{rule})); }}"
    );
}

/// The ways to write one value in generated code.
struct Operand {
    /// Before a method call.
    method: String,
    /// As a reference.
    reference: String,
    /// As a copied value.
    value: String,
}

impl Operand {
    /// The field `member` of the message.
    fn place(member: &str) -> Self {
        Self {
            method: format!("self.{member}"),
            reference: format!("&self.{member}"),
            value: format!("self.{member}"),
        }
    }

    /// A variable that is a reference.
    fn reference(name: &str) -> Self {
        Self {
            method: name.to_owned(),
            reference: name.to_owned(),
            value: format!("*{name}"),
        }
    }
}

/// The condition under which the check fails.
fn condition(
    check: &Check,
    operand: &Operand,
    field: &FieldDescriptor,
) -> Result<String, RulesError> {
    let Operand {
        method,
        reference,
        value,
    } = operand;
    Ok(match check {
        Check::MinLen(1) => format!("{method}.is_empty()"),
        Check::MinLen(length) => format!("{method}.chars().count() < {length}"),
        Check::MaxLen(length) => format!("{method}.chars().count() > {length}"),
        Check::Len(length) => format!("{method}.chars().count() != {length}"),
        Check::Uuid => format!("!crate::is_uuid({reference})"),
        Check::Gte(bound) => format!("{value} < {bound}"),
        Check::Lte(bound) => format!("{value} > {bound}"),
        Check::DefinedOnly => match field.kind() {
            Kind::Enum(kind) => format!("crate::v1::{}::try_from({value}).is_err()", kind.name()),
            _ => {
                return Err(RulesError::Unsupported {
                    field: field.full_name().to_owned(),
                    rule: "enum.defined_only".to_owned(),
                });
            }
        },
        Check::NotIn(number) => format!("{value} == {number}"),
        Check::MinItems(1) => format!("{method}.is_empty()"),
        Check::MinItems(count) => format!("{method}.len() < {count}"),
        Check::MaxItems(count) => format!("{method}.len() > {count}"),
    })
}

fn rule_name(check: &Check) -> &'static str {
    match check {
        Check::MinLen(1) | Check::MinItems(_) | Check::NotIn(0) => "Required",
        Check::MaxLen(_) => "TooLong",
        Check::MinLen(_)
        | Check::Len(_)
        | Check::Uuid
        | Check::Gte(_)
        | Check::Lte(_)
        | Check::DefinedOnly
        | Check::NotIn(_) => "Format",
        Check::MaxItems(_) => "TooMany",
    }
}

fn is_ours(field: &FieldDescriptor, message: &MessageDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(kind) if kind.package_name() == message.package_name())
}

fn rust_path(message: &MessageDescriptor) -> String {
    format!("crate::v1::{}", message.name())
}

fn rust_field(name: &str) -> String {
    if name == "type" {
        format!("r#{name}")
    } else {
        name.to_owned()
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

fn pascal(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_uppercase().collect::<String>() + letters.as_str()
            })
        })
        .collect()
}
