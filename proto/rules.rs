//! What the generated field checks are made of.

/// A message whose annotated field rules can be checked.
pub trait Validate {
    /// Adds every violation of the message and the messages inside it to `out`;
    /// `path` is where the message stands.
    fn check(&self, path: FieldPath<'_>, out: &mut Vec<RuleViolation>);

    /// Every violation of the message.
    fn violations(&self) -> Vec<RuleViolation> {
        let mut out = Vec::new();
        self.check(FieldPath::Root, &mut out);
        out
    }
}

/// The kinds of rule a field can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The field is missing or empty.
    Required,
    /// The text is longer than allowed.
    TooLong,
    /// The value is not of the form asked for or out of range.
    Format,
    /// The list has more items than allowed.
    TooMany,
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleViolation {
    /// Path of the field: `subject.person_id.national_code`, `records[3].status`.
    pub field: String,
    /// The rule.
    pub rule: Rule,
}

/// Where a message stands inside the request; written out only when a rule is
/// broken.
#[derive(Debug, Clone, Copy)]
pub enum FieldPath<'a> {
    /// The request itself.
    Root,
    /// A field of the parent.
    Field(&'a FieldPath<'a>, &'static str),
    /// An item of a list of the parent.
    Item(&'a FieldPath<'a>, &'static str, usize),
}

impl FieldPath<'_> {
    /// The path of a field's message.
    #[must_use]
    pub fn field(&self, name: &'static str) -> FieldPath<'_> {
        FieldPath::Field(self, name)
    }

    /// The path of a list item's message.
    #[must_use]
    pub fn item(&self, name: &'static str, index: usize) -> FieldPath<'_> {
        FieldPath::Item(self, name, index)
    }

    /// A violation of a field of this message.
    #[must_use]
    pub fn violation(&self, name: &'static str, rule: Rule) -> RuleViolation {
        RuleViolation {
            field: self.field(name).to_string(),
            rule,
        }
    }

    /// A violation of an item of a list of this message.
    #[must_use]
    pub fn item_violation(&self, name: &'static str, index: usize, rule: Rule) -> RuleViolation {
        RuleViolation {
            field: self.item(name, index).to_string(),
            rule,
        }
    }
}

impl std::fmt::Display for FieldPath<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (parent, name, index) = match self {
            Self::Root => return Ok(()),
            Self::Field(parent, name) => (parent, name, None),
            Self::Item(parent, name, index) => (parent, name, Some(index)),
        };
        if !matches!(parent, Self::Root) {
            write!(f, "{parent}.")?;
        }
        f.write_str(name)?;
        index.map_or(Ok(()), |index| write!(f, "[{index}]"))
    }
}

/// Whether `text` is a UUID in its hyphenated form, in either case.
#[must_use]
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
