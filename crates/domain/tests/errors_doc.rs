//! `docs/errors.md` is written from the catalogue of reasons and never by hand:
//! `GAVAH_UPDATE_DOCS=1 cargo test -p gavah-domain --test errors_doc` writes it.

use std::fmt::Write;
use std::path::Path;

use gavah_domain::{Category, Reason};

fn page() -> String {
    let mut page = String::from(
        "# Errors\n\n\
         Written from the catalogue in `crates/domain/src/reason.rs` by\n\
         `GAVAH_UPDATE_DOCS=1 cargo test -p gavah-domain --test errors_doc`; a test keeps the two the same.\n\n\
         Every error is a gRPC status with these details:\n\n\
         | detail | content |\n|---|---|\n\
         | `google.rpc.ErrorInfo` | `reason` as below, `domain` `gavah`, `metadata.trace_id`, and what the reason names (a state, a level, a type, a resource of the caller's own) |\n\
         | `google.rpc.BadRequest` | for `INVALID_ARGUMENT`: every violation at once, each with field path and reason; where they would take more than 4 KiB, the first ones and `metadata.violations_total` |\n\
         | `google.rpc.LocalizedMessage` | twice: `fa-IR` and `en-US` |\n\
         | `google.rpc.RetryInfo` | where waiting helps |\n\n\
         No message carries personal data or a code. A negative verdict of `ValidationService` is not an error.\n\n\
         All writes carry a `request_id`: repeating one after `UNAVAILABLE`, `ABORTED` or a lost connection is always safe.\n",
    );
    let mut categories: Vec<Category> = Vec::new();
    for reason in Reason::ALL {
        if !categories.contains(&reason.category()) {
            categories.push(reason.category());
        }
    }
    for category in categories {
        let _ = write!(
            page,
            "\n## {}\n\n| reason | meaning | معنی | what to do | wait |\n|---|---|---|---|---|\n",
            category.as_str()
        );
        for reason in Reason::ALL
            .iter()
            .filter(|reason| reason.category() == category)
        {
            let wait = reason
                .retry_after()
                .map_or_else(String::new, |wait| format!("{} ms", wait.as_millis()));
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} | {wait} |",
                reason.as_str(),
                reason.message_en(),
                reason.message_fa(),
                reason.remedy_en(),
            );
        }
    }
    page
}

#[test]
fn the_page_of_errors_is_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    if std::env::var_os("GAVAH_UPDATE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/errors.md is not the catalogue: see the head of this test"
    );
}
