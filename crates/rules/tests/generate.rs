//! The generator on small contracts: what it writes, and that it refuses what it
//! does not understand.

use protox::file::{ChainFileResolver, File, FileResolver, IncludeFileResolver};

const HEAD: &str =
    "syntax = \"proto3\"; package sample.v1; import \"buf/validate/validate.proto\";\n";

/// A contract of one file, beside the real `buf/validate/validate.proto`.
struct Sample(String);

impl FileResolver for Sample {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == "sample.proto" {
            return File::from_source(name, &format!("{HEAD}{}", self.0));
        }
        Err(protox::Error::file_not_found(name))
    }
}

fn generate(messages: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Sample(messages.to_owned()));
    let proto = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto");
    resolver.add(IncludeFileResolver::new(proto.into()));
    resolver.add(protox::file::GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("sample.proto")?;
    Ok(gavah_rules::validators(
        &compiler.descriptor_pool(),
        "sample.v1",
    )?)
}

#[test]
fn a_rule_that_is_not_understood_stops_the_build() {
    for (annotation, rule) in [
        (
            "string f = 1 [(buf.validate.field).string.email = true];",
            "string.email",
        ),
        (
            "uint64 f = 1 [(buf.validate.field).uint64.gte = 1];",
            "uint64",
        ),
        (
            "repeated string f = 1 [(buf.validate.field).repeated.unique = true];",
            "repeated.unique",
        ),
        (
            "bytes f = 1 [(buf.validate.field).bytes.max_len = 1];",
            "bytes",
        ),
    ] {
        let error = generate(&format!("message M {{ {annotation} }}")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("sample.v1.M.f: rule `{rule}` is not supported by the generator")
        );
    }
}

#[test]
fn each_rule_becomes_one_condition() {
    for (annotation, condition, rule) in [
        (
            "string f = 1 [(buf.validate.field).string.min_len = 1];",
            "self.f.is_empty()",
            "Required",
        ),
        (
            "string f = 1 [(buf.validate.field).string.min_len = 3];",
            "self.f.chars().count() < 3",
            "Format",
        ),
        (
            "string f = 1 [(buf.validate.field).string.max_len = 9];",
            "self.f.chars().count() > 9",
            "TooLong",
        ),
        (
            "string f = 1 [(buf.validate.field).string.len = 3];",
            "self.f.chars().count() != 3",
            "Format",
        ),
        (
            "string f = 1 [(buf.validate.field).string.uuid = true];",
            "!crate::is_uuid(&self.f)",
            "Format",
        ),
        (
            "int32 f = 1 [(buf.validate.field).int32.gte = 1];",
            "self.f < 1",
            "Format",
        ),
        (
            "int32 f = 1 [(buf.validate.field).int32.lte = 5];",
            "self.f > 5",
            "Format",
        ),
        (
            "int64 f = 1 [(buf.validate.field).int64.gte = 0];",
            "self.f < 0",
            "Format",
        ),
        (
            "int64 f = 1 [(buf.validate.field).int64.lte = 2147483647];",
            "self.f > 2147483647",
            "Format",
        ),
        (
            "repeated string f = 1 [(buf.validate.field).repeated.max_items = 2];",
            "self.f.len() > 2",
            "TooMany",
        ),
        (
            "repeated string f = 1 [(buf.validate.field).repeated.min_items = 1];",
            "self.f.is_empty()",
            "Required",
        ),
        (
            "N f = 1 [(buf.validate.field).required = true];",
            "self.f.is_none()",
            "Required",
        ),
    ] {
        let code = generate(&format!("message M {{ {annotation} }} message N {{}}")).unwrap();
        let line =
            format!("if {condition} {{ out.push(path.violation(\"f\", crate::Rule::{rule})); }}");
        assert!(code.contains(&line), "{line}\nnot in\n{code}");
    }
}

#[test]
fn a_list_that_is_too_long_is_not_looked_into() {
    let code = generate(
        "message M { repeated N f = 1 [(buf.validate.field).repeated.max_items = 2]; }
         message N { string g = 1 [(buf.validate.field).string.min_len = 1]; }",
    )
    .unwrap();
    assert!(code.contains("self.f.iter().take(2).enumerate()"), "{code}");
}

#[test]
fn ignored_items_are_not_checked() {
    let code = generate(
        "message M { repeated N f = 1 [(buf.validate.field).repeated = {max_items: 2, items: {ignore: IGNORE_ALWAYS}}]; }
         message N { string g = 1 [(buf.validate.field).string.min_len = 1]; }",
    )
    .unwrap();
    assert!(!code.contains("in self.f"), "{code}");
}

#[test]
fn debug_prints_only_the_name() {
    let code = generate("message M { string secret = 1; }").unwrap();
    assert!(code.contains("f.write_str(\"M(…)\")"), "{code}");
}
