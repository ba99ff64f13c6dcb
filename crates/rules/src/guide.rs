//! Writing the guide of a service: the fields of its requests, their types, rules and meaning, as Markdown.
//!
//! The English meaning is the comment of the contract, the Persian one stands in a table beside it. A field or value
//! without one stops the build, so that both are always whole.

use std::collections::BTreeMap;
use std::fmt::Write;

use protox::prost_reflect::{
    DescriptorPool, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor,
};

use crate::RulesError;
use crate::read::{Check, FieldRules, field_rules};

/// Languages of guides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Persian.
    Persian,
    /// English.
    English,
}

/// A guide to write.
#[derive(Debug, Clone, Copy)]
pub struct Guide<'a> {
    /// Its title in Persian.
    pub title_fa: &'a str,
    /// Its title in English.
    pub title_en: &'a str,
    /// Full names of the requests it is about.
    pub requests: &'a [&'a str],
    /// Persian meanings: `Message.field` or the name of an enum's value, a tab, the meaning, line by line.
    pub persian: &'a str,
}

impl Guide<'_> {
    /// The guide in a language.
    ///
    /// # Errors
    ///
    /// [`RulesError::Guide`] names everything that is not in the contract or lacks a meaning.
    pub fn write(&self, pool: &DescriptorPool, language: Language) -> Result<String, RulesError> {
        let extension = pool
            .get_extension_by_name("buf.validate.field")
            .ok_or(RulesError::NoExtensions)?;
        let mut writer = Writer {
            language,
            extension,
            persian: self
                .persian
                .lines()
                .filter_map(|line| line.split_once('\t'))
                .collect(),
            text: String::new(),
            missing: Vec::new(),
        };
        writer.title(self);
        let (messages, enums) = self.reached(pool, &mut writer);
        for message in &messages {
            writer.message(message)?;
        }
        for values in &enums {
            writer.values(values);
        }
        if writer.missing.is_empty() {
            Ok(writer.text)
        } else {
            Err(RulesError::Guide(writer.missing.join(", ")))
        }
    }

    /// The requests and all messages and enums in them, each once, in the order in which a reader meets them.
    fn reached(
        &self,
        pool: &DescriptorPool,
        writer: &mut Writer<'_>,
    ) -> (Vec<MessageDescriptor>, Vec<EnumDescriptor>) {
        let (mut messages, mut enums): (Vec<MessageDescriptor>, Vec<EnumDescriptor>) =
            (Vec::new(), Vec::new());
        for name in self.requests {
            match pool.get_message_by_name(name) {
                Some(message) => messages.push(message),
                None => writer.missing.push((*name).to_owned()),
            }
        }
        let mut next = 0;
        while let Some(message) = messages.get(next).cloned() {
            next += 1;
            for field in message.fields() {
                match field.kind() {
                    Kind::Message(inner)
                        if is_ours(inner.full_name()) && !messages.contains(&inner) =>
                    {
                        messages.push(inner);
                    }
                    Kind::Enum(values) if !enums.contains(&values) => enums.push(values),
                    _ => {}
                }
            }
        }
        (messages, enums)
    }
}

fn is_ours(full_name: &str) -> bool {
    full_name.starts_with("gavah.")
}

struct Writer<'a> {
    language: Language,
    extension: ExtensionDescriptor,
    persian: BTreeMap<&'a str, &'a str>,
    text: String,
    missing: Vec<String>,
}

impl Writer<'_> {
    fn say<'t>(&self, fa: &'t str, en: &'t str) -> &'t str {
        match self.language {
            Language::Persian => fa,
            Language::English => en,
        }
    }

    fn title(&mut self, guide: &Guide<'_>) {
        let title = self.say(guide.title_fa, guide.title_en);
        let about = self.say(
            "این راهنما از روی قرارداد gavah.v1 ساخته شده است و همیشه با آن یکی است.",
            "Made from the contract gavah.v1, and always in step with it.",
        );
        let _ = writeln!(self.text, "# {title}\n\n{about}");
    }

    fn message(&mut self, message: &MessageDescriptor) -> Result<(), RulesError> {
        let heading = self.say(
            "| فیلد | نوع | الزامی | قاعده‌ها | معنا |",
            "| Field | Type | Required | Rules | Meaning |",
        );
        let _ = writeln!(
            self.text,
            "\n## {}\n\n{heading}\n|---|---|---|---|---|",
            message.name()
        );
        for field in message.fields() {
            let rules = field_rules(&field, &self.extension)?;
            let meaning = self.meaning(
                &format!("{}.{}", message.name(), field.name()),
                &comment_of_field(&field),
            );
            let required = if is_required(&rules) {
                self.say("بله", "yes")
            } else {
                self.say("نه", "no")
            };
            let rules_text = self.rules(&rules);
            let _ = writeln!(
                self.text,
                "| `{}` | {} | {required} | {rules_text} | {meaning} |",
                field.name(),
                self.kind(&field),
            );
        }
        Ok(())
    }

    fn values(&mut self, values: &EnumDescriptor) {
        let heading = self.say("| مقدار | معنا |", "| Value | Meaning |");
        let _ = writeln!(self.text, "\n## {}\n\n{heading}\n|---|---|", values.name());
        for value in values.values().filter(|value| value.number() != 0) {
            let comment = comment(value.parent_enum().parent_file(), value.path());
            let meaning = self.meaning(value.name(), &comment);
            let _ = writeln!(self.text, "| `{}` | {meaning} |", value.name());
        }
    }

    fn meaning(&mut self, key: &str, english: &str) -> String {
        let meaning = match self.language {
            Language::Persian => self.persian.get(key).copied().unwrap_or_default(),
            Language::English => english,
        };
        if meaning.is_empty() {
            self.missing.push(key.to_owned());
        }
        meaning.replace('|', "\\|")
    }

    fn kind(&self, field: &FieldDescriptor) -> String {
        let one = match field.kind() {
            Kind::String => self.say("متن", "text").to_owned(),
            Kind::Bool => self.say("درست یا نادرست", "true or false").to_owned(),
            Kind::Bytes => self.say("بایت‌ها", "bytes").to_owned(),
            Kind::Message(message) if is_ours(message.full_name()) => link(message.name()),
            Kind::Message(_) => self.say("لحظه (UTC)", "instant (UTC)").to_owned(),
            Kind::Enum(values) => link(values.name()),
            _ => self.say("عدد صحیح", "whole number").to_owned(),
        };
        match (field.is_list(), self.language) {
            (false, _) => one,
            (true, Language::Persian) => format!("فهرستی از {one}"),
            (true, Language::English) => format!("list of {one}"),
        }
    }

    fn rules(&self, rules: &FieldRules) -> String {
        let rule = |check: &Check| {
            Some(match check {
                // Told by "required".
                Check::MinLen(1) | Check::NotIn(0) | Check::MinItems(1) => return None,
                Check::MinLen(n) => format!("{} {n}", self.say("دست‌کم نویسه:", "characters ≥")),
                Check::MaxLen(n) => format!("{} {n}", self.say("حداکثر نویسه:", "characters ≤")),
                Check::Len(n) => format!("{} {n}", self.say("شمار نویسه:", "characters =")),
                Check::Uuid => "UUID".to_owned(),
                Check::Gte(n) => format!("≥ {n}"),
                Check::Lte(n) => format!("≤ {n}"),
                Check::DefinedOnly => self
                    .say("از مقدارهای زیر", "one of the values below")
                    .to_owned(),
                Check::NotIn(n) => format!("≠ {n}"),
                Check::MinItems(n) => format!("{} {n}", self.say("دست‌کم مورد:", "items ≥")),
                Check::MaxItems(n) => format!("{} {n}", self.say("حداکثر مورد:", "items ≤")),
            })
        };
        let told: Vec<_> = rules.checks.iter().filter_map(rule).collect();
        told.join(self.say("، ", ", "))
    }
}

fn is_required(rules: &FieldRules) -> bool {
    let at_least_one = |check: &Check| {
        matches!(
            check,
            Check::MinLen(1..)
                | Check::Len(1..)
                | Check::Uuid
                | Check::NotIn(0)
                | Check::MinItems(1..)
        )
    };
    rules.required || rules.checks.iter().any(at_least_one)
}

fn link(name: &str) -> String {
    format!("[{name}](#{})", name.to_lowercase())
}

fn comment_of_field(field: &FieldDescriptor) -> String {
    comment(field.parent_file(), field.path())
}

/// The comment that stands before what a path of the file leads to, in one line.
fn comment(file: protox::prost_reflect::FileDescriptor, path: &[i32]) -> String {
    let proto = file.file_descriptor_proto();
    let locations = proto
        .source_code_info
        .iter()
        .flat_map(|info| &info.location);
    let comment = locations
        .filter(|location| location.path == path)
        .find_map(|location| location.leading_comments.as_deref());
    let words: Vec<_> = comment.unwrap_or_default().split_whitespace().collect();
    words.join(" ")
}
